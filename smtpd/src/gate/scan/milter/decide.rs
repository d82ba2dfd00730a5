//! What follows from a milter's word, or from its silence: a plain function, the same for a live session and a dry run.

use mailwire::smtp::Reply;

use super::super::decide::{away, cut, too_large};
use super::super::{Decision, Outcome, Reject, ScannerConfig};

/// Where in a transaction a milter has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A client has come.
    Connect,
    /// EHLO or HELO.
    Hello,
    /// MAIL.
    Mail,
    /// One RCPT.
    Recipient,
    /// DATA, or the first BDAT.
    Data,
    /// The header section.
    Header,
    /// The text.
    Text,
    /// The end of the content.
    End,
}

/// What came of asking a milter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MilterWord {
    /// It lets the message pass, changed so.
    Passed {
        /// When it has said so.
        at: Stage,
        /// What it changes, in words.
        changes: String,
    },
    /// It refuses: the client, the message, or one recipient.
    Refused {
        /// What it has refused.
        at: Stage,
        /// Its own words.
        reply: Option<Reply>,
    },
    /// The same, for now.
    PutOff {
        /// What it has put off.
        at: Stage,
        /// Its own words.
        reply: Option<Reply>,
    },
    /// The message is taken, and goes nowhere.
    Discarded {
        /// When it has said so.
        at: Stage,
    },
    /// Somebody is to look at the message first.
    Quarantined {
        /// Why.
        reason: String,
        /// True where the message has recipients elsewhere.
        leaves: bool,
    },
    /// It is away, or what it says cannot be understood: why, in words.
    Away(String),
    /// It was not asked about the content: the message, or its header section, is larger than it gets.
    TooLarge,
}

/// Decides.
#[must_use]
pub fn decide_milter(config: &ScannerConfig, word: &MilterWord) -> Decision {
    let at = &config.at;
    let by = format!("by [[scan.scanners]] {at}");
    let (outcome, row, reply) = match word {
        MilterWord::Passed { at, changes } if changes.is_empty() => {
            (Outcome::Pass, format!("milter=pass {by} at {}", at.word()), None)
        }
        MilterWord::Passed { at, changes } => {
            (Outcome::Pass, format!("milter=pass {by} at {}: {changes}", at.word()), None)
        }
        MilterWord::Refused { at, reply } => {
            let (outcome, key) = match (at, config.reject) {
                // The message is for others as well.
                (Stage::Recipient, _) => (Outcome::Refuse, ""),
                (_, Reject::Refuse) => (Outcome::Refuse, " reject = \"refuse\""),
                (_, Reject::Junk) => (Outcome::Junk, " reject = \"junk\""),
            };
            let row =
                format!("milter={} {by}{key} at {}{}", outcome.word(), at.word(), words(reply.as_ref()));
            (outcome, row, reply.clone())
        }
        MilterWord::PutOff { at, reply } => (
            Outcome::Defer,
            format!("milter=defer {by} at {}{}", at.word(), words(reply.as_ref())),
            reply.clone(),
        ),
        MilterWord::Discarded { at } => {
            (Outcome::Discard, format!("milter=discard {by} at {}", at.word()), None)
        }
        // Nobody could look at what has left.
        MilterWord::Quarantined { reason, leaves: true } => {
            (Outcome::Refuse, format!("milter=refuse {by}, quarantine of mail that leaves: {reason}"), None)
        }
        MilterWord::Quarantined { reason, leaves: false } => {
            (Outcome::Junk, format!("milter=junk {by}, quarantine: {reason}"), None)
        }
        MilterWord::Away(why) => return away(config, "milter", why),
        MilterWord::TooLarge => return too_large(config, "milter"),
    };
    Decision { outcome, row: cut(row), fields: Vec::new(), reply }
}

fn words(reply: Option<&Reply>) -> String {
    reply.map_or_else(String::new, |reply| format!(": {reply}"))
}

impl Stage {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::Mail => "mail",
            Self::Recipient => "rcpt",
            Self::Data => "data",
            Self::Header => "header",
            Self::Text => "text",
            Self::End => "end",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::reply;
    use super::*;

    fn decided(keys: &str, word: &MilterWord) -> (Outcome, String) {
        let text = format!("kind = \"milter\"\nat = \"127.0.0.1:8891\"\noctets_max = 7\n{keys}");
        let decision = decide_milter(&toml::from_str(&text).unwrap(), word);
        (decision.outcome, decision.row)
    }

    fn refused(at: Stage) -> MilterWord {
        MilterWord::Refused { at, reply: Some(reply(b"550 5.7.1 no").unwrap()) }
    }

    #[test]
    fn what_a_milter_says_against_a_message_is_done() {
        let by = "by [[scan.scanners]] 127.0.0.1:8891";
        for (keys, word, outcome, row) in [
            (
                "",
                MilterWord::Passed { at: Stage::Mail, changes: String::new() },
                Outcome::Pass,
                format!("milter=pass {by} at mail"),
            ),
            (
                "",
                MilterWord::Passed { at: Stage::End, changes: "adds X-A".to_owned() },
                Outcome::Pass,
                format!("milter=pass {by} at end: adds X-A"),
            ),
            (
                "",
                refused(Stage::Header),
                Outcome::Refuse,
                format!("milter=refuse {by} reject = \"refuse\" at header: 550 5.7.1 no"),
            ),
            (
                "reject = \"junk\"",
                refused(Stage::Connect),
                Outcome::Junk,
                format!("milter=junk {by} reject = \"junk\" at connect: 550 5.7.1 no"),
            ),
            (
                "reject = \"junk\"",
                refused(Stage::Recipient),
                Outcome::Refuse,
                format!("milter=refuse {by} at rcpt: 550 5.7.1 no"),
            ),
            (
                "",
                MilterWord::PutOff { at: Stage::Hello, reply: None },
                Outcome::Defer,
                format!("milter=defer {by} at hello"),
            ),
            (
                "",
                MilterWord::Discarded { at: Stage::Text },
                Outcome::Discard,
                format!("milter=discard {by} at text"),
            ),
        ] {
            assert_eq!(decided(keys, &word), (outcome, row));
        }
    }

    #[test]
    fn what_stops_no_message_for_good_is_told_as_well() {
        let by = "by [[scan.scanners]] 127.0.0.1:8891";
        let quarantined = |leaves| MilterWord::Quarantined { reason: "odd".to_owned(), leaves };
        for (keys, word, outcome, row) in [
            ("", quarantined(false), Outcome::Junk, format!("milter=junk {by}, quarantine: odd")),
            (
                "",
                quarantined(true),
                Outcome::Refuse,
                format!("milter=refuse {by}, quarantine of mail that leaves: odd"),
            ),
            (
                "",
                MilterWord::Away("late".to_owned()),
                Outcome::Pass,
                format!("milter=pass {by} when_away = \"accept\": late"),
            ),
            (
                "when_away = \"defer\"",
                MilterWord::Away("late".to_owned()),
                Outcome::Defer,
                format!("milter=defer {by} when_away = \"defer\": late"),
            ),
            (
                "when_away = \"defer\"",
                MilterWord::TooLarge,
                Outcome::Pass,
                format!("milter=pass {by} octets_max = 7"),
            ),
        ] {
            assert_eq!(decided(keys, &word), (outcome, row));
        }
    }

    #[test]
    fn the_words_of_a_milter_are_said_to_the_client() {
        let config = toml::from_str("kind = \"milter\"\nat = \"127.0.0.1:8891\"").unwrap();
        let decision = decide_milter(&config, &refused(Stage::Data));
        assert_eq!(decision.reply.unwrap().to_string(), "550 5.7.1 no");
        assert!(decide_milter(&config, &MilterWord::Away("x".repeat(1000))).row.len() <= 250);
    }
}
