//! Texts to compare with: whole, in part, or by a glob; without regard to case, and with a bound to the work.

use mailwire::address::{Domain, Mailbox, ReversePath};

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) how: How,
    /// One of them is enough.
    pub(super) values: Vec<Value>,
}

/// What of a text is compared, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It is all of it.
    Is,
    /// It stands somewhere in it.
    Contains,
    /// `*` stands for any characters, `?` for one.
    Matches,
    /// The domain of an address in it is this one.
    Domain,
    /// The local part of an address in it is this one.
    LocalPart,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// In lower case.
    pub(super) text: String,
    /// What [`How::Matches`] asks for.
    pub(super) glob: Vec<Glob>,
    /// The same as a domain, where it is one.
    pub(super) domain: Option<Domain>,
    /// The same as an address, where it is one.
    pub(super) mailbox: Option<String>,
}

/// A part of a glob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glob {
    /// `*`
    Any,
    /// `?`
    One,
    Character(char),
}

/// What is left of the work that one message may make. Each unit is about the look at one octet.
#[derive(Debug)]
pub(super) struct Effort(u64);

/// The work is more than one message may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuchWork;

impl Effort {
    pub(super) const fn new(units: u64) -> Self {
        Self(units)
    }

    pub(super) fn take(&mut self, units: usize) -> Result<(), TooMuchWork> {
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        self.0 = self.0.checked_sub(units).ok_or(TooMuchWork)?;
        Ok(())
    }
}

impl Value {
    pub(super) fn new(text: &str) -> Self {
        let text = text.to_lowercase();
        Self {
            glob: glob(&text),
            domain: Domain::parse(&text).ok(),
            mailbox: Mailbox::parse(&text).ok().map(|mailbox| mailbox.key_in_a_labels()),
            text,
        }
    }
}

impl Pattern {
    /// True where the text of a field is as it should be.
    pub(super) fn fits_text(&self, text: &str, effort: &mut Effort) -> Result<bool, TooMuchWork> {
        let text = text.trim().to_lowercase();
        effort.take(text.len())?;
        for value in &self.values {
            effort.take(text.len())?;
            let fits = match self.how {
                How::Is => text == value.text,
                How::Contains => text.contains(&value.text),
                How::Matches => matches(&value.glob, &text, effort)?,
                // Of a text that is no address.
                How::Domain | How::LocalPart => false,
            };
            if fits {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True where an address is as it should be.
    pub(super) fn fits_mailbox(&self, mailbox: &Mailbox, effort: &mut Effort) -> Result<bool, TooMuchWork> {
        effort.take(self.values.len().saturating_mul(64))?;
        match self.how {
            How::Is => {
                let key = mailbox.key_in_a_labels();
                Ok(self.values.iter().any(|value| value.mailbox.as_deref() == Some(&key)))
            }
            How::Contains | How::Matches => self.fits_text(&mailbox.text(), effort),
            How::Domain => {
                let domain = mailbox.domain();
                Ok(self.values.iter().any(|value| value.domain.as_ref() == Some(domain)))
            }
            How::LocalPart => {
                let local_part = mailbox.local_part().as_str().to_lowercase();
                Ok(self.values.iter().any(|value| value.text == local_part))
            }
        }
    }

    /// The same of where reports go; `<>` is nowhere (RFC 5321 §4.5.5).
    pub(super) fn fits_path(&self, path: &ReversePath, effort: &mut Effort) -> Result<bool, TooMuchWork> {
        match path {
            ReversePath::Mailbox(mailbox) => self.fits_mailbox(mailbox, effort),
            ReversePath::Null => self.fits_text("<>", effort),
        }
    }
}

/// A backslash takes the meaning of the character behind it.
fn glob(text: &str) -> Vec<Glob> {
    let mut glob = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let part = match character {
            '*' => Glob::Any,
            '?' => Glob::One,
            '\\' => Glob::Character(characters.next().unwrap_or('\\')),
            _ => Glob::Character(character),
        };
        if part != Glob::Any || glob.last() != Some(&Glob::Any) {
            glob.push(part);
        }
    }
    glob
}

/// Goes back to the last `*` only, which is enough: what stood before it has been found as early as can be.
fn matches(glob: &[Glob], text: &str, effort: &mut Effort) -> Result<bool, TooMuchWork> {
    let characters: Vec<char> = text.chars().collect();
    let (mut at, mut in_glob) = (0, 0);
    let mut last_any = None;
    while let Some(character) = characters.get(at) {
        effort.take(1)?;
        match glob.get(in_glob) {
            Some(Glob::Any) => {
                last_any = Some((in_glob, at));
                in_glob += 1;
            }
            Some(part) if *part == Glob::One || *part == Glob::Character(*character) => {
                at += 1;
                in_glob += 1;
            }
            Some(_) | None => {
                let Some((any, from)) = last_any else { return Ok(false) };
                last_any = Some((any, from + 1));
                (at, in_glob) = (from + 1, any + 1);
            }
        }
    }
    Ok(glob.get(in_glob..).unwrap_or_default().iter().all(|part| *part == Glob::Any))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn effort() -> Effort {
        Effort::new(1_000_000)
    }

    fn is_match(pattern: &str, text: &str) -> bool {
        matches(&glob(pattern), text, &mut effort()).unwrap()
    }

    /// As a definition says it, slow as it is.
    fn by_definition(glob: &[Glob], text: &[char]) -> bool {
        match (glob.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Glob::Any, rest)), _) => {
                by_definition(rest, text)
                    || text.split_first().is_some_and(|(_, text)| by_definition(glob, text))
            }
            (None, Some(_)) | (Some(_), None) => false,
            (Some((Glob::One, rest)), Some((_, text))) => by_definition(rest, text),
            (Some((Glob::Character(wanted), rest)), Some((found, text))) => {
                wanted == found && by_definition(rest, text)
            }
        }
    }

    #[test]
    fn globs_match_whole_texts() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "a"),
            ("a*", "a"),
            ("*b*", "abc"),
            ("a?c", "abc"),
            ("*a*a*", "aa"),
            ("\\*", "*"),
            ("**a", "xxa"),
            ("\u{fc}?", "\u{fc}\u{e9}"),
        ] {
            assert!(is_match(pattern, text), "{pattern:?} {text:?}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("?", ""),
            ("a*", "ba"),
            ("*b", "bc"),
            ("a?c", "ac"),
            ("\\*", "a"),
            ("*a*a*", "a"),
        ] {
            assert!(!is_match(pattern, text), "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn a_glob_that_would_take_for_ever_is_given_up() {
        let pattern = glob(&("*a".repeat(100) + "b"));
        let text = "a".repeat(1_000_000);
        assert_eq!(matches(&pattern, &text, &mut effort()), Err(TooMuchWork));
    }

    #[test]
    fn addresses_are_compared_by_their_parts() {
        let mailbox = Mailbox::parse("Alice+x@B\u{fc}cher.example").unwrap();
        for (how, value, fits) in [
            (How::Is, "alice+x@xn--bcher-kva.example", true),
            (How::Is, "alice@b\u{fc}cher.example", false),
            (How::Contains, "e+x@B", true),
            (How::Matches, "*@b*.example", true),
            (How::Matches, "*@b*.exampl", false),
            (How::Domain, "XN--bcher-kva.example", true),
            (How::Domain, "example", false),
            (How::LocalPart, "ALICE+x", true),
            (How::LocalPart, "alice", false),
        ] {
            let pattern = Pattern { how, values: vec![Value::new("other@other"), Value::new(value)] };
            assert_eq!(pattern.fits_mailbox(&mailbox, &mut effort()), Ok(fits), "{how:?} {value}");
        }
    }

    proptest! {
        #[test]
        fn a_quick_match_is_that_of_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let characters: Vec<char> = text.chars().collect();
            prop_assert_eq!(is_match(&pattern, &text), by_definition(&glob(&pattern), &characters));
        }
    }
}
