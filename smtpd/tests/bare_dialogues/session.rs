//! A session without socket and store: what `connection.rs` does over TCP, done over vectors.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use mailstack_tests::dialogue::PutsOff;
use mailstack_tests::player::{Peer, Received, Security};
use mailstore::{Refusal, TooMuch};
use mailwire::daemon::config::Server;
use mailwire::line::LineBuffer;
use mailwire::net::TlsDetails;
use mailwire::sasl::{BearerToken, ChannelBindings, Nonce, Surroundings, TokenVerdict, Tokens};
use mailwire::smtp::Reply;
use smtpd::Config;
use smtpd::gate::{Consent, Judgement};
use smtpd::relay::RelayConfig;
use smtpd::session::{self, Acceptance, Incoming, Kind, Policy, Session, Step, Then, Tls};

use crate::accounts::Accounts;
use crate::messages::{Messages, now};

/// When everything happens: 2025-11-21 22:27:00 UTC.
pub(crate) const UNIX_SECONDS: u64 = 1_763_764_020;
/// Where client and server are, unless said otherwise.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A session and what stands around it.
pub(crate) struct BareSession {
    session: Session,
    accounts: Arc<Accounts>,
    pub(crate) messages: Messages,
    input: LineBuffer,
    output: VecDeque<u8>,
    expects: Expects,
    /// There is no memory for more content.
    pub(crate) puts_off: bool,
    /// What the guard says.
    pub(crate) guard: Option<PutsOff>,
    tokens: Tokens,
}

/// What the next octets from the client are.
enum Expects {
    Lines,
    Content(Box<Incoming>),
    Discarded(u64, Reply),
    Tls,
    Nothing,
}

impl BareSession {
    pub(crate) fn new(kind: Kind, policy: Arc<Policy>, accounts: Arc<Accounts>, security: Security) -> Self {
        let tls = match security {
            Security::Clear => Tls::Available,
            Security::Tls => Tls::Running(tls_details()),
        };
        let mut session = Session::new(kind, policy, peer(LOOPBACK, tls));
        match security {
            Security::Clear => {}
            Security::Tls => session.surrounded_by(under_tls()),
        }
        Self::begun(session, accounts)
    }

    /// A session with a client of another machine.
    pub(crate) fn of_peer(kind: Kind, config: &Config, accounts: Arc<Accounts>, address: IpAddr) -> Self {
        let session = Session::new(kind, policy(config), peer(address, Tls::Running(tls_details())));
        Self::begun(session, accounts)
    }

    /// As over a Unix socket: no address, no TLS.
    pub(crate) fn local(kind: Kind, policy: Arc<Policy>, accounts: Arc<Accounts>) -> Self {
        let peer = session::Peer { address: None, local: None, ..peer(LOOPBACK, Tls::Unavailable) };
        Self::begun(Session::new(kind, policy, peer), accounts)
    }

    fn begun(mut session: Session, accounts: Arc<Accounts>) -> Self {
        session.at(UNIX_SECONDS);
        let greeting = session.greeting();
        let mut bare = Self {
            session,
            messages: Messages::new(Arc::clone(&accounts.quotas)),
            accounts,
            input: LineBuffer::new(),
            output: VecDeque::new(),
            expects: Expects::Lines,
            puts_off: false,
            guard: None,
            tokens: Tokens::Unknown,
        };
        bare.say(&greeting);
        bare
    }

    /// The same, where tokens are checked or not; the greeting has been said.
    pub(crate) fn with_tokens(mut self, tokens: Tokens, security: Security) -> Self {
        self.tokens = tokens;
        let under = match security {
            Security::Clear => Surroundings::default(),
            Security::Tls => under_tls(),
        };
        self.session.surrounded_by(Surroundings { tokens, ..under });
        self
    }

    fn say(&mut self, reply: &Reply) {
        self.session.answered(std::slice::from_ref(reply));
        let mut octets = Vec::new();
        reply.encode(&mut octets);
        self.output.extend(octets);
    }

    /// What was not taken since the last time.
    pub(crate) fn refusals(&mut self) -> Vec<Refusal> {
        self.session.take_refusals()
    }

    /// Says `octets` and gives everything that the server has said since it was last asked.
    pub(crate) fn ask(&mut self, octets: impl AsRef<[u8]>) -> String {
        self.send(octets.as_ref()).unwrap();
        String::from_utf8(self.output.drain(..).collect()).unwrap()
    }

    /// The codes of the replies to `octets`.
    pub(crate) fn codes(&mut self, octets: impl AsRef<[u8]>) -> Vec<u16> {
        let said = self.ask(octets);
        let last_lines = said.lines().filter(|line| line.as_bytes()[3] == b' ');
        last_lines.map(|line| line[..3].parse().unwrap()).collect()
    }

    /// True once the server would have closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.expects, Expects::Nothing)
    }

    /// Goes on until more must come from the client.
    fn go_on(&mut self) {
        loop {
            let step = match std::mem::replace(&mut self.expects, Expects::Lines) {
                Expects::Lines => match self.input.next_line(self.session.line_octets_max()) {
                    Some(line) => self.session.line(&line),
                    None => return,
                },
                Expects::Content(incoming) => match self.content(incoming) {
                    Some(step) => step,
                    None => return,
                },
                Expects::Discarded(octets, reply) => {
                    let part = self.input.unread().len().min(usize::try_from(octets).unwrap_or(usize::MAX));
                    self.input.consume(part);
                    let left = octets - u64::try_from(part).unwrap();
                    if left > 0 {
                        self.expects = Expects::Discarded(left, reply);
                        return;
                    }
                    Step::Reply(reply)
                }
                Expects::Tls if self.input.unread().is_empty() => {
                    self.expects = Expects::Tls;
                    return;
                }
                // RFC 3207 §4.2: what came behind the line in clear is no handshake, and is never read.
                Expects::Tls | Expects::Nothing => {
                    self.expects = Expects::Nothing;
                    return;
                }
            };
            self.carry_out(step);
        }
    }

    fn content(&mut self, mut incoming: Box<Incoming>) -> Option<Step> {
        if self.input.unread().is_empty() && !incoming.is_empty_chunk() {
            self.expects = Expects::Content(incoming);
            return None;
        }
        let unread = if incoming.is_empty_chunk() { &[] } else { self.input.unread() };
        let progress = incoming.receive(unread);
        self.input.consume(progress.consumed);
        if progress.write
            && let Some((draft, octets)) = incoming.unwritten()
        {
            let result = now(draft.write(octets));
            incoming.written(result);
        }
        if progress.ended {
            return Some(self.session.received(incoming, UNIX_SECONDS));
        }
        self.expects = Expects::Content(incoming);
        None
    }

    fn verdicts(&mut self, replies: &[Reply], then: Then) {
        self.expects = match then {
            Then::GoOn => Expects::Lines,
            Then::Close => Expects::Nothing,
        };
        self.session.answered(replies);
        for reply in replies {
            self.say(reply);
        }
    }

    /// What the session says where the guard puts somebody off.
    fn put_off(&mut self, step: Step) -> Step {
        let Some(guard) = self.guard else { return step };
        match (guard, step) {
            (
                PutsOff::Logins,
                Step::Authenticate(_)
                | Step::ScramKeys(_)
                | Step::ScramProof(_)
                | Step::Token(_)
                | Step::Account(_)
                | Step::LoginRefused(_),
            ) => self.session.login_put_off(),
            (PutsOff::Messages, Step::Draft(question)) => {
                self.session.content_put_off(&question, TooMuch::Messages)
            }
            (PutsOff::Recipients, Step::Draft(question)) if question.recipients() > 1 => {
                self.session.content_put_off(&question, TooMuch::Recipients)
            }
            (PutsOff::Logins | PutsOff::Messages | PutsOff::Recipients, step) => step,
        }
    }

    fn carry_out(&mut self, mut step: Step) {
        loop {
            step = match self.put_off(step) {
                Step::Reply(reply) => return self.say(&reply),
                Step::Close(reply) => {
                    self.expects = Expects::Nothing;
                    return self.say(&reply);
                }
                Step::Verdicts(replies, then) => return self.verdicts(&replies, then),
                Step::StartTls(reply) => {
                    self.expects = Expects::Tls;
                    return self.say(&reply);
                }
                Step::Receive(reply, incoming) => {
                    if let Some(reply) = reply {
                        self.say(&reply);
                    }
                    self.expects = Expects::Content(incoming);
                    return;
                }
                // Nothing is looked at: its policy names no checks.
                Step::Judge(acceptance) => self.session.judged(acceptance, None),
                Step::Discard(octets, reply) => {
                    self.expects = Expects::Discarded(octets, reply);
                    return;
                }
                Step::Authenticate(credentials) => {
                    let account =
                        self.accounts.authenticate(&credentials.login, credentials.password.expose());
                    self.session.authenticated(account)
                }
                Step::ScramKeys(login) => {
                    let keys = self.accounts.scram_keys(&login);
                    self.session.scram_keys_found(&keys, &Nonce::new([0; Nonce::OCTETS]))
                }
                Step::ScramProof(_) => self.session.proof_heard(),
                Step::Token(shown) => {
                    let verdict = verdict(&shown).of(&shown, "example.test");
                    self.session.token_checked(Ok(verdict))
                }
                Step::Account(proven) => {
                    let account = self.accounts.of_login(&proven.login);
                    self.session.authenticated(account)
                }
                Step::LoginRefused(_) => self.session.login_failed(),
                Step::Sender(question) => {
                    let answer = self.accounts.may_send_as(question.account(), question.mailbox());
                    self.session.sender_checked(question, &answer)
                }
                Step::Originator(question) => {
                    let answer = self.accounts.may_send_as(question.account(), question.mailbox());
                    self.session.originator_checked(question, &answer)
                }
                Step::Recipient(question) => {
                    let answer = self.accounts.recipient(question.mailbox(), question.octets_declared());
                    self.session.recipient_checked(question, answer)
                }
                Step::Expand(question) => self.session.expanded(&question, self.accounts.aliases()),
                Step::Draft(question) if self.puts_off => self.session.put_off(question),
                Step::Draft(question) => {
                    let draft = self.messages.draft();
                    self.session.drafted(question, draft)
                }
                Step::Consult(question) => self.session.consulted(*question, Consent::Given),
                Step::Gate(question) => self.session.gated(question, Judgement::default()),
                Step::Scan(acceptance) => self.session.scanned(acceptance, Vec::new()),
                Step::File(acceptance) => self.session.filed(acceptance, &Ok(())),
                Step::Commit(acceptance) => self.commit(*acceptance),
            };
        }
    }

    fn commit(&mut self, acceptance: Acceptance) -> Step {
        let result = now(acceptance.draft.commit(acceptance.delivery));
        self.session.committed(result, acceptance.recipients, &acceptance.settled)
    }
}

fn peer(address: IpAddr, tls: Tls) -> session::Peer {
    session::Peer { address: Some(address), local: Some(LOOPBACK), session: "bare".to_owned(), tls }
}

/// What `mail.example.test` allows.
pub(crate) fn policy(config: &Config) -> Arc<Policy> {
    let domains = ["example.test", "second.test", "caught.test"].map(str::to_owned).to_vec();
    let server = Server { hostname: "mail.example.test".to_owned(), domains };
    Arc::new(Policy::new(config, &RelayConfig::default(), &server).unwrap())
}

/// What a connection under TLS gives to a login; no client has a certificate.
fn under_tls() -> Surroundings {
    let bindings = ChannelBindings::new(Some([7; 32]), Some(vec![8; 32]));
    Surroundings { bindings, ..Surroundings::default() }
}

/// The only good tokens are alice's and that of somebody without an account.
fn verdict(shown: &BearerToken) -> TokenVerdict {
    match shown.token.expose().as_str() {
        "alices-token" => TokenVerdict::Login("alice@example.test".to_owned()),
        "nobodys-token" => TokenVerdict::Login("nobody@example.test".to_owned()),
        _ => TokenVerdict::Refused,
    }
}

fn tls_details() -> TlsDetails {
    TlsDetails { version: "TLS1.3", cipher: "TLS13_AES_256_GCM_SHA384".to_owned() }
}

impl Peer for BareSession {
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.input.extend(octets);
        self.go_on();
        Ok(())
    }

    fn receive_line(&mut self) -> io::Result<Received> {
        if let Some(end) = self.output.iter().position(|&octet| octet == b'\n') {
            return Ok(Received::Line(self.output.drain(..=end).collect()));
        }
        Ok(match self.expects {
            Expects::Nothing => Received::Closed,
            Expects::Lines | Expects::Content(_) | Expects::Discarded(..) | Expects::Tls => Received::Nothing,
        })
    }

    fn start_tls(&mut self) -> io::Result<()> {
        match self.expects {
            Expects::Tls => {
                self.session.tls_started(tls_details());
                self.session.surrounded_by(Surroundings { tokens: self.tokens, ..under_tls() });
                self.expects = Expects::Lines;
                Ok(())
            }
            Expects::Nothing => Err(io::ErrorKind::ConnectionReset.into()),
            Expects::Lines | Expects::Content(_) | Expects::Discarded(..) => {
                Err(io::ErrorKind::InvalidData.into())
            }
        }
    }

    fn close(&mut self) -> io::Result<()> {
        self.expects = Expects::Nothing;
        Ok(())
    }
}

/// A session of the default policy in which EHLO has been said.
pub(crate) fn reception() -> BareSession {
    greeted(Kind::Reception, &Config::default(), Accounts::new())
}

/// A session of the default policy within TLS in which alice has logged in.
pub(crate) fn submission() -> BareSession {
    let mut session = greeted(Kind::Submission, &Config::default(), Accounts::new());
    assert_eq!(session.codes(LOGIN), [235]);
    session
}

/// A session in which EHLO has been said.
pub(crate) fn greeted(kind: Kind, config: &Config, accounts: Accounts) -> BareSession {
    let mut session = BareSession::new(kind, policy(config), Arc::new(accounts), Security::Tls);
    let hello = match kind {
        Kind::Reception | Kind::Submission => "EHLO",
        Kind::Lmtp => "LHLO",
    };
    assert_eq!(session.codes(format!("{hello} client.example.org\r\n")), [220, 250]);
    session
}

/// Alice logs in.
pub(crate) const LOGIN: &str = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABwdy1hbGljZQ==\r\n";
