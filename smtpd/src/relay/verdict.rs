//! What one attempt came to for one recipient: whether it is done, and how reports and traces say so (RFC 3463).

use mailwire::cause::chain;
use mailwire::smtp::client::{Reason, Verdict};
use mailwire::smtp::{Enhanced, Reply};

use super::link::Obstacle;
use super::names::NoRoute;

/// Most characters of another server's words that are kept.
const WORDS_CHARACTERS_MAX: usize = 1000;

/// What one attempt came to for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) fate: Fate,
    /// The code of reports.
    pub(super) status: Enhanced,
    /// The other server's reply, or what went wrong here.
    pub(super) said: String,
    /// Whether `said` are the other server's words.
    pub(super) is_reply: bool,
}

/// Whether a recipient is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The other server has taken the message for it.
    Taken,
    /// Trying again may help.
    Later,
    /// Trying again does not help.
    Never,
}

impl Finding {
    /// What the client session found.
    pub(super) fn of_verdict(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Accepted(reply) => Self::of_reply(Fate::Taken, reply, ""),
            Verdict::Deferred(reason) => Self::of_reason(Fate::Later, reason),
            Verdict::Refused(reason) => Self::of_reason(Fate::Never, reason),
        }
    }

    fn of_reason(fate: Fate, reason: &Reason) -> Self {
        let status = match reason {
            Reason::Reply { command, reply } => return Self::of_reply(fate, reply, command),
            // RFC 6531 §3.5: X.6.7, non-ASCII addresses not permitted.
            Reason::NoSmtpUtf8 => Enhanced(5, 6, 7),
            // X.6.3: conversion required but not supported.
            Reason::NoEightBitMime => Enhanced(5, 6, 3),
            // RFC 8689 §5: X.7.30, REQUIRETLS support required.
            Reason::NoRequireTls => Enhanced(5, 7, 30),
            // X.3.4: message too big for system.
            Reason::TooLarge { .. } => Enhanced(5, 3, 4),
            Reason::NotReady => Enhanced(4, 4, 2),
        };
        Self { fate, status, said: reason.to_string(), is_reply: false }
    }

    fn of_reply(fate: Fate, reply: &Reply, command: &str) -> Self {
        let class = match fate {
            Fate::Taken => 2,
            Fate::Later => 4,
            Fate::Never => 5,
        };
        let said = reply.enhanced().filter(|enhanced| enhanced.0 == class);
        let status = said.unwrap_or_else(|| usual(class, reply.code(), command));
        Self { fate, status, said: cut(reply.to_string()), is_reply: true }
    }

    /// There was no session, or it has broken.
    pub(super) fn of_obstacle(obstacle: &Obstacle) -> Self {
        let fate = if obstacle.is_permanent() { Fate::Never } else { Fate::Later };
        let (said, is_reply) = match obstacle.reply() {
            Some(reply) => (reply.to_string(), true),
            None => (chain(obstacle), false),
        };
        Self { fate, status: obstacle.enhanced(), said: cut(said), is_reply }
    }

    /// The session has broken behind the final dot: RFC 5321 §4.5.4.2 has no way around it.
    pub(super) fn in_doubt(obstacle: &Obstacle) -> Self {
        let found = Self::of_obstacle(obstacle);
        let said = format!(
            "{}; nobody knows whether the message was taken, so that it is sent again and may arrive twice",
            found.said
        );
        Self { fate: Fate::Later, said, is_reply: false, ..found }
    }

    /// There is no host to connect to.
    pub(super) fn of_no_route(no_route: &NoRoute) -> Self {
        let fate = if no_route.is_permanent() { Fate::Never } else { Fate::Later };
        Self { fate, status: no_route.enhanced(), said: no_route.to_string(), is_reply: false }
    }

    /// It is in its recipient's maildrop here.
    pub(super) fn delivered() -> Self {
        // X.1.5: destination address valid, for positive reports only.
        let (status, said) = (Enhanced(2, 1, 5), "delivered here, of which its sender is told".to_owned());
        Self { fate: Fate::Taken, status, said, is_reply: false }
    }

    /// Trying again may help, for this reason of ours.
    pub(super) fn later(status: Enhanced, said: &str) -> Self {
        Self { fate: Fate::Later, status, said: said.to_owned(), is_reply: false }
    }

    /// Trying again does not help, for this reason of ours.
    pub(super) fn never(status: Enhanced, said: &str) -> Self {
        Self { fate: Fate::Never, status, said: said.to_owned(), is_reply: false }
    }
}

/// What a reply without an enhanced code most likely means (RFC 5321 §4.2.3, RFC 3463).
fn usual(class: u8, code: u16, command: &str) -> Enhanced {
    match (code, command) {
        // X.1.1: bad destination mailbox address.
        (450 | 550 | 551 | 553, "RCPT") => Enhanced(class, 1, 1),
        // X.2.2: mailbox full; X.3.4: message too big.
        (452 | 552, "RCPT") => Enhanced(class, 2, 2),
        (552, _) => Enhanced(class, 3, 4),
        // X.3.1: mail system full.
        (452, _) => Enhanced(class, 3, 1),
        (421, _) => Enhanced(class, 3, 2),
        // X.7.0: other security status.
        (530 | 535 | 550 | 554, "MAIL") => Enhanced(class, 7, 0),
        _ => Enhanced(class, 0, 0),
    }
}

fn cut(said: String) -> String {
    match said.char_indices().nth(WORDS_CHARACTERS_MAX) {
        Some((at, _)) => said.get(..at).unwrap_or_default().to_owned(),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(verdict: fn(Reason) -> Verdict, command: &'static str, reply: Reply) -> (Fate, String, String) {
        let finding = Finding::of_verdict(&verdict(Reason::Reply { command, reply }));
        (finding.fate, finding.status.to_string(), finding.said)
    }

    #[test]
    fn the_servers_own_code_counts_and_without_one_the_usual_one() {
        let no = Reply::new(550, Enhanced(5, 2, 1), "mailbox disabled");
        let expected = (Fate::Never, "5.2.1".to_owned(), "550 5.2.1 mailbox disabled".to_owned());
        assert_eq!(of(Verdict::Refused, "RCPT", no), expected);
        for (verdict, command, code, expected) in [
            (Verdict::Refused as fn(Reason) -> Verdict, "RCPT", 550, "5.1.1"),
            (Verdict::Deferred, "RCPT", 450, "4.1.1"),
            (Verdict::Deferred, "RCPT", 552, "4.2.2"),
            (Verdict::Refused, "MAIL", 552, "5.3.4"),
            (Verdict::Refused, "the message", 554, "5.0.0"),
            (Verdict::Deferred, "MAIL", 421, "4.3.2"),
        ] {
            assert_eq!(of(verdict, command, Reply::plain(code, "x")).1, expected, "{command} {code}");
        }
        // A code of another class says nothing.
        let odd = Reply::new(552, Enhanced(5, 2, 2), "too many");
        assert_eq!(of(Verdict::Deferred, "RCPT", odd).1, "4.2.2");
    }

    #[test]
    fn what_we_found_ourselves_has_a_code_as_well() {
        for (reason, expected) in [
            (Reason::NoSmtpUtf8, "5.6.7"),
            (Reason::NoEightBitMime, "5.6.3"),
            (Reason::NoRequireTls, "5.7.30"),
            (Reason::TooLarge { octets: 2, octets_max: 1 }, "5.3.4"),
        ] {
            let finding = Finding::of_verdict(&Verdict::Refused(reason));
            assert_eq!((finding.status.to_string().as_str(), finding.is_reply), (expected, false));
        }
    }

    #[test]
    fn words_without_end_are_cut() {
        let long = Reply::plain(250, "ä".repeat(5000));
        assert_eq!(Finding::of_verdict(&Verdict::Accepted(long)).said.chars().count(), WORDS_CHARACTERS_MAX);
    }
}
