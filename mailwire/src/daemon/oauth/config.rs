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
    client_secret_file: PathBuf,
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
            client_secret_file: PathBuf::new(),
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
        match (self.introspection_url.is_empty(), self.jwks_url.is_empty()) {
            (true, true) => self.nobody().map(|()| None),
            (false, true) => self.introspection().map(Some),
            (true, false) => self.keys().map(Some),
            (false, false) => {
                Err("`introspection_url` and `jwks_url` are two ways for the same: name one of them"
                    .to_owned())
            }
        }
    }

    /// Whoever has written one of these keys wants tokens to be checked.
    fn nobody(&self) -> Result<(), String> {
        for (key, value) in self.texts() {
            if !value.is_empty() {
                return Err(format!(
                    "`{key}` needs `introspection_url` or `jwks_url`, which says who checks tokens"
                ));
            }
        }
        Ok(())
    }

    fn texts(&self) -> [(&'static str, &str); 5] {
        [
            ("client_id", self.client_id.as_str()),
            ("client_secret_file", self.client_secret_file.to_str().unwrap_or("?")),
            ("issuer", self.issuer.as_str()),
            ("audience", self.audience.as_str()),
            ("scope", self.scope.as_str()),
        ]
    }

    fn introspection(&self) -> Result<Source, String> {
        for (key, value) in self.texts() {
            if key.starts_with("client") && value.is_empty() {
                return Err(format!(
                    "`introspection_url` needs `{key}`: the endpoint answers only those whom it knows"
                ));
            }
        }
        Ok(Source::Introspection {
            url: url("introspection_url", &self.introspection_url)?,
            client_id: self.client_id.clone(),
            client_secret_file: self.client_secret_file.clone(),
        })
    }

    fn keys(&self) -> Result<Source, String> {
        for (key, value) in self.texts() {
            if key.starts_with("client") && !value.is_empty() {
                return Err(format!("`{key}` is for `introspection_url`; with `jwks_url` nobody is asked"));
            }
        }
        // RFC 9068 §4: without these any token of the issuer's would do, whomever it was made for.
        for (key, value) in self.texts() {
            if ["issuer", "audience"].contains(&key) && value.is_empty() {
                return Err(format!("`jwks_url` needs `{key}`: without it tokens for others would be taken"));
            }
        }
        Ok(Source::Keys { url: url("jwks_url", &self.jwks_url)? })
    }
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
            assert!(error.starts_with(&format!("`jwks_url` needs `{key}`")), "{error}");
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
        assert!(error.starts_with("`introspection_url` needs `client_secret_file`"), "{error}");
        let error = read(&format!("{ENDPOINT}client_secret_file = \"/x\"")).unwrap_err();
        assert!(error.starts_with("`introspection_url` needs `client_id`"), "{error}");
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
