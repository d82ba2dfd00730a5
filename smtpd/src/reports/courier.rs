//! Brings reports to where their domains want them: by mail, through our own queue, or by POST (RFC 8460 §5).

use std::io;
use std::thread;
use std::time::Duration;

use mailstore::{
    Body, Delivery, Fate, IntakeError, RecipientTerms, RelayRecipient, Store, Terms, TraceRow, Unavailable,
};
use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::cause::chain;
use mailwire::net::{HttpsClient, HttpsError, HttpsUrl, KnownRoots, QuestionLimits};
use thiserror::Error;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::destination::Destination;
use super::head::Head;
use super::message::{Message, compressed, media_type};
use crate::relay::names::{Names, NoRoute};
use crate::trace;

/// For how long a report is tried by mail (RFC 8460 §5.5).
const TRIED_SECONDS: u64 = 24 * 60 * 60;
/// Octets of what a server says to a POST; nobody reads it.
const ANSWER_OCTETS_MAX: u64 = 64 << 10;

/// Why a report has not been sent.
#[derive(Debug, Error)]
pub enum SendError {
    /// DNS does not say where it goes.
    #[error("where the domain wants its reports cannot be found out")]
    Name(#[from] NoRoute),
    /// Whether its addresses are here is not known.
    #[error("where the report goes cannot be found out")]
    Directory(#[source] Unavailable),
    /// It cannot be put into the queue.
    #[error("the report cannot be kept")]
    Commit(#[from] IntakeError),
    /// What was told cannot be forgotten, or what was counted not be read.
    #[error("what was counted cannot be read or changed")]
    Store(#[source] Unavailable),
    /// It could not be made.
    #[error("the report could not be compressed")]
    Compress(#[source] io::Error),
    /// No destination has taken it.
    #[error("none of the domain's destinations has taken it: {0}")]
    Nobody(String),
    /// Another server takes no report by POST.
    #[error(transparent)]
    Post(#[from] HttpsError),
    /// There is no thread for it, or it was cut off.
    #[error("handing it over was cut off")]
    CutOff,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// These have it, or will have it by mail.
    To(Vec<String>),
    /// The domain does not ask for reports.
    NotWanted,
}

/// Brings reports.
pub(super) struct Courier {
    pub(super) store: Store,
    pub(super) names: Names,
    pub(super) from: Mailbox,
    /// Domains whose mail is kept here.
    pub(super) domains: Vec<Domain>,
    /// `None` where nobody is trusted: then nothing is posted.
    pub(super) roots: Option<KnownRoots>,
    pub(super) post_seconds: u64,
}

impl Courier {
    /// Brings a report to all of these; one that takes it is enough.
    pub(super) async fn bring(
        &self,
        head: &Head,
        text: &str,
        destinations: &[Destination],
        now: u64,
    ) -> Result<Sent, SendError> {
        let content = compressed(text).map_err(SendError::Compress)?;
        let (mut taken, mut mailboxes, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for destination in destinations {
            match destination {
                Destination::Mail(mailbox) => mailboxes.push(mailbox.clone()),
                Destination::Post(url) => match self.post(head, url.clone(), content.clone()).await {
                    Ok(()) => taken.push(format!("https://{}", url.host())),
                    Err(error) => refused.push(chain(&error)),
                },
            }
        }
        if !mailboxes.is_empty() {
            match self.mail(head, &content, &mailboxes, now).await {
                Ok(()) => taken.extend(mailboxes.iter().map(Mailbox::to_string)),
                Err(error) => refused.push(chain(&error)),
            }
        }
        let (kind, domain) = (head.kind.word(), &head.domain);
        if taken.is_empty() {
            return Err(SendError::Nobody(refused.join("; ")));
        }
        for reason in refused {
            warn!(kind, domain, reason, "a destination has not got its report");
        }
        info!(kind, domain, day = %head.day(), report_id = head.report_id(), to = taken.join(", "), "reported");
        Ok(Sent::To(taken))
    }

    async fn mail(&self, head: &Head, content: &[u8], to: &[Mailbox], now: u64) -> Result<(), SendError> {
        let text = Message { head, from: &self.from, to, content, now }.text();
        let octets = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let (mut maildrops, mut relay) = (Vec::new(), Vec::new());
        for mailbox in to {
            if self.domains.contains(mailbox.domain()) {
                let found =
                    self.store.directory.recipient(mailbox, octets).await.map_err(SendError::Directory)?;
                maildrops.extend(found.maildrops().iter().copied());
            } else {
                let (mailbox, expires) = (mailbox.clone(), now.saturating_add(TRIED_SECONDS));
                relay.push(RelayRecipient { mailbox, due: now, expires, terms: RecipientTerms::report() });
            }
        }
        maildrops.sort_unstable();
        maildrops.dedup();
        if maildrops.is_empty() && relay.is_empty() {
            return Err(SendError::Nobody(
                "its addresses are here, and there are no such mailboxes".to_owned(),
            ));
        }
        let mut draft = self.store.intake.draft(octets).await?;
        draft.write(text.as_bytes()).await?;
        let reverse_path = ReversePath::Mailbox(self.from.clone());
        draft.commit(delivery(head, reverse_path, maildrops, relay, now)).await?;
        Ok(())
    }

    async fn post(&self, head: &Head, url: HttpsUrl, content: Vec<u8>) -> Result<(), SendError> {
        let Some(roots) = &self.roots else {
            return Err(SendError::Nobody("no certificate is trusted".to_owned()));
        };
        let addresses = self.names.addresses(&url.host()).await?.addresses;
        let deadline = Duration::from_secs(self.post_seconds);
        let limits = QuestionLimits { deadline, answer_octets_max: ANSWER_OCTETS_MAX };
        let client = HttpsClient::for_posting(url, roots, limits, addresses);
        let (answer, answered) = oneshot::channel();
        let media_type = media_type(head.kind);
        // Not one of the runtime's threads, whose end the process waits for: a host that stalls must not hold that up.
        let post = move || {
            let _ = answer.send(client.post(media_type, &content));
        };
        thread::Builder::new().name("report".to_owned()).spawn(post).map_err(|_| SendError::CutOff)?;
        Ok(answered.await.map_err(|_| SendError::CutOff)??)
    }
}

fn delivery(
    head: &Head,
    reverse_path: ReversePath,
    maildrops: Vec<mailstore::MaildropId>,
    relay: Vec<RelayRecipient>,
    now: u64,
) -> Delivery {
    Delivery {
        delivery_prefix: trace::return_path(&reverse_path).into_bytes(),
        prefix: Vec::new(),
        reverse_path,
        maildrops,
        fate: Fate::Shared,
        relay,
        terms: Terms { body: Some(Body::SevenBit), ..Terms::default() },
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow {
            at: now,
            session: String::new(),
            event: "reported".into(),
            detail: format!("{} report about {} on {}", head.kind.word(), head.domain, head.day()),
        },
        carried: None,
        concludes: Vec::new(),
    }
}
