//! XOAUTH2, Google's form of OAUTHBEARER: no RFC has it, many clients do.

use super::oauthbearer::{SEPARATOR, authorization};
use super::{BearerToken, SaslError};
use crate::secret::Secret;

/// How a refusal looks. K-9 gets a new token and tries again where the status is 400.
pub(super) const REFUSAL: &[u8] = br#"{"status":"400","schemes":"bearer","scope":"mail"}"#;

/// `"user=" login kvsep "auth=Bearer " token kvsep kvsep`.
pub(super) fn token(message: &[u8]) -> Result<BearerToken, SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
    let (user, pairs) = text.split_once(SEPARATOR).ok_or(SaslError::Malformed)?;
    let login = user.strip_prefix("user=").ok_or(SaslError::Malformed)?;
    if login.is_empty() || login.contains('\0') {
        return Err(SaslError::Malformed);
    }
    Ok(BearerToken { login: Some(login.to_owned()), token: authorization(pairs)? })
}

/// The message, on the client's side.
pub(super) fn message(token: &BearerToken) -> Secret<Vec<u8>> {
    let login = token.login.as_deref().unwrap_or_default();
    Secret::new(format!("user={login}\x01auth=Bearer {}\x01\x01", token.token.expose()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_is_read_and_written() {
        let text =
            "user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01";
        let read = token(text.as_bytes()).unwrap();
        assert_eq!(read.login.as_deref(), Some("someuser@example.com"));
        assert_eq!(message(&read).expose(), text.as_bytes());
    }

    #[test]
    fn what_is_no_message_of_it_is_refused() {
        for wrong in [
            "",
            "user=a",
            "user=\x01auth=Bearer a\x01\x01",
            "a\x01auth=Bearer a\x01\x01",
            "user=a\x01\x01\x01",
        ] {
            assert_eq!(token(wrong.as_bytes()), Err(SaslError::Malformed), "{wrong:?}");
        }
    }
}
