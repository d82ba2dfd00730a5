//! EXTERNAL (RFC 4422 appendix A): the client's certificate says who is there.

use super::login::text;
use super::{Proven, SaslError};

/// Who logs in: the first login of the certificate, or the one of them that the message asks for, or a subaddress of one.
///
/// `extern-resp = *( UTF8-char-no-nul )`, RFC 4422 §A.2.
pub(super) fn proven(message: &[u8], certificate_logins: &[String]) -> Result<Proven, SaslError> {
    let asked = text(message)?;
    let mut logins = certificate_logins.iter();
    if asked.is_empty() {
        return logins.next().cloned().map(Proven::itself).ok_or(SaslError::Certificate);
    }
    let itself = logins.find(|login| login.eq_ignore_ascii_case(&asked)).cloned().map(Proven::itself);
    let of_another = || certificate_logins.iter().find_map(|login| Proven::new(login.clone(), Some(&asked)));
    itself.or_else(of_another).ok_or(SaslError::AuthorizationIdentity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(message: &[u8], logins: &[String]) -> Result<(String, String), SaslError> {
        proven(message, logins).map(|Proven { identity, login }| (identity, login))
    }

    #[test]
    fn the_certificate_decides_who_is_there() {
        let logins = ["a@x.test".to_owned(), "b@x.test".to_owned(), "b+own@x.test".to_owned()];
        let as_itself = |name: &str| Ok((format!("{name}@x.test"), format!("{name}@x.test")));
        assert_eq!(login(b"", &logins), as_itself("a"));
        assert_eq!(login(b"B@x.test", &logins), as_itself("b"));
        assert_eq!(login(b"b", &logins), as_itself("b"));
        assert_eq!(login(b"b+own@x.test", &logins), as_itself("b+own"));
        let junk = ("b@x.test".to_owned(), "B+junk@x.test".to_owned());
        assert_eq!(login(b"B+junk@x.test", &logins), Ok(junk));
        for other in [b"c@x.test".as_slice(), b"c+b@x.test", b"b+junk@y.test"] {
            assert_eq!(login(other, &logins), Err(SaslError::AuthorizationIdentity));
        }
        assert_eq!(login(b"", &[]), Err(SaslError::Certificate));
        assert_eq!(login(b"a@x.test\0", &logins), Err(SaslError::Malformed));
        assert_eq!(login(b"\xff", &logins), Err(SaslError::Malformed));
    }
}
