//! Answers of several lines: capabilities, mechanisms and languages.

use std::borrow::Cow;

use mailstore::{CommonRules, Expiry};
use mailwire::pop3::Reply;
use mailwire::sasl::{Mechanism, Surroundings};

use super::{Answer, Language};
use crate::session::{Login, Offer, Stls};

/// What AUTH alone shows: a form older than RFC 5034 that Outlook and old K-9 use.
pub(crate) fn mechanisms(language: Language, surroundings: &Surroundings) -> Answer {
    let names = surroundings.mechanisms().map(|mechanism| Cow::Borrowed(mechanism.name())).collect();
    Answer::Lines(Reply::ok(language.texts().mechanisms_follow), names)
}

/// RFC 2449 §5: what is true at this moment of the session. Where nobody knows what holds for maildrops, nothing is said
/// of it.
pub(crate) fn capabilities(
    language: Language,
    offer: Offer,
    surroundings: &Surroundings,
    rules: Option<&CommonRules>,
) -> Answer {
    let mut lines = vec![
        Cow::Borrowed("TOP"),
        Cow::Borrowed("UIDL"),
        Cow::Borrowed("RESP-CODES"),
        Cow::Borrowed("AUTH-RESP-CODE"),
        Cow::Borrowed("PIPELINING"),
    ];
    if let Some(rules) = rules {
        lines.push(expire(rules));
        lines.extend(login_delay(rules));
    }
    lines.push(Cow::Borrowed("LANG"));
    match offer.login {
        Login::Allowed => {
            // RFC 6856 §2.2: names and passwords may be in UTF-8. Where nobody logs in, UTF8 would only keep TLS out.
            lines.push(Cow::Borrowed("UTF8 USER"));
            lines.push(Cow::Borrowed("USER"));
            let names: Vec<_> = surroundings.mechanisms().map(Mechanism::name).collect();
            lines.push(Cow::Owned(format!("SASL {}", names.join(" "))));
        }
        Login::NeedsTls => {}
    }
    match offer.stls {
        Stls::Offered => lines.push(Cow::Borrowed("STLS")),
        Stls::Active | Stls::Unavailable | Stls::TooLate => {}
    }
    lines.push(Cow::Borrowed("IMPLEMENTATION mailstack"));
    Answer::Lines(Reply::ok(language.texts().capabilities_follow), lines)
}

/// RFC 2449 §6.7: before login the soonest of all accounts, with USER where it is not that of all.
fn expire(rules: &CommonRules) -> Cow<'static, str> {
    match (rules.expiry.value, rules.expiry.differs) {
        (Expiry::Never, _) => Cow::Borrowed("EXPIRE NEVER"),
        (Expiry::Days(days), false) => Cow::Owned(format!("EXPIRE {days}")),
        (Expiry::Days(days), true) => Cow::Owned(format!("EXPIRE {days} USER")),
    }
}

/// RFC 2449 §6.5: before login the longest of all accounts, with USER where it is not that of all; nothing where there
/// is none.
fn login_delay(rules: &CommonRules) -> Option<Cow<'static, str>> {
    let seconds = rules.login_delay_seconds.value;
    match (seconds, rules.login_delay_seconds.differs) {
        (0, _) => None,
        (_, false) => Some(Cow::Owned(format!("LOGIN-DELAY {seconds}"))),
        (_, true) => Some(Cow::Owned(format!("LOGIN-DELAY {seconds} USER"))),
    }
}

/// RFC 6856 §3.2: a language listing is a tag, a blank, and what the language calls itself.
pub(crate) fn languages(language: Language) -> Answer {
    let listings = Language::ALL.map(|one| Cow::Owned(format!("{} {}", one.tag(), one.name())));
    Answer::Lines(Reply::ok(language.texts().languages_follow), listings.into())
}
