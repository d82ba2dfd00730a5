//! What follows from what the lists said: a plain function, the same for a live session and for a dry run.

use super::{Action, Dnsbl, Finding, Heard, ListConfig};

/// What follows from all findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is done.
    pub measure: Measure,
    /// The line of the configuration that decided.
    pub rule: String,
    /// Which of the findings decided, from 0; the first of several.
    pub finding: Option<usize>,
}

/// What is done about a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Nothing: no list has it.
    #[default]
    Nothing,
    /// It is told in the header.
    Mark,
    /// The message is junk.
    Junk,
    /// It is refused.
    Refuse,
    /// Whatever other lists say, it is welcome.
    Allow,
}

/// Decides. Lists that have not answered, or do not answer us, have nothing listed.
#[must_use]
pub fn decide(dnsbl: &Dnsbl, findings: &[Finding]) -> Verdict {
    let hits: Vec<(usize, &ListConfig)> = findings
        .iter()
        .enumerate()
        .filter_map(|(index, finding)| Some((index, hit(dnsbl, finding)?)))
        .collect();
    let first = |action: Action| {
        let (index, list) = hits.iter().find(|(_, list)| list.action == action)?;
        let rule = format!("[[dnsbl.lists]] {} action = \"{}\"", list.shown(), action.word());
        Some(Verdict { measure: measure(action), rule, finding: Some(*index) })
    };
    let weight = hits.iter().fold(0_u32, |sum, (_, list)| sum.saturating_add(list.weight));
    let heavier = |key: &str, limit: u32, measure| {
        let (index, _) = hits.iter().find(|_| limit > 0 && weight >= limit)?;
        Some(Verdict {
            measure,
            rule: format!("[dnsbl] {key} = {limit}, reached with {weight}"),
            finding: Some(*index),
        })
    };
    first(Action::Allow)
        .or_else(|| first(Action::Refuse))
        .or_else(|| heavier("refuse_weight", dnsbl.refuse_weight, Measure::Refuse))
        .or_else(|| first(Action::Junk))
        .or_else(|| heavier("junk_weight", dnsbl.junk_weight, Measure::Junk))
        .or_else(|| first(Action::Mark))
        .unwrap_or_default()
}

/// The list, where it has somebody.
fn hit<'a>(dnsbl: &'a Dnsbl, finding: &Finding) -> Option<&'a ListConfig> {
    match finding.heard {
        Heard::Listed { .. } => dnsbl.lists.get(finding.list),
        Heard::NotListed | Heard::Unusable(_) | Heard::Silent => None,
    }
}

const fn measure(action: Action) -> Measure {
    match action {
        Action::Allow => Measure::Allow,
        Action::Mark => Measure::Mark,
        Action::Junk => Measure::Junk,
        Action::Refuse => Measure::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Lists with these actions and weights, of which those with `true` have the sender.
    fn decided(lists: &[(&str, u32, bool)], more: &str) -> (Measure, String) {
        let tables = lists.iter().enumerate().map(|(number, (action, weight, _))| {
            format!("[[lists]]\nzone = \"l{number}.test\"\naction = \"{action}\"\nweight = {weight}\n")
        });
        let dnsbl: Dnsbl = toml::from_str(&(more.to_owned() + "\n" + &tables.collect::<String>())).unwrap();
        let listed = Heard::Listed { answers: vec![Ipv4Addr::new(127, 0, 0, 2)], reason: None };
        let heard = |hit: bool| if hit { listed.clone() } else { Heard::NotListed };
        let findings: Vec<_> = lists
            .iter()
            .enumerate()
            .map(|(list, &(_, _, hit))| Finding { list, subject: "192.0.2.1".to_owned(), heard: heard(hit) })
            .collect();
        let verdict = decide(&dnsbl, &findings);
        (verdict.measure, verdict.rule)
    }

    #[test]
    fn the_severest_action_counts_but_for_one_that_allows() {
        let (mark, junk, refuse) = (("mark", 0, true), ("junk", 0, true), ("refuse", 0, true));
        assert_eq!(decided(&[], ""), (Measure::Nothing, String::new()));
        assert_eq!(decided(&[("refuse", 0, false)], "").0, Measure::Nothing);
        assert_eq!(
            decided(&[mark, junk], ""),
            (Measure::Junk, "[[dnsbl.lists]] l1.test action = \"junk\"".to_owned())
        );
        assert_eq!(decided(&[mark, refuse, junk], "").0, Measure::Refuse);
        assert_eq!(decided(&[refuse, ("allow", 0, true)], "").0, Measure::Allow);
        assert_eq!(decided(&[refuse, ("allow", 0, false)], "").0, Measure::Refuse);
    }

    #[test]
    fn weights_add_up() {
        let limits = "junk_weight = 3\nrefuse_weight = 5";
        let lists = |hits: [bool; 3]| [("mark", 2, hits[0]), ("mark", 1, hits[1]), ("mark", 2, hits[2])];
        assert_eq!(decided(&lists([true, false, false]), limits).0, Measure::Mark);
        let junk = decided(&lists([true, true, false]), limits);
        assert_eq!(junk, (Measure::Junk, "[dnsbl] junk_weight = 3, reached with 3".to_owned()));
        assert_eq!(decided(&lists([true, true, true]), limits).0, Measure::Refuse);
        assert_eq!(decided(&lists([true, true, true]), "").0, Measure::Mark);
        assert_eq!(decided(&[("mark", u32::MAX, true), ("mark", 1, true)], limits).0, Measure::Refuse);
    }

    #[test]
    fn lists_that_fail_have_nothing_listed() {
        let dnsbl: Dnsbl = toml::from_str("[[lists]]\nzone = \"l.test\"\naction = \"refuse\"").unwrap();
        for heard in [Heard::Silent, Heard::Unusable(Ipv4Addr::new(127, 255, 255, 254)), Heard::NotListed] {
            let finding = Finding { list: 0, subject: "192.0.2.1".to_owned(), heard };
            assert_eq!(decide(&dnsbl, &[finding]), Verdict::default());
        }
    }
}
