//! Mailboxes and groups (RFC 5322 §3.4) in ASCII (RFC 6857 §3.1.6 to §3.1.8, §3.2.1).
//!
//! A domain has a form in ASCII, a local-part has none. A mailbox whose local-part is not in ASCII becomes an empty group,
//! whose name shows the address: nobody can answer it, and nobody else can be meant.

use mailwire::address::Domain;

use super::lexemes::{Lexeme, lexemes, with_comments_downgraded};
use super::words::{Words, is_blank, unquoted, unstructured};

/// A list of addresses; `None` where it cannot be taken apart.
pub(super) fn addresses(value: &str) -> Option<String> {
    let lexemes = lexemes(value)?;
    let mut output = String::new();
    let mut rest = lexemes.as_slice();
    while !rest.is_empty() {
        let end = end_of_element(rest);
        let (element, behind) = rest.split_at(end);
        match behind.split_first() {
            Some((colon, behind)) if colon.is(":") => {
                let end = outside_brackets(behind, |lexeme| lexeme.is(";")).unwrap_or(behind.len());
                let (list, behind) = behind.split_at(end);
                output.push_str(&group(element, list)?);
                rest = behind.get(1..).unwrap_or_default();
            }
            Some((separator, behind)) => {
                output.push_str(&mailbox(element)?);
                output.push_str(separator.text());
                rest = behind;
            }
            None => {
                output.push_str(&mailbox(element)?);
                rest = &[];
            }
        }
    }
    Some(output)
}

/// Where a mailbox or the name of a group ends.
fn end_of_element(lexemes: &[Lexeme<'_>]) -> usize {
    let ends = |lexeme: Lexeme<'_>| lexeme.is(",") || lexeme.is(":") || lexeme.is(";");
    outside_brackets(lexemes, ends).unwrap_or(lexemes.len())
}

/// The first such lexeme that does not stand between angle brackets, where routes have commas and colons (RFC 5322 §4.4).
fn outside_brackets(lexemes: &[Lexeme<'_>], is_it: impl Fn(Lexeme<'_>) -> bool) -> Option<usize> {
    let mut is_within = false;
    lexemes.iter().position(|lexeme| {
        is_within = (is_within || lexeme.is("<")) && !lexeme.is(">");
        !is_within && is_it(*lexeme)
    })
}

/// A mailbox, taken apart.
struct Parts<'a> {
    /// In front of the angle bracket, or blanks alone.
    name: &'a [Lexeme<'a>],
    /// Between the angle brackets, or the whole of it.
    address: &'a [Lexeme<'a>],
    /// Behind the angle bracket.
    behind: &'a [Lexeme<'a>],
    is_bracketed: bool,
}

impl<'a> Parts<'a> {
    /// `None` where an angle bracket is not closed.
    fn of(mailbox: &'a [Lexeme<'a>]) -> Option<Self> {
        let Some(open) = mailbox.iter().position(|lexeme| lexeme.is("<")) else {
            let begin = mailbox.iter().position(|lexeme| !matches!(lexeme, Lexeme::Blanks(_)));
            let (name, address) = mailbox.split_at(begin.unwrap_or(mailbox.len()));
            return Some(Self { name, address, behind: &[], is_bracketed: false });
        };
        let (name, rest) = mailbox.split_at(open);
        let rest = rest.get(1..)?;
        let (address, behind) = rest.split_at(rest.iter().position(|lexeme| lexeme.is(">"))?);
        Some(Self { name, address, behind: behind.get(1..)?, is_bracketed: true })
    }

    /// The address without comments and, where it is one, without a route.
    fn addr_spec(&self) -> String {
        let route = self.address.iter().rposition(|lexeme| lexeme.is(":")).map_or(0, |colon| colon + 1);
        let text: String = self
            .address
            .get(route..)
            .unwrap_or_default()
            .iter()
            .filter(|lexeme| !matches!(lexeme, Lexeme::Comment(_)))
            .map(|lexeme| lexeme.text())
            .collect();
        text.trim_matches(is_blank).to_owned()
    }
}

/// An addr-spec in ASCII (RFC 6857 §3.1.6); `None` where there is none.
pub(super) fn ascii_addr_spec(addr_spec: &str) -> Option<String> {
    let (local_part, domain) = addr_spec.rsplit_once('@')?;
    let local_part = local_part.trim_end_matches(is_blank);
    (local_part.is_ascii() && !local_part.is_empty()).then_some(())?;
    Some(format!("{local_part}@{}", ascii_domain(domain.trim_matches(is_blank))?))
}

/// A domain in A-labels; `None` where it has none.
pub(super) fn ascii_domain(domain: &str) -> Option<String> {
    if domain.is_ascii() {
        return Some(domain.to_owned());
    }
    let ascii = Domain::parse(domain).ok()?.other_spelling()?.to_string();
    ascii.is_ascii().then_some(ascii)
}

/// RFC 6857 §3.1.8.
fn mailbox(mailbox: &[Lexeme<'_>]) -> Option<String> {
    let commented = with_comments_downgraded(mailbox);
    if commented.is_ascii() {
        return Some(commented);
    }
    let parts = Parts::of(mailbox)?;
    let comments = |lexemes: &[Lexeme<'_>]| {
        let comments = lexemes.iter().filter(|lexeme| matches!(lexeme, Lexeme::Comment(_)));
        comments.fold(String::new(), |output, comment| output + " " + &with_comments_downgraded(&[*comment]))
    };
    let mut words = Words::new();
    let blanks = phrase(parts.name, &mut words);
    let address = with_comments_downgraded(parts.address);
    let behind = with_comments_downgraded(parts.behind);
    // What stands there cannot be told apart from an address.
    let behind = if behind.is_ascii() { behind } else { unstructured(&behind) };
    let addr_spec = parts.addr_spec();
    let address = if address.is_ascii() { Some(address) } else { ascii_addr_spec(&addr_spec) };
    Some(match address {
        Some(address) if parts.is_bracketed => format!("{}{blanks}<{address}>{behind}", words.finish()),
        Some(address) => format!("{}{blanks}{address}{}", words.finish(), comments(parts.address)),
        None => {
            words.push_text(blanks, &addr_spec);
            format!("{} :;{}{behind}", words.finish(), comments(parts.address))
        }
    })
}

/// The words of a phrase (RFC 5322 §3.2.5, RFC 6857 §3.1.5), and the blanks behind the last of them. What stands side by
/// side without a blank is one word, whatever it should be.
pub(super) fn phrase<'a>(phrase: &[Lexeme<'a>], words: &mut Words) -> &'a str {
    let mut blanks = "";
    for group in phrase.chunk_by(|one, next| !one.is_cfws() && !next.is_cfws()) {
        match group {
            [Lexeme::Blanks(text)] => {
                blanks = text;
                continue;
            }
            [comment @ Lexeme::Comment(_)] => words.push(blanks, &with_comments_downgraded(&[*comment])),
            word if word.iter().all(|lexeme| lexeme.text().is_ascii()) => {
                let word: String = word.iter().map(|lexeme| lexeme.text()).collect();
                words.push(blanks, &word);
            }
            word => {
                let text = |lexeme: &Lexeme<'_>| match lexeme {
                    Lexeme::Quoted(_) => unquoted(lexeme.within_quotes()),
                    Lexeme::Blanks(text)
                    | Lexeme::Comment(text)
                    | Lexeme::Literal(text)
                    | Lexeme::Special(text)
                    | Lexeme::Atom(text) => (*text).to_owned(),
                };
                let word: String = word.iter().map(text).collect();
                words.push_text(blanks, &word);
            }
        }
        blanks = "";
    }
    blanks
}

/// RFC 6857 §3.1.7.
fn group(name: &[Lexeme<'_>], list: &[Lexeme<'_>]) -> Option<String> {
    let mut words = Words::new();
    let blanks = phrase(name, &mut words);
    let mut members = String::new();
    let mut rest = list;
    let is_separator = |lexeme: Lexeme<'_>| lexeme.is(",");
    while !rest.is_empty() {
        let (member, behind) = rest.split_at(outside_brackets(rest, is_separator).unwrap_or(rest.len()));
        if !has_ascii_form(member)? {
            let list: String = list.iter().map(|lexeme| lexeme.text()).collect();
            words.push_text(" ", list.trim_matches(is_blank));
            return Some(format!("{} :;", words.finish()));
        }
        members.push_str(&mailbox(member)?);
        let Some((comma, behind)) = behind.split_first() else { break };
        members.push_str(comma.text());
        rest = behind;
    }
    Some(format!("{}{blanks}:{members};", words.finish()))
}

/// True for a mailbox whose address can be written in ASCII.
fn has_ascii_form(mailbox: &[Lexeme<'_>]) -> Option<bool> {
    let parts = Parts::of(mailbox)?;
    let address = with_comments_downgraded(parts.address);
    Some(address.is_ascii() || ascii_addr_spec(&parts.addr_spec()).is_some())
}
