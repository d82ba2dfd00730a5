//! What is said of one recipient, and with what words.

use std::fmt::Write as _;

use super::Greylisting;
use super::dnsbl::{Dnsbl, Finding, Heard, Measure, decide};

/// Most characters of a row of a message's trace; of more only the beginning would be kept.
const ROW_CHARACTERS_MAX: usize = 250;
/// Most lists that are told in the header of a message.
const MARKS_MAX: usize = 8;

/// What all checks before the content say of one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What is done.
    pub measure: Measure,
    /// The listing that decided, for whoever is refused.
    pub listing: Option<Listing>,
    /// Every list that has the sender, for the header.
    pub marks: Vec<Mark>,
    /// What was found, for trace and log; empty where nobody was asked.
    pub row: String,
    /// Whether the sender must come again.
    pub greylisting: Greylisting,
}

/// Who is listed where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The address or domain.
    pub subject: String,
    /// The list's name.
    pub list: String,
    /// The list's own words, in printable ASCII.
    pub reason: Option<String>,
}

/// One line in the header of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The address or domain.
    pub subject: String,
    /// The list's name.
    pub list: String,
    /// What the list answers.
    pub answer: String,
}

impl Judgement {
    /// What follows from all findings.
    pub(crate) fn of(dnsbl: &Dnsbl, findings: &[Finding]) -> Self {
        let verdict = decide(dnsbl, findings);
        let decisive = verdict.finding.and_then(|index| findings.get(index));
        let listing = decisive.and_then(|finding| Listing::of(dnsbl, finding));
        let marks = match verdict.measure {
            Measure::Mark | Measure::Junk | Measure::Refuse => {
                findings.iter().filter_map(|finding| Mark::of(dnsbl, finding)).take(MARKS_MAX).collect()
            }
            Measure::Nothing | Measure::Allow => Vec::new(),
        };
        let row = row(dnsbl, findings, verdict.measure, &verdict.rule);
        Self { measure: verdict.measure, listing, marks, row, greylisting: Greylisting::Off }
    }
}

impl Listing {
    fn of(dnsbl: &Dnsbl, finding: &Finding) -> Option<Self> {
        let Heard::Listed { reason, .. } = &finding.heard else { return None };
        let list = dnsbl.lists.get(finding.list)?.shown().to_owned();
        Some(Self { subject: finding.subject.clone(), list, reason: reason.clone() })
    }
}

impl Mark {
    fn of(dnsbl: &Dnsbl, finding: &Finding) -> Option<Self> {
        let Heard::Listed { answers, .. } = &finding.heard else { return None };
        let list = dnsbl.lists.get(finding.list)?.shown().to_owned();
        Some(Self { subject: finding.subject.clone(), list, answer: answers.first()?.to_string() })
    }
}

/// One row for all lists: what was done and why, what is listed, and who has not answered.
fn row(dnsbl: &Dnsbl, findings: &[Finding], measure: Measure, rule: &str) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut row = match measure {
        Measure::Nothing => "dnsbl=none".to_owned(),
        Measure::Mark => format!("dnsbl=mark by {rule}"),
        Measure::Junk => format!("dnsbl=junk by {rule}"),
        Measure::Refuse => format!("dnsbl=refuse by {rule}"),
        Measure::Allow => format!("dnsbl=allow by {rule}"),
    };
    for finding in findings {
        match (&finding.heard, dnsbl.lists.get(finding.list)) {
            (Heard::Listed { .. } | Heard::Unusable(_) | Heard::Silent, Some(list)) => {
                let _ = write!(row, "; {}", finding.shown(list));
            }
            (Heard::NotListed, _) | (_, None) => {}
        }
    }
    row.truncate(row.floor_char_boundary(ROW_CHARACTERS_MAX));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(action: &str, heard: Vec<Heard>) -> Judgement {
        let list = format!("[[lists]]\nzone = \"key.bl.test\"\nname = \"bl.test\"\naction = \"{action}\"\n");
        let dnsbl: Dnsbl = toml::from_str(&list.repeat(heard.len())).unwrap();
        let finding = |(list, heard)| Finding { list, subject: "192.0.2.1".to_owned(), heard };
        Judgement::of(&dnsbl, &heard.into_iter().enumerate().map(finding).collect::<Vec<_>>())
    }

    fn listed() -> Heard {
        let reason = Some("see https://bl.test/".to_owned());
        Heard::Listed { answers: vec!["127.0.0.2".parse().unwrap()], reason }
    }

    #[test]
    fn what_is_told_names_the_list_and_never_the_key_in_its_zone() {
        let judgement = judged("refuse", vec![listed(), Heard::Silent, Heard::NotListed]);
        assert_eq!(
            judgement.row,
            "dnsbl=refuse by [[dnsbl.lists]] bl.test action = \"refuse\"; 192.0.2.1 is in bl.test (127.0.0.2): see \
             https://bl.test/; bl.test has not answered about 192.0.2.1"
        );
        let Listing { subject, list, reason } = judgement.listing.unwrap();
        assert_eq!((subject.as_str(), list.as_str()), ("192.0.2.1", "bl.test"));
        assert_eq!(reason.as_deref(), Some("see https://bl.test/"));
    }

    #[test]
    fn who_is_in_no_list_leaves_a_row_and_no_mark() {
        let judgement = judged("refuse", vec![Heard::NotListed]);
        assert_eq!((judgement.row.as_str(), judgement.marks.len()), ("dnsbl=none", 0));
        assert_eq!(Judgement::of(&Dnsbl::default(), &[]), Judgement::default());
    }

    #[test]
    fn many_lists_make_no_long_row_and_no_more_marks_than_there_may_be() {
        let judgement = judged("mark", vec![listed(); 32]);
        assert!(judgement.row.len() <= ROW_CHARACTERS_MAX);
        assert_eq!(judgement.marks.len(), MARKS_MAX);
    }
}
