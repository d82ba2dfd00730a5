//! Lives of messages that leave, asked by another process: the questions, and how the host answers.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use mailwire::address::Mailbox;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::frame;
use super::member::{Member, Way, ask, foreign};
use super::request::{Request, reverse_path, reverse_path_text};
use super::server;
use crate::embedded::Core;
use crate::{Attempt, Ending, MessageId, Trace, TraceRow, TracedAs, TracedRecipient, Traces, Unavailable};

/// Messages in one answer.
const PAGE_MESSAGES: usize = 10_000;

#[derive(Serialize, Deserialize)]
pub(crate) enum TracesRequest {
    Trace { message: MessageId },
    Traced { known_as: KnownAsText, before: Option<MessageId>, messages_max: u64 },
}

/// A [`TracedAs`].
#[derive(Serialize, Deserialize)]
pub(crate) enum KnownAsText {
    MessageId(String),
    Address(String),
}

/// A [`Trace`], in parts that stay below a frame: this one, and then its recipients.
#[derive(Serialize, Deserialize)]
struct TraceText {
    accepted_at: u64,
    reverse_path: String,
    message_id: Option<String>,
    rows: Vec<TraceRow>,
    recipients: u64,
}

/// A [`TracedRecipient`].
#[derive(Serialize, Deserialize)]
struct RecipientText {
    recipient: u32,
    mailbox: String,
    attempts: Vec<(u32, Attempt)>,
    ended: Option<(u64, Ending)>,
}

impl From<TracedRecipient> for RecipientText {
    fn from(TracedRecipient { recipient, mailbox, attempts, ended }: TracedRecipient) -> Self {
        Self { recipient, mailbox: mailbox.to_string(), attempts, ended }
    }
}

impl RecipientText {
    /// `None` where the address does not parse, which only another release could cause.
    fn recipient(self) -> Option<TracedRecipient> {
        let Self { recipient, mailbox, attempts, ended } = self;
        Some(TracedRecipient { recipient, mailbox: Mailbox::parse(&mailbox).ok()?, attempts, ended })
    }
}

#[async_trait]
impl Traces for Member {
    async fn trace(&self, message: MessageId) -> Result<Option<Trace>, Unavailable> {
        let mut connection = match self.way().await? {
            Way::Here(core) => return core.trace(message).await,
            Way::Host(connection) => connection,
        };
        let lost = |error: io::Error| Unavailable(super::objects::lost(&error));
        let request = Request::Traces(TracesRequest::Trace { message });
        let found: Result<Option<TraceText>, Unavailable> = connection.ask(&request).await.map_err(lost)?;
        let mut recipients = Vec::new();
        let text = found?;
        for _ in 0..text.as_ref().map_or(0, |text| text.recipients) {
            let recipient: RecipientText = connection.hear().await.map_err(lost)?;
            recipients.push(recipient.recipient().ok_or_else(foreign)?);
        }
        connection.give_back();
        let Some(TraceText { accepted_at, reverse_path, message_id, rows, .. }) = text else {
            return Ok(None);
        };
        let reverse_path = self::reverse_path(&reverse_path).ok_or_else(foreign)?;
        Ok(Some(Trace { message, accepted_at, reverse_path, message_id, rows, recipients }))
    }

    async fn traced(
        &self,
        known_as: &TracedAs,
        before: Option<MessageId>,
        messages_max: usize,
    ) -> Result<Vec<MessageId>, Unavailable> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.traced(known_as, before, messages_max).await,
            Way::Host(connection) => connection,
        };
        let known_as = match known_as {
            TracedAs::MessageId(text) => KnownAsText::MessageId(text.clone()),
            TracedAs::Address(mailbox) => KnownAsText::Address(mailbox.to_string()),
        };
        let messages_max = messages_max as u64;
        ask(connection, Request::Traces(TracesRequest::Traced { known_as, before, messages_max })).await?
    }
}

/// The host's side.
pub(super) async fn serve(
    stream: &mut UnixStream,
    core: &Arc<Core>,
    request: TracesRequest,
) -> io::Result<()> {
    match request {
        TracesRequest::Trace { message } => {
            let (text, recipients) = match core.trace(message).await {
                Ok(Some(trace)) => {
                    let text = TraceText {
                        accepted_at: trace.accepted_at,
                        reverse_path: reverse_path_text(&trace.reverse_path),
                        message_id: trace.message_id,
                        rows: trace.rows,
                        recipients: trace.recipients.len() as u64,
                    };
                    (Ok(Some(text)), trace.recipients)
                }
                Ok(None) => (Ok(None), Vec::new()),
                Err(error) => (Err::<_, Unavailable>(error), Vec::new()),
            };
            frame::write(stream, &text).await?;
            for recipient in recipients {
                frame::write(stream, &RecipientText::from(recipient)).await?;
            }
            Ok(())
        }
        TracesRequest::Traced { known_as, before, messages_max } => {
            let known_as = match known_as {
                KnownAsText::MessageId(text) => TracedAs::MessageId(text),
                KnownAsText::Address(text) => TracedAs::Address(server::address(&text)?),
            };
            let messages_max = server::index(messages_max).min(PAGE_MESSAGES);
            frame::write(stream, &core.traced(&known_as, before, messages_max).await).await
        }
    }
}
