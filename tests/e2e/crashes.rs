//! `kill -9` at any moment: what was acknowledged is there once and whole, and what was removed stays removed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use mailstack_tests::deadline::wait_for;
use mailstack_tests::numbered::{content, number_of};
use mailstack_tests::pop3::Pop3;
use mailstack_tests::random::Random;
use mailstack_tests::server::{ACCOUNTS, Configuration, Server};
use mailstack_tests::smtp::Smtp;

const ROUNDS: u64 = 25;
/// Sessions that send at a time, and sessions that fetch.
const SENDERS: u64 = 4;
/// Most replies of a round before the process is killed.
const REPLIES_MAX: u64 = 60;

#[test]
fn acknowledged_mail_survives_crashes_and_removed_mail_stays_away() {
    crash_again_and_again(1, |_| {});
}

#[test]
fn the_same_holds_when_the_index_is_lost_each_time() {
    crash_again_and_again(2, |server| fs::remove_dir_all(server.folder().join("store/index")).unwrap());
}

/// What is known of a message in one maildrop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Sent, and the answer never came: it may be there.
    Unknown,
    /// Acknowledged: it is there.
    Accepted,
    /// Marked, and the answer to QUIT never came: it may be there.
    PerhapsRemoved,
    /// The QUIT was acknowledged: it is not there.
    Removed,
}

/// The fate of each message, by maildrop and number.
type Fates = Mutex<BTreeMap<(&'static str, u64), Fate>>;

/// What the threads of one round share.
struct Round<'a> {
    server: &'a Server,
    fates: &'a Fates,
    numbers: &'a AtomicU64,
    replies: AtomicU64,
}

fn crash_again_and_again(seed: u64, between: impl Fn(&Server)) {
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    let fates = Fates::default();
    let numbers = AtomicU64::new(0);
    let mut random = Random::new(seed);
    for round in 0..ROUNDS {
        let replies = random.below(REPLIES_MAX);
        traffic_until_killed(&mut server, &fates, &numbers, replies);
        between(&server);
        server.run(&configuration).unwrap();
        compare(&server, &mut fates.lock().unwrap())
            .map_err(|problem| format!("seed {seed}, round {round}: {problem}"))
            .unwrap();
    }
    let fates = fates.into_inner().unwrap();
    for fate in [Fate::Accepted, Fate::Removed] {
        assert!(fates.values().any(|other| *other == fate), "nothing was {fate:?}, so nothing was tested");
    }
}

/// Sends and fetches in several sessions, and kills the server after so many replies, in the middle of the next.
fn traffic_until_killed(server: &mut Server, fates: &Fates, numbers: &AtomicU64, replies: u64) {
    {
        let round = Round { server, fates, numbers, replies: AtomicU64::new(0) };
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let round = &round;
                scope.spawn(move || ended_by_the_crash(&send(round, sender).unwrap_err()));
            }
            for account in ACCOUNTS {
                let round = &round;
                scope.spawn(move || ended_by_the_crash(&fetch(round, account).unwrap_err()));
            }
            wait_for("replies", || Ok((round.replies.load(Ordering::Relaxed) >= replies).then_some(())))
                .unwrap();
            server.signal_kill().unwrap();
        });
    }
    server.ended().unwrap();
}

/// A session ends because its connection is cut, not because the server refuses anything.
fn ended_by_the_crash(error: &io::Error) {
    assert_ne!(error.kind(), io::ErrorKind::Other, "{error}");
}

/// Sends messages one after the other, to one maildrop or to all, by DATA or by BDAT.
fn send(round: &Round, sender: u64) -> io::Result<()> {
    let mut smtp = match sender % 2 {
        0 => round.server.submission("alice")?,
        _ => round.server.reception()?,
    };
    loop {
        let number = round.numbers.fetch_add(1, Ordering::Relaxed);
        let accounts = match number % 3 {
            0 => ACCOUNTS.to_vec(),
            1 => vec!["bob"],
            _ => vec!["carol"],
        };
        let recipients: Vec<String> =
            accounts.iter().map(|account| format!("{account}@example.test")).collect();
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        smtp.envelope("alice@example.test", &recipients)?;
        set(round.fates, &accounts, number, |_| Fate::Unknown);
        accepted(&mut smtp, number)?;
        // A message can be fetched and removed before its sender has read the reply.
        set(round.fates, &accounts, number, |fate| if fate == Fate::Unknown { Fate::Accepted } else { fate });
        round.replies.fetch_add(1, Ordering::Relaxed);
    }
}

fn accepted(smtp: &mut Smtp, number: u64) -> io::Result<()> {
    let content = content(number);
    let reply = if number.is_multiple_of(4) { smtp.chunks(&content, 3000) } else { smtp.data(&content) };
    reply?.positive().map(drop)
}

fn set(fates: &Fates, accounts: &[&'static str], number: u64, change: impl Fn(Fate) -> Fate) {
    let mut fates = fates.lock().unwrap();
    for account in accounts {
        let fate = fates.entry((account, number)).or_insert(Fate::Unknown);
        *fate = change(*fate);
    }
}

/// Logs in again and again, fetches a few messages, deletes some of them and says QUIT.
fn fetch(round: &Round, account: &'static str) -> io::Result<()> {
    loop {
        let mut maildrop = round.server.maildrop(account)?;
        let count = maildrop.count()?;
        let mut marked = Vec::new();
        // The newest, so that there is always something to remove.
        for number in (1..=count).rev().take(6) {
            let message = number_of(&maildrop.retrieve(number)?).unwrap();
            if !message.is_multiple_of(4) {
                maildrop.delete(number)?;
                marked.push(message);
            }
        }
        for message in &marked {
            set(round.fates, &[account], *message, |_| Fate::PerhapsRemoved);
        }
        maildrop.quit()?;
        for message in &marked {
            set(round.fates, &[account], *message, |_| Fate::Removed);
        }
        round.replies.fetch_add(1, Ordering::Relaxed);
    }
}

/// Compares what is there with what is known, and makes known what is there.
fn compare(server: &Server, fates: &mut BTreeMap<(&'static str, u64), Fate>) -> Result<(), String> {
    let mut found: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for account in ACCOUNTS {
        let numbers = contents(&mut server.maildrop(account).unwrap());
        let mut once = BTreeSet::new();
        for number in numbers? {
            if !once.insert(number) {
                return Err(format!("{account} has message {number} twice"));
            }
        }
        found.insert(account, once);
    }
    for (account, numbers) in &found {
        if let Some(number) = numbers.iter().find(|number| !fates.contains_key(&(*account, **number))) {
            return Err(format!("{account} has message {number}, which nobody sent there"));
        }
    }
    all_or_none(&found, fates)?;
    for ((account, number), fate) in fates.iter_mut() {
        let there = found.get(account).is_some_and(|numbers| numbers.contains(number));
        *fate = match (*fate, there) {
            (Fate::Unknown | Fate::Accepted | Fate::PerhapsRemoved, true) => Fate::Accepted,
            (Fate::Unknown | Fate::PerhapsRemoved | Fate::Removed, false) => Fate::Removed,
            (Fate::Accepted, false) => return Err(format!("{account} has lost message {number}")),
            (Fate::Removed, true) => return Err(format!("{account} has got message {number} back")),
        };
    }
    Ok(())
}

/// A message whose answer never came is in all of its maildrops or in none.
fn all_or_none(
    found: &BTreeMap<&str, BTreeSet<u64>>,
    fates: &BTreeMap<(&'static str, u64), Fate>,
) -> Result<(), String> {
    let mut there: BTreeMap<u64, bool> = BTreeMap::new();
    for ((account, number), _) in fates.iter().filter(|(_, fate)| **fate == Fate::Unknown) {
        let here = found.get(account).is_some_and(|numbers| numbers.contains(number));
        if *there.entry(*number).or_insert(here) != here {
            return Err(format!("message {number} came to some of its maildrops only"));
        }
    }
    Ok(())
}

/// The numbers of all messages of a maildrop, each of which is whole.
fn contents(maildrop: &mut Pop3) -> Result<Vec<u64>, String> {
    let count = maildrop.count().map_err(|error| error.to_string())?;
    (1..=count)
        .map(|number| {
            let retrieved = maildrop.retrieve(number).map_err(|error| error.to_string())?;
            number_of(&retrieved).map_err(|error| error.to_string())
        })
        .collect()
}
