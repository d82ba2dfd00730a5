//! Why DNS has not said anything, for the time being.

use thiserror::Error;

/// Why there is no answer that counts. The words are for the sender of a message.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failed {
    /// It is no name that DNS could have.
    #[error("{name} cannot be the name of a domain or host")]
    NotAName {
        /// What was to be one.
        name: String,
    },
    /// Nobody could say.
    #[error("DNS did not answer about {name}: {why}")]
    NotAnswered {
        /// About which.
        name: String,
        /// What happened.
        why: String,
    },
    /// The answer's signatures are wrong or missing (RFC 4035 §4.3).
    #[error("what DNS says about {name} cannot be trusted: its signatures (DNSSEC) are wrong or missing")]
    Bogus {
        /// About which.
        name: String,
    },
}
