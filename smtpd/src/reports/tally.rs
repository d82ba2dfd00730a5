//! What is counted for reports: rows of a domain and a day, in memory for a moment, then among the store's recollections.
//!
//! A row is whatever a report tells of one kind of session or message, as JSON; what is counted is how often there was one.
//! The store keeps a bounded number of octets of each kind of report, the newest. It survives an orderly end; a process that
//! is killed takes what was counted in the last minutes with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mailstore::{Note, Recollections, Store, Unavailable};
use mailwire::cause::chain;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tracing::warn;

use super::day::{Day, hashed};

/// Most octets of a row; what makes it longer is cut by whoever makes it.
pub(super) const ROW_OCTETS_MAX: usize = 700;
/// Most octets of a domain, without a final dot (RFC 1035 §2.3.4).
const DOMAIN_OCTETS_MAX: usize = 253;
/// Most rows of one domain and day: beyond, only those that are known already are counted.
const ROWS_MAX: usize = 1000;
/// Most rows that are in memory at one time.
const WAITING_MAX: usize = 10_000;
/// Most domains whose rows are counted at one time.
const DOMAINS_MAX: usize = 50_000;
/// Rows that are changed together.
const TOGETHER_MAX: usize = 500;

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// TLS with the hosts of a domain (RFC 8460).
    Tls,
}

impl Kind {
    /// All there are.
    pub const ALL: [Self; 1] = [Self::Tls];

    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tls => "tls",
        }
    }

    /// What the store's recollections have as their topic.
    const fn topic(self) -> &'static str {
        match self {
            Self::Tls => "reports-tls",
        }
    }
}

/// Whose row it is: of which kind, day and domain.
type Place = (Kind, Day, String);

/// Counts. Clones count together.
#[derive(Clone)]
pub(crate) struct Tally {
    shared: Arc<Shared>,
}

struct Shared {
    recollections: Arc<dyn Recollections>,
    waiting: Mutex<BTreeMap<(Place, String), u64>>,
    /// How many rows each place has, of those that were counted here.
    rows: Mutex<HashMap<Place, usize>>,
    begun: Notify,
}

/// What was counted of one domain on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// What of.
    pub kind: Kind,
    /// When.
    pub day: Day,
    /// Whose; in A-labels.
    pub domain: String,
    /// Rows, each with how often there was one.
    rows: Vec<(String, u64)>,
    /// Under which the store has them.
    names: Vec<String>,
}

impl Collected {
    /// How many sessions or messages there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// What was counted. Rows that an earlier version has written otherwise are left out.
    pub(super) fn rows<R: DeserializeOwned>(&self) -> Vec<(R, u64)> {
        let row = |(text, count): &(String, u64)| Some((serde_json::from_str(text).ok()?, *count));
        self.rows.iter().filter_map(row).collect()
    }
}

impl Tally {
    pub(crate) fn new(recollections: &Arc<dyn Recollections>) -> Self {
        let shared = Shared {
            recollections: Arc::clone(recollections),
            waiting: Mutex::default(),
            rows: Mutex::default(),
            begun: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// One more of this row, at `now`. It waits for nobody.
    pub(crate) fn count(&self, kind: Kind, domain: &str, row: &impl Serialize, now: u64) {
        let Ok(text) = serde_json::to_string(row) else { return };
        if text.len() > ROW_OCTETS_MAX || domain.len() > DOMAIN_OCTETS_MAX {
            return;
        }
        let key = ((kind, Day::of(now), domain.to_owned()), text);
        let mut waiting = self.shared.waiting();
        if waiting.is_empty() {
            self.shared.begun.notify_one();
        }
        if let Some(count) = waiting.get_mut(&key) {
            *count = count.saturating_add(1);
        } else if waiting.len() < WAITING_MAX {
            waiting.insert(key, 1);
        }
    }

    /// Waits until something has been counted that the store does not know.
    pub(super) async fn begun(&self) {
        self.shared.begun.notified().await;
    }

    /// Adds what was counted to what the store knows. Where it cannot be kept, it is given up: it is of little worth.
    pub(super) async fn flush(&self, now: u64) {
        let waiting: Vec<_> = std::mem::take(&mut *self.shared.waiting()).into_iter().collect();
        for together in waiting.chunks(TOGETHER_MAX) {
            if let Err(error) = self.shared.add(together, now).await {
                warn!(reason = chain(&error), "what was counted for reports cannot be kept");
            }
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<(Place, String), u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn add(&self, counted: &[((Place, String), u64)], now: u64) -> Result<(), Unavailable> {
        let mut by_kind: BTreeMap<Kind, Vec<(String, &Place, &str, u64)>> = BTreeMap::new();
        for ((place, text), count) in counted {
            by_kind.entry(place.0).or_default().push((name(place, text), place, text, *count));
        }
        for (kind, rows) in by_kind {
            let names: Vec<String> = rows.iter().map(|(name, ..)| name.clone()).collect();
            let known = self.recollections.recall(kind.topic(), &names, now).await?;
            let known: HashMap<String, u64> =
                known.into_iter().filter_map(|note| Some((note.name, split(&note.text)?.0))).collect();
            let mut notes = Vec::new();
            for (name, place, text, count) in rows {
                let before = known.get(&name).copied();
                if before.is_some() || self.has_room(place, now) {
                    let count = before.unwrap_or(0).saturating_add(count);
                    let (topic, until) = (kind.topic().to_owned(), place.1.until());
                    notes.push(Note { topic, name, text: format!("{count} {text}"), until });
                }
            }
            self.recollections.remember(notes).await?;
        }
        Ok(())
    }

    /// Whether one more row of a place is taken. Nobody's rows are to take the room of all others.
    fn has_room(&self, place: &Place, now: u64) -> bool {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() >= DOMAINS_MAX {
            rows.retain(|(_, day, _), _| *day >= Day::of(now));
        }
        if rows.len() >= DOMAINS_MAX && !rows.contains_key(place) {
            return false;
        }
        let count = rows.entry(place.clone()).or_default();
        *count = count.saturating_add(1);
        *count <= ROWS_MAX
    }
}

/// Everything that the store knows of this kind, by day and domain.
///
/// # Errors
/// Where the store cannot answer.
pub async fn collected(store: &Store, kind: Kind, now: u64) -> Result<Vec<Collected>, Unavailable> {
    let mut all: Vec<Collected> = Vec::new();
    let mut after = String::new();
    loop {
        let page = store.recollections.recollections(kind.topic(), &after, now).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after.clone_from(&last.name);
        for Note { name, text, .. } in page {
            let Some((day, domain)) = place(&name) else { continue };
            let Some((count, row)) = split(&text).map(|(count, row)| (count, row.to_owned())) else {
                continue;
            };
            match all.last_mut() {
                Some(one) if one.day == day && one.domain == domain => {
                    one.rows.push((row, count));
                    one.names.push(name);
                }
                Some(_) | None => {
                    let (rows, names) = (vec![(row, count)], vec![name.clone()]);
                    all.push(Collected { kind, day, domain: domain.to_owned(), rows, names });
                }
            }
        }
    }
}

/// Forgets what was counted, since it has been told.
pub(super) async fn forget(store: &Store, told: &Collected) -> Result<(), Unavailable> {
    let note = |name: &String| {
        let topic = told.kind.topic().to_owned();
        Note { topic, name: name.clone(), text: String::new(), until: 0 }
    };
    for names in told.names.chunks(TOGETHER_MAX) {
        store.recollections.remember(names.iter().map(note).collect()).await?;
    }
    Ok(())
}

/// `DAY DOMAIN HASH`, so that the rows of a day and of a domain stand together.
fn name((_, day, domain): &Place, text: &str) -> String {
    format!("{:06} {domain} {:016x}", day.number(), hashed(&[text]))
}

fn place(name: &str) -> Option<(Day, &str)> {
    let (day, rest) = name.split_once(' ')?;
    let (domain, _) = rest.rsplit_once(' ')?;
    Some((Day::parse(day)?, domain))
}

/// `COUNT ROW`.
fn split(text: &str) -> Option<(u64, &str)> {
    let (count, row) = text.split_once(' ')?;
    Some((count.parse().ok()?, row))
}
