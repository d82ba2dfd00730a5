//! Accounts in memory: alice, bob, carol and dora, with the aliases and grants that the dialogues know.

use std::sync::{Arc, LazyLock};

use mailstore::{Account, AdministrationError, Alias, MaildropId, Recipient, Unavailable};
use mailwire::address::Mailbox;
use mailwire::sasl::ScramKeys;
use mailwire::secret::Secret;

use crate::quotas::Quotas;

/// The primary domain.
const DOMAIN: &str = "example.test";
/// A domain without a mailbox of its own.
const SECOND: &str = "second.test";
/// A domain whose catch-all is bob's.
const CAUGHT: &str = "caught.test";

/// alice's maildrop for what is sent to her subaddress with this detail.
const ALICES_JUNK: (&str, MaildropId) = ("alice+junk", MaildropId(5));

/// All that there are. They are made once: fuzz targets begin many sessions a second.
static ALL: LazyLock<Vec<Account>> = LazyLock::new(|| {
    let names = ["alice", "bob", "carol", "dora"].into_iter().zip(1..);
    let account = |(name, maildrop)| Account {
        address: Mailbox::parse(&format!("{name}@{DOMAIN}")).unwrap(),
        maildrop: MaildropId(maildrop),
    };
    names.map(account).collect()
});
/// Theirs, derived once: that takes longer than many dialogues.
static KEYS: LazyLock<Vec<ScramKeys>> = LazyLock::new(|| {
    let keys = |account: &Account| {
        let password = Secret::new(format!("pw-{}", account.address.local_part().as_str()));
        ScramKeys::derive(&password, account.address.key().as_bytes(), ScramKeys::ITERATIONS_MIN)
    };
    ALL.iter().map(keys).collect()
});

/// Keys that no password meets.
fn keys_of_nobody(login: &str) -> ScramKeys {
    let salt = login.to_lowercase().into_bytes();
    ScramKeys { salt, iterations: ScramKeys::ITERATIONS_MIN, stored_key: [0; 32], server_key: [0; 32] }
}

/// Who is who.
pub(crate) struct Accounts {
    all: Vec<Account>,
    /// What they may hold: dora's maildrop is small.
    pub(crate) quotas: Arc<Quotas>,
    /// What the directory says to everything.
    pub(crate) failure: Option<Unavailable>,
    /// Whom the directory cannot say anything about as a sender.
    pub(crate) silent_about: Option<&'static str>,
}

impl Accounts {
    /// The accounts of every dialogue.
    pub(crate) fn new() -> Self {
        let quotas = Arc::<Quotas>::default();
        let all = ALL.clone();
        if let Some(dora) = all.last() {
            quotas.set(dora.maildrop, 0);
        }
        Self { all, quotas, failure: None, silent_about: None }
    }

    /// Gives `name` a quota, and so many messages already.
    pub(crate) fn holding(self, name: &str, messages: u64) -> Self {
        let account = self.account(&Mailbox::parse(&format!("{name}@{DOMAIN}")).unwrap()).unwrap();
        self.quotas.set(account.maildrop, messages);
        self
    }

    pub(crate) fn authenticate(&self, login: &str, password: &str) -> Result<Option<Account>, Unavailable> {
        let found = self.opened_by(login);
        let right =
            found.filter(|account| password == format!("pw-{}", account.address.local_part().as_str()));
        self.answer(right.cloned())
    }

    /// Whose login it is, however it was proven.
    pub(crate) fn of_login(&self, login: &str) -> Result<Option<Account>, Unavailable> {
        self.answer(self.opened_by(login).cloned())
    }

    fn opened_by(&self, login: &str) -> Option<&Account> {
        let login = login.to_lowercase();
        let is_junk = login.strip_suffix(DOMAIN) == Some(&format!("{}@", ALICES_JUNK.0));
        let key = if is_junk { format!("alice@{DOMAIN}") } else { login };
        self.all.iter().find(|account| account.address.key() == key)
    }

    /// Keys of the login's password, or of another one that nobody has.
    pub(crate) fn scram_keys(&self, login: &str) -> Result<ScramKeys, Unavailable> {
        let found = self.of_login(login)?;
        let keys = found.and_then(|account| ALL.iter().zip(&*KEYS).find(|(known, _)| **known == account));
        Ok(keys.map_or_else(|| keys_of_nobody(login), |(_, keys)| keys.clone()))
    }

    pub(crate) fn recipient(&self, mailbox: &Mailbox, octets: u64) -> Result<Recipient, Unavailable> {
        let Some(account) = self.receiver(mailbox) else { return self.answer(Recipient::Missing) };
        let checked = self.quotas.check(account.maildrop, octets.max(1));
        let is_junk = mailbox.key() == format!("{}@{DOMAIN}", ALICES_JUNK.0);
        let maildrop = if is_junk { ALICES_JUNK.1 } else { account.maildrop };
        let fits = || Recipient::Maildrops(vec![maildrop]);
        self.answer(checked.map_or_else(Recipient::OverQuota, |()| fits()))
    }

    pub(crate) fn may_send_as(&self, account: &Account, mailbox: &Mailbox) -> Result<bool, Unavailable> {
        if self.silent_about == Some(mailbox.key().as_str()) {
            return Err(Unavailable("the disk is on fire".to_owned()));
        }
        self.answer(self.account(mailbox) == Some(account) || is_granted(account, mailbox))
    }

    pub(crate) fn aliases(&self) -> Result<Vec<Alias>, AdministrationError> {
        let mailbox = |name: &str| Mailbox::parse(&format!("{name}@{DOMAIN}")).unwrap();
        let postmaster = Alias { address: mailbox("postmaster").into(), targets: vec![mailbox("alice")] };
        self.answer(vec![postmaster]).map_err(AdministrationError::from)
    }

    fn answer<T>(&self, answer: T) -> Result<T, Unavailable> {
        self.failure.clone().map_or(Ok(answer), Err)
    }

    /// Who gets the mail, be it in somebody's place.
    fn receiver(&self, mailbox: &Mailbox) -> Option<&Account> {
        let key = mailbox.key();
        let stands_in = match key.rsplit_once('@')? {
            (_, CAUGHT) => Some("bob"),
            ("postmaster", SECOND) => Some("alice"),
            _ => None,
        };
        let named =
            |name: &str| self.all.iter().find(|account| account.address.local_part().as_str() == name);
        self.account(mailbox).or_else(|| stands_in.and_then(named))
    }

    fn account(&self, mailbox: &Mailbox) -> Option<&Account> {
        let key = mailbox.key();
        let (local_part, domain) = key.rsplit_once('@')?;
        let name = match local_part.split('+').next()? {
            "postmaster" => "alice",
            name => name,
        };
        self.all.iter().find(|account| account.address.key() == format!("{name}@{domain}"))
    }
}

/// carol may send as the press, and as anybody in the second domain.
fn is_granted(account: &Account, mailbox: &Mailbox) -> bool {
    let key = mailbox.key();
    let Some((local_part, domain)) = key.rsplit_once('@') else { return false };
    let is_press = domain == DOMAIN && local_part.split('+').next() == Some("press");
    account.address.local_part().as_str() == "carol" && (is_press || domain == SECOND)
}
