//! Whether the sender's domain takes mail at all: one that says that it does not (a null MX, RFC 7505) can be answered by nobody.

use crate::dns::{Nothing, RData};

use super::line::Line;

/// What the sender's domain says of mail for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NullMx {
    /// The domain of the reverse-path, in A-labels.
    pub domain: String,
    /// Whether it takes any.
    pub result: NullMxResult,
}

/// Whether a domain takes mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullMxResult {
    /// It does, or does not say anything of it.
    Absent,
    /// It does not (RFC 7505 §3).
    Present,
    /// DNS did not say.
    TempError,
}

impl NullMx {
    /// By its MX records. RFC 7505 §3: a null MX stands alone; beside others it says nothing.
    pub(super) fn of(domain: &str, answer: &Result<Vec<RData>, Nothing>) -> Self {
        let exchanges = |records: &[RData]| -> Vec<bool> {
            let is_null = |record: &RData| {
                let RData::MX(mx) = record else { return None };
                Some(mx.exchange.is_root())
            };
            records.iter().filter_map(is_null).collect()
        };
        let result = match answer.as_ref().map(|records| exchanges(records)) {
            Ok(exchanges) if !exchanges.is_empty() && exchanges.iter().all(|is_null| *is_null) => {
                NullMxResult::Present
            }
            Ok(_) | Err(Nothing::NoName | Nothing::NoRecord) => NullMxResult::Absent,
            Err(Nothing::Failed(_)) => NullMxResult::TempError,
        };
        Self { domain: domain.to_owned(), result }
    }

    /// No method of this name is registered, so it is one of our own (RFC 8601 §2.7.7).
    pub(super) fn line(&self) -> Line {
        let word = match self.result {
            NullMxResult::Absent => "pass",
            NullMxResult::Present => "fail",
            NullMxResult::TempError => "temperror",
        };
        Line::new("x-null-mx", word).with("smtp.mailfrom", self.domain.clone())
    }

    /// That is told where there is one; nobody misses it elsewhere.
    pub(super) fn told(&self) -> Option<Line> {
        match self.result {
            NullMxResult::Present => Some(self.line()),
            NullMxResult::Absent | NullMxResult::TempError => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::MX;

    use super::*;
    use crate::dns::Failed;

    fn result(exchanges: &[&str]) -> NullMxResult {
        let mx = |host: &&str| RData::MX(MX::new(0, Name::from_ascii(host).unwrap()));
        NullMx::of("a.example", &Ok(exchanges.iter().map(mx).collect())).result
    }

    #[test]
    fn a_null_mx_counts_where_it_is_alone() {
        assert_eq!(result(&["."]), NullMxResult::Present);
        assert_eq!(result(&[".", "."]), NullMxResult::Present);
        assert_eq!(result(&["mx.a.example."]), NullMxResult::Absent);
        assert_eq!(result(&[".", "mx.a.example."]), NullMxResult::Absent);
        assert_eq!(result(&[]), NullMxResult::Absent);
    }

    #[test]
    fn a_domain_that_says_nothing_is_not_one_without_mail() {
        let of = |nothing| NullMx::of("a.example", &Err(nothing));
        assert_eq!(of(Nothing::NoName).result, NullMxResult::Absent);
        assert_eq!(of(Nothing::NoRecord).result, NullMxResult::Absent);
        let failed = Failed::NotAnswered { name: "a.example".to_owned(), why: String::new() };
        let unknown = of(Nothing::Failed(failed));
        assert_eq!(unknown.result, NullMxResult::TempError);
        assert_eq!(unknown.told(), None);
        assert_eq!(unknown.line().to_string(), "x-null-mx=temperror smtp.mailfrom=a.example");
    }
}
