//! A message from outside as it passes: its header section is kept, and of its body what signatures say of it.
//!
//! Verifiers of signatures want the whole message in memory. Here the body is hashed while it comes, by the forms that the
//! message's own signatures name, at most two: so it is looked at once, neither kept nor read back from the store, and a
//! message costs no more than its header section, whatever its size. That is part of the memory that sessions may hold
//! for content (`receiving_octets_max`).

use mail_auth::AuthenticatedMessage;
use mail_auth::common::crypto::{HashContext as _, HashImpl, Sha256};
use mail_auth::dkim::Canonicalization;
use mail_auth::dkim::canonicalize::BodyHasher;
use memchr::memmem;

use crate::dkim::Blanks;

/// Most octets of a header section that is kept: some ten times what forwarders and lists make of one.
pub(crate) const HEADER_OCTETS_MAX: usize = 128 << 10;

/// What ends a header section (RFC 5322 §2.1).
const END: &[u8] = b"\r\n\r\n";

type Hasher = BodyHasher<<Sha256 as HashImpl>::Context>;

/// Watches a message pass.
#[derive(Default)]
pub(crate) struct Reading {
    header: Vec<u8>,
    place: Place,
    bodies: Vec<Body>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Header,
    Body,
    /// The header section is longer than is kept of it.
    Beyond,
}

/// The body in one of its forms (RFC 6376 §3.4).
struct Body {
    form: Canonicalization,
    blanks: Blanks,
    hasher: Hasher,
}

/// What signatures and authors are found out by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// The header section with its blank line.
    pub(crate) header: Vec<u8>,
    /// False where there was more of it than is kept.
    pub(crate) is_whole: bool,
    /// SHA-256 of the body in the forms that signatures of the message name.
    hashes: Vec<(Canonicalization, Vec<u8>)>,
}

impl Reading {
    /// Takes the next octets of the message, as they were sent.
    pub(crate) fn pass(&mut self, octets: &[u8]) {
        match self.place {
            Place::Header => self.header(octets),
            Place::Body => self.body(octets),
            Place::Beyond => {}
        }
    }

    fn header(&mut self, octets: &[u8]) {
        let before = self.header.len();
        let room = HEADER_OCTETS_MAX.saturating_sub(before);
        self.header.extend_from_slice(octets.get(..room).unwrap_or(octets));
        // The end may have begun in what was there.
        let searched = before.saturating_sub(END.len() - 1);
        let end = match self.header.get(searched..).and_then(|header| memmem::find(header, END)) {
            // A message that begins with a blank line has no fields.
            _ if self.header.starts_with(b"\r\n") => Some(2),
            Some(at) => Some(searched + at + END.len()),
            None => None,
        };
        match end {
            Some(end) => {
                self.header.truncate(end);
                self.place = Place::Body;
                self.bodies = bodies(&self.header);
                self.body(octets.get(end.saturating_sub(before)..).unwrap_or_default());
            }
            None if octets.len() > room => {
                self.header = Vec::new();
                self.place = Place::Beyond;
            }
            None => {}
        }
    }

    fn body(&mut self, octets: &[u8]) {
        for Body { form, blanks, hasher } in &mut self.bodies {
            match form {
                Canonicalization::Simple => hasher.write(octets),
                Canonicalization::Relaxed => hasher.write(&blanks.reduced(octets)),
            }
        }
    }

    /// The message has ended.
    pub(crate) fn read(mut self) -> Read {
        if self.place == Place::Header {
            self.bodies = bodies(&self.header);
        }
        let hash = |body: Body| (body.form, body.hasher.finish().0.complete().as_ref().to_vec());
        let hashes = self.bodies.into_iter().map(hash).collect();
        Read { header: self.header, is_whole: self.place != Place::Beyond, hashes }
    }
}

impl Read {
    /// The hash of the body in this form, if a signature has named it.
    pub(super) fn hash(&self, form: Canonicalization) -> &[u8] {
        let hash = self.hashes.iter().find(|(known, _)| *known == form);
        hash.map(|(_, hash)| hash.as_slice()).unwrap_or_default()
    }
}

/// For each form that signatures name.
fn bodies(header: &[u8]) -> Vec<Body> {
    let Some(message) = AuthenticatedMessage::parse(header) else { return Vec::new() };
    let mut forms: Vec<_> = message.body_hashes.iter().map(|(form, ..)| *form).collect();
    forms.sort_unstable_by_key(|form| *form == Canonicalization::Simple);
    forms.dedup();
    let hasher = |form| BodyHasher::new(Sha256::hasher(), form, 0);
    forms.into_iter().map(|form| Body { form, blanks: Blanks::default(), hasher: hasher(form) }).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    const SIGNED: &str = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=a; s=b; h=from; bh=AA==; b=AA==\r\n\
        DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=a; s=b; h=from; bh=AA==; b=AA==\r\nFrom: a@b\r\n\r\n";

    fn read(message: &str, piece_octets: usize) -> Read {
        let mut reading = Reading::default();
        for piece in message.as_bytes().chunks(piece_octets) {
            reading.pass(piece);
        }
        reading.read()
    }

    /// Of the two forms of RFC 6376 §3.4.5, the first two with the digests that it names.
    #[test]
    fn bodies_are_hashed_in_both_forms_whatever_the_pieces() {
        for (body, simple, relaxed) in [
            (
                "",
                "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
                "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            ),
            (
                "\r\n",
                "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
                "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            ),
        ] {
            let message = format!("{SIGNED}{body}");
            for piece_octets in [1, 2, 3, 7, message.len()] {
                let read = read(&message, piece_octets);
                assert_eq!(read.header, SIGNED.as_bytes());
                assert_eq!(BASE64_STANDARD.encode(read.hash(Canonicalization::Simple)), simple);
                assert_eq!(BASE64_STANDARD.encode(read.hash(Canonicalization::Relaxed)), relaxed);
            }
        }
    }

    #[test]
    fn lines_of_blanks_at_the_end_are_none_in_the_relaxed_form() {
        let relaxed =
            |body: &str| read(&format!("{SIGNED}{body}"), 5).hash(Canonicalization::Relaxed).to_vec();
        assert_eq!(relaxed("a b\r\n"), relaxed(" a \t b \r\n".trim_start()));
        for body in ["a b\r\n \r\n", "a b \r\n\t\r\n\r\n \t \r\n", "a\tb\r\n\r\n"] {
            assert_eq!(relaxed("a b\r\n"), relaxed(body), "{body:?}");
        }
        assert_ne!(relaxed("a b\r\n"), relaxed("a b\r\n \r\nc\r\n"));
    }

    #[test]
    fn without_signatures_nothing_is_hashed() {
        for message in ["From: a@b\r\n\r\ntext\r\n", "\r\ntext\r\n", "text", ""] {
            assert!(read(message, 3).hashes.is_empty(), "{message:?}");
        }
    }

    #[test]
    fn a_header_section_is_kept_up_to_its_limit() {
        let of = |octets: usize| format!("{}\r\n\r\ntext\r\n", "x".repeat(octets - 4));
        let whole = read(&of(HEADER_OCTETS_MAX), 1000);
        assert!(whole.is_whole && whole.header.len() == HEADER_OCTETS_MAX);
        let beyond = read(&of(HEADER_OCTETS_MAX + 1), 1000);
        assert!(!beyond.is_whole && beyond.header.is_empty());
    }
}
