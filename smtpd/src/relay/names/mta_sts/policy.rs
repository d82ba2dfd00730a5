//! A domain's policy (RFC 8461 §3.2): which hosts take its mail, and whether TLS with them is a must.

use thiserror::Error;

use super::super::exchangers::is_host;

/// Most octets of a policy (RFC 8461 §3.3 has 64 KiB as an example).
pub(in super::super) const POLICY_OCTETS_MAX: u64 = 64 << 10;
/// Most patterns of hosts in a policy.
const PATTERNS_MAX: usize = 100;
/// Longest time for which a policy holds (RFC 8461 §3.2).
const MAX_AGE_SECONDS: u64 = 31_557_600;

/// What a domain asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Policy {
    pub(in super::super) mode: Mode,
    pub(in super::super) max_age_seconds: u64,
    patterns: Vec<Pattern>,
}

/// How much it means it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Mode {
    /// No mail to whoever does not fulfil it.
    Enforce,
    /// Mail in any case; who does not fulfil it is told of in reports.
    Testing,
    /// As if there were none.
    None,
}

/// A host, or all whose name has one label more.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Host(String),
    Below(String),
}

/// Why a text is no policy.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(in super::super) enum PolicyError {
    #[error("it is not text in ASCII")]
    Octets,
    #[error("it has no line of the form `version: STSv1`")]
    Version,
    #[error("its `mode` is none of enforce, testing and none")]
    Mode,
    #[error("its `max_age` is no number of seconds")]
    MaxAge,
    #[error("its `mx` is missing, or no name of a host")]
    Mx,
}

impl Policy {
    /// Reads one. Keys that are not known are passed over, and so are all but the first of those that may stand once.
    pub(in super::super) fn read(octets: &[u8]) -> Result<Self, PolicyError> {
        let text = str::from_utf8(octets).ok().filter(|text| text.is_ascii()).ok_or(PolicyError::Octets)?;
        let pairs: Vec<(&str, &str)> = text.lines().filter_map(pair).collect();
        let first = |key| pairs.iter().find(|(found, _)| *found == key).map(|(_, value)| *value);
        if first("version") != Some("STSv1") {
            return Err(PolicyError::Version);
        }
        let mode = match first("mode") {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err(PolicyError::Mode),
        };
        let age = first("max_age").filter(|age| is_age(age)).and_then(|age| age.parse::<u64>().ok());
        let max_age_seconds = age.ok_or(PolicyError::MaxAge)?.min(MAX_AGE_SECONDS);
        let named = pairs.iter().filter(|(key, _)| *key == "mx").take(PATTERNS_MAX);
        let patterns: Vec<_> =
            named.map(|(_, value)| Pattern::read(value)).collect::<Option<_>>().ok_or(PolicyError::Mx)?;
        if patterns.is_empty() && mode != Mode::None {
            return Err(PolicyError::Mx);
        }
        Ok(Self { mode, max_age_seconds, patterns })
    }

    /// One form of it, for keeping: it is read as this one.
    pub(in super::super) fn text(&self) -> String {
        let mode = match self.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        };
        let patterns: String = self.patterns.iter().map(Pattern::line).collect();
        format!("version: STSv1\nmode: {mode}\nmax_age: {}\n{patterns}", self.max_age_seconds)
    }

    /// Its patterns of hosts, as they are written.
    pub(in super::super) fn hosts(&self) -> Vec<String> {
        let written = |pattern: &Pattern| match pattern {
            Pattern::Host(name) => name.clone(),
            Pattern::Below(name) => format!("*.{name}"),
        };
        self.patterns.iter().map(written).collect()
    }

    /// True for the hosts that may take the domain's mail (RFC 8461 §4.1); the name is in lower case.
    pub(in super::super) fn names(&self, host: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.is(host))
    }
}

/// `key: value`, with blanks around the value only.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    Some((key, value.trim_matches([' ', '\t'])))
}

/// `1*10(DIGIT)`, RFC 8461 §3.2.
fn is_age(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit())
}

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (name, is_below) = text.strip_prefix("*.").map_or((text.as_str(), false), |name| (name, true));
        if name.is_empty() || name.len() > 255 || !is_host(name) || name.split('.').any(str::is_empty) {
            return None;
        }
        Some(if is_below { Self::Below(name.to_owned()) } else { Self::Host(name.to_owned()) })
    }

    fn is(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name == host,
            // RFC 6125 §6.4.3: one label, and no more.
            Self::Below(name) => {
                host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == name)
            }
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Host(name) => format!("mx: {name}\n"),
            Self::Below(name) => format!("mx: *.{name}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";

    fn with(from: &str, to: &str) -> Result<Policy, PolicyError> {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD);
        Policy::read(text.as_bytes())
    }

    #[test]
    fn the_example_of_the_rfc_is_read_and_written() {
        let policy = Policy::read(GOOD.as_bytes()).unwrap();
        assert_eq!((policy.mode, policy.max_age_seconds), (Mode::Enforce, 604_800));
        assert_eq!(Policy::read(policy.text().as_bytes()), Ok(policy.clone()));
        assert_eq!(Policy::read(GOOD.replace("\r\n", "\n").as_bytes()), Ok(policy));
        assert_eq!(with("enforce", "testing").unwrap().mode, Mode::Testing);
        assert_eq!(with("enforce", "none").unwrap().mode, Mode::None);
        let none = Policy::read(b"version: STSv1\nmode: none\nmax_age: 86400").unwrap();
        assert_eq!(Policy::read(none.text().as_bytes()), Ok(none));
    }

    #[test]
    fn a_wildcard_is_one_label() {
        let policy = Policy::read(GOOD.as_bytes()).unwrap();
        for host in ["mail.example.com", "a.example.net", "b_1.example.net"] {
            assert!(policy.names(host), "{host}");
        }
        for host in [
            "example.com",
            "mx.mail.example.com",
            "example.net",
            "a.b.example.net",
            ".example.net",
            "xexample.net",
        ] {
            assert!(!policy.names(host), "{host}");
        }
        assert!(with("mail.example.com", "MAIL.Example.Com").unwrap().names("mail.example.com"));
    }

    #[test]
    fn what_is_not_known_or_comes_again_is_passed_over() {
        let more = with("mode: enforce", "colour: blue\r\nmode: testing\r\nmode: enforce\r\nnonsense");
        assert_eq!(more.unwrap().mode, Mode::Testing);
        assert_eq!(with("604800", "9999999999").unwrap().max_age_seconds, MAX_AGE_SECONDS);
        assert_eq!(with("604800", "0").unwrap().max_age_seconds, 0);
        assert!(with("version: STSv1", "version:STSv1 \t").is_ok());
    }

    #[test]
    fn what_is_no_policy_is_none() {
        for (from, to, error) in [
            ("version: STSv1", "version: STSv2", PolicyError::Version),
            ("version: STSv1\r\n", "", PolicyError::Version),
            ("version: STSv1", "Version: STSv1", PolicyError::Version),
            ("enforce", "Enforce", PolicyError::Mode),
            ("mode: enforce\r\n", "", PolicyError::Mode),
            ("604800", "-1", PolicyError::MaxAge),
            ("604800", "12345678901", PolicyError::MaxAge),
            ("max_age: 604800", "", PolicyError::MaxAge),
            ("*.example.net", "*.*.example.net", PolicyError::Mx),
            ("*.example.net", "*", PolicyError::Mx),
            ("*.example.net", "a..example.net", PolicyError::Mx),
            ("mail.example.com", "mail.example.com.", PolicyError::Mx),
            ("mail.example.com", "", PolicyError::Mx),
            ("mail.example.com", "bücher.example", PolicyError::Octets),
        ] {
            assert_eq!(with(from, to), Err(error), "{to}");
        }
        assert_eq!(Policy::read(b"version: STSv1\nmode: enforce\nmax_age: 1"), Err(PolicyError::Mx));
        assert_eq!(Policy::read(b"\xff"), Err(PolicyError::Octets));
        assert_eq!(Policy::read(b""), Err(PolicyError::Version));
    }

    #[test]
    fn so_many_patterns_are_taken_and_no_more() {
        let lines: Vec<_> = (0..=PATTERNS_MAX).map(|number| format!("mx: h{number}.example.org")).collect();
        let policy = with("mx: mail.example.com\r\n", &(lines.join("\r\n") + "\r\n")).unwrap();
        assert!(policy.names(&format!("h{}.example.org", PATTERNS_MAX - 1)));
        assert!(!policy.names(&format!("h{PATTERNS_MAX}.example.org")));
    }
}
