//! The steps of a message's way here, from the connection to its content, as they are kept with it.

use std::net::IpAddr;

use mailstore::TraceStep;

use super::Session;
use super::envelope::Envelope;

impl Session {
    /// Tells the time (seconds since 1970) at which the next thing happens; the session never looks itself.
    pub const fn at(&mut self, unix_seconds: u64) {
        self.now = unix_seconds;
    }

    /// A step of the connection, which comes before each of its messages. Each kind happens once or twice.
    pub(super) fn note(&mut self, event: &'static str, detail: String) {
        // A vector takes room for four of them otherwise, and most connections that wait have one.
        self.steps.reserve_exact(1);
        self.steps.push(step(self.now, event, detail));
    }

    /// The first steps: who is there, and what protects the connection from its beginning.
    pub(super) fn note_connection(&mut self) {
        let detail = match (self.peer.address, self.peer.local) {
            (Some(address), Some(local)) => format!("from {address} to {local}"),
            (address, _) => format!("from {}", shown(address)),
        };
        self.note("connected", detail);
        self.note_tls();
    }

    /// What protects the connection from now on.
    pub(super) fn note_tls(&mut self) {
        if let Some(tls) = self.peer.tls_details() {
            let detail = format!("{} {}", tls.version, tls.cipher);
            self.note("tls", detail);
        }
    }

    /// All steps that have led up to the end of a message's content.
    pub(super) fn steps(&self, envelope: &Envelope) -> Vec<TraceStep> {
        let Envelope { reverse_path, recipients, refused, begun, passage, .. } = envelope;
        let mut steps = Vec::with_capacity(self.steps.len().saturating_add(4));
        steps.extend_from_slice(&self.steps);
        steps.push(step(begun.mail, "mail", format!("from {reverse_path}")));
        let named = format!("{} accepted, {refused} refused", recipients.len());
        steps.push(step(begun.recipients, "recipients", named));
        steps.extend_from_slice(passage.steps());
        steps.push(step(begun.content, "content", String::new()));
        steps
    }
}

/// Where a peer is.
pub(super) fn shown(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "local".to_owned(), |address| address.to_string())
}

pub(super) fn step(at: u64, event: &'static str, detail: String) -> TraceStep {
    TraceStep { at, event: event.into(), detail }
}
