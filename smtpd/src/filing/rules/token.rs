//! Words and strings, with their places in the text.

use std::iter::Peekable;
use std::str::Chars;

use super::parser::Mistake;

/// Most octets of a string.
pub(super) const STRING_OCTETS_MAX: usize = 4000;

/// Where something stands, from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What the text is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword, a name or a number.
    Word(String),
    /// What stood in quotes.
    Text(String),
    Open,
    Close,
    Comma,
}

/// Reads a text token by token.
pub(super) struct Tokens<'a> {
    characters: Peekable<Chars<'a>>,
    position: Position,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { characters: text.chars().peekable(), position: Position { line: 1, column: 1 } }
    }

    fn step(&mut self) -> Option<char> {
        let character = self.characters.next()?;
        self.position = match character {
            '\n' => Position { line: self.position.line.saturating_add(1), column: 1 },
            _ => Position { column: self.position.column.saturating_add(1), ..self.position },
        };
        Some(character)
    }

    /// Blanks, line ends, and comments from `#` to the end of their line.
    fn skip(&mut self) {
        let mut is_comment = false;
        while let Some(&next) = self.characters.peek() {
            match next {
                '\n' => is_comment = false,
                '#' => is_comment = true,
                _ if is_comment || next.is_whitespace() => {}
                _ => return,
            }
            self.step();
        }
    }

    /// The next token and where it begins; `None` at the end, with where that is.
    pub(super) fn next(&mut self) -> Result<(Option<Token>, Position), Mistake> {
        self.skip();
        let position = self.position;
        let Some(&first) = self.characters.peek() else { return Ok((None, position)) };
        let token = match first {
            '(' => self.single(Token::Open),
            ')' => self.single(Token::Close),
            ',' => self.single(Token::Comma),
            '"' => Token::Text(self.text(position)?),
            _ if is_word(first) => Token::Word(self.word()),
            _ => {
                let problem = format!("there is {first:?}, which belongs to nothing");
                return Err(Mistake::new(position, problem, "put names and values into double quotes"));
            }
        };
        Ok((Some(token), position))
    }

    fn single(&mut self, token: Token) -> Token {
        self.step();
        token
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(&next) = self.characters.peek()
            && is_word(next)
        {
            word.push(next);
            self.step();
        }
        word
    }

    /// `\"` and `\\` stand for a quote and a backslash.
    fn text(&mut self, begin: Position) -> Result<String, Mistake> {
        let mut text = String::new();
        self.step();
        loop {
            let position = self.position;
            match self.step() {
                Some('"') => return Ok(text),
                Some('\\') => {
                    let Some(escaped @ ('"' | '\\')) = self.step() else {
                        let advice = "write \\\\ for a backslash, and \\\" for a quote within quotes";
                        return Err(Mistake::new(position, "a backslash stands alone", advice));
                    };
                    text.push(escaped);
                }
                Some('\r') => {}
                Some(character) if character.is_control() && !matches!(character, '\n' | '\t') => {
                    let problem = "there is a control character within quotes";
                    return Err(Mistake::new(position, problem, "take it out"));
                }
                Some(character) => text.push(character),
                None => {
                    let problem = "these quotes do not end";
                    return Err(Mistake::new(begin, problem, "close them with another double quote"));
                }
            }
            if text.len() > STRING_OCTETS_MAX {
                let problem = format!("what stands in quotes is longer than {STRING_OCTETS_MAX} octets");
                return Err(Mistake::new(begin, problem, "shorten it"));
            }
        }
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '_' | '.' | '+')
}
