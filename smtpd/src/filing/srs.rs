//! The Sender Rewriting Scheme: mail that is forwarded has a sender of ours, to whom reports come back, and whoever gets one of
//! them knows whom it is for.
//!
//! ```text
//! SRS0=HASH=TT=domain=local@ours           for local@domain
//! SRS1=HASH=first==REST@ours               for SRS0=REST@first, which somebody has rewritten before us
//! ```
//!
//! No RFC has it; these are the forms that are in use. The hash is ours alone, so nobody makes such addresses up; `TT` is the
//! day, and an address is of no use long after it.

use mailwire::address::{Mailbox, ReversePath};
use mailwire::secret::Secret;
use ring::hmac;

/// Characters of the hash, of five bits each: as many guesses as nobody makes by naming recipients.
const HASH_CHARACTERS: usize = 6;
/// Days for which reports come back: longer than anybody tries to deliver a message.
const DAYS_MAX: u64 = 21;
/// Days after which `TT` is the same again.
const DAYS_ROUND: u64 = 1024;
const DAY_SECONDS: u64 = 24 * 60 * 60;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// An address that looks like one of these and is none that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWayBack {
    /// Its hash is not ours, or it cannot be read.
    Forged,
    /// It is too old.
    Aged,
}

/// Rewrites senders, and knows its own again.
pub struct Srs(hmac::Key);

/// True for what looks like one.
#[must_use]
pub fn is_rewritten(mailbox: &Mailbox) -> bool {
    let local_part = mailbox.local_part().as_str();
    behind(local_part, "srs0").or_else(|| behind(local_part, "srs1")).is_some()
}

/// What stands behind the tag and its separator, which are in any case.
fn behind<'a>(local_part: &'a str, tag: &str) -> Option<&'a str> {
    let (found, rest) = local_part.split_at_checked(tag.len())?;
    let rest = rest.strip_prefix(['=', '+', '-'])?;
    found.eq_ignore_ascii_case(tag).then_some(rest)
}

impl Srs {
    /// With a secret that nobody else knows.
    #[must_use]
    pub fn new(secret: &Secret<[u8; 32]>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    /// The sender under which a message from `sender` is forwarded, by an address in the domain of `ours`. Where such an address
    /// would be longer than an address may be, nobody gets reports.
    #[must_use]
    pub fn forward(&self, sender: &Mailbox, ours: &Mailbox, now: u64) -> ReversePath {
        let (local_part, domain) = (sender.local_part().as_str(), sender.domain().to_string());
        let tagged = if let Some(rest) = behind(local_part, "srs0") {
            self.tagged("SRS1", &format!("{domain}=={rest}"))
        } else if let Some(rest) = behind(local_part, "srs1").and_then(|rest| rest.split_once('=')) {
            // The one who has rewritten it first is the one who knows whom it is for.
            self.tagged("SRS1", rest.1)
        } else {
            self.tagged("SRS0", &format!("{}={domain}={local_part}", day(now)))
        };
        let address = Mailbox::parse(&format!("{tagged}@{}", ours.domain()));
        address.map_or(ReversePath::Null, ReversePath::Mailbox)
    }

    fn tagged(&self, tag: &str, rest: &str) -> String {
        format!("{tag}={}={rest}", self.hash(tag, rest))
    }

    /// Some mail servers change the case of what they send back.
    fn hash(&self, tag: &str, rest: &str) -> String {
        let text = format!("{tag}={rest}").to_lowercase();
        text_of(hmac::sign(&self.0, text.as_bytes()).as_ref(), HASH_CHARACTERS)
    }

    /// Whom a report for `mailbox` is for.
    ///
    /// # Errors
    /// Where it is not one of ours, or too old.
    pub fn back(&self, mailbox: &Mailbox, now: u64) -> Result<Mailbox, NoWayBack> {
        let local_part = mailbox.local_part().as_str();
        let srs0 = behind(local_part, "srs0").map(|rest| ("SRS0", rest));
        let (tag, rest) = srs0
            .or_else(|| behind(local_part, "srs1").map(|rest| ("SRS1", rest)))
            .ok_or(NoWayBack::Forged)?;
        let (hash, rest) = rest.split_once('=').ok_or(NoWayBack::Forged)?;
        if !hash.eq_ignore_ascii_case(&self.hash(tag, rest)) {
            return Err(NoWayBack::Forged);
        }
        let address = if tag == "SRS1" {
            let (first, rest) = rest.split_once("==").ok_or(NoWayBack::Forged)?;
            format!("SRS0={rest}@{first}")
        } else {
            let mut parts = rest.splitn(3, '=');
            let (Some(made), Some(domain), Some(local_part)) = (parts.next(), parts.next(), parts.next())
            else {
                return Err(NoWayBack::Forged);
            };
            let is_young = (0..=DAYS_MAX).any(|days| {
                let then = now.saturating_sub(days.saturating_mul(DAY_SECONDS));
                made.eq_ignore_ascii_case(&day(then))
            });
            if !is_young {
                return Err(NoWayBack::Aged);
            }
            format!("{local_part}@{domain}")
        };
        Mailbox::parse(&address).map_err(|_| NoWayBack::Forged)
    }

    /// What stands in a message that an account has forwarded, so that it knows it again; nobody else can tell whose it is.
    pub(crate) fn mark(&self, account: &Mailbox) -> String {
        let text = format!("mark {}", account.key());
        text_of(hmac::sign(&self.0, text.as_bytes()).as_ref(), 16)
    }
}

/// The day, in two characters.
fn day(now: u64) -> String {
    let days = (now / DAY_SECONDS) % DAYS_ROUND;
    let low = u8::try_from(days % 32).unwrap_or(0);
    let high = u8::try_from(days / 32).unwrap_or(0);
    text_of(&[high, low], 2)
}

/// A character an octet, by its last five bits.
fn text_of(octets: &[u8], characters: usize) -> String {
    let character = |octet: &u8| ALPHABET.get(usize::from(octet % 32)).copied().map_or('a', char::from);
    octets.iter().take(characters).map(character).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn srs(secret: u8) -> Srs {
        Srs::new(&Secret::new([secret; 32]))
    }

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    fn forwarded(sender: &str) -> Mailbox {
        match srs(1).forward(&mailbox(sender), &mailbox("x@ours.test"), NOW) {
            ReversePath::Mailbox(mailbox) => mailbox,
            ReversePath::Null => panic!("no address for {sender}"),
        }
    }

    #[test]
    fn reports_find_their_way_back_while_the_address_is_young() {
        let ours = forwarded("Bob.Smith@there.example");
        assert!(
            ours.text().starts_with("SRS0=") && ours.text().ends_with("=there.example=Bob.Smith@ours.test")
        );
        assert!(is_rewritten(&ours));
        let shouted = mailbox(&ours.text().to_uppercase());
        for days in [0, 1, DAYS_MAX] {
            let now = NOW + days * DAY_SECONDS;
            assert_eq!(srs(1).back(&ours, now), Ok(mailbox("Bob.Smith@there.example")), "{days}");
            assert!(srs(1).back(&shouted, now).is_ok());
        }
        assert_eq!(srs(1).back(&ours, NOW + (DAYS_MAX + 1) * DAY_SECONDS), Err(NoWayBack::Aged));
        assert_eq!(srs(2).back(&ours, NOW), Err(NoWayBack::Forged));
        let other = mailbox(&ours.text().replace("Bob", "Eve"));
        assert_eq!(srs(1).back(&other, NOW), Err(NoWayBack::Forged));
    }

    #[test]
    fn what_was_rewritten_before_goes_back_to_whoever_has_done_it_first() {
        let first = "SRS0=abcd=ef=there.example=bob@first.example";
        let ours = forwarded(first);
        assert!(
            ours.text().starts_with("SRS1=") && ours.text().contains("=first.example==abcd=ef="),
            "{ours}"
        );
        assert_eq!(srs(1).back(&ours, NOW), Ok(mailbox(first)));
        let again = forwarded("SRS1=zzzz=first.example==abcd=ef=there.example=bob@second.example");
        assert_eq!(srs(1).back(&again, NOW), Ok(mailbox(first)));
    }

    #[test]
    fn an_address_that_would_be_too_long_is_none() {
        let long = mailbox(&format!("{}@there.example", "x".repeat(60)));
        assert_eq!(srs(1).forward(&long, &mailbox("x@ours.test"), NOW), ReversePath::Null);
    }

    #[test]
    fn other_addresses_are_nobodys() {
        for other in ["bob@ours.test", "srs0@ours.test", "srs01=x@ours.test", "xsrs0=a=b@ours.test"] {
            assert!(!is_rewritten(&mailbox(other)), "{other}");
        }
        for forged in
            ["srs0=@ours.test", "SRS0=a=b=c=d@ours.test", "SRS1=a=b@ours.test", "srs1=a=b==c@ours.test"]
        {
            assert_eq!(srs(1).back(&mailbox(forged), NOW), Err(NoWayBack::Forged), "{forged}");
        }
    }

    proptest! {
        #[test]
        fn every_sender_comes_back_or_has_no_address(local_part in "[a-zA-Z0-9=+._-]{1,40}", days in 0..5000_u64) {
            if let Ok(sender) = Mailbox::parse(&format!("{local_part}@there.example")) {
                let now = NOW + days * DAY_SECONDS;
                match srs(1).forward(&sender, &mailbox("x@ours.test"), now) {
                    ReversePath::Mailbox(ours) if !is_rewritten(&sender) => prop_assert_eq!(srs(1).back(&ours, now), Ok(sender)),
                    ReversePath::Mailbox(_) | ReversePath::Null => {}
                }
            }
        }
    }
}
