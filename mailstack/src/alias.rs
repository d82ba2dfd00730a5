//! `mailstack alias`: further addresses of accounts are added, listed and removed.

use std::error::Error;

use mailstore::{Addresses, Alias};
use mailwire::address::Mailbox;

use crate::arguments::AliasCommand;
use crate::output::Output;
use crate::place::Place;

/// Does what `command` says.
pub(crate) async fn run(command: &AliasCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    match command {
        AliasCommand::Add { address, targets, whereabouts } => {
            let place = Place::find(whereabouts)?;
            let targets = targets.iter().map(|target| Mailbox::parse(target)).collect::<Result<_, _>>()?;
            let alias = Alias { address: place.local_addresses(address)?, targets };
            let store = place.open().await?;
            let added = store.administration.add_alias(&alias).await;
            store.close().await;
            added?;
            output.line(&format!("{} now also delivers to {}", alias.address, list(&alias.targets)));
        }
        AliasCommand::List { whereabouts } => {
            let store = Place::find(whereabouts)?.open().await?;
            let aliases = store.administration.aliases().await;
            store.close().await;
            for alias in aliases? {
                output.line(&format!("{} -> {}", alias.address, list(&alias.targets)));
            }
        }
        AliasCommand::Remove { address, whereabouts } => {
            let place = Place::find(whereabouts)?;
            let address = Addresses::parse(address)?;
            let store = place.open().await?;
            let removed = store.administration.remove_alias(&address).await;
            store.close().await;
            removed?;
            output.line(&format!("{address} is removed"));
        }
    }
    Ok(())
}

fn list(mailboxes: &[Mailbox]) -> String {
    mailboxes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
