//! What EHLO announces (RFC 5321 §4.1.1.1), written and read.

/// One line of EHLO's answer after the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// `SIZE n`, octets; 0 means no fixed limit (RFC 1870 §4).
    Size(u64),
    /// `PIPELINING` (RFC 2920).
    Pipelining,
    /// `8BITMIME` (RFC 6152).
    EightBitMime,
    /// `SMTPUTF8` (RFC 6531).
    SmtpUtf8,
    /// `CHUNKING` (RFC 3030).
    Chunking,
    /// `BINARYMIME` (RFC 3030).
    BinaryMime,
    /// `ENHANCEDSTATUSCODES` (RFC 2034).
    EnhancedStatusCodes,
    /// `DSN` (RFC 3461).
    Dsn,
    /// `LIMITS` (RFC 9422).
    Limits(Limits),
    /// `FUTURERELEASE` with the longest interval and the latest moment (RFC 4865).
    FutureRelease {
        /// Seconds that a message may be held, at most 999,999,999.
        seconds_max: u32,
        /// The moment up to which it may be held, as RFC 3339 writes it.
        until_max: String,
    },
    /// `DELIVERBY`, with the fewest seconds that `BY=` may ask for in mode `R`, where there are any (RFC 2852).
    DeliverBy(Option<u32>),
    /// `MT-PRIORITY`, with the name of a profile where there is one (RFC 6710).
    MtPriority(Option<String>),
    /// `REQUIRETLS` (RFC 8689).
    RequireTls,
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `AUTH` and the mechanisms' names (RFC 4954).
    Auth(Vec<String>),
    /// `HELP` (RFC 5321 §4.1.1.8).
    Help,
    /// `VRFY` (RFC 5321 §4.1.1.6).
    Vrfy,
    /// `EXPN` (RFC 5321 §4.1.1.7).
    Expn,
    /// Anything else, as it came.
    Other(String),
}

/// Most of anything that can be said (RFC 9422 §4): a number of six digits.
const LIMIT_LARGEST: u32 = 999_999;

/// What a server takes at most in this session (RFC 9422 §4); `None` where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `MAILMAX`: transactions.
    pub mail_max: Option<u32>,
    /// `RCPTMAX`: recipients of one transaction.
    pub rcpt_max: Option<u32>,
    /// `RCPTDOMAINMAX`: domains of these recipients.
    pub rcpt_domain_max: Option<u32>,
}

impl Extension {
    /// Reads one line, keywords in any case.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut words = line.split_ascii_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            // A size that is no number is as good as none: no limit is known.
            "SIZE" => Self::Size(words.next().and_then(|size| size.parse().ok()).unwrap_or(0)),
            "PIPELINING" => Self::Pipelining,
            "8BITMIME" => Self::EightBitMime,
            "SMTPUTF8" => Self::SmtpUtf8,
            "CHUNKING" => Self::Chunking,
            "BINARYMIME" => Self::BinaryMime,
            "ENHANCEDSTATUSCODES" => Self::EnhancedStatusCodes,
            "DSN" => Self::Dsn,
            "LIMITS" => Self::Limits(Limits::parse(words)),
            "FUTURERELEASE" => Self::future_release(words).unwrap_or_else(|| Self::Other(line.to_owned())),
            "DELIVERBY" => Self::DeliverBy(words.next().and_then(min_by_time)),
            "MT-PRIORITY" => Self::MtPriority(words.next().map(str::to_owned)),
            "REQUIRETLS" => Self::RequireTls,
            "STARTTLS" => Self::StartTls,
            "AUTH" => Self::Auth(words.map(str::to_ascii_uppercase).collect()),
            "HELP" => Self::Help,
            "VRFY" => Self::Vrfy,
            "EXPN" => Self::Expn,
            _ => Self::Other(line.to_owned()),
        }
    }

    /// `FUTURERELEASE SP max-future-release-interval SP max-future-release-date-time`, RFC 4865 §3.
    fn future_release<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (seconds_max, until_max) = (words.next()?.parse().ok()?, words.next()?.to_owned());
        Some(Self::FutureRelease { seconds_max, until_max })
    }
}

impl Limits {
    /// `limits-param`, RFC 9422 §3. What is not known, or no number, is passed over (§3.7).
    fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut limits = Self::default();
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let value = limit(value);
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => limits.mail_max = value,
                "RCPTMAX" => limits.rcpt_max = value,
                "RCPTDOMAINMAX" => limits.rcpt_domain_max = value,
                _ => {}
            }
        }
        limits
    }
}

/// `deliverby-param = min-by-time *( ',' extension-token )`, RFC 2852 §2.
fn min_by_time(parameter: &str) -> Option<u32> {
    parameter.split(',').next().and_then(|seconds| seconds.parse().ok())
}

/// `%x31-39 0*5DIGIT`, the value of each limit of RFC 9422 §4.
fn limit(value: &str) -> Option<u32> {
    let is_number =
        value.len() <= 6 && value.bytes().all(|octet| octet.is_ascii_digit()) && !value.starts_with('0');
    value.parse().ok().filter(|_| is_number)
}

impl std::fmt::Display for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LIMITS")?;
        let named =
            [("MAILMAX", self.mail_max), ("RCPTMAX", self.rcpt_max), ("RCPTDOMAINMAX", self.rcpt_domain_max)];
        let mut said = named.into_iter().filter_map(|(name, value)| Some((name, value?.min(LIMIT_LARGEST))));
        said.try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl std::fmt::Display for Extension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size(octets) => write!(f, "SIZE {octets}"),
            Self::Pipelining => f.write_str("PIPELINING"),
            Self::EightBitMime => f.write_str("8BITMIME"),
            Self::SmtpUtf8 => f.write_str("SMTPUTF8"),
            Self::Chunking => f.write_str("CHUNKING"),
            Self::BinaryMime => f.write_str("BINARYMIME"),
            Self::EnhancedStatusCodes => f.write_str("ENHANCEDSTATUSCODES"),
            Self::Dsn => f.write_str("DSN"),
            Self::Limits(limits) => limits.fmt(f),
            Self::FutureRelease { seconds_max, until_max } => {
                write!(f, "FUTURERELEASE {seconds_max} {until_max}")
            }
            Self::DeliverBy(None) => f.write_str("DELIVERBY"),
            Self::DeliverBy(Some(seconds_min)) => write!(f, "DELIVERBY {seconds_min}"),
            Self::MtPriority(None) => f.write_str("MT-PRIORITY"),
            Self::MtPriority(Some(profile)) => write!(f, "MT-PRIORITY {profile}"),
            Self::RequireTls => f.write_str("REQUIRETLS"),
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Auth(mechanisms) => {
                f.write_str("AUTH")?;
                mechanisms.iter().try_for_each(|mechanism| write!(f, " {mechanism}"))
            }
            Self::Help => f.write_str("HELP"),
            Self::Vrfy => f.write_str("VRFY"),
            Self::Expn => f.write_str("EXPN"),
            Self::Other(line) => f.write_str(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_reads_back_as_it_is_written() {
        for extension in [
            Extension::Size(0),
            Extension::Size(52_428_800),
            Extension::Pipelining,
            Extension::EightBitMime,
            Extension::SmtpUtf8,
            Extension::Chunking,
            Extension::BinaryMime,
            Extension::EnhancedStatusCodes,
            Extension::Dsn,
            Extension::StartTls,
            Extension::Auth(vec!["PLAIN".to_owned(), "LOGIN".to_owned()]),
            Extension::Help,
            Extension::Limits(Limits { rcpt_max: Some(20), ..Limits::default() }),
            Extension::Limits(Limits { mail_max: Some(1), rcpt_max: Some(2), rcpt_domain_max: Some(3) }),
            Extension::FutureRelease { seconds_max: 86_400, until_max: "2026-12-31T00:00:00Z".to_owned() },
            Extension::DeliverBy(None),
            Extension::DeliverBy(Some(60)),
            Extension::MtPriority(None),
            Extension::MtPriority(Some("MIXER".to_owned())),
            Extension::RequireTls,
            Extension::Vrfy,
            Extension::Expn,
            Extension::Other("XCLIENT ADDR".to_owned()),
        ] {
            assert_eq!(Extension::parse(&extension.to_string()), extension);
        }
    }

    #[test]
    fn keywords_are_read_in_any_case_and_a_size_may_be_missing() {
        assert_eq!(Extension::parse("starttls"), Extension::StartTls);
        assert_eq!(Extension::parse("auth plain"), Extension::Auth(vec!["PLAIN".to_owned()]));
        assert_eq!(Extension::parse("SIZE"), Extension::Size(0));
    }

    #[test]
    fn limits_that_are_not_known_are_passed_over() {
        let limits = Limits { rcpt_max: Some(5), ..Limits::default() };
        assert_eq!(Extension::parse("limits NEWMAX=1 rcptmax=5 MAILMAX=x Y"), Extension::Limits(limits));
        for wrong in ["0", "05", "+5", "1000000", ""] {
            assert_eq!(
                Extension::parse(&format!("LIMITS RCPTMAX={wrong}")),
                Extension::Limits(Limits::default())
            );
        }
    }

    #[test]
    fn a_limit_is_announced_up_to_what_six_digits_can_say() {
        let limits = Limits { rcpt_max: Some(1_000_000), ..Limits::default() };
        assert_eq!(Extension::Limits(limits).to_string(), "LIMITS RCPTMAX=999999");
    }

    #[test]
    fn deliverby_may_have_further_options() {
        assert_eq!(Extension::parse("DELIVERBY 60,NEW"), Extension::DeliverBy(Some(60)));
        assert_eq!(Extension::parse("DELIVERBY ,NEW"), Extension::DeliverBy(None));
    }

    #[test]
    fn a_future_release_without_its_limits_is_not_known() {
        for line in ["FUTURERELEASE", "FUTURERELEASE 5", "FUTURERELEASE x 2026-12-31T00:00:00Z"] {
            assert_eq!(Extension::parse(line), Extension::Other(line.to_owned()));
        }
    }
}
