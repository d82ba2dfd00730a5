//! Answers of somebody who is away (RFC 5230): what they say, and whom they may go to (RFC 3834 §2).

use std::fmt;

use mailwire::address::{Mailbox, ReversePath};
use mailwire::sasl;
use ring::digest;

use super::decision::Place;
use super::facts::Facts;
use super::fields::{Field, fields};
use super::pattern::{Effort, TooMuchWork};

/// Days between two answers to one sender, where the rule says nothing (RFC 5230 §4.1), and at most.
pub(super) const DAYS: u8 = 7;
pub(super) const DAYS_MAX: u8 = 30;
/// Most octets of a subject.
pub(super) const SUBJECT_OCTETS_MAX: usize = 200;
/// Most addresses that a rule names as the account's own.
pub(super) const ADDRESSES_MAX: usize = 50;
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Fields that name recipients (RFC 5230 §4.5).
const RECIPIENT_FIELDS: [&str; 6] = ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"];
/// Octets of a digest that tell one text from another; in base64 they have no padding.
const FINGERPRINT_OCTETS: usize = 15;

/// An answer that a rule gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacation {
    /// Lines of text.
    pub text: String,
    /// `None`: that of the message that is answered.
    pub subject: Option<String>,
    /// Days between two answers to one sender, 1 to 30.
    pub days: u8,
    /// Seconds since 1970 from when on it is given.
    pub from: Option<u64>,
    /// Seconds since 1970 at which it is given no more.
    pub until: Option<u64>,
    /// Addresses that are the account's own as well.
    pub addresses: Vec<Mailbox>,
}

/// Whether a message is answered, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// With this.
    pub vacation: Vacation,
    /// What speaks against it.
    pub why_not: Option<WhyNot>,
}

/// Why a message is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// The vacation begins later.
    NotYet,
    /// It is over.
    Over,
    /// The message comes from nobody (RFC 3834 §2, RFC 5321 §4.5.5).
    FromNobody,
    /// It is taken for junk.
    Junk,
    /// The checks say that somebody else may have sent it.
    Doubtful(String),
    /// A program has sent it, as this field says (RFC 3834 §2).
    Automatic(&'static str),
    /// It comes from a list or to many, as this field says (RFC 3834 §2, RFC 5230 §4.6).
    List(String),
    /// Nobody reads answers at such an address (RFC 3834 §2).
    NotAPerson,
    /// It comes from the account itself.
    OneSelf,
    /// It names the account nowhere (RFC 5230 §4.5).
    NotNamed,
    /// Its sender has been answered at this time (seconds since 1970), and not so many days have passed.
    Answered(u64),
    /// Nothing leaves this server.
    NothingLeaves,
}

impl Vacation {
    /// What tells this answer from another one: whoever has got that gets this one too (RFC 5230 §4.2).
    #[must_use]
    pub fn handle(&self) -> String {
        let text = format!("{}\0{}", self.subject.as_deref().unwrap_or_default(), self.text);
        fingerprint(&text)
    }

    /// Seconds between two answers to one sender.
    pub(crate) fn seconds(&self) -> u64 {
        u64::from(self.days).saturating_mul(DAY_SECONDS)
    }

    /// True once it is given no more.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// What speaks against an answer to a message that goes to these places.
    pub(super) fn why_not(
        &self,
        facts: &Facts<'_>,
        places: &[Place],
        effort: &mut Effort,
    ) -> Result<Option<WhyNot>, TooMuchWork> {
        let ReversePath::Mailbox(sender) = facts.reverse_path else { return Ok(Some(WhyNot::FromNobody)) };
        let why_not = if self.from.is_some_and(|from| facts.now < from) {
            Some(WhyNot::NotYet)
        } else if self.is_over(facts.now) {
            Some(WhyNot::Over)
        } else if places == [Place::Junk] || facts.class.is_junk() {
            Some(WhyNot::Junk)
        } else if let Some(doubt) = facts.doubt {
            Some(WhyNot::Doubtful(doubt.to_owned()))
        } else if self.is_own(sender, facts) {
            Some(WhyNot::OneSelf)
        } else if is_no_person(sender) {
            Some(WhyNot::NotAPerson)
        } else {
            None
        };
        if why_not.is_some() {
            return Ok(why_not);
        }
        effort.take(facts.header.len())?;
        let spoken = fields(facts.header).find_map(|field| speaks_against(&field));
        if spoken.is_some() {
            return Ok(spoken);
        }
        Ok(if self.names_account(facts, effort)? { None } else { Some(WhyNot::NotNamed) })
    }

    /// True for an address of the account.
    fn is_own(&self, mailbox: &Mailbox, facts: &Facts<'_>) -> bool {
        let key = mailbox.key_in_a_labels();
        let base = mailbox.subaddress().map(|(base, _)| base.key_in_a_labels());
        let mut own = self.addresses.iter().chain(facts.personal).chain([facts.account]);
        own.any(|own| {
            let own = own.key_in_a_labels();
            own == key || base.as_ref() == Some(&own)
        })
    }

    fn names_account(&self, facts: &Facts<'_>, effort: &mut Effort) -> Result<bool, TooMuchWork> {
        let names_recipients = |field: &Field<'_>| RECIPIENT_FIELDS.iter().any(|name| field.is_called(name));
        for field in fields(facts.header).filter(names_recipients) {
            for mailbox in field.mailboxes(effort)? {
                effort.take(100)?;
                if self.is_own(&mailbox, facts) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// A short word that another text does not have.
pub(in super::super) fn fingerprint(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    sasl::encode(digest.as_ref().get(..FINGERPRINT_OCTETS).unwrap_or_default())
}

/// RFC 3834 §2: such messages are not answered.
fn speaks_against(field: &Field<'_>) -> Option<WhyNot> {
    let word = || field.words().next().unwrap_or_default();
    if field.is_called("auto-submitted") && word() != b"no" {
        return Some(WhyNot::Automatic("Auto-Submitted"));
    }
    // How Exchange and its like say so.
    let suppressed = [b"all".as_slice(), b"autoreply", b"oof"];
    if field.is_called("x-auto-response-suppress") && field.words().any(|word| suppressed.contains(&&*word)) {
        return Some(WhyNot::Automatic("X-Auto-Response-Suppress"));
    }
    if field.is_called("precedence") && [b"bulk".as_slice(), b"list", b"junk"].contains(&&*word()) {
        return Some(WhyNot::List("Precedence".to_owned()));
    }
    // RFC 2369, RFC 2919 and their like.
    field.begins_with("list-").then(|| WhyNot::List(field.shown_name()))
}

/// RFC 3834 §2: owners of lists, servers, and those who say themselves that nobody reads there.
fn is_no_person(sender: &Mailbox) -> bool {
    const NAMES: [&str; 9] = [
        "mailer-daemon",
        "postmaster",
        "listserv",
        "majordomo",
        "mailman",
        "noreply",
        "no-reply",
        "donotreply",
        "do-not-reply",
    ];
    const BEGINNINGS: [&str; 5] = ["owner-", "bounce-", "bounces-", "bounce+", "bounces+"];
    const ENDS: [&str; 4] = ["-request", "-owner", "-bounces", "-bounce"];
    let name = sender.local_part().as_str().to_lowercase();
    let name = name.as_str();
    let stem = name.split_once('+').map_or(name, |(stem, _)| stem);
    NAMES.contains(&name)
        || NAMES.contains(&stem)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDS.iter().any(|end| name.ends_with(end) || stem.ends_with(end))
}

/// As it stands in the trace, behind what the rules have come to.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why_not {
            None => f.write_str("its sender is answered"),
            Some(why_not) => write!(f, "its sender is not answered: {why_not}"),
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet => f.write_str("the vacation begins later"),
            Self::Over => f.write_str("the vacation is over"),
            Self::FromNobody => f.write_str("it comes from nobody"),
            Self::Junk => f.write_str("it is taken for junk"),
            Self::Doubtful(doubt) => write!(f, "somebody else may have sent it ({doubt})"),
            Self::Automatic(field) => write!(f, "a program has sent it ({field})"),
            Self::List(field) => write!(f, "it comes from a list, or to many ({field})"),
            Self::NotAPerson => f.write_str("nobody reads answers there"),
            Self::OneSelf => f.write_str("it comes from the account itself"),
            Self::NotNamed => {
                f.write_str("neither To nor Cc names the account (`addresses` tells its other names)")
            }
            Self::Answered(at) => write!(f, "the last answer to it was on {}", crate::trace::date_time(*at)),
            Self::NothingLeaves => f.write_str("nothing leaves here ([relay] enabled)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::filing::rules::{Rules, decide};
    use crate::session::Class;

    const NOW: u64 = 1_800_000_000;
    static ALICE: LazyLock<Mailbox> = LazyLock::new(|| mailbox("alice@example.test"));
    static ALIASES: LazyLock<[Mailbox; 1]> = LazyLock::new(|| [mailbox("sales@example.test")]);

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    fn facts<'a>(reverse_path: &'a ReversePath, header: &'a str) -> Facts<'a> {
        Facts {
            reverse_path,
            recipients: &*ALIASES,
            octets: 1000,
            header: header.as_bytes(),
            is_authenticated: false,
            class: &Class::Wanted,
            account: &ALICE,
            personal: &*ALIASES,
            now: NOW,
            doubt: None,
        }
    }

    fn from(text: &str) -> ReversePath {
        ReversePath::Mailbox(mailbox(text))
    }

    fn answer(rules: &str, facts: &Facts<'_>) -> Option<Answer> {
        decide(&Rules::parse(rules).unwrap(), facts).answer
    }

    fn why_not(rules: &str, facts: &Facts<'_>) -> Option<WhyNot> {
        answer(rules, facts).unwrap().why_not
    }

    const AWAY: &str = "always vacation \"I am away.\" addresses \"a.smith@other.example\"";

    #[test]
    fn who_names_the_account_is_answered() {
        for header in [
            "To: Alice <ALICE@example.test>\r\n",
            "to: x@y, \"Team, all\" <t@y>,\r\n a.smith@other.example\r\n",
            "Cc: alice+shop@example.test\r\n\r\n",
            "To: list@x.example\r\nResent-To: sales@Example.test\r\n",
            "To: alice@example.test\r\nAuto-Submitted: No (really)\r\nPrecedence: first-class\r\n",
            "To: alice@example.test\r\nX-Auto-Response-Suppress: DR, RN\r\nX-List-Foo: x\r\n",
            "Bcc: group: bob@x.example, alice@example.test;\r\n",
        ] {
            assert_eq!(why_not(AWAY, &facts(&from("bob@x.example"), header)), None, "{header}");
        }
    }

    #[test]
    fn who_must_not_be_answered_is_not() {
        let to = "To: alice@example.test\r\n";
        let with = |field: &str| format!("{to}{field}\r\n");
        let list = |field: &str| Some(WhyNot::List(field.to_owned()));
        let automatic = |field| Some(WhyNot::Automatic(field));
        let bob = from("bob@x.example");
        for (header, expected) in [
            ("To: bob@x.example\r\nSubject: alice@example.test\r\n".to_owned(), Some(WhyNot::NotNamed)),
            ("From: alice@example.test\r\n\r\nTo: alice@example.test\r\n".to_owned(), Some(WhyNot::NotNamed)),
            (with("Auto-Submitted: auto-replied"), automatic("Auto-Submitted")),
            (with("AUTO-SUBMITTED:\r\n Auto-Generated; x=y"), automatic("Auto-Submitted")),
            (with("Auto-Submitted:"), automatic("Auto-Submitted")),
            (with("X-Auto-Response-Suppress: DR, OOF"), automatic("X-Auto-Response-Suppress")),
            (with("X-Auto-Response-Suppress: All"), automatic("X-Auto-Response-Suppress")),
            (with("List-Id: <x.y>"), list("List-Id")),
            (with("list-unsubscribe: <mailto:x@y>"), list("list-unsubscribe")),
            (with("Precedence: Bulk"), list("Precedence")),
            (with("Precedence: list"), list("Precedence")),
            (with("Precedence: junk"), list("Precedence")),
        ] {
            assert_eq!(why_not(AWAY, &facts(&bob, &header)), expected, "{header}");
        }
        assert_eq!(why_not(AWAY, &facts(&ReversePath::Null, to)), Some(WhyNot::FromNobody));
        for sender in
            ["Alice@example.test", "alice+x@example.test", "sales@example.test", "a.smith@other.example"]
        {
            assert_eq!(why_not(AWAY, &facts(&from(sender), to)), Some(WhyNot::OneSelf), "{sender}");
        }
        for sender in [
            "MAILER-DAEMON",
            "Postmaster",
            "owner-dev",
            "dev-owner",
            "dev-request",
            "dev-bounces+alice=example.test",
            "bounce-12345",
            "no-reply",
            "noreply+17",
            "listserv",
        ] {
            let sender = from(&format!("{sender}@x.example"));
            assert_eq!(why_not(AWAY, &facts(&sender, to)), Some(WhyNot::NotAPerson), "{sender}");
        }
        for sender in ["request", "bouncer", "owner", "majordomus"] {
            assert_eq!(why_not(AWAY, &facts(&from(&format!("{sender}@x.example")), to)), None, "{sender}");
        }
    }

    #[test]
    fn what_is_junk_or_may_be_forged_is_not_answered() {
        let bob = from("bob@x.example");
        let fair = facts(&bob, "To: alice@example.test\r\n");
        let junk = Class::Junk("x".to_owned());
        assert_eq!(why_not(AWAY, &Facts { class: &junk, ..fair.clone() }), Some(WhyNot::Junk));
        let doubt = Facts { doubt: Some("spf=fail"), ..fair.clone() };
        assert_eq!(why_not(AWAY, &doubt), Some(WhyNot::Doubtful("spf=fail".to_owned())));
        let taken = format!("{AWAY} and go on\nalways junk");
        assert_eq!(why_not(&taken, &fair), Some(WhyNot::Junk));
        // Whoever throws mail away, or does not take it, does not answer it.
        for other in ["discard", "reject \"no\""] {
            assert_eq!(answer(&format!("{AWAY} and go on\nalways {other}"), &fair), None, "{other}");
        }
    }

    #[test]
    fn a_vacation_ends_by_itself() {
        let bob = from("bob@x.example");
        let at = |now| Facts { now, ..facts(&bob, "To: alice@example.test\r\n") };
        let rules = "always vacation \"x\" until 2027-01-16 days 3 from 2027-01-15";
        let (begin, end) = (1_799_971_200, 1_799_971_200 + 2 * DAY_SECONDS);
        for (now, expected) in
            [(begin - 1, Some(WhyNot::NotYet)), (begin, None), (end - 1, None), (end, Some(WhyNot::Over))]
        {
            assert_eq!(why_not(rules, &at(now)), expected, "{now}");
        }
    }

    #[test]
    fn an_answer_keeps_the_mail_and_the_first_one_counts() {
        let bob = from("bob@x.example");
        let facts = facts(&bob, "To: alice@example.test\r\n");
        let decided = |rules: &str| decide(&Rules::parse(rules).unwrap(), &facts);
        let alone = decided(AWAY);
        assert_eq!(alone.to_string(), "line 1: kept");
        assert_eq!(alone.answer.unwrap().to_string(), "its sender is answered");
        let two =
            decided("always vacation \"one\" and go on\nalways vacation \"two\" and forward \"x@y.example\"");
        assert_eq!(two.to_string(), "lines 1, 2: forwarded to x@y.example");
        assert_eq!(two.answer.unwrap().vacation.text, "one");
    }

    #[test]
    fn another_text_is_another_answer() {
        let of = |rules: &str| {
            let bob = from("bob@x.example");
            answer(rules, &facts(&bob, "")).unwrap().vacation.handle()
        };
        let one = of("always vacation \"x\"");
        assert_eq!(one, of("always vacation \"x\" days 2"));
        assert!(one.len() == 20 && !one.contains(' '), "{one}");
        assert_ne!(one, of("always vacation \"y\""));
        assert_ne!(one, of("always vacation \"x\" subject \"y\""));
    }
}
