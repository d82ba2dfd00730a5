//! What is done with messages, behind `then` and `always`.

use mailstore::Detail;
use mailwire::address::Mailbox;

use super::super::reason::Reason;
use super::super::rule::{Action, FORWARDS_MAX, Rule};
use super::super::token::Token;
use super::{Mistake, Parser};

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
        const ACTIONS: &str = "`keep`, `junk`, `maildrop`, `forward`, `reject`, `discard` or `go on`";
        let Some(Token::Word(word)) = &self.token else { return Err(self.expected(ACTIONS)) };
        match word.to_ascii_lowercase().as_str() {
            "keep" => self.advance().map(|_| Action::Keep),
            "junk" => self.advance().map(|_| Action::Junk),
            "discard" => self.advance().map(|_| Action::Discard),
            "forward" => self.forward(),
            "reject" => self.reject(),
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
        let text = self.text("an address")?;
        let mailbox = Mailbox::parse(&text)
            .map_err(|_| Mistake::new(at, format!("{text:?} is no address"), "write it as name@domain"))?;
        Ok(Action::Forward(mailbox))
    }

    fn reject(&mut self) -> Result<Action, Mistake> {
        self.advance()?;
        let at = self.at;
        let text = self.text("what the sender is told")?;
        let reason = Reason::new(&text)
            .map_err(|problem| Mistake::new(at, problem, "say in a few words why such mail is not taken"))?;
        Ok(Action::Reject(reason))
    }
}
