//! Signatures by every algorithm, those of the RFCs' examples among them, and everything that must not pass for one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};

use super::*;

/// The key of RFC 7515 appendix A.2.1.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
const RSA_P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
const RSA_Q: &str = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";
const RSA_DP: &str = "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0";
const RSA_DQ: &str = "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU";
const RSA_QI: &str = "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U";

fn octets(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn text(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn rsa_jwk(more: &str) -> String {
    format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB"{more}}}"#)
}

fn set(keys: &[String]) -> KeySet {
    KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes()).unwrap()
}

/// A key of an issuer, and its public part.
enum Signer {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    fn rsa(encoding: &'static dyn RsaEncoding) -> Self {
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: octets(RSA_N), e: octets("AQAB") },
            d: octets(RSA_D),
            p: octets(RSA_P),
            q: octets(RSA_Q),
            dP: octets(RSA_DP),
            dQ: octets(RSA_DQ),
            qInv: octets(RSA_QI),
        };
        Self::Rsa(Box::new(RsaKeyPair::from_components(&components).unwrap()), encoding)
    }

    fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Ecdsa(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    }

    fn ed25519() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    /// One for each algorithm.
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::rsa(&RSA_PKCS1_SHA256),
            Algorithm::Ps256 => Self::rsa(&RSA_PSS_SHA256),
            Algorithm::Es256 => Self::ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => Self::ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDsa => Self::ed25519(),
        }
    }

    /// Its public part, with `more` members.
    fn jwk(&self, more: &str) -> String {
        match self {
            Self::Rsa(..) => rsa_jwk(more),
            Self::Ecdsa(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = point[1..].split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                format!(r#"{{"kty":"EC","crv":"{curve}","x":"{}","y":"{}"{more}}}"#, text(x), text(y))
            }
            Self::Ed25519(key) => {
                format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"{more}}}"#, text(key.public_key().as_ref()))
            }
        }
    }

    fn sign(&self, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &random, input, &mut signature).unwrap();
                signature
            }
            Self::Ecdsa(key) => key.sign(&random, input).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(input).as_ref().to_vec(),
        }
    }

    fn token(&self, header: &str) -> String {
        let input = format!("{}.{}", text(header.as_bytes()), text(br#"{"exp":1}"#));
        let signature = text(&self.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

fn verify(keys: &KeySet, token: &str) -> Result<Claims, Refusal> {
    SignedToken::parse(token).and_then(|token| keys.verify(&token))
}

fn header(algorithm: Algorithm) -> String {
    format!("{{\"alg\":\"{}\"}}", algorithm.name())
}

#[test]
fn every_algorithm_is_verified_and_one_wrong_bit_is_not() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::of(algorithm);
        let keys = set(&[signer.jwk("")]);
        let token = signer.token(&header(algorithm));
        assert!(verify(&keys, &token).is_ok(), "{algorithm:?}");
        let (input, signature) = token.rsplit_once('.').unwrap();
        for at in [0, 31, octets(signature).len() - 1] {
            let mut wrong = octets(signature);
            wrong[at] ^= 1;
            let wrong = format!("{input}.{}", text(&wrong));
            assert_eq!(verify(&keys, &wrong), Err(Refusal::Signature), "{algorithm:?} {at}");
        }
        let shorter = &octets(signature)[1..];
        for wrong in [text(b""), text(shorter), text(&[0; 64]), text(&[0; 96]), text(&[0; 256])] {
            assert_eq!(verify(&keys, &format!("{input}.{wrong}")), Err(Refusal::Signature), "{algorithm:?}");
        }
        let (head, _) = input.split_once('.').unwrap();
        let other = format!("{head}.{}.{signature}", text(br#"{"exp":2}"#));
        assert_eq!(verify(&keys, &other), Err(Refusal::Signature), "{algorithm:?}");
    }
}

#[test]
fn the_examples_of_the_standards_are_verified() {
    let payload =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    // RFC 7515 appendix A.3.1: signed by others' code.
    let key = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(verify(&set(&[key.to_owned()]), &format!("eyJhbGciOiJFUzI1NiJ9.{payload}.{signature}")).is_ok());
    // Appendix A.2.1: the signature by PKCS #1 v1.5 is always the same.
    let input = format!("eyJhbGciOiJSUzI1NiJ9.{payload}");
    let signature = text(&Signer::of(Algorithm::Rs256).sign(input.as_bytes()));
    assert!(
        signature.starts_with("cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"),
        "{signature}"
    );
    assert!(verify(&set(&[rsa_jwk("")]), &format!("{input}.{signature}")).is_ok());
    // RFC 8037 appendix A.4: the content is no set of claims, and that is all that is wrong.
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(
        verify(&set(&[key.to_owned()]), token),
        Err(Refusal::Malformed("its claims are no JSON object"))
    );
}

/// RFC 8725 §2.1: the issuer's public key is known to everybody, and must never be a secret of HMAC.
#[test]
fn the_public_key_is_no_secret() {
    let keys = set(&[rsa_jwk("")]);
    for alg in ["HS256", "hs256", "RS256"] {
        let input =
            format!("{}.{}", text(format!("{{\"alg\":\"{alg}\"}}").as_bytes()), text(br#"{"exp":1}"#));
        for secret in [octets(RSA_N), RSA_N.as_bytes().to_vec(), rsa_jwk("").into_bytes()] {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input.as_bytes());
            let refusal = verify(&keys, &format!("{input}.{}", text(tag.as_ref()))).unwrap_err();
            assert_eq!(
                refusal,
                if alg == "RS256" { Refusal::Signature } else { Refusal::Algorithm },
                "{alg}"
            );
        }
    }
}

#[test]
fn an_algorithm_must_suit_the_key() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::of(algorithm);
        let keys = set(&[signer.jwk("")]);
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            let same_key =
                [algorithm, other].iter().all(|one| matches!(one, Algorithm::Rs256 | Algorithm::Ps256));
            let expected = if same_key { Refusal::Signature } else { Refusal::Key };
            assert_eq!(
                verify(&keys, &signer.token(&header(other))),
                Err(expected),
                "{algorithm:?} as {other:?}"
            );
        }
    }
    let signer = Signer::of(Algorithm::Ps256);
    let keys = set(&[signer.jwk(r#","alg":"RS256""#)]);
    assert_eq!(
        verify(&keys, &signer.token(&header(Algorithm::Ps256))),
        Err(Refusal::Key),
        "the key is for RS256 only"
    );
}

#[test]
fn a_token_that_names_its_key_is_verified_by_that_one_only() {
    let (one, two) = (Signer::of(Algorithm::Es256), Signer::of(Algorithm::Es256));
    let keys =
        set(&[one.jwk(r#","kid":"1""#), two.jwk(r#","kid":"2""#), Signer::of(Algorithm::EdDsa).jwk("")]);
    let named = |kid: &str| format!("{{\"alg\":\"ES256\",\"kid\":\"{kid}\"}}");
    assert!(verify(&keys, &two.token(&named("2"))).is_ok());
    assert_eq!(verify(&keys, &two.token(&named("1"))), Err(Refusal::Signature));
    for unknown in ["3", "", "2\\u0000"] {
        assert_eq!(verify(&keys, &two.token(&named(unknown))), Err(Refusal::Key), "{unknown}");
    }
    // Without a name each that suits is tried (RFC 7515 §4.1.4 leaves it optional).
    assert!(verify(&keys, &two.token(&header(Algorithm::Es256))).is_ok());
    assert_eq!(
        verify(&keys, &Signer::of(Algorithm::Es256).token(&header(Algorithm::Es256))),
        Err(Refusal::Signature)
    );
}

#[test]
fn keys_within_a_token_are_not_looked_at() {
    let (own, attacker) = (Signer::of(Algorithm::EdDsa), Signer::of(Algorithm::EdDsa));
    let keys = set(&[own.jwk("")]);
    let header = format!(r#"{{"alg":"EdDSA","jku":"https://attacker.test/","jwk":{}}}"#, attacker.jwk(""));
    assert_eq!(verify(&keys, &attacker.token(&header)), Err(Refusal::Signature));
}

#[test]
fn keys_that_could_not_have_signed_are_left_out() {
    let good = Signer::of(Algorithm::Es256);
    let x = text(&[7; 32]);
    for useless in [
        r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
        r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#.to_owned(),
        r#"{"kty":"RSA"}"#.to_owned(),
        "{}".to_owned(),
        r#"{"kty":1}"#.to_owned(),
        format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, text(&[7; 31])),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{}"}}"#, text(&[7; 33])),
        rsa_jwk(r#","use":"enc""#),
        rsa_jwk(r#","key_ops":["encrypt"]"#),
        rsa_jwk(r#","alg":"RSA-OAEP""#),
        rsa_jwk(r#","alg":"ES256""#),
        rsa_jwk(r#","kid":7"#),
    ] {
        let alone = KeySet::parse(format!("{{\"keys\":[{useless}]}}").as_bytes());
        assert_eq!(alone.unwrap_err(), KeySetError::Empty, "{useless}");
        assert!(verify(&set(&[useless, good.jwk("")]), &good.token(&header(Algorithm::Es256))).is_ok());
    }
    for useful in [r#","use":"sig""#, r#","key_ops":["verify"]"#, r#","alg":"RS256","x5c":["MII"]"#] {
        assert!(
            verify(&set(&[rsa_jwk(useful)]), &Signer::of(Algorithm::Rs256).token(&header(Algorithm::Rs256)))
                .is_ok()
        );
    }
}

#[test]
fn an_rsa_key_of_less_than_2048_bits_verifies_nothing() {
    // Half of a modulus is one of 1024 bits.
    let short = format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, text(&octets(RSA_N)[128..]));
    let token = Signer::of(Algorithm::Rs256).token(&header(Algorithm::Rs256));
    assert_eq!(verify(&set(&[short]), &token), Err(Refusal::Signature));
}

#[test]
fn what_is_no_set_of_keys_is_none() {
    let key = rsa_jwk("");
    for wrong in [
        String::new(),
        "{}".to_owned(),
        "[]".to_owned(),
        key.clone(),
        format!("{{\"keys\":{key}}}"),
        format!("{{\"keys\":[{key}],\"keys\":[{key}]}}"),
        format!("{{\"keys\":[{}]}}", rsa_jwk(r#","e":"AQAB""#)),
        format!("{{\"keys\":[{key}]}} more"),
    ] {
        assert_eq!(KeySet::parse(wrong.as_bytes()).unwrap_err(), KeySetError::Malformed, "{wrong}");
    }
    assert_eq!(KeySet::parse(b"{\"keys\":[]}").unwrap_err(), KeySetError::Empty);
    let many = |count| format!("{{\"keys\":[{}]}}", vec![key.clone(); count].join(","));
    assert!(KeySet::parse(many(KEYS_MAX).as_bytes()).is_ok());
    assert_eq!(KeySet::parse(many(KEYS_MAX + 1).as_bytes()).unwrap_err(), KeySetError::TooMany);
}
