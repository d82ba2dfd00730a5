//! A report becomes a message, by one commit with the outcomes that it is about.

use mailstore::{
    Body, Delivery, Draft, Fate, IntakeError, Notify, QueueEntry, QueueError, QueueOutcome, Recipient,
    RecipientTerms, RelayRecipient, Returns, Terms, TraceRow, Unavailable,
};
use mailwire::address::{Mailbox, ReversePath};
use thiserror::Error;

use super::super::content::{Content, ContentError};
use super::super::reporter::Reporter;
use super::frame::{Form, Frame, Returned};
use super::returned::HeaderSection;
use super::{Kind, Subject};
use crate::trace;

/// Why there is no report.
#[derive(Debug, Error)]
pub(in super::super) enum SendError {
    /// The sender's mailbox is here, and is not there any more.
    #[error("the sender has no mailbox here")]
    Nobody,
    #[error("where the report goes cannot be found out")]
    Directory(#[source] Unavailable),
    #[error("the report cannot be kept")]
    Commit(#[from] IntakeError),
    #[error("the message that it is about cannot be read")]
    Content(#[source] ContentError),
    #[error("there is no randomness")]
    Random,
}

/// Sends a report about recipients of one message, and makes `outcomes` true with its commit.
pub(in super::super) async fn send(
    reporter: &Reporter,
    kind: Kind,
    subjects: &[Subject<'_>],
    outcomes: Vec<QueueOutcome>,
    now: u64,
) -> Result<(), SendError> {
    let Some(first) = subjects.first() else { return Ok(()) };
    let ReversePath::Mailbox(sender) = &first.entry.reverse_path else { return Err(SendError::Nobody) };
    let random = getrandom::u64().map_err(|_| SendError::Random)?;
    let is_utf8 = subjects.iter().any(|subject| needs_utf8(subject)) || sender.needs_smtputf8();
    let hostname = reporter.hostname.to_string();
    let frame = Frame {
        kind,
        subjects,
        sender,
        from: &reporter.postmaster,
        hostname: &hostname,
        id: format!("{random:016x}"),
        is_utf8,
        now,
    };
    let returned = returned(reporter, &frame, first).await?;
    let octets = match &returned {
        Returned::Headers(headers) => u64::try_from(headers.octets().len()).unwrap_or(u64::MAX),
        Returned::Message(_) => first.entry.octets,
    };
    let recipient = place(reporter, sender, octets, now).await?;
    let mut draft = reporter.store.intake.draft(octets).await?;
    write(reporter, draft.as_mut(), &frame, &returned, first).await?;
    let delivery = delivery(&frame, recipient, first, outcomes);
    draft.commit(delivery).await?;
    Ok(())
}

/// Where a report goes, or another message that nobody answers.
pub(in super::super) enum Place {
    Here(Vec<mailstore::MaildropId>),
    Elsewhere(Box<RelayRecipient>),
}

/// Finds that out for a message of so many octets to `sender`.
pub(in super::super) async fn place(
    reporter: &Reporter,
    sender: &Mailbox,
    octets: u64,
    now: u64,
) -> Result<Place, SendError> {
    if !reporter.domains.contains(sender.domain()) {
        // RFC 3461 §6.2: nobody wants to hear of a report.
        let terms = RecipientTerms { notify: Some(Notify::Never), original: None };
        let expires = now.saturating_add(reporter.expire_seconds);
        return Ok(Place::Elsewhere(Box::new(RelayRecipient {
            mailbox: sender.clone(),
            due: now,
            expires,
            terms,
        })));
    }
    match reporter.store.directory.recipient(sender, octets).await.map_err(SendError::Directory)? {
        // Rules of the sender are for mail of others.
        found @ (Recipient::Maildrops(_) | Recipient::Filtered(_)) if !found.maildrops().is_empty() => {
            Ok(Place::Here(found.maildrops().to_vec()))
        }
        Recipient::Maildrops(_) | Recipient::Filtered(_) | Recipient::Missing => Err(SendError::Nobody),
        Recipient::OverQuota(why) => {
            let maildrop = mailstore::MaildropId(0);
            Err(IntakeError::OverQuota { maildrop, why, groups: Vec::new() }.into())
        }
    }
}

/// RFC 3461 §4.3: RET is about failures; other reports bring back the header section. So do those about large messages,
/// unless all of it was asked for.
async fn returned(
    reporter: &Reporter,
    frame: &Frame<'_>,
    subject: &Subject<'_>,
) -> Result<Returned, SendError> {
    let entry = subject.entry;
    let whole = match (frame.kind, entry.terms.returns) {
        (Kind::Failed, Some(Returns::Full)) => true,
        (Kind::Failed, None) => entry.octets <= reporter.returned_octets_max,
        (Kind::Failed, Some(Returns::Headers)) | (Kind::Delayed | Kind::Delivered | Kind::Relayed, _) => {
            false
        }
    };
    if whole {
        return Ok(Returned::Message(if frame.is_utf8 && entry.terms.is_utf8 {
            Form::Global
        } else {
            Form::Plain
        }));
    }
    header_section(reporter, entry).await.map(Returned::Headers)
}

/// The header section of the message that an entry is about.
pub(in super::super) async fn header_section(
    reporter: &Reporter,
    entry: &QueueEntry,
) -> Result<HeaderSection, SendError> {
    let mut content = Content::new(&*reporter.store.queue, entry);
    let mut headers = HeaderSection::default();
    loop {
        let octets = match content.next().await {
            Ok(octets) => octets,
            // The message is gone or damaged: there is a report without it.
            Err(ContentError::Store(QueueError::Missing) | ContentError::Short) => None,
            Err(error @ ContentError::Store(_)) => return Err(SendError::Content(error)),
        };
        if !octets.is_some_and(|octets| headers.take(octets)) {
            break;
        }
    }
    Ok(headers)
}

async fn write(
    reporter: &Reporter,
    draft: &mut dyn Draft,
    frame: &Frame<'_>,
    returned: &Returned,
    subject: &Subject<'_>,
) -> Result<(), SendError> {
    draft.write(frame.beginning(returned).as_bytes()).await?;
    match returned {
        Returned::Headers(headers) => draft.write(headers.octets()).await?,
        Returned::Message(_) => {
            let mut content = Content::new(&*reporter.store.queue, subject.entry);
            while let Some(octets) = content.next().await.map_err(SendError::Content)? {
                draft.write(octets).await?;
            }
        }
    }
    draft.write(frame.end().as_bytes()).await?;
    Ok(())
}

fn delivery(frame: &Frame<'_>, place: Place, subject: &Subject<'_>, outcomes: Vec<QueueOutcome>) -> Delivery {
    let (maildrops, relay) = match place {
        Place::Here(maildrops) => (maildrops, Vec::new()),
        Place::Elsewhere(recipient) => (Vec::new(), vec![*recipient]),
    };
    let about = subject.entry.id.message.0;
    Delivery {
        delivery_prefix: trace::return_path(&ReversePath::Null).into_bytes(),
        prefix: Vec::new(),
        reverse_path: ReversePath::Null,
        maildrops,
        fate: Fate::Shared,
        relay,
        terms: Terms {
            is_utf8: frame.is_utf8,
            // The words for people are in UTF-8, and so may be what comes back.
            body: Some(Body::EightBit),
            requires_tls: subject.entry.terms.requires_tls,
            ..Terms::default()
        },
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow {
            at: frame.now,
            session: String::new(),
            event: "reported".into(),
            detail: format!("about message {about}"),
        },
        carried: None,
        concludes: outcomes,
    }
}

/// RFC 6533 §4: where an address or the message is in UTF-8, the report is.
fn needs_utf8(subject: &Subject<'_>) -> bool {
    let original = subject.entry.recipient_terms.original();
    subject.entry.recipient.needs_smtputf8()
        || subject.entry.terms.is_utf8
        || original.is_some_and(|original| !original.address.is_ascii())
}
