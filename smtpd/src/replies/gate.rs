//! What strangers hear who may not bring their mail, or not yet.

use mailwire::smtp::{Enhanced, Reply};

use crate::gate::Listing;

/// RFC 5321 §4.2.2, 554, at RCPT; RFC 3463 §3.8, X.7.1; with the list's own words (RFC 5782 §2.1).
pub(crate) fn listed(Listing { subject, list, reason }: &Listing) -> Reply {
    let reply = Reply::new(
        554,
        Enhanced(5, 7, 1),
        format!("Mail from {subject} is refused, it is listed by {list}: please ask there to be taken off"),
    );
    match reason {
        Some(reason) => reply.and(reason.clone()),
        None => reply,
    }
}

/// RFC 6647 §2.4, §2.5: a temporary refusal, at RCPT or when content is to come; RFC 3463 §3.8, X.7.1.
pub(crate) fn greylisted(seconds: u64) -> Reply {
    let seconds = seconds.max(1);
    Reply::new(
        451,
        Enhanced(4, 7, 1),
        format!("You are not known here yet, please try again in {seconds} seconds (greylisting)"),
    )
}

/// RFC 5321 §4.2.2, 550 to content; RFC 3463 §3.8, X.7.1.
pub(crate) fn taken_for_junk() -> Reply {
    Reply::new(
        550,
        Enhanced(5, 7, 1),
        "The message is taken for junk or harmful: if it is neither, please write to the postmaster",
    )
}

/// RFC 5321 §4.2.4, 451 to content; RFC 3463 §3.8, X.7.1.
pub(crate) fn scanner_put_off() -> Reply {
    Reply::new(451, Enhanced(4, 7, 1), "The message cannot be looked at or taken now, please try again later")
}

/// RFC 5321 §4.2.2, 550 to a recipient, where a milter has no words of its own; RFC 3463 §3.8, X.7.1.
pub(crate) fn milter_refused() -> Reply {
    Reply::new(
        550,
        Enhanced(5, 7, 1),
        "Mail from you to this recipient is not wanted here: if it should be, please write to the postmaster",
    )
}

/// RFC 5321 §3.8, 421: a milter wants the client sent away; RFC 3463 §3.8, X.7.0.
pub(crate) fn milter_sends_away() -> Reply {
    Reply::new(421, Enhanced(4, 7, 0), "No mail is taken from you now, please try again later")
}

/// A milter's own words, of class 4 or 5, with the enhanced code that it gives or one of that class; RFC 3463 §3.8, X.7.1.
pub(crate) fn of_milter(said: &Reply) -> Reply {
    let class = if said.code() >= 500 { 5 } else { 4 };
    let enhanced = said.enhanced().filter(|enhanced| enhanced.0 == class).unwrap_or(Enhanced(class, 7, 1));
    let mut lines = said.lines().map(str::to_owned);
    let first = Reply::new(said.code(), enhanced, lines.next().unwrap_or_default());
    lines.fold(first, Reply::and)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_junk_is_refused_for_good() {
        for (reply, code, class) in [
            (greylisted(0), 451, 4),
            (taken_for_junk(), 550, 5),
            (scanner_put_off(), 451, 4),
            (milter_refused(), 550, 5),
        ] {
            assert_eq!((reply.code(), reply.enhanced()), (code, Some(Enhanced(class, 7, 1))));
            assert!(reply.lines().all(|line| line.len() <= 110 && line.contains(", ")), "{reply:?}");
        }
    }

    #[test]
    fn who_is_listed_hears_where_and_why() {
        let listing = Listing { subject: "192.0.2.1".to_owned(), list: "bl.test".to_owned(), reason: None };
        let mut octets = Vec::new();
        listed(&Listing { reason: Some("see https://bl.test/".to_owned()), ..listing.clone() })
            .encode(&mut octets);
        let text = "554-5.7.1 Mail from 192.0.2.1 is refused, it is listed by bl.test: please ask there to be taken off\r\n\
                    554 5.7.1 see https://bl.test/\r\n";
        assert_eq!(String::from_utf8(octets).unwrap(), text);
        assert_eq!(listed(&listing).lines().count(), 1);
    }
}
