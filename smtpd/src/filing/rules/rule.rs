//! Conditions and actions, as the parser gives them: within their limits.

use mailstore::Detail;
use mailwire::address::Mailbox;

use super::pattern::Pattern;
use super::reason::Reason;
use super::vacation::Vacation;

/// Most rules of an account.
pub(super) const RULES_MAX: usize = 200;
/// Most values of all tests together.
pub(super) const VALUES_MAX: usize = 1000;
/// Most addresses that a message is forwarded to.
pub(super) const FORWARDS_MAX: usize = 10;
/// How deep conditions may lie in parentheses.
pub(super) const DEPTH_MAX: usize = 8;

/// An account's rules, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub(super) rules: Vec<Rule>,
}

/// What is done with which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Where it begins, from 1.
    pub(super) line: usize,
    pub(super) condition: Condition,
    pub(super) actions: Vec<Action>,
    /// The rules behind it are looked at as well.
    pub(super) goes_on: bool,
}

/// Which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Test(Test),
}

/// One thing that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Whom reports go to (RFC 5321 §4.1.1.2).
    From(Pattern),
    /// An address by which the message has come to this account.
    To(Pattern),
    /// What stands behind the `+` of such an address.
    Subaddress(Pattern),
    /// A field of this name, in lower case.
    Header(String, Pattern),
    /// There is a field of this name.
    Exists(String),
    /// Octets of the content.
    Over(u64),
    Under(u64),
    /// It was submitted by somebody who has logged in.
    Authenticated,
    /// A check has taken it for junk.
    Junk,
}

impl Action {
    /// The keyword of what has nothing beside it: what goes nowhere is not put anywhere (RFC 5429 §2.4, RFC 5228 §4.4).
    pub(super) const fn alone(&self) -> Option<&'static str> {
        match self {
            Self::Discard => Some("discard"),
            Self::Reject(_) => Some("reject"),
            Self::Keep | Self::Junk | Self::Maildrop(_) | Self::Forward(_) | Self::Vacation(_) => None,
        }
    }
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It goes where it would go without rules if it were no junk.
    Keep,
    Junk,
    Maildrop(Detail),
    Forward(Mailbox),
    Discard,
    /// It is not taken, and its sender is told so.
    Reject(Reason),
    /// Its sender is answered.
    Vacation(Vacation),
}

impl Rules {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rules.len()
    }

    /// True where there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The answer with this handle.
    #[must_use]
    pub fn vacation(&self, handle: &str) -> Option<&Vacation> {
        let mut vacations =
            self.rules.iter().flat_map(|rule| &rule.actions).filter_map(|action| match action {
                Action::Vacation(vacation) => Some(vacation),
                Action::Keep
                | Action::Junk
                | Action::Maildrop(_)
                | Action::Forward(_)
                | Action::Discard
                | Action::Reject(_) => None,
            });
        vacations.find(|vacation| vacation.handle() == handle)
    }

    /// The further maildrops that mail is put into.
    pub fn maildrops(&self) -> impl Iterator<Item = &Detail> {
        self.rules.iter().flat_map(|rule| &rule.actions).filter_map(|action| match action {
            Action::Maildrop(detail) => Some(detail),
            Action::Keep
            | Action::Junk
            | Action::Forward(_)
            | Action::Discard
            | Action::Reject(_)
            | Action::Vacation(_) => None,
        })
    }
}
