//! What a token says (RFC 7519 §4, RFC 9068 §2.2), and whether that is enough for a login.

use serde_json::Value;

use super::json::{Object, WrongType};
use super::refusal::{Refusal, shown};
use crate::address::PATH_OCTETS_MAX;

/// The claim with an address of e-mail, which has another one beside it that says whether it is verified.
const EMAIL: &str = "email";

/// What a token says, whose signature was right or which the endpoint calls active.
#[derive(Clone, PartialEq)]
pub struct Claims(Object);

impl std::fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Claims(..)")
    }
}

/// What the configuration asks of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who must have made it.
    pub issuer: Option<String>,
    /// Whom it must be for.
    pub audience: Option<String>,
    /// What it must allow, each of these words.
    pub scope: Vec<String>,
    /// The claim with the login.
    pub login_claim: String,
    /// By how much clocks may differ.
    pub leeway_seconds: u64,
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Whose it is.
    pub login: String,
    /// Until when, in seconds since 1970, where it says so.
    pub until: Option<u64>,
}

impl Claims {
    /// Those of a signed token, which must end some time (RFC 9068 §2.2).
    pub(super) fn of_signed(payload: &[u8]) -> Result<Self, Refusal> {
        let claims = Object::parse(payload).ok_or(Refusal::Malformed("its claims are no JSON object"))?;
        if claims.get("exp").is_none() {
            return Err(Refusal::Missing("exp"));
        }
        Ok(Self(claims))
    }

    /// Those that an endpoint has told of (RFC 7662 §2.2).
    pub(super) const fn of_answer(answer: Object) -> Self {
        Self(answer)
    }
}

impl Terms {
    /// Whose the token is, where it is good at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// Where it is not. That it has expired is said only where nothing else is wrong.
    pub fn judge(&self, claims: &Claims, now: u64) -> Result<Granted, Refusal> {
        let Claims(claims) = claims;
        // RFC 7800 §3.1: whoever shows it would have to prove that the key is theirs.
        if claims.get("cnf").is_some() {
            return Err(Refusal::Bound);
        }
        self.judge_issuer(claims)?;
        self.judge_audience(claims)?;
        self.judge_scope(claims)?;
        let login = self.login(claims)?;
        let until = self.judge_times(claims, now)?;
        Ok(Granted { login, until })
    }

    /// RFC 7519 §4.1.1, RFC 9068 §4: exactly the same.
    fn judge_issuer(&self, claims: &Object) -> Result<(), Refusal> {
        let issuer = claims.text("iss").map_err(|WrongType| Refusal::Claim("iss"))?;
        match (&self.issuer, issuer) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Refusal::Missing("iss")),
            (Some(expected), Some(issuer)) if expected == issuer => Ok(()),
            (Some(_), Some(issuer)) => Err(Refusal::Issuer(shown(issuer))),
        }
    }

    /// RFC 7519 §4.1.3: one of those that it is for.
    fn judge_audience(&self, claims: &Object) -> Result<(), Refusal> {
        let audience = claims.texts("aud").map_err(|WrongType| Refusal::Claim("aud"))?;
        match (&self.audience, audience) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Refusal::Missing("aud")),
            (Some(expected), Some(audience)) if audience.contains(&expected.as_str()) => Ok(()),
            (Some(_), Some(audience)) => Err(Refusal::Audience(shown(&audience.join(", ")))),
        }
    }

    /// RFC 8693 §4.2 (`scope`, words with blanks between them); Entra and Okta say `scp`, Okta with a list.
    fn judge_scope(&self, claims: &Object) -> Result<(), Refusal> {
        if self.scope.is_empty() {
            return Ok(());
        }
        let scope = claims.texts("scope").map_err(|WrongType| Refusal::Claim("scope"))?;
        let scope = match scope {
            Some(scope) => scope,
            None => claims.texts("scp").map_err(|WrongType| Refusal::Claim("scp"))?.unwrap_or_default(),
        };
        let words: Vec<&str> = scope.iter().flat_map(|text| text.split(' ')).collect();
        if self.scope.iter().all(|word| words.contains(&word.as_str())) {
            return Ok(());
        }
        Err(Refusal::Scope(shown(&words.join(" "))))
    }

    fn login(&self, claims: &Object) -> Result<String, Refusal> {
        // An address that somebody has only claimed would open that address's account to them.
        let verified = claims.get("email_verified").is_none_or(|verified| match verified {
            Value::Bool(verified) => *verified,
            Value::String(verified) => verified == "true",
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
        });
        if self.login_claim == EMAIL && !verified {
            return Err(Refusal::EmailUnverified);
        }
        let login = claims.text(&self.login_claim).ok().flatten().ok_or(Refusal::Login)?;
        if login.is_empty() || login.len() > PATH_OCTETS_MAX || login.chars().any(char::is_control) {
            return Err(Refusal::Login);
        }
        Ok(login.to_owned())
    }

    /// RFC 7519 §4.1.4 to §4.1.6: from `nbf` and `iat` on, and before `exp`.
    fn judge_times(&self, claims: &Object, now: u64) -> Result<Option<u64>, Refusal> {
        let date = |name| claims.date(name).map_err(|WrongType| Refusal::Claim(name));
        let (expires, not_before, issued) = (date("exp")?, date("nbf")?, date("iat")?);
        let latest = now.saturating_add(self.leeway_seconds);
        if [not_before, issued].into_iter().flatten().any(|at| at > latest) {
            return Err(Refusal::NotYet);
        }
        if expires.is_some_and(|at| at.saturating_add(self.leeway_seconds) <= now) {
            return Err(Refusal::Expired);
        }
        Ok(expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn terms() -> Terms {
        Terms {
            issuer: Some("https://issuer.test".to_owned()),
            audience: Some("mail".to_owned()),
            scope: Vec::new(),
            login_claim: EMAIL.to_owned(),
            leeway_seconds: 30,
        }
    }

    /// Good claims with `more` instead of those of the same names; `null` takes one away.
    fn claims(more: &str) -> String {
        let good = format!(
            r#"{{"iss":"https://issuer.test","aud":"mail","email":"alice@example.test","exp":{}}}"#,
            NOW + 300
        );
        let mut members: serde_json::Map<String, Value> = serde_json::from_str(&good).unwrap();
        let more: serde_json::Map<String, Value> = serde_json::from_str(more).unwrap();
        for (name, value) in more {
            if value.is_null() {
                members.remove(&name);
            } else {
                members.insert(name, value);
            }
        }
        Value::Object(members).to_string()
    }

    fn judge(terms: &Terms, more: &str) -> Result<Granted, Refusal> {
        Claims::of_signed(claims(more).as_bytes()).and_then(|claims| terms.judge(&claims, NOW))
    }

    fn refusal(more: &str) -> Refusal {
        judge(&terms(), more).unwrap_err()
    }

    #[test]
    fn good_claims_name_the_login() {
        let granted = Granted { login: "alice@example.test".to_owned(), until: Some(NOW + 300) };
        assert_eq!(judge(&terms(), "{}"), Ok(granted.clone()));
        assert_eq!(judge(&terms(), r#"{"aud":["other","mail"]}"#), Ok(granted));
    }

    #[test]
    fn the_issuer_must_be_exactly_the_same() {
        for other in ["https://issuer.test/", "https://ISSUER.test", "http://issuer.test", ""] {
            assert_eq!(refusal(&format!(r#"{{"iss":"{other}"}}"#)), Refusal::Issuer(other.to_owned()));
        }
        assert_eq!(refusal(r#"{"iss":null}"#), Refusal::Missing("iss"));
        assert_eq!(refusal(r#"{"iss":["https://issuer.test"]}"#), Refusal::Claim("iss"));
    }

    #[test]
    fn a_token_for_others_is_refused() {
        assert_eq!(refusal(r#"{"aud":"Mail"}"#), Refusal::Audience("Mail".to_owned()));
        assert_eq!(refusal(r#"{"aud":["a","mail2"]}"#), Refusal::Audience("a, mail2".to_owned()));
        assert_eq!(refusal(r#"{"aud":[]}"#), Refusal::Audience(String::new()));
        assert_eq!(refusal(r#"{"aud":null}"#), Refusal::Missing("aud"));
        assert_eq!(refusal(r#"{"aud":{"mail":1}}"#), Refusal::Claim("aud"));
    }

    #[test]
    fn times_hold_to_the_second_and_the_leeway() {
        for (name, good, bad, expected) in [
            ("exp", NOW - 29, NOW - 30, Refusal::Expired),
            ("nbf", NOW + 30, NOW + 31, Refusal::NotYet),
            ("iat", NOW + 30, NOW + 31, Refusal::NotYet),
        ] {
            assert!(judge(&terms(), &format!("{{\"{name}\":{good}}}")).is_ok(), "{name}");
            assert_eq!(refusal(&format!("{{\"{name}\":{bad}}}")), expected);
            assert_eq!(refusal(&format!("{{\"{name}\":\"{good}\"}}")), Refusal::Claim(name));
        }
        assert_eq!(refusal(r#"{"exp":null}"#), Refusal::Missing("exp"));
        assert_eq!(refusal(r#"{"exp":0}"#), Refusal::Expired);
        assert!(judge(&terms(), &format!("{{\"exp\":{}}}", u64::MAX)).is_ok());
    }

    #[test]
    fn what_has_expired_is_said_to_have_only_where_all_else_is_right() {
        let expired = NOW - 1000;
        assert_eq!(refusal(&format!(r#"{{"exp":{expired},"iss":"x"}}"#)), Refusal::Issuer("x".to_owned()));
        assert_eq!(refusal(&format!(r#"{{"exp":{expired},"email":null}}"#)), Refusal::Login);
    }

    #[test]
    fn claims_that_stand_twice_or_are_no_object_are_refused() {
        for wrong in [
            r#"{"exp":1,"exp":2}"#,
            r#"{"exp":1,"email":"a","email":"b"}"#,
            "[]",
            "\"\"",
            "",
            "{",
            "\u{fffd}",
        ] {
            assert!(matches!(Claims::of_signed(wrong.as_bytes()), Err(Refusal::Malformed(_))), "{wrong}");
        }
    }

    #[test]
    fn an_address_that_nobody_has_verified_is_no_login() {
        for verified in ["false", "\"false\"", "0", "[]", "\"yes\""] {
            assert_eq!(
                refusal(&format!("{{\"email_verified\":{verified}}}")),
                Refusal::EmailUnverified,
                "{verified}"
            );
        }
        for verified in ["true", "\"true\""] {
            assert!(judge(&terms(), &format!("{{\"email_verified\":{verified}}}")).is_ok(), "{verified}");
        }
        let by_name = Terms { login_claim: "username".to_owned(), ..terms() };
        let granted = judge(&by_name, r#"{"email_verified":false,"username":"alice"}"#);
        assert_eq!(granted.unwrap().login, "alice");
    }

    #[test]
    fn the_login_must_be_a_text_that_could_be_one() {
        for email in ["null", "1", "[\"alice@example.test\"]", "\"\"", "\"a\\u0000b\"", "\"a\\r\\nb\""] {
            assert_eq!(refusal(&format!("{{\"email\":{email}}}")), Refusal::Login, "{email}");
        }
        let long = |octets| format!("{{\"email\":\"{}\"}}", "a".repeat(octets));
        assert!(judge(&terms(), &long(PATH_OCTETS_MAX)).is_ok());
        assert_eq!(refusal(&long(PATH_OCTETS_MAX + 1)), Refusal::Login);
    }

    #[test]
    fn each_word_of_the_scope_must_be_there() {
        let terms = Terms { scope: vec!["smtp".to_owned(), "pop".to_owned()], ..terms() };
        for good in [r#"{"scope":"email pop smtp"}"#, r#"{"scp":["pop","smtp"]}"#, r#"{"scp":"pop smtp"}"#] {
            assert!(judge(&terms, good).is_ok(), "{good}");
        }
        for bad in
            [r#"{"scope":"pop"}"#, r#"{"scope":"pops smtp"}"#, "{}", r#"{"scope":"pop","scp":"pop smtp"}"#]
        {
            assert!(matches!(judge(&terms, bad), Err(Refusal::Scope(_))), "{bad}");
        }
        assert_eq!(judge(&terms, r#"{"scope":1}"#), Err(Refusal::Claim("scope")));
    }

    #[test]
    fn a_token_that_is_bound_to_a_key_is_not_for_us() {
        assert_eq!(refusal(r#"{"cnf":{"jkt":"x"}}"#), Refusal::Bound);
    }

    #[test]
    fn nothing_of_a_long_or_strange_claim_harms_the_log() {
        let Refusal::Issuer(shown) = refusal(&format!("{{\"iss\":\"\\n{}\"}}", "x".repeat(5000))) else {
            panic!()
        };
        assert!(shown.starts_with("\\nxxx") && shown.len() < 200, "{shown}");
    }
}
