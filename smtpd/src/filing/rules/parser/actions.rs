//! What is done with messages, behind `then` and `always`.

use mail_parser::DateTime;
use mailstore::Detail;
use mailwire::address::Mailbox;

use super::super::reason::Reason;
use super::super::rule::{Action, FORWARDS_MAX, Rule};
use super::super::token::Token;
use super::super::vacation::{ADDRESSES_MAX, DAYS, DAYS_MAX, SUBJECT_OCTETS_MAX, Vacation};
use super::{Mistake, Parser};

const DAY_SECONDS: u64 = 24 * 60 * 60;

impl Parser<'_> {
    /// `action *("and" action)`
    pub(super) fn actions(&mut self, rule: &mut Rule) -> Result<(), Mistake> {
        loop {
            let at = self.at;
            if self.takes("go")? {
                if !self.takes("on")? {
                    return Err(self.expected("`on`"));
                }
                rule.goes_on = true;
            } else {
                let action = self.action()?;
                if rule.actions.contains(&action) {
                    return Err(Mistake::new(at, "the same is done twice", "leave it out once"));
                }
                rule.actions.push(action);
            }
            let alone = rule.actions.iter().find_map(Action::alone);
            if let Some(alone) = alone.filter(|_| rule.actions.len() > 1 || rule.goes_on) {
                let problem = format!("`{alone}` stands with something else");
                let advice = "such mail is not kept anywhere: leave one of them out";
                return Err(Mistake::new(at, problem, advice));
            }
            if !self.takes("and")? {
                return Ok(());
            }
        }
    }

    fn action(&mut self) -> Result<Action, Mistake> {
        const ACTIONS: &str =
            "`keep`, `junk`, `maildrop`, `forward`, `vacation`, `reject`, `discard` or `go on`";
        let Some(Token::Word(word)) = &self.token else { return Err(self.expected(ACTIONS)) };
        match word.to_ascii_lowercase().as_str() {
            "keep" => self.advance().map(|_| Action::Keep),
            "junk" => self.advance().map(|_| Action::Junk),
            "discard" => self.advance().map(|_| Action::Discard),
            "forward" => self.forward(),
            "reject" => self.reject(),
            "vacation" => self.vacation().map(Action::Vacation),
            "maildrop" => {
                self.advance()?;
                let at = self.at;
                let name = self.text("the name of a maildrop")?;
                let detail = Detail::parse(&name)
                    .map_err(|why| Mistake::new(at, format!("{name:?} is no maildrop"), why.to_string()))?;
                Ok(Action::Maildrop(detail))
            }
            _ => Err(self.expected(ACTIONS)),
        }
    }

    fn forward(&mut self) -> Result<Action, Mistake> {
        self.advance()?;
        let at = self.at;
        self.forwards = self.forwards.saturating_add(1);
        if self.forwards > FORWARDS_MAX {
            let problem = format!("mail is forwarded to more than {FORWARDS_MAX} addresses");
            return Err(Mistake::new(at, problem, "use a mailing list, or an alias of the administrator's"));
        }
        self.mailbox().map(Action::Forward)
    }

    fn reject(&mut self) -> Result<Action, Mistake> {
        self.advance()?;
        let at = self.at;
        let text = self.text("what the sender is told")?;
        let reason = Reason::new(&text)
            .map_err(|problem| Mistake::new(at, problem, "say in a few words why such mail is not taken"))?;
        Ok(Action::Reject(reason))
    }

    /// `"vacation" text *("subject" text / "days" number / "from" date / "until" date / "addresses" text *("," text))`
    fn vacation(&mut self) -> Result<Vacation, Mistake> {
        self.advance()?;
        let at = self.at;
        let text = self.text("what the answer says")?;
        if text.trim().is_empty() {
            return Err(Mistake::new(at, "there are no words in it", "say what senders are to know"));
        }
        let mut vacation =
            Vacation { text, subject: None, days: DAYS, from: None, until: None, addresses: Vec::new() };
        let mut given: Vec<&str> = Vec::new();
        loop {
            let at = self.at;
            let options = ["subject", "days", "from", "until", "addresses"];
            let Some(option) = options.into_iter().find(|option| self.is_word(option)) else { break };
            if given.contains(&option) {
                return Err(Mistake::new(at, format!("`{option}` is given twice"), "leave it out once"));
            }
            given.push(option);
            self.advance()?;
            match option {
                "subject" => vacation.subject = Some(self.subject()?),
                "days" => vacation.days = self.days()?,
                "from" => vacation.from = Some(self.date()?),
                // The day that is named is the last one.
                "until" => vacation.until = Some(self.date()?.saturating_add(DAY_SECONDS)),
                _ => vacation.addresses = self.addresses()?,
            }
        }
        if vacation.from.zip(vacation.until).is_some_and(|(from, until)| until <= from) {
            return Err(Mistake::new(at, "it is over before it begins", "put the later date behind `until`"));
        }
        Ok(vacation)
    }

    fn subject(&mut self) -> Result<String, Mistake> {
        let at = self.at;
        let text = self.text("a subject")?;
        let subject = text.trim();
        if subject.is_empty() || subject.len() > SUBJECT_OCTETS_MAX || subject.contains(['\n', '\t']) {
            let problem = format!("a subject is one line of 1 to {SUBJECT_OCTETS_MAX} octets");
            return Err(Mistake::new(at, problem, "leave it out for that of the message"));
        }
        Ok(subject.to_owned())
    }

    fn days(&mut self) -> Result<u8, Mistake> {
        let at = self.at;
        let days = self.word("a number of days")?;
        let number = days.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days));
        number.ok_or_else(|| {
            let problem = format!("`{days}` is no number of days from 1 to {DAYS_MAX}");
            Mistake::new(at, problem, "say after how many days a sender gets another answer")
        })
    }

    /// The first second of a day in UTC.
    fn date(&mut self) -> Result<u64, Mistake> {
        let at = self.at;
        let word = self.word("a date such as 2027-01-31")?;
        date(&word).ok_or_else(|| {
            Mistake::new(at, format!("`{word}` is no date"), "write year, month and day: 2027-01-31")
        })
    }

    fn addresses(&mut self) -> Result<Vec<Mailbox>, Mistake> {
        let mut addresses = Vec::new();
        loop {
            let at = self.at;
            if addresses.len() >= ADDRESSES_MAX {
                let problem = format!("there are more than {ADDRESSES_MAX} addresses");
                return Err(Mistake::new(at, problem, "name those that mail for you mostly has"));
            }
            addresses.push(self.mailbox()?);
            if self.token != Some(Token::Comma) {
                return Ok(addresses);
            }
            self.advance()?;
        }
    }

    fn mailbox(&mut self) -> Result<Mailbox, Mistake> {
        let at = self.at;
        let text = self.text("an address")?;
        Mailbox::parse(&text)
            .map_err(|_| Mistake::new(at, format!("{text:?} is no address"), "write it as name@domain"))
    }
}

fn date(text: &str) -> Option<u64> {
    let digit = |character: char| if character.is_ascii_digit() { '0' } else { character };
    if text.chars().map(digit).collect::<String>() != "0000-00-00" {
        return None;
    }
    let whole = format!("{text}T00:00:00Z");
    let unix_seconds = DateTime::parse_rfc3339(&whole)?.to_timestamp();
    // There is no 30th of February: it would be another day.
    let exists = DateTime::from_timestamp(unix_seconds).to_rfc3339() == whole;
    u64::try_from(unix_seconds).ok().filter(|_| exists)
}
