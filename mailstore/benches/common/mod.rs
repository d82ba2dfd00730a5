//! What the benchmarks of the store share: their arguments, their table, a store full of mail, and what work cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mailstore::{Delivery, Fate, MaildropId, Options, Store, Terms, TraceRow};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::clock;
use mailwire::secret::Secret;
use rustix::time::{ClockId, clock_gettime};

/// Content comes to a draft in pieces of this size, as it does from a connection.
const PIECE_OCTETS: usize = 64 << 10;

/// The trace fields that every message gets in front of its content.
pub(crate) const FIELDS: [&str; 2] = [
    "Return-Path: <a@example.test>\r\n",
    "Received: from mail.example.test (mail.example.test [192.0.2.1]) by mx.example.test\r\n",
];

/// What stands behind `name=` on the command line.
pub(crate) fn argument(name: &str) -> Option<String> {
    std::env::args().find_map(|argument| Some(argument.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// The numbers behind `name=`, with commas between them.
pub(crate) fn numbers<T: FromStr + Clone>(name: &str, default: &[T]) -> Vec<T> {
    let Some(given) = argument(name) else { return default.to_vec() };
    given.split(',').map(|number| number.parse().ok().expect("an argument is a number")).collect()
}

/// A folder that removes itself: under `folder=`, or where cargo builds, which is on a disk.
pub(crate) fn folder() -> tempfile::TempDir {
    let parent = argument("folder").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    tempfile::tempdir_in(parent).unwrap()
}

/// A line of a table.
#[expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]
pub(crate) fn row<T: std::fmt::Display>(cells: impl IntoIterator<Item = T>) {
    let cells: Vec<_> = cells.into_iter().map(|cell| format!("{:>10}", cell.to_string())).collect();
    println!("{}", cells.join(" "));
}

/// What something cost the whole process.
pub(crate) struct Cost {
    /// Time that passed.
    pub(crate) wall: Duration,
    /// User and system time of all threads.
    pub(crate) cpu: Duration,
    /// Octets that it had written to storage, whole pages as the kernel counts them.
    pub(crate) written_octets: u64,
    /// Most memory that the process had meanwhile.
    pub(crate) peak_mib: u64,
}

/// Measures what comes between [`Self::begin`] and [`Self::end`].
pub(crate) struct Meter {
    wall: Instant,
    cpu: Duration,
    written_octets: u64,
}

impl Meter {
    /// From now on; what memory the process had before does not count.
    pub(crate) fn begin() -> Self {
        fs::write("/proc/self/clear_refs", "5").unwrap();
        Self { wall: clock::instant(), cpu: cpu(), written_octets: written_octets() }
    }

    /// Until now.
    pub(crate) fn end(&self) -> Cost {
        Cost {
            wall: self.wall.elapsed(),
            cpu: cpu().saturating_sub(self.cpu),
            written_octets: written_octets().saturating_sub(self.written_octets),
            peak_mib: memory_mib("VmHWM"),
        }
    }
}

/// What `getrusage` gives as user and system time, but to the nanosecond.
fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

fn written_octets() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}

/// A size in `/proc/self/status`: `VmRSS` is the memory that the process has, `VmHWM` the most that it had.
pub(crate) fn memory_mib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: String = line.chars().filter(char::is_ascii_digit).collect();
    kib.parse::<u64>().unwrap() >> 10
}

/// Options for a store in `folder` that takes mail as long as anything is free.
pub(crate) fn options(folder: &Path) -> Options {
    Options { path: folder.to_owned(), reserve_octets: 0, ..Options::default() }
}

/// So many new accounts.
pub(crate) async fn maildrops(store: &Store, accounts: usize) -> Vec<MaildropId> {
    let mut maildrops = Vec::new();
    for number in 0..accounts {
        let address = Mailbox::parse(&format!("account{number}@example.test")).unwrap();
        let password = Secret::new("secret".to_owned());
        maildrops.push(store.administration.add_account(&address, &password).await.unwrap().maildrop);
    }
    maildrops
}

/// Content of a message that has so many octets with its trace fields: a header section, then lines of letters that
/// no file system makes smaller.
pub(crate) fn content(octets: usize) -> Arc<[u8]> {
    let octets = octets - FIELDS.concat().len();
    let mut content = b"From: a@example.test\r\nTo: b@example.test\r\nSubject: measured\r\n\r\n".to_vec();
    let mut random: u32 = 1;
    while content.len() < octets {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let letter = char::from_digit(random >> 27, 32).unwrap();
        let line: &[u8] = if content.len() % 78 == 76 { b"\r\n" } else { &[u8::try_from(letter).unwrap()] };
        content.extend_from_slice(line);
    }
    content.truncate(octets - 2);
    content.extend_from_slice(b"\r\n");
    content.into()
}

/// Deliveries by several writers, each of which waits for one to be on disk before it begins the next.
#[derive(Clone)]
pub(crate) struct Load {
    /// How many at once.
    pub(crate) writers: usize,
    /// The content of each message.
    pub(crate) content: Arc<[u8]>,
    /// Deliveries after which all end.
    pub(crate) messages_max: u64,
    /// Time after which all end.
    pub(crate) time_max: Duration,
}

/// Who of the writers goes on.
pub(crate) struct Turns {
    taken: AtomicU64,
    messages_max: u64,
    end: Instant,
}

impl Turns {
    /// As many as the load says, from now on.
    pub(crate) fn new(load: &Load) -> Arc<Self> {
        let end = clock::instant() + load.time_max;
        Arc::new(Self { taken: AtomicU64::new(0), messages_max: load.messages_max, end })
    }

    /// True for the next delivery, if there is to be one.
    pub(crate) fn next(&self) -> bool {
        clock::instant() < self.end && self.taken.fetch_add(1, Ordering::Relaxed) < self.messages_max
    }
}

/// Delivers as the load says, to one maildrop after the other; returns how many messages.
pub(crate) async fn deliver(store: &Store, maildrops: &[MaildropId], load: &Load) -> u64 {
    let turns = Turns::new(load);
    let writers: Vec<_> = (0..load.writers)
        .map(|first| {
            let (store, turns, content) = (store.clone(), Arc::clone(&turns), Arc::clone(&load.content));
            let maildrops = maildrops.to_vec();
            tokio::spawn(async move {
                let mut delivered: u64 = 0;
                let mut maildrop = maildrops.iter().cycle().skip(first);
                while turns.next() {
                    deliver_one(&store, *maildrop.next().unwrap(), &content).await;
                    delivered += 1;
                }
                delivered
            })
        })
        .collect();
    let mut delivered = 0;
    for writer in writers {
        delivered += writer.await.unwrap();
    }
    delivered
}

async fn deliver_one(store: &Store, maildrop: MaildropId, content: &[u8]) {
    let mut draft = store.intake.draft(content.len() as u64).await.unwrap();
    for piece in content.chunks(PIECE_OCTETS) {
        draft.write(piece).await.unwrap();
    }
    let [return_path, received] = FIELDS;
    let delivery = Delivery {
        delivery_prefix: return_path.into(),
        prefix: received.into(),
        reverse_path: ReversePath::Mailbox(Mailbox::parse("a@example.test").unwrap()),
        maildrops: vec![maildrop],
        fate: Fate::Shared,
        relay: Vec::new(),
        terms: Terms::default(),
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow {
            at: clock::unix_seconds(),
            session: "0123456789ab".to_owned(),
            event: "received".into(),
            detail: "192.0.2.1".to_owned(),
        },
        carried: None,
        concludes: Vec::new(),
    };
    draft.commit(delivery).await.unwrap();
}
