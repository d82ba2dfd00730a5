//! Frames on the socket: four octets of length, little-endian, then a value in postcard's encoding.

use std::fmt;
use std::io;

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// What a sharer says first; the last octet is the version of [`super::request`].
pub(crate) const GREETING: [u8; 8] = *b"MSSHARE\x10";
/// Most octets of a frame: content goes in pieces, and lists in pages, that stay below.
const FRAME_OCTETS_MAX: u32 = 2 << 20;

/// Sends one value.
pub(crate) async fn write<T: Serialize + Sync>(stream: &mut UnixStream, value: &T) -> io::Result<()> {
    let mut octets = postcard::to_extend(value, vec![0; 4]).map_err(io::Error::other)?;
    let length = u32::try_from(octets.len() - 4).ok().filter(|length| *length <= FRAME_OCTETS_MAX);
    let length = length.ok_or_else(too_long)?;
    octets.iter_mut().zip(length.to_le_bytes()).for_each(|(to, from)| *to = from);
    stream.write_all(&octets).await
}

/// Receives one value; `None` where the other side has ended in order.
pub(crate) async fn read<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<Option<T>> {
    match begin(stream).await? {
        None => Ok(None),
        Some(first) => rest(stream, first).await.map(Some),
    }
}

/// The first octet of a frame; `None` where the other side has ended in order. Who does not wait for it any more has read
/// nothing.
pub(crate) async fn begin(stream: &mut UnixStream) -> io::Result<Option<u8>> {
    let mut first = [0];
    Ok((stream.read(&mut first).await? > 0).then_some(first[0]))
}

/// The value of a frame that has begun.
pub(crate) async fn rest<T: DeserializeOwned>(stream: &mut UnixStream, first: u8) -> io::Result<T> {
    let mut length = [first, 0, 0, 0];
    stream.read_exact(&mut length[1..]).await?;
    let length = u32::from_le_bytes(length);
    if length > FRAME_OCTETS_MAX {
        return Err(too_long());
    }
    let mut octets = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut octets).await?;
    postcard::from_bytes(&octets).map_err(io::Error::other)
}

/// Content in a frame. It is copied as a whole, while serde takes a `Vec<u8>` octet by octet; both look alike there.
pub(crate) struct Octets(pub(crate) Vec<u8>);

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(OctetsVisitor)
    }
}

struct OctetsVisitor;

impl Visitor<'_> for OctetsVisitor {
    type Value = Octets;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("octets")
    }

    fn visit_bytes<E>(self, octets: &[u8]) -> Result<Octets, E> {
        Ok(Octets(octets.to_vec()))
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a frame is longer than {FRAME_OCTETS_MAX} octets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_stand_in_a_frame_as_a_list_of_them_would() {
        for content in [vec![], b"a\0\xff".to_vec(), vec![b'x'; 300]] {
            let encoded = postcard::to_stdvec(&Octets(content.clone())).unwrap();
            assert_eq!(encoded, postcard::to_stdvec(&content).unwrap());
            assert_eq!(postcard::from_bytes::<Octets>(&encoded).unwrap().0, content);
        }
    }
}
