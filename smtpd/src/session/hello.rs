//! Greeting, EHLO and HELO (RFC 5321 §3.1, §4.1.1.1), LHLO (RFC 2033 §4.1), and STARTTLS (RFC 3207), which begins it all
//! again.

use mailwire::net::TlsDetails;
use mailwire::sasl::{Mechanism, Surroundings};
use mailwire::smtp::{Extension, Hello, Limits, Reply};

use super::machine::{Client, Phase};
use super::{Kind, Session, Step, Tls};
use crate::replies;
use crate::trace::{self, Dialect};

impl Session {
    /// The first thing said.
    #[must_use]
    pub fn greeting(&mut self) -> Reply {
        self.note_connection();
        let hostname = &self.policy.hostname;
        match self.kind {
            Kind::Reception | Kind::Submission => replies::greeting(hostname),
            Kind::Lmtp => replies::lmtp_greeting(hostname),
        }
    }

    /// RFC 5321 §4.1.4: EHLO and HELO clear a transaction as RSET does; a strange name is no reason to refuse.
    pub(super) fn hello(&mut self, dialect: Dialect, hello: Hello) -> Step {
        let hostname = &self.policy.hostname;
        let reply = match (self.kind, dialect) {
            (Kind::Reception | Kind::Submission, Dialect::Smtp) => replies::hello(hostname),
            (Kind::Reception | Kind::Submission, Dialect::Esmtp) | (Kind::Lmtp, Dialect::Lmtp) => {
                replies::extended_hello(hostname, &self.extensions())
            }
            // RFC 2033 §4.1: each protocol has its own word, so that nobody speaks one and means the other.
            (Kind::Reception | Kind::Submission, Dialect::Lmtp)
            | (Kind::Lmtp, Dialect::Smtp | Dialect::Esmtp) => return self.refuse(replies::unrecognised()),
        };
        self.client = Some(Client { dialect, hello });
        self.phase = Phase::Ready;
        Step::Reply(reply)
    }

    /// What is said to whoever has not said who they are.
    pub(super) fn hello_first(&self) -> Reply {
        match self.kind {
            Kind::Reception | Kind::Submission => replies::hello_first(),
            Kind::Lmtp => replies::lhlo_first(),
        }
    }

    /// What is true now: no STARTTLS under TLS (RFC 3207 §4.2), AUTH only where a login could succeed (RFC 4954 §4).
    fn extensions(&self) -> Vec<Extension> {
        let mut extensions = vec![
            Extension::Size(self.policy.content_octets_max),
            Extension::Pipelining,
            Extension::EightBitMime,
            Extension::SmtpUtf8,
            Extension::Chunking,
            // RFC 3030 §3: only beside CHUNKING.
            Extension::BinaryMime,
            Extension::EnhancedStatusCodes,
            Extension::Dsn,
            Extension::Limits(self.limits()),
        ];
        if self.offers_future_release() {
            let until_max = trace::internet_date_time(self.latest_release());
            let seconds_max = self.policy.future_release_seconds_max;
            extensions.push(Extension::FutureRelease { seconds_max, until_max });
        }
        let seconds_min = self.policy.deliver_by_seconds_min;
        extensions.push(Extension::DeliverBy((seconds_min > 0).then_some(seconds_min)));
        if self.offers_priorities() {
            extensions.push(Extension::MtPriority(None));
        }
        if self.offers_requiretls() {
            extensions.push(Extension::RequireTls);
        }
        if self.peer.tls == Tls::Available {
            extensions.push(Extension::StartTls);
        }
        if self.kind == Kind::Submission && self.login_is_safe() {
            let names = self.surroundings.mechanisms().map(Mechanism::name).map(str::to_owned);
            extensions.push(Extension::Auth(names.collect()));
        }
        extensions.push(Extension::Vrfy);
        if self.offers_expansion() {
            extensions.push(Extension::Expn);
        }
        extensions.push(Extension::Help);
        extensions
    }

    /// RFC 9422 §4.1 to §4.3: only what is enforced. Transactions and domains are not counted.
    fn limits(&self) -> Limits {
        Limits { rcpt_max: u32::try_from(self.policy.recipients_max).ok(), ..Limits::default() }
    }

    /// True where a password may be sent: under TLS, or between programs of this machine if the owner says so.
    pub(super) fn login_is_safe(&self) -> bool {
        let clear_login = self.policy.clear_login;
        self.peer.tls_details().is_some()
            || self.peer.address.is_some_and(|address| clear_login.allows(address))
    }

    pub(super) fn starttls(&mut self) -> Step {
        match self.peer.tls {
            Tls::Unavailable => Step::Reply(replies::tls_unavailable()),
            Tls::Available => Step::StartTls(replies::begin_tls()),
            Tls::Running(_) => self.refuse(replies::tls_runs()),
        }
    }

    /// What the connection gives to a login, to be told at its beginning and again after [`Self::tls_started`]. Without it
    /// nothing is offered that needs it.
    pub fn surrounded_by(&mut self, surroundings: Surroundings) {
        self.surroundings = surroundings;
    }

    /// TLS runs: everything learnt in clear is forgotten (RFC 3207 §4.2).
    pub fn tls_started(&mut self, details: TlsDetails) {
        self.peer.tls = Tls::Running(details);
        self.note_tls();
        self.client = None;
        self.account = None;
        self.surroundings = Surroundings::default();
        self.phase = Phase::Ready;
    }
}
