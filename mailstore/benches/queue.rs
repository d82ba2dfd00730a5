//! What a worker pays for each entry of the queue, by how many wait and how many are leased in front of it.
//!
//!     cargo bench -p mailstore --features bench --bench queue
//!     cargo bench -p mailstore --features bench --bench queue -- entries=1000,100000 domains=10000 page=100
//!
//! For each number of `entries` (1,000, 10,000 and 100,000) a queue is filled with messages to 100 recipients each, spread
//! over `domains` (10,000). Then a worker takes all of it in pages of `page` (100): it asks what is due, leases it, and settles
//! it as deferred. The columns are microseconds: `due` for a page, `lease` and `settle` for an entry, each in the first and in
//! the last tenth of the entries, where as many are leased in front of them as were taken (`leased` of them are never
//! settled: nine of ten). `next` is the time of one question for the next due time then, `behind` that of a page behind a
//! cursor, `domain` of the entries of one domain, `wake` from an acceptance to the end of the question for a change.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on has failed")]

#[expect(dead_code, reason = "this benchmark delivers and measures in its own way")]
mod common;

use std::time::{Duration, Instant};

use mailstore::{
    Attempt, Delivery, Fate, QueueEntry, QueueFilter, QueueOutcome, RecipientTerms, RelayRecipient, Store,
    Terms, Then, TraceRow,
};
use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::clock;

/// Recipients of each message.
const RECIPIENTS: usize = 100;
/// When everything is due.
const DUE: u64 = 1000;
/// When what was deferred is due.
const LATER: u64 = 90_000_000_000;
/// One of so many is settled, the others stay leased.
const SETTLED: usize = 10;

/// Microseconds of one page.
#[derive(Clone, Copy, Default)]
struct Page {
    due: f64,
    lease: f64,
    settle: f64,
}

#[tokio::main]
async fn main() {
    let names = ["entries", "fill/s", "due", "due'", "lease", "lease'", "settle", "settle'"];
    common::row(names.iter().chain(&["next", "behind", "domain", "wake"]));
    let [domains] = common::numbers("domains", &[10_000])[..] else { return };
    let [page] = common::numbers("page", &[100])[..] else { return };
    for entries in common::numbers("entries", &[1_000, 10_000, 100_000]) {
        measure(entries, domains, page).await;
    }
}

async fn measure(entries: usize, domains: usize, page: usize) {
    let folder = common::folder();
    let store = mailstore::open(common::options(folder.path())).await.unwrap();
    let begun = clock::instant();
    for message in 0..entries / RECIPIENTS {
        let numbers = message * RECIPIENTS..(message + 1) * RECIPIENTS;
        send(&store, numbers.map(|number| format!("r{number}@d{}.test", number % domains))).await;
    }
    let filled = number(entries) / begun.elapsed().as_secs_f64();
    let mut pages = Vec::new();
    let mut last = None;
    loop {
        let begun = clock::instant();
        let due = store.queue.due(DUE, None, page).await.unwrap();
        let asked = micros(begun);
        let Some(entry) = due.last() else { break };
        last = Some(entry.place());
        pages.push(Page { due: asked, ..work(&store, &due).await });
    }
    let tenth = (pages.len() / 10).max(1);
    let (first, end) = (mean(pages.iter().take(tenth)), mean(pages.iter().rev().take(tenth)));
    let begun = clock::instant();
    for _ in 0..100 {
        store.queue.next_due().await.unwrap();
    }
    let next = micros(begun) / 100.0;
    let begun = clock::instant();
    store.queue.due(u64::MAX, last, page).await.unwrap();
    let behind = micros(begun);
    let domain = Some(Domain::parse("d7.test").unwrap());
    let begun = clock::instant();
    store.queue.list(&QueueFilter { domain, ..QueueFilter::default() }, None, 1000).await.unwrap();
    let listed = micros(begun);
    let count = store.queue.changed(0).await.unwrap();
    let begun = clock::instant();
    send(&store, ["r@d0.test".to_owned()].into_iter()).await;
    store.queue.changed(count).await.unwrap();
    let wake = micros(begun);
    let numbers = [filled, first.due, end.due, first.lease, end.lease, first.settle, end.settle];
    let cells = numbers.into_iter().chain([next, behind, listed, wake]).map(|number| format!("{number:.1}"));
    common::row(std::iter::once(entries.to_string()).chain(cells));
    store.close().await;
}

/// Leases a page and settles some of it.
async fn work(store: &Store, due: &[QueueEntry]) -> Page {
    let ids: Vec<_> = due.iter().map(|entry| entry.id).collect();
    let begun = clock::instant();
    let leased = store.queue.lease(&ids, u64::MAX).await.unwrap();
    let lease = micros(begun) / number(leased.len());
    assert_eq!(leased, ids);
    let attempt = Attempt {
        at: DUE,
        place: "mx.elsewhere.test [192.0.2.1]".to_owned(),
        said: "451 4.7.1 try again later".to_owned(),
        dialogue: String::new(),
    };
    let deferred = |id| QueueOutcome {
        id,
        attempt: Some(attempt.clone()),
        then: Then::Defer { due: LATER, warned: false },
    };
    let outcomes: Vec<_> = ids.into_iter().step_by(SETTLED).map(deferred).collect();
    let count = outcomes.len();
    let begun = clock::instant();
    assert_eq!(store.queue.settle(outcomes).await.unwrap().len(), count);
    Page { due: 0.0, lease, settle: micros(begun) / number(count) }
}

fn mean<'a>(pages: impl Iterator<Item = &'a Page>) -> Page {
    let pages: Vec<_> = pages.collect();
    let mean = |of: fn(&Page) -> f64| pages.iter().map(|page| of(page)).sum::<f64>() / number(pages.len());
    Page { due: mean(|page| page.due), lease: mean(|page| page.lease), settle: mean(|page| page.settle) }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

fn micros(begun: Instant) -> f64 {
    begun.elapsed().max(Duration::from_nanos(1)).as_secs_f64() * 1e6
}

async fn send(store: &Store, to: impl Iterator<Item = String>) {
    let relay = to.map(|to| RelayRecipient {
        mailbox: Mailbox::parse(&to).unwrap(),
        due: DUE,
        expires: LATER,
        terms: RecipientTerms::default(),
    });
    let delivery = Delivery {
        delivery_prefix: Vec::new(),
        prefix: Vec::new(),
        reverse_path: ReversePath::Mailbox(Mailbox::parse("a@example.test").unwrap()),
        maildrops: Vec::new(),
        fate: Fate::Shared,
        relay: relay.collect(),
        terms: Terms::default(),
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow::default(),
        carried: None,
        concludes: Vec::new(),
    };
    let mut draft = store.intake.draft(0).await.unwrap();
    draft.write(&common::content(4096)).await.unwrap();
    draft.commit(delivery).await.unwrap();
}
