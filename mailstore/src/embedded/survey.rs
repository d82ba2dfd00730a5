//! What is still needed of the store's files: found by one look at the whole index.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use tracing::{debug, info};

use super::content;
use super::host::Core;
use super::index::{Index, IndexError};
use super::keys::Subject;
use super::segment::HEADER_OCTETS;

/// No two records of messages begin in the same stretch of so many octets: each has more, frame and head alone.
const STRETCH_OCTETS: u64 = 128;
/// A segment is compacted when at least this share of it is needed no more: one in so many octets.
const WASTE_SHARE: u64 = 5;
/// Less than this is not worth the work.
const WASTE_OCTETS_MIN: u64 = 256 << 10;

/// What is needed.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    segments: BTreeMap<u32, Needed>,
    files: HashSet<[u8; 16]>,
}

/// What is needed of one segment.
#[derive(Debug, Default)]
struct Needed {
    octets: u64,
    /// A bit for each stretch in which a needed record begins.
    begins: Vec<u64>,
}

impl Needed {
    fn add(&mut self, subject: &Subject) {
        let stretch = subject.location.offset / STRETCH_OCTETS;
        let Ok(word) = usize::try_from(stretch / 64) else { return };
        if self.begins.len() <= word {
            self.begins.resize(word.saturating_add(1), 0);
        }
        let Some(bits) = self.begins.get_mut(word) else { return };
        let bit = 1_u64 << (stretch % 64);
        if *bits & bit == 0 {
            *bits |= bit;
            let fronts = u64::from(subject.front_octets).saturating_mul(2);
            self.octets = self.octets.saturating_add(fronts).saturating_add(subject.inline_octets());
        }
    }
}

impl Survey {
    /// Looks at every entry.
    pub(crate) fn of(index: &Index) -> Result<Self, IndexError> {
        let mut survey = Self::default();
        for found in index.subjects() {
            let (_, subject) = found?;
            survey.segments.entry(subject.location.segment).or_default().add(&subject);
            survey.files.extend(subject.file.map(|file| file.name));
        }
        Ok(survey)
    }

    /// Segments of which much is needed no more, the emptiest first.
    pub(crate) fn wasteful(&self, core: &Core) -> Result<Vec<u32>, IndexError> {
        let journal = &core.contents.journal;
        let mut wasteful = Vec::new();
        for segment in journal.segments() {
            let octets = journal.file(segment)?.octets()?.saturating_sub(HEADER_OCTETS);
            let messages = self.segments.get(&segment).map_or(0, |needed| needed.octets);
            let deletions = core.index.ask(|index| Ok(index.restated(segment)))?;
            let rows = core.index.ask(|index| Ok(index.carried.needed(segment)))?;
            let waste = octets.saturating_sub(messages).saturating_sub(deletions).saturating_sub(rows);
            if waste >= WASTE_OCTETS_MIN && waste >= octets / WASTE_SHARE {
                wasteful.push((Reverse(waste.saturating_mul(1000) / octets.max(1)), segment));
            }
        }
        wasteful.sort_unstable();
        Ok(wasteful.into_iter().map(|(_, segment)| segment).collect())
    }

    /// Octets of the journal that are needed.
    pub(crate) fn octets(&self) -> u64 {
        self.segments.values().map(|needed| needed.octets).sum()
    }
}

/// Removes content files that nobody needs: of messages that are gone, and of drafts that a crash cut off between the
/// file's adoption and its commit. Gives how many they were.
///
/// The order is what makes it safe: a file that is listed was adopted before, so its draft is among those that are
/// being committed, or its commit is in the index by the time it is looked at.
pub(crate) fn sweep_content(
    core: &Core,
    survey: impl FnOnce() -> Result<Survey, IndexError>,
) -> Result<(Survey, usize), IndexError> {
    let names = core.files.list(&core.layout.content)?;
    let adopting = core.adopting.names();
    let survey = survey()?;
    let needed: HashSet<String> =
        survey.files.iter().chain(&adopting).map(|name| content::file_name(*name)).collect();
    let mut removed: usize = 0;
    for name in names.iter().filter(|name| !needed.contains(*name)) {
        // A backup that has begun meanwhile counts on it.
        let Some(_no_hold) = core.holds.none() else { break };
        core.files.remove(&core.layout.content.join(name))?;
        debug!(name, "removed a content file that belongs to no message");
        removed = removed.saturating_add(1);
    }
    if removed > 0 {
        info!(files = removed, "removed content of messages that are gone");
    }
    Ok((survey, removed))
}
