//! Every dialogue, played against real processes over TCP, STARTTLS or STLS, and implicit TLS.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;

use mailstack_tests::dialogue::{ClearLogin, Port, Protocol, Setting, Transport};
use mailstack_tests::player::{Chopping, Security, World, play_all};
use mailstack_tests::server::{Configuration, Server};
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

/// One server for each of the two configurations, all dialogues one after the other.
fn play_over_processes(protocol: Protocol, chopping: Chopping) {
    let allowed = Served::new(ClearLogin::Allowed);
    let never = Served::new(ClearLogin::Never);
    play_all(protocol, chopping, |setting, transport| {
        let served = match setting.clear_login {
            ClearLogin::Allowed => &allowed,
            ClearLogin::Never => &never,
        };
        served.prepare(setting).unwrap();
        Connections { served, port: setting.port, transport }
    });
}

/// A server, and the accounts that have got mail since their maildrops were empty.
struct Served {
    server: Server,
    filled: RefCell<BTreeSet<String>>,
}

/// All dialogues come from one address, and many of them log in wrongly.
const NO_GUARD: &str =
    "guesses_max = 0\nnetwork_guesses_max = 0\naccount_guesses_max = 0\nturn_seconds_max = 0";

impl Served {
    fn new(clear_login: ClearLogin) -> Self {
        let accounts = vec!["dora"];
        let configuration =
            Configuration { clear_login, accounts, guard: NO_GUARD, ..Configuration::default() };
        let server = Server::start(&configuration).unwrap();
        let quota = ["account", "quota", "dora@example.test", "--octets", "10000", "--messages", "2"];
        server.mailstack(&quota, "").unwrap();
        server.mailstack(&["alias", "add", "@caught.test", "bob@example.test"], "").unwrap();
        for granted in ["press@example.test", "@second.test"] {
            server.mailstack(&["account", "grant", "carol@example.test", "--as", granted], "").unwrap();
        }
        Self { server, filled: RefCell::default() }
    }

    /// Empties maildrops that an earlier dialogue has filled, and puts the setting's messages in.
    fn prepare(&self, setting: &Setting) -> io::Result<()> {
        for account in std::mem::take(&mut *self.filled.borrow_mut()) {
            self.empty(&account)?;
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

    fn empty(&self, account: &str) -> io::Result<()> {
        let mut pop3 = self.server.maildrop(account)?;
        for number in 1..=pop3.count()? {
            pop3.delete(number)?;
        }
        pop3.quit()
    }
}

/// Opens the connections of one dialogue.
struct Connections<'a> {
    served: &'a Served,
    port: Port,
    transport: Transport,
}

impl World for Connections<'_> {
    type Peer = Stream;

    fn connect(&mut self, security: Security) -> io::Result<Stream> {
        let server = &self.served.server;
        let addresses = server.addresses()?;
        match (self.port, security) {
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
