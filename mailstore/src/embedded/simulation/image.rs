//! What is on the simulated disk: what is safe there, what only the page cache has, and what a power cut makes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::random::Random;

/// What a disk writes as a whole.
const SECTOR_OCTETS: usize = 512;

/// What an entry of a folder leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A file, by its number.
    File(u64),
    Folder,
}

/// What was done to the disk.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Link { path: PathBuf, node: Node },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf, node: Node },
    Write { file: u64, offset: usize, octets: Arc<[u8]> },
    Truncate { file: u64, octets: usize },
    Sync { file: u64 },
    SyncFolder { folder: PathBuf },
}

/// Folders and files at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) entries: BTreeMap<PathBuf, Node>,
    pub(super) files: BTreeMap<u64, Arc<Vec<u8>>>,
}

impl Image {
    /// As whoever reads through the page cache sees it.
    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Link { path, node } => {
                self.entries.insert(path.clone(), *node);
            }
            Operation::Unlink { path } => {
                self.entries.remove(path);
            }
            Operation::Rename { from, to, node } => {
                self.entries.remove(from);
                self.entries.insert(to.clone(), *node);
            }
            Operation::Write { file, offset, octets } => write(self.file(*file), *offset, octets),
            Operation::Truncate { file, octets } => self.file(*file).resize(*octets, 0),
            Operation::Sync { .. } | Operation::SyncFolder { .. } => {}
        }
    }

    fn file(&mut self, file: u64) -> &mut Vec<u8> {
        Arc::make_mut(self.files.entry(file).or_default())
    }

    /// Drops what no entry leads to any more.
    fn sweep(&mut self) {
        let mut reached: BTreeMap<PathBuf, Node> = BTreeMap::new();
        for (path, node) in &self.entries {
            let parent = path.parent().unwrap_or(Path::new("/"));
            // A folder sorts before what is in it.
            if parent == Path::new("/") || reached.get(parent) == Some(&Node::Folder) {
                reached.insert(path.clone(), *node);
            }
        }
        self.entries = reached;
        let entries = &self.entries;
        self.files.retain(|file, _| entries.values().any(|node| *node == Node::File(*file)));
    }
}

fn write(content: &mut Vec<u8>, offset: usize, octets: &[u8]) {
    let end = offset.saturating_add(octets.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(offset..end) {
        place.copy_from_slice(octets);
    }
}

/// What is safe, and what is not yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Platter {
    safe: Image,
    /// Not covered by a sync, in order.
    pending: Vec<Operation>,
    last_file: u64,
}

impl Platter {
    /// Follows an operation.
    pub(super) fn record(&mut self, operation: &Operation) {
        match operation {
            Operation::Sync { file } => self.settle(|pending| match pending {
                Operation::Write { file: written, .. } | Operation::Truncate { file: written, .. } => {
                    written == file
                }
                Operation::Link { .. }
                | Operation::Unlink { .. }
                | Operation::Rename { .. }
                | Operation::Sync { .. }
                | Operation::SyncFolder { .. } => false,
            }),
            Operation::SyncFolder { folder } => self.settle(|pending| match pending {
                Operation::Link { path, .. } | Operation::Unlink { path } => path.parent() == Some(folder),
                Operation::Rename { .. }
                | Operation::Write { .. }
                | Operation::Truncate { .. }
                | Operation::Sync { .. }
                | Operation::SyncFolder { .. } => false,
            }),
            // Its halves lie in two folders, each synced on its own.
            Operation::Rename { from, to, node } => self.pending.extend([
                Operation::Link { path: to.clone(), node: *node },
                Operation::Unlink { path: from.clone() },
            ]),
            Operation::Link { node, .. } => {
                if let Node::File(file) = node {
                    self.last_file = self.last_file.max(*file);
                }
                self.pending.push(operation.clone());
            }
            Operation::Unlink { .. } | Operation::Write { .. } | Operation::Truncate { .. } => {
                self.pending.push(operation.clone());
            }
        }
    }

    fn settle(&mut self, covered: impl Fn(&Operation) -> bool) {
        for operation in std::mem::take(&mut self.pending) {
            if covered(&operation) {
                self.safe.apply(&operation);
            } else {
                self.pending.push(operation);
            }
        }
    }

    /// The highest number of a file so far; none is used twice.
    pub(super) const fn last_file(&self) -> u64 {
        self.last_file
    }

    /// As the page cache has it.
    pub(super) fn live(&self) -> Image {
        let mut live = self.safe.clone();
        self.pending.iter().for_each(|operation| live.apply(operation));
        live
    }

    /// One of the states that may be there when the power comes back.
    pub(super) fn lose_power(self, random: &mut Random) -> Self {
        let Self { mut safe, pending, last_file } = self;
        let entries = Fate::choose(random);
        let content = Fate::choose(random);
        let mut by_file: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
        for operation in pending {
            match &operation {
                Operation::Link { .. } | Operation::Unlink { .. } | Operation::Rename { .. } => {
                    if entries.keeps(random) {
                        safe.apply(&operation);
                    }
                }
                Operation::Write { file, .. } | Operation::Truncate { file, .. } => {
                    by_file.entry(*file).or_default().push(operation);
                }
                Operation::Sync { .. } | Operation::SyncFolder { .. } => {}
            }
        }
        for (file, operations) in by_file {
            tear(safe.file(file), &operations, content, random);
        }
        safe.sweep();
        Self { safe, pending: Vec::new(), last_file }
    }
}

/// What becomes of operations that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    /// Each on its own is kept or lost, in any order.
    Either,
    /// All up to one of them, and a part of that one.
    Front,
    /// Each sector on its own.
    Sectors,
}

impl Fate {
    fn choose(random: &mut Random) -> Self {
        let fates = [Self::Kept, Self::Lost, Self::Either, Self::Either, Self::Front, Self::Sectors];
        random.pick(&fates).copied().unwrap_or(Self::Lost)
    }

    /// For what is kept or lost as a whole.
    fn keeps(self, random: &mut Random) -> bool {
        match self {
            Self::Kept => true,
            Self::Lost => false,
            Self::Either | Self::Front | Self::Sectors => random.one_in(2),
        }
    }
}

/// Content after a power cut: of what was written since the last sync, some is there. The length is one of those that
/// the file has had, whether or not the octets came to the disk.
fn tear(content: &mut Vec<u8>, operations: &[Operation], fate: Fate, random: &mut Random) {
    let mut lengths = vec![content.len()];
    let mut last = content.len();
    let front = random.below(operations.len());
    for (number, operation) in operations.iter().enumerate() {
        match operation {
            Operation::Write { offset, octets, .. } => {
                last = last.max(offset.saturating_add(octets.len()));
                let whole = match fate {
                    Fate::Front if number == front => {
                        let torn = cut_at_sector(*offset, octets, random);
                        lengths.push(offset.saturating_add(torn.len()));
                        write(content, *offset, torn);
                        false
                    }
                    Fate::Front => number < front,
                    Fate::Sectors => {
                        scatter(content, *offset, octets, random);
                        false
                    }
                    Fate::Kept | Fate::Lost | Fate::Either => fate.keeps(random),
                };
                if whole {
                    write(content, *offset, octets);
                }
            }
            Operation::Truncate { octets, .. } => {
                last = *octets;
                if fate.keeps(random) {
                    content.truncate(*octets);
                }
            }
            Operation::Link { .. }
            | Operation::Unlink { .. }
            | Operation::Rename { .. }
            | Operation::Sync { .. }
            | Operation::SyncFolder { .. } => {}
        }
        lengths.push(last);
    }
    let length = match fate {
        Fate::Kept => last,
        Fate::Lost | Fate::Either | Fate::Front | Fate::Sectors => {
            random.pick(&lengths).copied().unwrap_or(last)
        }
    };
    content.resize(length, 0);
}

/// The front of a write, up to where a sector of the file ends.
fn cut_at_sector<'a>(offset: usize, octets: &'a [u8], random: &mut Random) -> &'a [u8] {
    let first = SECTOR_OCTETS - offset % SECTOR_OCTETS;
    let sectors = octets.len().saturating_sub(first) / SECTOR_OCTETS;
    let end = first.saturating_add(random.below(sectors.saturating_add(1)).saturating_mul(SECTOR_OCTETS));
    octets.get(..end).unwrap_or_default()
}

/// Writes some sectors.
fn scatter(content: &mut Vec<u8>, mut offset: usize, mut octets: &[u8], random: &mut Random) {
    while !octets.is_empty() {
        let (now, rest) = octets.split_at(octets.len().min(SECTOR_OCTETS - offset % SECTOR_OCTETS));
        if random.one_in(2) {
            write(content, offset, now);
        }
        offset = offset.saturating_add(now.len());
        octets = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Platter {
        let mut platter = Platter::default();
        platter.record(&Operation::Link { path: PathBuf::from("/a"), node: Node::File(1) });
        platter.record(&Operation::Write { file: 1, offset: 0, octets: vec![7; 2000].into() });
        platter
    }

    fn synced() -> Platter {
        let mut platter = written();
        platter.record(&Operation::Sync { file: 1 });
        platter.record(&Operation::SyncFolder { folder: PathBuf::from("/") });
        platter
    }

    #[test]
    fn what_is_synced_survives_every_power_cut() {
        for seed in 0..200 {
            let after = synced().lose_power(&mut Random::new(seed)).live();
            assert_eq!(*after.files[&1], vec![7; 2000]);
            assert_eq!(after.entries.len(), 1);
        }
    }

    #[test]
    fn what_is_not_synced_may_be_there_whole_torn_or_not_at_all() {
        let (mut whole, mut gone, mut torn, mut empty) = (0, 0, 0, 0);
        for seed in 0..400 {
            let after = written().lose_power(&mut Random::new(seed)).live();
            let Some(content) = after.files.get(&1) else {
                gone += 1;
                continue;
            };
            match (content.contains(&7), **content == [7; 2000]) {
                (_, true) => whole += 1,
                (true, false) => torn += 1,
                (false, false) => empty += 1,
            }
        }
        assert!(whole > 10 && gone > 10 && torn > 10 && empty > 10, "{whole} {gone} {torn} {empty}");
    }

    #[test]
    fn a_renamed_file_has_its_new_name_for_sure_once_that_folder_is_synced() {
        for seed in 0..200 {
            let mut platter = synced();
            platter.record(&Operation::Link { path: PathBuf::from("/b"), node: Node::Folder });
            platter.record(&Operation::SyncFolder { folder: PathBuf::from("/") });
            let (from, to) = (PathBuf::from("/a"), PathBuf::from("/b/a"));
            platter.record(&Operation::Rename { from, to: to.clone(), node: Node::File(1) });
            platter.record(&Operation::SyncFolder { folder: PathBuf::from("/b") });
            let after = platter.lose_power(&mut Random::new(seed)).live();
            assert_eq!(after.entries.get(&to), Some(&Node::File(1)));
        }
    }
}
