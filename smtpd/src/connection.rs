//! One client's connection: the only place where session, socket and store meet.

use std::error::Error;
use std::slice;
use std::sync::Arc;

use mailstore::{IntakeError, Logins, Recipient, Sending, Store, TooMuch};
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::daemon::errors::ErrorDelay;
use mailwire::daemon::oauth::Checker;
use mailwire::escape::escaped;
use mailwire::net::{Connection, ReadError, TlsDetails, TlsError};
use mailwire::smtp::Reply;
use tracing::{debug, info, warn};

use crate::checks;
use crate::filing::srs::{self, Srs};
use crate::filing::{self, Means};
use crate::gate::{Decision, Gate, Greylisting, Measure, Scanners, Visitor};
use crate::receiving::{Receiving, Size};
use crate::replies;
use crate::session::{
    Acceptance, ContentQuestion, ExpansionQuestion, GateQuestion, Incoming, Kind, Peer, Policy,
    RecipientQuestion, SenderQuestion, Session, Step, Then, Tls,
};

/// A session, its socket and the store.
///
/// It is handed on in a box: a future that takes it by value would keep room for it once more.
pub(crate) struct Conversation {
    pub(crate) session: Session,
    pub(crate) connection: Connection,
    pub(crate) common: Arc<Common>,
    pub(crate) logins: Logins,
    /// What is found out about a stranger.
    visitor: Option<Box<Visitor>>,
    errors: u32,
    accepted: u32,
}

/// What all sessions share.
pub(crate) struct Common {
    pub(crate) policy: Arc<Policy>,
    pub(crate) store: Store,
    pub(crate) receiving: Receiving,
    pub(crate) error_delay: ErrorDelay,
    pub(crate) tokens: Option<Arc<Checker>>,
    pub(crate) gate: Gate,
    /// Who checks mail from outside, where anybody does.
    pub(crate) checker: Option<checks::Checker>,
    pub(crate) scanners: Scanners,
}

/// How a session ended, for the log.
#[derive(Debug)]
pub(crate) enum End {
    /// We have said goodbye.
    Closed,
    /// The peer has gone, or was too slow, or the socket failed.
    Read(ReadError),
    /// TLS did not begin.
    Tls(TlsError),
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl Conversation {
    /// Begins with a client that has just connected; `session` names it in the log.
    pub(crate) fn new(
        kind: Kind,
        common: &Arc<Common>,
        connection: Connection,
        session: String,
    ) -> Box<Self> {
        let tls = match (connection.tls(), connection.can_start_tls()) {
            (Some(details), _) => Tls::Running(details),
            (None, true) => Tls::Available,
            (None, false) => Tls::Unavailable,
        };
        let peer = Peer { address: connection.peer().ip(), local: connection.local().ip(), session, tls };
        let logins = Logins::new(&common.store.directory, &common.store.guard, peer.address);
        let session = Session::new(kind, Arc::clone(&common.policy), peer);
        let common = Arc::clone(common);
        let mut conversation =
            Self { session, connection, common, logins, visitor: None, errors: 0, accepted: 0 };
        conversation.surround();
        Box::new(conversation)
    }

    /// Serves the client until it or we have had enough.
    pub(crate) async fn run(mut self: Box<Self>) {
        self.session.at(clock::unix_seconds());
        self.visitor = self.session.stranger().map(|address| Box::new(self.common.gate.begin(address)));
        let greeting = self.session.greeting();
        self.say(&greeting);
        let end = match self.converse().await {
            Ok(end) | Err(end) => end,
        };
        match &end {
            End::Closed | End::Read(ReadError::Closed | ReadError::Io(_)) | End::Tls(_) => {}
            End::Read(ReadError::TimedOut(_)) => self.say(&replies::timed_out()),
            End::Read(ReadError::Shutdown) => self.say(&replies::shutting_down()),
        }
        self.log_end(&end);
        self.tell_refusals().await;
        self.tell_errors().await;
        self.connection.close().await;
    }

    async fn converse(&mut self) -> Result<End, End> {
        loop {
            let line = self.connection.read_line(self.session.line_octets_max()).await?;
            self.session.at(clock::unix_seconds());
            let mut step = self.session.line(&line);
            drop(line);
            self.slow_errors().await?;
            loop {
                step = match step {
                    Step::Reply(reply) => {
                        self.say(&reply);
                        break;
                    }
                    Step::Close(reply) => {
                        self.say(&reply);
                        return Ok(End::Closed);
                    }
                    Step::Verdicts(replies, then) => {
                        self.session.answered(&replies);
                        for reply in &replies {
                            self.say(reply);
                        }
                        match then {
                            Then::GoOn => break,
                            Then::Close => return Ok(End::Closed),
                        }
                    }
                    Step::StartTls(reply) => {
                        self.say(&reply);
                        let details = self.start_tls().await?;
                        self.session.tls_started(details);
                        self.surround();
                        break;
                    }
                    Step::Discard(octets, reply) => {
                        self.discard(octets).await?;
                        Step::Reply(reply)
                    }
                    Step::Receive(reply, incoming) => self.receive(reply, incoming).await?,
                    Step::Authenticate(credentials) => self.authenticate(credentials).await?,
                    Step::ScramKeys(login) => self.scram_keys(&login).await?,
                    Step::ScramProof(login) => self.scram_proof(&login).await?,
                    Step::Token(shown) => self.token(&shown).await?,
                    Step::Account(proven) => self.account(&proven).await?,
                    Step::LoginRefused(refused) => self.login_refused(&refused).await?,
                    Step::Draft(question) => self.draft(question).await,
                    Step::Judge(acceptance) => self.judge(acceptance).await,
                    Step::Scan(acceptance) => self.scan(acceptance).await,
                    Step::File(acceptance) => self.file(acceptance).await,
                    Step::Commit(acceptance) => self.commit(*acceptance).await,
                    Step::Sender(question) => self.sender(question).await,
                    Step::Originator(question) => {
                        let directory = &self.common.store.directory;
                        let answer = directory.may_send_as(question.account(), question.mailbox()).await;
                        warn_if_failed(answer.as_ref().err());
                        self.session.originator_checked(question, &answer)
                    }
                    Step::Recipient(question) => self.recipient(question).await,
                    Step::Gate(question) => self.gate(question).await,
                    Step::Expand(question) => self.expand(question).await,
                };
            }
            self.tell_refusals().await;
        }
    }

    /// Lets the answer to an error wait where a client makes many.
    async fn slow_errors(&mut self) -> Result<(), End> {
        let errors = self.session.errors();
        if errors > self.errors {
            self.errors = errors;
            let delay = self.common.error_delay.of(errors, self.connection.peer().ip());
            self.connection.pause(delay).await?;
        }
        Ok(())
    }

    /// The store keeps what was not taken, for whoever asks why something has not come.
    async fn tell_refusals(&mut self) {
        let refusals = self.session.take_refusals();
        if !refusals.is_empty() {
            warn_if_failed(self.common.store.sightings.refused(refusals).await.err().as_ref());
        }
    }

    /// The guard counts errors of all sessions together; neighbours are not counted.
    async fn tell_errors(&mut self) {
        let (errors, peer) = (self.session.errors(), self.connection.peer().ip());
        match (self.session.kind(), peer) {
            (Kind::Reception | Kind::Submission, Some(peer)) if errors > 0 => {
                warn_if_failed(self.common.store.guard.erred(peer, errors).await.err().as_ref());
            }
            (Kind::Reception | Kind::Submission | Kind::Lmtp, _) => {}
        }
    }

    /// Queues a reply; it leaves when the next read has to wait (RFC 2920 §3.2).
    fn say(&mut self, reply: &Reply) {
        self.session.answered(slice::from_ref(reply));
        debug!(code = reply.code(), "reply");
        reply.encode(self.connection.output());
    }

    async fn start_tls(&mut self) -> Result<TlsDetails, End> {
        self.connection.accept_tls().await.map_err(End::Tls)?;
        self.connection.tls().ok_or(End::Tls(TlsError::Unavailable))
    }

    async fn sender(&mut self, question: Box<SenderQuestion>) -> Step {
        let answer = self.common.store.directory.may_send_as(question.account(), question.mailbox()).await;
        warn_if_failed(answer.as_ref().err());
        self.session.sender_checked(question, &answer)
    }

    async fn recipient(&mut self, question: RecipientQuestion) -> Step {
        if srs::is_rewritten(question.mailbox()) && self.session.takes_reports_back() {
            return self.way_back(question).await;
        }
        let answer =
            self.common.store.directory.recipient(question.mailbox(), question.octets_declared()).await;
        warn_if_failed(answer.as_ref().err());
        if let Ok(Recipient::OverQuota(why)) = &answer {
            let mailbox = escaped(question.mailbox().text().as_bytes());
            info!(mailbox, reason = chain(why), "recipient refused");
        }
        self.session.recipient_checked(question, answer)
    }

    async fn gate(&mut self, question: Box<GateQuestion>) -> Step {
        let visitor = self.visitor.get_or_insert_default();
        let judgement = visitor.judge(&self.common.gate, &question, clock::unix_seconds()).await;
        if judgement.measure == Measure::Refuse {
            info!(reason = judgement.row, "recipient refused");
        }
        if let Greylisting::PutOff { seconds } = judgement.greylisting {
            info!(seconds, "recipient put off: the sender is not known and must come again");
        }
        self.session.gated(question, judgement)
    }

    /// Whom a report about a forwarded message is for.
    async fn way_back(&mut self, question: RecipientQuestion) -> Step {
        match self.common.store.directory.forwarding_secret().await {
            Ok(secret) => {
                let found = Srs::new(&secret).back(question.mailbox(), clock::unix_seconds());
                self.session.found_way_back(&question, found)
            }
            Err(unavailable) => {
                warn_if_failed(Some(&unavailable));
                self.session.recipient_checked(question, Err(unavailable))
            }
        }
    }

    async fn expand(&mut self, question: ExpansionQuestion) -> Step {
        let answer = self.common.store.administration.aliases().await;
        warn_if_failed(answer.as_ref().err());
        self.session.expanded(&question, answer)
    }

    async fn draft(&mut self, question: ContentQuestion) -> Step {
        if let Some(what) = self.sends_too_much(question.recipients()).await {
            return self.session.content_put_off(&question, what);
        }
        let size = if self.session.reads() { Size::Watched } else { Size::Plain };
        let Some(share) = self.common.receiving.share(size) else {
            info!("content put off: too much is coming in at the moment");
            return self.session.put_off(question);
        };
        let answer = self.common.store.intake.draft(question.octets_expected()).await;
        warn_if_failed(answer.as_ref().err());
        self.session.drafted(question, answer.map(|draft| share.with(draft)))
    }

    /// Counts the message that is about to come; `None` where there is room for it, or no answer: the draft will tell.
    async fn sends_too_much(&mut self, recipients: usize) -> Option<TooMuch> {
        let account = match self.session.kind() {
            Kind::Reception | Kind::Submission => self.session.account().map(|account| account.address.key()),
            // Those who deliver here are at home, and what they bring has been counted where it came in.
            Kind::Lmtp => return None,
        };
        let sending = Sending {
            peer: self.connection.peer().ip()?,
            account: account.as_deref(),
            recipients: u32::try_from(recipients).unwrap_or(u32::MAX),
        };
        self.common.store.guard.send(sending).await.ok().flatten()
    }

    /// Lets content pass into the draft until it ends. Whatever happens to it, it is read to its end.
    async fn receive(&mut self, reply: Option<Reply>, mut incoming: Box<Incoming>) -> Result<Step, End> {
        if let Some(reply) = reply {
            self.say(&reply);
        }
        if let Some(scan) =
            self.session.scan_facts(&incoming).and_then(|facts| self.common.scanners.begin(facts))
        {
            incoming.scan_with(scan);
        }
        self.connection.begin_content();
        loop {
            let received =
                if incoming.is_empty_chunk() { &[] } else { self.connection.read_content().await? };
            let progress = incoming.receive(received);
            self.connection.consume(progress.consumed);
            if progress.write
                && let Some((scan, octets)) = incoming.unscanned()
            {
                scan.pass(octets).await;
            }
            if progress.write
                && let Some((draft, octets)) = incoming.unwritten()
            {
                let result = draft.write(octets).await;
                warn_if_failed(result.as_ref().err());
                incoming.written(result);
            }
            if progress.ended {
                return Ok(self.session.received(incoming, clock::unix_seconds()));
            }
        }
    }

    async fn discard(&mut self, mut octets: u64) -> Result<(), End> {
        self.connection.begin_content();
        while octets > 0 {
            let received = self.connection.read_content().await?.len();
            let part = received.min(usize::try_from(octets).unwrap_or(usize::MAX));
            self.connection.consume(part);
            octets = octets.saturating_sub(u64::try_from(part).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    async fn file(&mut self, mut acceptance: Box<Acceptance>) -> Step {
        let policy = &self.common.policy;
        let means = Means {
            directory: &*self.common.store.directory,
            is_local: &|domain| policy.is_local(domain),
            forwards_for_seconds: policy.forwards_for_seconds(),
        };
        let filed = filing::file(&means, &mut acceptance).await;
        warn_if_failed(filed.as_ref().err());
        self.session.filed(acceptance, &filed)
    }

    /// Finds out about a message from outside.
    async fn judge(&mut self, mut acceptance: Box<Acceptance>) -> Step {
        let (Some(checker), Some(seen)) = (&self.common.checker, acceptance.seen.take()) else {
            return self.session.judged(acceptance, None);
        };
        let judgement = checker.judge(&seen, &acceptance.delivery.reverse_path).await;
        let found = judgement.told.join("; ");
        info!(
            found,
            verdict = judgement.decision.verdict.word(),
            because = judgement.decision.because,
            "checked"
        );
        self.session.judged(acceptance, Some(judgement))
    }

    /// Waits for what other programs say of the content.
    async fn scan(&mut self, mut acceptance: Box<Acceptance>) -> Step {
        let decisions = match acceptance.scan.take() {
            Some(scan) => scan.finish().await,
            None => Vec::new(),
        };
        for Decision { row, .. } in &decisions {
            info!(row, "scanned");
        }
        self.session.scanned(acceptance, decisions)
    }

    async fn commit(&mut self, acceptance: Acceptance) -> Step {
        let Acceptance {
            draft, delivery, recipients, discarded, line_ends_repaired, parts_converted, ..
        } = acceptance;
        if line_ends_repaired > 0 {
            warn!(
                line_ends_repaired,
                "content with line ends that are not CRLF: correct the program that sends it"
            );
        }
        let reverse_path = escaped(delivery.reverse_path.to_string().as_bytes());
        // RFC 6710 §4.1.
        let priority = delivery.terms.priority;
        let result = draft.commit(delivery).await;
        match &result {
            Ok(receipt) => {
                self.accepted = self.accepted.saturating_add(1);
                let over_quota = receipt.verdicts.iter().filter(|verdict| verdict.is_err()).count();
                info!(
                    message_id = receipt.message.0,
                    recipients,
                    over_quota,
                    octets = receipt.octets,
                    parts_converted,
                    priority,
                    reverse_path,
                    "accepted"
                );
            }
            Err(error @ IntakeError::OverQuota { .. }) => {
                info!(reason = chain(error), recipients, reverse_path, "refused");
            }
            Err(error) => warn_if_failed(Some(error)),
        }
        self.session.committed(result, recipients, &discarded)
    }

    fn log_end(&self, end: &End) {
        let messages = self.accepted;
        match end {
            End::Closed | End::Read(ReadError::Closed) => info!(messages, "session ended"),
            End::Read(error) => info!(messages, reason = chain(error), "session broken off"),
            End::Tls(error) => info!(messages, reason = chain(error), "session broken off"),
        }
    }
}

/// The store's trouble is told to the operator here; the client only hears that it is temporary.
pub(crate) fn warn_if_failed<E: Error>(error: Option<&E>) {
    if let Some(error) = error {
        warn!(reason = chain(error), "store failed");
    }
}
