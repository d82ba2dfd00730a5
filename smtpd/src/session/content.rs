//! DATA (RFC 5321 §4.1.1.4) and BDAT (RFC 3030 §2): content passes through, and becomes a message by one commit.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use mailstore::{Delivery, Draft, IntakeError, TooMuch, TraceRow, Unavailable};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::smtp::Reply;

use super::envelope::Envelope;
use super::incoming::{Failure, Framing, Reason, Storage};
use super::life::{shown, step};
use super::machine::Phase;
use super::reason::{Refused, STORE, failed_by};
use super::refusals::Unanswered;
use super::verdicts::failed;
use super::{Acceptance, ContentQuestion, Filtering, Incoming, Kind, OriginatorQuestion, Session, Step};
use crate::content::{self, Field, Inspector, LineEnds, Problem, Rules, SpamFlags, Treatment};
use crate::replies;
use crate::trace::{self, Hop};

impl Session {
    /// DATA and BDAT begin alike, but the octets of a chunk come whatever the answer (RFC 3030 §2).
    pub(super) fn content(&mut self, framing: Framing) -> Step {
        if self.is_endless_chunk(&framing) {
            return Step::Close(replies::too_big(self.policy.content_octets_max));
        }
        match mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Transaction(mut envelope) => {
                let refusal = self.why_no_content(&envelope, &framing);
                envelope.begun.content = self.now;
                let octets_expected = envelope.octets_expected();
                let recipients = envelope.recipients.len();
                self.phase = Phase::Transaction(envelope);
                match refusal {
                    Some(refused) => {
                        let reply = self.refused_by(refused);
                        self.refuse_content(&framing, reply)
                    }
                    None => Step::Draft(ContentQuestion { octets_expected, recipients, framing }),
                }
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

    /// What is said to content for nobody, and to binary content by DATA.
    fn why_no_content(&self, envelope: &Envelope, framing: &Framing) -> Option<Refused> {
        let put_off = envelope.passage.content_put_off(&envelope.reverse_path, envelope.recipients.len());
        if put_off.is_some() {
            return put_off;
        }
        if envelope.recipients.is_empty() {
            let reply = match self.kind {
                Kind::Reception | Kind::Submission if envelope.refused > 0 => replies::no_valid_recipients(),
                // RFC 2033 §4.2: 503, also where recipients were refused.
                Kind::Reception | Kind::Submission | Kind::Lmtp => replies::recipient_first(),
            };
            return Some(Refused::by(reply, "no recipient was accepted"));
        }
        match framing {
            Framing::Dots(_) if envelope.is_binary() => Some(replies::chunks_only().into()),
            Framing::Dots(_) | Framing::Chunk { .. } => None,
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
        self.begin_content(question, answer.map_err(Failure::Store))
    }

    /// There is no memory for more content now: what is running goes on, and this is put off.
    #[must_use]
    pub fn put_off(&mut self, question: ContentQuestion) -> Step {
        self.begin_content(question, Err(Failure::TooMuchAtOnce))
    }

    fn begin_content(&mut self, question: ContentQuestion, answer: Result<Box<dyn Draft>, Failure>) -> Step {
        let Phase::Transaction(envelope) = mem::replace(&mut self.phase, Phase::Ready) else {
            return self.refuse_content(&question.framing, replies::sender_first());
        };
        let rules = self.rules(&envelope);
        match (question.framing, answer) {
            (framing @ Framing::Dots(_), Ok(draft)) => {
                let incoming = Incoming::new(*envelope, framing, rules, Storage::Draft(draft));
                let incoming = incoming.watched_by(self.reading());
                Step::Receive(Some(replies::send_content()), Box::new(incoming))
            }
            (Framing::Dots(_), Err(failure)) => {
                self.because(failed_by(&failure));
                self.unanswered = Some(Box::new(Unanswered::of(&envelope)));
                self.phase = Phase::Transaction(envelope);
                Step::Reply(failed(&failure))
            }
            (framing @ Framing::Chunk { .. }, answer) => {
                let nowhere = |failure| Storage::Nowhere(Reason::Failed(failure));
                let storage = answer.map_or_else(nowhere, Storage::Draft);
                let incoming = Incoming::new(*envelope, framing, rules, storage);
                Step::Receive(None, Box::new(incoming.watched_by(self.reading())))
            }
        }
    }

    /// What holds for the content of this transaction.
    fn rules(&self, envelope: &Envelope) -> Rules {
        let bare_line_ends = self.policy.bare_line_ends;
        let is_repaired = self.peer.address.is_some_and(|peer| bare_line_ends.are_repaired_for(peer));
        let line_ends = match (envelope.is_binary(), is_repaired) {
            (true, _) => LineEnds::Binary,
            (false, true) => LineEnds::Repaired,
            (false, false) => LineEnds::Strict,
        };
        Rules {
            treatment: match self.kind {
                Kind::Submission => Treatment::Submitted,
                Kind::Reception | Kind::Lmtp => Treatment::PassedOn,
            },
            line_ends,
            spam_flags: match self.kind {
                Kind::Submission | Kind::Reception => SpamFlags::Dropped,
                // Whoever hands mail on here is at home, and may have filtered it.
                Kind::Lmtp => SpamFlags::Kept,
            },
            octets_max: self.policy.octets_max_for(&envelope.recipients),
            octets_read_max: content::octets_read_max(self.policy.content_octets_max),
            header_octets_max: self.policy.header_octets_max,
            received_max: self.policy.received_max,
            own_names: Arc::clone(&self.policy.own_names),
        }
    }

    /// The sender has sent too much, so this message does not begin. Chunks that follow belong to nothing.
    #[must_use]
    pub fn content_put_off(&mut self, question: &ContentQuestion, what: TooMuch) -> Step {
        if let Phase::Transaction(envelope) = &self.phase {
            self.unanswered = Some(Box::new(Unanswered::of(envelope)));
        }
        match question.framing {
            Framing::Dots(_) => {}
            Framing::Chunk { .. } => self.phase = Phase::Ready,
        }
        self.because(self.sends_too_much_by(what));
        self.refuse_content(&question.framing, replies::sends_too_much(what))
    }

    /// The content or chunk has come to its end, and what was taken of it is written.
    #[must_use]
    pub fn received(&mut self, mut incoming: Box<Incoming>, unix_seconds: u64) -> Step {
        let recipients = incoming.envelope.recipients.len();
        if let Storage::Nowhere(_) = &incoming.storage {
            self.unanswered = Some(Box::new(Unanswered::of(&incoming.envelope)));
        }
        if incoming.inspector.is_endless() {
            return self.endless(recipients);
        }
        if let Framing::Chunk { octets, is_last: false, .. } = incoming.framing {
            let step = match &incoming.storage {
                Storage::Draft(_) => Step::Reply(replies::chunk_received(octets)),
                Storage::Nowhere(reason) => self.not_taken(reason, &incoming.inspector),
            };
            incoming.rest();
            self.phase = Phase::Chunks(incoming);
            return step;
        }
        let header = incoming.take_header();
        let Incoming { mut envelope, framing, mut inspector, storage, reading, scan, .. } = *incoming;
        match storage {
            Storage::Draft(draft) => {
                let mut originators = unproven(inspector.take_originators(), &envelope.reverse_path);
                let (line_ends_repaired, parts_converted) =
                    (inspector.repairs(), inspector.parts_converted());
                let class = envelope.passage.class();
                let seen = self.seen(&envelope.client, reading);
                let filtered = mem::take(&mut envelope.filtered);
                let delivery = self.delivery(envelope, &inspector, unix_seconds);
                let acceptance = Box::new(Acceptance {
                    draft,
                    class,
                    seen,
                    filtering: header.map(|header| {
                        Box::new(Filtering {
                            recipients: filtered,
                            header,
                            octets: inspector.octets(),
                            is_ascii: inspector.is_ascii(),
                            is_authenticated: self.account.is_some(),
                        })
                    }),
                    doubt: None,
                    settled: BTreeMap::new(),
                    refusal: None,
                    untaken: Vec::new(),
                    delivery,
                    scan,
                    recipients,
                    line_ends_repaired,
                    parts_converted,
                });
                // RFC 6409 §6.1, and what follows from it for the message itself: the commit comes where nobody is
                // left to ask about.
                match (self.account.clone(), originators.pop()) {
                    (Some(account), Some((field, mailbox))) => {
                        let others = originators;
                        let question = OriginatorQuestion { account, field, mailbox, others, acceptance };
                        Step::Originator(Box::new(question))
                    }
                    (Some(_) | None, _) if acceptance.seen.is_some() => Step::Judge(acceptance),
                    (Some(_) | None, _) => filing(acceptance),
                }
            }
            Storage::Nowhere(reason) => match (framing, &reason) {
                (Framing::Dots(_), Reason::Refused(Problem::BareLineEnd)) => self.doubtful_end(recipients),
                (Framing::Dots(_) | Framing::Chunk { .. }, _) => {
                    let step = self.not_taken(&reason, &inspector);
                    self.verdict(step, recipients)
                }
            },
        }
    }

    /// Who sends such line ends may see another end of the content than we do (`CR CRLF . CRLF`). What stands behind ours may
    /// be content that was smuggled in, so it is not taken for commands.
    fn doubtful_end(&mut self, recipients: usize) -> Step {
        self.because("[smtp] bare_line_ends");
        self.last_verdict(replies::bare_line_end(), recipients)
    }

    /// The content has not come to its end where it is read no more.
    fn endless(&mut self, recipients: usize) -> Step {
        let octets_max = self.policy.content_octets_max;
        self.because(self.octets_max_by(octets_max));
        self.last_verdict(replies::too_big(octets_max), recipients)
    }

    /// What the directory says of an originator.
    #[must_use]
    pub fn originator_checked(
        &mut self,
        mut question: Box<OriginatorQuestion>,
        answer: &Result<bool, Unavailable>,
    ) -> Step {
        match answer {
            Ok(true) => match question.others.pop() {
                Some((field, mailbox)) => {
                    (question.field, question.mailbox) = (field, mailbox);
                    Step::Originator(question)
                }
                None => filing(question.acceptance),
            },
            Ok(false) => {
                let OriginatorQuestion { account, field, mailbox, .. } = &*question;
                let account = &account.address;
                self.because(format!(
                    "account {account} has no address, alias or grant {mailbox}, as in {field}"
                ));
                self.refuse(replies::originator_not_yours(question.field))
            }
            Err(_) => {
                self.because(STORE);
                Step::Reply(replies::store_unavailable())
            }
        }
    }

    /// The message is where its recipients want it, or that cannot be found out now.
    #[must_use]
    pub fn filed(&mut self, mut acceptance: Box<Acceptance>, answer: &Result<(), Unavailable>) -> Step {
        if answer.is_err() {
            self.because(STORE);
            return self.verdict(Step::Reply(replies::store_unavailable()), acceptance.recipients);
        }
        if let Some(unanswered) = &mut self.unanswered {
            unanswered.untaken = mem::take(&mut acceptance.untaken);
        }
        let delivery = &acceptance.delivery;
        if delivery.maildrops.is_empty() && delivery.relay.is_empty() {
            self.unwanted(&acceptance)
        } else {
            Step::Commit(acceptance)
        }
    }

    fn not_taken(&mut self, reason: &Reason, inspector: &Inspector) -> Step {
        match reason {
            Reason::Failed(failure) => {
                self.because(failed_by(failure));
                Step::Reply(failed(failure))
            }
            Reason::Refused(problem) => {
                self.reason = self.problem_by(*problem, inspector.octets_max());
                self.refuse(match *problem {
                    Problem::TooBig => replies::too_big(inspector.octets_max()),
                    Problem::BareLineEnd => replies::bare_line_end(),
                    Problem::NulInHeader => replies::nul_in_header(),
                    Problem::HeaderTooBig => replies::header_too_big(self.policy.header_octets_max),
                    Problem::Loop => replies::mail_loop(),
                    Problem::NoField => replies::no_field(),
                    Problem::Twice(field) => replies::field_twice(field),
                    Problem::TooManyOriginators => replies::too_many_originators(),
                    Problem::NotOneMailbox(field) => replies::not_one_mailbox(field),
                    Problem::HiddenAddress(field) => replies::hidden_address(field),
                    Problem::TooBigEncoded => replies::too_big_encoded(inspector.octets_max()),
                    Problem::Unclear(field) => replies::unclear_field(field),
                    Problem::TooManyParts => replies::too_many_parts(),
                    Problem::SignedBinary => replies::signed_binary(),
                })
            }
        }
    }

    /// Everything that becomes true with the commit. What we add stands in front of the content.
    fn delivery(&mut self, mut envelope: Envelope, inspector: &Inspector, unix_seconds: u64) -> Delivery {
        let id = self.message_id();
        let mut prefix = trace::received(&Hop {
            hello: &envelope.client.hello,
            dialect: envelope.client.dialect,
            peer: self.peer.address.map(|address| address.to_canonical()),
            hostname: &self.policy.hostname,
            tls: self.peer.tls_details(),
            authenticated: self.account.is_some(),
            login: self
                .account
                .as_ref()
                .filter(|_| self.policy.received_names_login)
                .map(|account| &account.address),
            smtputf8: envelope.terms.is_utf8,
            id: &id,
            recipients: &envelope.recipients,
            priority: envelope.terms.priority,
            unix_seconds,
        });
        let event = match self.kind {
            Kind::Submission => {
                prefix.push_str(&self.missing_fields(&envelope.reverse_path, inspector, &id, unix_seconds));
                "submitted"
            }
            Kind::Reception | Kind::Lmtp => "received",
        };
        prefix.push_str(&envelope.passage.fields());
        if inspector.begins_with_text() {
            prefix.push_str("\r\n");
        }
        let from = shown(self.peer.address);
        let octets = inspector.octets();
        let detail = match inspector.parts_converted() {
            None => format!("from {from} with {octets} octets"),
            Some(parts) => {
                format!("from {from} with {octets} octets, {parts} parts converted from binary")
            }
        };
        envelope.convert(inspector);
        let mut steps = self.steps(&envelope);
        let relaxed = envelope.relax(inspector).map(str::to_owned);
        steps.extend(relaxed.map(|detail| step(unix_seconds, "tls-required", detail)));
        let (reverse_path, recipients) = (envelope.reverse_path.clone(), envelope.recipients);
        self.unanswered = Some(Box::new(Unanswered { reverse_path, recipients, untaken: Vec::new() }));
        Delivery {
            steps,
            delivery_prefix: trace::return_path(&envelope.reverse_path).into_bytes(),
            prefix: prefix.into_bytes(),
            reverse_path: envelope.reverse_path,
            maildrops: envelope.maildrops.into_iter().collect(),
            fate: envelope.fate,
            relay: envelope.relay,
            terms: envelope.terms,
            local: envelope.local,
            trace: TraceRow {
                at: unix_seconds,
                session: self.peer.session.clone(),
                event: event.into(),
                detail,
            },
            carried: None,
            concludes: Vec::new(),
        }
    }

    /// What a message is called in its Received field.
    pub(super) fn message_id(&self) -> String {
        format!("{}.{}", self.peer.session, self.transactions)
    }

    /// RFC 6409 §8: only submission may complete a header section. A Sender is never missing, since From names one
    /// mailbox, which is the user's own (RFC 5322 §3.6.2).
    fn missing_fields(
        &self,
        reverse_path: &ReversePath,
        inspector: &Inspector,
        id: &str,
        unix_seconds: u64,
    ) -> String {
        let mut fields = String::new();
        let author = match (reverse_path, &self.account) {
            (ReversePath::Mailbox(mailbox), _) => Some(mailbox),
            (ReversePath::Null, account) => account.as_ref().map(|account| &account.address),
        };
        if let Some(author) = author.filter(|_| !inspector.has(Field::From)) {
            fields.push_str(&trace::from(author));
        }
        if !inspector.has(Field::Date) {
            fields.push_str(&trace::date(unix_seconds));
        }
        if !inspector.has(Field::MessageId) {
            fields.push_str(&trace::message_id(id, &self.policy.hostname, unix_seconds));
        }
        fields
    }
}

/// What comes before the commit of a message that all checks have let pass. Most messages go where they were sent.
pub(super) fn filing(acceptance: Box<Acceptance>) -> Step {
    if acceptance.scan.is_some() {
        return Step::Scan(acceptance);
    }
    let is_filed = acceptance.class.is_junk() || acceptance.filtering.is_some();
    if is_filed { Step::File(acceptance) } else { Step::Commit(acceptance) }
}

/// The originators that MAIL has not been asked about already, the last one first.
fn unproven(mut originators: Vec<(Field, Mailbox)>, reverse_path: &ReversePath) -> Vec<(Field, Mailbox)> {
    originators.retain(|(_, mailbox)| match reverse_path {
        ReversePath::Mailbox(sender) => sender != mailbox,
        ReversePath::Null => true,
    });
    originators.reverse();
    originators
}
