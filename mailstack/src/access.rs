//! `mailstack account app-password|grant|revoke|grants`: what an account may log in with besides its password, and whom it
//! may send as besides itself.

use std::error::Error;

use mailstore::{AppPassword, Store};
use mailwire::address::Mailbox;

use crate::arguments::{AppPasswordCommand, GrantOptions, Whereabouts};
use crate::maildrop::moment;
use crate::output::Output;
use crate::place::Place;

/// Adds, lists or removes an application password.
pub(crate) async fn app_password(
    command: &AppPasswordCommand,
    output: &Output,
) -> Result<(), Box<dyn Error>> {
    match command {
        AppPasswordCommand::Add { address, name, whereabouts } => {
            let (store, address) = open(address, whereabouts).await?;
            let made = store.access.add_app_password(&address, name).await;
            store.close().await;
            let password = made?;
            output.line(password.expose());
            output.line(&format!(
                "This password for {address} is shown once: give it to \"{}\", with {address} as the user name",
                name.as_str()
            ));
        }
        AppPasswordCommand::List { address, whereabouts } => {
            let (store, address) = open(address, whereabouts).await?;
            let found = store.access.app_passwords(&address).await;
            store.close().await;
            for one in found? {
                output.line(&format!("{}  {}", moment::shown(one.created_at), one.name.as_str()));
            }
        }
        AppPasswordCommand::Remove { address, name, whereabouts } => {
            let (store, address) = open(address, whereabouts).await?;
            let removed = store.access.remove_app_password(&address, name).await;
            store.close().await;
            removed?;
            output.line(&format!("the application password \"{}\" of {address} is removed", name.as_str()));
        }
    }
    Ok(())
}

/// Lets an account send as somebody else.
pub(crate) async fn grant(options: &GrantOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let place = Place::find(&options.whereabouts)?;
    let address = Mailbox::parse(&options.address)?;
    let store = place.open().await?;
    let granted = store.access.grant(&address, &options.addresses).await;
    store.close().await;
    granted?;
    let addresses = &options.addresses;
    output.line(&format!("{address} may send as {addresses} now"));
    if !place.is_local(addresses.domain()) {
        output
            .line(&format!("(answers to {addresses} do not come here: its domain is none of this server's)"));
    }
    Ok(())
}

/// Takes a grant back.
pub(crate) async fn revoke(options: &GrantOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let (store, address) = open(&options.address, &options.whereabouts).await?;
    let revoked = store.access.revoke(&address, &options.addresses).await;
    store.close().await;
    revoked?;
    output.line(&format!("{address} may not send as {} any more", options.addresses));
    Ok(())
}

/// Lists what an account was granted.
pub(crate) async fn grants(
    address: &str,
    whereabouts: &Whereabouts,
    output: &Output,
) -> Result<(), Box<dyn Error>> {
    let (store, address) = open(address, whereabouts).await?;
    let found = store.access.grants(&address).await;
    store.close().await;
    for addresses in found? {
        output.line(&addresses.to_string());
    }
    Ok(())
}

/// What to say of them to whoever has changed the account's own password.
pub(crate) fn still_valid(address: &Mailbox, others: &[AppPassword]) -> Option<String> {
    let names: Vec<_> = others.iter().map(|one| format!("\"{}\"", one.name.as_str())).collect();
    let which = match names.as_slice() {
        [] => return None,
        [_] => "an application password that is still valid",
        [_, ..] => "application passwords that are still valid",
    };
    Some(format!("{address} has {which}: {}", names.join(", ")))
}

/// The store that is meant, and the address.
pub(crate) async fn open(
    address: &str,
    whereabouts: &Whereabouts,
) -> Result<(Store, Mailbox), Box<dyn Error>> {
    let address = Mailbox::parse(address)?;
    Ok((Place::find(whereabouts)?.open().await?, address))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mailstore::{Addresses, AppPasswordName};
    use mailwire::secret::Secret;

    use super::*;
    use crate::output::tests::Printed;
    use crate::trial::Trial;

    const ALICE: &str = "alice@example.test";

    fn whereabouts(folder: &Path) -> Whereabouts {
        Whereabouts { config: None, dir: Some(folder.to_owned()) }
    }

    async fn store(folder: &Path) -> Store {
        mailstore::open(Trial::new(folder.to_owned()).store()).await.unwrap()
    }

    /// A server that nobody runs, with alice.
    async fn server() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let address = Mailbox::parse(ALICE).unwrap();
        store.administration.add_account(&address, &Secret::new("own".to_owned())).await.unwrap();
        store.close().await;
        folder
    }

    #[tokio::test]
    async fn an_application_password_is_shown_once_and_removed_by_its_name() {
        let folder = server().await;
        let name = AppPasswordName::parse("phone").unwrap();
        let (printed, address, whereabouts) =
            (Printed::default(), ALICE.to_owned(), whereabouts(folder.path()));
        let add = AppPasswordCommand::Add {
            address: address.clone(),
            name: name.clone(),
            whereabouts: whereabouts.clone(),
        };
        app_password(&add, &printed.output()).await.unwrap();
        let password = printed.text().lines().next().unwrap().to_owned();
        let logs_in = async || {
            let store = store(folder.path()).await;
            let found = store.directory.authenticate(ALICE, &Secret::new(password.clone())).await.unwrap();
            store.close().await;
            found.is_some()
        };
        assert!(logs_in().await);
        let again = app_password(&add, &printed.output()).await.unwrap_err().to_string();
        assert_eq!(again, "application password \"phone\" of alice@example.test exists already");

        let printed = Printed::default();
        let list = AppPasswordCommand::List { address: address.clone(), whereabouts: whereabouts.clone() };
        app_password(&list, &printed.output()).await.unwrap();
        assert!(printed.text().ends_with("Z  phone\n") && !printed.text().contains(&password));
        let remove = AppPasswordCommand::Remove { address, name, whereabouts };
        app_password(&remove, &printed.output()).await.unwrap();
        assert!(!logs_in().await);
        let gone = app_password(&remove, &printed.output()).await.unwrap_err().to_string();
        assert_eq!(gone, "there is no application password \"phone\" of alice@example.test here");
    }

    #[tokio::test]
    async fn a_grant_is_given_listed_and_taken_back() {
        let folder = server().await;
        let printed = Printed::default();
        let options = |addresses: &str| GrantOptions {
            address: ALICE.to_owned(),
            addresses: Addresses::parse(addresses).unwrap(),
            whereabouts: whereabouts(folder.path()),
        };
        grant(&options("sales@example.test"), &printed.output()).await.unwrap();
        grant(&options("@example.org"), &printed.output()).await.unwrap();
        grants(ALICE, &whereabouts(folder.path()), &printed.output()).await.unwrap();
        revoke(&options("@example.org"), &printed.output()).await.unwrap();
        let expected = [
            "alice@example.test may send as sales@example.test now",
            "alice@example.test may send as @example.org now",
            "(answers to @example.org do not come here: its domain is none of this server's)",
            "sales@example.test",
            "@example.org",
            "alice@example.test may not send as @example.org any more",
        ];
        assert_eq!(printed.text().lines().collect::<Vec<_>>(), expected);
        let gone = revoke(&options("@example.org"), &printed.output()).await.unwrap_err().to_string();
        assert_eq!(gone, "there is no grant for alice@example.test to send as @example.org here");
    }

    #[test]
    fn whoever_changes_a_password_hears_what_else_is_valid() {
        let address = Mailbox::parse(ALICE).unwrap();
        let named = |name: &str| AppPassword { name: AppPasswordName::parse(name).unwrap(), created_at: 0 };
        assert_eq!(still_valid(&address, &[]), None);
        assert_eq!(
            still_valid(&address, &[named("laptop"), named("phone")]).unwrap(),
            "alice@example.test has application passwords that are still valid: \"laptop\", \"phone\""
        );
    }
}
