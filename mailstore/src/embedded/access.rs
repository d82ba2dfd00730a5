//! Application passwords and grants: what there is, and how it changes.

use std::sync::Arc;

use async_trait::async_trait;
use mailwire::address::Mailbox;
use mailwire::clock;
use mailwire::secret::Secret;

use super::accounts::Accounts;
use super::app_passwords::{self, AppPasswordRecord, Hash};
use super::change::DirectoryChange;
use super::grants::Grant;
use super::host::Core;
use super::record::Event;
use crate::{
    APP_PASSWORDS_MAX, AccessAdministration, Addresses, AdministrationError, AppPassword, AppPasswordName,
    GRANTS_MAX, Unavailable,
};

/// A wish about what the account of `address` may log in with, and whom it may send as.
#[derive(Debug)]
pub(crate) enum AccessChange {
    AddAppPassword { address: String, name: String, hash: Hash },
    RemoveAppPassword { address: String, name: String },
    Grant { address: String, addresses: String, grant: Grant },
}

impl AccessChange {
    /// The event that it becomes.
    pub(crate) fn event(self, accounts: &Accounts) -> Result<Event, AdministrationError> {
        match self {
            Self::AddAppPassword { address, name, hash } => {
                let maildrop = accounts.existing(&address)?.maildrop;
                if accounts.app_passwords.get(maildrop, &name).is_some() {
                    return Err(AdministrationError::Exists(app_password_text(&address, &name)));
                }
                if accounts.app_passwords.count(maildrop) >= APP_PASSWORDS_MAX {
                    let what = format!("{address} has {APP_PASSWORDS_MAX} application passwords");
                    return Err(AdministrationError::TooMany { what });
                }
                let password = Some(AppPasswordRecord { hash, created_at: clock::unix_seconds() });
                Ok(Event::AppPassword { maildrop, name, password })
            }
            Self::RemoveAppPassword { address, name } => {
                let maildrop = accounts.existing(&address)?.maildrop;
                if accounts.app_passwords.get(maildrop, &name).is_none() {
                    return Err(AdministrationError::Missing(app_password_text(&address, &name)));
                }
                Ok(Event::AppPassword { maildrop, name, password: None })
            }
            Self::Grant { address, addresses, grant } => {
                let maildrop = accounts.existing(&address)?.maildrop;
                let text = || format!("grant for {address} to send as {addresses}");
                match (grant, accounts.grants.has(maildrop, &addresses)) {
                    (Grant::Given, true) => return Err(AdministrationError::Exists(text())),
                    (Grant::Taken, false) => return Err(AdministrationError::Missing(text())),
                    (Grant::Given, false) if accounts.grants.count(maildrop) >= GRANTS_MAX => {
                        let what = format!("{address} has {GRANTS_MAX} grants");
                        return Err(AdministrationError::TooMany { what });
                    }
                    (Grant::Given, false) | (Grant::Taken, true) => {}
                }
                Ok(Event::Grant { maildrop, addresses, grant })
            }
        }
    }
}

fn app_password_text(address: &str, name: &str) -> String {
    format!("application password \"{name}\" of {address}")
}

impl Core {
    /// Asks `look` about the maildrop of an account.
    fn of_account<T>(
        &self,
        address: &Mailbox,
        look: impl FnOnce(&Accounts, u64) -> T,
    ) -> Result<T, AdministrationError> {
        let address = self.kept_key(address);
        self.with_accounts(|accounts| {
            let maildrop = accounts.existing(&address)?.maildrop;
            Ok(look(accounts, maildrop))
        })
    }

    async fn change_grant(
        &self,
        address: &Mailbox,
        addresses: &Addresses,
        grant: Grant,
    ) -> Result<(), AdministrationError> {
        let address = self.kept_key(address);
        let addresses = self.with_accounts(|accounts| {
            let maildrop = accounts.existing(&address)?.maildrop;
            Ok::<_, AdministrationError>(accounts.grants.kept_key(maildrop, addresses))
        })?;
        self.change_directory(DirectoryChange::Access(AccessChange::Grant { address, addresses, grant }))
            .await
    }
}

#[async_trait]
impl AccessAdministration for Arc<Core> {
    async fn add_app_password(
        &self,
        address: &Mailbox,
        name: &AppPasswordName,
    ) -> Result<Secret<String>, AdministrationError> {
        let failed = |why: String| AdministrationError::Unavailable(Unavailable(why));
        let password = app_passwords::made_up().map_err(|error| failed(error.to_string()))?;
        let hash = Hash::of(&password).ok_or_else(|| failed("no password could be made up".to_owned()))?;
        let (address, name) = (self.kept_key(address), name.as_str().to_owned());
        let change = AccessChange::AddAppPassword { address, name, hash };
        self.change_directory(DirectoryChange::Access(change)).await?;
        Ok(password)
    }

    async fn app_passwords(&self, address: &Mailbox) -> Result<Vec<AppPassword>, AdministrationError> {
        self.of_account(address, |accounts, maildrop| accounts.app_passwords.list(maildrop))
    }

    async fn remove_app_password(
        &self,
        address: &Mailbox,
        name: &AppPasswordName,
    ) -> Result<(), AdministrationError> {
        let (address, name) = (self.kept_key(address), name.as_str().to_owned());
        let change = AccessChange::RemoveAppPassword { address, name };
        self.change_directory(DirectoryChange::Access(change)).await
    }

    async fn grant(&self, address: &Mailbox, addresses: &Addresses) -> Result<(), AdministrationError> {
        self.change_grant(address, addresses, Grant::Given).await
    }

    async fn revoke(&self, address: &Mailbox, addresses: &Addresses) -> Result<(), AdministrationError> {
        self.change_grant(address, addresses, Grant::Taken).await
    }

    async fn grants(&self, address: &Mailbox) -> Result<Vec<Addresses>, AdministrationError> {
        self.of_account(address, |accounts, maildrop| accounts.grants.list(maildrop))
    }
}
