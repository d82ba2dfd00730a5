//! Answers of several lines: capabilities, mechanisms and languages.

use std::borrow::Cow;

use mailwire::pop3::Reply;
use mailwire::sasl::{Mechanism, Surroundings};

use super::{Answer, Language};
use crate::session::{Login, Offer, Stls};

/// What AUTH alone shows: a form older than RFC 5034 that Outlook and old K-9 use.
pub(crate) fn mechanisms(language: Language, surroundings: &Surroundings) -> Answer {
    let names = surroundings.mechanisms().map(|mechanism| Cow::Borrowed(mechanism.name())).collect();
    Answer::Lines(Reply::ok(language.texts().mechanisms_follow), names)
}

/// RFC 2449 §5: what is true at this moment of the session.
pub(crate) fn capabilities(language: Language, offer: Offer, surroundings: &Surroundings) -> Answer {
    let mut lines = vec![
        Cow::Borrowed("TOP"),
        Cow::Borrowed("UIDL"),
        Cow::Borrowed("RESP-CODES"),
        Cow::Borrowed("AUTH-RESP-CODE"),
        Cow::Borrowed("PIPELINING"),
        Cow::Borrowed("EXPIRE NEVER"),
        Cow::Borrowed("LANG"),
    ];
    match offer.login {
        Login::Allowed => {
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

/// RFC 6856 §3.2: a language listing is a tag, a blank, and what the language calls itself.
pub(crate) fn languages(language: Language) -> Answer {
    let listings = Language::ALL.map(|one| Cow::Owned(format!("{} {}", one.tag(), one.name())));
    Answer::Lines(Reply::ok(language.texts().languages_follow), listings.into())
}
