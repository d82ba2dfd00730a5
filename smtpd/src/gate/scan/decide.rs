//! What follows from a scanner's word, or from its silence: a plain function, the same for a live session and a dry run.

use mailwire::smtp::Reply;

use super::{Added, Answer, Reject, ScannerConfig, WhenAway};

/// Most characters of a row of a message's trace.
const ROW_CHARACTERS_MAX: usize = 250;

/// What came of asking a scanner.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// It has an opinion.
    Said(Answer),
    /// It is away, or what it says cannot be understood: why, in words.
    Away(String),
    /// It was not asked: the message is larger than it gets.
    TooLarge,
}

/// What is done about a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is taken.
    #[default]
    Pass,
    /// It is junk.
    Junk,
    /// It is taken, and goes nowhere.
    Discard,
    /// It is put off.
    Defer,
    /// It is refused.
    Refuse,
}

/// What follows from one scanner's word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub outcome: Outcome,
    /// What was said and which line of the configuration decided, for trace and log.
    pub row: String,
    /// What is added to the header.
    pub fields: Vec<Added>,
    /// What the client hears, where the scanner has words of its own.
    pub reply: Option<Reply>,
}

/// Decides.
#[must_use]
pub fn decide(config: &ScannerConfig, word: &Word) -> Decision {
    let at = &config.at;
    let (outcome, row, fields) = match word {
        Word::Said(answer) => {
            let (outcome, by) = action(config, &answer.action);
            let by = by.map_or_else(String::new, |by| format!(" by [[scan.scanners]] {at} {by}"));
            (outcome, format!("scan={}{by}: {}", outcome.word(), answer.shown()), answer.fields.clone())
        }
        Word::Away(why) => return away(config, "scan", why),
        Word::TooLarge => return too_large(config, "scan"),
    };
    Decision { outcome, row: cut(row), fields, reply: None }
}

/// What holds while a scanner is away.
pub(super) fn away(config: &ScannerConfig, what: &str, why: &str) -> Decision {
    let (outcome, by) = match config.when_away {
        WhenAway::Accept => (Outcome::Pass, "accept"),
        WhenAway::Defer => (Outcome::Defer, "defer"),
    };
    let (word, at) = (outcome.word(), &config.at);
    let row = format!("{what}={word} by [[scan.scanners]] {at} when_away = \"{by}\": {why}");
    Decision { outcome, row: cut(row), ..Decision::default() }
}

/// What is too large for a scanner passes.
pub(super) fn too_large(config: &ScannerConfig, what: &str) -> Decision {
    let ScannerConfig { at, octets_max, .. } = config;
    let row = format!("{what}=pass by [[scan.scanners]] {at} octets_max = {octets_max}");
    Decision { row: cut(row), ..Decision::default() }
}

/// A row that the trace keeps whole.
pub(super) fn cut(mut row: String) -> String {
    row.truncate(row.floor_char_boundary(ROW_CHARACTERS_MAX));
    row
}

/// What rspamd's actions come to, with the line of the configuration where there is one.
fn action(config: &ScannerConfig, action: &str) -> (Outcome, Option<&'static str>) {
    match action {
        "reject" => match config.reject {
            Reject::Refuse => (Outcome::Refuse, Some("reject = \"refuse\"")),
            Reject::Junk => (Outcome::Junk, Some("reject = \"junk\"")),
        },
        "soft reject" => (Outcome::Defer, None),
        "add header" | "rewrite subject" | "quarantine" | "discard" => (Outcome::Junk, None),
        // "greylist" is said of doubtful mail, for servers that greylist by it; what is not known stops nothing.
        _ => (Outcome::Pass, None),
    }
}

impl Outcome {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Junk => "junk",
            Self::Discard => "discard",
            Self::Defer => "defer",
            Self::Refuse => "refuse",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(keys: &str, word: &Word) -> Decision {
        let config = toml::from_str(&format!("at = \"127.0.0.1:11333\"\noctets_max = 7\n{keys}")).unwrap();
        decide(&config, word)
    }

    fn said(action: &str) -> Word {
        Word::Said(
            Answer::read(format!("{{\"action\":\"{action}\",\"symbols\":{{\"S\":{{}}}}}}").as_bytes())
                .unwrap(),
        )
    }

    #[test]
    fn actions_are_followed_as_the_configuration_says() {
        for (keys, action, outcome) in [
            ("", "no action", Outcome::Pass),
            ("", "greylist", Outcome::Pass),
            ("", "something new", Outcome::Pass),
            ("", "add header", Outcome::Junk),
            ("", "rewrite subject", Outcome::Junk),
            ("", "discard", Outcome::Junk),
            ("", "soft reject", Outcome::Defer),
            ("", "reject", Outcome::Refuse),
            ("reject = \"junk\"", "reject", Outcome::Junk),
        ] {
            assert_eq!(decided(keys, &said(action)).outcome, outcome, "{action}");
        }
        let row = decided("", &said("reject")).row;
        assert_eq!(
            row,
            "scan=refuse by [[scan.scanners]] 127.0.0.1:11333 reject = \"refuse\": reject, score 0.0 of 0.0: S"
        );
    }

    #[test]
    fn while_a_scanner_is_away_holds_what_the_configuration_says() {
        let away = Word::Away("it has not answered in time".to_owned());
        let accepted = decided("", &away);
        assert_eq!(accepted.outcome, Outcome::Pass);
        let why = "by [[scan.scanners]] 127.0.0.1:11333 when_away = \"accept\": it has not answered in time";
        assert_eq!(accepted.row, format!("scan=pass {why}"));
        assert_eq!(decided("when_away = \"defer\"", &away).outcome, Outcome::Defer);
        let large = decided("when_away = \"defer\"", &Word::TooLarge);
        assert_eq!((large.outcome, large.row.ends_with("octets_max = 7")), (Outcome::Pass, true));
        assert!(decided("", &Word::Away("x".repeat(1000))).row.len() <= ROW_CHARACTERS_MAX);
    }
}
