//! Backups of a server in full use: what was acknowledged before comes back, once and whole, and damage is named.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use mailstack_tests::clients::{Said, run};
use mailstack_tests::deadline::wait_for;
use mailstack_tests::programs::program;
use mailstack_tests::random::Random;
use mailstack_tests::server::{ACCOUNTS, Configuration, Server};

/// Sessions that send at a time.
const SENDERS: u64 = 4;
/// Messages that are acknowledged before the first backup, and between two.
const ACKNOWLEDGED_MIN: usize = 60;

/// Which messages each account has.
type Mail = BTreeMap<&'static str, BTreeSet<u64>>;

/// What the senders share.
struct Load<'a> {
    server: &'a Server,
    numbers: AtomicU64,
    acknowledged: Mutex<Mail>,
    enough: AtomicBool,
}

impl Load<'_> {
    /// Sends messages one after the other until it is enough.
    fn send(&self, sender: u64) {
        let mut smtp = match sender % 2 {
            0 => self.server.submission("alice").unwrap(),
            _ => self.server.reception().unwrap(),
        };
        while !self.enough.load(Ordering::Relaxed) {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let accounts = if number.is_multiple_of(3) { ACCOUNTS.to_vec() } else { vec!["bob"] };
            let recipients: Vec<String> =
                accounts.iter().map(|account| format!("{account}@example.test")).collect();
            let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
            smtp.envelope("alice@example.test", &recipients).unwrap();
            smtp.data(&content(number)).unwrap().positive().unwrap();
            let mut acknowledged = self.acknowledged.lock().unwrap();
            for account in accounts {
                acknowledged.entry(account).or_default().insert(number);
            }
        }
    }

    /// What is acknowledged once there is so much more of it.
    fn acknowledged(&self, more: usize) -> Mail {
        let count = || self.acknowledged.lock().unwrap().get("bob").map_or(0, BTreeSet::len);
        let before = count();
        wait_for("mail", || Ok((count() >= before + more).then_some(()))).unwrap();
        self.acknowledged.lock().unwrap().clone()
    }
}

/// A message that tells its number; the sizes go from small to beyond what stays in memory.
fn content(number: u64) -> Vec<u8> {
    let lines = if number % 50 == 49 { 40_000 } else { Random::new(number).below(400) };
    let mut content = format!("Subject: {number}\r\nX-Lines: {lines}\r\n\r\n").into_bytes();
    for line in 0..lines {
        content.extend_from_slice(format!("{number} {line} ........................\r\n").as_bytes());
    }
    content
}

/// The messages that the accounts have, each of them whole and once.
fn mail(server: &Server) -> Mail {
    let mut mail = Mail::new();
    for account in ACCOUNTS {
        let mut maildrop = server.maildrop(account).unwrap();
        let mut numbers = BTreeSet::new();
        for index in 1..=maildrop.count().unwrap() {
            let retrieved = maildrop.retrieve(index).unwrap();
            let text = String::from_utf8_lossy(&retrieved);
            let number = text.split_once("\r\nSubject: ").unwrap().1.split("\r\n").next().unwrap();
            let number = number.parse().unwrap();
            assert!(retrieved.ends_with(&content(number)), "message {number} of {account} is torn");
            assert!(numbers.insert(number), "{account} has message {number} twice");
        }
        mail.insert(account, numbers);
    }
    mail
}

fn mailstack(arguments: &[&str]) -> Said {
    run(&program("mailstack").unwrap().display().to_string(), arguments, b"").unwrap()
}

/// The name in `snapshot NAME: ...`.
fn snapshot(said: &str) -> String {
    said.strip_prefix("snapshot ").unwrap().split_once(':').unwrap().0.to_owned()
}

fn stop(server: &mut Server) {
    server.terminate().unwrap();
    assert!(server.ended().unwrap().success());
}

#[test]
fn what_was_acknowledged_before_a_backup_under_load_comes_back_once_and_whole() {
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    let backup = server.folder().join("backup").display().to_string();
    let mut snapshots = Vec::new();
    {
        let server = &server;
        let load = Load {
            server,
            numbers: AtomicU64::new(0),
            acknowledged: Mutex::default(),
            enough: AtomicBool::new(false),
        };
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let load = &load;
                scope.spawn(move || load.send(sender));
            }
            for _ in 0..2 {
                let before = load.acknowledged(ACKNOWLEDGED_MIN);
                let said = server.mailstack(&["backup", &backup], "").unwrap();
                snapshots.push((snapshot(&said), before));
            }
            load.enough.store(true, Ordering::Relaxed);
        });
        // Nothing happens any more: this one has exactly what is there.
        let said = server.mailstack(&["backup", &backup], "").unwrap();
        snapshots.push((snapshot(&said), mail(server)));
        assert_eq!(snapshots[2].1, *load.acknowledged.lock().unwrap());
    }
    stop(&mut server);
    mailstack(&["backup", "verify", &backup]).well().unwrap();
    let store = server.folder().join("store");
    let all = snapshots[2].1.clone();
    for (name, before) in snapshots {
        fs::remove_dir_all(&store).unwrap();
        let folder = store.display().to_string();
        mailstack(&["restore", &backup, "--to", &folder, "--snapshot", &name]).well().unwrap();
        server.run(&configuration).unwrap();
        let found = mail(&server);
        for (account, numbers) in &before {
            assert!(found[account].is_superset(numbers), "{account} in {name}");
            assert!(found[account].is_subset(&all[account]), "{account} in {name}");
        }
        stop(&mut server);
    }
    server.run(&configuration).unwrap();
    assert_eq!(mail(&server), all);
}

/// All files under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn one_flipped_octet_is_named_and_an_account_gets_back_what_it_has_lost() {
    let server = Server::usual().unwrap();
    let mut smtp = server.reception().unwrap();
    for number in 0..10 {
        smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
        smtp.data(&content(number)).unwrap().positive().unwrap();
    }
    smtp.quit().unwrap();
    let backup = server.folder().join("backup").display().to_string();
    server.mailstack(&["backup", &backup], "").unwrap();
    let unique_ids = server.maildrop("bob").unwrap().listed("UIDL").unwrap();

    let object = files(&server.folder().join("backup/objects")).pop().unwrap();
    let whole = fs::read(&object).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    *flipped.get_mut(middle).unwrap() ^= 1;
    fs::write(&object, &flipped).unwrap();
    let said = mailstack(&["backup", "verify", &backup]);
    assert!(!said.success);
    let name = object.file_name().unwrap().to_str().unwrap();
    assert!(said.text().contains(name) && said.text().contains(" of bob@example.test"), "{}", said.text());
    fs::write(&object, &whole).unwrap();

    let mut maildrop = server.maildrop("bob").unwrap();
    (1..=4).for_each(|number| maildrop.delete(number).unwrap());
    maildrop.quit().unwrap();
    for id in unique_ids.get(..2).unwrap() {
        server.mailstack(&["maildrop", "purge", "bob@example.test", id, "--yes"], "").unwrap();
    }
    let restore = ["restore", &backup, "--account", "bob@example.test"];
    let one = [&restore[..], &["--message", &unique_ids[0]]].concat();
    assert_eq!(server.mailstack(&one, "").unwrap(), "restored 1 message, 0 were there already\n");
    let said = server.mailstack(&restore, "").unwrap();
    assert_eq!(said, "restored 1 message, 2 undeleted, 7 were there already\n");
    let said = server.mailstack(&restore, "").unwrap();
    assert_eq!(said, "restored 0 messages, 10 were there already\n");
    let found = server.maildrop("bob").unwrap().listed("UIDL").unwrap();
    assert_eq!(found.iter().collect::<BTreeSet<_>>(), unique_ids.iter().collect::<BTreeSet<_>>());
    assert_eq!(mail(&server)["bob"], (0..10).collect());
}
