//! The client's session: what to say next, given what the server said. Pure, as the server's session is.
//!
//! ```text
//! Greeting ─► Ehlo ─► StartTls ─► (TLS) ─► Ehlo ─► Authenticating ─► Ready ◄─► Transaction
//!               └─► Helo ──────────────────────────────────────────►   └─► Quit ─► Closed
//! ```

mod transaction;

use std::collections::VecDeque;

use thiserror::Error;

pub use transaction::{Content, Envelope, Reason, Recipient, Requests, Verdict};
use transaction::{Progress, Transaction};

use super::{Command, Extension, Hello, Reply};
use crate::sasl::{self, BearerToken, Credentials, Mechanism, ScramMeans};
use crate::secret::Secret;
use crate::tls_policy::{Channel, TlsPolicy};

/// Most octets of an AUTH line with an initial response; a longer one goes in two steps (RFC 4954 §4).
const AUTH_COMMAND_OCTETS_MAX: usize = 512;

/// How to talk to one server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the client calls itself.
    pub hello: Hello,
    /// Whether it insists on TLS.
    pub tls: TlsPolicy,
    /// Who logs in; `None` where nobody does.
    pub login: Option<Login>,
}

/// By what a client logs in.
#[derive(Clone, Debug)]
pub enum Login {
    /// A password: SCRAM-SHA-256 where it can be, else PLAIN or LOGIN.
    Password(Credentials),
    /// A token: OAUTHBEARER or XOAUTH2.
    Token(BearerToken),
}

/// What whoever holds the connection does next.
#[derive(Debug)]
pub enum Step {
    /// Send these octets, then hand the next reply to [`Session::reply`].
    Send(Secret<Vec<u8>>),
    /// Hand the next reply to [`Session::reply`].
    Wait,
    /// Switch to TLS, then call [`Session::tls_started`].
    StartTls,
    /// Nothing is under way: call [`Session::transaction`] or [`Session::quit`].
    Ready,
    /// Send the content, dot-stuffed and ended, then hand the next reply to [`Session::reply`].
    Content,
    /// The transaction has ended, with a verdict for each recipient in the envelope's order. As [`Self::Ready`].
    Ended(Vec<Verdict>),
    /// QUIT has been answered: close the connection.
    Closed,
    /// The session cannot go on: close the connection.
    Failed(Failure),
}

/// Why a session cannot go on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The server refused a command that the session cannot do without.
    #[error("the server refused {command}: {reply}")]
    Refused {
        /// Which; never with its arguments.
        command: &'static str,
        /// The server's words.
        reply: Reply,
    },
    /// The server refused login or password.
    #[error("the server did not accept the login: {0}")]
    Login(Reply),
    /// TLS is required and the server does not offer it.
    #[error("the server does not offer STARTTLS")]
    NoTls,
    /// A password would go over a connection in clear.
    #[error("the connection is not protected by TLS, so the password was not sent")]
    PasswordInClear,
    /// The server offers no mechanism that the client has.
    #[error("the server offers neither AUTH PLAIN nor AUTH LOGIN")]
    NoMechanism,
    /// The server takes no tokens.
    #[error("the server offers neither AUTH OAUTHBEARER nor AUTH XOAUTH2")]
    NoTokens,
    /// The server accepted the login without having shown that it knows the password (RFC 5802 §5).
    #[error("the server did not prove that it knows the password: it may be another than it says")]
    Impostor,
    /// The server answered something that is no answer to the command.
    #[error("the server answered {command} with: {reply}")]
    Unexpected {
        /// Which command.
        command: &'static str,
        /// The server's words.
        reply: Reply,
    },
}

/// The session.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    channel: Channel,
    /// What EHLO announced last (RFC 3207 §4.2: what came before TLS is forgotten).
    extensions: Vec<Extension>,
    /// What SCRAM needs, where the connection has given it.
    scram: Option<ScramMeans>,
    state: State,
    /// A transaction that did not reach its end is still open at the server.
    leftover: Leftover,
}

#[derive(Debug)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Authenticating(Box<Authentication>),
    Cancelling,
    Ready,
    Transaction(Box<Transaction>),
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

/// Whether RSET must come before the next MAIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftover {
    None,
    Transaction,
}

impl Session {
    /// A new connection's session: the server speaks first, so hand its greeting to [`Self::reply`].
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        let channel = settings.tls.first_channel();
        Self {
            settings,
            channel,
            extensions: Vec::new(),
            scram: None,
            state: State::Greeting,
            leftover: Leftover::None,
        }
    }

    /// Lets the login go by SCRAM where the server offers it; to be said before the greeting, and again with the
    /// channel's bindings before [`Self::tls_started`].
    pub fn use_scram(&mut self, means: ScramMeans) {
        self.scram = Some(means);
    }

    /// What EHLO announced.
    #[must_use]
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// Takes the server's next reply.
    pub fn reply(&mut self, reply: Reply) -> Step {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Greeting if reply.code() == 220 => self.ehlo(),
            State::Greeting => self.refused("the connection", reply),
            State::Ehlo => self.ehlo_answered(reply),
            State::Helo if reply.is_positive() => self.introduced(),
            State::Helo => self.refused("HELO", reply),
            State::StartTls => self.start_tls_answered(reply),
            State::Authenticating(authentication) => self.auth_answered(authentication, reply),
            State::Cancelling => self.failed(Failure::Login(reply)),
            State::Transaction(transaction) => self.transaction_answered(transaction, reply),
            State::Quit => Step::Closed,
            // A reply that nothing asked for, most often 421: the server is going away (RFC 5321 §3.8).
            State::Ready | State::Closed => self.refused("to go on", reply),
        }
    }

    /// TLS runs: everything the server said in clear is forgotten (RFC 3207 §4.2).
    pub fn tls_started(&mut self) -> Step {
        self.channel = Channel::Tls;
        self.extensions.clear();
        self.ehlo()
    }

    /// Starts a transaction; only after [`Step::Ready`] or [`Step::Ended`].
    pub fn transaction(&mut self, envelope: Envelope) -> Step {
        match self.state {
            State::Ready => {}
            State::Closed
            | State::Greeting
            | State::Ehlo
            | State::Helo
            | State::StartTls
            | State::Authenticating(_)
            | State::Cancelling
            | State::Transaction(_)
            | State::Quit => return Step::Ended(Reason::NotReady.for_all(&envelope)),
        }
        if let Some(reason) = Reason::missing_extension(&envelope, &self.extensions) {
            return Step::Ended(reason.for_all(&envelope));
        }
        let mut transaction = Transaction::new(envelope, &self.extensions);
        if std::mem::replace(&mut self.leftover, Leftover::None) == Leftover::Transaction {
            transaction.reset_first();
        }
        self.advance(Box::new(transaction))
    }

    /// Says goodbye (RFC 5321 §4.1.1.10); also fitting after [`Step::Failed`], as long as the connection is there.
    pub fn quit(&mut self) -> Step {
        self.state = State::Quit;
        send(&Command::Quit)
    }

    fn ehlo(&mut self) -> Step {
        self.state = State::Ehlo;
        send(&Command::Ehlo(self.settings.hello.clone()))
    }

    fn ehlo_answered(&mut self, reply: Reply) -> Step {
        if reply.is_positive() {
            self.extensions = reply.lines().skip(1).map(Extension::parse).collect();
            return self.introduced();
        }
        // RFC 5321 §3.2: a server that does not know EHLO is asked with HELO; it has nothing of what follows.
        let needs_extensions = self.settings.login.is_some() || self.settings.tls == TlsPolicy::Required;
        if reply.code() / 100 == 5 && !needs_extensions {
            self.state = State::Helo;
            return send(&Command::Helo(self.settings.hello.clone()));
        }
        self.refused("EHLO", reply)
    }

    /// The server has told what it can: TLS first, then the login.
    fn introduced(&mut self) -> Step {
        let offered = self.extensions.contains(&Extension::StartTls);
        match self.channel {
            Channel::Clear if offered && self.settings.tls.takes_offer() => {
                self.state = State::StartTls;
                send(&Command::StartTls)
            }
            Channel::Clear if self.settings.tls.requires_tls() => self.failed(Failure::NoTls),
            Channel::Clear | Channel::Tls => self.login(),
        }
    }

    fn start_tls_answered(&mut self, reply: Reply) -> Step {
        match reply.code() {
            220 => Step::StartTls,
            _ if self.settings.tls.requires_tls() => self.refused("STARTTLS", reply),
            _ => self.login(),
        }
    }

    fn login(&mut self) -> Step {
        let Some(login) = &self.settings.login else { return self.ready() };
        if !self.settings.tls.allows_password(self.channel) {
            return self.failed(Failure::PasswordInClear);
        }
        let offered = self.extensions.iter().find_map(|extension| {
            if let Extension::Auth(mechanisms) = extension { Some(mechanisms.as_slice()) } else { None }
        });
        let offered = offered.unwrap_or_default();
        let untried = match login {
            Login::Password(_) => Mechanism::offered(offered, self.scram.as_ref()),
            Login::Token(_) => Mechanism::offered_for_tokens(offered),
        };
        self.auth(untried)
    }

    /// Tries the next mechanism.
    fn auth(&mut self, mut untried: VecDeque<Mechanism>) -> Step {
        let Some((mechanism, mut exchange)) = untried.pop_front().and_then(|next| self.exchange(next)) else {
            return self.failed(match self.settings.login {
                Some(Login::Token(_)) => Failure::NoTokens,
                Some(Login::Password(_)) | None => Failure::NoMechanism,
            });
        };
        let mut octets = auth_line(mechanism, exchange.initial());
        if octets.expose().len() > AUTH_COMMAND_OCTETS_MAX
            && let Some((_, again)) = self.exchange(mechanism)
        {
            exchange = again;
            octets = auth_line(mechanism, None);
        }
        self.state = State::Authenticating(Box::new(Authentication { mechanism, exchange, untried }));
        Step::Send(octets)
    }

    fn exchange(&self, mechanism: Mechanism) -> Option<(Mechanism, sasl::Client)> {
        let exchange = match self.settings.login.clone()? {
            Login::Password(credentials) => {
                sasl::Client::with_password(mechanism, credentials, self.scram.as_ref())?
            }
            Login::Token(token) => sasl::Client::with_token(mechanism, &token),
        };
        Some((mechanism, exchange))
    }

    fn auth_answered(&mut self, mut authentication: Box<Authentication>, reply: Reply) -> Step {
        let has_another = !authentication.untried.is_empty();
        match reply.code() {
            235 if authentication.exchange.accepted().is_err() => self.failed(Failure::Impostor),
            235 => self.ready(),
            334 => {
                let challenge = reply.lines().next().unwrap_or_default();
                let Ok(response) = authentication.exchange.respond(challenge.as_bytes()) else {
                    self.state = State::Cancelling;
                    return Step::Send(Secret::new(b"*\r\n".to_vec()));
                };
                self.state = State::Authenticating(authentication);
                Step::Send(Secret::new(format!("{}\r\n", response.expose()).into_bytes()))
            }
            // Announced and not known after all: the other one may be.
            500..=504 if has_another => self.auth(authentication.untried),
            // A server may keep no keys for SCRAM of an old password.
            535 if has_another && !authentication.mechanism.sends_password() => {
                self.auth(authentication.untried)
            }
            _ => self.failed(Failure::Login(reply)),
        }
    }

    fn ready(&mut self) -> Step {
        self.state = State::Ready;
        Step::Ready
    }

    fn transaction_answered(&mut self, mut transaction: Box<Transaction>, reply: Reply) -> Step {
        match transaction.reply(reply) {
            Ok(()) => self.advance(transaction),
            Err(failure) => self.failed(failure),
        }
    }

    /// Carries on with what a transaction wants next.
    fn advance(&mut self, mut transaction: Box<Transaction>) -> Step {
        let step = match transaction.next() {
            Progress::Send(octets) => Step::Send(Secret::new(octets)),
            Progress::Wait => Step::Wait,
            Progress::Content => Step::Content,
            Progress::Ended => {
                self.state = State::Ready;
                if transaction.is_open() {
                    self.leftover = Leftover::Transaction;
                }
                return Step::Ended(transaction.verdicts());
            }
            Progress::Gone => return Step::Ended(transaction.verdicts()),
        };
        self.state = State::Transaction(transaction);
        step
    }

    fn refused(&mut self, command: &'static str, reply: Reply) -> Step {
        self.failed(Failure::Refused { command, reply })
    }

    fn failed(&mut self, failure: Failure) -> Step {
        self.state = State::Closed;
        Step::Failed(failure)
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
    use super::*;
    use crate::address::{Domain, Mailbox, ReversePath};
    use crate::smtp::{ByMode, DeliverBy, Notify, OriginalRecipient, Return};

    /// Plays a script: `S:` is what the server says, `C:` what the session must answer, `[...]` a step without octets.
    fn play(session: &mut Session, script: &str) {
        let mut reader = super::super::ReplyReader::default();
        let mut said: Vec<String> = Vec::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("S: ") {
                let Some(reply) = reader.line(text.as_bytes()).unwrap() else { continue };
                assert_eq!(said, [] as [&str; 0], "the session said more than the script");
                said = shown(session.reply(reply));
            } else {
                let line = line.strip_prefix("C: ").unwrap_or(line);
                if said.is_empty() {
                    said = match line {
                        "(tls started)" => shown(session.tls_started()),
                        "(quit)" => shown(session.quit()),
                        "(send)" => shown(
                            session.transaction(envelope(Content::SevenBit, &["b@b.example", "c@c.example"])),
                        ),
                        _ => panic!("nothing was said where the script has {line:?}"),
                    };
                    if line.starts_with('(') {
                        continue;
                    }
                }
                assert_eq!(said.remove(0), line);
            }
        }
        assert_eq!(said, [] as [&str; 0], "the session said more than the script");
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
            Step::Content => vec!["[content]".to_owned()],
            Step::Ended(verdicts) => verdicts.iter().map(verdict).collect(),
            Step::Closed => vec!["[closed]".to_owned()],
            Step::Failed(failure) => vec![format!("[failed: {failure}]")],
        }
    }

    fn verdict(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Accepted(reply) => format!("[accepted: {reply}]"),
            Verdict::Deferred(reason) => format!("[deferred: {reason}]"),
            Verdict::Refused(reason) => format!("[refused: {reason}]"),
        }
    }

    fn envelope(content: Content, recipients: &[&str]) -> Envelope {
        Envelope {
            reverse_path: ReversePath::Mailbox(Mailbox::parse("a@a.example").unwrap()),
            recipients: recipients.iter().map(|text| Mailbox::parse(text).unwrap().into()).collect(),
            content_octets: 1000,
            content,
            requests: Requests::default(),
        }
    }

    fn session(tls: TlsPolicy, password: Option<&str>) -> Session {
        let login = password.map(|password| {
            let password = Secret::new(password.to_owned());
            Login::Password(Credentials { login: "a".to_owned(), password })
        });
        Session::new(Settings { hello: Hello::Domain(Domain::parse("c.example").unwrap()), tls, login })
    }

    /// A session without TLS and login that is ready, with what `extensions` announce.
    fn ready(extensions: &[&str]) -> Session {
        let mut session = session(TlsPolicy::Never, None);
        play(&mut session, "S: 220 hi\nC: EHLO c.example");
        let mut reply = Reply::plain(250, "hi");
        for extension in extensions {
            reply = reply.and((*extension).to_owned());
        }
        assert_eq!(shown(session.reply(reply)), ["[ready]"]);
        session
    }

    #[test]
    fn submission_goes_by_starttls_and_login() {
        let mut session = session(TlsPolicy::Required, Some("pw"));
        play(
            &mut session,
            "S: 220 s.example ESMTP
             C: EHLO c.example
             S: 250-s.example
             S: 250-AUTH PLAIN
             S: 250 STARTTLS
             C: STARTTLS
             S: 220 2.0.0 go
             [start tls]
             (tls started)
             C: EHLO c.example
             S: 250-s.example
             S: 250-SIZE 5000
             S: 250-PIPELINING
             S: 250 AUTH LOGIN PLAIN
             C: AUTH PLAIN AGEAcHc=
             S: 235 2.7.0 ok
             [ready]
             (send)
             C: MAIL FROM:<a@a.example> SIZE=1000
             C: RCPT TO:<b@b.example>
             C: RCPT TO:<c@c.example>
             C: DATA
             S: 250 2.1.0 ok
             S: 550 5.1.1 no such
             S: 250 2.1.5 ok
             S: 354 go
             [content]
             S: 250 2.0.0 taken
             [refused: RCPT was answered with: 550 5.1.1 no such]
             [accepted: 250 2.0.0 taken]
             (quit)
             C: QUIT
             S: 221 2.0.0 bye
             [closed]",
        );
    }

    #[test]
    fn a_server_that_hides_starttls_gets_nothing() {
        let script = "S: 220 hi\nC: EHLO c.example\nS: 250-hi\nS: 250 AUTH PLAIN\n";
        let refused = script.to_owned() + "[failed: the server does not offer STARTTLS]";
        play(&mut session(TlsPolicy::Required, Some("pw")), &refused);
        let in_clear = "[failed: the connection is not protected by TLS, so the password was not sent]";
        play(&mut session(TlsPolicy::WhenOffered, Some("pw")), &(script.to_owned() + in_clear));
        play(&mut session(TlsPolicy::WhenOffered, None), &(script.to_owned() + "[ready]"));
        for tls in [TlsPolicy::Never, TlsPolicy::Local] {
            play(&mut session(tls, Some("pw")), &(script.to_owned() + "C: AUTH PLAIN AGEAcHc="));
        }
    }

    #[test]
    fn what_was_announced_before_tls_is_forgotten() {
        let mut session = session(TlsPolicy::Required, Some("pw"));
        play(
            &mut session,
            "S: 220 hi
             C: EHLO c.example
             S: 250-hi
             S: 250-AUTH PLAIN
             S: 250 STARTTLS
             C: STARTTLS
             S: 220 go
             [start tls]
             (tls started)
             C: EHLO c.example
             S: 250 hi
             [failed: the server offers neither AUTH PLAIN nor AUTH LOGIN]",
        );
    }

    #[test]
    fn a_refused_starttls_ends_the_session_unless_tls_is_optional() {
        let script =
            "S: 220 hi\nC: EHLO c.example\nS: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now\n";
        let failed = script.to_owned() + "[failed: the server refused STARTTLS: 454 4.7.0 not now]";
        play(&mut session(TlsPolicy::Required, None), &failed);
        play(&mut session(TlsPolicy::WhenOffered, None), &(script.to_owned() + "[ready]"));
    }

    #[test]
    fn a_server_without_ehlo_is_asked_with_helo() {
        let script = "S: 220 hi\nC: EHLO c.example\nS: 502 what\n";
        let helo = script.to_owned() + "C: HELO c.example\nS: 250 hi\n[ready]";
        play(&mut session(TlsPolicy::WhenOffered, None), &helo);
        let failed = script.to_owned() + "[failed: the server refused EHLO: 502 what]";
        play(&mut session(TlsPolicy::Required, None), &failed);
    }

    #[test]
    fn a_greeting_that_is_not_220_ends_the_session() {
        let mut session = session(TlsPolicy::Never, None);
        play(
            &mut session,
            "S: 554 no
             [failed: the server refused the connection: 554 no]
             (quit)
             C: QUIT
             S: 221 bye
             [closed]",
        );
    }

    #[test]
    fn login_goes_in_three_steps_and_plain_in_two_where_it_is_long() {
        let script = "S: 220 hi
             C: EHLO c.example
             S: 250-hi
             S: 250 AUTH LOGIN
             C: AUTH LOGIN
             S: 334 VXNlcm5hbWU6
             C: YQ==
             S: 334 UGFzc3dvcmQ6
             C: cHc=
             S: 235 2.7.0 ok
             [ready]";
        play(&mut session(TlsPolicy::Implicit, Some("pw")), script);
        let long = "x".repeat(400);
        let script = format!(
            "S: 220 hi
             C: EHLO c.example
             S: 250-hi
             S: 250 AUTH PLAIN
             C: AUTH PLAIN
             S: 334
             C: {}
             S: 535 5.7.8 no
             [failed: the server did not accept the login: 535 5.7.8 no]",
            sasl::encode(format!("\0a\0{long}").as_bytes())
        );
        play(&mut session(TlsPolicy::Implicit, Some(&long)), &script);
    }

    #[test]
    fn a_challenge_too_many_is_cancelled_and_another_mechanism_tried_where_one_is_not_known() {
        let script = "S: 220 hi
             C: EHLO c.example
             S: 250-hi
             S: 250 AUTH PLAIN LOGIN
             C: AUTH PLAIN AGEAcHc=
             S: 504 5.5.4 not known
             C: AUTH LOGIN
             S: 334 VXNlcm5hbWU6
             C: YQ==
             S: 334 UGFzc3dvcmQ6
             C: cHc=
             S: 334 bW9yZQ==
             C: *
             S: 501 5.7.0 cancelled
             [failed: the server did not accept the login: 501 5.7.0 cancelled]";
        play(&mut session(TlsPolicy::Implicit, Some("pw")), script);
    }

    #[test]
    fn without_pipelining_each_reply_is_awaited_and_a_failed_transaction_is_reset() {
        let mut session = ready(&[]);
        play(
            &mut session,
            "(send)
             C: MAIL FROM:<a@a.example>
             S: 250 ok
             C: RCPT TO:<b@b.example>
             S: 552 too many
             C: RCPT TO:<c@c.example>
             S: 552 too many
             [deferred: RCPT was answered with: 552 too many]
             [deferred: RCPT was answered with: 552 too many]
             (send)
             C: RSET
             S: 250 ok
             C: MAIL FROM:<a@a.example>
             S: 553 5.7.1 not yours
             [refused: MAIL was answered with: 553 5.7.1 not yours]
             [refused: MAIL was answered with: 553 5.7.1 not yours]
             (send)
             C: MAIL FROM:<a@a.example>",
        );
    }

    #[test]
    fn where_nobody_is_accepted_and_data_is_all_the_same_only_a_dot_follows() {
        let mut session = ready(&["PIPELINING"]);
        play(
            &mut session,
            "(send)
             C: MAIL FROM:<a@a.example>
             C: RCPT TO:<b@b.example>
             C: RCPT TO:<c@c.example>
             C: DATA
             S: 250 ok
             S: 550 no
             S: 450 later
             S: 354 go
             C: .
             S: 554 nobody
             [refused: RCPT was answered with: 550 no]
             [deferred: RCPT was answered with: 450 later]",
        );
    }

    #[test]
    fn the_final_reply_decides_for_all_that_were_accepted() {
        let mut session = ready(&["8BITMIME"]);
        play(
            &mut session,
            "(send)
             C: MAIL FROM:<a@a.example>
             S: 250 ok
             C: RCPT TO:<b@b.example>
             S: 250 ok
             C: RCPT TO:<c@c.example>
             S: 550 no
             C: DATA
             S: 354 go
             [content]
             S: 451 4.3.0 later
             [deferred: the message was answered with: 451 4.3.0 later]
             [refused: RCPT was answered with: 550 no]",
        );
    }

    #[test]
    fn a_server_that_goes_away_leaves_no_recipient_undecided() {
        let mut session = ready(&["PIPELINING"]);
        play(
            &mut session,
            "(send)
             C: MAIL FROM:<a@a.example>
             C: RCPT TO:<b@b.example>
             C: RCPT TO:<c@c.example>
             C: DATA
             S: 250 ok
             S: 550 no
             S: 421 4.3.2 closing
             [refused: RCPT was answered with: 550 no]
             [deferred: RCPT was answered with: 421 4.3.2 closing]
             (send)
             [deferred: the connection was not ready to send]
             [deferred: the connection was not ready to send]",
        );
    }

    #[test]
    fn a_reply_out_of_step_ends_the_session() {
        let mut session = ready(&[]);
        play(
            &mut session,
            "(send)
             C: MAIL FROM:<a@a.example>
             S: 354 go
             [failed: the server answered MAIL with: 354 go]",
        );
    }

    #[test]
    fn a_message_that_the_server_cannot_take_is_not_offered_to_it() {
        for (extensions, content, recipient, expected) in [
            (
                vec!["SIZE 999"],
                Content::SevenBit,
                "b@b.example",
                "the message has 1000 octets and the server takes at most 999",
            ),
            (
                vec!["8BITMIME"],
                Content::Utf8,
                "b@b.example",
                "the server does not take international addresses and headers (SMTPUTF8)",
            ),
            (
                vec![],
                Content::SevenBit,
                "ä@b.example",
                "the server does not take international addresses and headers (SMTPUTF8)",
            ),
            (
                vec!["SMTPUTF8"],
                Content::EightBit,
                "b@b.example",
                "the server does not take 8-bit content (8BITMIME)",
            ),
        ] {
            let step = ready(&extensions).transaction(envelope(content, &[recipient]));
            assert_eq!(shown(step), [format!("[refused: {expected}]")]);
        }
        let step =
            ready(&["SIZE 0", "8BITMIME", "SMTPUTF8"]).transaction(envelope(Content::Utf8, &["ä@b.example"]));
        assert_eq!(shown(step), ["MAIL FROM:<a@a.example> SIZE=1000 BODY=8BITMIME SMTPUTF8"]);
    }

    /// Everything that can be asked.
    fn asking() -> Envelope {
        let mut envelope = envelope(Content::SevenBit, &["b@b.example"]);
        envelope.requests = Requests {
            ret: Some(Return::Headers),
            envid: Some("my id".to_owned()),
            by: Some(DeliverBy { seconds: 60, mode: ByMode::Notify, trace: true }),
            mt_priority: Some(-3),
            requiretls: false,
        };
        for recipient in &mut envelope.recipients {
            recipient.notify = Some(Notify::Never);
            let (address_type, address) = ("rfc822".to_owned(), "c@c.example".to_owned());
            recipient.original = Some(OriginalRecipient { address_type, address });
        }
        envelope
    }

    #[test]
    fn what_is_asked_is_said_where_the_server_has_the_extension() {
        for (extensions, mail, rcpt) in [
            (&["DSN"][..], " RET=HDRS ENVID=my+20id", " NOTIFY=NEVER ORCPT=rfc822;c@c.example"),
            (&["DELIVERBY 30"], " BY=60;NT", ""),
            (&["MT-PRIORITY"], " MT-PRIORITY=-3", ""),
            (&["REQUIRETLS"], "", ""),
        ] {
            let mut session = ready(extensions);
            let said = shown(session.transaction(asking()));
            assert_eq!(said, [format!("MAIL FROM:<a@a.example>{mail}")]);
            let said = shown(session.reply(Reply::plain(250, "ok")));
            assert_eq!(said, [format!("RCPT TO:<b@b.example>{rcpt}")]);
        }
    }

    #[test]
    fn a_message_that_requires_tls_goes_to_servers_that_promise_it_only() {
        let mut envelope = asking();
        envelope.requests = Requests { requiretls: true, ..Requests::default() };
        let refused = "[refused: the server does not promise to keep the message under TLS (REQUIRETLS)]";
        assert_eq!(shown(ready(&["DSN"]).transaction(envelope.clone())), [refused]);
        let said = shown(ready(&["REQUIRETLS"]).transaction(envelope));
        assert_eq!(said, ["MAIL FROM:<a@a.example> REQUIRETLS"]);
    }

    #[test]
    fn a_token_logs_in_by_what_the_server_has() {
        let session = || {
            let token = BearerToken { login: Some("a".to_owned()), token: Secret::new("t".to_owned()) };
            let (hello, tls) = (Hello::Domain(Domain::parse("c.example").unwrap()), TlsPolicy::Implicit);
            Session::new(Settings { hello, tls, login: Some(Login::Token(token)) })
        };
        let begun = "S: 220 hi\nC: EHLO c.example\nS: 250-hi\n";
        let xoauth2 = sasl::encode(b"user=a\x01auth=Bearer t\x01\x01");
        play(
            &mut session(),
            &format!("{begun}S: 250 AUTH PLAIN XOAUTH2\nC: AUTH XOAUTH2 {xoauth2}\nS: 235 ok\n[ready]"),
        );
        // RFC 7628 §3.2.3: the refusal is acknowledged before it is final.
        play(
            &mut session(),
            &format!(
                "{begun}S: 250 AUTH XOAUTH2\nC: AUTH XOAUTH2 {xoauth2}\nS: 334 e30=\nC: AQ==\nS: 535 5.7.8 no\n\
                 [failed: the server did not accept the login: 535 5.7.8 no]"
            ),
        );
        let none = "[failed: the server offers neither AUTH OAUTHBEARER nor AUTH XOAUTH2]";
        play(&mut session(), &format!("{begun}S: 250 AUTH PLAIN LOGIN\n{none}"));
    }

    #[test]
    fn a_group_of_pipelined_commands_is_bounded() {
        let names: Vec<String> = (0..120).map(|n| format!("u{n}@b.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut session = ready(&["PIPELINING"]);
        let mut said = shown(session.transaction(envelope(Content::SevenBit, &names)));
        let mut groups = Vec::new();
        while said != ["[content]"] {
            groups.push(said.len());
            let last = std::mem::take(&mut said);
            for command in last {
                let reply = if command == "DATA" { Reply::plain(354, "go") } else { Reply::plain(250, "ok") };
                said = shown(session.reply(reply));
            }
        }
        assert_eq!(groups, [50, 50, 22]);
    }

    #[test]
    fn no_secret_shows_in_a_step_or_a_session() {
        let mut session = session(TlsPolicy::Never, Some("hunter2"));
        session.reply(Reply::plain(220, "hi"));
        let step = session.reply(Reply::plain(250, "hi").and("AUTH PLAIN"));
        assert_eq!(format!("{step:?}"), "Send(Secret(..))");
        assert!(!format!("{session:?}").contains("hunter2"));
    }
}
