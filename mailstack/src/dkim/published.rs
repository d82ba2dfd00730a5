//! Whether DNS has the record of a key, so that others can check what it signs.

use std::collections::BTreeMap;
use std::error::Error;

use mailwire::address::Domain;
use smtpd::dkim::{Key, Selector};
use thiserror::Error;

use super::zone::record_name;
use crate::arguments::Whereabouts;
use crate::names::names;

/// Why nothing should be signed with a key yet.
#[derive(Debug, Error)]
pub(crate) enum NotPublished {
    #[error(
        "DNS has no record {name} yet; `mailstack dkim show` shows it (--unchecked signs without it, and nobody can check that)"
    )]
    Missing { name: String },
    #[error("DNS has another key in {name}: \"{found}\"; `mailstack dkim show` shows which one it should be")]
    Other { name: String, found: String },
}

/// Asks DNS for the records of the keys that are named.
pub(super) async fn check(
    keys: &[Key],
    domain: &Domain,
    selectors: &[Selector],
    whereabouts: &Whereabouts,
) -> Result<(), Box<dyn Error>> {
    let used: Vec<_> = keys.iter().filter(|key| selectors.contains(&key.selector)).collect();
    if used.is_empty() {
        return Ok(());
    }
    let names = names(whereabouts.config.as_deref())?;
    for key in used {
        let name = record_name(domain, key);
        let found = names.texts(&name).await?;
        let expected = tags(&key.pair.record());
        if found.iter().any(|text| has(&tags(text), &expected)) {
            continue;
        }
        return Err(match found.into_iter().next() {
            Some(found) => NotPublished::Other { name, found },
            None => NotPublished::Missing { name },
        }
        .into());
    }
    Ok(())
}

/// True where `found` has the same key; what may be left out (RFC 6376 §3.6.1) may be left out.
fn has(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) -> bool {
    let kind = |tags: &BTreeMap<_, String>| tags.get("k").map_or("rsa", String::as_str).to_owned();
    found.get("p").is_some_and(|key| Some(key) == expected.get("p")) && kind(found) == kind(expected)
}

/// `tag-list` (RFC 6376 §3.2), without blanks.
fn tags(text: &str) -> BTreeMap<String, String> {
    let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    tags.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_its_key_however_it_is_written() {
        let expected = tags("v=DKIM1; k=rsa; p=AAAA");
        for right in ["v=DKIM1; k=rsa; p=AAAA", "p=AA AA", "v=DKIM1;t=s;p=AAAA;", "k=rsa;h=sha256; p=AAAA"] {
            assert!(has(&tags(right), &expected), "{right}");
        }
        for wrong in ["", "p=", "v=DKIM1; p=AAAB", "k=ed25519; p=AAAA", "v=spf1 -all"] {
            assert!(!has(&tags(wrong), &expected), "{wrong}");
        }
    }
}
