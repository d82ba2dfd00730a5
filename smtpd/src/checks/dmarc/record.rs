//! DMARC records (RFC 7489 §6.3, with the tags of its successor, RFC 9989 §4.7).

use crate::checks::tags::tags;

/// What a domain says of mail that claims to be its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// `p`; `None` where there is no valid one.
    pub(super) policy: Option<Policy>,
    /// `sp`, for subdomains.
    pub(super) subdomains: Option<Policy>,
    /// `np`, for subdomains that do not exist.
    pub(super) nonexistent: Option<Policy>,
    pub(super) dkim: Alignment,
    pub(super) spf: Alignment,
    /// `pct`: of how many messages in a hundred the policy is followed.
    pub(super) percent: u8,
    /// `t=y`: the policy is not followed yet.
    pub(super) is_test: bool,
    /// `psd`: whether the domain is one under which others register; `None` where it does not say.
    pub(super) is_public_suffix: Option<bool>,
    /// `rua` names somebody.
    pub(super) has_reports: bool,
}

/// What is to become of mail that is not proven (RFC 7489 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing special.
    None,
    /// It is suspicious.
    Quarantine,
    /// It is refused.
    Reject,
}

/// How near a proven domain must be to the author's (RFC 7489 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alignment {
    Relaxed,
    Strict,
}

impl Policy {
    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// The next gentler one (RFC 7489 §6.6.4).
    pub(in crate::checks) const fn gentler(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        [Self::None, Self::Quarantine, Self::Reject].into_iter().find(|policy| is(policy.word()))
    }
}

impl Record {
    /// `None` where it is no DMARC record. Tags that are wrong count as missing.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let tags = tags(text);
        // RFC 7489 §6.3: v is the first one, and exactly so.
        let (Some(("v", "DMARC1")), true) = (tags.first(), text.trim_start().starts_with('v')) else {
            return None;
        };
        let value = |name: &str| {
            let tag = tags.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(name));
            tag.map(|(_, value)| *value)
        };
        let is = |name, word: &str| value(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
        let alignment = |name| if is(name, "s") { Alignment::Strict } else { Alignment::Relaxed };
        let percent = value("pct").and_then(|value| value.parse().ok()).filter(|percent| *percent <= 100);
        Some(Self {
            policy: value("p").and_then(Policy::parse),
            subdomains: value("sp").and_then(Policy::parse),
            nonexistent: value("np").and_then(Policy::parse),
            dkim: alignment("adkim"),
            spf: alignment("aspf"),
            percent: percent.unwrap_or(100),
            is_test: is("t", "y"),
            is_public_suffix: match (is("psd", "y"), is("psd", "n")) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            },
            has_reports: value("rua").is_some_and(|value| value.to_lowercase().contains("mailto:")),
        })
    }

    /// The policy for the domain whose record it is; `None` where the record says nothing (RFC 7489 §6.6.3).
    pub(super) fn own(&self) -> Option<Policy> {
        self.policy.or(self.has_reports.then_some(Policy::None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_wrong_tags_passed_over() {
        let record = Record::parse(
            b"v=DMARC1; p=Reject; sp=quarantine; np=none; adkim=s; aspf=r; pct=20; t=y; psd=n; rua=mailto:a@b.test",
        )
        .unwrap();
        let policies = [record.policy, record.subdomains, record.nonexistent].map(Option::unwrap);
        assert_eq!(policies, [Policy::Reject, Policy::Quarantine, Policy::None]);
        assert_eq!((record.dkim, record.spf), (Alignment::Strict, Alignment::Relaxed));
        assert_eq!((record.percent, record.is_test, record.is_public_suffix), (20, true, Some(false)));
        let odd = Record::parse(b"v=DMARC1;p=x;pct=101;adkim=x;;=;").unwrap();
        assert_eq!((odd.own(), odd.percent, odd.dkim), (None, 100, Alignment::Relaxed));
        assert_eq!(Record::parse(b"v=DMARC1; rua=mailto:a@b.test").unwrap().own(), Some(Policy::None));
    }

    #[test]
    fn what_is_no_record_is_none() {
        for text in
            ["", "v=DMARC2; p=none", "p=none; v=DMARC1", "v=dmarc1; p=none", "v=spf1 -all", ";v=DMARC1"]
        {
            assert_eq!(Record::parse(text.as_bytes()), None, "{text}");
        }
    }
}
