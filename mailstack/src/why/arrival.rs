//! Where the mail would go: maildrops by their addresses, and other servers by the routes that lead to them.

use mailstore::{
    AccountUsage, Addresses, AdministrationError, Alias, Committed, Directory, MaildropId, RelayRecipient,
    Store,
};
use mailwire::address::{Mailbox, ReversePath};
use smtpd::relay::Routes;
use smtpd::relay::names::Names;

use super::told::{Arrival, Place};
use crate::route;

/// What is known of accounts and aliases, and of the ways to other servers.
pub(super) struct Map {
    accounts: Vec<AccountUsage>,
    aliases: Vec<Alias>,
}

impl Map {
    pub(super) async fn draw(store: &Store) -> Result<Self, AdministrationError> {
        let (accounts, aliases) = (store.administration.usage().await, store.administration.aliases().await);
        Ok(Self { accounts: accounts?, aliases: aliases? })
    }

    /// Where what would be committed goes for this recipient.
    pub(super) async fn arrival(
        &self,
        directory: &dyn Directory,
        (names, routes): (&Names, &Routes),
        committed: &Committed,
        recipient: &Mailbox,
    ) -> Arrival {
        let delivery = &committed.delivery;
        let reached = directory.recipient(recipient, 0).await.map(|reached| reached.maildrops().to_vec());
        let own = self.all_of_the_same_accounts(&reached.unwrap_or_default());
        let maildrops = delivery.maildrops.iter().filter(|maildrop| own.contains(maildrop));
        let mut places: Vec<Place> =
            maildrops.map(|maildrop| Place::Maildrop(self.address(*maildrop))).collect();
        for relayed in &delivery.relay {
            if is_for(relayed, recipient) {
                places.push(relay((names, routes), &delivery.reverse_path, relayed).await);
            }
        }
        Arrival { via: self.via(recipient), places }
    }

    /// Where what would be committed goes for nobody who was named: rules have sent it on to others here.
    pub(super) async fn elsewhere(
        &self,
        directory: &dyn Directory,
        committed: &Committed,
        recipients: &[Mailbox],
    ) -> Vec<String> {
        let mut own = Vec::new();
        for recipient in recipients {
            let reached = directory.recipient(recipient, 0).await;
            own.extend(reached.iter().flat_map(|reached| reached.maildrops().iter().copied()));
        }
        let own = self.all_of_the_same_accounts(&own);
        let others = committed.delivery.maildrops.iter().filter(|maildrop| !own.contains(maildrop));
        others.map(|maildrop| self.address(*maildrop)).collect()
    }

    fn all_of_the_same_accounts(&self, maildrops: &[MaildropId]) -> Vec<MaildropId> {
        let is_meant =
            |account: &&AccountUsage| account.maildrops().any(|(_, maildrop)| maildrops.contains(&maildrop));
        let accounts = self.accounts.iter().filter(is_meant);
        accounts.flat_map(|account| account.maildrops().map(|(_, maildrop)| maildrop)).collect()
    }

    fn address(&self, maildrop: MaildropId) -> String {
        let mut all = self.accounts.iter().flat_map(AccountUsage::maildrops);
        let found = all.find(|(_, known)| *known == maildrop);
        found.map_or_else(|| format!("no. {}", maildrop.0), |(address, _)| address.to_string())
    }

    /// The alias that an address is, or is a subaddress of; where it is an account's there is none.
    fn via(&self, recipient: &Mailbox) -> Option<String> {
        let base = recipient.subaddress().map(|(base, _)| base);
        let keys: Vec<_> =
            [Some(recipient), base.as_ref()].into_iter().flatten().map(Mailbox::key_in_a_labels).collect();
        let is_account = |account: &AccountUsage| keys.contains(&account.account.address.key_in_a_labels());
        let is_meant = |alias: &&Alias| match &alias.address {
            Addresses::One(mailbox) => keys.contains(&mailbox.key_in_a_labels()),
            Addresses::Domain(_) => false,
        };
        let is_catch_all = |alias: &&Alias| match &alias.address {
            Addresses::One(_) => false,
            Addresses::Domain(domain) => domain == recipient.domain(),
        };
        let alias = self.aliases.iter().find(is_meant);
        if alias.is_none() && self.accounts.iter().any(is_account) {
            return None;
        }
        let alias = alias.or_else(|| self.aliases.iter().find(is_catch_all))?;
        let targets: Vec<String> = alias.targets.iter().map(ToString::to_string).collect();
        Some(format!("the alias {} -> {}", alias.address, targets.join(", ")))
    }
}

/// True for what this recipient gets elsewhere, or has forwarded.
fn is_for(relayed: &RelayRecipient, recipient: &Mailbox) -> bool {
    // What its sender hears of a delivery here goes to nobody who was named.
    if relayed.terms.is_delivered() {
        return false;
    }
    if relayed.terms.is_forwarded() {
        let original = relayed.terms.original();
        return original.is_some_and(|original| original.address == recipient.text());
    }
    // Who is owed an answer gets that, and not the message.
    relayed.terms.answering().is_none() && relayed.mailbox == *recipient
}

async fn relay(
    (names, routes): (&Names, &Routes),
    reverse_path: &ReversePath,
    relayed: &RelayRecipient,
) -> Place {
    let RelayRecipient { mailbox, terms, .. } = relayed;
    if let Some(words) = terms.refusal() {
        return Place::Refused(words.to_owned());
    }
    let way = routes.way(reverse_path, mailbox);
    let hosts = if let Some(host) = way.host {
        vec![host]
    } else {
        let hosts = route::hosts(names, mailbox.domain()).await;
        hosts.into_iter().map(|(Ok(host) | Err(host))| host).collect()
    };
    let original = terms.original().filter(|_| terms.is_forwarded());
    let forwarded_for = original.map(|original| original.address);
    Place::Relay { to: mailbox.to_string(), forwarded_for, by: way.by, hosts }
}
