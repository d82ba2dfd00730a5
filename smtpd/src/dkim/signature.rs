//! What a signature covers, and how.

use mail_auth::common::crypto::{Algorithm, DkimKey, SigningKey};
use mail_auth::common::headers::{HeaderWriter as _, Writable};
use mail_auth::dkim::{DkimSigner, Done};
use memchr::memmem;

use super::{Blanks, DkimError, Key};

/// Fields that are signed with one occurrence more than there are, so that none can be added (RFC 6376 §8.15): what
/// readers see, and what says how the body is to be read.
const CLOSED: [&str; 14] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
];
/// Fields that are signed where there are some (RFC 6376 §5.4.1); lists and forwarders add them rightly.
const OPEN: [&str; 13] = [
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "Autocrypt",
];

/// A key that signs many messages.
struct Borrowed<'a>(&'a DkimKey);

impl SigningKey for Borrowed<'_> {
    type Hasher = <DkimKey as SigningKey>::Hasher;

    fn sign(&self, input: impl Writable) -> mail_auth::Result<Vec<u8>> {
        self.0.sign(input)
    }

    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }
}

/// A key with what its signatures say of it.
pub(super) struct Signer {
    domain: String,
    selector: String,
    key: DkimKey,
}

impl Signer {
    /// For a domain as signatures name it.
    pub(super) fn new(domain: &str, key: Key) -> Self {
        let selector = key.selector.to_string();
        Self { domain: domain.to_owned(), selector, key: key.pair.into_key() }
    }

    /// Signs messages with this header section.
    fn of(&self, header: &[u8]) -> DkimSigner<Borrowed<'_>, Done> {
        // Spaces and folds may change on the way, and nothing else (RFC 6376 §3.4): the library's default.
        DkimSigner::from_key(Borrowed(&self.key))
            .domain(self.domain.as_str())
            .selector(self.selector.as_str())
            .headers(fields(header))
    }
}

/// The DKIM-Signature fields by all of `signers` of a message with this header section, whose rest `body` hands out in
/// pieces until it is over.
pub(super) fn signatures(
    signers: &[Signer],
    header: &[u8],
    mut body: impl FnMut() -> Option<Vec<u8>>,
) -> Result<Vec<u8>, DkimError> {
    let signers: Vec<_> = signers.iter().map(|signer| signer.of(header)).collect();
    let mut streams: Vec<_> = signers.iter().map(DkimSigner::sign_streaming).collect();
    let (section, begun) = header.split_at(header_octets(header));
    let mut blanks = Blanks::default();
    let mut next = Some([section, &blanks.reduced(begun)].concat());
    while let Some(piece) = next {
        for stream in &mut streams {
            stream.write(&piece);
        }
        next = body().map(|piece| blanks.reduced(&piece));
    }
    let signed = streams.into_iter().map(|stream| stream.finish().map_err(DkimError::crypto("signing")));
    let fields = signed.map(|signature| signature.map(|signature| signature.to_header().into_bytes()));
    Ok(fields.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Octets of the header section with its blank line; all, where there is no such line.
fn header_octets(content: &[u8]) -> usize {
    memmem::find(content, b"\r\n\r\n").map_or(content.len(), |at| at + 4)
}

/// What is named in `h=`: a field that must not be added once more is named once more than it is there.
fn fields(header: &[u8]) -> Vec<&'static str> {
    let lines = header.split(|octet| *octet == b'\n');
    let names = lines.filter_map(|line| line.split(|octet| *octet == b':').next());
    let present: Vec<_> = names.map(<[u8]>::trim_ascii_end).collect();
    let is_present = |field: &str| present.iter().any(|name| name.eq_ignore_ascii_case(field.as_bytes()));
    let closed = CLOSED.iter().flat_map(|field| {
        let there = Some(*field).filter(|field| is_present(field));
        there.into_iter().chain([*field])
    });
    closed.chain(OPEN.into_iter().filter(|field| is_present(field))).collect()
}
