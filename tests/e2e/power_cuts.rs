//! Power cuts at any moment, while segments are compacted: nothing is lost, torn, doubled or back.
//!
//! The store lies on an ext4 of its own behind a loop device; a cut is ext4's shutdown without a flush of its log, then
//! `kill -9`, and a mount that replays the log. Only root can do that: elsewhere the test says that it was left out.
//!
//! `POWER_CUTS=50 cargo test -p mailstack-tests --test power_cuts` cuts fifty times instead of five.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use mailstack_tests::deadline::{timed, wait_for};
use mailstack_tests::disk::Disk;
use mailstack_tests::numbered::{content, number_in, number_of};
use mailstack_tests::pop3::Pop3;
use mailstack_tests::random::Random;
use mailstack_tests::server::{Configuration, Server};

const SENDERS: u64 = 6;
/// Acknowledged messages before a cut: at least, and at most so many more.
const ACKNOWLEDGED_MIN: u64 = 50;
const ACKNOWLEDGED_MORE: u64 = 350;
/// Most segments that are compacted before a cut, at least.
const COMPACTED_MAX: u64 = 4;
/// Messages that a session looks at, and of a hundred of them, those that it deletes.
const LOOKED_AT_MAX: usize = 60;
const DELETED_PERCENT: u64 = 85;

/// What is known of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    /// Sent, and the answer never came: it may be there.
    #[default]
    Unknown,
    /// Acknowledged before the cut: it is there.
    Accepted,
    /// Acknowledged between the cut and the kill. It may be there: kernels let an fdatasync succeed that was under way
    /// when the file system was shut down, which no disk does that has lost its power.
    AcceptedLate,
    /// Marked, and no answer to QUIT came before the cut: it may be there.
    PerhapsRemoved,
    /// The QUIT was acknowledged before the cut: it is not there.
    Removed,
}

#[derive(Debug, Default)]
struct Message {
    fate: Fate,
    /// As it was first seen.
    unique_id: Option<String>,
}

/// What there is to say in the end.
#[derive(Debug, Default)]
struct Figures {
    cuts: u64,
    acknowledged: u64,
    deleted: u64,
    segments_compacted: u64,
    acknowledged_after_the_cut: u64,
    of_these_missing: u64,
    slowest_start: Duration,
    lost: Vec<u64>,
    back: Vec<u64>,
    doubled: Vec<u64>,
    torn: Vec<String>,
    never_sent: Vec<u64>,
    unique_id_changed: Vec<u64>,
}

impl Figures {
    fn all_is_well(&self) -> bool {
        let numbers = [&self.lost, &self.back, &self.doubled, &self.never_sent, &self.unique_id_changed];
        self.torn.is_empty() && numbers.iter().all(|numbers| numbers.is_empty())
    }
}

/// What all threads write down. One lock for all of it, so that each knows whether it was before the cut.
#[derive(Debug, Default)]
struct Known {
    cut: bool,
    /// Why a session ended before the cut.
    failure: Option<String>,
    messages: Vec<Message>,
    figures: Figures,
}

impl Known {
    fn message(&mut self, number: u64) -> Option<&mut Message> {
        self.messages.get_mut(usize::try_from(number).unwrap())
    }

    /// The number of a new message.
    fn sending(&mut self) -> u64 {
        self.messages.push(Message::default());
        self.messages.len() as u64 - 1
    }

    fn acknowledged(&mut self, number: u64) {
        let fate = if self.cut { Fate::AcceptedLate } else { Fate::Accepted };
        self.figures.acknowledged += u64::from(!self.cut);
        self.figures.acknowledged_after_the_cut += u64::from(self.cut);
        // It can be seen and deleted before its sender has read the reply.
        if let Some(message) = self.message(number).filter(|message| message.fate == Fate::Unknown) {
            message.fate = fate;
        }
    }

    fn marked(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.message(*number).unwrap().fate = Fate::PerhapsRemoved;
        }
    }

    fn removed(&mut self, numbers: &[u64]) {
        if self.cut {
            return;
        }
        for number in numbers {
            self.message(*number).unwrap().fate = Fate::Removed;
        }
        self.figures.deleted += numbers.len() as u64;
    }

    /// Compares what is there with what is known, and makes known what is there.
    fn compare(&mut self, maildrop: &mut Pop3) -> io::Result<()> {
        let mut there = BTreeMap::new();
        for (position, unique_id) in (1..).zip(maildrop.listed("UIDL")?) {
            match number_of(&maildrop.retrieve(position)?) {
                Ok(number) if there.insert(number, unique_id).is_some() => self.figures.doubled.push(number),
                Ok(_) => {}
                Err(torn) => self.figures.torn.push(torn.to_string()),
            }
        }
        let Self { messages, figures, .. } = self;
        for (number, message) in (0..).zip(messages) {
            let unique_id = there.remove(&number);
            let was = message.fate;
            message.fate = if unique_id.is_some() { Fate::Accepted } else { Fate::Removed };
            match (was, message.fate) {
                (Fate::Accepted, Fate::Removed) => figures.lost.push(number),
                (Fate::Removed, Fate::Accepted) => figures.back.push(number),
                (Fate::AcceptedLate, Fate::Removed) => figures.of_these_missing += 1,
                _ => {}
            }
            if message.unique_id.is_some() && unique_id.is_some() && message.unique_id != unique_id {
                figures.unique_id_changed.push(number);
            }
            message.unique_id = unique_id.or(message.unique_id.take());
        }
        figures.never_sent.extend(there.keys());
        Ok(())
    }
}

/// What is done until the power is cut.
struct Load<'a> {
    server: &'a Server,
    known: &'a Mutex<Known>,
}

impl Load<'_> {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Whatever a session ends with is expected after the cut, and nothing before.
    fn until_cut(&self, session: impl FnOnce(&Self) -> io::Result<()>) {
        let ended = session(self);
        let mut known = self.known();
        if !known.cut {
            known.failure = Some(format!("a session ended before the power was cut: {ended:?}"));
        }
    }

    /// Sends messages one after the other.
    fn send(&self) -> io::Result<()> {
        let mut smtp = self.server.reception()?;
        loop {
            let number = self.known().sending();
            smtp.envelope("alice@example.org", &["bob@example.test"])?;
            smtp.data(&content(number))?.positive()?;
            self.known().acknowledged(number);
        }
    }

    /// Logs in again and again and deletes most of the oldest messages, so that there is something to compact.
    fn delete(&self, mut random: Random) -> io::Result<()> {
        loop {
            let mut maildrop = self.server.maildrop("bob")?;
            let mut marked = Vec::new();
            for position in 1..=maildrop.count()?.min(LOOKED_AT_MAX) {
                if random.below(100) < DELETED_PERCENT {
                    marked.push(number_in(&maildrop.top(position, 0)?)?);
                    maildrop.delete(position)?;
                }
            }
            self.known().marked(&marked);
            maildrop.quit()?;
            self.known().removed(&marked);
        }
    }

    /// Compacts again and again.
    fn compact(&self) -> io::Result<()> {
        while !self.known().cut {
            let said = self.server.mailstack(&["store", "compact"], "")?;
            let segments = said.split_once(" given up, ").and_then(|(_, rest)| rest.split(' ').next());
            let segments = segments.and_then(|segments| segments.parse::<u64>().ok());
            self.known().figures.segments_compacted += segments.ok_or_else(|| io::Error::other(said))?;
        }
        Ok(())
    }

    /// Waits until so much more was done.
    fn wait(&self, acknowledged: u64, compacted: u64) -> io::Result<()> {
        wait_for("acknowledgements and compactions", || {
            let known = self.known();
            if let Some(failure) = &known.failure {
                return Err(io::Error::other(failure.clone()));
            }
            let figures = &known.figures;
            let enough = figures.acknowledged >= acknowledged && figures.segments_compacted >= compacted;
            Ok(enough.then_some(()))
        })
    }
}

/// Sends, deletes and compacts until the power is cut in the middle of it.
fn load_until_cut(server: &Server, disk: &Disk, known: &Mutex<Known>, random: &mut Random) -> io::Result<()> {
    let switch = disk.switch()?;
    let load = Load { server, known };
    let (acknowledged, compacted) = {
        let figures = &load.known().figures;
        let more = ACKNOWLEDGED_MIN + random.below(ACKNOWLEDGED_MORE);
        (figures.acknowledged + more, figures.segments_compacted + random.below(COMPACTED_MAX))
    };
    let marks = Random::new(random.number());
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| load.until_cut(Load::send));
        }
        scope.spawn(|| load.until_cut(|load| load.delete(marks)));
        scope.spawn(|| load.until_cut(Load::compact));
        let waited = load.wait(acknowledged, compacted);
        load.known().cut = true;
        let cut = switch.cut();
        // Whatever has failed, this ends the threads.
        server.signal_kill()?;
        waited.and(cut)
    })
}

#[test]
fn acknowledged_mail_survives_power_cuts_while_segments_are_compacted() {
    let Some(mut disk) = Disk::new().unwrap() else { return };
    let cuts = std::env::var("POWER_CUTS").map_or(5, |cuts| cuts.parse().unwrap());
    let configuration = Configuration {
        store: Some(disk.path().join("store")),
        store_keys: "undelete_days = 0\nreserve_octets = 1000000",
        ..Configuration::default()
    };
    let mut server = Server::start(&configuration).unwrap();
    let known = Mutex::new(Known::default());
    let mut random = Random::new(1);
    for _ in 0..cuts {
        load_until_cut(&server, &disk, &known, &mut random).unwrap();
        server.ended().unwrap();
        disk.unmount().unwrap();
        disk.mount().unwrap();
        let (started, took) = timed(|| server.run(&configuration));
        started.unwrap();
        let mut known = known.lock().unwrap();
        known.compare(&mut server.maildrop("bob").unwrap()).unwrap();
        known.cut = false;
        known.figures.cuts += 1;
        known.figures.slowest_start = known.figures.slowest_start.max(took);
    }
    let figures = known.into_inner().unwrap().figures;
    writeln!(io::stderr(), "{figures:?}").unwrap();
    assert!(figures.all_is_well(), "{figures:?}");
    let tested = [figures.acknowledged, figures.deleted, figures.segments_compacted];
    assert!(!tested.contains(&0), "so nothing was tested: {figures:?}");
}
