//! Objects of earlier snapshots that are damaged are written again, as far as the store still has what stood in them.

use std::collections::BTreeSet;
use std::io;

use super::super::files::{File, Files, Mode};
use super::super::layout::Layout;
use super::super::segment;
use super::error::{BackupError, at};
use super::folder::Backup;
use super::manifest::{Manifest, Place};
use super::objects::{ObjectName, Objects};
use super::pace::Pace;

/// Looks at every object of every snapshot. Gives the octets that were written.
pub(super) fn mend(
    backup: &Backup,
    (files, layout): (&dyn Files, &Layout),
    objects: &mut Objects,
    pace: &mut Pace<'_>,
) -> Result<u64, BackupError> {
    let mut seen = BTreeSet::new();
    let mut mended: u64 = 0;
    for name in backup.names()? {
        let Some(manifest) = backup.manifest(&name)? else { continue };
        for (place, object, offset, octets) in pieces(&manifest) {
            if !seen.insert(object) {
                continue;
            }
            pace.expect(octets);
            pace.advance(octets)?;
            if is_whole(objects, object) {
                continue;
            }
            // What the store has no more, or has otherwise by now, stays damaged: `verify` names it.
            let found = in_store(files, layout, &place, (offset, octets)).unwrap_or_default();
            if ObjectName::of(&found) == object {
                objects.keep(&found).map_err(at(&objects.path(object)))?;
                mended = mended.saturating_add(octets);
            }
        }
    }
    Ok(mended)
}

fn pieces(manifest: &Manifest) -> impl Iterator<Item = (Place, ObjectName, u64, u64)> {
    manifest.files().flat_map(|(place, pieces)| {
        let each = pieces.each();
        each.map(move |(object, offset, octets)| (place.clone(), object, offset, octets))
    })
}

fn is_whole(objects: &Objects, name: ObjectName) -> bool {
    let found = objects.read(name).ok().flatten();
    found.is_some_and(|found| ObjectName::of(&found) == name)
}

fn in_store(
    files: &dyn Files,
    layout: &Layout,
    place: &Place,
    (offset, octets): (u64, u64),
) -> io::Result<Vec<u8>> {
    let path = match place {
        Place::Segment(number) => layout.journal.join(segment::name(*number)),
        Place::Content(name) => layout.content.join(name),
    };
    let file = files.open(&path, Mode::Read)?;
    let mut found = vec![0; usize::try_from(octets).map_err(io::Error::other)?];
    let read = File::read_at(&*file, &mut found, offset)?;
    found.truncate(read);
    Ok(found)
}
