//! The client's session: what to say next, given what the server said. Pure, as the server's session is.
//!
//! ```text
//! Greeting ─► Capa ─► Stls ─► (TLS) ─► Capa ─► Utf8 ─► Authenticating or User ─► Pass ─► Requests ◄─► Ready ─► Quit ─► Closed
//! ```

mod listing;

use std::collections::VecDeque;

use thiserror::Error;

pub use listing::Message;
use listing::{Kind, Listing};

use super::{COMMAND_LINE_OCTETS_MAX, Command, MessageNumber, Reply, Status};
use crate::sasl::{self, Credentials, Mechanism, ScramMeans};
use crate::secret::Secret;
use crate::tls_policy::{Channel, TlsPolicy};

/// Lines of an answer to CAPA that are taken.
const CAPABILITIES_MAX: usize = 200;
/// Commands in flight at one time, where the server has PIPELINING (RFC 2449 §6.8).
const GROUP_COMMANDS_MAX: usize = 32;

/// How to talk to one server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the client insists on TLS.
    pub tls: TlsPolicy,
    /// Who logs in.
    pub credentials: Credentials,
}

/// What whoever holds the connection does next.
#[derive(Debug)]
pub enum Step {
    /// Send these octets, then hand the next line to [`Session::line`].
    Send(Secret<Vec<u8>>),
    /// Hand the next line to [`Session::line`].
    Wait,
    /// Switch to TLS, then call [`Session::tls_started`].
    StartTls,
    /// Logged in, the maildrop is listed, and no request is under way: call [`Session::request`] or [`Session::quit`].
    Ready,
    /// Receive content up to its final dot, then call [`Session::proceed`].
    Content(MessageNumber),
    /// This request has been carried out; call [`Session::proceed`].
    Done(Request),
    /// The server refused this request; call [`Session::proceed`].
    Refused(Request, Reply),
    /// QUIT has been answered, and deletions are for good: close the connection.
    Closed,
    /// The session cannot go on: close the connection.
    Failed(Failure),
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `RETR`: the whole content.
    Retrieve(MessageNumber),
    /// `TOP`: the header section and some lines of the body.
    Top(MessageNumber, u64),
    /// `DELE`: delete it when the session ends with QUIT.
    Delete(MessageNumber),
}

/// Why a session cannot go on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The server refused a command that the session cannot do without.
    #[error("the server refused {command}: {}", .reply.text())]
    Refused {
        /// Which; never with its arguments.
        command: &'static str,
        /// The server's words.
        reply: Reply,
    },
    /// The server refused the login; its response code tells why (RFC 3206).
    #[error("the server did not accept the login: {}", .0.text())]
    Login(Reply),
    /// TLS is required and the server does not offer it.
    #[error("the server does not offer STLS")]
    NoTls,
    /// A password would go over a connection in clear.
    #[error("the connection is not protected by TLS, so the password was not sent")]
    PasswordInClear,
    /// The server accepted the login without having shown that it knows the password (RFC 5802 §5).
    #[error("the server did not prove that it knows the password: it may be another than it says")]
    Impostor,
    /// A login name or password cannot be sent as this server wants it.
    #[error("login name and password cannot be sent to this server: {0}")]
    Unsendable(&'static str),
    /// The server said something that is no answer.
    #[error("the server said \"{0}\", which is no answer that POP3 knows here")]
    Unexpected(String),
    /// A list is longer than a client takes.
    #[error("the server lists more than {0} {1}")]
    TooMany(usize, &'static str),
}

/// The session.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    channel: Channel,
    /// What CAPA answered last (RFC 2595 §4: what came before TLS is forgotten).
    capabilities: Vec<String>,
    /// What SCRAM needs, where the connection has given it.
    scram: Option<ScramMeans>,
    listing: Listing,
    state: State,
}

#[derive(Debug)]
enum State {
    Greeting,
    Capa,
    CapaLines,
    Stls,
    Utf8,
    Authenticating(Box<Authentication>),
    Cancelling,
    User,
    Pass,
    Requests { unsent: VecDeque<Part>, in_flight: VecDeque<Part> },
    Lines { kind: Kind, unsent: VecDeque<Part>, in_flight: VecDeque<Part> },
    Ready,
    Quit,
    Closed,
}

/// One mechanism being tried.
#[derive(Debug)]
struct Authentication {
    mechanism: Mechanism,
    exchange: sasl::Client,
    untried: VecDeque<Mechanism>,
}

/// A command in the TRANSACTION state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Stat,
    List(Kind),
    Request(Request),
}

impl Session {
    /// A new connection's session: the server speaks first, so hand its greeting to [`Self::line`].
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        let channel = settings.tls.first_channel();
        Self {
            settings,
            channel,
            capabilities: Vec::new(),
            scram: None,
            listing: Listing::new(),
            state: State::Greeting,
        }
    }

    /// Lets the login go by SCRAM where the server offers it; to be said before the greeting, and again with the
    /// channel's bindings before [`Self::tls_started`].
    pub fn use_scram(&mut self, means: ScramMeans) {
        self.scram = Some(means);
    }

    /// What the maildrop holds, by message number; complete at the first [`Step::Ready`].
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.listing.messages()
    }

    /// Takes the server's next line, without its CRLF.
    pub fn line(&mut self, line: &[u8]) -> Step {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::CapaLines => self.capability(line),
            State::Lines { kind, unsent, in_flight } => self.listed(line, kind, unsent, in_flight),
            State::Authenticating(authentication) if line.starts_with(b"+ ") || line == b"+" => {
                self.challenged(authentication, line.get(2..).unwrap_or_default())
            }
            state @ (State::Greeting
            | State::Capa
            | State::Stls
            | State::Utf8
            | State::Authenticating(_)
            | State::Cancelling
            | State::User
            | State::Pass
            | State::Requests { .. }
            | State::Ready
            | State::Quit
            | State::Closed) => match Reply::parse(line) {
                Some(reply) => self.reply(state, reply),
                None => self.unexpected(line),
            },
        }
    }

    /// TLS runs: everything the server said in clear is forgotten (RFC 2595 §4).
    pub fn tls_started(&mut self) -> Step {
        self.channel = Channel::Tls;
        self.capa()
    }

    /// Carries out requests in this order; only after [`Step::Ready`].
    pub fn request(&mut self, requests: impl IntoIterator<Item = Request>) -> Step {
        let unsent = requests.into_iter().map(Part::Request).collect();
        self.advance(unsent, VecDeque::new())
    }

    /// Goes on after [`Step::Content`], [`Step::Done`] and [`Step::Refused`].
    pub fn proceed(&mut self) -> Step {
        let state = std::mem::replace(&mut self.state, State::Closed);
        if let State::Requests { unsent, in_flight } = state {
            return self.advance(unsent, in_flight);
        }
        self.wait(state)
    }

    /// Ends the session, which makes deletions happen (RFC 1939 §6); also fitting after [`Step::Failed`].
    pub fn quit(&mut self) -> Step {
        self.state = State::Quit;
        send(&Command::Quit)
    }

    fn reply(&mut self, state: State, reply: Reply) -> Step {
        match (state, reply.status()) {
            (State::Greeting, Status::Ok) => self.capa(),
            (State::Greeting, Status::Err) => self.refused("the connection", reply),
            (State::Capa, Status::Ok) => self.wait(State::CapaLines),
            // RFC 2449 §5: a server without CAPA is a server without extensions.
            (State::Capa, Status::Err) => self.introduced(),
            (State::Stls, Status::Ok) => Step::StartTls,
            (State::Stls, Status::Err) if self.settings.tls.requires_tls() => self.refused("STLS", reply),
            (State::Stls, Status::Err) => self.login(),
            // A server that does not do it sends messages in another form.
            (State::Utf8, Status::Ok | Status::Err) => self.authenticate(),
            (State::User, Status::Ok) => {
                self.state = State::Pass;
                send(&Command::Pass(self.settings.credentials.password.clone()))
            }
            (State::Authenticating(authentication), Status::Ok)
                if authentication.exchange.accepted().is_err() =>
            {
                self.failed(Failure::Impostor)
            }
            (State::Authenticating(_) | State::Pass, Status::Ok) => self.list(),
            // A server may keep no keys for SCRAM of an old password.
            (State::Authenticating(authentication), Status::Err)
                if !authentication.mechanism.sends_password() && !authentication.untried.is_empty() =>
            {
                self.auth(authentication.untried)
            }
            (State::Cancelling, _) | (State::Authenticating(_) | State::User | State::Pass, Status::Err) => {
                self.failed(Failure::Login(reply))
            }
            (State::Requests { unsent, in_flight }, _) => self.answered(unsent, in_flight, reply),
            (State::Quit, Status::Ok) => Step::Closed,
            (State::Quit, Status::Err) => self.refused("QUIT", reply),
            (State::Ready | State::Closed | State::CapaLines | State::Lines { .. }, _) => {
                self.refused("to go on", reply)
            }
        }
    }

    fn capa(&mut self) -> Step {
        self.capabilities.clear();
        self.state = State::Capa;
        send(&Command::Capa)
    }

    /// One line of CAPA's answer.
    fn capability(&mut self, line: &[u8]) -> Step {
        if line == b"." {
            return self.introduced();
        }
        if self.capabilities.len() == CAPABILITIES_MAX {
            return self.failed(Failure::TooMany(CAPABILITIES_MAX, "capabilities"));
        }
        self.capabilities.push(String::from_utf8_lossy(line).to_ascii_uppercase());
        self.wait(State::CapaLines)
    }

    /// The arguments of a capability, where it is announced.
    fn capability_arguments(&self, name: &str) -> Option<Vec<String>> {
        self.capabilities.iter().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next() == Some(name)).then(|| words.map(str::to_owned).collect())
        })
    }

    /// The server has told what it can: TLS first, then the login.
    fn introduced(&mut self) -> Step {
        let offered = self.capability_arguments("STLS").is_some();
        match self.channel {
            Channel::Clear if offered && self.settings.tls.takes_offer() => {
                self.state = State::Stls;
                send(&Command::Stls)
            }
            Channel::Clear if self.settings.tls.requires_tls() => self.failed(Failure::NoTls),
            Channel::Clear | Channel::Tls => self.login(),
        }
    }

    fn login(&mut self) -> Step {
        if !self.settings.tls.allows_password(self.channel) {
            return self.failed(Failure::PasswordInClear);
        }
        // RFC 6856 §2.1: behind TLS and before the login, so that messages come as they were sent.
        if self.capability_arguments("UTF8").is_some() {
            self.state = State::Utf8;
            return send(&Command::Utf8 { user: false });
        }
        self.authenticate()
    }

    fn authenticate(&mut self) -> Step {
        let offered = self.capability_arguments("SASL").unwrap_or_default();
        self.auth(Mechanism::offered(&offered, self.scram.as_ref()))
    }

    /// Tries the next mechanism.
    fn auth(&mut self, mut untried: VecDeque<Mechanism>) -> Step {
        let Some((mechanism, mut exchange)) = untried.pop_front().and_then(|next| self.exchange(next)) else {
            return self.user(self.settings.credentials.clone());
        };
        let mut octets = auth_line(mechanism, exchange.initial());
        if octets.expose().len() > COMMAND_LINE_OCTETS_MAX + "\r\n".len()
            && let Some((_, again)) = self.exchange(mechanism)
        {
            // RFC 5034 §4: what does not fit a command line comes after a challenge.
            exchange = again;
            octets = auth_line(mechanism, None);
        }
        self.state = State::Authenticating(Box::new(Authentication { mechanism, exchange, untried }));
        Step::Send(octets)
    }

    fn exchange(&self, mechanism: Mechanism) -> Option<(Mechanism, sasl::Client)> {
        let credentials = self.settings.credentials.clone();
        let exchange = sasl::Client::with_password(mechanism, credentials, self.scram.as_ref())?;
        Some((mechanism, exchange))
    }

    /// `USER` and `PASS`, where there is no SASL.
    fn user(&mut self, credentials: Credentials) -> Step {
        let too_long = |text: &str| text.len() + "USER ".len() > COMMAND_LINE_OCTETS_MAX;
        let password = credentials.password.expose();
        if credentials.login.chars().chain(password.chars()).any(char::is_control) {
            return self.failed(Failure::Unsendable("there is a control character in them"));
        }
        if too_long(&credentials.login) || too_long(password) {
            return self.failed(Failure::Unsendable("they are too long"));
        }
        self.state = State::User;
        send(&Command::User(credentials.login))
    }

    fn challenged(&mut self, mut authentication: Box<Authentication>, challenge: &[u8]) -> Step {
        let Ok(response) = authentication.exchange.respond(challenge) else {
            self.state = State::Cancelling;
            return Step::Send(Secret::new(b"*\r\n".to_vec()));
        };
        self.state = State::Authenticating(authentication);
        Step::Send(Secret::new(format!("{}\r\n", response.expose()).into_bytes()))
    }

    /// Logged in: what is there? UIDL may be refused, since it is optional (RFC 1939 §7).
    fn list(&mut self) -> Step {
        let parts = [Part::Stat, Part::List(Kind::UniqueIds), Part::List(Kind::Sizes)];
        self.advance(VecDeque::from(parts), VecDeque::new())
    }

    fn advance(&mut self, mut unsent: VecDeque<Part>, mut in_flight: VecDeque<Part>) -> Step {
        if !in_flight.is_empty() {
            return self.wait(State::Requests { unsent, in_flight });
        }
        let pipelining = self.capability_arguments("PIPELINING").is_some();
        let group_max = if pipelining { GROUP_COMMANDS_MAX } else { 1 };
        let mut octets = Vec::new();
        for part in unsent.drain(..group_max.min(unsent.len())) {
            octets.extend_from_slice(&part.command().encode());
            in_flight.push_back(part);
        }
        if in_flight.is_empty() {
            self.state = State::Ready;
            return Step::Ready;
        }
        self.state = State::Requests { unsent, in_flight };
        Step::Send(Secret::new(octets))
    }

    /// The status line of the oldest command in flight.
    fn answered(&mut self, unsent: VecDeque<Part>, mut in_flight: VecDeque<Part>, reply: Reply) -> Step {
        let part = in_flight.pop_front();
        match (part, reply.status()) {
            (None, _) => self.refused("to go on", reply),
            (Some(Part::Stat), Status::Ok) => match Listing::check_stat(reply.text()) {
                Ok(()) => self.advance(unsent, in_flight),
                Err(failure) => self.failed(failure),
            },
            (Some(Part::Stat), Status::Err) => self.refused("STAT", reply),
            (Some(Part::List(kind)), Status::Ok) => self.wait(State::Lines { kind, unsent, in_flight }),
            (Some(Part::List(Kind::UniqueIds)), Status::Err) => self.advance(unsent, in_flight),
            (Some(Part::List(Kind::Sizes)), Status::Err) => self.refused("LIST", reply),
            (Some(Part::Request(request)), status) => {
                self.state = State::Requests { unsent, in_flight };
                match (request, status) {
                    (Request::Retrieve(number) | Request::Top(number, _), Status::Ok) => {
                        Step::Content(number)
                    }
                    (Request::Delete(_), Status::Ok) => Step::Done(request),
                    (_, Status::Err) => Step::Refused(request, reply),
                }
            }
        }
    }

    /// One line of UIDL's or LIST's answer.
    fn listed(&mut self, line: &[u8], kind: Kind, unsent: VecDeque<Part>, in_flight: VecDeque<Part>) -> Step {
        if line == b"." {
            return self.advance(unsent, in_flight);
        }
        match self.listing.line(kind, line) {
            Ok(()) => self.wait(State::Lines { kind, unsent, in_flight }),
            Err(failure) => self.failed(failure),
        }
    }

    fn wait(&mut self, state: State) -> Step {
        self.state = state;
        Step::Wait
    }

    fn unexpected(&mut self, line: &[u8]) -> Step {
        self.failed(Failure::unexpected(line))
    }

    fn refused(&mut self, command: &'static str, reply: Reply) -> Step {
        self.failed(Failure::Refused { command, reply })
    }

    fn failed(&mut self, failure: Failure) -> Step {
        self.state = State::Closed;
        Step::Failed(failure)
    }
}

impl Failure {
    /// With as much of the line as one wants to see, harmless for a terminal.
    fn unexpected(line: &[u8]) -> Self {
        let shown = crate::escape::escaped(line);
        Self::Unexpected(shown.chars().take(100).collect())
    }
}

impl Part {
    const fn command(self) -> Command {
        match self {
            Self::Stat => Command::Stat,
            Self::List(Kind::UniqueIds) => Command::Uidl(None),
            Self::List(Kind::Sizes) => Command::List(None),
            Self::Request(Request::Retrieve(number)) => Command::Retr(number),
            Self::Request(Request::Top(number, lines)) => Command::Top(number, lines),
            Self::Request(Request::Delete(number)) => Command::Dele(number),
        }
    }
}

fn send(command: &Command) -> Step {
    Step::Send(Secret::new(command.encode()))
}

fn auth_line(mechanism: Mechanism, initial: Option<Secret<String>>) -> Secret<Vec<u8>> {
    Secret::new(Command::Auth { mechanism: mechanism.name().to_owned(), initial }.encode())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// Plays a script: `S:` is what the server says, `C:` what the session must answer, `[...]` a step without octets,
    /// `(...)` a call.
    fn play(session: &mut Session, script: &str) {
        let mut said: Vec<String> = Vec::new();
        for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("S: ") {
                assert_eq!(said, [] as [&str; 0], "the session said more than the script");
                said = shown(session.line(text.as_bytes()));
            } else if line.starts_with('(') {
                assert_eq!(said, [] as [&str; 0], "the session said more than the script");
                said = shown(match line {
                    "(tls started)" => session.tls_started(),
                    "(proceed)" => session.proceed(),
                    "(quit)" => session.quit(),
                    "(fetch)" => session.request([
                        Request::Retrieve(number(1)),
                        Request::Retrieve(number(2)),
                        Request::Delete(number(1)),
                    ]),
                    _ => panic!("{line}"),
                });
            } else {
                let line = line.strip_prefix("C: ").unwrap_or(line);
                assert!(!said.is_empty(), "nothing was said where the script has {line:?}");
                assert_eq!(said.remove(0), line);
            }
        }
        assert_eq!(said, [] as [&str; 0], "the session said more than the script");
    }

    fn number(number: u32) -> MessageNumber {
        MessageNumber::new(NonZeroU32::new(number).unwrap())
    }

    fn shown(step: Step) -> Vec<String> {
        match step {
            Step::Send(octets) => {
                let text = String::from_utf8(octets.expose().clone()).unwrap();
                assert!(text.ends_with("\r\n"));
                text.split_terminator("\r\n").map(str::to_owned).collect()
            }
            Step::Wait => vec![],
            Step::StartTls => vec!["[start tls]".to_owned()],
            Step::Ready => vec!["[ready]".to_owned()],
            Step::Content(number) => vec![format!("[content of {number}]")],
            Step::Done(request) => vec![format!("[done: {request:?}]")],
            Step::Refused(request, reply) => vec![format!("[refused: {request:?}: {}]", reply.text())],
            Step::Closed => vec!["[closed]".to_owned()],
            Step::Failed(failure) => vec![format!("[failed: {failure}]")],
        }
    }

    fn session(tls: TlsPolicy, password: &str) -> Session {
        let password = Secret::new(password.to_owned());
        Session::new(Settings { tls, credentials: Credentials { login: "a".to_owned(), password } })
    }

    #[test]
    fn a_fetch_goes_by_stls_and_sasl_with_pipelining() {
        let mut session = session(TlsPolicy::Required, "pw");
        play(
            &mut session,
            "S: +OK hi
             C: CAPA
             S: +OK
             S: STLS
             S: .
             C: STLS
             S: +OK go
             [start tls]
             (tls started)
             C: CAPA
             S: +OK
             S: SASL LOGIN PLAIN
             S: PIPELINING
             S: .
             C: AUTH PLAIN AGEAcHc=
             S: +OK in
             C: STAT
             C: UIDL
             C: LIST
             S: +OK 2 30
             S: +OK
             S: 1 uid-1
             S: 2 uid-2
             S: .
             S: +OK
             S: 1 10
             S: 2 20
             S: .
             [ready]
             (fetch)
             C: RETR 1
             C: RETR 2
             C: DELE 1
             S: +OK 10 octets
             [content of 1]
             (proceed)
             S: -ERR [SYS/TEMP] later
             [refused: Retrieve(MessageNumber(2)): later]
             (proceed)
             S: +OK gone
             [done: Delete(MessageNumber(1))]
             (proceed)
             [ready]
             (quit)
             C: QUIT
             S: +OK bye
             [closed]",
        );
        let sizes: Vec<_> = session.messages().map(|message| message.octets).collect();
        assert_eq!(sizes, [10, 20]);
    }

    #[test]
    fn messages_are_asked_for_as_they_are_where_the_server_has_another_form() {
        for answer in ["+OK as you like", "-ERR not now"] {
            let script = format!(
                "S: +OK
                 C: CAPA
                 S: +OK
                 S: UTF8 USER
                 S: .
                 C: UTF8
                 S: {answer}
                 C: USER a
                 S: +OK
                 C: PASS pw
                 S: -ERR no
                 [failed: the server did not accept the login: no]"
            );
            play(&mut session(TlsPolicy::Implicit, "pw"), &script);
        }
    }

    #[test]
    fn an_old_server_is_asked_step_by_step_with_user_and_pass() {
        let mut session = session(TlsPolicy::Implicit, "p w");
        play(
            &mut session,
            "S: +OK
             C: CAPA
             S: -ERR what
             C: USER a
             S: +OK
             C: PASS p w
             S: +OK
             C: STAT
             S: +OK 1 10
             C: UIDL
             S: -ERR what
             C: LIST
             S: +OK
             S: 1 10
             S: .
             [ready]
             (fetch)
             C: RETR 1
             S: +OK
             [content of 1]
             (proceed)
             C: RETR 2
             S: -ERR no such
             [refused: Retrieve(MessageNumber(2)): no such]
             (proceed)
             C: DELE 1
             S: +OK
             [done: Delete(MessageNumber(1))]
             (proceed)
             [ready]",
        );
        assert!(session.messages().all(|message| message.unique_id.is_none()));
    }

    #[test]
    fn a_server_that_hides_stls_gets_no_password() {
        let script = "S: +OK\nC: CAPA\nS: +OK\nS: USER\nS: .\n";
        let no_tls = script.to_owned() + "[failed: the server does not offer STLS]";
        play(&mut session(TlsPolicy::Required, "pw"), &no_tls);
        let in_clear = "[failed: the connection is not protected by TLS, so the password was not sent]";
        play(&mut session(TlsPolicy::WhenOffered, "pw"), &(script.to_owned() + in_clear));
        play(&mut session(TlsPolicy::Never, "pw"), &(script.to_owned() + "C: USER a"));
        play(&mut session(TlsPolicy::Local, "pw"), &(script.to_owned() + "C: USER a"));
    }

    #[test]
    fn the_servers_words_tell_why_a_login_failed() {
        let mut refused = session(TlsPolicy::Never, "pw");
        play(&mut refused, "S: +OK\nC: CAPA\nS: -ERR\nC: USER a\nS: +OK\nC: PASS pw");
        let Step::Failed(Failure::Login(reply)) = refused.line(b"-ERR [IN-USE] busy") else { panic!() };
        assert_eq!((reply.code(), reply.text()), (Some(super::super::ResponseCode::InUse), "busy"));
    }

    #[test]
    fn a_long_password_goes_in_two_steps() {
        let long = "x".repeat(200);
        let script = format!(
            "S: +OK
             C: CAPA
             S: +OK
             S: SASL PLAIN
             S: .
             C: AUTH PLAIN
             S: + 
             C: {}
             S: +  
             C: *
             S: -ERR cancelled
             [failed: the server did not accept the login: cancelled]",
            sasl::encode(format!("\0a\0{long}").as_bytes())
        );
        play(&mut session(TlsPolicy::Implicit, &long), &script.replace("S: +  ", "S: + bW9yZQ=="));
    }

    #[test]
    fn what_cannot_be_sent_by_user_and_pass_is_not_sent_mangled() {
        for password in ["a\r\nDELE 1", &"x".repeat(249)] {
            let mut session = session(TlsPolicy::Never, password);
            play(&mut session, "S: +OK\nC: CAPA");
            assert!(matches!(session.line(b"-ERR"), Step::Failed(Failure::Unsendable(_))), "{password:?}");
        }
    }

    #[test]
    fn a_deletion_that_quit_did_not_confirm_has_not_happened() {
        let mut session = session(TlsPolicy::Never, "pw");
        play(
            &mut session,
            "(quit)
             C: QUIT
             S: -ERR [SYS/TEMP] some messages were not deleted
             [failed: the server refused QUIT: some messages were not deleted]",
        );
    }

    #[test]
    fn what_is_no_answer_ends_the_session() {
        let script = "S: 220 smtp.example ESMTP\n[failed: the server said \"220 smtp.example ESMTP\", which is no answer that POP3 knows here]";
        play(&mut session(TlsPolicy::Never, "pw"), script);
        let mut endless = session(TlsPolicy::Never, "pw");
        play(&mut endless, "S: +OK\nC: CAPA\nS: +OK");
        let failed =
            (0..=CAPABILITIES_MAX).map(|_| endless.line(b"X")).find(|step| matches!(step, Step::Failed(_)));
        assert!(matches!(failed, Some(Step::Failed(Failure::TooMany(..)))));
    }

    #[test]
    fn a_group_of_pipelined_commands_is_bounded() {
        let mut session = session(TlsPolicy::Never, "pw");
        session.capabilities.push("PIPELINING".to_owned());
        let first = shown(session.request((1..=70).map(|n| Request::Retrieve(number(n)))));
        assert_eq!(first.len(), GROUP_COMMANDS_MAX);
    }

    #[test]
    fn no_secret_shows_in_a_session() {
        let session = session(TlsPolicy::Never, "hunter2");
        assert!(!format!("{session:?}").contains("hunter2"));
    }
}
