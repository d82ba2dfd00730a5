//! `mailstack account subaddress`: further maildrops of an account, for mail to its subaddresses.

use std::error::Error;

use mailstore::{AdministrationError, WithMail};
use thiserror::Error;

use crate::access::open;
use crate::arguments::SubaddressCommand;
use crate::exchange::maildrop::messages;
use crate::listing;
use crate::output::Output;
use crate::quota::usage_of;

/// Why a maildrop was not removed, and what to do.
#[derive(Debug, Error)]
#[error("{address} holds {}: say --with-mail to give up all of it", holding(*.messages, *.deleted))]
struct HoldsMail {
    address: String,
    messages: u64,
    deleted: u64,
}

/// `1 message, and 2 deleted that can still be brought back`.
fn holding(messages: u64, deleted: u64) -> String {
    match (messages, deleted) {
        (there, 0) => self::messages(there),
        (0, deleted) => format!("{} that can still be brought back", self::messages(deleted)),
        (there, deleted) => {
            format!("{}, and {deleted} deleted that can still be brought back", self::messages(there))
        }
    }
}

/// Does what `command` says.
pub(crate) async fn run(command: &SubaddressCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    match command {
        SubaddressCommand::Add { address, name, whereabouts } => {
            let (store, address) = open(address, whereabouts).await?;
            let added = store.administration.add_maildrop(&address, name).await;
            store.close().await;
            added?;
            let subaddress = address.with_detail(name.as_str())?;
            output.line(&format!(
                "{subaddress} has a maildrop of its own now: mail for it is fetched with {subaddress} as the user name, \
                 and the passwords of {address}"
            ));
        }
        SubaddressCommand::List { address, whereabouts } => {
            let (store, address) = open(address, whereabouts).await?;
            let usage = usage_of(&store, &address).await;
            store.close().await;
            output.lines(&listing::further(&usage?));
        }
        SubaddressCommand::Remove { address, name, with_mail, whereabouts } => {
            let (store, address) = open(address, whereabouts).await?;
            let with_mail = if *with_mail { WithMail::GivenUp } else { WithMail::Kept };
            let removed = store.administration.remove_maildrop(&address, name, with_mail).await;
            store.close().await;
            if let Err(AdministrationError::HoldsMail { address, messages, deleted }) = removed {
                return Err(HoldsMail { address, messages, deleted }.into());
            }
            removed?;
            let subaddress = address.with_detail(name.as_str())?;
            output.line(&format!(
                "the maildrop of {subaddress} is removed; mail for it goes to {address} again"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mailstore::Detail;
    use mailwire::address::Mailbox;
    use mailwire::secret::Secret;

    use super::*;
    use crate::arguments::Whereabouts;
    use crate::exchange::maildrop;
    use crate::output::tests::Printed;
    use crate::trial::Trial;

    const ALICE: &str = "alice@example.test";

    fn whereabouts(folder: &Path) -> Whereabouts {
        Whereabouts { config: None, dir: Some(folder.to_owned()) }
    }

    /// Runs a command; gives what it says, or why it failed.
    async fn says(command: &SubaddressCommand) -> String {
        let printed = Printed::default();
        match run(command, &printed.output()).await {
            Ok(()) => printed.text(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_maildrop_is_added_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let options = Trial::new(folder.path().to_owned()).store();
        let store = mailstore::open(options.clone()).await.unwrap();
        let alice = Mailbox::parse(ALICE).unwrap();
        store.administration.add_account(&alice, &Secret::new("own".to_owned())).await.unwrap();
        store.close().await;
        let (address, name) = (ALICE.to_owned(), Detail::parse("junk").unwrap());
        let whereabouts = whereabouts(folder.path());
        let add = SubaddressCommand::Add {
            address: address.clone(),
            name: name.clone(),
            whereabouts: whereabouts.clone(),
        };
        let said = says(&add).await;
        assert!(said.starts_with("alice+junk@example.test has a maildrop of its own now"), "{said}");
        assert_eq!(says(&add).await, "alice+junk@example.test exists already");
        let list = SubaddressCommand::List { address: address.clone(), whereabouts: whereabouts.clone() };
        assert_eq!(says(&list).await, "alice+junk@example.test  0 messages  0 octets  of these\n");
        let store = mailstore::open(options).await.unwrap();
        maildrop::of(&store, &Mailbox::parse("Alice+Junk@example.test").unwrap()).await.unwrap();
        let other = maildrop::of(&store, &Mailbox::parse("alice+x@example.test").unwrap()).await.unwrap_err();
        assert_eq!(
            other.to_string(),
            "alice@example.test has no maildrop x; `mailstack account subaddress add alice@example.test x` makes one"
        );
        store.close().await;
        let remove = SubaddressCommand::Remove { address, name, with_mail: false, whereabouts };
        let said = says(&remove).await;
        assert!(said.starts_with("the maildrop of alice+junk@example.test is removed"), "{said}");
        assert_eq!(says(&remove).await, "there is no subaddress maildrop alice+junk@example.test here");
    }

    #[test]
    fn what_a_maildrop_holds_is_told_with_what_to_do() {
        let refused = |messages, deleted| {
            let address = "alice+junk@example.test".to_owned();
            HoldsMail { address, messages, deleted }.to_string()
        };
        let end = ": say --with-mail to give up all of it";
        for (messages, deleted, held) in [
            (1, 0, "1 message"),
            (0, 2, "2 messages that can still be brought back"),
            (3, 2, "3 messages, and 2 deleted that can still be brought back"),
        ] {
            let text = format!("alice+junk@example.test holds {held}{end}");
            assert_eq!(refused(messages, deleted), text);
        }
    }
}
