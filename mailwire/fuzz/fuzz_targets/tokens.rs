//! Any text is a signed token or none, any octets are keys or an answer about a token or none: and what nobody has signed is nobody's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::address::PATH_OCTETS_MAX;
use mailwire::oauth::{Granted, KeySet, SignedToken, Terms, claims_of_answer};

const NOW: u64 = 1_800_000_000;
/// The public key of RFC 8037 appendix A.4, and one more that suits another algorithm.
const KEYS: &[u8] =
    br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","crv":"P-256","kid":"1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

fn terms(issuer: Option<&str>, scope: &[&str], login_claim: &str) -> Terms {
    Terms {
        issuer: issuer.map(str::to_owned),
        audience: None,
        scope: scope.iter().map(|word| (*word).to_owned()).collect(),
        login_claim: login_claim.to_owned(),
        leeway_seconds: 0,
    }
}

fuzz_target!(|octets: &[u8]| {
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(token) = SignedToken::parse(text)
        && let Ok(keys) = KeySet::parse(KEYS)
    {
        // Whose private key nobody has told the fuzzer.
        assert!(keys.verify(&token).is_err());
    }
    let _ = KeySet::parse(octets);
    if let Ok(Some(claims)) = claims_of_answer(octets) {
        for terms in [terms(None, &[], "email"), terms(Some("a"), &["b"], "username")] {
            if let Ok(Granted { login, until }) = terms.judge(&claims, NOW) {
                assert!(!login.is_empty() && login.len() <= PATH_OCTETS_MAX);
                assert!(!login.contains(['\r', '\n', '\0']), "{login:?}");
                assert!(until.is_none_or(|until| until > NOW), "{until:?}");
            }
        }
    }
});
