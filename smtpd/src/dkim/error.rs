//! What goes wrong with keys and signatures.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Algorithm, Selector};

/// Why a key cannot be used, or a message not be signed.
#[derive(Debug, Error)]
pub enum DkimError {
    /// The folder of the keys, or something in it, cannot be read or written.
    #[error("{doing} {path} failed")]
    File {
        /// `reading`, `writing` or `removing`.
        doing: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error(
        "{path} holds no private key for DKIM: RSA with 2048 to 4096 bits or Ed25519, in PEM form without a password"
    )]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// The selector has a key already.
    #[error(
        "{domain} has a key with the selector {selector} already; choose another selector with --selector"
    )]
    Taken {
        /// Whose key.
        domain: String,
        /// Which one.
        selector: Selector,
    },
    /// There is no such key.
    #[error(
        "{domain} has no key with the selector {selector}; `mailstack dkim list` shows which ones there are"
    )]
    Missing {
        /// Whose key.
        domain: String,
        /// Which one.
        selector: Selector,
    },
    /// The key is in use.
    #[error(
        "mail of {domain} is signed with {selector}; let another key sign first with `mailstack dkim use`"
    )]
    InUse {
        /// Whose key.
        domain: String,
        /// Which one.
        selector: Selector,
    },
    /// Two keys of one kind would sign.
    #[error("of {algorithm} keys one can sign at a time; name one")]
    TwoOfAKind {
        /// Which kind.
        algorithm: Algorithm,
    },
    /// A domain that no folder can be named after.
    #[error("{0} is no domain with a name in DNS")]
    Domain(String),
    /// The key could not be made, or not sign.
    #[error("{doing} failed: {reason}")]
    Crypto {
        /// What was tried.
        doing: &'static str,
        /// What the library says.
        reason: String,
    },
    /// The message has no header field that could be signed.
    #[error("the message has no From")]
    NoFrom,
}

impl DkimError {
    /// Something about `path` failed while `doing`.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    /// The library refuses.
    pub(super) fn crypto(doing: &'static str) -> impl FnOnce(mail_auth::Error) -> Self {
        move |error| Self::Crypto { doing, reason: error.to_string() }
    }
}
