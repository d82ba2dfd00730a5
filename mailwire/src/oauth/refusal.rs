//! Why a token is not accepted, in words for the log.

use thiserror::Error;

use super::signed::TOKEN_OCTETS_MAX;
use crate::escape::escaped;

/// Most octets of a claim that the log shows.
const CLAIM_SHOWN_OCTETS_MAX: usize = 128;

/// Why a token is not accepted. It shows nothing of a token whose signature was not right, and no secret of any.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is none: the client wants to hear how one is to be had (RFC 7628 §4.3).
    #[error("there is no token")]
    Absent,
    /// Longer than any that a login has room for.
    #[error("the token is longer than {TOKEN_OCTETS_MAX} octets")]
    TooLong,
    /// Not the compact form of a JWS (RFC 7515 §7.1), or not JSON where that must be.
    #[error("the token cannot be read: {0}")]
    Malformed(&'static str),
    /// `alg` is nothing that a public key verifies, or nothing known (RFC 8725 §3.1).
    #[error("the token is not signed by RS256, PS256, ES256, ES384 or EdDSA")]
    Algorithm,
    /// `crit` names what must be understood, and nothing of it is (RFC 7515 §4.1.11).
    #[error("the token has extensions that must be understood (`crit`)")]
    Critical,
    /// `typ` says that it is something else (RFC 8725 §3.11).
    #[error("the token is of another kind than an access token (`typ`)")]
    Kind,
    /// None of the issuer's keys has its `kid` and suits its `alg`.
    #[error("the issuer has no key for the token's `kid` and `alg`")]
    Key,
    /// The signature is not one by the key.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim that must be there is not.
    #[error("the token has no `{0}`")]
    Missing(&'static str),
    /// A claim is not of the type that RFC 7519 §4.1 gives it.
    #[error("the token's `{0}` is not what it must be")]
    Claim(&'static str),
    /// Another issuer than that of the configuration.
    #[error("the token's issuer is another one: {0}")]
    Issuer(String),
    /// Made for somebody else.
    #[error("the token is for others than `audience`: {0}")]
    Audience(String),
    /// Not made for mail.
    #[error("the token has not the `scope` that is asked for: {0}")]
    Scope(String),
    /// Nobody knows whether the address is that of the token's owner.
    #[error("the token's e-mail address is not verified")]
    EmailUnverified,
    /// Only good together with a key (RFC 7800 §3.1), which no mail program can show.
    #[error("the token is bound to a key (`cnf`)")]
    Bound,
    /// The claim that names the login is not there.
    #[error("the token has no claim of the name in `login_claim` that could be a login")]
    Login,
    /// Made for later, or by a clock that is ahead.
    #[error("the token is not valid yet")]
    NotYet,
    /// It was good once: everything else about it is right.
    #[error("the token has expired")]
    Expired,
    /// The endpoint says so (RFC 7662 §2.2): expired, revoked or never given.
    #[error("the endpoint says that the token is not active")]
    Inactive,
}

/// A claim as the log shows it: escaped, and cut.
pub(super) fn shown(claim: &str) -> String {
    let octets = claim.as_bytes();
    escaped(octets.get(..CLAIM_SHOWN_OCTETS_MAX).unwrap_or(octets))
}
