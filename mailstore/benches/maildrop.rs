//! A large maildrop: lease, list, read and expunge; and the head of a large message beside all of it.
//!
//!     cargo bench -p mailstore --features bench --bench maildrop
//!     cargo bench -p mailstore --features bench --bench maildrop -- messages=10000 octets=30720
//!
//! The maildrop has `messages` (100,000) of `octets` (2048) each; half of them, every other one, is expunged in one
//! commit. `wall` and `cpu` are milliseconds, `us each` is microseconds of CPU a message, `written` what was
//! written in KiB, `peak` the most memory in MiB that the process had meanwhile. The large message has 50 MiB; its
//! head is the first 64 KiB, as TOP asks for (RFC 1939 §7), under a lease that has read nothing yet. What is read
//! lies in the page cache.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on has failed")]

mod common;

use std::time::Duration;

use common::{Cost, Load, Meter};
use mailstore::{Lease, MaildropId, Store};

/// What is asked for at once.
const PIECE_OCTETS: usize = 64 << 10;
const LARGE_OCTETS: usize = 50 << 20;

#[tokio::main]
async fn main() {
    let folder = common::folder();
    let store = mailstore::bench::open(common::options(folder.path()), Duration::ZERO).await;
    let store = store.expect("the store opens");
    let maildrops = common::maildrops(&store, 2).await;
    let messages: u64 = common::numbers("messages", &[100_000]).iter().sum();
    let octets = common::numbers("octets", &[2048]).iter().sum();
    let [many, large] = maildrops.as_slice() else { return };
    fill(&store, *many, messages, octets).await;
    fill(&store, *large, 1, LARGE_OCTETS).await;
    common::row(["", "messages", "wall", "cpu", "us each", "written", "peak"]);
    measure_many(&store, *many).await;
    measure_large(&store, *large).await;
    store.close().await;
}

async fn fill(store: &Store, maildrop: MaildropId, messages_max: u64, octets: usize) {
    let content = common::content(octets);
    let load = Load { writers: 64, content, messages_max, time_max: Duration::MAX / 4 };
    assert_eq!(common::deliver(store, &[maildrop], &load).await, messages_max);
}

async fn lease(store: &Store, maildrop: MaildropId) -> Box<dyn Lease> {
    store.maildrops.lease(maildrop, Duration::ZERO).await.expect("nobody else has the maildrop")
}

async fn measure_many(store: &Store, maildrop: MaildropId) {
    let meter = Meter::begin();
    let mut session = lease(store, maildrop).await;
    let messages = session.entries().len();
    tell("lease", messages, &meter.end());

    let meter = Meter::begin();
    let octets: u64 = session.entries().iter().map(|entry| entry.octets).sum();
    let names: usize = session.entries().iter().map(|entry| entry.unique_id.to_string().len()).sum();
    tell("list", messages, &meter.end());
    assert_eq!(names, 26 * messages);

    let meter = Meter::begin();
    let mut read = 0;
    for index in 0..messages {
        read += read_all(&mut *session, index).await;
    }
    tell("read", messages, &meter.end());
    assert_eq!(read, octets);

    let half: Vec<_> = (0..messages).step_by(2).collect();
    let meter = Meter::begin();
    session.expunge(&half).await.expect("the messages go");
    tell("expunge", half.len(), &meter.end());
    drop(session);

    let meter = Meter::begin();
    let left = lease(store, maildrop).await.entries().len();
    tell("lease", left, &meter.end());
    assert_eq!(left, messages - half.len());
}

async fn measure_large(store: &Store, maildrop: MaildropId) {
    let mut session = lease(store, maildrop).await;
    let meter = Meter::begin();
    let head = session.read(0, 0, PIECE_OCTETS).await.expect("the head can be read");
    tell("head", 1, &meter.end());
    assert!(head.starts_with(common::FIELDS.concat().as_bytes()));
    let meter = Meter::begin();
    let octets = read_all(&mut *session, 0).await;
    tell("all of it", 1, &meter.end());
    assert_eq!(octets, LARGE_OCTETS as u64);
}

/// Reads a message piece by piece; returns its size.
async fn read_all(lease: &mut dyn Lease, index: usize) -> u64 {
    let mut octets = 0;
    loop {
        let piece = lease.read(index, octets, PIECE_OCTETS).await.expect("the message can be read");
        if piece.is_empty() {
            return octets;
        }
        octets += piece.len() as u64;
    }
}

fn tell(what: &str, messages: usize, cost: &Cost) {
    let millis = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1e3);
    let each = cost.cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(messages).unwrap_or(u32::MAX));
    common::row([
        what.to_owned(),
        messages.to_string(),
        millis(cost.wall),
        millis(cost.cpu),
        format!("{each:.2}"),
        (cost.written_octets >> 10).to_string(),
        cost.peak_mib.to_string(),
    ]);
}
