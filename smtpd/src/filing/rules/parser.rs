//! Text becomes rules, or a mistake with its place and what to do about it.

mod actions;

use std::fmt;

use mailwire::address::{Domain, Mailbox};

use super::pattern::{How, Pattern, Value};
use super::rule::{Condition, DEPTH_MAX, RULES_MAX, Rule, Rules, Test, VALUES_MAX};
use super::token::{Position, Token, Tokens};

/// Why a text is no rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub advice: String,
}

impl Mistake {
    pub(super) fn new(at: Position, problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { line: at.line, column: at.column, problem: problem.into(), advice: advice.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, problem, advice } = self;
        write!(f, "line {line}, column {column}: {problem}; {advice}")
    }
}

impl std::error::Error for Mistake {}

impl Rules {
    /// Reads rules.
    ///
    /// # Errors
    /// Where something is not as the grammar wants it, or there is too much of it; the first such place is told.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let mut parser = Parser::new(text)?;
        let mut rules = Vec::new();
        while parser.token.is_some() {
            if rules.len() >= RULES_MAX {
                let problem = format!("there are more than {RULES_MAX} rules");
                return Err(parser.mistake(problem, "join some of them with `or`"));
            }
            rules.push(parser.rule()?);
        }
        Ok(Self { rules })
    }
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    /// The one that is next.
    token: Option<Token>,
    at: Position,
    values: usize,
    forwards: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Mistake> {
        let mut tokens = Tokens::new(text);
        let (token, at) = tokens.next()?;
        Ok(Self { tokens, token, at, values: 0, forwards: 0 })
    }

    fn mistake(&self, problem: impl Into<String>, advice: impl Into<String>) -> Mistake {
        Mistake::new(self.at, problem, advice)
    }

    /// What is said where something else should stand.
    fn expected(&self, what: &str) -> Mistake {
        let found = match &self.token {
            Some(Token::Word(word)) => format!("there is `{word}`"),
            Some(Token::Text(_)) => "there is something in quotes".to_owned(),
            Some(Token::Open) => "there is `(`".to_owned(),
            Some(Token::Close) => "there is `)`".to_owned(),
            Some(Token::Comma) => "there is a comma".to_owned(),
            None => "the text ends".to_owned(),
        };
        self.mistake(format!("{found} where {what} should stand"), format!("write {what} here"))
    }

    fn advance(&mut self) -> Result<Option<Token>, Mistake> {
        let (token, at) = self.tokens.next()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    /// Passes over this keyword, where it is next.
    fn takes(&mut self, word: &str) -> Result<bool, Mistake> {
        let is_next = self.is_word(word);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    fn word(&mut self, what: &str) -> Result<String, Mistake> {
        match &self.token {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.advance()?;
                Ok(word)
            }
            Some(Token::Text(_) | Token::Open | Token::Close | Token::Comma) | None => {
                Err(self.expected(what))
            }
        }
    }

    fn text(&mut self, what: &str) -> Result<String, Mistake> {
        match &self.token {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.advance()?;
                Ok(text)
            }
            Some(Token::Word(_) | Token::Open | Token::Close | Token::Comma) | None => {
                Err(self.expected(&format!("{what} in double quotes")))
            }
        }
    }

    /// `rule = ("if" conditions "then" / "always") action *("and" action)`
    fn rule(&mut self) -> Result<Rule, Mistake> {
        let line = self.at.line;
        let condition = if self.takes("always")? {
            Condition::Always
        } else if self.takes("if")? {
            let condition = self.conditions(0)?;
            if !self.takes("then")? {
                return Err(self.expected("`and`, `or` or `then`"));
            }
            condition
        } else {
            return Err(self.expected("`if` or `always`"));
        };
        let mut rule = Rule { line, condition, actions: Vec::new(), goes_on: false };
        self.actions(&mut rule)?;
        Ok(rule)
    }

    /// `conditions = condition *("and" condition) / condition *("or" condition)`
    fn conditions(&mut self, depth: usize) -> Result<Condition, Mistake> {
        let mut conditions = vec![self.condition(depth)?];
        let joint = if self.is_word("and") { "and" } else { "or" };
        while self.takes(joint)? {
            conditions.push(self.condition(depth)?);
        }
        if self.is_word("and") || self.is_word("or") {
            let advice = "put parentheses around what belongs together";
            return Err(self.mistake("`and` and `or` stand side by side", advice));
        }
        Ok(match (conditions.len(), joint) {
            (1, _) => conditions.remove(0),
            (_, "and") => Condition::All(conditions),
            (_, _) => Condition::Any(conditions),
        })
    }

    /// `condition = ["not"] (test / "(" conditions ")")`
    fn condition(&mut self, depth: usize) -> Result<Condition, Mistake> {
        if depth >= DEPTH_MAX {
            let problem = format!("conditions lie deeper than {DEPTH_MAX} levels");
            return Err(self.mistake(problem, "make several rules of them"));
        }
        if self.takes("not")? {
            return Ok(Condition::Not(Box::new(self.condition(depth.saturating_add(1))?)));
        }
        if self.token != Some(Token::Open) {
            return self.test().map(Condition::Test);
        }
        self.advance()?;
        let conditions = self.conditions(depth.saturating_add(1))?;
        if self.token != Some(Token::Close) {
            return Err(self.expected("`)`"));
        }
        self.advance()?;
        Ok(conditions)
    }

    fn test(&mut self) -> Result<Test, Mistake> {
        const TESTS: &str =
            "`from`, `to`, `subaddress`, `header`, `size`, `authenticated`, `junk`, `not` or `(`";
        let Some(Token::Word(word)) = &self.token else { return Err(self.expected(TESTS)) };
        match word.to_ascii_lowercase().as_str() {
            "from" => {
                self.advance()?;
                self.pattern(Subject::Address).map(Test::From)
            }
            "to" => {
                self.advance()?;
                self.pattern(Subject::Address).map(Test::To)
            }
            "subaddress" => {
                self.advance()?;
                self.pattern(Subject::Text).map(Test::Subaddress)
            }
            "header" => self.header(),
            "size" => self.size(),
            "authenticated" => self.advance().map(|_| Test::Authenticated),
            "junk" => self.advance().map(|_| Test::Junk),
            _ => Err(self.expected(TESTS)),
        }
    }

    fn header(&mut self) -> Result<Test, Mistake> {
        self.advance()?;
        let at = self.at;
        let name = self.text("the name of a field")?;
        // `ftext`, RFC 5322 §3.6.8.
        if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':') {
            let problem = format!("{name:?} is no name of a field");
            return Err(Mistake::new(
                at,
                problem,
                "write it as in a message, without the colon: \"Subject\"",
            ));
        }
        let name = name.to_ascii_lowercase();
        if self.takes("exists")? {
            self.count(at)?;
            return Ok(Test::Exists(name));
        }
        self.pattern(Subject::Field).map(|pattern| Test::Header(name, pattern))
    }

    fn size(&mut self) -> Result<Test, Mistake> {
        self.advance()?;
        let how = self.word("`over` or `under`")?.to_ascii_lowercase();
        let at = self.at;
        let size = self.word("a number such as 500K or 10M")?;
        let Some(octets) = octets(&size) else {
            let problem = format!("`{size}` is no size");
            return Err(Mistake::new(at, problem, "write octets as a number, with K, M or G behind it: 10M"));
        };
        match how.as_str() {
            "over" => Ok(Test::Over(octets)),
            "under" => Ok(Test::Under(octets)),
            other => {
                let problem = format!("there is `{other}` behind `size`");
                Err(Mistake::new(at, problem, "write `size over 10M` or `size under 10K`"))
            }
        }
    }

    /// `pattern = how value *("," value)`
    fn pattern(&mut self, subject: Subject) -> Result<Pattern, Mistake> {
        let at = self.at;
        let what = match subject {
            Subject::Address => "`is`, `contains`, `matches`, `domain` or `local`",
            Subject::Field => "`is`, `contains`, `matches`, `domain`, `local` or `exists`",
            Subject::Text => "`is`, `contains` or `matches`",
        };
        let has_address = subject != Subject::Text;
        let how = match self.word(what)?.to_ascii_lowercase().as_str() {
            "is" => How::Is,
            "contains" => How::Contains,
            "matches" => How::Matches,
            "domain" if has_address => How::Domain,
            "local" if has_address => How::LocalPart,
            other => {
                let problem = format!("there is `{other}` where {what} should stand");
                return Err(Mistake::new(at, problem, format!("write {what} here")));
            }
        };
        let mut values = Vec::new();
        loop {
            values.push(self.value(how, subject)?);
            if self.token != Some(Token::Comma) {
                return Ok(Pattern { how, values });
            }
            self.advance()?;
        }
    }

    fn value(&mut self, how: How, subject: Subject) -> Result<Value, Mistake> {
        let at = self.at;
        self.count(at)?;
        let text = self.text("a value")?;
        let is_address = how == How::Is && subject == Subject::Address;
        if is_address && text != "<>" && Mailbox::parse(&text).is_err() {
            let problem = format!("{text:?} is no address");
            let advice = "write it as name@domain, or use `contains`, `matches` or `domain`";
            return Err(Mistake::new(at, problem, advice));
        }
        if how == How::Domain && Domain::parse(&text).is_err() {
            let problem = format!("{text:?} is no domain");
            let advice = "write it without @; for subdomains there is `matches \"*@*.example.org\"`";
            return Err(Mistake::new(at, problem, advice));
        }
        Ok(Value::new(&text))
    }

    fn count(&mut self, at: Position) -> Result<(), Mistake> {
        self.values = self.values.saturating_add(1);
        if self.values > VALUES_MAX {
            let problem = format!("there are more than {VALUES_MAX} values");
            return Err(Mistake::new(at, problem, "use `domain` or `matches` where many are alike"));
        }
        Ok(())
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// An address of the envelope.
    Address,
    /// A field, with addresses in it maybe.
    Field,
    /// A text without addresses.
    Text,
}

/// A number with `K`, `M` or `G` behind it, by powers of 1024.
fn octets(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let shift = match text.strip_prefix(digits)?.to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests;
