//! What a script expects of a line that the server says.

use std::collections::HashMap;

use crate::text::{self, Symbol};

/// What captures stand for so far in one dialogue.
pub(crate) type Captures = HashMap<String, Vec<u8>>;

/// A line with `*` (anything), `?` (one octet), `{a|b}` (one of these), `{name}` (a word, the same one each
/// time) and `{name*}` (anything, the same each time).
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Any,
    One,
    OneOf(Vec<Vec<u8>>),
    Capture(String),
}

impl Pattern {
    /// Reads a pattern, without CRLF.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut symbols = text::symbols(text)?.into_iter();
        while let Some(Symbol { octet, escaped }) = symbols.next() {
            let part = match octet {
                b'*' if !escaped => Part::Any,
                b'?' if !escaped => Part::One,
                b'{' if !escaped => braces(&mut symbols)?,
                _ => {
                    literal.push(octet);
                    continue;
                }
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// True where the whole of `line` is as expected; captures made on the way are kept then.
    pub(crate) fn matches(&self, line: &[u8], captures: &mut Captures) -> bool {
        let mut tried = captures.clone();
        let matched = rest_matches(&self.parts, line, &mut tried);
        if matched {
            *captures = tried;
        }
        matched
    }
}

fn braces(symbols: &mut impl Iterator<Item = Symbol>) -> Result<Part, String> {
    let mut choices = vec![Vec::new()];
    for Symbol { octet, escaped } in symbols {
        match octet {
            b'}' if !escaped => return Ok(named_or_one_of(choices)),
            b'|' if !escaped => choices.push(Vec::new()),
            _ => {
                if let Some(choice) = choices.last_mut() {
                    choice.push(octet);
                }
            }
        }
    }
    Err("a brace is not closed".to_owned())
}

fn named_or_one_of(mut choices: Vec<Vec<u8>>) -> Part {
    if choices.len() > 1 {
        return Part::OneOf(choices);
    }
    let name = choices.pop().unwrap_or_default();
    Part::Capture(String::from_utf8_lossy(&name).into_owned())
}

fn rest_matches(parts: &[Part], line: &[u8], captures: &mut Captures) -> bool {
    let Some((part, rest)) = parts.split_first() else {
        return line.is_empty();
    };
    match part {
        Part::Literal(literal) => {
            line.strip_prefix(literal.as_slice()).is_some_and(|after| rest_matches(rest, after, captures))
        }
        Part::Any => suffixes(line).any(|(_, after)| rest_matches(rest, after, captures)),
        Part::One => line.split_first().is_some_and(|(_, after)| rest_matches(rest, after, captures)),
        Part::OneOf(choices) => choices.iter().any(|choice| {
            line.strip_prefix(choice.as_slice()).is_some_and(|after| rest_matches(rest, after, captures))
        }),
        Part::Capture(name) => match captures.get(name).cloned() {
            Some(word) => {
                line.strip_prefix(word.as_slice()).is_some_and(|after| rest_matches(rest, after, captures))
            }
            None => captured(name, rest, line, captures),
        },
    }
}

/// A new capture is one word, or anything where its name says so, as long as the rest of the pattern allows.
fn captured(name: &str, rest: &[Part], line: &[u8], captures: &mut Captures) -> bool {
    let word_end = line.iter().position(|&octet| octet == b' ' && !name.ends_with('*')).unwrap_or(line.len());
    let candidates: Vec<_> = suffixes(line).skip(1).take(word_end).collect();
    for (word, after) in candidates.into_iter().rev() {
        captures.insert(name.to_owned(), word.to_vec());
        if rest_matches(rest, after, captures) {
            return true;
        }
        captures.remove(name);
    }
    false
}

/// Each way to split `line` in two, the empty front first.
fn suffixes(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    (0..=line.len()).filter_map(|at| line.split_at_checked(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, line: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(line.as_bytes(), &mut Captures::new())
    }

    #[test]
    fn a_literal_matches_itself_only() {
        assert!(matches("250 OK", "250 OK"));
        assert!(!matches("250 OK", "250 OK "));
        assert!(!matches("250 OK", "250 O"));
    }

    #[test]
    fn wildcards_stand_for_any_text_or_one_octet() {
        assert!(matches("250?*x*", "250-axb"));
        assert!(matches("250 *", "250 "));
        assert!(!matches("250 *", "250"));
        assert!(!matches("25?", "25"));
        assert!(matches(r"\*\?\{", "*?{"));
        assert!(!matches(r"\*", "a"));
    }

    #[test]
    fn an_alternation_takes_each_of_its_choices() {
        assert!(matches("{550|554} 5*", "554 5.1.1"));
        assert!(!matches("{550|554} 5*", "551 5.1.1"));
    }

    #[test]
    fn a_capture_is_the_same_word_every_time() {
        let mut captures = Captures::new();
        let first = Pattern::parse("+OK {number} {id}").unwrap();
        assert!(first.matches(b"+OK 1 abc", &mut captures));
        assert_eq!(captures.get("id").unwrap(), b"abc");
        let second = Pattern::parse("{number} {id}").unwrap();
        assert!(second.matches(b"1 abc", &mut captures));
        assert!(!second.matches(b"1 abd", &mut captures));
        assert!(!matches("+OK {id}", "+OK "));
        assert!(!matches("+OK {id}", "+OK a b"));
    }

    #[test]
    fn a_capture_with_a_star_takes_blanks_too() {
        let mut captures = Captures::new();
        let pattern = Pattern::parse("535 {text*}").unwrap();
        assert!(pattern.matches(b"535 no such thing", &mut captures));
        assert!(pattern.matches(b"535 no such thing", &mut captures));
        assert!(!pattern.matches(b"535 no such", &mut captures));
    }

    #[test]
    fn a_failed_match_captures_nothing() {
        let mut captures = Captures::new();
        assert!(!Pattern::parse("{a} x").unwrap().matches(b"b y", &mut captures));
        assert!(captures.is_empty());
    }

    proptest! {
        #[test]
        fn any_line_matches_itself_as_it_is_shown(line: Vec<u8>) {
            let escaped = text::shown(&line).replace('*', r"\*").replace('?', r"\?").replace('{', r"\{");
            prop_assert!(Pattern::parse(&escaped).unwrap().matches(&line, &mut Captures::new()));
        }
    }
}
