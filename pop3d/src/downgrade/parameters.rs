//! Parameters of Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2183 §2) in ASCII (RFC 6857 §3.1.4, §3.2.5).

use std::collections::BTreeSet;

use mailwire::header::extended_parameter;

use super::lexemes::{Lexeme, lexemes, with_comments_downgraded};
use super::words::{unquoted, unstructured};

/// The value of such a field; `None` where it cannot be taken apart.
pub(super) fn parameters(value: &str) -> Option<String> {
    let lexemes = lexemes(value)?;
    let parts: Vec<_> = lexemes.split(|lexeme| lexeme.is(";")).collect();
    // The first piece names the charset (RFC 2231 §4.1), so all pieces are extended where one must be.
    let in_pieces = parts.iter().filter_map(|part| Parameter::of(part));
    let in_pieces = in_pieces.filter(|one| !one.value.is_ascii() && one.section().is_some());
    let extended: BTreeSet<_> = in_pieces.map(|one| one.name().to_ascii_lowercase()).collect();
    let written = parts.iter().map(|part| {
        let commented = with_comments_downgraded(part);
        match Parameter::of(part) {
            Some(parameter)
                if !parameter.value.is_ascii()
                    || extended.contains(&parameter.name().to_ascii_lowercase()) =>
            {
                parameter.extended()
            }
            Some(_) | None if commented.is_ascii() => commented,
            Some(_) | None => unstructured(&commented),
        }
    });
    Some(written.collect::<Vec<_>>().join(";"))
}

/// `parameter := attribute "=" value`, RFC 2045 §5.1; of RFC 2231 §3 and §4 as well.
struct Parameter {
    attribute: String,
    value: String,
}

impl Parameter {
    /// `None` for what is none, or has an attribute outside ASCII.
    fn of(part: &[Lexeme<'_>]) -> Option<Self> {
        let mut attribute = String::new();
        let mut value: Option<String> = None;
        let mut blanks = "";
        for lexeme in part {
            let text = match (lexeme, &mut value) {
                (Lexeme::Comment(_), _) => continue,
                (Lexeme::Blanks(text), _) => {
                    blanks = text;
                    continue;
                }
                (Lexeme::Quoted(_), Some(_)) => &unquoted(lexeme.within_quotes()),
                (_, Some(_)) => lexeme.text(),
                (_, None) => {
                    let (before, behind) = lexeme.text().split_once('=').unzip();
                    attribute.push_str(before.unwrap_or(lexeme.text()));
                    value = behind.map(str::to_owned);
                    continue;
                }
            };
            if let Some(value) = &mut value {
                // Blanks around the value are no part of it.
                value.push_str(if value.is_empty() { "" } else { blanks });
                value.push_str(text);
            }
            blanks = "";
        }
        let is_token = !attribute.is_empty() && attribute.bytes().all(|octet| octet.is_ascii_graphic());
        value.filter(|_| is_token).map(|value| Self { attribute, value })
    }

    /// The attribute without what RFC 2231 puts behind it.
    fn name(&self) -> &str {
        self.attribute.split('*').next().unwrap_or_default()
    }

    /// The number of this piece, where the value comes in several.
    fn section(&self) -> Option<&str> {
        let section = self.attribute.split('*').nth(1)?;
        (!section.is_empty()).then_some(section)
    }

    /// In the form of RFC 2231 §4, without a language.
    fn extended(&self) -> String {
        let is_extended = self.attribute.ends_with('*');
        let Some(section) = self.section() else {
            if is_extended {
                let charset = if self.value.contains('\'') { "" } else { "utf-8''" };
                return format!(" {}={charset}{}", self.attribute, percent_encoded(&self.value));
            }
            return format!(" {}", extended_parameter(&self.attribute, &self.value));
        };
        let name = self.name();
        if is_extended {
            return format!(" {name}*{section}*={}", percent_encoded(&self.value));
        }
        let charset = if section == "0" { "utf-8''" } else { "" };
        let value = self.value.replace('%', "%25").replace('\'', "%27");
        format!(" {name}*{section}*={charset}{}", percent_encoded(&value))
    }
}

/// What is no `attribute-char` (RFC 2231 §7) by its octets; what is encoded already stays so.
fn percent_encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut encoded, octet| {
        if octet.is_ascii_graphic() && !b"*()<>@,;:\\\"/[]?=".contains(&octet) {
            encoded.push(char::from(octet));
            encoded
        } else {
            encoded + &format!("%{octet:02X}")
        }
    })
}
