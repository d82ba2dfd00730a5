//! `mailstack account`: accounts are added, listed and removed, and get new passwords, quotas and rights.

use std::error::Error;

use mailstore::{AdministrationError, Store};
use mailwire::address::Mailbox;
use mailwire::secret::Secret;
use thiserror::Error;

use crate::access;
use crate::arguments::AccountCommand;
use crate::listing;
use crate::output::Output;
use crate::passwords;
use crate::place::Place;
use crate::quota;
use crate::rules;
use crate::subaddress;

/// Why an account is not as it was asked for, and what to do.
#[derive(Debug, Error)]
pub(crate) enum AccountError {
    #[error("{0} exists already; `mailstack account password {0}` changes its password")]
    Exists(Mailbox),
    #[error("there is no account {0}; `mailstack account list` shows those there are")]
    Missing(Mailbox),
    #[error(transparent)]
    Other(AdministrationError),
}

impl AccountError {
    pub(crate) fn of(address: &Mailbox, error: AdministrationError) -> Self {
        match error {
            AdministrationError::Exists(_) => Self::Exists(address.clone()),
            AdministrationError::Missing(_) => Self::Missing(address.clone()),
            AdministrationError::Target { .. }
            | AdministrationError::InUse { .. }
            | AdministrationError::Granted { .. }
            | AdministrationError::NoSubaddress { .. }
            | AdministrationError::HoldsMail { .. }
            | AdministrationError::TooMany { .. }
            | AdministrationError::Unavailable(_) => Self::Other(error),
        }
    }
}

/// Does what `command` says.
pub(crate) async fn run(command: &AccountCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    match command {
        AccountCommand::Add { addresses, whereabouts } => {
            let place = Place::find(whereabouts)?;
            let addresses: Vec<_> =
                addresses.iter().map(|address| place.local(address)).collect::<Result<_, _>>()?;
            let passwords = passwords::ask(&addresses)?;
            let store = place.open().await?;
            let added = add(&store, &addresses, &passwords, output).await;
            store.close().await;
            added
        }
        AccountCommand::List { plain, whereabouts } => {
            let store = Place::find(whereabouts)?.open().await?;
            let usage = store.administration.usage().await;
            store.close().await;
            if *plain {
                // Lines whose tabs must stay.
                output.text(&listing::plain(&usage?));
            } else {
                output.lines(&listing::table(&usage?));
            }
            Ok(())
        }
        AccountCommand::Quota(options) => quota::run(options, output).await,
        AccountCommand::Maildrop(options) => rules::run(options, output).await,
        AccountCommand::AppPassword(command) => access::app_password(command, output).await,
        AccountCommand::Subaddress(command) => subaddress::run(command, output).await,
        AccountCommand::Grant(options) => access::grant(options, output).await,
        AccountCommand::Revoke(options) => access::revoke(options, output).await,
        AccountCommand::Grants { address, whereabouts } => access::grants(address, whereabouts, output).await,
        AccountCommand::Remove { address, whereabouts } => {
            let place = Place::find(whereabouts)?;
            let address = Mailbox::parse(address)?;
            let store = place.open().await?;
            let removed = store.administration.remove_account(&address).await;
            store.close().await;
            removed.map_err(|error| AccountError::of(&address, error))?;
            forget(&place, &address)?;
            output.line(&format!("{address} and all its mail are removed"));
            Ok(())
        }
        AccountCommand::Password { address, whereabouts } => {
            let place = Place::find(whereabouts)?;
            let address = Mailbox::parse(address)?;
            let passwords = passwords::ask(std::slice::from_ref(&address))?;
            let store = place.open().await?;
            let changed = set_password(&store, &address, passwords).await;
            let others = store.access.app_passwords(&address).await;
            store.close().await;
            changed?;
            forget(&place, &address)?;
            output.line(&format!("{address} has a new password"));
            // Whoever changes a password because it got around must know what else opens the account.
            if let Some(line) = access::still_valid(&address, &others?) {
                output.line(&line);
            }
            Ok(())
        }
    }
}

async fn add(
    store: &Store,
    addresses: &[Mailbox],
    passwords: &[Secret<String>],
    output: &Output,
) -> Result<(), Box<dyn Error>> {
    for (address, password) in addresses.iter().zip(passwords) {
        let added = store.administration.add_account(address, password).await;
        added.map_err(|error| AccountError::of(address, error))?;
        output.line(&format!("{address} is added"));
    }
    Ok(())
}

async fn set_password(
    store: &Store,
    address: &Mailbox,
    passwords: Vec<Secret<String>>,
) -> Result<(), AccountError> {
    for password in passwords {
        let changed = store.administration.set_password(address, &password).await;
        changed.map_err(|error| AccountError::of(address, error))?;
    }
    Ok(())
}

/// The screen must not show a password that no longer opens anything.
fn forget(place: &Place, address: &Mailbox) -> Result<(), Box<dyn Error>> {
    if let Some(trial) = &place.trial {
        trial.forget_password(address)?;
    }
    Ok(())
}
