//! One connection from its greeting to its end: the only place where session, socket and store meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mailstore::{Directory, Guard, Lease, Logins, MaildropError, MaildropId, Maildrops, Visit};
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::daemon::errors::ErrorDelay;
use mailwire::daemon::oauth::Checker;
use mailwire::line::Line;
use mailwire::net::{Connection, ReadError, TlsError};
use mailwire::pop3::Reply;
use thiserror::Error;
use tracing::{Instrument, debug, field, info, info_span, warn};

use crate::session::{
    Answer, Authorization, AuthorizationStep, Listing, Login, Measurement, Offer, Progress, Range, Retrieval,
    Stls, Terms, Transaction, TransactionStep,
};
use crate::{ClearLogin, Config, Shared};

/// What all connections of a service share.
pub(crate) struct Context {
    directory: Arc<dyn Directory>,
    maildrops: Arc<dyn Maildrops>,
    guard: Arc<dyn Guard>,
    pub(crate) tokens: Option<Arc<Checker>>,
    hostname: String,
    clear_login: ClearLogin,
    pub(crate) terms: Terms,
    lease_wait: Duration,
    error_delay: ErrorDelay,
    begun_at: u64,
    sessions: AtomicU64,
}

impl Context {
    /// What the configuration and the process give.
    pub(crate) fn new(config: &Config, shared: &Shared) -> Self {
        Self {
            directory: Arc::clone(&shared.store.directory),
            maildrops: Arc::clone(&shared.store.maildrops),
            guard: Arc::clone(&shared.store.guard),
            tokens: shared.tokens.clone(),
            hostname: shared.server.hostname.clone(),
            clear_login: config.clear_login,
            terms: Terms {
                primary_domain: shared.server.domains.first().map_or("", String::as_str).into(),
                errors_max: config.errors_max,
                commands_max: config.commands_max,
                login_failures_max: config.login_failures_max,
                language: config.language,
            },
            lease_wait: Duration::from_secs(config.lease_wait_seconds),
            error_delay: config.error_delay(),
            begun_at: clock::unix_seconds(),
            sessions: AtomicU64::new(0),
        }
    }

    /// A name for the next session that no other one in the log has.
    fn session_name(&self) -> String {
        format!("p{:x}-{:x}", self.begun_at, self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    /// What the connection can offer before login.
    fn offer(&self, connection: &Connection) -> Offer {
        if connection.tls().is_some() {
            return Offer::TLS;
        }
        let clear_is_allowed = connection.peer().ip().is_some_and(|peer| self.clear_login.allows(peer));
        let login = if clear_is_allowed { Login::Allowed } else { Login::NeedsTls };
        let stls = if connection.can_start_tls() { Stls::Offered } else { Stls::Unavailable };
        Offer { login, stls }
    }
}

/// Why a session ended otherwise than by its own last reply. Nothing was deleted then.
#[derive(Debug, Error)]
pub(crate) enum Interrupted {
    /// The peer has gone, or was silent for too long.
    #[error(transparent)]
    Read(ReadError),
    /// The peer has gone, or took nothing for too long.
    #[error("sending to the peer failed")]
    Write(#[source] ReadError),
    /// TLS did not begin.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store failed in the middle of a message: only closing can tell the client (RFC 1939 §3 knows no other
    /// end of a multi-line reply than its dot).
    #[error("the store could not read the rest of a message")]
    Retrieval(#[source] MaildropError),
    /// The store ended a message before its size.
    #[error("a message ended at octet {offset}, before its size")]
    Short {
        /// Where it ended.
        offset: u64,
    },
}

/// What a session did, for the log.
#[derive(Debug, Default)]
struct Tally {
    retrieved: u64,
    octets: u64,
    deleted: usize,
    /// Wrong commands.
    errors: u32,
}

/// Serves one connection from the greeting to its end.
pub(crate) fn serve(
    connection: Connection,
    context: Arc<Context>,
) -> impl Future<Output = ()> + Send + 'static {
    let name = context.session_name();
    let span = info_span!(
        "session",
        peer = %connection.peer(),
        session = name,
        account = field::Empty,
    );
    let logins = Logins::new(&context.directory, &context.guard, connection.peer().ip());
    let (tally, visit) = (Tally::default(), Visit::default());
    let mut session = Session { connection, context, logins, tally, name, visit };
    let life = async move {
        let end = session.converse().await;
        session.log_end(&end);
        session.tell_errors().await;
        if may_say_goodbye(&end) {
            session.connection.close().await;
        }
    };
    life.instrument(span)
}

/// True where the peer may still be there to read what is queued; otherwise dropping the connection closes it.
const fn may_say_goodbye(end: &Result<(), Interrupted>) -> bool {
    match end {
        Ok(()) | Err(Interrupted::Read(ReadError::Closed | ReadError::TimedOut(_) | ReadError::Shutdown)) => {
            true
        }
        Err(
            Interrupted::Read(ReadError::Io(_))
            | Interrupted::Write(_)
            | Interrupted::Tls(_)
            | Interrupted::Retrieval(_)
            | Interrupted::Short { .. },
        ) => false,
    }
}

/// Nothing can be said of a message that is shorter than the store says.
fn ended_early(index: usize, offset: u64, octets_max: usize) -> Interrupted {
    warn!(index, offset, octets_max, "a message ended before its size");
    Interrupted::Short { offset }
}

/// One connection being served.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) context: Arc<Context>,
    pub(crate) logins: Logins,
    tally: Tally,
    /// As the log names it.
    name: String,
    /// What is told to the store.
    visit: Visit,
}

impl Session {
    /// The one line that a session leaves in the log.
    fn log_end(&self, end: &Result<(), Interrupted>) {
        let Tally { retrieved, octets, deleted, errors: _ } = self.tally;
        let end = end.as_ref().map_or_else(|interruption| chain(interruption), |()| "closed".to_owned());
        info!(retrieved, octets, deleted, end, "session ended");
    }

    /// AUTHORIZATION, then TRANSACTION; the last reply is queued when it returns, and the maildrop given back, so
    /// that who reads the reply finds the maildrop free.
    async fn converse(&mut self) -> Result<(), Interrupted> {
        self.reply(&Authorization::greeting(&self.context.hostname));
        match self.authorize().await? {
            Some(transaction) => self.transact(transaction).await,
            None => Ok(()),
        }
    }

    /// The AUTHORIZATION state; `None` where it ended the session.
    async fn authorize(&mut self) -> Result<Option<Transaction>, Interrupted> {
        let offer = self.context.offer(&self.connection);
        let mut authorization = Authorization::new(offer, &self.context.terms);
        authorization.surrounded_by(self.surroundings());
        loop {
            let line = self.read_line(authorization.line_octets_max()).await?;
            let mut next = Some(authorization.line(&line));
            self.slow_errors(authorization.errors()).await?;
            while let Some(step) = next {
                next = match step {
                    AuthorizationStep::Answer(answer) => {
                        self.answer(&answer);
                        None
                    }
                    AuthorizationStep::Verify(credentials) => {
                        Some(self.verify(&mut authorization, &credentials).await?)
                    }
                    AuthorizationStep::ScramKeys(login) => {
                        Some(self.scram_keys(&mut authorization, &login).await?)
                    }
                    AuthorizationStep::ScramProof(login) => {
                        Some(self.scram_proof(&mut authorization, &login).await?)
                    }
                    AuthorizationStep::Token(shown) => Some(self.token(&mut authorization, &shown).await?),
                    AuthorizationStep::Account(proven) => {
                        Some(self.account(&mut authorization, &proven).await?)
                    }
                    AuthorizationStep::LoginRefused(refused) => {
                        Some(self.login_refused(&mut authorization, &refused).await?)
                    }
                    AuthorizationStep::CommonRules => {
                        let rules = self.context.directory.common_rules().await;
                        if let Err(error) = &rules {
                            warn!(reason = chain(error), "capabilities named in part");
                        }
                        Some(authorization.capabilities(&rules))
                    }
                    AuthorizationStep::Lease(login) => {
                        Some(authorization.leased(self.lease(login.maildrop).await))
                    }
                    AuthorizationStep::StartTls(reply) => {
                        self.reply(&reply);
                        self.connection.accept_tls().await?;
                        authorization.tls_begun();
                        authorization.surrounded_by(self.surroundings());
                        None
                    }
                    AuthorizationStep::Begin(reply, transaction) => {
                        self.reply(&reply);
                        return Ok(Some(transaction));
                    }
                    AuthorizationStep::Close(reply) => {
                        self.reply(&reply);
                        return Ok(None);
                    }
                };
            }
        }
    }

    /// The TRANSACTION state, and UPDATE at its end; then the store is told what was done.
    async fn transact(&mut self, mut transaction: Transaction) -> Result<(), Interrupted> {
        let end = self.steps(&mut transaction).await;
        let visit = std::mem::take(&mut self.visit);
        if !visit.retrieved.is_empty() || !visit.expunged.is_empty() {
            let peer = self.connection.peer();
            let by = format!("POP3 session {} from {peer}", self.name);
            if let Err(error) = transaction.lease().visited(Visit { by, ..visit }).await {
                warn!(reason = chain(&error), "what the session did cannot be noted");
            }
        }
        end
    }

    async fn steps(&mut self, transaction: &mut Transaction) -> Result<(), Interrupted> {
        loop {
            let line = self.read_line(transaction.line_octets_max()).await?;
            let mut next = Some(match transaction.lease().check() {
                Ok(()) => transaction.line(&line),
                Err(error) => {
                    info!(reason = chain(&error), "maildrop lost");
                    transaction.line_after_takeover(&line)
                }
            });
            self.slow_errors(transaction.errors()).await?;
            while let Some(step) = next {
                next = match step {
                    TransactionStep::Answer(answer) => {
                        self.answer(&answer);
                        None
                    }
                    TransactionStep::List(listing) => {
                        self.list(transaction, listing).await?;
                        None
                    }
                    TransactionStep::Measure(measurement) => {
                        Some(self.measure(transaction, measurement).await?)
                    }
                    TransactionStep::Retrieve(retrieval) => self.retrieve(transaction, retrieval).await?,
                    TransactionStep::Expunge(indices) => Some(self.expunge(transaction, &indices).await),
                    TransactionStep::Close(reply) => {
                        self.reply(&reply);
                        return Ok(());
                    }
                };
            }
        }
    }

    /// May they have the maildrop?
    async fn lease(&self, maildrop: MaildropId) -> Result<Box<dyn Lease>, MaildropError> {
        let answer = self.context.maildrops.lease(maildrop, self.context.lease_wait).await;
        if let Err(error) = &answer {
            info!(reason = chain(error), "login deferred");
        }
        answer
    }

    /// LIST or UIDL, in pieces.
    async fn list(&mut self, transaction: &mut Transaction, mut listing: Listing) -> Result<(), Interrupted> {
        while transaction.list(&mut listing, self.connection.output()) == Progress::More {
            self.relieve().await?;
        }
        Ok(())
    }

    /// Reads a message to know what it becomes for this client.
    async fn measure(
        &self,
        transaction: &mut Transaction,
        mut measurement: Box<Measurement>,
    ) -> Result<TransactionStep, Interrupted> {
        while let Some(Range { index, offset, octets_max }) = measurement.wanted() {
            match transaction.lease().read(index, offset, octets_max).await {
                Ok(content) if content.is_empty() => return Err(ended_early(index, offset, octets_max)),
                Ok(content) => measurement.piece(&content),
                Err(error) => {
                    warn!(reason = chain(&error), "listing deferred");
                    return Ok(transaction.unreadable(&error));
                }
            }
        }
        // What is in memory is read without a pause, and there may be many messages.
        tokio::task::yield_now().await;
        Ok(transaction.measured(*measurement))
    }

    /// RETR or TOP, in pieces. Where the store fails before the first one, the session says how to go on.
    async fn retrieve(
        &mut self,
        transaction: &mut Transaction,
        mut retrieval: Retrieval,
    ) -> Result<Option<TransactionStep>, Interrupted> {
        while let Some(Range { index, offset, octets_max }) = retrieval.wanted() {
            // What is queued leaves before more is read, so a client that does not read costs one queue.
            self.relieve().await?;
            match transaction.lease().read(index, offset, octets_max).await {
                Ok(content) if content.is_empty() => return Err(ended_early(index, offset, octets_max)),
                Ok(content) => retrieval.piece(&content, self.connection.output()),
                Err(error) if retrieval.has_begun() => {
                    warn!(reason = chain(&error), "retrieval broken off");
                    return Err(Interrupted::Retrieval(error));
                }
                Err(error) => {
                    warn!(reason = chain(&error), "retrieval deferred");
                    return Ok(Some(transaction.unreadable(&error)));
                }
            }
        }
        if let Some(index) = retrieval.whole_message() {
            self.visit.retrieved.mark(index);
        }
        self.tally.retrieved += 1;
        self.tally.octets = self.tally.octets.saturating_add(retrieval.octets());
        retrieval.finish(self.connection.output());
        Ok(None)
    }

    /// The UPDATE state: all deletions in one commit.
    async fn expunge(&mut self, transaction: &mut Transaction, indices: &[usize]) -> TransactionStep {
        let answer = transaction.lease().expunge(indices).await;
        match &answer {
            Ok(()) => {
                self.tally.deleted = indices.len();
                for index in indices {
                    self.visit.expunged.mark(*index);
                }
            }
            Err(error) => warn!(reason = chain(error), "deletion failed"),
        }
        transaction.expunged(&answer)
    }

    /// Lets the answer to an error wait where a client has made so many.
    async fn slow_errors(&mut self, errors: u32) -> Result<(), Interrupted> {
        if errors > self.tally.errors {
            self.tally.errors = errors;
            let delay = self.context.error_delay.of(errors, self.connection.peer().ip());
            self.connection.pause(delay).await.map_err(Interrupted::Read)?;
        }
        Ok(())
    }

    /// The guard counts errors of all sessions together.
    async fn tell_errors(&mut self) {
        let (errors, peer) = (self.tally.errors, self.connection.peer().ip());
        if let Some(peer) = peer.filter(|_| errors > 0)
            && let Err(error) = self.context.guard.erred(peer, errors).await
        {
            warn!(reason = chain(&error), "errors not counted");
        }
    }

    async fn read_line(&mut self, octets_max: usize) -> Result<Line, Interrupted> {
        self.connection.read_line(octets_max).await.map_err(Interrupted::Read)
    }

    /// Queues a reply.
    fn reply(&mut self, reply: &Reply) {
        debug!(?reply, "reply");
        reply.encode(self.connection.output());
    }

    /// Queues an answer.
    fn answer(&mut self, answer: &Answer) {
        debug!(?answer, "answer");
        answer.encode(self.connection.output());
    }

    /// Sends what is queued where that has become much.
    async fn relieve(&mut self) -> Result<(), Interrupted> {
        if self.connection.wants_flush() {
            self.connection.flush().await.map_err(Interrupted::Write)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use mailwire::net::{ConnectionLimits, Shutdown, ShutdownTrigger};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::memory::{Memory, Trouble};
    use crate::session::Language;

    /// Far longer than any test takes.
    const AGES: Duration = Duration::from_hours(1);
    /// A deadline that a test waits for.
    const SOON: Duration = Duration::from_millis(30);
    const PATIENT: ConnectionLimits = ConnectionLimits {
        handshake: AGES,
        idle: AGES,
        command: AGES,
        content_idle: AGES,
        content_octets_per_second_min: 1,
        write: AGES,
        drain: AGES,
    };
    const LOGIN: &[u8] = b"USER alice@example.test\r\nPASS pw-alice\r\n";

    /// A client, and the server's end of its connection being served.
    struct Served {
        client: TcpStream,
        server: JoinHandle<()>,
        trigger: ShutdownTrigger,
    }

    impl Served {
        async fn new(memory: &Memory, clear_login: ClearLogin, limits: ConnectionLimits) -> Self {
            let context = Arc::new(Context {
                directory: Arc::new(memory.clone()),
                maildrops: Arc::new(memory.clone()),
                guard: Arc::new(memory.clone()),
                tokens: None,
                hostname: "mail.example.test".to_owned(),
                clear_login,
                terms: Terms {
                    primary_domain: "example.test".into(),
                    errors_max: 20,
                    commands_max: 100,
                    login_failures_max: 5,
                    language: Language::English,
                },
                lease_wait: Duration::ZERO,
                error_delay: ErrorDelay::new(20, Duration::ZERO),
                begun_at: 0,
                sessions: AtomicU64::new(0),
            });
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let (trigger, shutdown) = Shutdown::new();
            let server = tokio::spawn(serve(Connection::server(stream, None, limits, shutdown), context));
            Self { client, server, trigger }
        }

        async fn logged_in(memory: &Memory) -> Self {
            let mut served = Self::new(memory, ClearLogin::Loopback, PATIENT).await;
            served.say(LOGIN).await;
            served.lines(3).await;
            served
        }

        async fn say(&mut self, octets: &[u8]) {
            self.client.write_all(octets).await.unwrap();
        }

        /// The next lines that the server says.
        async fn lines(&mut self, count: usize) -> String {
            let mut lines = String::new();
            while lines.matches('\n').count() < count {
                lines.push(char::from(self.client.read_u8().await.unwrap()));
            }
            lines
        }

        /// All that the server says until it closes; its task has ended then.
        async fn rest(mut self) -> String {
            let mut rest = Vec::new();
            // A reset is an end as well.
            let _ = self.client.read_to_end(&mut rest).await;
            drop(self.client);
            self.server.await.unwrap();
            String::from_utf8(rest).unwrap()
        }
    }

    fn memory() -> Memory {
        let memory = Memory::default();
        memory.deliver("alice", b"Subject: one\r\n\r\n.dot\r\n");
        memory.deliver("alice", &b"a: b\r\n".repeat(40_000));
        memory
    }

    #[tokio::test]
    async fn a_whole_session_may_come_in_one_write() {
        let memory = memory();
        let mut served = Served::new(&memory, ClearLogin::Loopback, PATIENT).await;
        served.say(LOGIN).await;
        served.say(b"STAT\r\nUIDL\r\nTOP 1 0\r\nRETR 1\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n").await;
        let said = served.rest().await;
        let replies: Vec<&str> = said.lines().filter(|line| line.starts_with('+')).collect();
        assert_eq!(replies.len(), 10, "{replies:?}");
        assert_eq!(replies[3], "+OK 2 240022");
        assert!(said.contains("+OK 22 octets\r\nSubject: one\r\n\r\n..dot\r\n.\r\n+OK 240000 octets\r\n"));
        assert_eq!(said.matches("a: b\r\n").count(), 40_000);
        assert!(said.ends_with("+OK Goodbye, 1 message deleted\r\n"));
        assert_eq!(memory.messages("alice").len(), 1);
    }

    #[tokio::test]
    async fn the_store_is_told_which_messages_were_sent_whole_and_which_were_deleted() {
        let memory = memory();
        memory.deliver("alice", b"Subject: three\r\n\r\nthree\r\n");
        let mut served = Served::logged_in(&memory).await;
        served
            .say(
                b"TOP 1 0\r\nTOP 3 100\r\nRETR 2\r\nRETR 2\r\nDELE 1\r\nDELE 3\r\nRSET\r\nDELE 1\r\nQUIT\r\n",
            )
            .await;
        served.rest().await;
        let visits = memory.state().visits.clone();
        assert_eq!(visits.len(), 1);
        assert!(visits[0].by.starts_with("POP3 session p0-0 from 127.0.0.1"), "{}", visits[0].by);
        assert_eq!(visits[0].retrieved.indices().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(visits[0].expunged.indices().collect::<Vec<_>>(), [0]);

        let mut served = Served::logged_in(&memory).await;
        served.say(b"LIST\r\nUIDL\r\nTOP 1 0\r\nDELE 1\r\n").await;
        drop(served.client);
        served.server.await.unwrap();
        assert_eq!(memory.state().visits.len(), 1, "nothing was fetched, and nothing deleted without QUIT");
    }

    #[tokio::test]
    async fn who_reads_the_reply_to_quit_finds_the_maildrop_free() {
        let memory = memory();
        for _ in 0..20 {
            let mut served = Served::logged_in(&memory).await;
            assert!(memory.is_leased("alice"));
            served.say(b"QUIT\r\n").await;
            assert!(served.lines(1).await.starts_with("+OK"));
            assert!(!memory.is_leased("alice"));
        }
    }

    #[tokio::test]
    async fn who_goes_without_quit_leaves_everything_as_it_was() {
        let memory = memory();
        let mut served = Served::logged_in(&memory).await;
        served.say(b"DELE 1\r\n").await;
        served.lines(1).await;
        drop(served.client);
        served.server.await.unwrap();
        assert!(!memory.is_leased("alice"));
        assert_eq!(memory.messages("alice").len(), 2);
    }

    #[tokio::test]
    async fn the_drain_ends_an_idle_session_and_deletes_nothing() {
        let memory = memory();
        let mut served = Served::logged_in(&memory).await;
        served.say(b"DELE 1\r\n").await;
        served.lines(1).await;
        served.trigger.trigger();
        assert_eq!(served.rest().await, "");
        assert_eq!(memory.messages("alice").len(), 2);
    }

    #[tokio::test]
    async fn a_silent_client_is_let_go_without_a_word() {
        let limits = ConnectionLimits { idle: SOON, ..PATIENT };
        let mut served = Served::new(&memory(), ClearLogin::Loopback, limits).await;
        assert!(served.lines(1).await.starts_with("+OK "));
        assert_eq!(served.rest().await, "");
    }

    #[tokio::test]
    async fn a_client_that_has_vanished_leaves_its_maildrop_within_the_idle_time() {
        let memory = memory();
        let limits = ConnectionLimits { idle: SOON, ..PATIENT };
        let mut served = Served::new(&memory, ClearLogin::Loopback, limits).await;
        served.say(LOGIN).await;
        served.say(b"DELE 1\r\n").await;
        served.server.await.unwrap();
        assert!(!memory.is_leased("alice"));
        assert_eq!(memory.messages("alice").len(), 2);
        drop(served.client);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_let_go_and_its_maildrop_free() {
        let memory = Memory::default();
        memory.deliver("alice", &vec![b'x'; 32 << 20]);
        let limits = ConnectionLimits { write: SOON, ..PATIENT };
        let mut served = Served::new(&memory, ClearLogin::Loopback, limits).await;
        served.say(LOGIN).await;
        served.say(b"RETR 1\r\n").await;
        served.server.await.unwrap();
        assert!(!memory.is_leased("alice"));
    }

    #[tokio::test]
    async fn a_message_that_cannot_be_read_to_its_end_has_no_final_dot() {
        let memory = memory();
        memory.trouble(Trouble::ReadingFrom(1));
        let mut served = Served::logged_in(&memory).await;
        served.say(b"RETR 2\r\nSTAT\r\n").await;
        let said = served.rest().await;
        assert!(!said.contains("\r\n.\r\n") && !said.contains("+OK 2 "));
    }

    #[tokio::test]
    async fn trouble_in_the_store_is_told_and_nothing_is_lost() {
        for (trouble, commands) in [
            (Trouble::Directory, LOGIN),
            (Trouble::Logins, LOGIN),
            (Trouble::Leases, LOGIN),
            (Trouble::ReadingFrom(0), b"RETR 1\r\n"),
            (Trouble::Expunging, b"DELE 1\r\nQUIT\r\n"),
        ] {
            let memory = memory();
            let mut served = match trouble {
                Trouble::Directory | Trouble::Logins | Trouble::Leases => {
                    Served::new(&memory, ClearLogin::Loopback, PATIENT).await
                }
                Trouble::ReadingFrom(_) | Trouble::Expunging => Served::logged_in(&memory).await,
            };
            memory.trouble(trouble);
            served.say(commands).await;
            served.client.shutdown().await.unwrap();
            let said = served.rest().await;
            assert!(said.lines().last().unwrap().starts_with("-ERR [SYS/TEMP] "), "{trouble:?}: {said}");
            assert_eq!(memory.messages("alice").len(), 2);
        }
    }

    #[tokio::test]
    async fn a_client_that_comes_too_soon_hears_so_and_may_stay() {
        let memory = memory();
        memory.rule("alice", mailstore::Rules { login_delay_seconds: 1, ..mailstore::Rules::default() });
        drop(Served::logged_in(&memory).await);
        let mut served = Served::new(&memory, ClearLogin::Loopback, PATIENT).await;
        served.say(LOGIN).await;
        let said = served.lines(3).await;
        assert!(said.lines().last().unwrap().starts_with("-ERR [LOGIN-DELAY] "), "{said}");
        served.say(b"QUIT\r\n").await;
        assert!(served.rest().await.starts_with("+OK"));
    }

    #[tokio::test]
    async fn a_listing_of_very_many_messages_comes_whole() {
        let memory = Memory::default();
        for _ in 0..25_000 {
            memory.deliver("alice", b"a: b\r\n");
        }
        let mut served = Served::logged_in(&memory).await;
        served.say(b"UIDL\r\nLIST\r\nQUIT\r\n").await;
        let said = served.rest().await;
        assert_eq!(said.lines().count(), 2 * 25_002 + 1);
        assert!(said.contains("\r\n25000 6\r\n.\r\n+OK "));
    }

    #[tokio::test]
    async fn login_without_tls_needs_to_be_allowed() {
        let mut served = Served::new(&memory(), ClearLogin::Never, PATIENT).await;
        served.say(LOGIN).await;
        let said = served.lines(3).await;
        assert_eq!(said.matches("-ERR ").count(), 2, "{said}");
    }

    #[test]
    fn an_idle_session_costs_little_memory() {
        const fn octets<F: Future>(_: fn(Connection, Arc<Context>) -> F) -> usize {
            size_of::<F>()
        }
        assert!(octets(serve) <= 2048, "{} octets", octets(serve));
    }
}
