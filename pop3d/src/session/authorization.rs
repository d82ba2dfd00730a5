//! The AUTHORIZATION state (RFC 1939 §4): who is there, and may they have the maildrop.
//!
//! ```text
//!            USER                  PASS
//! Fresh ────────────► Named ─────────────────► Verify ──► Lease ──► TRANSACTION
//!   │  ▲ anything else │                        ▲  │        │
//!   │  └───────────────┘        last response   │  │ wrong  │ busy
//!   │       AUTH                ┌───────────────┘  ▼        ▼
//!   └────────────────► Exchange ┘                 Fresh   Fresh
//! ```

use std::sync::Arc;

use mailstore::{CommonRules, Lease, MaildropError, Unavailable};
use mailwire::line::Line;
use mailwire::pop3::{self, AUTH_LINE_OCTETS_MAX, COMMAND_LINE_OCTETS_MAX, Command, Reply};
use mailwire::sasl::{self, BearerToken, Credentials, Proven, SaslError, Surroundings};
use mailwire::secret::Secret;
use tracing::debug;

use super::errors::{Errors, Patience};
use super::forms::Mode;
use super::lang::Spoken;
use super::{Login, Offer, Stls, Transaction};
use crate::replies::{self, Answer, Language};

/// What to do about a line or an answer.
#[derive(Debug)]
pub enum AuthorizationStep {
    /// Send this.
    Answer(Answer),
    /// Ask the directory, and say what came of it to [`Authorization::verified`].
    Verify(Credentials),
    /// Find what is kept of this login for SCRAM, and say it to [`Authorization::scram_keys_found`].
    ScramKeys(String),
    /// The proof of this login is right: ask whether the client may hear that, then [`Authorization::proof_heard`].
    ScramProof(String),
    /// Have the token checked, and say what came of it to [`Authorization::token_checked`].
    Token(BearerToken),
    /// It has been proven who is there: find the account, and say it to [`Authorization::verified`].
    Account(Proven),
    /// Note that this login was refused, and go on with [`Authorization::wrong_credentials`].
    LoginRefused(RefusedLogin),
    /// Find what can be said of all maildrops, and say it to [`Authorization::capabilities`].
    CommonRules,
    /// Lease the maildrop that the login names, and say what came of it to [`Authorization::leased`].
    Lease(mailstore::Login),
    /// The login is complete: send this, and go on with the transaction.
    Begin(Reply, Transaction),
    /// Send this, switch to TLS, and say so to [`Authorization::tls_begun`].
    StartTls(Reply),
    /// Send this and close the connection.
    Close(Reply),
}

/// A login that failed before the directory was asked for its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLogin {
    /// Who wanted to log in, where that is known.
    pub login: Option<String>,
    /// What was wrong, for the log.
    pub reason: SaslError,
}

/// How far a login has come.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing has been said that counts.
    Fresh,
    /// USER named a login; only PASS may follow (RFC 1939 §7).
    Named(String),
    /// AUTH is going on: the next line is a response and no command (RFC 5034 §4).
    Exchange(Box<sasl::Server>),
}

/// What all sessions of a service go by.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Where a login without a domain belongs.
    pub primary_domain: Arc<str>,
    /// Wrong commands that are answered before the session ends.
    pub errors_max: u32,
    /// Commands that are answered before a login.
    pub commands_max: u32,
    /// Failed logins that are answered before the session ends.
    pub login_failures_max: u32,
    /// What `LANG *` chooses (RFC 6856 §3.2).
    pub language: Language,
}

/// A session before login.
#[derive(Debug)]
pub struct Authorization {
    pub(super) state: State,
    pub(super) offer: Offer,
    pub(super) surroundings: Surroundings,
    pub(super) spoken: Spoken,
    mode: Mode,
    pub(super) primary_domain: Arc<str>,
    errors: Errors,
    login_failures: Errors,
    commands_left: u32,
}

impl Authorization {
    /// A session that has just begun.
    #[must_use]
    pub fn new(offer: Offer, terms: &Terms) -> Self {
        Self {
            state: State::Fresh,
            offer,
            surroundings: Surroundings::default(),
            spoken: Spoken::new(terms.language),
            mode: Mode::default(),
            primary_domain: Arc::clone(&terms.primary_domain),
            errors: Errors::new(terms.errors_max),
            login_failures: Errors::new(terms.login_failures_max),
            commands_left: terms.commands_max,
        }
    }

    /// What the server says first (RFC 1939 §4).
    #[must_use]
    pub fn greeting(hostname: &str) -> Reply {
        replies::greeting(hostname)
    }

    /// Wrong commands so far.
    #[must_use]
    pub const fn errors(&self) -> u32 {
        self.errors.made()
    }

    /// The longest line that may come next, without CRLF.
    #[must_use]
    pub const fn line_octets_max(&self) -> usize {
        match self.state {
            State::Fresh | State::Named(_) => COMMAND_LINE_OCTETS_MAX,
            State::Exchange(_) => AUTH_LINE_OCTETS_MAX,
        }
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &Line) -> AuthorizationStep {
        // Whatever comes, the login starts afresh unless the line itself carries it on.
        let state = std::mem::replace(&mut self.state, State::Fresh);
        match (line, state) {
            (Line::TooLong, _) => self.error(replies::line_too_long(self.spoken.language)),
            (Line::Complete(octets), State::Exchange(server)) => self.response(octets, server),
            (Line::Complete(octets), State::Named(login)) => self.command(octets, Some(login)),
            (Line::Complete(octets), State::Fresh) => self.command(octets, None),
        }
    }

    /// Takes what the directory said about [`AuthorizationStep::Verify`].
    pub fn verified(&mut self, answer: Result<Option<mailstore::Login>, Unavailable>) -> AuthorizationStep {
        self.state = State::Fresh;
        match answer {
            Ok(Some(login)) => AuthorizationStep::Lease(login),
            Ok(None) => self.wrong_credentials(),
            Err(Unavailable(_)) => answer_with(replies::store_trouble(self.spoken.language)),
        }
    }

    /// Too many wrong passwords came lately: what [`AuthorizationStep::Verify`] asks was not looked at.
    pub fn put_off(&mut self) -> AuthorizationStep {
        self.state = State::Fresh;
        match self.login_failures.count() {
            Patience::Left => answer_with(replies::login_put_off(self.spoken.language)),
            Patience::Exhausted => {
                AuthorizationStep::Close(replies::login_put_off_again(self.spoken.language))
            }
        }
    }

    /// Takes what came of [`AuthorizationStep::CommonRules`].
    #[must_use]
    pub fn capabilities(&self, rules: &Result<CommonRules, Unavailable>) -> AuthorizationStep {
        let Self { spoken, offer, surroundings, .. } = self;
        let rules = rules.as_ref().ok();
        AuthorizationStep::Answer(replies::capabilities(spoken.language, *offer, surroundings, rules))
    }

    /// Takes what came of [`AuthorizationStep::Lease`].
    pub fn leased(&mut self, answer: Result<Box<dyn Lease>, MaildropError>) -> AuthorizationStep {
        match answer {
            Ok(lease) => {
                let surroundings = std::mem::take(&mut self.surroundings);
                let transaction = Transaction::new(lease, self.errors, surroundings, self.spoken, self.mode);
                AuthorizationStep::Begin(transaction.welcome(), transaction)
            }
            Err(MaildropError::Busy) => answer_with(replies::maildrop_in_use(self.spoken.language)),
            Err(MaildropError::TooSoon) => answer_with(replies::login_too_soon(self.spoken.language)),
            // Only a lease that has begun can be taken over.
            Err(MaildropError::TakenOver | MaildropError::Ended | MaildropError::Unavailable(_)) => {
                answer_with(replies::store_trouble(self.spoken.language))
            }
        }
    }

    /// TLS is active. Nothing that was said in clear counts any more (RFC 2595 §4), except errors.
    pub fn tls_begun(&mut self) {
        self.state = State::Fresh;
        self.offer = Offer::TLS;
        self.surroundings = Surroundings::default();
        self.spoken.forget();
        self.mode = Mode::default();
    }

    /// What the connection gives to a login, to be told at its beginning and again after [`Self::tls_begun`]. Without it
    /// nothing is offered that needs it.
    pub fn surrounded_by(&mut self, surroundings: Surroundings) {
        self.surroundings = surroundings;
    }

    /// A command line; `named` is what USER said just before.
    fn command(&mut self, octets: &[u8], named: Option<String>) -> AuthorizationStep {
        let command = match pop3::parse(octets) {
            Ok(command) => command,
            Err(error) => return self.error(replies::not_a_command(self.spoken.language, &error)),
        };
        debug!(?command, "command");
        let Some(commands_left) = self.commands_left.checked_sub(1) else {
            return AuthorizationStep::Close(replies::too_many_commands(self.spoken.language));
        };
        self.commands_left = commands_left;
        match command {
            Command::User(login) => self.user(login),
            Command::Pass(password) => self.pass(named, password),
            Command::AuthList => self.auth_list(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial.as_ref()),
            Command::Capa => AuthorizationStep::CommonRules,
            Command::Stls => self.stls(),
            Command::Quit => AuthorizationStep::Close(replies::goodbye(self.spoken.language)),
            Command::Apop(..) => self.error(replies::apop_not_supported(self.spoken.language)),
            Command::Lang(range) => AuthorizationStep::Answer(self.spoken.lang(range.as_deref())),
            // RFC 6856 §2.1 has no argument. The one of the capability is taken, as a client may have found it there.
            Command::Utf8 { user: _ } => self.utf8(),
            Command::Stat
            | Command::List(_)
            | Command::Retr(_)
            | Command::Dele(_)
            | Command::Noop
            | Command::Rset
            | Command::Top(..)
            | Command::Uidl(_) => self.error(replies::log_in_first(self.spoken.language)),
        }
    }

    /// RFC 6856 §2.1: no TLS behind it. So it is for where one may log in, and whoever needs TLS for that still gets it.
    fn utf8(&mut self) -> AuthorizationStep {
        match self.offer.login {
            Login::NeedsTls => self.error(replies::login_needs_tls(self.spoken.language)),
            Login::Allowed => {
                self.mode = Mode::Utf8;
                if self.offer.stls == Stls::Offered {
                    self.offer.stls = Stls::TooLate;
                }
                answer_with(replies::utf8_begun(self.spoken.language))
            }
        }
    }

    fn user(&mut self, login: String) -> AuthorizationStep {
        match self.offer.login {
            Login::NeedsTls => self.error(replies::login_needs_tls(self.spoken.language)),
            Login::Allowed => {
                self.state = State::Named(login);
                answer_with(replies::password_please(self.spoken.language))
            }
        }
    }

    fn pass(&mut self, named: Option<String>, password: Secret<String>) -> AuthorizationStep {
        match (self.offer.login, named) {
            (Login::NeedsTls, _) => self.error(replies::login_needs_tls(self.spoken.language)),
            (Login::Allowed, None) => self.error(replies::user_first(self.spoken.language)),
            (Login::Allowed, Some(login)) => self.verify(Credentials { login, password }),
        }
    }

    pub(super) fn verify(&self, credentials: Credentials) -> AuthorizationStep {
        AuthorizationStep::Verify(credentials.within(&self.primary_domain))
    }

    fn auth_list(&mut self) -> AuthorizationStep {
        match self.offer.login {
            Login::NeedsTls => self.error(replies::login_needs_tls(self.spoken.language)),
            Login::Allowed => {
                AuthorizationStep::Answer(replies::mechanisms(self.spoken.language, &self.surroundings))
            }
        }
    }

    fn stls(&mut self) -> AuthorizationStep {
        match self.offer.stls {
            Stls::Offered => AuthorizationStep::StartTls(replies::begin_tls(self.spoken.language)),
            Stls::Active => self.error(replies::tls_already(self.spoken.language)),
            Stls::Unavailable => self.error(replies::no_tls(self.spoken.language)),
            Stls::TooLate => self.error(replies::tls_too_late(self.spoken.language)),
        }
    }

    /// RFC 4616 §2, RFC 5802 §9: whatever was wrong is answered as a wrong password, so that nobody learns which names
    /// exist.
    pub fn wrong_credentials(&mut self) -> AuthorizationStep {
        match self.login_failures.count() {
            Patience::Left => answer_with(replies::wrong_credentials(self.spoken.language)),
            Patience::Exhausted => {
                AuthorizationStep::Close(replies::too_many_wrong_credentials(self.spoken.language))
            }
        }
    }

    pub(super) fn error(&mut self, reply: Reply) -> AuthorizationStep {
        match self.errors.count() {
            Patience::Left => answer_with(reply),
            Patience::Exhausted => AuthorizationStep::Close(replies::too_many_errors(self.spoken.language)),
        }
    }
}

/// One line, and the session goes on.
pub(super) const fn answer_with(reply: Reply) -> AuthorizationStep {
    AuthorizationStep::Answer(Answer::Line(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAR: Offer = Offer { login: Login::Allowed, stls: Stls::Offered };
    const CLEAR_WITHOUT_LOGIN: Offer = Offer { login: Login::NeedsTls, stls: Stls::Offered };

    fn terms(errors_max: u32) -> Terms {
        Terms {
            primary_domain: "example.test".into(),
            errors_max,
            login_failures_max: 5,
            commands_max: 30,
            language: Language::German,
        }
    }

    fn session(offer: Offer) -> Authorization {
        Authorization::new(offer, &terms(20))
    }

    fn say(session: &mut Authorization, line: &str) -> AuthorizationStep {
        let step = session.line(&Line::Complete(line.as_bytes().to_vec()));
        if matches!(step, AuthorizationStep::CommonRules) {
            return session.capabilities(&Ok(CommonRules::default()));
        }
        step
    }

    /// What the client is told, and `closed` where the connection then closes.
    fn told(step: &AuthorizationStep) -> String {
        let mut output = Vec::new();
        let end = match step {
            AuthorizationStep::Answer(answer) => {
                answer.encode(&mut output);
                ""
            }
            AuthorizationStep::Close(reply) => {
                reply.encode(&mut output);
                "closed"
            }
            AuthorizationStep::StartTls(reply) => {
                reply.encode(&mut output);
                "tls"
            }
            AuthorizationStep::Begin(reply, _) => {
                reply.encode(&mut output);
                "transaction"
            }
            AuthorizationStep::Verify(credentials) => return format!("verify {}", credentials.login),
            AuthorizationStep::CommonRules => return "rules".to_owned(),
            AuthorizationStep::Lease(login) => return format!("lease {}", login.maildrop.0),
            AuthorizationStep::ScramKeys(login) => return format!("keys {login}"),
            AuthorizationStep::ScramProof(login) => return format!("proof {login}"),
            AuthorizationStep::Token(token) => return format!("token {:?}", token.login),
            AuthorizationStep::Account(proven) => return format!("account {}", proven.login),
            AuthorizationStep::LoginRefused(refused) => return format!("refused {}", refused.reason),
        };
        String::from_utf8(output).unwrap() + end
    }

    fn is_refused(step: &AuthorizationStep) -> bool {
        told(step).starts_with("-ERR ") && !told(step).starts_with("-ERR [")
    }

    #[test]
    fn any_name_is_taken_and_its_password_verified() {
        let mut session = session(CLEAR);
        assert!(told(&say(&mut session, "USER no body")).starts_with("+OK "));
        let AuthorizationStep::Verify(credentials) = say(&mut session, "PASS  two words ") else { panic!() };
        assert_eq!(credentials.login, "no body@example.test");
        assert_eq!(credentials.password.expose(), " two words ");
    }

    #[test]
    fn pass_comes_right_behind_user() {
        let mut session = session(CLEAR);
        assert!(is_refused(&say(&mut session, "PASS x")));
        for between in ["CAPA", "WHAT", "STAT", "AUTH"] {
            say(&mut session, "USER alice");
            say(&mut session, between);
            assert!(is_refused(&say(&mut session, "PASS x")), "{between}");
        }
        say(&mut session, "USER alice");
        session.line(&Line::TooLong);
        assert!(is_refused(&say(&mut session, "PASS x")));
    }

    #[test]
    fn a_wrong_password_leaves_the_session_fresh_until_the_last_one() {
        let mut session = session(CLEAR);
        for _ in 0..4 {
            say(&mut session, "USER alice");
            assert_eq!(told(&say(&mut session, "PASS x")), "verify alice@example.test");
            let step = session.verified(Ok(None));
            assert!(told(&step).starts_with("-ERR [AUTH] ") && told(&step).ends_with("\r\n"));
            assert!(is_refused(&say(&mut session, "PASS x")));
        }
        let last = told(&session.verified(Ok(None)));
        assert!(last.starts_with("-ERR [AUTH] ") && last.ends_with("closed"), "{last}");
    }

    #[test]
    fn a_busy_maildrop_and_a_store_in_trouble_have_codes_of_their_own() {
        let mut session = session(CLEAR);
        for _ in 0..30 {
            assert!(told(&session.leased(Err(MaildropError::Busy))).starts_with("-ERR [IN-USE] "));
            assert!(told(&session.leased(Err(MaildropError::Ended))).starts_with("-ERR [SYS/TEMP] "));
            let trouble = session.verified(Err(Unavailable("x".to_owned())));
            assert!(told(&trouble).starts_with("-ERR [SYS/TEMP] ") && told(&trouble).ends_with("\r\n"));
        }
    }

    #[test]
    fn without_tls_nobody_logs_in_where_that_is_not_allowed() {
        let mut session = session(CLEAR_WITHOUT_LOGIN);
        for line in ["USER alice", "PASS x", "AUTH", "AUTH PLAIN", "AUTH PLAIN AGEAYg==", "AUTH X"] {
            let step = say(&mut session, line);
            assert!(is_refused(&step) && told(&step).contains("TLS"), "{line}: {}", told(&step));
        }
        let capabilities = told(&say(&mut session, "CAPA"));
        assert!(!capabilities.contains("USER") && !capabilities.contains("SASL"), "{capabilities}");
        assert!(capabilities.contains("\r\nSTLS\r\n"), "{capabilities}");
    }

    #[test]
    fn tls_forgets_the_name_and_opens_login() {
        let mut session = session(CLEAR_WITHOUT_LOGIN);
        say(&mut session, "USER alice");
        assert!(told(&say(&mut session, "STLS")).ends_with("tls"));
        session.tls_begun();
        assert!(is_refused(&say(&mut session, "PASS x")));
        assert!(is_refused(&say(&mut session, "STLS")));
        let capabilities = told(&say(&mut session, "CAPA"));
        assert!(
            capabilities.contains("\r\nUSER\r\n")
                && capabilities.contains("\r\nSASL PLAIN LOGIN SCRAM-SHA-256\r\n")
        );
        assert!(!capabilities.contains("STLS"));
        assert!(told(&say(&mut session, "USER alice")).starts_with("+OK "));
    }

    #[test]
    fn where_there_is_no_tls_stls_is_refused_and_not_announced() {
        let mut session = session(Offer { login: Login::Allowed, stls: Stls::Unavailable });
        assert!(is_refused(&say(&mut session, "STLS")));
        assert!(!told(&say(&mut session, "CAPA")).contains("STLS"));
    }

    #[test]
    fn auth_plain_goes_in_one_step_or_in_two() {
        let mut session = session(CLEAR);
        let token = sasl::encode(b"\0alice@example.test\0pw");
        assert_eq!(told(&say(&mut session, &format!("AUTH PLAIN {token}"))), "verify alice@example.test");
        assert_eq!(told(&say(&mut session, "auth plain")), "+ \r\n");
        assert_eq!(session.line_octets_max(), AUTH_LINE_OCTETS_MAX);
        assert_eq!(told(&say(&mut session, &token)), "verify alice@example.test");
        assert_eq!(session.line_octets_max(), COMMAND_LINE_OCTETS_MAX);
    }

    #[test]
    fn auth_login_asks_with_the_very_prompts_that_clients_compare() {
        let mut session = session(CLEAR);
        assert_eq!(told(&say(&mut session, "AUTH LOGIN")), "+ VXNlcm5hbWU6\r\n");
        assert_eq!(told(&say(&mut session, &sasl::encode(b"alice"))), "+ UGFzc3dvcmQ6\r\n");
        assert_eq!(told(&say(&mut session, &sasl::encode(b"pw"))), "verify alice@example.test");
        let with_initial = format!("AUTH LOGIN {}", sasl::encode(b"alice"));
        assert_eq!(told(&say(&mut session, &with_initial)), "+ UGFzc3dvcmQ6\r\n");
    }

    #[test]
    fn what_goes_wrong_in_auth_ends_the_exchange_and_not_the_session() {
        let mut session = session(CLEAR);
        for wrong in ["*", "%%%", "YWxpY2U="] {
            assert_eq!(told(&say(&mut session, "AUTH PLAIN")), "+ \r\n");
            assert!(is_refused(&say(&mut session, wrong)), "{wrong}");
            assert!(told(&say(&mut session, "CAPA")).starts_with("+OK "));
        }
        say(&mut session, "AUTH PLAIN");
        assert!(is_refused(&session.line(&Line::TooLong)));
        assert!(is_refused(&say(&mut session, "AUTH CRAM-MD5")));
        assert!(told(&say(&mut session, "CAPA")).starts_with("+OK "));
    }

    #[test]
    fn to_log_in_for_somebody_else_is_answered_as_a_wrong_password() {
        let mut session = session(CLEAR);
        let token = sasl::encode(b"bob@example.test\0alice@example.test\0pw-alice");
        let refused = told(&say(&mut session, &format!("AUTH PLAIN {token}")));
        assert_eq!(refused, "refused logging in for somebody else is not allowed");
        assert_eq!(told(&session.wrong_credentials()), told(&session.verified(Ok(None))));
    }

    #[test]
    fn a_certificate_logs_in_and_a_refused_token_is_explained_before_it_fails() {
        let mut session = session(Offer::TLS);
        session.surrounded_by(Surroundings {
            certificate_logins: vec!["alice@example.test".to_owned()],
            tokens: sasl::Tokens::Checked,
            ..Surroundings::default()
        });
        assert_eq!(told(&say(&mut session, "AUTH EXTERNAL =")), "account alice@example.test");
        let other = sasl::encode(b"bob@example.test");
        let refused = told(&say(&mut session, &format!("AUTH EXTERNAL {other}")));
        assert_eq!(refused, "refused logging in for somebody else is not allowed");

        let token = sasl::encode(b"n,a=alice,\x01auth=Bearer x\x01\x01");
        assert_eq!(told(&say(&mut session, "AUTH OAUTHBEARER")), "+ \r\n");
        assert_eq!(told(&say(&mut session, &token)), "token Some(\"alice@example.test\")");
        assert!(told(&session.token_checked(Ok(sasl::TokenVerdict::Refused))).starts_with("+ "));
        assert_eq!(told(&say(&mut session, "AQ==")), "refused the token is not accepted");
        say(&mut session, "AUTH OAUTHBEARER");
        say(&mut session, &token);
        let away = sasl::TokensUnavailable("away".to_owned());
        assert!(told(&session.token_checked(Err(away))).starts_with("-ERR [SYS/TEMP] "));
    }

    #[test]
    fn auth_alone_lists_the_mechanisms() {
        let list = told(&say(&mut session(CLEAR), "AUTH"));
        assert!(
            list.starts_with("+OK ") && list.ends_with("\r\nPLAIN\r\nLOGIN\r\nSCRAM-SHA-256\r\n.\r\n"),
            "{list}"
        );
    }

    #[test]
    fn commands_of_other_states_and_extensions_that_are_not_there_are_refused() {
        for line in [
            "STAT",
            "LIST",
            "LIST 1",
            "RETR 1",
            "DELE 1",
            "NOOP",
            "RSET",
            "TOP 1 0",
            "UIDL",
            "APOP a 0123456789abcdef0123456789abcdef",
            "LANG uga",
            "XTND",
            "",
        ] {
            assert!(is_refused(&say(&mut session(CLEAR), line)), "{line}");
        }
    }

    #[test]
    fn quit_before_login_just_closes() {
        let step = told(&say(&mut session(CLEAR), "QUIT"));
        assert!(step.starts_with("+OK ") && step.ends_with("closed"));
    }

    #[test]
    fn capabilities_say_of_maildrops_what_holds_for_all_and_nothing_where_nobody_knows() {
        use mailstore::{Expiry, Strictest};
        let session = session(CLEAR);
        let capabilities = |rules| told(&session.capabilities(&rules));
        let usual = capabilities(Ok(CommonRules::default()));
        assert!(usual.contains("\r\nEXPIRE NEVER\r\n") && !usual.contains("LOGIN-DELAY"), "{usual}");
        let days = Expiry::Days(30.try_into().unwrap());
        let said = capabilities(Ok(CommonRules {
            login_delay_seconds: Strictest { value: 60, differs: true },
            expiry: Strictest { value: days, differs: true },
        }));
        assert!(said.contains("\r\nEXPIRE 30 USER\r\nLOGIN-DELAY 60 USER\r\n"), "{said}");
        let said = capabilities(Ok(CommonRules {
            login_delay_seconds: Strictest { value: 60, differs: false },
            expiry: Strictest { value: days, differs: false },
        }));
        assert!(said.contains("\r\nEXPIRE 30\r\nLOGIN-DELAY 60\r\n"), "{said}");
        let said = capabilities(Err(Unavailable("a test says so".to_owned())));
        assert!(said.contains("\r\nUIDL\r\n") && !said.contains("EXPIRE"), "{said}");
    }

    #[test]
    fn commands_without_a_login_have_an_end() {
        let mut session = session(CLEAR);
        for _ in 0..30 {
            assert!(matches!(say(&mut session, "CAPA"), AuthorizationStep::Answer(_)));
        }
        assert!(matches!(say(&mut session, "CAPA"), AuthorizationStep::Close(_)));
    }

    #[test]
    fn the_last_error_closes_the_connection() {
        let mut session = Authorization::new(CLEAR, &terms(3));
        assert!(told(&say(&mut session, "WHAT")).ends_with("\r\n"));
        assert!(told(&session.line(&Line::TooLong)).ends_with("\r\n"));
        assert!(told(&say(&mut session, "STAT")).ends_with("closed"));
    }
}
