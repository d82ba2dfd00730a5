//! One session with another server: its connection and the pure client session, driven to readiness and through
//! transactions, each wait under its own deadline (RFC 5321 §4.5.3.2).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mailwire::dot::Stuffer;
use mailwire::line::Line;
use mailwire::net::{Connection, ConnectionLimits, ReadError, TlsError};
use mailwire::sasl::{Nonce, ScramMeans};
use mailwire::secret::Secret;
use mailwire::smtp::client::{Envelope, Failure, Session, Settings, Step, Verdict};
use mailwire::smtp::{Enhanced, Extension, Limits, Reply, ReplyError, ReplyReader};
use mailwire::tls_policy::TlsPolicy;
use thiserror::Error;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::conclusion::Tells;
use super::content::{Content, ContentError};
use super::dialogue::Dialogue;
use super::envelope::Abilities;

/// Most octets of a line that a server may send; RFC 5321 §4.5.3.1.5 says 512.
const LINE_OCTETS_MAX: usize = 8192;
/// How long a server may take to say why it has closed the connection, or to say goodbye.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How to get to a session with one host.
#[derive(Clone, Debug)]
pub(super) struct Approach {
    pub(super) settings: Settings,
    /// `None` where there is none.
    pub(super) tls: Option<Tls>,
    /// Whether the certificate says who is there.
    pub(super) is_verified: bool,
    pub(super) waits: Waits,
}

/// TLS, and the name that is asked for.
pub(super) type Tls = (Arc<ClientConfig>, ServerName<'static>);

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    pub(super) connect: Duration,
    pub(super) reply: Duration,
    pub(super) end: Duration,
    pub(super) limits: ConnectionLimits,
}

/// Why there is no session with a host at one of its addresses.
#[derive(Debug, Error)]
pub(super) enum Obstacle {
    #[error("connecting failed")]
    Connect(#[source] io::Error),
    #[error("TLS could not be had")]
    Tls(#[source] TlsError),
    #[error(transparent)]
    Session(#[from] Failure),
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// The same, with the address of ours from which it was tried, where it has come to that.
#[derive(Debug)]
pub(super) struct NotOpened {
    pub(super) obstacle: Obstacle,
    pub(super) local: Option<IpAddr>,
}

/// Why a session has ended early.
#[derive(Debug, Error)]
pub(super) enum Broken {
    #[error("the connection broke")]
    Read(#[source] ReadError),
    #[error("there was no reply within {0:?}")]
    TimedOut(Duration),
    #[error(transparent)]
    Reply(#[from] ReplyError),
    #[error("a reply has a line of more than {LINE_OCTETS_MAX} octets")]
    TooLong,
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("the client and the server are out of step")]
    OutOfStep,
}

/// How a transaction ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With a verdict for each recipient.
    Verdicts(Vec<Verdict>),
    /// The session cannot go on, and nobody has the message.
    Lost(Obstacle),
    /// The message was sent with its final dot, and no reply came: the server may have it.
    InDoubt(Obstacle),
}

/// A session that is ready for transactions.
pub(super) struct Link {
    connection: Connection,
    replies: ReplyReader,
    session: Session,
    waits: Waits,
    is_verified: bool,
    /// The final dot has been sent, and the reply has not come.
    in_doubt: bool,
    /// Nothing more can be sent.
    is_over: bool,
    address: SocketAddr,
    dialogue: Dialogue,
}

impl Obstacle {
    /// What a report calls it, where the server has not said so itself (RFC 3463).
    pub(super) fn enhanced(&self) -> Enhanced {
        match self {
            // X.4.1: no answer from host; X.4.2: bad connection.
            Self::Connect(_) => Enhanced(4, 4, 1),
            // X.3.0: our own store failed.
            Self::Broken(Broken::Content(_)) => Enhanced(4, 3, 0),
            Self::Broken(_) => Enhanced(4, 4, 2),
            // X.7.5: cryptographic failure.
            Self::Tls(_) => Enhanced(4, 7, 5),
            Self::Session(failure) => match failure {
                Failure::Refused { reply, .. }
                | Failure::Login(reply)
                | Failure::Unexpected { reply, .. } => {
                    let class = if self.is_permanent() { 5 } else { 4 };
                    let said = reply.enhanced().filter(|enhanced| enhanced.0 == class);
                    said.unwrap_or(Enhanced(class, 3, 2))
                }
                // X.7.10: encryption needed.
                Failure::NoTls | Failure::PasswordInClear => Enhanced(4, 7, 10),
                Failure::NoMechanism | Failure::NoTokens | Failure::Impostor => Enhanced(4, 7, 0),
            },
        }
    }

    /// What the server said, where it said something.
    pub(super) fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Session(
                Failure::Refused { reply, .. } | Failure::Login(reply) | Failure::Unexpected { reply, .. },
            ) => Some(reply),
            Self::Session(
                Failure::NoTls
                | Failure::PasswordInClear
                | Failure::NoMechanism
                | Failure::NoTokens
                | Failure::Impostor,
            )
            | Self::Connect(_)
            | Self::Tls(_)
            | Self::Broken(_) => None,
        }
    }

    /// True where the host takes no mail, and never will (RFC 5321 §3.1, RFC 7504 §2): 5yz to the connection itself. What
    /// this server itself has to have right, as its login, is mended by its operator, and tried again.
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            Self::Session(Failure::Refused { command: "the connection" | "EHLO" | "HELO", reply }) => {
                reply.code() / 100 == 5
            }
            Self::Session(_) | Self::Connect(_) | Self::Tls(_) | Self::Broken(_) => false,
        }
    }
}

impl Link {
    /// Connects to `address`, and goes as far as a transaction can begin.
    pub(super) async fn open(address: SocketAddr, approach: Approach) -> Result<Self, NotOpened> {
        let Approach { settings, tls, is_verified, waits } = approach;
        let host = address.ip().to_string();
        let connecting = Connection::connect(&host, address.port(), waits.limits);
        let connection = timeout(waits.connect, connecting).await;
        let connection = connection.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let nowhere = |error| NotOpened { obstacle: Obstacle::Connect(error), local: None };
        let connection = connection.map_err(nowhere)?;
        let local = connection.local().ip();
        let policy = settings.tls;
        let mut link = Self {
            connection,
            replies: ReplyReader::default(),
            session: Session::new(settings),
            waits,
            is_verified,
            in_doubt: false,
            is_over: false,
            address,
            dialogue: Dialogue::default(),
        };
        match link.get_ready(policy, tls.as_ref()).await {
            Ok(()) => Ok(link),
            Err(obstacle) => Err(NotOpened { obstacle, local }),
        }
    }

    async fn get_ready(&mut self, policy: TlsPolicy, tls: Option<&Tls>) -> Result<(), Obstacle> {
        if policy == TlsPolicy::Implicit {
            self.start_tls(tls).await?;
        }
        self.use_scram();
        self.begin(tls).await
    }

    /// From the greeting to readiness.
    async fn begin(&mut self, tls: Option<&Tls>) -> Result<(), Obstacle> {
        let mut step = Step::Wait;
        loop {
            step = match step {
                Step::Send(octets) => {
                    self.dialogue.client_who_may_log_in(octets.expose());
                    self.ask(&octets).await?
                }
                Step::Wait => {
                    let reply = self.reply(self.waits.reply).await?;
                    self.session.reply(reply)
                }
                Step::StartTls => {
                    self.start_tls(tls).await?;
                    self.use_scram();
                    self.session.tls_started()
                }
                Step::Ready => return Ok(()),
                Step::Failed(failure) => {
                    self.goodbye().await;
                    return Err(failure.into());
                }
                Step::Content | Step::Ended(_) | Step::Closed => return Err(Broken::OutOfStep.into()),
            };
        }
    }

    /// One message, through to its verdicts.
    pub(super) async fn transact(&mut self, envelope: Envelope, content: &mut Content<'_>) -> Ending {
        match self.transaction(envelope, content).await {
            Ok(verdicts) => Ending::Verdicts(verdicts),
            Err(obstacle) => {
                self.is_over = true;
                if self.in_doubt { Ending::InDoubt(obstacle) } else { Ending::Lost(obstacle) }
            }
        }
    }

    /// What was said since it was taken last.
    pub(super) fn take_dialogue(&mut self) -> String {
        std::mem::take(&mut self.dialogue).text()
    }

    async fn transaction(
        &mut self,
        envelope: Envelope,
        content: &mut Content<'_>,
    ) -> Result<Vec<Verdict>, Obstacle> {
        let mut step = self.session.transaction(envelope);
        loop {
            step = match step {
                Step::Send(octets) => {
                    // Nobody logs in within a transaction: there is no secret in it.
                    self.dialogue.client(octets.expose());
                    self.ask(&octets).await?
                }
                Step::Wait => {
                    let reply = self.reply(self.waits.reply).await?;
                    self.note_farewell(&reply);
                    self.session.reply(reply)
                }
                Step::Content => {
                    let reply = self.content(content).await?;
                    self.in_doubt = false;
                    self.note_farewell(&reply);
                    self.session.reply(reply)
                }
                Step::Ended(verdicts) => return Ok(verdicts),
                Step::Failed(failure) => return Err(failure.into()),
                Step::StartTls | Step::Ready | Step::Closed => return Err(Broken::OutOfStep.into()),
            };
        }
    }

    async fn ask(&mut self, octets: &Secret<Vec<u8>>) -> Result<Step, Obstacle> {
        self.connection.write(octets.expose());
        let reply = self.reply(self.waits.reply).await?;
        self.note_farewell(&reply);
        Ok(self.session.reply(reply))
    }

    /// RFC 5321 §3.8: after 421 the server is gone, whatever it was an answer to.
    fn note_farewell(&mut self, reply: &Reply) {
        self.is_over |= reply.code() == 421;
    }

    /// Streams the message, and gives the reply to its final dot.
    async fn content(&mut self, content: &mut Content<'_>) -> Result<Reply, Obstacle> {
        let mut stuffer = Stuffer::new();
        while let Some(octets) = content.next().await.map_err(Broken::from)? {
            stuffer.stuff(octets, self.connection.output());
            if self.connection.wants_flush()
                && let Err(error) = self.connection.flush().await
            {
                // A server that will not take it all has mostly said why before it closed.
                let said = self.reply(LAST_WORDS).await.map_err(|_| Broken::Read(error))?;
                return self.too_early(said);
            }
        }
        if let Some(said) = self.early().await? {
            return self.too_early(said);
        }
        stuffer.finish(self.connection.output());
        self.dialogue.client(content.words().as_bytes());
        self.in_doubt = true;
        self.connection.flush().await.map_err(Broken::Read)?;
        Ok(self.reply(self.waits.end).await?)
    }

    /// What the server has said already, though it was not its turn.
    async fn early(&mut self) -> Result<Option<Reply>, Obstacle> {
        tokio::select! {
            biased;
            reply = self.reply(self.waits.reply) => Ok(Some(reply?)),
            () = std::future::ready(()) => Ok(None),
        }
    }

    /// A reply that came before the final dot: it may be why the server does not want the message, but takes none that it
    /// has not seen to its end.
    fn too_early(&mut self, reply: Reply) -> Result<Reply, Obstacle> {
        self.is_over = true;
        if reply.is_positive() { Err(Broken::OutOfStep.into()) } else { Ok(reply) }
    }

    /// The next whole reply.
    async fn reply(&mut self, wait: Duration) -> Result<Reply, Broken> {
        let lines = async {
            loop {
                match self.connection.read_line(LINE_OCTETS_MAX).await.map_err(Broken::Read)? {
                    Line::Complete(line) => {
                        self.dialogue.server(&line);
                        if let Some(reply) = self.replies.line(&line)? {
                            return Ok(reply);
                        }
                    }
                    Line::TooLong => return Err(Broken::TooLong),
                }
            }
        };
        timeout(wait, lines).await.map_err(|_| Broken::TimedOut(wait))?
    }

    async fn start_tls(&mut self, tls: Option<&Tls>) -> Result<(), Obstacle> {
        let Some((config, name)) = tls else { return Err(Obstacle::Tls(TlsError::Unavailable)) };
        let switched = self.connection.connect_tls(Arc::clone(config), name.clone()).await;
        switched.map_err(Obstacle::Tls)
    }

    /// Lets a login go by SCRAM; without randomness other mechanisms are left.
    fn use_scram(&mut self) {
        let mut random = [0; Nonce::OCTETS];
        if getrandom::fill(&mut random).is_ok() {
            let bindings = self.connection.channel_bindings();
            self.session.use_scram(ScramMeans { nonce: Nonce::new(random), bindings });
        }
    }

    /// Our address.
    pub(super) fn local(&self) -> Option<IpAddr> {
        self.connection.local().ip()
    }

    /// True where nobody can listen in.
    pub(super) fn has_tls(&self) -> bool {
        self.connection.tls().is_some()
    }

    /// Where it is, and how it is protected.
    pub(super) fn place(&self, host: &str) -> String {
        let protection = match self.connection.tls() {
            Some(details) if self.is_verified => format!("{} {}, verified", details.version, details.cipher),
            Some(details) => format!("{} {}", details.version, details.cipher),
            None => "in clear".to_owned(),
        };
        format!("{host} [{}]:{} ({protection})", self.address.ip(), self.address.port())
    }

    /// What it can do for a message.
    pub(super) fn abilities(&self) -> Abilities {
        let deliver_by_seconds_min = self.session.extensions().iter().find_map(|extension| {
            if let Extension::DeliverBy(least) = extension { Some(least.unwrap_or(0)) } else { None }
        });
        let has = |extension| self.session.extensions().contains(&extension);
        Abilities {
            is_verified: self.is_verified && self.connection.tls().is_some(),
            deliver_by_seconds_min,
            takes_eight_bit: has(Extension::EightBitMime),
            takes_utf8: has(Extension::SmtpUtf8),
        }
    }

    /// What the server tells senders itself.
    pub(super) fn tells(&self) -> Tells {
        Tells {
            delivery: self.session.extensions().contains(&Extension::Dsn),
            delay: self.abilities().deliver_by_seconds_min.is_some(),
        }
    }

    /// What the server takes at most (RFC 9422 §4).
    pub(super) fn limits(&self) -> Limits {
        let announced = self.session.extensions().iter().find_map(|extension| {
            if let Extension::Limits(limits) = extension { Some(*limits) } else { None }
        });
        announced.unwrap_or_default()
    }

    /// True where no further message can be sent.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Says goodbye; nothing depends on it any more.
    pub(super) async fn close(mut self) {
        if !self.is_over {
            self.goodbye().await;
        }
        self.connection.close().await;
    }

    async fn goodbye(&mut self) {
        if let Step::Send(octets) = self.session.quit() {
            self.connection.write(octets.expose());
            let _ = self.reply(LAST_WORDS).await;
        }
    }
}
