//! Every reply that the server can give: status, response code and words, in each language. No other folder holds any.
//!
//! - [`status_lines`]: single lines, and those before a listing
//! - [`lists`]: capabilities, mechanisms and languages
//! - [`answer`]: how a short answer goes over the wire
//! - [`language`]: the languages, and which of them a client means (RFC 6856 §3)
//! - [`texts`]: what each of them says: [`en`], [`es`], [`pt`], [`de`], [`fr`], [`zh`]
//!
//! Clients show the words to people, and some act on single ones: fetchmail takes "lock" and "wait" for a busy
//! maildrop, Thunderbird's wizard searches all it receives for names of mechanisms and for angle brackets. What a program
//! reads (status, response codes, numbers, capabilities) is the same in every language.

mod answer;
mod de;
mod en;
mod es;
mod fr;
mod language;
mod lists;
mod pt;
mod status_lines;
#[cfg(test)]
mod tests;
mod texts;
mod zh;

pub use answer::Answer;
pub use language::Language;
pub(crate) use lists::{capabilities, languages, mechanisms};
pub(crate) use status_lines::*;
