//! What rules come to for a message.

use std::fmt;

use mailstore::Detail;
use mailwire::address::Mailbox;

use super::facts::Facts;
use super::fields::fields;
use super::pattern::{Effort, How, Pattern, TooMuchWork};
use super::reason::Reason;
use super::rule::{Action, Condition, Rules, Test};
use super::vacation::Answer;
use crate::session::Class;

/// Looks at an octet that one message may cost: some hundredths of a second.
const EFFORT_MAX: u64 = 20_000_000;

/// What becomes of a message in one maildrop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Where it goes, each place once; nowhere where it is discarded or not taken.
    pub places: Vec<Place>,
    /// To whom else it goes, each once.
    pub forwards: Vec<Mailbox>,
    /// It is not taken, for the reason that these words give its sender.
    pub refusal: Option<Reason>,
    /// Whether its sender is answered, where a rule wants that.
    pub answer: Option<Answer>,
    /// The lines of the rules that have decided that; none where no rule has.
    pub lines: Vec<usize>,
    /// The rules were more work than one message may make, so they are as if they were not there.
    pub is_given_up: bool,
}

/// A place for a message within an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The maildrop that it was sent to.
    Own,
    /// Where the account has its junk.
    Junk,
    /// Another further maildrop.
    Further(Detail),
}

impl Decision {
    /// What becomes of it without rules.
    #[must_use]
    pub fn without_rules(class: &Class) -> Self {
        let place = if class.is_junk() { Place::Junk } else { Place::Own };
        Self { places: vec![place], ..Self::default() }
    }

    /// It stays here, whatever else was to become of it.
    pub(in super::super) fn keep(&mut self) {
        if self.places.is_empty() {
            self.places.push(Place::Own);
        }
    }

    fn put(&mut self, place: Place) {
        if !self.places.contains(&place) {
            self.places.push(place);
        }
    }
}

/// In words, as they are shown to the administrator: `line 7: into the maildrop lists and kept`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines.as_slice() {
            [] => f.write_str("no rule: ")?,
            [line] => write!(f, "line {line}: ")?,
            lines => {
                let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
                write!(f, "lines {}: ", lines.join(", "))?;
            }
        }
        let forwards = self.forwards.iter().map(|mailbox| format!("forwarded to {mailbox}"));
        let places: Vec<_> = self.places.iter().map(ToString::to_string).chain(forwards).collect();
        match (&self.refusal, places.as_slice()) {
            (Some(reason), _) => write!(f, "rejected with \"{reason}\""),
            (None, []) => f.write_str("discarded"),
            (None, places) => f.write_str(&places.join(" and ")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("kept"),
            Self::Junk => f.write_str("taken for junk"),
            Self::Further(detail) => write!(f, "into the maildrop {detail}"),
        }
    }
}

/// What `rules` come to. The first rule that fits decides, and those behind it only where it goes on; where none has said
/// what becomes of the message, it goes where it would go without rules.
#[must_use]
pub fn decide(rules: &Rules, facts: &Facts<'_>) -> Decision {
    let mut effort = Effort::new(EFFORT_MAX);
    decided(rules, facts, &mut effort)
        .unwrap_or_else(|TooMuchWork| Decision { is_given_up: true, ..Decision::without_rules(facts.class) })
}

fn decided(rules: &Rules, facts: &Facts<'_>, effort: &mut Effort) -> Result<Decision, TooMuchWork> {
    let mut decision = Decision::default();
    let mut is_disposed_of = false;
    let mut vacation = None;
    for rule in &rules.rules {
        if !holds(&rule.condition, facts, effort)? {
            continue;
        }
        decision.lines.push(rule.line);
        for action in &rule.actions {
            if let Action::Vacation(first) = action {
                // RFC 5230 §4.7: one answer; the message goes where it goes without it.
                vacation = vacation.or(Some(first));
                continue;
            }
            is_disposed_of = true;
            match action {
                Action::Keep => decision.put(Place::Own),
                Action::Junk => decision.put(Place::Junk),
                Action::Maildrop(detail) => decision.put(Place::Further(detail.clone())),
                Action::Forward(mailbox) if !decision.forwards.contains(mailbox) => {
                    decision.forwards.push(mailbox.clone());
                }
                // What an earlier rule has put somewhere is not refused any more.
                Action::Reject(reason) if decision.places.is_empty() && decision.forwards.is_empty() => {
                    decision.refusal = Some(reason.clone());
                }
                Action::Forward(_) | Action::Discard | Action::Reject(_) | Action::Vacation(_) => {}
            }
        }
        if !rule.goes_on {
            break;
        }
    }
    if !is_disposed_of {
        decision.places = Decision::without_rules(facts.class).places;
    }
    if let Some(vacation) = vacation.filter(|_| !decision.places.is_empty() || !decision.forwards.is_empty())
    {
        let why_not = vacation.why_not(facts, &decision.places, effort)?;
        decision.answer = Some(Answer { vacation: vacation.clone(), why_not });
    }
    Ok(decision)
}

fn holds(condition: &Condition, facts: &Facts<'_>, effort: &mut Effort) -> Result<bool, TooMuchWork> {
    match condition {
        Condition::Always => Ok(true),
        Condition::Not(condition) => Ok(!holds(condition, facts, effort)?),
        Condition::All(all) => {
            for condition in all {
                if !holds(condition, facts, effort)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Condition::Any(any) => {
            for condition in any {
                if holds(condition, facts, effort)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Condition::Test(test) => is_true(test, facts, effort),
    }
}

fn is_true(test: &Test, facts: &Facts<'_>, effort: &mut Effort) -> Result<bool, TooMuchWork> {
    match test {
        Test::From(pattern) => pattern.fits_path(facts.reverse_path, effort),
        Test::To(pattern) => any(facts.recipients, |mailbox| pattern.fits_mailbox(mailbox, effort)),
        Test::Subaddress(pattern) => any(facts.recipients, |mailbox| match mailbox.subaddress() {
            Some((_, detail)) => pattern.fits_text(detail, effort),
            None => Ok(false),
        }),
        Test::Header(name, pattern) => header(name, pattern, facts, effort),
        Test::Exists(name) => {
            effort.take(facts.header.len())?;
            Ok(fields(facts.header).any(|field| field.is_called(name)))
        }
        Test::Over(octets) => Ok(facts.octets > *octets),
        Test::Under(octets) => Ok(facts.octets < *octets),
        Test::Authenticated => Ok(facts.is_authenticated),
        Test::Junk => Ok(facts.class.is_junk()),
    }
}

fn header(
    name: &str,
    pattern: &Pattern,
    facts: &Facts<'_>,
    effort: &mut Effort,
) -> Result<bool, TooMuchWork> {
    effort.take(facts.header.len())?;
    for field in fields(facts.header).filter(|field| field.is_called(name)) {
        let fits = match pattern.how {
            How::Is | How::Contains | How::Matches => pattern.fits_text(&field.text(effort)?, effort)?,
            How::Domain | How::LocalPart => {
                any(&field.mailboxes(effort)?, |mailbox| pattern.fits_mailbox(mailbox, effort))?
            }
        };
        if fits {
            return Ok(true);
        }
    }
    Ok(false)
}

fn any<T>(all: &[T], mut fits: impl FnMut(&T) -> Result<bool, TooMuchWork>) -> Result<bool, TooMuchWork> {
    for one in all {
        if fits(one)? {
            return Ok(true);
        }
    }
    Ok(false)
}
