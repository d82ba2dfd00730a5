//! LOGIN (draft-murchison-sasl-login-00).

use super::SaslError;

/// What asks for the login name, to the letter: Thunderbird compares it.
pub(super) const USERNAME: &[u8] = b"Username:";
/// What asks for the password, to the letter: Thunderbird compares it.
pub(super) const PASSWORD: &[u8] = b"Password:";

/// A login name, as the first response or as the initial one (Outlook for Mac sends it so).
pub(super) fn login(response: &[u8]) -> Result<String, SaslError> {
    let login = text(response)?;
    if login.is_empty() { Err(SaslError::Malformed) } else { Ok(login) }
}

/// UTF-8 without NUL, which PLAIN could not carry either.
pub(super) fn text(response: &[u8]) -> Result<String, SaslError> {
    let text = std::str::from_utf8(response).map_err(|_| SaslError::Malformed)?;
    if text.contains('\0') { Err(SaslError::Malformed) } else { Ok(text.to_owned()) }
}
