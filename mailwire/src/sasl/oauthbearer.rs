//! OAUTHBEARER (RFC 7628), and the token's part of XOAUTH2.

use nom::Parser;

use super::gs2::{BindingFlag, gs2_header};
use super::{BearerToken, SaslError};
use crate::secret::Secret;

/// `kvsep = %x01`, RFC 7628 §3.1.
pub(super) const SEPARATOR: char = '\x01';
/// RFC 7628 §3.2.2, with the error of RFC 6750 §3.1: the client gets a new token, or asks its user.
pub(super) const REFUSAL: &[u8] = br#"{"status":"invalid_token"}"#;

/// `client-resp = (gs2-header kvsep *kvpair kvsep)`, RFC 7628 §3.1.
pub(super) fn token(message: &[u8]) -> Result<BearerToken, SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
    let (rest, header) = gs2_header.parse(text).map_err(|_| SaslError::Malformed)?;
    match header.flag {
        BindingFlag::Unsupported | BindingFlag::NotOffered => {}
        // RFC 7628 §3.1: the mechanism has no channel binding.
        BindingFlag::Used(_) => return Err(SaslError::ChannelBinding),
    }
    let pairs = rest.strip_prefix(SEPARATOR).ok_or(SaslError::Malformed)?;
    Ok(BearerToken { login: header.authorization_identity, token: authorization(pairs)? })
}

/// The token in `*kvpair kvsep`; other keys (`host`, `port`) tell us nothing.
pub(super) fn authorization(pairs: &str) -> Result<Secret<String>, SaslError> {
    // Each pair ends with the separator, and one more ends the message.
    let pairs = pairs.strip_suffix(SEPARATOR).and_then(|rest| rest.strip_suffix(SEPARATOR));
    let mut found = None;
    for pair in pairs.ok_or(SaslError::Malformed)?.split(SEPARATOR) {
        let (key, value) = pair.split_once('=').ok_or(SaslError::Malformed)?;
        if key == "auth" && found.replace(value).is_some() {
            return Err(SaslError::Malformed);
        }
    }
    bearer(found.ok_or(SaslError::Malformed)?)
}

/// `credentials = "Bearer" 1*SP b64token`, RFC 6750 §2.1; the scheme in any case (RFC 9110 §11.1). No token at all asks
/// how one is to be had (RFC 7628 §4.3), and is refused as a wrong one.
fn bearer(value: &str) -> Result<Secret<String>, SaslError> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.is_empty() && !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(SaslError::Malformed);
    }
    let token = token.trim_start_matches(' ');
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    if !token.bytes().all(allowed) {
        return Err(SaslError::Malformed);
    }
    Ok(Secret::new(token.to_owned()))
}

/// The message, on the client's side.
pub(super) fn message(token: &BearerToken) -> Secret<Vec<u8>> {
    let identity = token.login.as_deref().map(|login| format!("a={}", super::gs2::escaped(login)));
    let identity = identity.unwrap_or_default();
    Secret::new(format!("n,{identity},\x01auth=Bearer {}\x01\x01", token.token.expose()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Result<(Option<String>, String), SaslError> {
        token(message.as_bytes()).map(|token| (token.login, token.token.expose().clone()))
    }

    #[test]
    fn the_example_of_rfc_7628_is_read() {
        let message = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
                       auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let expected =
            (Some("user@example.com".to_owned()), "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==".to_owned());
        assert_eq!(read(message), Ok(expected));
        assert_eq!(read("n,,\x01auth=bearer  a.b\x01\x01"), Ok((None, "a.b".to_owned())));
        assert_eq!(read("y,,\x01auth=\x01\x01"), Ok((None, String::new())));
    }

    #[test]
    fn what_is_no_message_of_it_is_refused() {
        for wrong in [
            "",
            "n,,",
            "n,,\x01\x01",
            "n,,\x01auth=Bearer a",
            "n,,\x01auth=Bearer a\x01",
            "n,,\x01auth=Basic a\x01\x01",
            "n,,\x01auth=Bearer a b\x01\x01",
            "n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
            "n,,\x01auth\x01\x01",
            "n,,\x01host=x\x01\x01",
            "n,,auth=Bearer a\x01\x01",
        ] {
            assert_eq!(read(wrong), Err(SaslError::Malformed), "{wrong:?}");
        }
        assert_eq!(read("p=tls-exporter,,\x01auth=Bearer a\x01\x01"), Err(SaslError::ChannelBinding));
    }

    #[test]
    fn client_and_server_understand_each_other() {
        for login in [None, Some("a,b=c@x.test".to_owned())] {
            let shown = BearerToken { login, token: Secret::new("abc.def-~+/==".to_owned()) };
            assert_eq!(token(message(&shown).expose()), Ok(shown));
        }
    }
}
