//! A connection cut behind any octet around DELE and QUIT, or a server killed there: all that was marked goes, or nothing.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::thread;

use mailstack_tests::apart::{Apart, Layout, Part};
use mailstack_tests::deadline::wait_for;
use mailstack_tests::metered::{Cut, Metered};
use mailstack_tests::pop3::Pop3;
use mailstack_tests::random::Random;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

/// Deletes two of four messages.
const SCRIPT: [&str; 3] = ["DELE 1\r\n", "DELE 3\r\n", "QUIT\r\n"];

/// How a client comes to the server, and how it speaks.
#[derive(Clone, Copy, Debug)]
struct Manner {
    account: &'static str,
    security: Security,
    pace: Pace,
}

#[derive(Clone, Copy, Debug)]
enum Security {
    Clear,
    Tls,
}

#[derive(Clone, Copy, Debug)]
enum Pace {
    /// Each command waits for the reply to the one before.
    Stepwise,
    /// The login and all commands go in one write.
    Together,
}

const MANNERS: [Manner; 4] = [
    Manner { account: "alice", security: Security::Clear, pace: Pace::Stepwise },
    Manner { account: "bob", security: Security::Clear, pace: Pace::Together },
    Manner { account: "carol", security: Security::Tls, pace: Pace::Stepwise },
    Manner { account: "dave", security: Security::Tls, pace: Pace::Together },
];

/// What must have become of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// All marked ones are gone.
    Gone,
    /// All are there.
    There,
    /// One or the other.
    Either,
}

/// What runs out.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// What the client may send.
    Sending(usize),
    /// What it may receive.
    Receiving(usize),
}

/// Whether a limit was too large to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Part,
    All,
}

/// RFC 1939 §6: nothing but QUIT deletes, and without its CRLF it is none (§3).
#[test]
fn a_connection_cut_behind_any_octet_of_the_client_deletes_everything_or_nothing() {
    cut_everywhere(Limit::Sending);
}

/// RFC 1939 §6: `+OK` to QUIT says that what was marked is gone.
#[test]
fn a_connection_cut_behind_any_octet_of_the_server_deletes_everything_or_nothing() {
    cut_everywhere(Limit::Receiving);
}

#[test]
fn a_server_killed_around_quit_has_deleted_everything_or_nothing() {
    const ROUNDS: u32 = 24;
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    let manner = Manner { account: "alice", security: Security::Clear, pace: Pace::Stepwise };
    let mut random = Random::new(5);
    for round in 0..=ROUNDS {
        let world = World { server: &server, manner };
        let before = world.filled();
        let mut client = world.logged_in();
        for line in [SCRIPT[0], SCRIPT[1]] {
            client.send(line.as_bytes()).unwrap();
            client.line().unwrap();
        }
        client.send(SCRIPT[2].as_bytes()).unwrap();
        let mut said = String::new();
        if round == ROUNDS {
            said = client.line().unwrap();
        } else {
            // From at once to long after; nothing depends on how long it takes.
            (0..random.below(1 << round)).for_each(|_| std::hint::spin_loop());
        }
        server.signal_kill().unwrap();
        server.ended().unwrap();
        said += &client.rest();
        server.run(&configuration).unwrap();
        let fate = if said.starts_with("+OK") { Fate::Gone } else { Fate::Either };
        let after = World { server: &server, manner }.ids();
        compare(&before, &after, fate, &format!("round {round}: {said:?}"));
    }
}

/// The deletions go from one process to another then, and either of them may be gone.
#[test]
fn a_process_killed_around_quit_beside_the_store_has_deleted_everything_or_nothing() {
    const ROUNDS: u32 = 20;
    let apart = Apart::new(Layout::Hardened).unwrap();
    apart.start(Part::Store).unwrap();
    apart.add_account("alice").unwrap();
    apart.start(Part::Smtp).unwrap();
    apart.start(Part::Pop3).unwrap();
    let mut random = Random::new(6);
    for round in 0..ROUNDS {
        let killed = if round % 2 == 0 { Part::Store } else { Part::Pop3 };
        let there = apart.maildrop("alice").unwrap().count().unwrap();
        fill(&mut apart.reception().unwrap(), "alice", there);
        let mut maildrop = apart.maildrop("alice").unwrap();
        let before = maildrop.listed("UIDL").unwrap();
        maildrop.delete(1).unwrap();
        maildrop.delete(3).unwrap();
        let spins = random.below(1 << (round + 4));
        let answer = thread::scope(|scope| {
            let answer = scope.spawn(|| maildrop.quit());
            (0..spins).for_each(|_| std::hint::spin_loop());
            apart.kill(killed).unwrap();
            answer.join().unwrap()
        });
        apart.start(killed).unwrap();
        let fate = if answer.is_ok() { Fate::Gone } else { Fate::Either };
        let after = apart.maildrop("alice").unwrap().listed("UIDL").unwrap();
        compare(&before, &after, fate, &format!("round {round}, {killed:?} killed: {answer:?}"));
    }
}

/// Fills a maildrop in which there are so many messages up to four.
fn fill(smtp: &mut Smtp, account: &str, there: usize) {
    for _ in there..4 {
        smtp.envelope("erin@example.org", &[&format!("{account}@example.test")]).unwrap();
        smtp.data(b"Subject: x\r\n\r\ny\r\n").unwrap().positive().unwrap();
    }
}

/// One server and one maildrop on it.
struct World<'a> {
    server: &'a Server,
    manner: Manner,
}

/// Each manner has a maildrop of its own, so that they need not wait for each other.
fn cut_everywhere(limit: fn(usize) -> Limit) {
    let configuration = Configuration { accounts: vec!["dave"], ..Configuration::default() };
    let server = Server::start(&configuration).unwrap();
    thread::scope(|scope| {
        for manner in MANNERS {
            let world = World { server: &server, manner };
            scope.spawn(move || {
                for cut in [Cut::Close, Cut::Reset] {
                    let mut octets = 0;
                    while world.cut(limit(octets), cut) == Extent::Part {
                        octets += 1;
                    }
                    assert!(octets >= SCRIPT.concat().len(), "only {octets} octets were cut");
                }
            });
        }
    });
}

/// Both lists of unique-ids are as `fate` says.
fn compare(before: &[String], after: &[String], fate: Fate, what: &str) {
    let left: Vec<&String> =
        before.iter().zip(1..).filter(|(_, at)| ![1, 3].contains(at)).map(|(id, _)| id).collect();
    let gone = after.iter().eq(left);
    let there = before == after;
    let right = match fate {
        Fate::Gone => gone,
        Fate::There => there,
        Fate::Either => gone || there,
    };
    assert!(right, "{what}: should be {fate:?}; before {before:?}, after {after:?}");
}

impl World<'_> {
    /// Fills the maildrop up to four messages, and gives their unique-ids.
    fn filled(&self) -> Vec<String> {
        let ids = self.ids();
        if ids.len() == 4 {
            return ids;
        }
        fill(&mut self.server.reception().unwrap(), self.manner.account, ids.len());
        self.ids()
    }

    fn ids(&self) -> Vec<String> {
        let address = self.server.addresses().unwrap().pop3;
        let mut maildrop = Pop3::new(Stream::clear(address, self.server.trust()).unwrap()).unwrap();
        let account = self.manner.account;
        maildrop.login(&format!("{account}@example.test"), &format!("pw-{account}")).unwrap();
        let ids = maildrop.listed("UIDL").unwrap();
        maildrop.quit().unwrap();
        ids
    }

    fn login(&self) -> [String; 2] {
        let account = self.manner.account;
        [format!("USER {account}@example.test\r\n"), format!("PASS pw-{account}\r\n")]
    }

    /// A connection whose greeting was read.
    fn connected(&self) -> Metered {
        let addresses = self.server.addresses().unwrap();
        let mut client = match self.manner.security {
            Security::Clear => Metered::clear(addresses.pop3).unwrap(),
            Security::Tls => Metered::tls(addresses.pop3s, self.server.trust()).unwrap(),
        };
        client.line().unwrap();
        client
    }

    fn logged_in(&self) -> Metered {
        let mut client = self.connected();
        for line in self.login() {
            client.send(line.as_bytes()).unwrap();
            assert!(client.line().unwrap().starts_with("+OK"));
        }
        client
    }

    /// A whole session but for what is cut, and what became of the messages.
    fn cut(&self, limit: Limit, cut: Cut) -> Extent {
        let before = self.filled();
        let log_octets = fs::metadata(self.log()).unwrap().len();
        let mut client = match self.manner.pace {
            Pace::Stepwise => self.logged_in(),
            Pace::Together => self.connected(),
        };
        match limit {
            Limit::Sending(octets) => client.send_at_most(octets),
            Limit::Receiving(octets) => client.receive_at_most(octets),
        }
        let mut heard = String::new();
        let quit_was_sent = self.say(&mut client, &mut heard);
        if let Limit::Receiving(_) = limit {
            heard += &client.rest();
        }
        let quit_was_answered =
            heard.lines().nth(self.replies() - 1).is_some_and(|line| line.starts_with("+OK"));
        let port = client.port().unwrap();
        client.cut(cut).unwrap();
        self.wait_for_end(port, log_octets);
        let heard_by_the_server = matches!(limit, Limit::Sending(_)) && cut == Cut::Close;
        let fate = match (quit_was_sent, quit_was_answered || heard_by_the_server) {
            (false, _) => Fate::There,
            (true, true) => Fate::Gone,
            (true, false) => Fate::Either,
        };
        let whole = match limit {
            Limit::Sending(_) => quit_was_sent,
            Limit::Receiving(_) => quit_was_answered && heard.ends_with("\r\n"),
        };
        compare(&before, &self.ids(), fate, &format!("{limit:?}, {cut:?}, {:?}", self.manner));
        if whole { Extent::All } else { Extent::Part }
    }

    /// Says everything, as far as the connection lets it; true where QUIT was said to its end.
    fn say(&self, client: &mut Metered, heard: &mut String) -> bool {
        let [commands @ .., quit] = SCRIPT;
        match self.manner.pace {
            Pace::Stepwise => {
                for line in commands {
                    let Ok(reply) = client.send(line.as_bytes()).and_then(|()| client.line()) else {
                        return false;
                    };
                    heard.push_str(&reply);
                }
                client.send(quit.as_bytes()).is_ok()
            }
            Pace::Together => client.send((self.login().concat() + &SCRIPT.concat()).as_bytes()).is_ok(),
        }
    }

    /// How many replies there are to what [`Self::say`] says.
    const fn replies(&self) -> usize {
        match self.manner.pace {
            Pace::Stepwise => SCRIPT.len(),
            Pace::Together => SCRIPT.len() + 2,
        }
    }

    fn log(&self) -> PathBuf {
        self.server.folder().join("log")
    }

    /// Waits until the server is done with the connection from `port`, as its log says behind `log_octets`.
    fn wait_for_end(&self, port: u16, log_octets: u64) {
        let mut log = File::open(self.log()).unwrap();
        let peer = format!("peer=127.0.0.1:{port} ");
        wait_for("the session to end", || {
            let mut said = String::new();
            log.seek(SeekFrom::Start(log_octets))?;
            log.read_to_string(&mut said)?;
            Ok(said.lines().any(|line| line.contains(&peer) && line.contains("session ended")).then_some(()))
        })
        .unwrap();
    }
}
