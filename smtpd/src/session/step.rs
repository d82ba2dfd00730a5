//! What a session wants done next. A question travels with what it is about and comes back with its answer, so that
//! nothing waits half-made in the session meanwhile.

use std::collections::BTreeMap;

use mailstore::{Account, Delivery, Draft, RecipientTerms};
use mailwire::address::Mailbox;
use mailwire::sasl::{BearerToken, Credentials, Proven, SaslError};
use mailwire::smtp::Reply;

use super::{Class, ConsultQuestion, Filtering, GateQuestion, Incoming};

use super::envelope::Envelope;
use super::incoming::Framing;
use crate::checks::Seen;
use crate::content::Field;
use crate::gate::Scan;

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this, then read the next line.
    Reply(Reply),
    /// Send this and close.
    Close(Reply),
    /// Send these, one for each recipient (RFC 2033 §4.2).
    Verdicts(Vec<Reply>, Then),
    /// Send this, switch to TLS, then [`super::Session::tls_started`].
    StartTls(Reply),
    /// Ask who this is, then [`super::Session::authenticated`].
    Authenticate(Credentials),
    /// Ask for what is kept of this login for SCRAM, then [`super::Session::scram_keys_found`].
    ScramKeys(String),
    /// The proof of this login is right: ask whether the client may hear that, then [`super::Session::proof_heard`].
    ScramProof(String),
    /// Ask whether this token is good, then [`super::Session::token_checked`].
    Token(BearerToken),
    /// It has been proven who is there: ask for the account, then [`super::Session::authenticated`].
    Account(Proven),
    /// Note that this login was refused, then [`super::Session::login_failed`].
    LoginRefused(RefusedLogin),
    /// Ask whether the account may send as the mailbox, then [`super::Session::sender_checked`].
    Sender(Box<SenderQuestion>),
    /// Ask where mail for the mailbox goes, then [`super::Session::recipient_checked`].
    Recipient(RecipientQuestion),
    /// Ask what is said of who wants to reach the recipient, then [`super::Session::gated`].
    Gate(Box<GateQuestion>),
    /// Ask milters about a recipient, then [`super::Session::consulted`].
    Consult(Box<ConsultQuestion>),
    /// Ask for all aliases, then [`super::Session::expanded`].
    Expand(ExpansionQuestion),
    /// Ask for a draft, then [`super::Session::drafted`]; where there is no memory, [`super::Session::put_off`].
    Draft(ContentQuestion),
    /// Send the reply if there is one, let everything up to the end of the content pass through
    /// [`Incoming::receive`], then [`super::Session::received`].
    Receive(Option<Reply>, Box<Incoming>),
    /// Read so many octets and forget them, then send this.
    Discard(u64, Reply),
    /// Ask whether the account may send as an originator, then [`super::Session::originator_checked`].
    Originator(Box<OriginatorQuestion>),
    /// Ask the programs that have looked at the content for their word, then [`super::Session::scanned`].
    Scan(Box<Acceptance>),
    /// Put the message where its recipients want it, then [`super::Session::filed`].
    File(Box<Acceptance>),
    /// Make the checks of [`Acceptance::seen`], then [`super::Session::judged`].
    Judge(Box<Acceptance>),
    /// Commit the draft, then [`super::Session::committed`].
    Commit(Box<Acceptance>),
}

/// A login that failed before the directory was asked for its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLogin {
    /// Who wanted to log in, where that is known.
    pub login: Option<String>,
    /// What was wrong, for the log.
    pub reason: SaslError,
}

/// What comes after the last verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next line.
    GoOn,
    /// The end of the connection.
    Close,
}

/// Whether an account may send as somebody.
#[derive(Debug)]
pub struct SenderQuestion {
    pub(super) account: Account,
    pub(super) mailbox: Mailbox,
    pub(super) envelope: Envelope,
}

/// Whether an account may send what claims to be from somebody.
#[derive(Debug)]
pub struct OriginatorQuestion {
    pub(super) account: Account,
    /// The field that names the mailbox.
    pub(super) field: Field,
    pub(super) mailbox: Mailbox,
    /// Who is to be asked about afterwards, the last one first.
    pub(super) others: Vec<(Field, Mailbox)>,
    /// What it is about.
    pub(super) acceptance: Box<Acceptance>,
}

/// Where mail for somebody goes.
#[derive(Debug)]
pub struct RecipientQuestion {
    pub(super) mailbox: Mailbox,
    pub(super) octets_declared: u64,
    pub(super) terms: RecipientTerms,
}

/// Who is behind an alias.
#[derive(Debug)]
pub struct ExpansionQuestion {
    pub(super) mailbox: Mailbox,
}

/// Whether there is room for content.
#[derive(Debug)]
pub struct ContentQuestion {
    pub(super) octets_expected: u64,
    pub(super) recipients: usize,
    pub(super) framing: Framing,
}

/// A message that lacks nothing but its commit.
pub struct Acceptance {
    /// Its content.
    pub draft: Box<dyn Draft>,
    /// Its envelope and trace.
    pub delivery: Delivery,
    /// What it is taken for.
    pub class: Class,
    /// What the checks look at, where they are to be made.
    pub seen: Option<Box<Seen>>,
    /// What rules of recipients look at, where one of them has some.
    pub filtering: Option<Box<Filtering>>,
    /// What was found in it that speaks against its sender being who they say, as reports about it may reach somebody else.
    pub doubt: Option<String>,
    /// What recipients who do not want it have said to that, by their numbers among those that were accepted; known where each
    /// has a verdict.
    pub settled: BTreeMap<usize, Reply>,
    /// What is said where nobody takes it.
    pub refusal: Option<Reply>,
    /// Recipients who do not get it, each with what has decided that.
    pub untaken: Vec<(Mailbox, String)>,
    /// The programs that have looked at it and are still to be heard.
    pub scan: Option<Scan>,
    /// How many recipients were accepted.
    pub recipients: usize,
    /// Line ends that were not CRLF and have become so.
    pub line_ends_repaired: u64,
    /// Parts that were binary and have been converted, if there are any.
    pub parts_converted: Option<u64>,
}

impl SenderQuestion {
    /// Who is logged in.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// As whom they want to send.
    #[must_use]
    pub const fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }
}

impl OriginatorQuestion {
    /// Who is logged in.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Whom the message claims to be from.
    #[must_use]
    pub const fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }
}

impl RecipientQuestion {
    /// To whom mail shall go.
    #[must_use]
    pub const fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Of how many octets the client has spoken (RFC 1870 §6.1); 0 where it has not.
    #[must_use]
    pub const fn octets_declared(&self) -> u64 {
        self.octets_declared
    }
}

impl ContentQuestion {
    /// For how many recipients it is.
    #[must_use]
    pub const fn recipients(&self) -> usize {
        self.recipients
    }

    /// About how many octets will come; 0 where the client has not said.
    #[must_use]
    pub const fn octets_expected(&self) -> u64 {
        self.octets_expected
    }
}

impl std::fmt::Debug for Acceptance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptance").field("recipients", &self.recipients).finish_non_exhaustive()
    }
}
