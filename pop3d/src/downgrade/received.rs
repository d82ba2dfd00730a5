//! Received (RFC 5321 §4.4) in ASCII: domains in A-labels, and no clause that cannot be (RFC 6857 §3.2.4).

use mailwire::header::encoded_words;

use super::address::{ascii_addr_spec, ascii_domain};
use super::lexemes::{Lexeme, lexemes, with_comments_downgraded};
use super::words::is_blank;

/// What clauses begin with.
const KEYWORDS: [&str; 6] = ["from", "by", "via", "with", "id", "for"];

/// The value of such a field; `None` where it cannot be taken apart.
pub(super) fn received(value: &str) -> Option<String> {
    let lexemes = lexemes(value)?;
    let mut clauses = vec![Clause::default()];
    for run in lexemes.chunk_by(|one, next| is_word(*one) && is_word(*next)) {
        let text: String = run.iter().map(|lexeme| lexeme.text()).collect();
        let begins = KEYWORDS.iter().find(|keyword| text.eq_ignore_ascii_case(keyword));
        if begins.is_some() || run.iter().any(|lexeme| lexeme.is(";")) {
            // The blanks in front of a clause go with it.
            let text = clauses.last_mut().map(Clause::take_blanks).unwrap_or_default();
            clauses.push(Clause { keyword: begins.copied().unwrap_or_default(), text, is_lost: false });
        }
        if let Some(clause) = clauses.last_mut() {
            clause.add(run, &text);
        }
    }
    let kept = clauses.into_iter().filter(|clause| !clause.is_lost);
    Some(kept.map(|clause| clause.text).collect())
}

/// True for what belongs to the lexeme beside it.
fn is_word(lexeme: Lexeme<'_>) -> bool {
    !lexeme.is_cfws() && !lexeme.is(";")
}

/// A keyword with what stands behind it, the date, or what stands in front of all clauses.
#[derive(Default)]
struct Clause {
    keyword: &'static str,
    text: String,
    /// It cannot be written in ASCII, and goes.
    is_lost: bool,
}

impl Clause {
    fn add(&mut self, run: &[Lexeme<'_>], text: &str) {
        let is_cfws = run.iter().any(|lexeme| lexeme.is_cfws());
        let ascii = match self.keyword {
            _ if is_cfws || text.is_ascii() => Some(with_comments_downgraded(run)),
            "from" | "by" => Some(in_ascii(text).unwrap_or_else(|| encoded_words(text))),
            "for" => in_ascii(text),
            "id" => None,
            _ => Some(encoded_words(text)),
        };
        if let Some(ascii) = ascii {
            self.text.push_str(&ascii);
        } else {
            self.is_lost = true;
            // What comes behind it may have blanks that are needed.
            self.text.clear();
        }
    }

    /// Takes the blanks off its end.
    fn take_blanks(&mut self) -> String {
        self.text.split_off(self.text.trim_end_matches(is_blank).len())
    }
}

/// A domain, an address, or one in angle brackets.
fn in_ascii(word: &str) -> Option<String> {
    match word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
        Some(path) => Some(format!("<{}>", ascii_addr_spec(path)?)),
        None if word.contains('@') => ascii_addr_spec(word),
        None => ascii_domain(word),
    }
}
