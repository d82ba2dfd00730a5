//! Asking an issuer about a token (RFC 7662): the question, and what its answer says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use thiserror::Error;

use super::claims::Claims;
use super::json::Object;
use crate::secret::Secret;

/// What came is not what RFC 7662 §2.2 shows, so nobody knows what it says of the token.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the answer is not JSON with `active` in it")]
pub struct MalformedAnswer;

/// The form that is posted (RFC 7662 §2.1).
#[must_use]
pub fn question(token: &Secret<String>) -> Secret<Vec<u8>> {
    let form = format!("token={}&token_type_hint=access_token", form_encoded(token.expose()));
    Secret::new(form.into_bytes())
}

/// The field Authorization with which we are the client (RFC 6749 §2.3.1, RFC 7617 §2).
#[must_use]
pub fn authorization(client_id: &str, client_secret: &Secret<String>) -> Secret<String> {
    let pair = format!("{}:{}", form_encoded(client_id), form_encoded(client_secret.expose()));
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

/// What an answer says of an active token; `None`: it is not active.
///
/// # Errors
/// Where it says neither.
pub fn claims_of_answer(octets: &[u8]) -> Result<Option<Claims>, MalformedAnswer> {
    let answer = Object::parse(octets).ok_or(MalformedAnswer)?;
    match answer.get("active") {
        Some(Value::Bool(true)) => Ok(Some(Claims::of_answer(answer))),
        Some(Value::Bool(false)) => Ok(None),
        None
        | Some(Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Err(MalformedAnswer)
        }
    }
}

/// As values of a form are written (`application/x-www-form-urlencoded`).
fn form_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|octet| {
        let stays = octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
        if stays { char::from(octet).to_string() } else { format!("%{octet:02X}") }
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Granted, Refusal, Terms};
    use super::*;

    #[test]
    fn the_question_is_a_form() {
        let asked = question(&Secret::new("a.b-c_d~e+f/g==".to_owned()));
        assert_eq!(asked.expose(), b"token=a.b-c_d%7Ee%2Bf%2Fg%3D%3D&token_type_hint=access_token");
    }

    #[test]
    fn the_client_is_named_as_the_standard_says() {
        let field = authorization("s6BhdRkqt3", &Secret::new("gX1fBat3bV".to_owned()));
        // RFC 6749 §2.3.1 shows this one.
        assert_eq!(field.expose(), "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW");
        let field = authorization("a:b", &Secret::new("p%:\u{e4}".to_owned()));
        let (_, base64) = field.expose().split_once(' ').unwrap();
        assert_eq!(STANDARD.decode(base64).unwrap(), b"a%3Ab:p%25%3A%C3%A4");
    }

    #[test]
    fn an_answer_is_active_or_not_and_everything_else_is_none() {
        assert_eq!(claims_of_answer(br#"{"active":false,"username":"alice"}"#), Ok(None));
        assert!(claims_of_answer(br#"{"active":true}"#).unwrap().is_some());
        for wrong in [
            &b""[..],
            b"{}",
            b"true",
            b"<html>",
            br#"{"active":"true"}"#,
            br#"{"active":1}"#,
            br#"{"active":null}"#,
            br#"{"active":true,"active":true}"#,
            br#"{"active":true,"username":"a","username":"b"}"#,
            br#"{"active":true}{"active":false}"#,
        ] {
            assert_eq!(claims_of_answer(wrong), Err(MalformedAnswer), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn the_claims_of_an_answer_are_judged_like_those_of_a_token() {
        let terms = Terms {
            issuer: None,
            audience: None,
            scope: Vec::new(),
            login_claim: "username".to_owned(),
            leeway_seconds: 0,
        };
        let judge = |answer: &str| terms.judge(&claims_of_answer(answer.as_bytes()).unwrap().unwrap(), 1000);
        let alice = |until| Ok(Granted { login: "alice".to_owned(), until });
        assert_eq!(judge(r#"{"active":true,"username":"alice"}"#), alice(None));
        assert_eq!(judge(r#"{"active":true,"username":"alice","exp":1001}"#), alice(Some(1001)));
        assert_eq!(judge(r#"{"active":true,"username":"alice","exp":1000}"#), Err(Refusal::Expired));
        assert_eq!(judge(r#"{"active":true,"username":"alice","nbf":1001}"#), Err(Refusal::NotYet));
        assert_eq!(judge(r#"{"active":true,"email":"alice"}"#), Err(Refusal::Login));
        let strict = Terms { audience: Some("mail".to_owned()), ..terms.clone() };
        let answer = claims_of_answer(br#"{"active":true,"username":"alice"}"#).unwrap().unwrap();
        assert_eq!(strict.judge(&answer, 1000), Err(Refusal::Missing("aud")));
    }
}
