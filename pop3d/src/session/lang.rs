//! LANG (RFC 6856 §3), in both states alike: which languages there are, and which one is spoken from now on.

use crate::replies::{self, Answer, Language};

/// In which language a session is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken {
    /// The language of the next reply.
    pub(super) language: Language,
    /// What the administrator prefers.
    preferred: Language,
}

impl Spoken {
    /// Of a session that has just begun.
    pub(super) fn new(preferred: Language) -> Self {
        Self { language: Language::default(), preferred }
    }

    /// Nobody has asked for a language: what was said in clear does not count under TLS (RFC 2595 §4), where somebody
    /// between might have said it (RFC 6856 §7).
    pub(super) fn forget(&mut self) {
        self.language = Language::default();
    }

    /// LANG, alone or with a language range; `*` is what the administrator prefers (RFC 6856 §3.2).
    pub(super) fn lang(&mut self, range: Option<&str>) -> Answer {
        let wanted = match range {
            None => return replies::languages(self.language),
            Some("*") => Some(self.preferred),
            Some(range) => Language::named(range),
        };
        let Some(language) = wanted else { return replies::unknown_language(self.language).into() };
        self.language = language;
        replies::language_chosen(language).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answer: &Answer) -> String {
        let mut output = Vec::new();
        answer.encode(&mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn an_unknown_language_is_refused_in_the_one_that_stays() {
        let mut spoken = Spoken::new(Language::French);
        assert_eq!(said(&spoken.lang(Some("de-CH"))), "+OK de Ab jetzt auf Deutsch\r\n");
        let refused = said(&spoken.lang(Some("uga")));
        assert!(refused.starts_with("-ERR Diese Sprache "), "{refused}");
        assert_eq!(spoken.language, Language::German);
        assert_eq!(said(&spoken.lang(Some("*"))), "+OK fr Désormais en français\r\n");
        assert!(said(&spoken.lang(None)).starts_with("+OK Voici "));
        spoken.forget();
        assert_eq!(spoken.language, Language::English);
    }
}
