//! Time to open a store and memory that it takes, by the number of messages in it; and its size on disk.
//!
//!     cargo bench -p mailstore --features bench --bench sizes
//!     cargo bench -p mailstore --features bench --bench sizes -- messages=1000000 octets=1024
//!
//! For each number of `messages` (10,000 and 100,000) of `octets` (1024) each, spread over 100 maildrops, a store
//! is filled and then opened: after a kill at the end of the filling, after a clean close, after a kill behind some
//! more deliveries, and without its index, so that it is rebuilt from the journal. A process of its own does each,
//! so that memory is its own.
//!
//! `open` and `cpu` are milliseconds until the store has opened, `listed` those until a first maildrop has been
//! listed as well, `written` is what opening wrote in MiB. `rss` is the memory in MiB when the store has opened,
//! `worked` after every maildrop was listed, a message of each read and 1,000 delivered, `peak` the most at any
//! time. The files are as warm as the run before has left them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on has failed")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{Load, Meter};
use mailstore::{MaildropId, Store};
use rustix::process::{Signal, getpid, kill_process};

const MAILDROPS: usize = 100;
/// Enough for groups that hide what a flush costs; only the filling is in a hurry.
const WRITERS: usize = 256;
/// Deliveries to a store that has been opened.
const MORE: u64 = 1000;

#[tokio::main]
async fn main() {
    if common::argument("child").is_some() {
        return child().await;
    }
    common::row(["messages", "after", "open", "listed", "cpu", "written", "rss", "worked", "peak"]);
    for messages in common::numbers("messages", &[10_000_u64, 100_000]) {
        measure(messages);
    }
}

/// All measurements of one store.
fn measure(messages: u64) {
    let folder = common::folder();
    let store = folder.path().join("store");
    let run = |after: &str, end: &str| run(&store, messages, after, end);
    run("fill", "kill");
    run("kill", "close");
    run("close", "kill");
    run("more+kill", "close");
    fs::remove_dir_all(store.join("index")).expect("the index goes");
    run("rebuild", "close");
    run("close", "close");
    let mib = |name: &str| octets(&store.join(name)) >> 20;
    let (journal, index) = (mib("journal"), mib("index"));
    common::row([format!("{messages} messages: journal {journal} MiB, index {index} MiB")]);
}

/// Has a process of its own open the store.
fn run(store: &Path, messages: u64, after: &str, end: &str) {
    let program = std::env::current_exe().expect("this program has a name");
    let mut child = Command::new(program);
    child.arg(format!("child={}", store.display())).arg(format!("messages={messages}"));
    child.args(std::env::args().filter(|argument| argument.starts_with("octets=")));
    let status = child.arg(format!("after={after}")).arg(format!("end={end}")).status();
    let status = status.expect("the child starts");
    assert!(status.success() || end == "kill", "the child failed: {status}");
}

/// In the process of its own: opens, measures, works, and ends as it is told to.
async fn child() {
    let folder = PathBuf::from(common::argument("child").unwrap_or_default());
    let after = common::argument("after").unwrap_or_default();
    let meter = Meter::begin();
    let store = mailstore::open(common::options(&folder)).await.expect("the store opens");
    let opened = meter.end();
    let rss = common::memory_mib("VmRSS");
    let mut listed = opened.wall;
    let messages = common::numbers("messages", &[0]).iter().sum();
    if after == "fill" {
        let maildrops = common::maildrops(&store, MAILDROPS).await;
        deliver(&store, &maildrops, messages).await;
    } else {
        let maildrops = maildrops_there(&store).await;
        look_at(&store, maildrops.get(..1).unwrap_or_default()).await;
        listed = meter.end().wall;
        assert!(look_at(&store, &maildrops).await >= messages, "messages are missing");
        deliver(&store, &maildrops, MORE).await;
    }
    common::row([
        common::argument("messages").unwrap_or_default(),
        after,
        opened.wall.as_millis().to_string(),
        listed.as_millis().to_string(),
        opened.cpu.as_millis().to_string(),
        (opened.written_octets >> 20).to_string(),
        rss.to_string(),
        common::memory_mib("VmRSS").to_string(),
        meter.end().peak_mib.to_string(),
    ]);
    if common::argument("end").is_some_and(|end| end == "kill") {
        kill_process(getpid(), Signal::KILL).expect("this process can be killed");
    }
    store.close().await;
}

async fn deliver(store: &Store, maildrops: &[MaildropId], messages_max: u64) {
    let octets = common::numbers("octets", &[1 << 10]).iter().sum();
    let load = Load {
        writers: WRITERS,
        content: common::content(octets),
        messages_max,
        time_max: Duration::MAX / 4,
    };
    assert_eq!(common::deliver(store, maildrops, &load).await, messages_max);
}

async fn maildrops_there(store: &Store) -> Vec<MaildropId> {
    let accounts = store.administration.accounts().await.expect("the store has accounts");
    accounts.into_iter().map(|account| account.maildrop).collect()
}

/// Lists maildrops, and reads one message of each; returns how many messages there are.
async fn look_at(store: &Store, maildrops: &[MaildropId]) -> u64 {
    let mut found = 0;
    for maildrop in maildrops {
        let mut lease = store.maildrops.lease(*maildrop, Duration::ZERO).await.expect("nobody else has it");
        found += lease.entries().len() as u64;
        let octets = lease.read(0, 0, 64 << 10).await.expect("the message can be read");
        assert!(octets.ends_with(b"\r\n"));
    }
    found
}

/// Of all files in a folder.
fn octets(folder: &Path) -> u64 {
    let entries =
        fs::read_dir(folder).expect("the folder can be read").map(|entry| entry.expect("the folder goes on"));
    let of_entry = |entry: fs::DirEntry| {
        let metadata = entry.metadata().expect("the file is there");
        if metadata.is_dir() { octets(&entry.path()) } else { metadata.len() }
    };
    entries.map(of_entry).sum()
}
