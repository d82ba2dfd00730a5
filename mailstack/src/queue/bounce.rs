//! `mailstack queue bounce`: entries go back to their senders, message by message, and what became of each is told.

use std::collections::BTreeMap;
use std::error::Error;

use mailstore::{QueueEntry, QueueError, QueueId, Store};
use mailwire::cause::chain;
use serde::Serialize;
use smtpd::relay::{BounceError, Bounced, Bouncer, Silence};
use thiserror::Error;

use super::entry_name::EntryName;
use super::listing::Reader;
use crate::output::Output;

/// Entries that go back together: what one report names, and what one commit changes.
const TOGETHER_MAX: usize = 500;
/// Entries that an error names.
const NAMED_MAX: usize = 5;

/// Why not all of them went back.
#[derive(Debug, Error)]
enum LeftError {
    #[error(
        "{} not bounced: a server is sending {it}, or has {it} in its hands ({names}); try again, or hold {it} first",
        are(*.count), it = if *.count == 1 { "it" } else { "them" }
    )]
    Busy { count: usize, names: String },
    #[error("{} not bounced, since a report could not be made: {why}", are(*.count))]
    Failed { count: usize, why: String },
}

/// What became of an entry, for programs.
#[derive(Serialize)]
struct Object {
    entry: String,
    bounced: &'static str,
}

/// Sends entries back.
pub(super) struct Bounces<'a> {
    pub(super) store: &'a Store,
    pub(super) bouncer: &'a Bouncer,
    pub(super) reason: Option<&'a str>,
    pub(super) reader: Reader,
    pub(super) output: &'a Output,
}

/// What became of all of them.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<&'static str, usize>,
    busy: Vec<QueueId>,
    /// Why the first ones failed.
    why: Option<String>,
}

impl Bounces<'_> {
    /// Sends back those of these names that are still there, which stand in their order.
    pub(super) async fn all(&self, chosen: &[QueueId]) -> Result<(), Box<dyn Error>> {
        let mut tally = Tally::default();
        for of_message in chosen.chunk_by(|one, next| one.message == next.message) {
            for together in of_message.chunks(TOGETHER_MAX) {
                self.together(together, &mut tally).await?;
            }
        }
        if self.reader == Reader::People {
            self.output.lines(&tally.lines());
        }
        tally.left().map_or(Ok(()), |left| Err(left.into()))
    }

    async fn together(&self, ids: &[QueueId], tally: &mut Tally) -> Result<(), Box<dyn Error>> {
        let mut entries: Vec<QueueEntry> = Vec::new();
        for id in ids {
            match self.store.queue.show(*id).await {
                Ok(entry) => entries.push(entry),
                Err(QueueError::Missing) => self.note(*id, word(Bounced::Gone), tally)?,
                Err(error @ (QueueError::TooMany | QueueError::Unavailable(_))) => return Err(error.into()),
            }
        }
        let there: Vec<QueueId> = entries.iter().map(|entry| entry.id).collect();
        match self.bouncer.bounce(entries, self.reason).await {
            Ok(bounced) => {
                for (id, bounced) in bounced {
                    if bounced == Bounced::Busy {
                        tally.busy.push(id);
                    }
                    self.note(id, word(bounced), tally)?;
                }
            }
            // The next message may have another sender.
            Err(error @ BounceError::Report(_)) => {
                tally.why.get_or_insert_with(|| chain(&error));
                for id in there {
                    self.note(id, FAILED, tally)?;
                }
            }
            Err(error @ BounceError::Queue(_)) => return Err(error.into()),
        }
        Ok(())
    }

    fn note(&self, id: QueueId, word: &'static str, tally: &mut Tally) -> Result<(), serde_json::Error> {
        let count = tally.counts.entry(word).or_default();
        *count = count.saturating_add(1);
        if self.reader == Reader::Program {
            let object = Object { entry: EntryName::from(id).to_string(), bounced: word };
            self.output.text(&format!("{}\n", serde_json::to_string(&object)?));
        }
        Ok(())
    }
}

const FAILED: &str = "failed";

const fn word(bounced: Bounced) -> &'static str {
    match bounced {
        Bounced::Told => "told",
        Bounced::Silent(Silence::Nobody) => "no_sender",
        Bounced::Silent(Silence::Unwanted) => "not_wanted",
        Bounced::Silent(Silence::Delivered) => "delivered",
        Bounced::Silent(Silence::SenderGone) => "sender_gone",
        Bounced::Busy => "busy",
        Bounced::Gone => "gone",
    }
}

impl Tally {
    fn count(&self, word: &str) -> usize {
        self.counts.get(word).copied().unwrap_or(0)
    }

    /// What became of those that are not in the queue any more.
    fn lines(&self) -> Vec<String> {
        let silent = |bounced, why| (word(bounced), format!("bounced, and nobody is told: {why}"));
        let told = [
            (word(Bounced::Told), "bounced; the sender is told".to_owned()),
            silent(Bounced::Silent(Silence::Nobody), "a report itself, or from nobody else"),
            silent(
                Bounced::Silent(Silence::Unwanted),
                "the sender does not want to hear of failures (NOTIFY)",
            ),
            silent(Bounced::Silent(Silence::Delivered), "it was delivered, and was to be reported as such"),
            silent(Bounced::Silent(Silence::SenderGone), "the sender has no mailbox here any more"),
            (word(Bounced::Gone), "not in the queue any more".to_owned()),
        ];
        let lines = told.into_iter().filter_map(|(word, text)| {
            let count = self.count(word);
            (count > 0).then(|| format!("{} {text}", are(count)))
        });
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() && self.counts.is_empty() { vec![format!("{} bounced", are(0))] } else { lines }
    }

    fn left(&self) -> Option<LeftError> {
        if let Some(why) = &self.why {
            return Some(LeftError::Failed { count: self.count(FAILED), why: why.clone() });
        }
        if self.busy.is_empty() {
            return None;
        }
        let first = self.busy.iter().take(NAMED_MAX).map(|id| EntryName::from(*id).to_string());
        let mut names = first.collect::<Vec<_>>().join(", ");
        if self.busy.len() > NAMED_MAX {
            names.push_str(", ...");
        }
        Some(LeftError::Busy { count: self.busy.len(), names })
    }
}

fn are(count: usize) -> String {
    if count == 1 { "1 entry is".to_owned() } else { format!("{count} entries are") }
}
