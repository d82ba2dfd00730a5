//! The ARC chain (RFC 8617) of a message: whether it holds, who has made it, and what they say of the message before them.

use mail_auth::common::crypto::Algorithm;
use mail_auth::{ArcOutput, DkimResult};

use super::keys::Keys;
use super::signatures::name;

/// What there is of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Whether it holds.
    pub result: ChainResult,
    /// Why not, if not.
    pub reason: Option<String>,
    /// Those who have sealed, the last one first.
    pub sealers: Vec<Sealer>,
}

/// RFC 8617 §4.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChainResult {
    /// There is none.
    #[default]
    None,
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// DNS did not say.
    TempError,
}

/// One who has handled the message, and what they found out about it when it came to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealer {
    /// Who, in lower case.
    pub domain: String,
    /// For which author DMARC passed there, in lower case; `Some("")` where they do not say.
    pub passed: Option<String>,
}

pub(super) fn chain(output: &ArcOutput<'_>, keys: &Keys) -> Chain {
    let sets = output.sets();
    let sealer = |set: &mail_auth::arc::Set<'_>| Sealer {
        domain: set.seal.header.d.to_lowercase(),
        passed: passed(set.results.value),
    };
    let sealers = sets.iter().rev().map(sealer).collect();
    let is_weak = |algorithm| algorithm == Algorithm::RsaSha1;
    let weak = sets.iter().find_map(|set| {
        let (seal, signature) = (set.seal.header, set.signature.header);
        let sha1 = is_weak(seal.a) || is_weak(signature.a);
        let old = sha1.then_some("it uses SHA-1");
        old.or_else(|| keys.unfit(&name(seal))).or_else(|| keys.unfit(&name(signature)))
    });
    let (result, reason) = match (output.result(), weak) {
        (DkimResult::None, _) => (ChainResult::None, None),
        (DkimResult::Pass, None) => (ChainResult::Pass, None),
        (DkimResult::Pass, Some(weak)) => (ChainResult::Fail, Some(weak.to_owned())),
        (DkimResult::TempError(error), _) => (ChainResult::TempError, Some(error.to_string())),
        (DkimResult::Neutral(error) | DkimResult::Fail(error) | DkimResult::PermError(error), _) => {
            (ChainResult::Fail, Some(error.to_string()))
        }
    };
    Chain { result, reason, sealers }
}

impl Chain {
    /// The one of those who are trusted that found DMARC to pass for this author: everybody since then must be trusted too
    /// (RFC 8617 §7.2).
    pub(super) fn vouches(&self, trusted: &[String], author: &str) -> Option<&str> {
        if self.result != ChainResult::Pass {
            return None;
        }
        let mut known = self.sealers.iter().take_while(|sealer| trusted.contains(&sealer.domain));
        let passed = |sealer: &&Sealer| {
            sealer.passed.as_ref().is_some_and(|passed| passed.is_empty() || passed == author)
        };
        known.find(passed).map(|sealer| sealer.domain.as_str())
    }
}

/// For whom ARC-Authentication-Results say `dmarc=pass` (RFC 8617 §4.1.1).
fn passed(value: &[u8]) -> Option<String> {
    let bare = without_quotes_and_comments(&String::from_utf8_lossy(value)).to_lowercase();
    let passed = bare.split(';').find_map(|result| {
        let mut words = result.split_ascii_whitespace();
        (words.next() == Some("dmarc=pass")).then(|| words.find_map(|word| word.strip_prefix("header.from=")))
    })?;
    Some(passed.unwrap_or_default().to_owned())
}

/// What a peer of theirs has chosen stands in quotes and comments, and is no result.
fn without_quotes_and_comments(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let (mut depth, mut is_quoted) = (0_usize, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if is_quoted || depth > 0 => _ = characters.next(),
            '"' if depth == 0 => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ => bare.push(character),
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passed_dmarc_is_found_and_nothing_that_looks_like_one() {
        for (value, expected) in [
            (
                " i=1; a.example; spf=pass; dmarc=pass (p=none) header.from=B.example; dkim=pass",
                Some("b.example"),
            ),
            (" i=1; a.example; dmarc=pass", Some("")),
            (" i=1; a.example;\r\n\tdmarc=pass\r\n\theader.from=b.example", Some("b.example")),
            (" i=1; a.example; dmarc=fail header.from=b.example", None),
            (" i=1; a.example; spf=fail (x; dmarc=pass )", None),
            (" i=1; a.example; spf=fail smtp.mailfrom=\"x; dmarc=pass \"", None),
            (" i=1; a.example; xdmarc=pass", None),
        ] {
            assert_eq!(passed(value.as_bytes()).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn only_a_line_of_trusted_sealers_vouches() {
        let sealer = |domain: &str, passed: Option<&str>| Sealer {
            domain: domain.to_owned(),
            passed: passed.map(str::to_owned),
        };
        let chain = |result, sealers| Chain { result, reason: None, sealers };
        let both = || vec![sealer("last.example", None), sealer("list.example", Some("a.example"))];
        let trusted = ["last.example".to_owned(), "list.example".to_owned()];
        let good = chain(ChainResult::Pass, both());
        assert_eq!(good.vouches(&trusted, "a.example"), Some("list.example"));
        assert_eq!(good.vouches(&trusted, "b.example"), None);
        assert_eq!(good.vouches(&trusted[1..], "a.example"), None);
        assert_eq!(good.vouches(&[], "a.example"), None);
        assert_eq!(chain(ChainResult::Fail, both()).vouches(&trusted, "a.example"), None);
    }
}
