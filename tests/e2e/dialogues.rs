//! Every dialogue, played against real processes over TCP, STARTTLS or STLS, and implicit TLS.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use mailstack_tests::chopping::Chopping;
use mailstack_tests::dialogue::{ClearLogin, Port, Protocol, PutsOff, Rules, Setting, Tokens, Transport};
use mailstack_tests::issuer::Issuer;
use mailstack_tests::player::{Peer as _, Security, World, play_all};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

#[test]
fn smtp_dialogues_go_as_written() {
    play_over_processes(Protocol::Smtp, Chopping::Whole);
}

#[test]
fn smtp_dialogues_go_the_same_when_nobody_waits_for_replies() {
    play_over_processes(Protocol::Smtp, Chopping::Pipelined);
}

#[test]
fn smtp_dialogues_go_the_same_in_pieces() {
    play_over_processes(Protocol::Smtp, Chopping::Pieces);
}

#[test]
fn pop3_dialogues_go_as_written() {
    play_over_processes(Protocol::Pop3, Chopping::Whole);
}

#[test]
fn pop3_dialogues_go_the_same_when_nobody_waits_for_replies() {
    play_over_processes(Protocol::Pop3, Chopping::Pipelined);
}

#[test]
fn pop3_dialogues_go_the_same_in_pieces() {
    play_over_processes(Protocol::Pop3, Chopping::Pieces);
}

/// One server for each of the four configurations, all dialogues one after the other.
fn play_over_processes(protocol: Protocol, chopping: Chopping) {
    let allowed = Served::new(ClearLogin::Allowed);
    let never = Served::new(ClearLogin::Never);
    let guarded = Served::guarded();
    let issuer = Issuer::new().unwrap();
    let checking = Served::checking_tokens(&issuer);
    play_all(protocol, chopping, |setting, transport| {
        let served = match (setting.puts_off, setting.tokens, setting.clear_login) {
            (Some(_), ..) => &guarded,
            (None, Tokens::Checked, _) => &checking,
            (None, Tokens::Unknown, ClearLogin::Allowed) => &allowed,
            (None, Tokens::Unknown, ClearLogin::Never) => &never,
        };
        served.prepare(setting).unwrap();
        Connections { served, setting: setting.clone(), transport }
    });
}

/// A server, and the accounts that have got mail since their maildrops were empty.
struct Served {
    server: Server,
    filled: RefCell<BTreeSet<String>>,
    /// Accounts for whose maildrops something holds.
    ruled: RefCell<BTreeSet<String>>,
    /// Where the last client far away was: where alice has logged in, she is not put off.
    client: Cell<u16>,
}

/// All dialogues come from one address, and many of them log in wrongly.
const NO_GUARD: &str =
    "guesses_max = 0\nnetwork_guesses_max = 0\naccount_guesses_max = 0\nturn_seconds_max = 0";

/// Scripts make errors on purpose, and what the answers say does not depend on when they come.
const AT_ONCE: &str = "error_delay_seconds = 0";

/// Each of these is used up by one.
const STRICT_GUARD: &str = "guesses_max = 1\nturn_seconds_max = 0\n\
    address_messages_per_minute = 1\naddress_recipients_per_minute = 1\n\
    account_messages_per_hour = 1\naccount_recipients_per_hour = 1";

impl Served {
    fn of(server: Server) -> Self {
        Self { server, filled: RefCell::default(), ruled: RefCell::default(), client: Cell::default() }
    }

    /// A server whose clients come through a proxy, so that they count.
    fn guarded() -> Self {
        let behind = "proxy_trusted = [\"127.0.0.1\"]";
        let configuration =
            Configuration { guard: STRICT_GUARD, smtp: behind, pop3: behind, ..Configuration::default() };
        Self::of(Server::start(&configuration).unwrap())
    }

    /// A server that asks `issuer` about tokens.
    fn checking_tokens(issuer: &Issuer) -> Self {
        issuer.grant("alices-token", "alice@example.test");
        issuer.grant("nobodys-token", "nobody@example.test");
        let folder = tempfile::tempdir().unwrap();
        let tables = issuer.questions_table(folder.path(), "").unwrap();
        let configuration = Configuration {
            tables,
            guard: NO_GUARD,
            smtp: AT_ONCE,
            pop3: AT_ONCE,
            ..Configuration::default()
        };
        let server = Server::start(&configuration).unwrap();
        add_junk(&server);
        Self::of(server)
    }

    /// The client does what it is put off for.
    fn exhaust(&self, puts_off: PutsOff) -> io::Result<()> {
        self.server.mailstack(&["guard", "clear", "--all"], "")?;
        self.client.set(self.client.get() + 1);
        let addresses = self.server.addresses()?;
        let mut submission = Smtp::new(self.proxied(addresses.submissions, Security::Tls)?)?;
        match puts_off {
            PutsOff::Logins => {
                submission.login("alice@example.test", "wrong").unwrap_err();
            }
            PutsOff::Messages => {
                submission.login("alice@example.test", "pw-alice")?;
                let reception = Smtp::new(self.proxied(addresses.reception, Security::Clear)?)?;
                for mut smtp in [submission, reception] {
                    smtp.envelope("alice@example.test", &["carol@example.test"])?;
                    smtp.data(b"From: alice@example.test\r\n\r\ntext\r\n")?.positive()?;
                }
            }
            PutsOff::Recipients => {}
        }
        Ok(())
    }

    /// A connection of the client far away.
    fn proxied(&self, address: SocketAddr, security: Security) -> io::Result<Stream> {
        let mut stream = Stream::clear(address, self.server.trust())?;
        let [high, low] = self.client.get().to_be_bytes();
        stream.send(format!("PROXY TCP4 198.18.{high}.{low} 198.51.100.1 56324 25\r\n").as_bytes())?;
        match security {
            Security::Clear => {}
            Security::Tls => stream.start_tls()?,
        }
        Ok(stream)
    }

    fn new(clear_login: ClearLogin) -> Self {
        let accounts = vec!["dora"];
        let configuration = Configuration {
            clear_login,
            accounts,
            guard: NO_GUARD,
            smtp: AT_ONCE,
            pop3: AT_ONCE,
            ..Configuration::default()
        };
        let server = Server::start(&configuration).unwrap();
        let quota = ["account", "quota", "dora@example.test", "--octets", "10000", "--messages", "2"];
        server.mailstack(&quota, "").unwrap();
        server.mailstack(&["alias", "add", "@caught.test", "bob@example.test"], "").unwrap();
        add_junk(&server);
        for granted in ["press@example.test", "@second.test"] {
            server.mailstack(&["account", "grant", "carol@example.test", "--as", granted], "").unwrap();
        }
        Self::of(server)
    }

    /// Empties maildrops that an earlier dialogue has filled, and puts the setting's messages in.
    fn prepare(&self, setting: &Setting) -> io::Result<()> {
        if let Some(puts_off) = setting.puts_off {
            return self.exhaust(puts_off);
        }
        for account in std::mem::take(&mut *self.ruled.borrow_mut()) {
            self.rule(&account, &["--default"])?;
        }
        for account in std::mem::take(&mut *self.filled.borrow_mut()) {
            self.empty(&account)?;
        }
        for (account, rules) in &setting.rules {
            let Rules { login_delay_seconds, expire_days, takeover } = rules;
            let delay = format!("{login_delay_seconds}s");
            let expire = expire_days.map_or("never".to_owned(), |days| format!("{days}d"));
            let takeover = if *takeover { "yes" } else { "no" };
            self.rule(account, &["--login-delay", &delay, "--expire", &expire, "--takeover", takeover])?;
            self.ruled.borrow_mut().insert(account.clone());
        }
        if setting.messages.is_empty() {
            return Ok(());
        }
        let mut smtp = self.server.reception()?;
        for (account, content) in &setting.messages {
            smtp.envelope("carol@example.org", &[&format!("{account}@example.test")])?;
            smtp.chunks(content, content.len().max(1))?.positive()?;
            self.filled.borrow_mut().insert(account.clone());
        }
        smtp.quit().map(drop)
    }

    /// Says what holds for the maildrop of `account`.
    fn rule(&self, account: &str, options: &[&str]) -> io::Result<()> {
        let address = format!("{account}@example.test");
        self.server.mailstack(&[&["account", "maildrop", &address], options].concat(), "").map(drop)
    }

    fn empty(&self, account: &str) -> io::Result<()> {
        let mut pop3 = self.server.maildrop(account)?;
        for number in 1..=pop3.count()? {
            pop3.delete(number)?;
        }
        pop3.quit()
    }
}

/// alice's maildrop for what is filtered.
fn add_junk(server: &Server) {
    server.mailstack(&["account", "subaddress", "add", "alice@example.test", "junk"], "").unwrap();
}

/// Opens the connections of one dialogue.
struct Connections<'a> {
    served: &'a Served,
    setting: Setting,
    transport: Transport,
}

impl World for Connections<'_> {
    type Peer = Stream;

    fn connect(&mut self, security: Security) -> io::Result<Stream> {
        let server = &self.served.server;
        let addresses = server.addresses()?;
        if self.setting.puts_off.is_some() {
            let address = match (self.setting.port, security) {
                (Port::Reception, _) => addresses.reception,
                (Port::Submission, Security::Clear) => addresses.submission,
                (Port::Submission, Security::Tls) => addresses.submissions,
                (Port::Pop3, Security::Clear) => addresses.pop3,
                (Port::Pop3, Security::Tls) => addresses.pop3s,
                (Port::Lmtp, _) => return Err(io::Error::other("LMTP puts nobody off")),
            };
            return self.served.proxied(address, security);
        }
        match (self.setting.port, security) {
            (Port::Lmtp, _) if self.transport == Transport::Unix => {
                Stream::local(&server.lmtp_socket(), server.trust())
            }
            (Port::Lmtp, _) => Stream::clear(addresses.lmtp, server.trust()),
            (Port::Reception, _) => Stream::clear(addresses.reception, server.trust()),
            (Port::Submission, Security::Clear) => Stream::clear(addresses.submission, server.trust()),
            (Port::Submission, Security::Tls) => Stream::tls(addresses.submissions, server.trust()),
            (Port::Pop3, Security::Clear) => Stream::clear(addresses.pop3, server.trust()),
            (Port::Pop3, Security::Tls) => Stream::tls(addresses.pop3s, server.trust()),
        }
    }
}
