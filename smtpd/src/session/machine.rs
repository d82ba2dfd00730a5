//! The session as a machine: which phase it is in, and which command may come when (RFC 5321 §4.1.4).
//!
//! ```text
//!          EHLO, HELO, LHLO           AUTH                        MAIL                 BDAT, not LAST
//! (no client) ──────────► Ready ◄────────────► Authenticating   ───────► Transaction ─────────────► Chunks
//!      ▲                    ▲                  (RSET, EHLO and the end of content lead back to Ready)
//!      └───── STARTTLS ─────┘
//! ```

use std::mem;
use std::sync::Arc;

use mailstore::{Account, Refusal, TraceStep};
use mailwire::line::Line;
use mailwire::sasl::{self, Mechanism, Surroundings};
use mailwire::smtp::{
    AUTH_LINE_OCTETS_MAX, COMMAND_LINE_OCTETS_MAX, Command, CommandError, Hello, Reply, parse,
};
use tracing::debug;

use super::envelope::Envelope;
use super::incoming::Framing;
use super::reason::Reason;
use super::refusals::Unanswered;
use super::{Incoming, Kind, Peer, Policy, Step};
use crate::replies;
use crate::trace::Dialect;

/// One client's session.
#[derive(Debug)]
pub struct Session {
    pub(super) kind: Kind,
    pub(super) policy: Arc<Policy>,
    pub(super) peer: Peer,
    /// Who the client says it is; `None` before EHLO or HELO, and again after STARTTLS.
    pub(super) client: Option<Client>,
    pub(super) account: Option<Account>,
    /// How they have logged in, or tried to last.
    pub(super) mechanism: Option<Mechanism>,
    /// What the connection gives to a login.
    pub(super) surroundings: Surroundings,
    pub(super) phase: Phase,
    pub(super) transactions: u32,
    pub(super) login_failures: u32,
    pub(super) refused_recipients: usize,
    errors: u32,
    /// Commands since the last message, but for those that a message has many of.
    pub(super) commands: u32,
    /// Seconds since 1970, as the session was told last.
    pub(super) now: u64,
    /// What has led up to the messages of the session.
    pub(super) steps: Vec<TraceStep>,
    /// What was not taken, until somebody asks for it.
    pub(super) refusals: Vec<Refusal>,
    /// The content that the next reply is about.
    pub(super) unanswered: Option<Box<Unanswered>>,
    /// What decides the next reply.
    pub(super) reason: Option<Reason>,
}

/// What the client said of itself.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) dialect: Dialect,
    pub(super) hello: Hello,
}

/// What the next line belongs to.
#[derive(Debug)]
pub(super) enum Phase {
    /// No transaction.
    Ready,
    /// The next line is a response of this exchange.
    Authenticating(Box<sasl::Server>),
    /// MAIL was accepted.
    Transaction(Box<Envelope>),
    /// At least one BDAT has come, and not the last.
    Chunks(Box<Incoming>),
}

impl Session {
    /// A session with a client that has just connected.
    #[must_use]
    pub fn new(kind: Kind, policy: Arc<Policy>, peer: Peer) -> Self {
        Self {
            kind,
            policy,
            peer,
            client: None,
            account: None,
            mechanism: None,
            surroundings: Surroundings::default(),
            phase: Phase::Ready,
            transactions: 0,
            login_failures: 0,
            refused_recipients: 0,
            errors: 0,
            commands: 0,
            now: 0,
            steps: Vec::new(),
            refusals: Vec::new(),
            unanswered: None,
            reason: None,
        }
    }

    /// Which service it is of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Who has logged in.
    #[must_use]
    pub const fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// What the client has done wrong so far.
    #[must_use]
    pub const fn errors(&self) -> u32 {
        self.errors
    }

    /// Most octets of the next line, without CRLF.
    #[must_use]
    pub const fn line_octets_max(&self) -> usize {
        match self.phase {
            // RFC 4954 §4: an initial response may come on the line of AUTH itself.
            Phase::Ready | Phase::Authenticating(_) => AUTH_LINE_OCTETS_MAX,
            Phase::Transaction(_) | Phase::Chunks(_) => COMMAND_LINE_OCTETS_MAX,
        }
    }

    /// What to do about a line.
    #[must_use]
    pub fn line(&mut self, line: &Line) -> Step {
        self.reason = None;
        match line {
            Line::Complete(octets) => match mem::replace(&mut self.phase, Phase::Ready) {
                Phase::Authenticating(exchange) => self.auth_response(exchange, octets),
                phase @ (Phase::Ready | Phase::Transaction(_) | Phase::Chunks(_)) => {
                    self.phase = phase;
                    self.command_line(octets)
                }
            },
            Line::TooLong => match &self.phase {
                Phase::Authenticating(_) => {
                    self.phase = Phase::Ready;
                    self.refuse(replies::login_line_too_long())
                }
                Phase::Ready | Phase::Transaction(_) | Phase::Chunks(_) => {
                    self.refuse(replies::line_too_long())
                }
            },
        }
    }

    fn command_line(&mut self, octets: &[u8]) -> Step {
        match parse(octets) {
            // RFC 5321 §4.5.3.1.4: each command has its own limit, since extensions make some of them longer.
            Ok(command) if octets.len() > command.line_octets_max() => self.refuse(replies::line_too_long()),
            Ok(command) => {
                debug!(?command, "command");
                self.command(command)
            }
            Err(_) if octets.len() > COMMAND_LINE_OCTETS_MAX => self.refuse(replies::line_too_long()),
            Err(error) => {
                debug!(octets = octets.len(), %error, "not a command");
                let reply = replies::not_a_command(&error);
                // RFC 3030 §2: content follows, which must not be taken for commands.
                if error == CommandError::Chunk { Step::Close(reply) } else { self.refuse(reply) }
            }
        }
    }

    fn command(&mut self, command: Command) -> Step {
        // These have limits of their own.
        if !matches!(command, Command::Rcpt(..) | Command::Data | Command::Bdat { .. }) {
            if self.commands >= self.policy.commands_max {
                self.because("[smtp] commands_max");
                return Step::Close(replies::too_many_commands());
            }
            self.commands += 1;
        }
        match command {
            Command::Ehlo(hello) => self.hello(Dialect::Esmtp, hello),
            Command::Helo(hello) => self.hello(Dialect::Smtp, hello),
            Command::Lhlo(hello) => self.hello(Dialect::Lmtp, hello),
            Command::Mail(reverse_path, parameters) => self.mail(reverse_path, &parameters),
            Command::Rcpt(forward_path, parameters) => self.rcpt(forward_path, *parameters),
            Command::Data => self.content(Framing::dots()),
            Command::Bdat { octets, last } => {
                self.content(Framing::Chunk { octets, octets_left: octets, is_last: last })
            }
            Command::Rset => self.rset(),
            Command::Vrfy(_) => Step::Reply(replies::cannot_verify()),
            Command::Expn(name) => self.expn(&name),
            Command::Help(_) => Step::Reply(replies::help()),
            Command::Noop => Step::Reply(replies::done()),
            Command::Quit => Step::Close(replies::closing()),
            Command::StartTls => self.starttls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial.as_ref()),
        }
    }

    /// RFC 5321 §4.1.1.5: the transaction is forgotten; hello, login and TLS stay.
    fn rset(&mut self) -> Step {
        self.phase = Phase::Ready;
        Step::Reply(replies::done())
    }

    /// A reply to something that the client did wrong. It may do so a number of times.
    pub(super) fn refuse(&mut self, reply: Reply) -> Step {
        if self.errors >= self.policy.errors_max {
            self.because("[smtp] errors_max");
            return Step::Close(replies::too_many_errors());
        }
        self.errors += 1;
        Step::Reply(reply)
    }

    /// As [`Self::refuse`], for recipients: an honest list has wrong ones, and over-long lists are to be taken in parts
    /// (RFC 5321 §4.5.3.1.10), so as many are forgiven as would be accepted.
    pub(super) fn refuse_recipient(&mut self, reply: Reply) -> Step {
        if self.refused_recipients >= self.policy.recipients_max {
            self.because("[smtp] recipients_max, for recipients who are refused");
            return Step::Close(replies::too_many_errors());
        }
        self.refused_recipients += 1;
        Step::Reply(reply)
    }
}
