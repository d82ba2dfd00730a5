//! What a snapshot consists of, as text.
//!
//! ```text
//! mailstack snapshot
//! format 1
//! store 2 0123456789abcdef          the store's format, and its epoch
//! time 1795313258123                milliseconds since 1970
//! segment 1 5000000                 number and octets of a segment, then its pieces
//! 5f3c...
//! content 2q3sfnf6... 3000000       name and octets of a content file, then its pieces
//! 77d1...
//! checksum 9a01...                  BLAKE2b-256 of all before; the last line in every format
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;

use super::objects::{ObjectName, Pieces, write_names};

/// The version of everything in a backup's folder.
pub(super) const FORMAT: u32 = 1;
const MAGIC: &str = "mailstack snapshot";
const CHECKSUM: &str = "checksum ";

/// A snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) store_format: u32,
    pub(super) epoch: u64,
    /// Milliseconds since 1970: everything that was acknowledged before is in it.
    pub(super) time: u64,
    pub(super) segments: BTreeMap<u32, Pieces>,
    /// By the names of their files.
    pub(super) contents: BTreeMap<String, Pieces>,
}

/// Why a text is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Damaged,
    /// It is whole, and of a later format.
    TooNew(u32),
}

impl Manifest {
    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut text);
        let checksum = ObjectName::of(text.as_bytes());
        text + CHECKSUM + &checksum.to_string() + "\n"
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        writeln!(to, "{MAGIC}\nformat {FORMAT}")?;
        writeln!(to, "store {} {:016x}\ntime {}", self.store_format, self.epoch, self.time)?;
        for (number, pieces) in &self.segments {
            writeln!(to, "segment {number} {}", pieces.octets)?;
            write_names(to, &pieces.names)?;
        }
        for (name, pieces) in &self.contents {
            writeln!(to, "content {name} {}", pieces.octets)?;
            write_names(to, &pieces.names)?;
        }
        Ok(())
    }

    pub(super) fn parse(octets: &[u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(octets).map_err(|_| Unreadable::Damaged)?;
        let body = checked(text).ok_or(Unreadable::Damaged)?;
        let mut lines = body.lines();
        let format = head(&mut lines).ok_or(Unreadable::Damaged)?;
        if format > FORMAT {
            return Err(Unreadable::TooNew(format));
        }
        parts(lines).ok_or(Unreadable::Damaged)
    }

    /// Octets of all that it consists of.
    pub(super) fn octets(&self) -> u64 {
        self.pieces().map(|pieces| pieces.octets).fold(0, u64::saturating_add)
    }

    /// All files, with what they are.
    pub(super) fn files(&self) -> impl Iterator<Item = (Place, &Pieces)> {
        let segments = self.segments.iter().map(|(number, pieces)| (Place::Segment(*number), pieces));
        let contents = self.contents.iter().map(|(name, pieces)| (Place::Content(name.clone()), pieces));
        segments.chain(contents)
    }

    /// All files.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Pieces> {
        self.segments.values().chain(self.contents.values())
    }

    /// Each object that it needs, with its length.
    pub(super) fn objects(&self) -> impl Iterator<Item = (ObjectName, u64)> {
        self.pieces().flat_map(|pieces| pieces.each().map(|(name, _, octets)| (name, octets)))
    }
}

/// What stands before the checksum, where that is right.
fn checked(text: &str) -> Option<&str> {
    let (body, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = text.get(..body.len().saturating_add(1))?;
    let checksum = ObjectName::parse(last.strip_prefix(CHECKSUM)?)?;
    (checksum == ObjectName::of(body.as_bytes())).then_some(body)
}

fn head<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<u32> {
    lines.next().filter(|line| *line == MAGIC)?;
    lines.next()?.strip_prefix("format ")?.parse().ok()
}

fn parts<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<Manifest> {
    let (store_format, epoch) = lines.next()?.strip_prefix("store ")?.split_once(' ')?;
    let mut manifest = Manifest {
        store_format: store_format.parse().ok()?,
        epoch: u64::from_str_radix(epoch, 16).ok()?,
        time: lines.next()?.strip_prefix("time ")?.parse().ok()?,
        ..Manifest::default()
    };
    let mut current = None;
    for line in lines {
        if let Some(name) = ObjectName::parse(line) {
            pieces(&mut manifest, current.as_ref()?)?.names.push(name);
            continue;
        }
        let (kind, rest) = line.split_once(' ')?;
        let (name, octets) = rest.split_once(' ')?;
        let place = match kind {
            "segment" => Place::Segment(name.parse().ok()?),
            // It becomes the name of a file when it is restored.
            "content" if name.bytes().all(|octet| octet.is_ascii_alphanumeric()) => {
                Place::Content(name.to_owned())
            }
            _ => return None,
        };
        let pieces_of = Pieces { octets: octets.parse().ok()?, names: Vec::new() };
        match &place {
            Place::Segment(number) => manifest.segments.insert(*number, pieces_of),
            Place::Content(name) => manifest.contents.insert(name.clone(), pieces_of),
        };
        current = Some(place);
    }
    let fits = manifest.pieces().all(Pieces::fits);
    fits.then_some(manifest)
}

fn pieces<'a>(manifest: &'a mut Manifest, place: &Place) -> Option<&'a mut Pieces> {
    match place {
        Place::Segment(number) => manifest.segments.get_mut(number),
        Place::Content(name) => manifest.contents.get_mut(name),
    }
}

/// A file of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    Segment(u32),
    Content(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Segment(number) => write!(formatter, "journal/{}", super::super::segment::name(*number)),
            Self::Content(name) => write!(formatter, "content/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::objects::PIECE_OCTETS;
    use super::*;

    fn manifest() -> Manifest {
        let names = vec![ObjectName::of(b"a"), ObjectName::of(b"b")];
        let large = Pieces { octets: PIECE_OCTETS + 7, names };
        let small = Pieces { octets: 9, names: vec![ObjectName::of(b"c")] };
        Manifest {
            store_format: 2,
            epoch: 77,
            time: 1_795_313_258_123,
            segments: BTreeMap::from([(1, large.clone()), (3, small)]),
            contents: BTreeMap::from([("2q3s".to_owned(), large)]),
        }
    }

    #[test]
    fn what_is_written_is_read_and_any_damage_is_seen() {
        for manifest in [manifest(), Manifest::default()] {
            let text = manifest.encode();
            assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
            for at in 0..text.len() {
                let mut damaged = text.clone().into_bytes();
                damaged[at] ^= 1;
                assert_eq!(Manifest::parse(&damaged), Err(Unreadable::Damaged), "octet {at}");
                assert_eq!(Manifest::parse(&text.as_bytes()[..at]), Err(Unreadable::Damaged), "cut at {at}");
            }
        }
    }

    #[test]
    fn a_newer_format_and_a_name_that_leads_elsewhere_are_refused() {
        let sealed = |body: &str| format!("{body}{CHECKSUM}{}\n", ObjectName::of(body.as_bytes()));
        let newer = sealed("mailstack snapshot\nformat 2\nwhatever\n");
        assert_eq!(Manifest::parse(newer.as_bytes()), Err(Unreadable::TooNew(2)));
        let head = "mailstack snapshot\nformat 1\nstore 2 7\ntime 1\n";
        assert!(Manifest::parse(sealed(head).as_bytes()).is_ok());
        for wrong in ["content ../../x 0\n", "segment x 0\n", "else 1 0\n", "segment 1 5\n", "x\n"] {
            let text = sealed(&format!("{head}{wrong}"));
            assert_eq!(Manifest::parse(text.as_bytes()), Err(Unreadable::Damaged), "{wrong}");
        }
    }

    #[test]
    fn its_objects_are_told_with_their_lengths() {
        let objects: Vec<_> = manifest().objects().map(|(_, octets)| octets).collect();
        assert_eq!(objects, [PIECE_OCTETS, 7, 9, PIECE_OCTETS, 7]);
        assert_eq!(manifest().octets(), 2 * (PIECE_OCTETS + 7) + 9);
    }
}
