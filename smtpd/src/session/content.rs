//! DATA (RFC 5321 §4.1.1.4) and BDAT (RFC 3030 §2): content passes through, and becomes a message by one commit.

use std::mem;

use mailstore::{Delivery, Draft, IntakeError, Receipt, TraceRow};
use mailwire::smtp::Reply;

use super::envelope::Envelope;
use super::incoming::{Framing, Reason, Storage};
use super::machine::Phase;
use super::{Acceptance, ContentQuestion, Incoming, Kind, Session, Step};
use crate::content::{self, Inspector, Problem};
use crate::replies;
use crate::trace::{self, Hop};

impl Session {
    /// DATA and BDAT begin alike, but the octets of a chunk come whatever the answer (RFC 3030 §2).
    pub(super) fn content(&mut self, framing: Framing) -> Step {
        if self.is_endless_chunk(&framing) {
            return Step::Close(replies::too_big(self.policy.content_octets_max));
        }
        match mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Transaction(envelope) if !envelope.recipients.is_empty() => {
                let octets_expected = envelope.octets_declared;
                self.phase = Phase::Transaction(envelope);
                Step::Draft(ContentQuestion { octets_expected, framing })
            }
            Phase::Transaction(envelope) => {
                let reply = if envelope.has_refused {
                    replies::no_valid_recipients()
                } else {
                    replies::recipient_first()
                };
                self.phase = Phase::Transaction(envelope);
                self.refuse_content(&framing, reply)
            }
            Phase::Chunks(mut incoming) => match framing {
                Framing::Chunk { .. } => {
                    incoming.framing = framing;
                    Step::Receive(None, incoming)
                }
                Framing::Dots(_) => {
                    self.phase = Phase::Chunks(incoming);
                    self.refuse(replies::chunks_begun())
                }
            },
            Phase::Ready | Phase::Authenticating(_) => {
                let reply = self.why_no_transaction();
                self.refuse_content(&framing, reply)
            }
        }
    }

    /// True where a chunk alone would be longer than what is read of refused content.
    fn is_endless_chunk(&self, framing: &Framing) -> bool {
        match framing {
            Framing::Chunk { octets, .. } => {
                *octets > content::octets_read_max(self.policy.content_octets_max)
            }
            Framing::Dots(_) => false,
        }
    }

    fn refuse_content(&mut self, framing: &Framing, reply: Reply) -> Step {
        match (framing, self.refuse(reply)) {
            (Framing::Chunk { octets, .. }, Step::Reply(reply)) => Step::Discard(*octets, reply),
            (Framing::Chunk { .. } | Framing::Dots(_), step) => step,
        }
    }

    /// What the store says to so much content.
    #[must_use]
    pub fn drafted(
        &mut self,
        question: ContentQuestion,
        answer: Result<Box<dyn Draft>, IntakeError>,
    ) -> Step {
        let Phase::Transaction(envelope) = mem::replace(&mut self.phase, Phase::Ready) else {
            return self.refuse_content(&question.framing, replies::sender_first());
        };
        let octets_max = self.policy.content_octets_max;
        match (question.framing, answer) {
            (framing @ Framing::Dots(_), Ok(draft)) => {
                let incoming = Incoming::new(*envelope, framing, octets_max, Storage::Draft(draft));
                Step::Receive(Some(replies::send_content()), Box::new(incoming))
            }
            (Framing::Dots(_), Err(error)) => {
                self.phase = Phase::Transaction(envelope);
                Step::Reply(not_stored(&error))
            }
            (framing @ Framing::Chunk { .. }, answer) => {
                let storage =
                    answer.map_or_else(|error| Storage::Nowhere(Reason::Failed(error)), Storage::Draft);
                Step::Receive(None, Box::new(Incoming::new(*envelope, framing, octets_max, storage)))
            }
        }
    }

    /// The content or chunk has come to its end, and what was taken of it is written.
    #[must_use]
    pub fn received(&mut self, mut incoming: Box<Incoming>, unix_seconds: u64) -> Step {
        if incoming.inspector.is_endless() {
            return Step::Close(replies::too_big(self.policy.content_octets_max));
        }
        if let Framing::Chunk { octets, is_last: false, .. } = incoming.framing {
            let step = match &incoming.storage {
                Storage::Draft(_) => Step::Reply(replies::chunk_received(octets)),
                Storage::Nowhere(reason) => self.not_taken(reason),
            };
            incoming.rest();
            self.phase = Phase::Chunks(incoming);
            return step;
        }
        incoming.finish();
        let Incoming { envelope, framing, inspector, storage, .. } = *incoming;
        match storage {
            Storage::Draft(draft) => {
                let recipients = envelope.recipients.len();
                let delivery = self.delivery(envelope, &inspector, unix_seconds);
                Step::Commit(Box::new(Acceptance { draft, delivery, recipients }))
            }
            Storage::Nowhere(reason) => match (framing, &reason) {
                // Who sends such line ends may see another end of the content than we do (`CR CRLF . CRLF`). What
                // stands behind ours may be content that was smuggled in, so it is not taken for commands.
                (Framing::Dots(_), Reason::Refused(Problem::BareLineEnd)) => {
                    Step::Close(replies::bare_line_end())
                }
                (Framing::Dots(_) | Framing::Chunk { .. }, _) => self.not_taken(&reason),
            },
        }
    }

    fn not_taken(&mut self, reason: &Reason) -> Step {
        match reason {
            Reason::Failed(error) => Step::Reply(not_stored(error)),
            Reason::Refused(problem) => self.refuse(match problem {
                Problem::TooBig => replies::too_big(self.policy.content_octets_max),
                Problem::BareLineEnd => replies::bare_line_end(),
                Problem::NulInHeader => replies::nul_in_header(),
                Problem::Loop => replies::mail_loop(),
            }),
        }
    }

    /// Everything that becomes true with the commit. What we add stands in front; the content itself is not touched.
    fn delivery(&self, envelope: Envelope, inspector: &Inspector, unix_seconds: u64) -> Delivery {
        let id = format!("{}.{}", self.peer.session, self.transactions);
        let mut prefix = trace::received(&Hop {
            hello: &envelope.client.hello,
            dialect: envelope.client.dialect,
            peer: self.peer.address.to_canonical(),
            hostname: &self.policy.hostname,
            tls: self.peer.tls_details(),
            authenticated: self.account.is_some(),
            smtputf8: envelope.smtputf8,
            id: &id,
            recipients: &envelope.recipients,
            unix_seconds,
        });
        let event = match self.kind {
            // RFC 6409 §8: only submission may complete a header section.
            Kind::Submission => {
                if !inspector.has_date() {
                    prefix.push_str(&trace::date(unix_seconds));
                }
                if !inspector.has_message_id() {
                    prefix.push_str(&trace::message_id(&id, &self.policy.hostname, unix_seconds));
                }
                "submitted"
            }
            Kind::Reception => "received",
        };
        if inspector.begins_with_text() {
            prefix.push_str("\r\n");
        }
        let detail = format!("from {} with {} octets", self.peer.address, inspector.octets());
        Delivery {
            delivery_prefix: trace::return_path(&envelope.reverse_path).into_bytes(),
            prefix: prefix.into_bytes(),
            reverse_path: envelope.reverse_path,
            maildrops: envelope.maildrops.into_iter().collect(),
            relay: Vec::new(),
            trace: TraceRow {
                at: unix_seconds,
                session: self.peer.session.clone(),
                event: event.to_owned(),
                detail,
            },
            carried: None,
        }
    }

    /// What the commit came to. The one place from which a 250 to content comes (RFC 5321 §4.2.5).
    #[must_use]
    pub fn committed(&mut self, result: Result<Receipt, IntakeError>) -> Step {
        match result {
            Ok(receipt) => Step::Reply(replies::message_accepted(receipt.message)),
            Err(error) => Step::Reply(not_stored(&error)),
        }
    }
}

/// The store's failure is never the client's fault, and neither is a recipient's full mailbox.
fn not_stored(error: &IntakeError) -> Reply {
    match error {
        IntakeError::Full { .. } => replies::disk_full(),
        IntakeError::OverQuota { why, .. } => replies::over_quota(*why),
        IntakeError::Unavailable(_) => replies::store_unavailable(),
    }
}
