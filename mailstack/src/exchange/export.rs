//! `mailstack export`: each message of a maildrop to a place on the disk, once, however often it is done.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mailstore::{MaildropError, MaildropId, MessageId, Store};
use mailwire::address::Mailbox;
use thiserror::Error;

use super::maildrop;
use super::open::open_sink;
use super::sink::{Begun, Outgoing, Sink};
use super::source::CHUNK_OCTETS;
use crate::arguments::ExportOptions;
use crate::output::Output;
use crate::place::Place;

/// Why an export is not complete.
#[derive(Debug, Error)]
enum ExportError {
    #[error("the export stopped; what was written stays, and the same command goes on from there")]
    Store(#[from] MaildropError),
    #[error("the export stopped; what was written stays, and the same command goes on from there")]
    Write(#[from] io::Error),
    #[error("the export was stopped; what was written stays, and the same command goes on from there")]
    Interrupted,
}

struct Export<'a> {
    store: &'a Store,
    output: &'a Output,
    maildrop: MaildropId,
    exported: u64,
    there: u64,
}

/// Does what `options` say.
pub(crate) async fn run(options: &ExportOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let place = Place::find(&options.whereabouts)?;
    let address = Mailbox::parse(&options.account)?;
    let store = place.open().await?;
    let exported = export(&store, &address, options, output).await;
    store.close().await;
    exported
}

async fn export(
    store: &Store,
    address: &Mailbox,
    options: &ExportOptions,
    output: &Output,
) -> Result<(), Box<dyn Error>> {
    let maildrop = maildrop::of(store, address).await?;
    let (messages, outgoing) = list(store, maildrop).await?;
    let mut sink = open_sink(&options.destination, options.format, &outgoing)?;
    let mut export = Export { store, output, maildrop, exported: 0, there: 0 };
    let written = export.all(&messages, &outgoing, &mut *sink).await;
    let closed = sink.close();
    output.progress("");
    output.line(&export.words());
    written?;
    Ok(closed.map_err(ExportError::Write)?)
}

/// The messages that are in the maildrop, in the order of their arrival.
async fn list(store: &Store, maildrop: MaildropId) -> Result<(Vec<MessageId>, Vec<Outgoing>), MaildropError> {
    let (mut messages, mut outgoing) = (Vec::new(), Vec::new());
    let mut kept = maildrop::Pages::new(store, maildrop);
    while let Some(page) = kept.next().await? {
        for kept in page.into_iter().filter(|kept| kept.expunged_at.is_none()) {
            messages.push(kept.message);
            outgoing.push(Outgoing {
                unique_id: kept.entry.unique_id.to_string(),
                received_at: kept.entry.received_at,
                octets: kept.entry.octets,
            });
        }
    }
    Ok((messages, outgoing))
}

impl Export<'_> {
    async fn all(
        &mut self,
        messages: &[MessageId],
        outgoing: &[Outgoing],
        sink: &mut dyn Sink,
    ) -> Result<(), ExportError> {
        let ended: Arc<AtomicBool> = maildrop::until_interrupted();
        for (message, outgoing) in messages.iter().zip(outgoing) {
            match sink.begin(outgoing)? {
                Begun::IsThere => self.there = self.there.saturating_add(1),
                Begun::Writing => {
                    self.content(*message, sink).await?;
                    sink.end()?;
                    self.exported = self.exported.saturating_add(1);
                }
            }
            self.output.progress(&format!("{} of {}", self.words(), messages.len()));
            if ended.load(Ordering::Relaxed) {
                return Err(ExportError::Interrupted);
            }
        }
        Ok(())
    }

    async fn content(&self, message: MessageId, sink: &mut dyn Sink) -> Result<(), ExportError> {
        let mut offset = 0_u64;
        loop {
            let administration = &self.store.maildrop_administration;
            let octets = administration.read(self.maildrop, message, offset, CHUNK_OCTETS).await?;
            if octets.is_empty() {
                return Ok(());
            }
            offset = offset.saturating_add(octets.len() as u64);
            sink.write(&octets)?;
        }
    }

    fn words(&self) -> String {
        format!("exported {}, {}", maildrop::messages(self.exported), maildrop::were_there(self.there))
    }
}
