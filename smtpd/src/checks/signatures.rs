//! DKIM signatures (RFC 6376) and the ARC chain (RFC 8617) of one message, verified by the library.
//!
//! What the library leaves open is looked at here: `v=` and that From is signed (RFC 6376 §6.1.1), SHA-1 (RFC 8301 §3.1), and
//! what a key says it is for. It gets the hashes of the body from us, since the relaxed form that it makes of a body which
//! ends in lines of blanks is wrong, and the keys too, so that it asks nobody.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use mail_auth::common::crypto::{Algorithm, CryptoError, HashAlgorithm};
use mail_auth::common::verify::VerifySignature;
use mail_auth::dkim::{self, DkimError};
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimOutput, DkimResult, Error, MessageAuthenticator, Parameters};
use tokio::runtime::Handle;

use super::author::{Author, author};
use super::chain::{Chain, ChainResult, chain};
use super::findings::{Dkim, Signature};
use super::keys::Keys;
use super::reading::Read;

/// Most signatures of a message that are verified.
const SIGNATURES_MAX: usize = 10;
/// Characters by which a signature is told from others (RFC 8601 §2.7.1, RFC 6008 §4).
const TOLD_CHARACTERS: usize = 8;

/// Where the library would ask, if anything were left to ask: nobody.
static LIBRARY: LazyLock<Option<MessageAuthenticator>> = LazyLock::new(|| {
    let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    MessageAuthenticator::new(nobody, ResolverOpts::default()).ok()
});

/// What a message's own fields say of its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) author: Author,
    pub(super) signatures: Vec<Signature>,
    pub(super) chain: Chain,
}

impl Verified {
    /// Where it could not be found out now.
    pub(super) fn unknown(reason: String) -> Self {
        let told = || Some(reason.clone());
        let signature = Signature { result: Dkim::TempError, reason: told(), ..Signature::default() };
        let chain = Chain { result: ChainResult::TempError, reason: told(), sealers: Vec::new() };
        Self { signatures: vec![signature], chain, author: Author::Unknown(reason) }
    }
}

/// The message without its body, and with what the library needs to know of that.
fn message(read: &Read) -> Option<AuthenticatedMessage<'_>> {
    let mut message = AuthenticatedMessage::parse(&read.header)?;
    message.dkim_headers.truncate(SIGNATURES_MAX);
    for signature in &mut message.dkim_headers {
        // RFC 6541 and RFC 6651 are not followed: whose signature it is stands in `d=`, and nobody gets reports.
        (signature.header.atps, signature.header.r) = (None, false);
    }
    for (form, algorithm, _, hash) in &mut message.body_hashes {
        *hash = match algorithm {
            HashAlgorithm::Sha256 => read.hash(*form).to_vec(),
            HashAlgorithm::Sha1 => Vec::new(),
        };
    }
    Some(message)
}

/// The names of the keys that verifying this message takes.
pub(super) fn key_names(read: &Read) -> BTreeSet<String> {
    let Some(message) = message(read) else { return BTreeSet::new() };
    let signatures = message.dkim_headers.iter().map(|signature| name(&signature.header));
    let messages = message.ams_headers.iter().map(|signature| name(&signature.header));
    let seals = message.as_headers.iter().map(|seal| name(&seal.header));
    signatures.chain(messages).chain(seals).map(|name| name.trim_end_matches('.').to_owned()).collect()
}

/// With the final dot.
pub(super) fn name(signature: &impl VerifySignature) -> String {
    signature.domain_key()
}

/// Verifies everything. It takes time that the network's threads do not have, and must run where blocking is allowed.
pub(super) fn verify(read: &Read, keys: &Keys) -> Verified {
    let author = author(read);
    let (Some(message), Some(library)) = (message(read), LIBRARY.as_ref()) else {
        return Verified { author, signatures: Vec::new(), chain: Chain::default() };
    };
    let outputs =
        Handle::current().block_on(library.verify_dkim(Parameters::new(&message).with_txt_cache(keys)));
    let signatures = outputs.iter().take(SIGNATURES_MAX).map(|output| signature(output, keys)).collect();
    let sealed =
        Handle::current().block_on(library.verify_arc(Parameters::new(&message).with_txt_cache(keys)));
    let chain = chain(&sealed, keys);
    Verified { author, signatures, chain }
}

fn signature(output: &DkimOutput<'_>, keys: &Keys) -> Signature {
    let (result, reason) = output
        .signature()
        .and_then(|signature| unfit(signature, keys))
        .unwrap_or_else(|| result(output.result()));
    let Some(signature) = output.signature() else {
        return Signature { result, reason, ..Signature::default() };
    };
    let told: String = base64(&signature.b).chars().take(TOLD_CHARACTERS).collect();
    Signature { result, reason, domain: signature.d.clone(), selector: signature.s.clone(), told }
}

/// Why a signature counts for nothing, whatever the library says.
fn unfit(signature: &dkim::Signature, keys: &Keys) -> Option<(Dkim, Option<String>)> {
    let told = |result, reason: &str| Some((result, Some(reason.to_owned())));
    if signature.v != 1 {
        told(Dkim::PermError, "it does not say which version it is")
    } else if !signature.h.iter().any(|field| field.eq_ignore_ascii_case("from")) {
        told(Dkim::PermError, "it does not cover From")
    } else if signature.a == Algorithm::RsaSha1 {
        told(Dkim::Policy, "it uses SHA-1")
    } else {
        keys.unfit(&name(signature)).and_then(|reason| told(Dkim::Policy, reason))
    }
}

/// What the library says, in the words of RFC 8601 §2.7.1.
pub(super) fn result(result: &DkimResult) -> (Dkim, Option<String>) {
    match result {
        DkimResult::Pass => (Dkim::Pass, None),
        DkimResult::None => (Dkim::Neutral, None),
        DkimResult::Neutral(Error::Dkim(DkimError::FailedBodyHashMatch)) => {
            (Dkim::Fail, Some("the body was changed".to_owned()))
        }
        DkimResult::Neutral(Error::Dkim(DkimError::SignatureExpired)) => {
            (Dkim::Policy, Some("it has expired".to_owned()))
        }
        DkimResult::Neutral(Error::Dkim(DkimError::SignatureLength)) => {
            (Dkim::Policy, Some("it covers a part of the body only".to_owned()))
        }
        DkimResult::Fail(Error::Crypto(CryptoError::FailedVerification)) => {
            (Dkim::Fail, Some("what it covers was changed".to_owned()))
        }
        DkimResult::Fail(Error::Dkim(DkimError::FailedAuidMatch)) => {
            (Dkim::PermError, Some("it is for another domain".to_owned()))
        }
        DkimResult::Neutral(error) => (Dkim::Neutral, Some(error.to_string())),
        DkimResult::Fail(error) => (Dkim::Fail, Some(error.to_string())),
        DkimResult::PermError(error) => (Dkim::PermError, Some(error.to_string())),
        DkimResult::TempError(error) => (Dkim::TempError, Some(error.to_string())),
    }
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(octets)
}
