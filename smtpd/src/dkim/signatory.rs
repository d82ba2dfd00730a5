//! Signs what leaves, with the keys of the domain in its From.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mailwire::address::Domain;
use memchr::memmem;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::folder::name;
use super::signature::{Signer, signatures};
use super::{DkimError, Folder, author};

/// Messages that are signed at one time. Each holds a thread while it is read from the store.
const SIGNED_AT_ONCE_MAX: usize = 16;
/// Most octets of a header section that is held to be signed.
const HEADER_OCTETS_MAX: usize = 4 << 20;
/// Pieces of a message that wait for their turn.
const PIECES_WAITING_MAX: usize = 2;

/// When other keys sign, this is another one.
type Stamp = (u64, i64, i64);
/// The keys that sign for a domain.
type Signers = Arc<[Signer]>;

/// Signs for every domain that has keys in a folder. Keys that are changed there hold from the next message on.
#[derive(Clone)]
pub struct Signatory(Arc<Known>);

struct Known {
    folder: Folder,
    /// The keys of each domain that has some, as they were last read.
    signers: Mutex<HashMap<String, (Stamp, Signers)>>,
    turns: Arc<Semaphore>,
}

impl Signatory {
    /// With the keys in `folder`.
    #[must_use]
    pub fn new(folder: Folder) -> Self {
        let turns = Arc::new(Semaphore::new(SIGNED_AT_ONCE_MAX));
        Self(Arc::new(Known { folder, signers: Mutex::default(), turns }))
    }

    /// False where there are no keys at all.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.0.folder.is_there()
    }

    /// Begins with a message, as soon as it is its turn. It costs the network threads nothing.
    pub async fn begin(&self) -> Signing {
        let turn = Arc::clone(&self.0.turns).acquire_owned().await;
        let (pieces, mut waiting) = mpsc::channel::<Vec<u8>>(PIECES_WAITING_MAX);
        let known = Arc::clone(&self.0);
        let outcome = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            known.signed(&mut || waiting.blocking_recv())
        });
        Signing { pieces, outcome }
    }
}

impl Known {
    /// The fields for a message that comes in pieces; none where nobody signs for its author.
    fn signed(&self, pieces: &mut dyn FnMut() -> Option<Vec<u8>>) -> Result<Vec<u8>, DkimError> {
        let mut header = Vec::new();
        while memmem::find(&header, b"\r\n\r\n").is_none() && header.len() <= HEADER_OCTETS_MAX {
            let Some(piece) = pieces() else { break };
            header.extend_from_slice(&piece);
        }
        let Some(author) = author(&header) else { return Ok(Vec::new()) };
        match self.signers(&author)? {
            Some(signers) => signatures(&signers, &header, pieces),
            None => Ok(Vec::new()),
        }
    }

    /// The keys of the domain, or of the nearest one above it: receivers take either for the author's (RFC 7489 §3.1.1).
    fn signers(&self, author: &Domain) -> Result<Option<Signers>, DkimError> {
        let name = name(author);
        let above = name.match_indices('.').map(|(at, _)| name.split_at(at + 1).1);
        for name in std::iter::once(name.as_str()).chain(above) {
            let Ok(domain) = Domain::parse(name) else { continue };
            let Some(stamp) = self.folder.stamp(&domain)? else { continue };
            let signers = self.current(name, &domain, stamp)?;
            if !signers.is_empty() {
                return Ok(Some(signers));
            }
        }
        Ok(None)
    }

    fn current(&self, name: &str, domain: &Domain, stamp: Stamp) -> Result<Signers, DkimError> {
        let mut all = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, signers)) = all.get(name).filter(|(known, _)| *known == stamp) {
            return Ok(Arc::clone(signers));
        }
        let keys = self.folder.signing(domain)?;
        let signers: Signers = keys.into_iter().map(|key| Signer::new(name, key)).collect();
        all.insert(name.to_owned(), (stamp, Arc::clone(&signers)));
        Ok(signers)
    }
}

/// A message that is being signed.
pub struct Signing {
    pieces: mpsc::Sender<Vec<u8>>,
    outcome: JoinHandle<Result<Vec<u8>, DkimError>>,
}

impl Signing {
    /// Takes what comes next of the message. False where nothing more is wanted, because nobody signs it.
    pub async fn pass(&self, piece: Vec<u8>) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// The message is over: the DKIM-Signature fields that go in front of it; none where nobody signs it.
    ///
    /// # Errors
    /// Where a key cannot be read, or does not sign.
    pub async fn finish(self) -> Result<Vec<u8>, DkimError> {
        drop(self.pieces);
        let stopped =
            |error: tokio::task::JoinError| DkimError::Crypto { doing: "signing", reason: error.to_string() };
        self.outcome.await.map_err(stopped)?
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Algorithm, Selector};
    use super::*;

    const DOMAIN: &str = "example.org";

    fn domain() -> Domain {
        Domain::parse(DOMAIN).unwrap()
    }

    async fn fields(signatory: &Signatory, message: &str, piece_octets: usize) -> String {
        let signing = signatory.begin().await;
        for piece in message.as_bytes().chunks(piece_octets) {
            if !signing.pass(piece.to_vec()).await {
                break;
            }
        }
        String::from_utf8(signing.finish().await.unwrap()).unwrap()
    }

    /// What a tag of a signature says, without folds.
    fn tag(fields: &str, name: &str) -> String {
        let text: String = fields.chars().filter(|character| !character.is_whitespace()).collect();
        let (_, value) = text.split_once(&format!(";{name}=")).unwrap();
        value.split(';').next().unwrap().to_owned()
    }

    fn signatory(path: &std::path::Path) -> (Folder, Signatory) {
        let folder = Folder::new(path.to_owned());
        (folder.clone(), Signatory::new(folder))
    }

    #[tokio::test]
    async fn mail_is_signed_with_the_keys_that_sign_at_that_time() {
        let path = tempfile::tempdir().unwrap();
        let (folder, signatory) = signatory(path.path());
        let message = "From: alice@Example.ORG\r\nSubject: x\r\n\r\nbody\r\n";
        assert_eq!(fields(&signatory, message, 7).await, "");
        let names: [Selector; 3] = ["r", "e", "f"].map(|name| name.parse().unwrap());
        folder.make(&domain(), &names[0], Algorithm::Rsa).unwrap();
        folder.make(&domain(), &names[1], Algorithm::Ed25519).unwrap();
        folder.make(&domain(), &names[2], Algorithm::Ed25519).unwrap();
        assert_eq!(fields(&signatory, message, 7).await, "");

        folder.sign_with(&domain(), &names[..2]).unwrap();
        let signed = fields(&signatory, message, 7).await;
        assert_eq!(signed.matches("DKIM-Signature: v=1; a=").count(), 2);
        assert!(signed.contains("a=rsa-sha256; s=r; d=example.org; c=relaxed/relaxed"), "{signed}");
        assert!(signed.contains("a=ed25519-sha256; s=e; d=example.org; c=relaxed/relaxed"), "{signed}");
        assert!(signed.ends_with("\r\n") && signed.lines().all(|line| line.len() <= 78), "{signed}");

        folder.sign_with(&domain(), &names[2..]).unwrap();
        let signed = fields(&signatory, message, 7).await;
        assert!(signed.contains("s=f") && !signed.contains("s=e"), "{signed}");
        // Whatever pieces it comes in.
        for piece_octets in [1, 20, 1000] {
            assert_eq!(tag(&fields(&signatory, message, piece_octets).await, "bh"), tag(&signed, "bh"));
        }
        folder.sign_with(&domain(), &[]).unwrap();
        assert_eq!(fields(&signatory, message, 7).await, "");
    }

    #[tokio::test]
    async fn fields_that_are_there_are_closed_and_those_that_others_add_are_not() {
        let path = tempfile::tempdir().unwrap();
        let (folder, signatory) = signatory(path.path());
        let selector: Selector = "e".parse().unwrap();
        folder.make(&domain(), &selector, Algorithm::Ed25519).unwrap();
        folder.sign_with(&domain(), &[selector]).unwrap();
        let message = "Received: x\r\nfrom : a@example.org\r\nList-Id: l\r\nX-Other: y\r\n\r\n";
        let signed = fields(&signatory, message, 1000).await.to_lowercase();
        let named = tag(&signed, "h");
        let count = |field: &str| named.split(':').filter(|name| *name == field).count();
        let counts = ["from", "subject", "list-id", "list-post", "received", "x-other"].map(count);
        assert_eq!(counts, [2, 1, 1, 0, 0, 0], "{named}");
    }

    #[tokio::test]
    async fn a_domain_without_keys_signs_with_those_of_the_domain_above() {
        let path = tempfile::tempdir().unwrap();
        let (folder, signatory) = signatory(path.path());
        let selector: Selector = "e".parse().unwrap();
        folder.make(&domain(), &selector, Algorithm::Ed25519).unwrap();
        folder.sign_with(&domain(), &[selector]).unwrap();
        for (author, is_signed) in [
            ("a@b.sub.example.org", true),
            ("a@notexample.org", false),
            ("a@org", false),
            ("a@[192.0.2.1]", false),
            ("nobody", false),
        ] {
            let message = format!("From: {author}\r\n\r\nbody\r\n");
            let signed = fields(&signatory, &message, 1000).await;
            assert_eq!(signed.contains("d=example.org"), is_signed, "{author}: {signed}");
        }
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_read_is_an_error_that_names_its_file() {
        let path = tempfile::tempdir().unwrap();
        let (folder, signatory) = signatory(path.path());
        let selector: Selector = "e".parse().unwrap();
        folder.make(&domain(), &selector, Algorithm::Ed25519).unwrap();
        folder.sign_with(&domain(), &[selector]).unwrap();
        std::fs::write(path.path().join("example.org/e.pem"), "").unwrap();
        let signing = signatory.begin().await;
        signing.pass(b"From: a@example.org\r\n\r\n".to_vec()).await;
        let error = signing.finish().await.unwrap_err().to_string();
        assert!(error.contains("example.org/e.pem"), "{error}");
    }
}
