//! One client's connection: the only place where session, socket and store meet.

use std::error::Error;
use std::slice;
use std::sync::Arc;

use mailstore::Store;
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::daemon::errors::ErrorDelay;
use mailwire::daemon::oauth::Checker;
use mailwire::net::{Connection, ReadError, TlsDetails, TlsError};
use mailwire::smtp::Reply;
use tracing::{debug, info, warn};

use crate::checks;
use crate::gate::{Gate, Scanners};
use crate::inquiry::{self, Inquiry};
use crate::receiving::Receiving;
use crate::replies;
use crate::session::{Incoming, Kind, Peer, Policy, Session, Step, Then, Tls};

/// A session with all that it asks, and its socket.
///
/// It is handed on in a box: a future that takes it by value would keep room for it once more.
pub(crate) struct Conversation {
    pub(crate) inquiry: Inquiry,
    pub(crate) connection: Connection,
    errors: u32,
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
        let address = peer.address;
        let session = Session::new(kind, Arc::clone(&common.policy), peer);
        let mut conversation =
            Self { inquiry: Inquiry::new(session, common, address), connection, errors: 0 };
        conversation.inquiry.port = conversation.connection.peer().port();
        conversation.surround();
        Box::new(conversation)
    }

    /// Serves the client until it or we have had enough.
    pub(crate) async fn run(mut self: Box<Self>) {
        self.inquiry.begin();
        let greeting = self.inquiry.session.greeting();
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
        self.inquiry.end().await;
    }

    async fn converse(&mut self) -> Result<End, End> {
        loop {
            let line = self.connection.read_line(self.inquiry.session.line_octets_max()).await?;
            self.inquiry.session.at(clock::unix_seconds());
            let mut step = self.inquiry.session.line(&line);
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
                        self.inquiry.session.answered(&replies);
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
                        self.inquiry.session.tls_started(details);
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
                    question @ (Step::Sender(_)
                    | Step::Recipient(_)
                    | Step::Gate(_)
                    | Step::Consult(_)
                    | Step::Expand(_)
                    | Step::Draft(_)
                    | Step::Originator(_)
                    | Step::Judge(_)
                    | Step::Scan(_)
                    | Step::File(_)
                    | Step::Commit(_)) => self.inquiry.answer(question).await,
                };
            }
            self.tell_refusals().await;
        }
    }

    /// Lets the answer to an error wait where a client makes many.
    async fn slow_errors(&mut self) -> Result<(), End> {
        let errors = self.inquiry.session.errors();
        if errors > self.errors {
            self.errors = errors;
            let delay = self.inquiry.common.error_delay.of(errors, self.connection.peer().ip());
            self.connection.pause(delay).await?;
        }
        Ok(())
    }

    /// The store keeps what was not taken, for whoever asks why something has not come.
    async fn tell_refusals(&mut self) {
        let refusals = self.inquiry.session.take_refusals();
        if !refusals.is_empty() {
            warn_if_failed(self.inquiry.common.store.sightings.refused(refusals).await.err().as_ref());
        }
    }

    /// The guard counts errors of all sessions together; neighbours are not counted.
    async fn tell_errors(&mut self) {
        let (errors, peer) = (self.inquiry.session.errors(), self.connection.peer().ip());
        match (self.inquiry.session.kind(), peer) {
            (Kind::Reception | Kind::Submission, Some(peer)) if errors > 0 => {
                warn_if_failed(self.inquiry.common.store.guard.erred(peer, errors).await.err().as_ref());
            }
            (Kind::Reception | Kind::Submission | Kind::Lmtp, _) => {}
        }
    }

    /// Queues a reply; it leaves when the next read has to wait (RFC 2920 §3.2).
    fn say(&mut self, reply: &Reply) {
        self.inquiry.session.answered(slice::from_ref(reply));
        debug!(code = reply.code(), "reply");
        reply.encode(self.connection.output());
    }

    async fn start_tls(&mut self) -> Result<TlsDetails, End> {
        self.connection.accept_tls().await.map_err(End::Tls)?;
        self.connection.tls().ok_or(End::Tls(TlsError::Unavailable))
    }

    /// Lets content pass into the draft until it ends. Whatever happens to it, it is read to its end.
    async fn receive(&mut self, reply: Option<Reply>, mut incoming: Box<Incoming>) -> Result<Step, End> {
        if let Some(reply) = reply {
            self.say(&reply);
        }
        self.inquiry.begin_content(&mut incoming);
        self.connection.begin_content();
        loop {
            let received =
                if incoming.is_empty_chunk() { &[] } else { self.connection.read_content().await? };
            let progress = incoming.receive(received);
            self.connection.consume(progress.consumed);
            if progress.write {
                inquiry::write(&mut incoming).await;
            }
            if progress.ended {
                return Ok(self.inquiry.session.received(incoming, clock::unix_seconds()));
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

    fn log_end(&self, end: &End) {
        let messages = self.inquiry.accepted;
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
