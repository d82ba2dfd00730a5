//! Access tokens as a server sees them that they are shown to: signed ones (RFC 9068), which its own look at the issuer's
//! keys settles, and any others, about which the issuer is asked (RFC 7662).
//!
//! Pure: `daemon::oauth` fetches the keys and asks.

mod claims;
mod introspection;
mod json;
mod keys;
mod refusal;
mod signed;

pub use claims::{Claims, Granted, Terms};
pub use introspection::{MalformedAnswer, authorization, claims_of_answer, question};
pub use keys::{Algorithm, KEYS_MAX, KeySet, KeySetError};
pub use refusal::Refusal;
pub use signed::{SignedToken, TOKEN_OCTETS_MAX};
