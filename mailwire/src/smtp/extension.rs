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
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `AUTH` and the mechanisms' names (RFC 4954).
    Auth(Vec<String>),
    /// `HELP` (RFC 5321 §4.1.1.8).
    Help,
    /// `VRFY` (RFC 5321 §4.1.1.6).
    Vrfy,
    /// Anything else, as it came.
    Other(String),
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
            "STARTTLS" => Self::StartTls,
            "AUTH" => Self::Auth(words.map(str::to_ascii_uppercase).collect()),
            "HELP" => Self::Help,
            "VRFY" => Self::Vrfy,
            _ => Self::Other(line.to_owned()),
        }
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
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Auth(mechanisms) => {
                f.write_str("AUTH")?;
                mechanisms.iter().try_for_each(|mechanism| write!(f, " {mechanism}"))
            }
            Self::Help => f.write_str("HELP"),
            Self::Vrfy => f.write_str("VRFY"),
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
            Extension::Vrfy,
            Extension::Other("LIMITS RCPTMAX=20".to_owned()),
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
}
