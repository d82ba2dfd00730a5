//! The table `[oauth]` of the configuration: who checks tokens, what they must say, and every limit with its default.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::daemon::config::positive;
use crate::net::{HttpsUrl, QuestionLimits, Roots};
use crate::oauth::Terms;

/// What the table `[oauth]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct OAuth {
    /// Who knows whether a token is good; `None`: nobody, and none is taken.
    pub source: Option<Source>,
    /// What a token must say.
    pub terms: Terms,
    /// Who must have signed the certificate of whom is asked.
    pub roots: Roots,
    /// What may be spent on it.
    pub limits: Limits,
}

/// Who knows whether a token is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An endpoint is asked about each (RFC 7662).
    Introspection {
        /// Where.
        url: HttpsUrl,
        /// Who we are there.
        client_id: String,
        /// Where our secret is.
        client_secret_file: PathBuf,
    },
    /// The issuer's keys, by which they are signed (RFC 7517).
    Keys {
        /// Where they are.
        url: HttpsUrl,
    },
}

/// What may be spent on tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One question to whom is asked.
    pub question: QuestionLimits,
    /// Tokens that are checked at one time.
    pub checks_max: usize,
    /// How long a good token need not be asked about again, at most.
    pub remember: Duration,
    /// Most tokens of which that is remembered.
    pub remember_max: usize,
    /// How long keys are taken to be the issuer's.
    pub keys: Duration,
    /// From one fetching of the keys to the next, at least.
    pub keys_pause: Duration,
}

impl Default for OAuth {
    fn default() -> Self {
        let Unchecked { login_claim, leeway_seconds, .. } = Unchecked::default();
        let terms = Terms { issuer: None, audience: None, scope: Vec::new(), login_claim, leeway_seconds };
        Self { source: None, terms, roots: Roots::System, limits: Unchecked::default().limits() }
    }
}

/// [`OAuth`] as it is written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Unchecked {
    introspection_url: String,
    client_id: String,
    client_secret_file: String,
    jwks_url: String,
    issuer: String,
    audience: String,
    scope: String,
    login_claim: String,
    ca_file: PathBuf,
    leeway_seconds: u64,
    #[serde(deserialize_with = "positive")]
    answer_seconds: u64,
    #[serde(deserialize_with = "positive")]
    answer_octets_max: u64,
    #[serde(deserialize_with = "positive")]
    checks_max: usize,
    remember_seconds: u64,
    remember_max: usize,
    #[serde(deserialize_with = "positive")]
    keys_seconds: u64,
    #[serde(deserialize_with = "positive")]
    keys_pause_seconds: u64,
}

impl Default for Unchecked {
    fn default() -> Self {
        Self {
            introspection_url: String::new(),
            client_id: String::new(),
            client_secret_file: String::new(),
            jwks_url: String::new(),
            issuer: String::new(),
            audience: String::new(),
            scope: String::new(),
            login_claim: "email".to_owned(),
            ca_file: PathBuf::new(),
            leeway_seconds: 30,
            answer_seconds: 5,
            answer_octets_max: 256 << 10,
            checks_max: 16,
            remember_seconds: 60,
            remember_max: 10_000,
            keys_seconds: 3600,
            keys_pause_seconds: 10,
        }
    }
}

impl Unchecked {
    const fn limits(&self) -> Limits {
        Limits {
            question: QuestionLimits {
                deadline: Duration::from_secs(self.answer_seconds),
                answer_octets_max: self.answer_octets_max,
            },
            checks_max: self.checks_max,
            remember: Duration::from_secs(self.remember_seconds),
            remember_max: self.remember_max,
            keys: Duration::from_secs(self.keys_seconds),
            keys_pause: Duration::from_secs(self.keys_pause_seconds),
        }
    }

    fn source(&self) -> Result<Option<Source>, String> {
        let us = [("client_id", &self.client_id), ("client_secret_file", &self.client_secret_file)];
        let claims = [("issuer", &self.issuer), ("audience", &self.audience)];
        match (self.introspection_url.as_str(), self.jwks_url.as_str()) {
            ("", "") => {
                // Whoever has written one of these keys wants tokens to be checked.
                let keys = [&us[..], &claims, &[("scope", &self.scope)]].concat();
                none(
                    written(&keys),
                    "needs `introspection_url` or `jwks_url`, which says who checks tokens",
                )?;
                Ok(None)
            }
            (endpoint, "") => {
                let unknown =
                    "is needed for `introspection_url`: the endpoint answers only those whom it knows";
                none(empty(&us), unknown)?;
                Ok(Some(Source::Introspection {
                    url: url("introspection_url", endpoint)?,
                    client_id: self.client_id.clone(),
                    client_secret_file: PathBuf::from(&self.client_secret_file),
                }))
            }
            ("", keys) => {
                none(written(&us), "is for `introspection_url`; with `jwks_url` nobody is asked")?;
                // RFC 9068 §4: any token of the issuer's would do, whomever it was made for.
                none(
                    empty(&claims),
                    "is needed for `jwks_url`: without it tokens for others would be taken",
                )?;
                Ok(Some(Source::Keys { url: url("jwks_url", keys)? }))
            }
            (_, _) => {
                let both = "`introspection_url` and `jwks_url` are two ways for the same: name one of them";
                Err(both.to_owned())
            }
        }
    }
}

/// A key of the table, and what is written behind it.
type Written<'a> = (&'static str, &'a String);

/// The first key that is written.
fn written(keys: &[Written<'_>]) -> Option<&'static str> {
    keys.iter().find(|(_, value)| !value.is_empty()).map(|(key, _)| *key)
}

/// The first key that is not.
fn empty(keys: &[Written<'_>]) -> Option<&'static str> {
    keys.iter().find(|(_, value)| value.is_empty()).map(|(key, _)| *key)
}

/// There must be no such key.
fn none(key: Option<&'static str>, problem: &str) -> Result<(), String> {
    key.map_or(Ok(()), |key| Err(format!("`{key}` {problem}")))
}

impl TryFrom<Unchecked> for OAuth {
    type Error = String;

    fn try_from(unchecked: Unchecked) -> Result<Self, String> {
        let source = unchecked.source()?;
        let limits = unchecked.limits();
        if unchecked.login_claim.is_empty() {
            return Err("`login_claim` is empty; name the claim with the login, such as \"email\"".to_owned());
        }
        let named = |text: String| Some(text).filter(|text| !text.is_empty());
        let terms = Terms {
            issuer: named(unchecked.issuer),
            audience: named(unchecked.audience),
            scope: unchecked.scope.split_ascii_whitespace().map(str::to_owned).collect(),
            login_claim: unchecked.login_claim,
            leeway_seconds: unchecked.leeway_seconds,
        };
        let system = unchecked.ca_file.as_os_str().is_empty();
        let roots = if system { Roots::System } else { Roots::File(unchecked.ca_file) };
        Ok(Self { source, terms, roots, limits })
    }
}

fn url(key: &str, text: &str) -> Result<HttpsUrl, String> {
    HttpsUrl::parse(text).map_err(|error| format!("`{key}` {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "jwks_url = \"https://id.example.org/jwks\"\n";
    const ENDPOINT: &str = "introspection_url = \"https://id.example.org/introspect\"\n";

    fn read(text: &str) -> Result<OAuth, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn an_empty_table_gives_the_defaults_by_which_no_token_is_taken() {
        assert_eq!(read("").unwrap(), OAuth::default());
        assert_eq!(OAuth::default().source, None);
    }

    #[test]
    fn keys_need_an_issuer_and_an_audience() {
        let oauth = read(&format!("{KEYS}issuer = \"https://id.example.org\"\naudience = \"mail\"")).unwrap();
        let url = HttpsUrl::parse("https://id.example.org/jwks").unwrap();
        assert_eq!(oauth.source, Some(Source::Keys { url }));
        assert_eq!(oauth.terms.audience.as_deref(), Some("mail"));
        for (text, key) in [("", "issuer"), ("issuer = \"x\"", "audience"), ("audience = \"x\"", "issuer")] {
            let error = read(&format!("{KEYS}{text}")).unwrap_err();
            assert!(error.starts_with(&format!("`{key}` is needed for `jwks_url`")), "{error}");
        }
    }

    #[test]
    fn an_endpoint_needs_to_know_us() {
        let text =
            format!("{ENDPOINT}client_id = \"mail\"\nclient_secret_file = \"/etc/secret\"\nscope = \"a  b\"");
        let oauth = read(&text).unwrap();
        assert!(matches!(oauth.source, Some(Source::Introspection { .. })));
        assert_eq!(oauth.terms.scope, ["a", "b"]);
        let error = read(&format!("{ENDPOINT}client_id = \"mail\"")).unwrap_err();
        assert!(error.starts_with("`client_secret_file` is needed for `introspection_url`"), "{error}");
        let error = read(&format!("{ENDPOINT}client_secret_file = \"/x\"")).unwrap_err();
        assert!(error.starts_with("`client_id` is needed for `introspection_url`"), "{error}");
    }

    #[test]
    fn what_contradicts_itself_or_has_no_effect_is_told() {
        let error = read(&format!("{KEYS}{ENDPOINT}")).unwrap_err();
        assert!(error.contains("name one of them"), "{error}");
        let error = read(&format!("{KEYS}issuer = \"x\"\naudience = \"x\"\nclient_id = \"x\"")).unwrap_err();
        assert!(error.starts_with("`client_id` is for `introspection_url`"), "{error}");
        for key in ["client_id", "client_secret_file", "issuer", "audience", "scope"] {
            let error = read(&format!("{key} = \"x\"")).unwrap_err();
            assert!(error.starts_with(&format!("`{key}` needs `introspection_url` or")), "{error}");
        }
        assert!(read("login_claim = \"\"").unwrap_err().contains("`login_claim` is empty"));
        assert!(read("jwks = \"x\"").unwrap_err().contains("unknown field `jwks`"));
    }

    #[test]
    fn a_url_that_is_not_safe_is_told_with_its_key() {
        let error =
            read("jwks_url = \"http://id.example.org/\"\nissuer = \"x\"\naudience = \"x\"").unwrap_err();
        assert!(error.starts_with("`jwks_url` must begin with https://"), "{error}");
    }

    #[test]
    fn limits_are_checked_at_their_edges() {
        for key in ["answer_seconds", "answer_octets_max", "checks_max", "keys_seconds", "keys_pause_seconds"]
        {
            assert!(read(&format!("{key} = 1")).is_ok(), "{key}");
            assert!(read(&format!("{key} = 0")).is_err(), "{key}");
        }
        assert!(read("remember_seconds = 0\nremember_max = 0\nleeway_seconds = 0").is_ok());
    }
}
