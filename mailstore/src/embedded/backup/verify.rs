//! Is a backup what it was? Every object by its hash, then every record by its checksums.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::super::segment::Extent;
use super::damage::{owners, told};
use super::error::{BackupError, at};
use super::folder::Backup;
use super::inspection::{Harm, Inspection, Segment};
use super::manifest::{Manifest, Place};
use super::objects::{ObjectName, Objects, Pieces};
use super::pace::Pace;
use super::view::PiecedFile;
use crate::{Finding, Owner, Progress};

/// Something that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flaw {
    /// What it is about: a file of the backup, or of the store that is in it.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
    /// The files of the store that need it.
    pub needed_for: Vec<String>,
    /// The snapshots that need it.
    pub snapshots: Vec<String>,
    /// Whose messages are concerned, as far as it can be told.
    pub owners: Vec<Owner>,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Snapshots.
    pub snapshots: usize,
    /// Objects.
    pub objects: usize,
    /// Octets of all objects.
    pub octets: u64,
    /// Messages in the newest of the snapshots, with those that were gone by then.
    pub messages: u64,
    /// What is wrong; nothing, in a good backup.
    pub flaws: Vec<Flaw>,
}

impl Backup {
    /// Looks at all that `snapshot` needs, or at all snapshots.
    ///
    /// # Errors
    /// Where it cannot be looked at; what is damaged is told in [`Verified`].
    pub fn verify(
        &self,
        snapshot: Option<&str>,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Verified, BackupError> {
        let names = snapshot.map_or_else(|| self.names(), |name| Ok(vec![name.to_owned()]))?;
        let mut verification = Verification {
            backup: self,
            objects: Arc::new(self.objects()),
            pace: Pace::new(watch),
            verified: Verified::default(),
            damaged: BTreeMap::new(),
            known: Known::default(),
        };
        if !self.format_is_whole()? {
            verification.find("format", "it is damaged; the next backup writes it anew", &[]);
        }
        let names = verification.objects(names)?;
        let mut damage: Vec<(Finding, Vec<String>)> = Vec::new();
        for name in names.iter().rev() {
            verification.snapshot(name, &mut damage)?;
        }
        Ok(verification.finish(damage))
    }
}

struct Verification<'a> {
    backup: &'a Backup,
    objects: Arc<Objects>,
    pace: Pace<'a>,
    verified: Verified,
    damaged: BTreeMap<ObjectName, Flaw>,
    known: Known,
}

/// What was looked at already, since snapshots have much in common. Files are known by their pieces.
#[derive(Default)]
struct Known {
    segments: HashMap<(u32, ObjectName), Inspection>,
    contents: HashMap<(String, ObjectName), Vec<Harm>>,
}

impl Verification<'_> {
    fn find(&mut self, file: &str, problem: &str, snapshots: &[String]) {
        let (file, problem) = (file.to_owned(), problem.to_owned());
        let snapshots = snapshots.to_vec();
        self.verified.flaws.push(Flaw { file, problem, snapshots, ..Flaw::default() });
    }

    /// Looks at every object once. Gives the names of the snapshots that are whole.
    fn objects(&mut self, names: Vec<String>) -> Result<Vec<String>, BackupError> {
        let mut objects: BTreeMap<ObjectName, u64> = BTreeMap::new();
        let mut files: BTreeSet<ObjectName> = BTreeSet::new();
        let mut whole = Vec::new();
        for name in names {
            let Some(manifest) = self.backup.manifest(&name)? else {
                self.find(&format!("snapshots/{name}"), "it is damaged", &[name]);
                continue;
            };
            for pieces in manifest.pieces().filter(|pieces| files.insert(ObjectName::of_all(&pieces.names))) {
                self.pace.expect(pieces.octets);
            }
            objects.extend(manifest.objects());
            whole.push(name);
        }
        self.verified.snapshots = whole.len();
        self.verified.objects = objects.len();
        self.verified.octets = objects.values().copied().fold(0, u64::saturating_add);
        self.pace.expect(self.verified.octets);
        for (name, octets) in objects {
            if let Some(problem) = problem(&self.objects, name) {
                let file = Objects::relative(name);
                self.damaged.insert(name, Flaw { file, problem, ..Flaw::default() });
            }
            self.pace.advance(octets)?;
        }
        Ok(whole)
    }

    /// Looks at every record of a snapshot, and says what it needs of what is damaged.
    fn snapshot(&mut self, name: &str, damage: &mut Vec<(Finding, Vec<String>)>) -> Result<(), BackupError> {
        let Some(manifest) = self.backup.manifest(name)? else { return Ok(()) };
        let inspection = self.inspection(&manifest)?;
        if self.verified.messages == 0 {
            self.verified.messages = inspection.messages;
        }
        let mut explained: BTreeMap<Place, Vec<(u64, u64, ObjectName)>> = BTreeMap::new();
        for (place, pieces) in manifest.files() {
            for (object, offset, octets) in pieces.each() {
                if let Some(flaw) = self.damaged.get_mut(&object) {
                    add(&mut flaw.snapshots, name.to_owned());
                    add(&mut flaw.needed_for, place.to_string());
                    let end = offset.saturating_add(octets);
                    explained.entry(place.clone()).or_default().push((offset, end, object));
                }
            }
        }
        for harm in inspection.harms() {
            let end = harm.offset.saturating_add(harm.octets.max(1));
            let places = explained.get(&harm.place).map(Vec::as_slice).unwrap_or_default();
            let mut overlapping =
                places.iter().filter(|(from, to, _)| *from < end && harm.offset < *to).peekable();
            if overlapping.peek().is_none() {
                let told = told(harm, &inspection.addresses);
                match damage.iter_mut().find(|(known, _)| *known == told) {
                    Some((_, snapshots)) => add(snapshots, name.to_owned()),
                    None => damage.push((told, vec![name.to_owned()])),
                }
            }
            for (.., object) in overlapping {
                if let Some(flaw) = self.damaged.get_mut(object) {
                    let owners = owners(&harm.holders, &inspection.addresses);
                    for owner in owners {
                        add(&mut flaw.owners, owner);
                    }
                }
            }
        }
        Ok(())
    }

    fn inspection(&mut self, manifest: &Manifest) -> Result<Inspection, BackupError> {
        let mut all = Inspection::default();
        let seed = crc32c::crc32c(&manifest.epoch.to_le_bytes());
        let last = manifest.segments.keys().last();
        for (number, pieces) in &manifest.segments {
            let key = (*number, ObjectName::of_all(&pieces.names));
            if !self.known.segments.contains_key(&key) {
                let extent = if last == Some(number) { Extent::Growing } else { Extent::Sealed };
                let file = Arc::new(self.file(pieces));
                let mut inspection = Inspection::default();
                let segment = Segment { number: *number, file, seed, extent };
                inspection.segment(&segment, 0).map_err(at(&self.backup.root))?;
                self.pace.advance(pieces.octets)?;
                self.known.segments.insert(key, inspection);
            }
            self.known.segments.get(&key).into_iter().for_each(|inspection| all.add(inspection));
        }
        for (name, pieces) in &manifest.contents {
            let key = (name.clone(), ObjectName::of_all(&pieces.names));
            if !self.known.contents.contains_key(&key) {
                let harms = all.content(name, &self.file(pieces)).map_err(at(&self.backup.root))?;
                self.pace.advance(pieces.octets)?;
                self.known.contents.insert(key.clone(), harms);
            }
            self.known.contents.get(&key).into_iter().for_each(|harms| all.note(harms));
        }
        Ok(all)
    }

    fn file(&self, pieces: &Pieces) -> PiecedFile {
        PiecedFile::new(&self.objects, pieces.clone())
    }

    fn finish(self, damage: Vec<(Finding, Vec<String>)>) -> Verified {
        let mut verified = self.verified;
        verified.flaws.extend(self.damaged.into_values());
        for (finding, snapshots) in damage {
            let (file, problem) =
                ("the store".to_owned(), format!("it was so when it was backed up: {finding}"));
            verified.flaws.push(Flaw { file, problem, snapshots, ..Flaw::default() });
        }
        verified
    }
}

/// What is wrong with an object.
fn problem(objects: &Objects, name: ObjectName) -> Option<String> {
    match objects.read(name) {
        Ok(Some(octets)) if ObjectName::of(&octets) == name => None,
        Ok(Some(_)) => Some("it is damaged: its octets are not those that were written".to_owned()),
        Ok(None) => Some("it is missing".to_owned()),
        Err(error) => Some(format!("it cannot be read: {error}")),
    }
}

fn add<T: PartialEq>(to: &mut Vec<T>, what: T) {
    if !to.contains(&what) {
        to.push(what);
    }
}
