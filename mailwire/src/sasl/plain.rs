//! PLAIN (RFC 4616).

use super::{Credentials, SaslError};
use crate::secret::Secret;

/// `message = [authzid] UTF8NUL authcid UTF8NUL passwd`, RFC 4616 §2, on the server's side.
///
/// An authorization identity equal to the login is none (Perl's and nmh's clients send it); every other one is
/// refused.
pub(super) fn credentials(message: &[u8]) -> Result<Credentials, SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
    let mut parts = text.split('\0');
    let (Some(identity), Some(login), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SaslError::Malformed);
    };
    if login.is_empty() {
        return Err(SaslError::Malformed);
    }
    if !identity.is_empty() && identity != login {
        return Err(SaslError::AuthorizationIdentity);
    }
    Ok(Credentials { login: login.to_owned(), password: Secret::new(password.to_owned()) })
}

/// The message, on the client's side, without an authorization identity.
pub(super) fn message(credentials: &Credentials) -> Secret<Vec<u8>> {
    Secret::new(format!("\0{}\0{}", credentials.login, credentials.password.expose()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(message: &str) -> Result<(String, String), SaslError> {
        credentials(message.as_bytes()).map(|c| (c.login, c.password.expose().clone()))
    }

    #[test]
    fn login_and_password_stand_between_exactly_two_nuls() {
        assert_eq!(parts("\0alice\0p w"), Ok(("alice".to_owned(), "p w".to_owned())));
        assert_eq!(parts("\0alice\0"), Ok(("alice".to_owned(), String::new())));
        for wrong in ["", "alice", "\0alice", "\0alice\0pw\0", "\0\0pw", "alice\0\0pw"] {
            assert_eq!(parts(wrong), Err(SaslError::Malformed), "{wrong:?}");
        }
        assert_eq!(credentials(b"\0a\0\xff").unwrap_err(), SaslError::Malformed);
    }

    #[test]
    fn nobody_logs_in_for_somebody_else() {
        assert!(parts("alice\0alice\0pw").is_ok());
        assert_eq!(parts("bob\0alice\0pw"), Err(SaslError::AuthorizationIdentity));
        assert_eq!(parts("ALICE\0alice\0pw"), Err(SaslError::AuthorizationIdentity));
    }
}
