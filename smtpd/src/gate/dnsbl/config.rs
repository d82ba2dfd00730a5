//! The table `[dnsbl]` of the configuration: which lists are asked about those who bring mail, and what a listing means.

use std::net::IpAddr;

use mailwire::address::Domain;
use mailwire::daemon::config::positive;
use mailwire::net::Network;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::Pattern;

/// Most lists: each is asked about every client.
const LISTS_MAX: usize = 32;
/// Most characters of a zone: an IPv6 address stands in front of it in 64 of the 253 that a name may have (RFC 1035 §2.3.4).
const ZONE_CHARACTERS_MAX: usize = 189;

/// What the table `[dnsbl]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dnsbl {
    /// The lists; none: nobody is asked.
    #[serde(deserialize_with = "lists")]
    pub lists: Vec<ListConfig>,
    /// Networks about which nobody is asked.
    pub trusted: Vec<Network>,
    /// Seconds that all answers together may take; a list that has not answered by then has nothing listed.
    #[serde(deserialize_with = "positive")]
    pub seconds: u64,
    /// The weights of all lists that list a sender, from which on its mail is junk; 0: never.
    pub junk_weight: u32,
    /// The same, from which on it is refused; 0: never.
    pub refuse_weight: u32,
}

/// What `[[dnsbl.lists]]` says of one list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListConfig {
    /// Where in DNS it is.
    #[serde(deserialize_with = "zone")]
    pub zone: String,
    /// What it is called where others see it; empty: as its zone.
    #[serde(default, deserialize_with = "printable")]
    pub name: String,
    /// What is looked up in it.
    #[serde(default)]
    pub about: About,
    /// Which of its answers count; none: all that say that something is listed.
    #[serde(default)]
    pub answers: Vec<Pattern>,
    /// What follows.
    #[serde(default)]
    pub action: Action,
    /// What it adds to the weights of the others.
    #[serde(default)]
    pub weight: u32,
}

/// What a list knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// The addresses of hosts (RFC 5782 §2.1, §2.4).
    #[default]
    Address,
    /// Domains (RFC 5782 §3): that of MAIL, and the name given with EHLO.
    Domain,
}

/// What follows where a list has somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// No other list counts, and nobody is greylisted.
    Allow,
    /// It is told in the header of the message.
    #[default]
    Mark,
    /// The message is junk.
    Junk,
    /// It is refused.
    Refuse,
}

impl Action {
    /// As the configuration has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Mark => "mark",
            Self::Junk => "junk",
            Self::Refuse => "refuse",
        }
    }
}

impl Dnsbl {
    /// True where the lists are asked about a client from there.
    pub(crate) fn asks_about(&self, address: IpAddr) -> bool {
        !self.trusted.iter().any(|network| network.contains(address))
    }
}

impl ListConfig {
    /// What it is called where others see it: zones may have a secret key in them.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.name.is_empty() { &self.zone } else { &self.name }
    }
}

impl Default for Dnsbl {
    fn default() -> Self {
        Self { lists: Vec::new(), trusted: Vec::new(), seconds: 5, junk_weight: 0, refuse_weight: 0 }
    }
}

fn lists<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ListConfig>, D::Error> {
    let lists = Vec::<ListConfig>::deserialize(deserializer)?;
    if lists.len() > LISTS_MAX {
        return Err(D::Error::custom(format!("`lists` has more than {LISTS_MAX} lists")));
    }
    Ok(lists)
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match Domain::parse(text.trim_end_matches('.')).as_ref().map(Domain::in_a_labels).as_deref() {
        Ok(Domain::Name(name)) if name.is_ascii() && name.len() <= ZONE_CHARACTERS_MAX => Ok(name.clone()),
        Ok(Domain::Name(_) | Domain::Address(_)) | Err(_) => Err(D::Error::custom(format!(
            "`zone` must be a domain of at most {ZONE_CHARACTERS_MAX} characters"
        ))),
    }
}

/// It stands in replies and header fields.
fn printable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_word = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
    if text.len() <= ZONE_CHARACTERS_MAX && text.bytes().all(is_word) {
        return Ok(text);
    }
    Err(D::Error::custom("`name` must be short, of letters, digits, dots, hyphens and underscores"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Dnsbl, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_list_needs_nothing_but_its_zone() {
        let dnsbl = read("[[lists]]\nzone = \"BL.example.\"").unwrap();
        let [list] = &dnsbl.lists[..] else { panic!("{dnsbl:?}") };
        assert_eq!((list.shown(), list.about, list.action), ("bl.example", About::Address, Action::Mark));
        assert_eq!(Dnsbl { lists: Vec::new(), ..dnsbl }, Dnsbl::default());
    }

    #[test]
    fn a_name_hides_the_key_in_a_zone() {
        let dnsbl = read("[[lists]]\nzone = \"secret.bl.example\"\nname = \"bl.example\"").unwrap();
        assert_eq!(dnsbl.lists[0].shown(), "bl.example");
    }

    #[test]
    fn what_cannot_be_asked_is_no_list() {
        let longest = "a.".repeat(94) + "a";
        assert!(read(&format!("[[lists]]\nzone = \"{longest}\"")).is_ok());
        assert!(read(&format!("[[lists]]\nzone = \"{longest}a\"")).is_err());
        for wrong in [
            "zone = \"\"",
            "zone = \"a b\"",
            "zone = \"[192.0.2.1]\"",
            "name = \"x\"",
            "zone = \"a\"\nname = \"a b\"",
        ] {
            assert!(read(&format!("[[lists]]\n{wrong}")).is_err(), "{wrong}");
        }
        assert!(read("seconds = 0").is_err());
        let list = "[[lists]]\nzone = \"a\"\n";
        assert!(read(&list.repeat(LISTS_MAX)).is_ok() && read(&list.repeat(LISTS_MAX + 1)).is_err());
    }
}
