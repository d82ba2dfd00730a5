//! The identity of a message that carries none: made of its content, so that a second import finds the first one's.

use blake2::digest::consts::U16;
use blake2::{Blake2b, Digest};

/// Gathers the content of one message, CRLF line ends.
#[derive(Default)]
pub(crate) struct ContentHash(Blake2b<U16>);

impl ContentHash {
    pub(crate) fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    pub(crate) fn finish(self) -> [u8; 16] {
        self.0.finalize().into()
    }
}

/// The identity of the message with this content that has `before` equals before it in the same source: equal messages
/// are all kept, and each finds itself again.
pub(crate) fn identity(content: [u8; 16], before: u64) -> [u8; 16] {
    let mut hash = Blake2b::<U16>::new();
    hash.update(content);
    hash.update(before.to_be_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(content: &[u8], size: usize) -> [u8; 16] {
        let mut hash = ContentHash::default();
        for chunk in content.chunks(size) {
            hash.update(chunk);
        }
        hash.finish()
    }

    /// What was imported is found again by every later release, so these values may never change.
    #[test]
    fn the_identity_of_content_is_fixed_for_ever() {
        let first = identity(hash(b"Subject: a\r\n\r\nb\r\n", 100), 0);
        assert_eq!(u128::from_be_bytes(first), 0x48c2_b3e5_bc07_ebb8_9291_e0ce_1328_c4eb);
    }

    #[test]
    fn equal_messages_have_different_identities() {
        let content = hash(b"a\r\n", 1);
        assert_eq!(content, hash(b"a\r\n", 3));
        assert_ne!(identity(content, 0), identity(content, 1));
        assert_ne!(identity(content, 0), identity(hash(b"b\r\n", 1), 0));
    }
}
