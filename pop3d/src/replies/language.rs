//! The languages of the replies, and which of them a client means.

use serde::Deserialize;

use super::texts::Texts;
use super::{de, en, es, fr, pt, zh};

/// A language that replies can be in (RFC 6856 §3); in the configuration, its tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Language {
    /// English: until a client asks for another one, since that is all in ASCII (RFC 6856 §3.2).
    #[default]
    #[serde(rename = "en")]
    English,
    /// Spanish.
    #[serde(rename = "es")]
    Spanish,
    /// Portuguese.
    #[serde(rename = "pt")]
    Portuguese,
    /// German.
    #[serde(rename = "de")]
    German,
    /// French.
    #[serde(rename = "fr")]
    French,
    /// Chinese.
    #[serde(rename = "zh")]
    Chinese,
}

impl Language {
    /// In the order in which LANG lists them.
    pub(super) const ALL: [Self; 6] =
        [Self::English, Self::Spanish, Self::Portuguese, Self::German, Self::French, Self::Chinese];

    /// Its tag (RFC 5646).
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
            Self::Portuguese => "pt",
            Self::German => "de",
            Self::French => "fr",
            Self::Chinese => "zh",
        }
    }

    /// What it calls itself.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Spanish => "Español",
            Self::Portuguese => "Português",
            Self::German => "Deutsch",
            Self::French => "Français",
            Self::Chinese => "中文",
        }
    }

    /// What it says.
    pub(super) const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &en::TEXTS,
            Self::Spanish => &es::TEXTS,
            Self::Portuguese => &pt::TEXTS,
            Self::German => &de::TEXTS,
            Self::French => &fr::TEXTS,
            Self::Chinese => &zh::TEXTS,
        }
    }

    /// The one that a basic language range names: lookup (RFC 4647 §3.4), which takes subtags away from the end until a
    /// tag is left that is known. `de-AT` and `DE-1996` are German.
    #[must_use]
    pub(crate) fn named(range: &str) -> Option<Self> {
        let mut range = range;
        loop {
            if let Some(found) = Self::ALL.into_iter().find(|one| one.tag().eq_ignore_ascii_case(range)) {
                return Some(found);
            }
            (range, _) = range.rsplit_once('-')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_names_the_language_that_it_begins_with() {
        for (range, language) in [
            ("en", Language::English),
            ("EN-gb-oed", Language::English),
            ("de-AT", Language::German),
            ("pt-BR", Language::Portuguese),
            ("zh-Hant-TW", Language::Chinese),
            ("es-x-mine", Language::Spanish),
        ] {
            assert_eq!(Language::named(range), Some(language), "{range}");
        }
    }

    #[test]
    fn what_only_looks_like_a_language_is_none() {
        for range in ["", "-", "d", "deu", "den", "x-de", "i-default", "uga", "mul", "*", "-de"] {
            assert_eq!(Language::named(range), None, "{range}");
        }
    }

    #[test]
    fn the_configuration_says_a_tag() {
        #[derive(Deserialize)]
        struct Table {
            language: Language,
        }
        for language in Language::ALL {
            let table: Table = toml::from_str(&format!("language = \"{}\"", language.tag())).unwrap();
            assert_eq!(table.language, language);
        }
        assert!(toml::from_str::<Table>("language = \"la\"").is_err());
    }
}
