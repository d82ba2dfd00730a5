//! All milters of a client.

use std::collections::BTreeMap;

use mailwire::address::Mailbox;
use mailwire::smtp::Reply;

use super::super::message::complain;
use super::super::{Decision, Facts, Kind, Outcome, Scanners};
use super::decide::{MilterWord, decide_milter};
use super::filter::Filter;
use super::letter::Letter;
use crate::replies;

/// All milters of a client, by their numbers among the scanners; each is reached when it is needed first.
#[derive(Default)]
pub(crate) struct Filters(BTreeMap<usize, Filter>);

/// What milters say of a recipient.
#[derive(Debug)]
pub enum Consent {
    /// It gets the message, as far as they are concerned.
    Given,
    /// It does not.
    Refused {
        /// What the client hears.
        reply: Reply,
        /// Who has decided that, for trace and log.
        row: String,
    },
}

impl Filters {
    /// What all of them say of a recipient, until one does not let it pass.
    pub(crate) async fn recipient(
        &mut self,
        scanners: &Scanners,
        facts: &Facts,
        mailbox: &Mailbox,
    ) -> Consent {
        for (number, (config, complained)) in scanners.about(facts) {
            match config.kind {
                Kind::Milter => {}
                Kind::Rspamd => continue,
            }
            let filter = self.filter(number);
            let was_away = matches!(filter.word(facts.number), Some(MilterWord::Away(_)));
            let word = filter.rcpt(config, facts, mailbox).await;
            if let MilterWord::Away(why) = &word
                && !was_away
            {
                complain(config, complained, why);
            }
            let Decision { outcome, row, reply, .. } = decide_milter(config, &word);
            let otherwise = match outcome {
                Outcome::Pass | Outcome::Junk | Outcome::Discard => continue,
                Outcome::Defer => replies::scanner_put_off(),
                Outcome::Refuse => replies::milter_refused(),
            };
            filter.note_refused(format!("{mailbox}: {row}"));
            return Consent::Refused { reply: reply.unwrap_or(otherwise), row };
        }
        Consent::Given
    }

    /// What one of them says of the content; what it wants changed is changed in the letter.
    pub(crate) async fn letter(
        &mut self,
        (scanners, number): (&Scanners, usize),
        facts: &Facts,
        letter: &mut Letter,
    ) -> Option<MilterWord> {
        let (config, complained) = scanners.numbered(number)?;
        let filter = self.filter(number);
        let was_away = matches!(filter.word(facts.number), Some(MilterWord::Away(_)));
        let word = filter.letter(config, facts, letter).await;
        if let MilterWord::Away(why) = &word
            && !was_away
        {
            complain(config, complained, why);
        }
        Some(word)
    }

    /// What one of them has said without having seen the content.
    pub(crate) fn word(&self, number: usize, facts: &Facts) -> Option<&MilterWord> {
        self.0.get(&number)?.word(facts.number)
    }

    /// The rows of recipients that one of them has refused.
    pub(crate) fn take_refused(&mut self, number: usize) -> Vec<String> {
        self.filter(number).take_refused()
    }

    /// The client has gone.
    pub(crate) async fn end(&mut self) {
        for filter in self.0.values_mut() {
            filter.end().await;
        }
    }

    fn filter(&mut self, number: usize) -> &mut Filter {
        self.0.entry(number).or_default()
    }
}

#[cfg(test)]
mod tests;
