//! Records of small files that are written one behind the other: the first one that is torn or damaged ends the file.
//!
//! A record is its length, the checksum of the rest, and a value.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::files::File;

/// Length and checksum.
const FRAME_OCTETS: usize = 8;

/// A record of `value`.
pub(crate) fn record(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut octets = postcard::to_extend(value, vec![0; FRAME_OCTETS]).map_err(io::Error::other)?;
    let (frame, body) = octets.split_at_mut(FRAME_OCTETS);
    let length = u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes();
    let front = length.into_iter().chain(crc32c::crc32c(body).to_le_bytes());
    frame.iter_mut().zip(front).for_each(|(to, from)| *to = from);
    Ok(octets)
}

/// The value of the record that `octets` begin with, and how many of them it takes; `None` where they do not begin with one.
pub(crate) fn first<T: DeserializeOwned>(octets: &[u8]) -> Option<(T, usize)> {
    let (length, rest) = octets.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let body = rest.get(..length)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, FRAME_OCTETS + length))
}

/// Gives each value to `take`, and how many octets all records have.
pub(crate) fn each<T: DeserializeOwned>(octets: &[u8], mut take: impl FnMut(T)) -> usize {
    let mut rest = octets;
    while let Some((value, length)) = first(rest) {
        take(value);
        rest = rest.get(length..).unwrap_or_default();
    }
    octets.len() - rest.len()
}

/// All of a file.
pub(crate) fn read(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; usize::try_from(file.octets()?).map_err(io::Error::other)?];
    let read = file.read_at(&mut octets, 0)?;
    octets.truncate(read);
    Ok(octets)
}

/// A place in a file.
pub(crate) fn offset(octets: usize) -> io::Result<u64> {
    u64::try_from(octets).map_err(io::Error::other)
}
