//! Commit rate, CPU and octets written of deliveries, beside a bare append with one fdatasync a group.
//!
//!     cargo bench -p mailstore --features bench --bench commits
//!     cargo bench -p mailstore --features bench --bench commits -- octets=4096 writers=64 flush_ms=2 rounds=9
//!
//! For messages of 4 KiB, 30 KiB and 1 MiB and for 1, 16 and 64 writers, the store and the bare append take turns
//! on the same disk, `rounds` (5) times for `seconds` (1) or `round_mib` (256) each. A writer has one message on
//! its way at a time. With `flush_ms` (0 and 2) every flush of either costs so much more, as on a drive without
//! power-loss protection.
//!
//! The bare append is the floor: one thread takes what waits, writes it with one `pwritev`, syncs with one
//! fdatasync, and answers. Rates are medians over the rounds, `ratio` is the quotient of two of them. `us` is CPU
//! in microseconds a delivery, of the whole process with writers and runtime: the least of all rounds, since what
//! disturbs only adds. `w/o` is octets that the kernel counts as written for each octet of the message. Both
//! include, of the store, the checkpoint that follows the round. `peak` is the most memory in MiB that a round of
//! the store took.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on has failed")]

mod common;

use std::fs;
use std::io::{IoSlice, Write as _};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Load, Meter, Turns};
use mailstore::{MaildropId, Store};
use tokio::sync::{mpsc, oneshot};

/// The store's checkpoint comes once a second; after this there is nothing left to write.
const SETTLE: Duration = Duration::from_millis(1500);
/// Maildrops that get the mail.
const MAILDROPS: usize = 16;
/// Appends that wait, and most in one group; `pwritev` takes no more.
const GROUP_MAX: usize = 1024;

/// What one round came to.
#[derive(Clone, Copy)]
struct Round {
    deliveries_a_second: f64,
    cpu_micros: f64,
    written_share: f64,
    peak_mib: u64,
}

#[tokio::main]
async fn main() {
    let name = ["flush ms", "octets", "writers", "store/s", "bare/s", "ratio"];
    common::row(name.iter().chain(&["store us", "bare us", "store w/o", "bare w/o", "peak"]));
    for flush_ms in common::numbers("flush_ms", &[0, 2]) {
        for octets in common::numbers("octets", &[4 << 10, 30 << 10, 1 << 20]) {
            for writers in common::numbers("writers", &[1, 16, 64]) {
                compare(Duration::from_millis(flush_ms), octets, writers).await;
            }
        }
    }
}

/// Measures both in turns and prints the line.
async fn compare(flush_cost: Duration, octets: usize, writers: usize) {
    let folder = common::folder();
    let store = mailstore::bench::open(common::options(&folder.path().join("store")), flush_cost).await;
    let store = store.expect("the store opens");
    let maildrops = common::maildrops(&store, MAILDROPS).await;
    let round_octets = common::numbers("round_mib", &[256_u64]).iter().sum::<u64>() << 20;
    let load = Load {
        writers,
        content: common::content(octets),
        messages_max: round_octets / octets as u64,
        time_max: Duration::from_secs(common::numbers("seconds", &[1]).iter().sum()),
    };
    let bare = Arc::new(fs::File::create(folder.path().join("bare")).expect("the bare file is made"));
    let (mut of_store, mut of_bare) = (Vec::new(), Vec::new());
    let warming = Load { time_max: load.time_max / 5, ..load.clone() };
    round_of_store(&store, &maildrops, &warming).await;
    round_of_bare(&bare, flush_cost, &warming).await;
    for number in 0..2 * common::numbers("rounds", &[5]).iter().sum::<u32>() {
        warm_memory(folder.path(), &load);
        // Store, bare, bare, store: neither always comes behind the other.
        if matches!(number % 4, 0 | 3) {
            of_store.push(round_of_store(&store, &maildrops, &load).await);
        } else {
            of_bare.push(round_of_bare(&bare, flush_cost, &load).await);
        }
    }
    store.close().await;
    let (of_store, of_bare) = (summary(&of_store), summary(&of_bare));
    let ratio = of_store.deliveries_a_second / of_bare.deliveries_a_second;
    common::row([
        flush_cost.as_millis().to_string(),
        octets.to_string(),
        writers.to_string(),
        format!("{:.0}", of_store.deliveries_a_second),
        format!("{:.0}", of_bare.deliveries_a_second),
        format!("{ratio:.2}"),
        format!("{:.1}", of_store.cpu_micros),
        format!("{:.1}", of_bare.cpu_micros),
        format!("{:.2}", of_store.written_share),
        format!("{:.2}", of_bare.written_share),
        of_store.peak_mib.to_string(),
    ]);
}

/// A virtual machine gets memory from its host page by page when it is first touched, which can cost ten times what
/// the write into it does, and gives back what stays free. So each round finds as much as it needs just freed by a
/// file that never came to the disk.
fn warm_memory(folder: &Path, load: &Load) {
    let path = folder.join("scratch");
    let mut file = fs::File::create(&path).expect("the scratch file is made");
    for _ in 0..load.messages_max {
        file.write_all(&load.content).expect("the scratch file is written");
    }
    fs::remove_file(&path).expect("the scratch file goes");
}

async fn round_of_store(store: &Store, maildrops: &[MaildropId], load: &Load) -> Round {
    let meter = Meter::begin();
    let delivered = common::deliver(store, maildrops, load).await;
    let wall = meter.end().wall;
    tokio::time::sleep(SETTLE).await;
    round(delivered, wall, &meter, load)
}

/// Goes on in the file of the rounds before, as the store does: a file that goes leaves warm memory to whoever is next.
async fn round_of_bare(file: &Arc<fs::File>, flush_cost: Duration, load: &Load) -> Round {
    let file = Arc::clone(file);
    let (appends, waiting) = mpsc::channel(GROUP_MAX);
    let meter = Meter::begin();
    let committer = std::thread::spawn(move || commit_bare(&file, waiting, flush_cost));
    let turns = Turns::new(load);
    let message: Arc<[u8]> = [common::FIELDS.concat().as_bytes(), &load.content].concat().into();
    let writers: Vec<_> = (0..load.writers)
        .map(|_| tokio::spawn(append(appends.clone(), Arc::clone(&turns), Arc::clone(&message))))
        .collect();
    drop(appends);
    let mut delivered = 0;
    for writer in writers {
        delivered += writer.await.expect("the writer ends");
    }
    let round = round(delivered, meter.end().wall, &meter, load);
    committer.join().expect("the bare committer ends");
    round
}

fn round(delivered: u64, wall: Duration, meter: &Meter, load: &Load) -> Round {
    let cost = meter.end();
    let deliveries = number(delivered);
    let octets = common::FIELDS.concat().len() + load.content.len();
    Round {
        deliveries_a_second: deliveries / wall.as_secs_f64(),
        cpu_micros: cost.cpu.as_secs_f64() * 1e6 / deliveries,
        written_share: number(cost.written_octets) / number(delivered * octets as u64),
        peak_mib: cost.peak_mib,
    }
}

/// Exact as far as it is needed here.
fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count >> 16).unwrap_or(u32::MAX)) * 65_536.0
        + f64::from(u32::try_from(count & 0xffff).unwrap_or(0))
}

fn summary(rounds: &[Round]) -> Round {
    let median = |value: fn(&Round) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Round {
        deliveries_a_second: median(|round| round.deliveries_a_second),
        cpu_micros: rounds.iter().map(|round| round.cpu_micros).fold(f64::INFINITY, f64::min),
        written_share: median(|round| round.written_share),
        peak_mib: rounds.iter().map(|round| round.peak_mib).max().unwrap_or(0),
    }
}

/// Octets, and who waits for them.
type Append = (Arc<[u8]>, oneshot::Sender<()>);

/// A writer: as many appends as there are turns, one after the other.
async fn append(appends: mpsc::Sender<Append>, turns: Arc<Turns>, content: Arc<[u8]>) -> u64 {
    let mut appended = 0;
    while turns.next() {
        let (answer, answered) = oneshot::channel();
        appends.send((Arc::clone(&content), answer)).await.expect("the bare committer waits");
        answered.await.expect("the bare committer answers");
        appended += 1;
    }
    appended
}

/// Appends whatever waits and syncs once, until all writers have gone.
fn commit_bare(file: &fs::File, mut waiting: mpsc::Receiver<Append>, flush_cost: Duration) {
    let mut end = file.metadata().expect("the bare file has a length").len();
    while let Some(first) = waiting.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        let mut slices: Vec<_> = group.iter().map(|(octets, _)| IoSlice::new(octets)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let written = rustix::io::pwritev(file.as_fd(), rest, end).expect("the bare file is written");
            end += written as u64;
            IoSlice::advance_slices(&mut rest, written);
        }
        std::thread::sleep(flush_cost);
        file.sync_data().expect("the bare file is synced");
        for (_, answer) in group {
            // A writer waits for its answer.
            let _ = answer.send(());
        }
    }
}
