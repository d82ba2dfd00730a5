//! The addresses of a delivery status (RFC 3464 §2.3, RFC 6533 §3) in ASCII (RFC 6857 §3.1.9, §4.2).

use mailwire::smtp::utf8_addr_xtext;

use super::lexemes::{Lexeme, lexemes, with_comments_downgraded};
use super::words::is_blank;

/// `address-type ";" generic-address`; `None` where only the whole field can be encapsulated.
pub(super) fn typed_address(value: &str) -> Option<String> {
    let lexemes = lexemes(value)?;
    let commented = with_comments_downgraded(&lexemes);
    if commented.is_ascii() {
        return Some(commented);
    }
    let semicolon = lexemes.iter().position(|lexeme| lexeme.is(";"))?;
    let (address_type, address) = lexemes.split_at(semicolon);
    let is_comment = |lexeme: &&Lexeme<'_>| matches!(lexeme, Lexeme::Comment(_));
    let text = |lexemes: &[Lexeme<'_>]| {
        let text = lexemes.iter().filter(|lexeme| !is_comment(lexeme)).map(|lexeme| lexeme.text());
        text.collect::<String>().trim_matches(is_blank).to_owned()
    };
    if !text(address_type).eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let address = address.get(1..).unwrap_or_default();
    let comments = address.iter().filter(is_comment);
    let comments =
        comments.fold(String::new(), |all, comment| all + " " + &with_comments_downgraded(&[*comment]));
    Some(format!("{}; {}{comments}", with_comments_downgraded(address_type), utf8_addr_xtext(&text(address))))
}
