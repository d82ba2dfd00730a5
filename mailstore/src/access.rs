//! What an account may log in with besides its password, and whom it may send as besides itself.

use async_trait::async_trait;
use mailwire::address::Mailbox;
use mailwire::secret::Secret;
use thiserror::Error;

use crate::{Addresses, AdministrationError};

/// Most application passwords of an account: one for each device and program that anybody has.
pub const APP_PASSWORDS_MAX: usize = 50;
/// Most grants of an account.
pub const GRANTS_MAX: usize = 1000;
/// Most octets of an application password's name.
pub const APP_PASSWORD_NAME_OCTETS_MAX: usize = 64;

/// What an application password is called, so that the right one can be removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppPasswordName(String);

/// Why a text is no name for an application password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "the name of an application password has 1 to {APP_PASSWORD_NAME_OCTETS_MAX} octets, no control characters, and no \
     blanks at its ends"
)]
pub struct NoAppPasswordName;

impl AppPasswordName {
    /// Takes any text that can be shown on a line.
    ///
    /// # Errors
    /// Where the text is empty, too long, has control characters in it, or begins or ends with a blank.
    pub fn parse(text: &str) -> Result<Self, NoAppPasswordName> {
        let fits = !text.is_empty() && text.len() <= APP_PASSWORD_NAME_OCTETS_MAX;
        let is_shown = !text.contains(char::is_control) && text.trim() == text;
        if fits && is_shown { Ok(Self(text.to_owned())) } else { Err(NoAppPasswordName) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An application password, of which only the name can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPassword {
    /// What it is called.
    pub name: AppPasswordName,
    /// Seconds since 1970.
    pub created_at: u64,
}

/// Application passwords and grants change; each change is one durable commit. All of them go with their account.
#[async_trait]
pub trait AccessAdministration: Send + Sync {
    /// Makes up a further password for an account, with which one of its programs logs in. It is known to whoever asks for
    /// it here, once, and to nobody afterwards.
    ///
    /// # Errors
    /// Where there is no such account, it has one of that name, or [`APP_PASSWORDS_MAX`] of them, or the store cannot do it.
    async fn add_app_password(
        &self,
        address: &Mailbox,
        name: &AppPasswordName,
    ) -> Result<Secret<String>, AdministrationError>;
    /// An account's application passwords, by name.
    ///
    /// # Errors
    /// Where there is no such account, or the store cannot answer.
    async fn app_passwords(&self, address: &Mailbox) -> Result<Vec<AppPassword>, AdministrationError>;
    /// Removes one: whoever has it cannot log in with it any more.
    ///
    /// # Errors
    /// Where there is no such account, or none of that name, or the store cannot do it.
    async fn remove_app_password(
        &self,
        address: &Mailbox,
        name: &AppPasswordName,
    ) -> Result<(), AdministrationError>;
    /// Lets an account send as an address (and its subaddresses) that does not reach it, or as all of a domain.
    ///
    /// # Errors
    /// Where there is no such account, it was granted before, there are [`GRANTS_MAX`] of them, or the store cannot do it.
    async fn grant(&self, address: &Mailbox, addresses: &Addresses) -> Result<(), AdministrationError>;
    /// Takes a grant back.
    ///
    /// # Errors
    /// Where there is no such account, or no such grant, or the store cannot do it.
    async fn revoke(&self, address: &Mailbox, addresses: &Addresses) -> Result<(), AdministrationError>;
    /// What an account was granted, addresses before domains.
    ///
    /// # Errors
    /// Where there is no such account, or the store cannot answer.
    async fn grants(&self, address: &Mailbox) -> Result<Vec<Addresses>, AdministrationError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_shown_on_a_line_and_is_not_too_long() {
        let longest = "x".repeat(APP_PASSWORD_NAME_OCTETS_MAX);
        for right in ["phone", "Anna's old phone", "\u{fc}", &longest] {
            assert_eq!(AppPasswordName::parse(right).unwrap().as_str(), right);
        }
        for wrong in ["", " ", "phone ", "a\nb", "a\0", "\u{85}", &format!("{longest}x")] {
            assert_eq!(AppPasswordName::parse(wrong), Err(NoAppPasswordName), "{wrong:?}");
        }
    }
}
