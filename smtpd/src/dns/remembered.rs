//! What DNS has said, within a bound of octets and for as long as it holds; that it said nothing, for a moment.

use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use super::config::{Dns, Validation};
use super::resolver::{Answer, Nothing, RecordType};

/// How long a failure is remembered: longer than the second that RFC 9520 §3.2 asks for, shorter than anybody waits.
const FAILURE: Duration = Duration::from_secs(5);
/// Octets that an answer and a record have beside their text, about.
const OVERHEAD_OCTETS: usize = 128;

/// One answer.
#[derive(Clone)]
struct Kept {
    answer: Result<Answer, Nothing>,
    holds: Duration,
}

/// What was asked, and whether signatures counted.
type Question<'a> = (&'a str, RecordType, Validation);
type Key = (String, u16, Validation);

/// Answers; clones share them.
#[derive(Clone)]
pub(super) struct Remembered {
    answers: Cache<Key, Kept>,
    longest: Duration,
    nothing: Duration,
}

impl Remembered {
    pub(super) fn new(dns: &Dns) -> Self {
        let answers = Cache::builder()
            .max_capacity(dns.cache_octets_max)
            .weigher(|(name, ..): &Key, kept: &Kept| octets(name, kept))
            .expire_after(Holding)
            .build();
        let (longest, nothing) = (dns.cache_seconds_max, dns.cache_nothing_seconds);
        Self { answers, longest: Duration::from_secs(longest), nothing: Duration::from_secs(nothing) }
    }

    pub(super) fn answer(&self, question: Question<'_>) -> Option<Result<Answer, Nothing>> {
        self.answers.get(&key(question)).map(|kept| kept.answer)
    }

    /// `holds` is what the records' owner says.
    pub(super) fn remember(
        &self,
        question: Question<'_>,
        answer: &Result<Answer, Nothing>,
        holds: Option<Duration>,
    ) {
        let holds = match answer {
            Ok(_) => holds.unwrap_or(self.nothing).min(self.longest),
            Err(Nothing::NoName | Nothing::NoRecord) => self.nothing,
            Err(Nothing::Failed(_)) => FAILURE.min(self.nothing),
        };
        if !holds.is_zero() {
            self.answers.insert(key(question), Kept { answer: answer.clone(), holds });
        }
    }

    pub(super) fn forget(&self) {
        self.answers.invalidate_all();
    }
}

fn key((name, record_type, validation): Question<'_>) -> Key {
    (name.to_owned(), record_type.into(), validation)
}

fn octets(name: &str, kept: &Kept) -> u32 {
    let records = kept.answer.as_ref().map(|answer| answer.records.as_slice()).unwrap_or_default();
    let records: usize = records.iter().map(|record| record.to_string().len() + OVERHEAD_OCTETS).sum();
    u32::try_from(name.len() + OVERHEAD_OCTETS + records).unwrap_or(u32::MAX)
}

/// How long each holds.
struct Holding;

impl Expiry<Key, Kept> for Holding {
    fn expire_after_create(&self, _: &Key, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.holds)
    }

    fn expire_after_update(&self, _: &Key, kept: &Kept, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(kept.holds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::failed::Failed;
    use super::super::resolver::{RData, Trust};
    use super::*;

    fn answer() -> Answer {
        let records = vec![RData::from(std::net::IpAddr::from([192, 0, 2, 1]))];
        Answer { owner: "a.test".to_owned(), alias: None, trust: Trust::Insecure, records }
    }

    fn knows(remembered: &Remembered, name: &str) -> bool {
        remembered.answer((name, RecordType::A, Validation::Validate)).is_some()
    }

    #[test]
    fn answers_are_remembered_for_as_long_as_they_hold() {
        let remembered = Remembered::new(&Dns::default());
        remembered.remember(
            ("held.test", RecordType::A, Validation::Validate),
            &Ok(answer()),
            Some(Duration::from_hours(1)),
        );
        remembered.remember(
            ("fleeting.test", RecordType::A, Validation::Validate),
            &Ok(answer()),
            Some(Duration::ZERO),
        );
        remembered.remember(
            ("nothing.test", RecordType::A, Validation::Validate),
            &Err(Nothing::NoName),
            None,
        );
        assert!(knows(&remembered, "held.test") && knows(&remembered, "nothing.test"));
        assert!(!knows(&remembered, "fleeting.test"));
        assert!(remembered.answer(("held.test", RecordType::AAAA, Validation::Validate)).is_none());
        assert!(remembered.answer(("held.test", RecordType::A, Validation::Off)).is_none());
        remembered.forget();
        assert!(!knows(&remembered, "held.test"));
    }

    #[test]
    fn no_more_is_remembered_than_the_configuration_allows() {
        let nothing = Dns { cache_seconds_max: 0, cache_nothing_seconds: 0, ..Dns::default() };
        let remembered = Remembered::new(&nothing);
        let failed = Nothing::Failed(Failed::Bogus { name: "c.test".to_owned() });
        remembered.remember(
            ("a.test", RecordType::A, Validation::Validate),
            &Ok(answer()),
            Some(Duration::from_hours(1)),
        );
        remembered.remember(("b.test", RecordType::A, Validation::Validate), &Err(Nothing::NoRecord), None);
        remembered.remember(("c.test", RecordType::A, Validation::Validate), &Err(failed), None);
        assert!(!["a.test", "b.test", "c.test"].into_iter().any(|name| knows(&remembered, name)));

        let one = Dns { cache_octets_max: 500, ..Dns::default() };
        let remembered = Remembered::new(&one);
        for number in 0..100 {
            let name = format!("{number}.test");
            remembered.remember(
                (&name, RecordType::A, Validation::Validate),
                &Ok(answer()),
                Some(Duration::from_hours(1)),
            );
        }
        remembered.answers.run_pending_tasks();
        assert_eq!(remembered.answers.entry_count(), 1);
    }
}
