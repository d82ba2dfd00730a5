//! A POP3 session over a connection: everything between the command line's wishes and the socket.

use mailwire::dot::Unstuffer;
use mailwire::pop3::client::{Failure as SessionFailure, Message, Request, Session, Settings, Step};
use mailwire::pop3::{MessageNumber, Reply, ResponseCode};
use mailwire::sasl::Credentials;

use crate::failure::{Exit, Failure};
use crate::link::{self, Link};
use crate::options::Connect;
use crate::server::Server;

/// Takes what the server sends.
pub(crate) trait Receiver {
    /// The content of this message comes next.
    fn begin(&mut self, number: MessageNumber) -> Result<(), Failure>;
    /// A piece of it.
    fn content(&mut self, octets: &[u8]) -> Result<(), Failure>;
    /// It was complete.
    fn end(&mut self) -> Result<(), Failure>;
    /// The server refused a request.
    fn refused(&mut self, request: Request, reply: &Reply) -> Result<(), Failure>;
}

/// A session that is logged in.
pub(crate) struct Retrieval {
    link: Link,
    session: Session,
}

/// Where a session cannot go on by itself.
enum Pause {
    Ready,
    Content(MessageNumber),
    Done,
    Refused(Request, Reply),
    Closed,
}

impl Retrieval {
    /// Connects, logs in and lists the maildrop.
    pub(crate) async fn open(
        connect: &Connect,
        server: Server,
        credentials: Credentials,
    ) -> Result<Self, Failure> {
        let tls = link::tls_policy(connect, &server);
        let link = Link::open(connect, server).await?;
        let mut retrieval = Self { link, session: Session::new(Settings { tls, credentials }) };
        retrieval.use_scram();
        match retrieval.pause(Step::Wait).await? {
            Pause::Ready => Ok(retrieval),
            Pause::Content(_) | Pause::Done | Pause::Refused(..) | Pause::Closed => Err(out_of_step()),
        }
    }

    /// Lets the login go by SCRAM, bound to TLS where it runs.
    fn use_scram(&mut self) {
        if let Some(means) = self.link.scram_means() {
            self.session.use_scram(means);
        }
    }

    /// What the maildrop holds.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.session.messages().cloned().collect()
    }

    /// Carries out requests in this order.
    pub(crate) async fn carry_out(
        &mut self,
        requests: Vec<Request>,
        receiver: &mut impl Receiver,
    ) -> Result<(), Failure> {
        let mut step = self.session.request(requests);
        loop {
            match self.pause(step).await? {
                Pause::Ready => return Ok(()),
                Pause::Content(number) => {
                    receiver.begin(number)?;
                    self.content(receiver).await?;
                    receiver.end()?;
                }
                Pause::Refused(request, reply) => receiver.refused(request, &reply)?,
                Pause::Done => {}
                Pause::Closed => return Err(out_of_step()),
            }
            step = self.session.proceed();
        }
    }

    /// Ends the session, which makes deletions happen.
    pub(crate) async fn quit(mut self) -> Result<(), Failure> {
        let step = self.session.quit();
        match self.pause(step).await? {
            Pause::Closed => {
                self.link.close().await;
                Ok(())
            }
            Pause::Ready | Pause::Content(_) | Pause::Done | Pause::Refused(..) => Err(out_of_step()),
        }
    }

    /// Sends, reads and switches to TLS until the session wants something else.
    async fn pause(&mut self, mut step: Step) -> Result<Pause, Failure> {
        loop {
            step = match step {
                Step::Send(octets) => {
                    self.link.send(&octets);
                    self.session.line(&self.link.line().await?)
                }
                Step::Wait => self.session.line(&self.link.line().await?),
                Step::StartTls => {
                    self.link.start_tls().await?;
                    self.use_scram();
                    self.session.tls_started()
                }
                Step::Ready => return Ok(Pause::Ready),
                Step::Content(number) => return Ok(Pause::Content(number)),
                Step::Done(_) => return Ok(Pause::Done),
                Step::Refused(request, reply) => return Ok(Pause::Refused(request, reply)),
                Step::Closed => return Ok(Pause::Closed),
                Step::Failed(failure) => return Err(session_failure(&failure)),
            };
        }
    }

    /// Receives content up to its final dot.
    async fn content(&mut self, receiver: &mut impl Receiver) -> Result<(), Failure> {
        let mut unstuffer = Unstuffer::new();
        let mut content = Vec::new();
        self.link.connection().begin_content();
        loop {
            let done = match self.link.connection().read_content().await {
                Ok(octets) => unstuffer.unstuff(octets, &mut content),
                Err(error) => return Err(self.link.broken(&error)),
            };
            self.link.connection().consume(done.consumed);
            receiver.content(&content)?;
            content.clear();
            if done.ended {
                return Ok(());
            }
        }
    }
}

fn out_of_step() -> Failure {
    Failure::new(Exit::Protocol, "the server ended the session out of step")
}

fn session_failure(failure: &SessionFailure) -> Failure {
    let text = failure.to_string();
    match failure {
        SessionFailure::Refused { reply, .. } => Failure::new(exit(reply, Exit::Unavailable), text),
        SessionFailure::Login(reply) => {
            let failure = Failure::new(exit(reply, Exit::NoPermission), text);
            match reply.code() {
                None | Some(ResponseCode::Auth) => {
                    failure.advise("Check login and password; the login is often the whole address.")
                }
                Some(ResponseCode::InUse) => failure.advise("Another program is reading the maildrop now."),
                Some(
                    ResponseCode::SysTemp
                    | ResponseCode::SysPerm
                    | ResponseCode::LoginDelay
                    | ResponseCode::Utf8,
                ) => failure,
            }
        }
        SessionFailure::NoTls => Failure::new(Exit::Unavailable, text)
            .advise("With --clear the password and the mail go without TLS, for everybody to read."),
        SessionFailure::PasswordInClear => Failure::new(Exit::Unavailable, text),
        SessionFailure::Unsendable(_) => Failure::new(Exit::Usage, text),
        SessionFailure::Unexpected(_) | SessionFailure::TooMany(..) => Failure::new(Exit::Protocol, text),
        SessionFailure::Impostor => {
            Failure::new(Exit::Protocol, text).advise("Somebody may be tampering with the connection.")
        }
    }
}

/// By the response code (RFC 3206 §4, RFC 2449 §8), where there is one.
pub(crate) fn exit(reply: &Reply, otherwise: Exit) -> Exit {
    match reply.code() {
        Some(ResponseCode::SysTemp | ResponseCode::InUse | ResponseCode::LoginDelay) => Exit::TryAgain,
        Some(ResponseCode::SysPerm | ResponseCode::Utf8) => Exit::Unavailable,
        Some(ResponseCode::Auth) => Exit::NoPermission,
        None => otherwise,
    }
}
