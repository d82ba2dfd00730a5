//! A directory and maildrops that are only there while a test runs, and answer at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailstore::{
    Account, Admission, Arrival, CommonRules, Directory, Entry, Filing, Forgiven, Guard, Lease, Login,
    MaildropError, MaildropId, Maildrops, Outcome, Recipient, Repertoire, Rules, Sending, Strictest,
    Takeover, Throttled, TooMuch, Turn, Unavailable, UniqueId, Verdict, Visit,
};
use mailwire::address::Mailbox;
use mailwire::sasl::ScramKeys;
use mailwire::secret::Secret;

/// The maildrops of the dialogues' world, in the order of their numbers: of each account, and of one subaddress.
const MAILDROPS: [&str; 4] = ["alice", "bob", "carol", "alice+junk"];

/// Keys of each login, derived once: that takes longer than many dialogues.
static KEYS: LazyLock<Vec<(String, ScramKeys)>> = LazyLock::new(|| {
    let keys = |account: &&str| {
        let (login, password) = (format!("{account}@example.test"), Secret::new(format!("pw-{account}")));
        let keys = ScramKeys::derive(&password, login.as_bytes(), ScramKeys::ITERATIONS_MIN);
        (login, keys)
    };
    MAILDROPS.iter().filter(|maildrop| !maildrop.contains('+')).map(keys).collect()
});

/// Keys that no password meets.
fn keys_of_nobody(login: &str) -> ScramKeys {
    let salt = login.to_lowercase().into_bytes();
    ScramKeys { salt, iterations: ScramKeys::ITERATIONS_MIN, stored_key: [0; 32], server_key: [0; 32] }
}

/// Accounts and maildrops; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<State>>);

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct State {
    maildrops: BTreeMap<u64, Maildrop>,
    minted: u128,
    /// What sessions say that they have done.
    pub(crate) visits: Vec<Visit>,
    trouble: Option<Trouble>,
}

#[derive(Debug, Default)]
struct Maildrop {
    messages: Vec<(UniqueId, Arc<[u8]>)>,
    /// The number of the lease that has it.
    leased: Option<u64>,
    rules: Rules,
    /// Leases so far. No time passes here, so that every later one is sooner than a login delay is over.
    leases: u64,
}

/// What fails from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Questions about accounts.
    Directory,
    /// Logins, which the guard puts off.
    Logins,
    /// Leases.
    Leases,
    /// Reading from this offset of a message on.
    ReadingFrom(u64),
    /// Expunging.
    Expunging,
}

impl Memory {
    /// Puts a message into the maildrop of this name.
    pub(crate) fn deliver(&self, maildrop: &str, content: &[u8]) {
        let mut state = self.state();
        state.minted += 1;
        let unique_id = UniqueId::minted(state.minted.to_be_bytes());
        let maildrop = state.maildrops.entry(number(maildrop).unwrap()).or_default();
        maildrop.messages.push((unique_id, content.into()));
    }

    /// Says what holds for the maildrop of `account`.
    pub(crate) fn rule(&self, account: &str, rules: Rules) {
        self.state().maildrops.entry(number(account).unwrap()).or_default().rules = rules;
    }

    /// Lets something fail.
    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.state().trouble = Some(trouble);
    }

    /// What lies in the maildrop of `account`.
    pub(crate) fn messages(&self, account: &str) -> Vec<Arc<[u8]>> {
        let state = self.state();
        let maildrop = state.maildrops.get(&number(account).unwrap());
        maildrop.map_or(Vec::new(), |maildrop| {
            maildrop.messages.iter().map(|(_, content)| Arc::clone(content)).collect()
        })
    }

    /// True while a session has the maildrop of `account`.
    pub(crate) fn is_leased(&self, account: &str) -> bool {
        let state = self.state();
        state.maildrops.get(&number(account).unwrap()).is_some_and(|maildrop| maildrop.leased.is_some())
    }

    /// Nobody else changes anything meanwhile.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn password(account: &Account) -> String {
        format!("pw-{}", account.address.local_part().as_str())
    }

    /// What the guard says to a login.
    pub(crate) fn puts_off_logins(&self) -> bool {
        self.fails(Trouble::Logins)
    }

    fn fails(&self, trouble: Trouble) -> bool {
        self.state().trouble == Some(trouble)
    }
}

/// The number of a maildrop, by the local part of its address.
fn number(local_part: &str) -> Option<u64> {
    MAILDROPS.iter().zip(1..).find(|(maildrop, _)| **maildrop == local_part).map(|(_, number)| number)
}

/// What opens the maildrop of this name.
fn login(local_part: &str) -> Option<Login> {
    let maildrop = MaildropId(number(local_part)?);
    let mailbox = |local_part: &str| Mailbox::parse(&format!("{local_part}@example.test")).ok();
    let user = local_part.split('+').next()?;
    let account = Account { address: mailbox(user)?, maildrop: MaildropId(number(user)?) };
    Some(Login { account, maildrop, address: mailbox(local_part)? })
}

#[async_trait]
impl Directory for Memory {
    async fn authenticate(
        &self,
        login: &str,
        password: &Secret<String>,
    ) -> Result<Option<Login>, Unavailable> {
        let found = self.account(login).await?;
        let is_right = |found: &Login| *password.expose() == Self::password(&found.account);
        Ok(found.filter(is_right))
    }

    async fn account(&self, login: &str) -> Result<Option<Login>, Unavailable> {
        if self.fails(Trouble::Directory) {
            return Err(Unavailable("a test says so".to_owned()));
        }
        Ok(login.to_lowercase().strip_suffix("@example.test").and_then(self::login))
    }

    async fn scram_keys(&self, login: &str) -> Result<ScramKeys, Unavailable> {
        let found = self.account(login).await?.map(|found| found.account);
        let keys = found.and_then(|account| KEYS.iter().find(|(known, _)| *known == account.address.key()));
        Ok(keys.map_or_else(|| keys_of_nobody(login), |(_, keys)| keys.clone()))
    }

    async fn recipient(&self, _: &Mailbox, _: u64) -> Result<Recipient, Unavailable> {
        unreachable!("POP3 asks for no recipients")
    }

    async fn may_send_as(&self, _: &Account, _: &Mailbox) -> Result<bool, Unavailable> {
        unreachable!("POP3 sends nothing")
    }

    async fn filing(&self, _: MaildropId) -> Result<Option<Filing>, Unavailable> {
        unreachable!("POP3 puts no mail anywhere")
    }

    async fn forwarding_secret(&self) -> Result<Secret<[u8; 32]>, Unavailable> {
        unreachable!("POP3 forwards nothing")
    }

    async fn common_rules(&self) -> Result<CommonRules, Unavailable> {
        if self.fails(Trouble::Directory) {
            return Err(Unavailable("a test says so".to_owned()));
        }
        let state = self.state();
        let accounts = (1..).zip(MAILDROPS).filter(|(_, maildrop)| !maildrop.contains('+'));
        let rules = accounts.map(|(number, _)| {
            state.maildrops.get(&number).map_or(Rules::default(), |maildrop| maildrop.rules)
        });
        let rules: Vec<Rules> = rules.collect();
        let delay = rules.iter().map(|rules| rules.login_delay_seconds).max().unwrap();
        let expiry = rules.iter().map(|rules| rules.expiry).min().unwrap();
        Ok(CommonRules {
            login_delay_seconds: Strictest {
                value: delay,
                differs: rules.iter().any(|rules| rules.login_delay_seconds != delay),
            },
            expiry: Strictest { value: expiry, differs: rules.iter().any(|rules| rules.expiry != expiry) },
        })
    }
}

/// Nobody is slowed; all are put off where a test says so.
#[async_trait]
impl Guard for Memory {
    async fn admit(&self, _: IpAddr, _: &str) -> Result<Admission, Unavailable> {
        if self.puts_off_logins() {
            return Ok(Admission::PutOff);
        }
        Ok(Admission::Admitted(Turn { delay: Duration::ZERO }))
    }

    async fn settle(&self, _: IpAddr, _: &str, _: Turn, _: Outcome<'_>) -> Result<Verdict, Unavailable> {
        Ok(Verdict::Stands)
    }

    async fn send(&self, _: Sending<'_>) -> Result<Option<TooMuch>, Unavailable> {
        unreachable!("POP3 sends nothing")
    }

    async fn arrive(&self, _: IpAddr) -> Result<Arrival, Unavailable> {
        Ok(Arrival::Welcome)
    }

    async fn erred(&self, _: IpAddr, _: u32) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn throttled(&self) -> Result<Vec<Throttled>, Unavailable> {
        unreachable!("a session does not ask that")
    }

    async fn forgive(&self, _: &Forgiven) -> Result<usize, Unavailable> {
        unreachable!("a session does not ask that")
    }
}

#[async_trait]
impl Maildrops for Memory {
    async fn lease(&self, maildrop: MaildropId, _: Duration) -> Result<Box<dyn Lease>, MaildropError> {
        if self.fails(Trouble::Leases) {
            return Err(MaildropError::Unavailable("a test says so".to_owned()));
        }
        let mut state = self.state();
        let leased = state.maildrops.entry(maildrop.0).or_default();
        let rules = leased.rules;
        if rules.login_delay_seconds > 0 && leased.leases > 0 {
            return Err(MaildropError::TooSoon);
        }
        if leased.leased.is_some() && rules.takeover == Takeover::Refused {
            return Err(MaildropError::Busy);
        }
        leased.leases += 1;
        leased.leased = Some(leased.leases);
        let number = leased.leases;
        let contents: Vec<Arc<[u8]>> =
            leased.messages.iter().map(|(_, content)| Arc::clone(content)).collect();
        let entries =
            leased.messages.iter().map(|(unique_id, content)| entry(unique_id.clone(), content)).collect();
        Ok(Box::new(MemoryLease { memory: self.clone(), maildrop, number, rules, entries, contents }))
    }
}

/// What a store says of a message.
fn entry(unique_id: UniqueId, content: &[u8]) -> Entry {
    let header_octets = match content.windows(4).position(|octets| octets == b"\r\n\r\n") {
        _ if content.starts_with(b"\r\n") => 2,
        Some(position) => position + 4,
        None => content.len(),
    };
    Entry {
        unique_id,
        octets: content.len() as u64,
        header_octets: header_octets as u64,
        repertoire: if content.is_ascii() { Repertoire::Ascii } else { Repertoire::Unknown },
        received_at: 0,
        release_at: None,
    }
}

struct MemoryLease {
    memory: Memory,
    maildrop: MaildropId,
    number: u64,
    rules: Rules,
    entries: Vec<Entry>,
    contents: Vec<Arc<[u8]>>,
}

#[async_trait]
impl Lease for MemoryLease {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn rules(&self) -> Rules {
        self.rules
    }

    fn check(&mut self) -> Result<(), MaildropError> {
        let state = self.memory.state();
        let has_it = state.maildrops.get(&self.maildrop.0).is_some_and(|it| it.leased == Some(self.number));
        if has_it { Ok(()) } else { Err(MaildropError::TakenOver) }
    }

    async fn read(&mut self, index: usize, offset: u64, octets_max: usize) -> Result<Vec<u8>, MaildropError> {
        self.check()?;
        let content = &self.contents[index];
        let begin = usize::try_from(offset).unwrap();
        let end = content.len().min(begin.saturating_add(octets_max));
        match self.memory.state().trouble {
            Some(Trouble::ReadingFrom(from)) if from <= offset => {
                Err(MaildropError::Unavailable("a test says so".to_owned()))
            }
            _ => Ok(content[begin..end].to_vec()),
        }
    }

    async fn expunge(&mut self, indices: &[usize]) -> Result<(), MaildropError> {
        self.check()?;
        if self.memory.fails(Trouble::Expunging) {
            return Err(MaildropError::Unavailable("a test says so".to_owned()));
        }
        let gone: Vec<UniqueId> =
            indices.iter().map(|index| self.entries[*index].unique_id.clone()).collect();
        let mut state = self.memory.state();
        let maildrop = state.maildrops.get_mut(&self.maildrop.0).unwrap();
        maildrop.messages.retain(|(unique_id, _)| !gone.contains(unique_id));
        Ok(())
    }

    async fn visited(&mut self, visit: Visit) -> Result<(), MaildropError> {
        self.memory.state().visits.push(visit);
        Ok(())
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        if let Some(maildrop) = self.memory.state().maildrops.get_mut(&self.maildrop.0)
            && maildrop.leased == Some(self.number)
        {
            maildrop.leased = None;
        }
    }
}
