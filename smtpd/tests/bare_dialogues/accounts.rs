//! Accounts in memory: alice, bob and carol, and the aliases that the dialogues know.

use mailstore::{Account, MaildropId, Unavailable};
use mailwire::address::Mailbox;

/// The domain that is local.
const DOMAIN: &str = "example.test";

/// Who is who.
pub(crate) struct Accounts {
    accounts: Vec<Account>,
    /// What the directory says to everything.
    pub(crate) failure: Option<Unavailable>,
}

impl Accounts {
    /// The accounts of every dialogue.
    pub(crate) fn new() -> Self {
        let names = ["alice", "bob", "carol"].into_iter().zip(1..);
        let accounts = names.map(|(name, maildrop)| Account {
            address: Mailbox::parse(&format!("{name}@{DOMAIN}")).unwrap(),
            maildrop: MaildropId(maildrop),
        });
        Self { accounts: accounts.collect(), failure: None }
    }

    pub(crate) fn authenticate(&self, login: &str, password: &str) -> Result<Option<Account>, Unavailable> {
        let found = self.accounts.iter().find(|account| account.address.key() == login.to_lowercase());
        let right =
            found.filter(|account| password == format!("pw-{}", account.address.local_part().as_str()));
        self.answer(right.cloned())
    }

    pub(crate) fn recipient(&self, mailbox: &Mailbox) -> Result<Option<Vec<MaildropId>>, Unavailable> {
        self.answer(self.account(mailbox).map(|account| vec![account.maildrop]))
    }

    pub(crate) fn may_send_as(&self, account: &Account, mailbox: &Mailbox) -> Result<bool, Unavailable> {
        self.answer(self.account(mailbox) == Some(account))
    }

    fn answer<T>(&self, answer: T) -> Result<T, Unavailable> {
        self.failure.clone().map_or(Ok(answer), Err)
    }

    fn account(&self, mailbox: &Mailbox) -> Option<&Account> {
        let key = mailbox.key();
        let (local_part, domain) = key.rsplit_once('@')?;
        let name = match local_part.split('+').next()? {
            "postmaster" => "alice",
            name => name,
        };
        self.accounts.iter().find(|account| account.address.key() == format!("{name}@{domain}"))
    }
}
