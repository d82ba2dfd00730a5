//! A signed token: a JWS in its compact form (RFC 7515 §7.1), read, and not believed yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{Object, WrongType};
use super::keys::Algorithm;
use super::refusal::Refusal;

/// Most octets of a token: what the longest line of a login has room for (RFC 4954 §4), which is base64.
pub const TOKEN_OCTETS_MAX: usize = 9216;
/// What `typ` may be, with `application/` before it or not (RFC 7515 §4.1.9). RFC 9068 §4 asks for `at+jwt`; Keycloak and
/// Entra write `JWT`, and some nothing. What other kinds of token are marked with is refused (RFC 8725 §3.11).
const KINDS: [&str; 2] = ["at+jwt", "jwt"];

/// A token whose signature is still to be verified, by [`KeySet::verify`](super::KeySet::verify).
///
/// Keys and addresses of keys in the header (`jwk`, `jku`, `x5c`, `x5u`) are not looked at: whoever made the token made
/// them as well (RFC 8725 §3.10).
#[derive(Debug)]
pub struct SignedToken<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) signing_input: &'a [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'a> SignedToken<'a> {
    /// `header.payload.signature`, each in base64url without padding (RFC 7515 §2, §3.1).
    ///
    /// # Errors
    /// Where it is none, or not one that a public key verifies.
    pub fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > TOKEN_OCTETS_MAX {
            return Err(Refusal::TooLong);
        }
        let parts = || -> Option<_> {
            let (signing_input, signature) = token.rsplit_once('.')?;
            let (header, payload) = signing_input.split_once('.')?;
            (!payload.contains('.')).then_some((signing_input, header, payload, signature))
        };
        let (signing_input, header, payload, signature) =
            parts().ok_or(Refusal::Malformed("it is not three parts with dots between them (a JWT)"))?;
        let header = decoded(header).as_deref().and_then(Object::parse);
        let header = header.ok_or(Refusal::Malformed("its header is no JSON in base64url"))?;
        let Header { algorithm, key_id } = Header::read(&header)?;
        Ok(Self {
            algorithm,
            key_id,
            signing_input: signing_input.as_bytes(),
            payload: decoded(payload).ok_or(Refusal::Malformed("its claims are not base64url"))?,
            signature: decoded(signature).ok_or(Refusal::Malformed("its signature is not base64url"))?,
        })
    }
}

/// What counts of a header.
struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl Header {
    fn read(header: &Object) -> Result<Self, Refusal> {
        if header.get("crit").is_some() {
            return Err(Refusal::Critical);
        }
        let wrong = |WrongType| Refusal::Malformed("a parameter of its header has a wrong type");
        let algorithm =
            header.text("alg").map_err(wrong)?.and_then(Algorithm::named).ok_or(Refusal::Algorithm)?;
        let key_id = header.text("kid").map_err(wrong)?.map(str::to_owned);
        if let Some(kind) = header.text("typ").map_err(wrong)? {
            let kind = kind.to_ascii_lowercase();
            let kind = kind.strip_prefix("application/").unwrap_or(&kind);
            if !KINDS.contains(&kind) {
                return Err(Refusal::Kind);
            }
        }
        Ok(Self { algorithm, key_id })
    }
}

/// Base64url without padding and without bits that mean nothing (RFC 7515 §2).
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode("{}"), encode("signature"))
    }

    fn refusal(token: &str) -> Refusal {
        SignedToken::parse(token).unwrap_err()
    }

    #[test]
    fn the_parts_of_a_token_are_found() {
        let text = token("{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"at+jwt\"}");
        let read = SignedToken::parse(&text).unwrap();
        assert_eq!((read.algorithm, read.key_id.as_deref()), (Algorithm::Es256, Some("k")));
        assert_eq!((read.payload.as_slice(), read.signature.as_slice()), (&b"{}"[..], &b"signature"[..]));
        assert_eq!(read.signing_input, text.rsplit_once('.').unwrap().0.as_bytes());
    }

    #[test]
    fn no_algorithm_is_taken_but_those_that_public_keys_verify() {
        for alg in
            ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS1", "ES256K", "es256", "dir"]
        {
            assert_eq!(refusal(&token(&format!("{{\"alg\":\"{alg}\"}}"))), Refusal::Algorithm, "{alg}");
        }
        assert_eq!(refusal(&token("{}")), Refusal::Algorithm);
        assert!(matches!(refusal(&token("{\"alg\":[\"ES256\"]}")), Refusal::Malformed(_)));
        assert!(matches!(refusal(&token("{\"alg\":\"ES256\",\"alg\":\"ES256\"}")), Refusal::Malformed(_)));
        assert!(matches!(refusal(&token("{\"alg\":\"none\",\"alg\":\"ES256\"}")), Refusal::Malformed(_)));
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_refused() {
        for crit in ["[\"b64\"]", "[\"exp\"]", "[]", "null"] {
            let header = format!("{{\"alg\":\"ES256\",\"b64\":false,\"crit\":{crit}}}");
            assert_eq!(refusal(&token(&header)), Refusal::Critical, "{crit}");
        }
    }

    #[test]
    fn tokens_of_other_kinds_are_refused() {
        for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", "application/dpop+jwt", "JWE", ""] {
            assert_eq!(
                refusal(&token(&format!("{{\"alg\":\"ES256\",\"typ\":\"{kind}\"}}"))),
                Refusal::Kind,
                "{kind}"
            );
        }
        for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt", "Application/AT+JWT"] {
            assert!(
                SignedToken::parse(&token(&format!("{{\"alg\":\"ES256\",\"typ\":\"{kind}\"}}"))).is_ok(),
                "{kind}"
            );
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = token("{\"alg\":\"ES256\"}");
        for wrong in [
            String::new(),
            "..".to_owned(),
            "opaque".to_owned(),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}="),
            format!("{good}.a.b"),
            format!("{good} "),
            good.replace('.', ".="),
            good.replacen('e', "+", 1),
            // The last sign has bits that mean nothing, and they are not 0.
            format!("{}.e31.c2lnbmF0dXJlR", good.split('.').next().unwrap()),
        ] {
            assert!(matches!(refusal(&wrong), Refusal::Malformed(_)), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_that_is_too_long_is_not_looked_at() {
        let fits = "a".repeat(TOKEN_OCTETS_MAX);
        assert!(matches!(refusal(&fits), Refusal::Malformed(_)));
        assert_eq!(refusal(&format!("{fits}a")), Refusal::TooLong);
    }
}
