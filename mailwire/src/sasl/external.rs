//! EXTERNAL (RFC 4422 appendix A): the client's certificate says who is there.

use super::SaslError;
use super::login::text;

/// Who logs in: the first login of the certificate, or the one of them that the message asks for.
///
/// `extern-resp = *( UTF8-char-no-nul )`, RFC 4422 §A.2.
pub(super) fn login(message: &[u8], certificate_logins: &[String]) -> Result<String, SaslError> {
    let asked = text(message)?;
    let mut logins = certificate_logins.iter();
    let login = if asked.is_empty() {
        logins.next().ok_or(SaslError::Certificate)
    } else {
        logins.find(|login| login.eq_ignore_ascii_case(&asked)).ok_or(SaslError::AuthorizationIdentity)
    };
    login.cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_decides_who_is_there() {
        let logins = ["a@x.test".to_owned(), "b@x.test".to_owned()];
        assert_eq!(login(b"", &logins).as_deref(), Ok("a@x.test"));
        assert_eq!(login(b"B@x.test", &logins).as_deref(), Ok("b@x.test"));
        assert_eq!(login(b"c@x.test", &logins), Err(SaslError::AuthorizationIdentity));
        assert_eq!(login(b"", &[]), Err(SaslError::Certificate));
        assert_eq!(login(b"a@x.test\0", &logins), Err(SaslError::Malformed));
        assert_eq!(login(b"\xff", &logins), Err(SaslError::Malformed));
    }
}
