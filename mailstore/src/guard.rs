//! Who has guessed too often, comes too often or sends too much: asked before a connection, a login and a message.
//!
//! A guess is a *distinct* wrong secret for one login from one address. So a program that repeats one stale password,
//! or tries four mechanisms with it, has made one guess, and a dictionary makes one with each word.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailwire::daemon::config::positive;
use mailwire::net::{Admittance, Door, Doorkeeper, Network};
use mailwire::secret::Secret;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::Unavailable;

/// What is too much: the table `[guard]` of the configuration. A limit of 0 is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardOptions {
    /// Networks in which many people share an address, such as a webmail's: nothing is counted for an address there.
    pub trusted: Vec<Network>,
    /// Guesses that are answered as fast as any login; the next ones have to wait their turn (5).
    #[serde(deserialize_with = "positive")]
    pub free_guesses: u32,
    /// Guesses at one login from one address before its logins from there are put off (10).
    pub guesses_max: u32,
    /// Guesses at all logins from one address (an IPv6 /64) before its logins are put off, but for accounts that are
    /// known there (50); four times as many from its neighbourhood, the IPv4 /24 or IPv6 /48.
    pub network_guesses_max: u32,
    /// Guesses at one login from everywhere before addresses that it is not known at get two each (50).
    pub account_guesses_max: u32,
    /// How long a guess counts (3600).
    #[serde(deserialize_with = "positive")]
    pub guess_seconds: u64,
    /// How long logins are put off at first, and at most, for it doubles each time (900 and 14400).
    #[serde(deserialize_with = "positive")]
    pub refusal_seconds: u64,
    /// See [`Self::refusal_seconds`].
    #[serde(deserialize_with = "positive")]
    pub refusal_seconds_max: u64,
    /// How long a login may have to wait for its turn (10).
    pub turn_seconds_max: u64,
    /// How long an account is known at an address after a login (30).
    pub known_days: u64,
    /// Messages that an account may submit in an hour (1000).
    pub account_messages_per_hour: u32,
    /// Recipients of these (5000).
    pub account_recipients_per_hour: u32,
    /// Messages that an account may submit in a day (5000).
    pub account_messages_per_day: u32,
    /// Recipients of these (20000).
    pub account_recipients_per_day: u32,
    /// Messages that an address may bring in a minute (600).
    pub address_messages_per_minute: u32,
    /// Recipients of these (6000).
    pub address_recipients_per_minute: u32,
    /// Connections that may come from an address in a minute (600), and four times as many from its neighbourhood.
    pub address_connections_per_minute: u32,
    /// Errors in all sessions from one address in an hour before new connections from there are put off (600).
    pub address_errors_per_hour: u32,
    /// How many addresses, accounts, and pairs of both are remembered, of each (10000).
    #[serde(deserialize_with = "positive")]
    pub entries_max: usize,
}

impl Default for GuardOptions {
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            free_guesses: 5,
            guesses_max: 10,
            network_guesses_max: 50,
            account_guesses_max: 50,
            guess_seconds: 3600,
            refusal_seconds: 900,
            refusal_seconds_max: 14_400,
            turn_seconds_max: 10,
            known_days: 30,
            account_messages_per_hour: 1000,
            account_recipients_per_hour: 5000,
            account_messages_per_day: 5000,
            account_recipients_per_day: 20_000,
            address_messages_per_minute: 600,
            address_recipients_per_minute: 6000,
            address_connections_per_minute: 600,
            address_errors_per_hour: 600,
            entries_max: 10_000,
        }
    }
}

impl GuardOptions {
    /// True where nothing is counted for `address`.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// True where it does not matter how much comes from `address`: programs of this machine, and who is trusted.
    #[must_use]
    pub fn spares(&self, address: IpAddr) -> bool {
        address.to_canonical().is_loopback() || self.trusts(address)
    }
}

/// Whether a login may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    /// When its turn has come.
    Admitted(Turn),
    /// Not now, be its secret right or wrong.
    PutOff,
}

/// A login's turn, which is given back when it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// How long it is until then; nothing, for nearly all.
    pub delay: Duration,
}

/// What a login came to.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// It was right.
    Right,
    /// This secret was wrong, or belongs to nobody.
    Wrong(&'a Secret<String>),
    /// It was wrong, and no secret was seen that could be compared with another, as with SCRAM.
    WrongUnseen,
}

/// Whether the client may hear what its login came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It may.
    Stands,
    /// No: too many guesses were made while this one was looked at.
    PutOff,
}

/// What is done about a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arrival {
    /// It is served.
    Welcome,
    /// Not now.
    PutOff,
}

/// A message that is about to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending<'a> {
    /// From where.
    pub peer: IpAddr,
    /// From whose account, where it is submitted.
    pub account: Option<&'a str>,
    /// To how many recipients.
    pub recipients: u32,
}

/// What a sender has sent too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TooMuch {
    /// Messages.
    Messages,
    /// Recipients of messages.
    Recipients,
}

/// Who is slowed or refused at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttled {
    /// From where; `None`: from everywhere that the account is not known at.
    pub network: Option<Network>,
    /// For which login or account, cut where no address is as long; `None`: for all that are not known there.
    pub login: Option<String>,
    /// What it is about.
    pub reason: Reason,
    /// So many guesses, messages, recipients, connections or errors.
    pub count: u32,
    /// What comes of it.
    pub measure: Measure,
    /// When that is over, in seconds since 1970.
    pub until: u64,
}

/// What somebody is throttled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// Guesses.
    Guesses,
    /// Messages.
    Messages,
    /// Recipients.
    Recipients,
    /// Connections.
    Connections,
    /// Wrong commands.
    Errors,
}

/// How somebody is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Measure {
    /// Put off whatever they try.
    PutOff,
    /// Let through one after the other.
    Slowed,
}

/// Whose guesses and counts are forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forgiven {
    /// Those of all addresses within.
    Network(Network),
    /// Those at one login, and what its account has sent.
    Login(String),
    /// All.
    Everything,
}

/// Guesses are slowed and then put off, and so is who comes too often or sends too much. What is known lies in the memory of the process
/// that hosts the store, within a constant bound, and ends with it.
///
/// Errors of all methods: where the store cannot answer.
#[async_trait]
pub trait Guard: Send + Sync {
    /// Asked before a login is looked at. Whoever is put off learns nothing of it.
    ///
    /// # Errors
    /// See [`Guard`].
    async fn admit(&self, peer: IpAddr, login: &str) -> Result<Admission, Unavailable>;

    /// Told after an admitted login was looked at, and asked whether the client may hear what came of it.
    ///
    /// # Errors
    /// See [`Guard`].
    async fn settle(
        &self,
        peer: IpAddr,
        login: &str,
        turn: Turn,
        outcome: Outcome<'_>,
    ) -> Result<Verdict, Unavailable>;

    /// Asked once before each message; `None` where it may come, and it is counted then.
    ///
    /// # Errors
    /// See [`Guard`].
    async fn send(&self, sending: Sending<'_>) -> Result<Option<TooMuch>, Unavailable>;

    /// Asked once for each connection, before anything is said; it is counted then.
    ///
    /// # Errors
    /// See [`Guard`].
    async fn arrive(&self, peer: IpAddr) -> Result<Arrival, Unavailable>;

    /// Told at the end of a session in which so many commands were wrong.
    ///
    /// # Errors
    /// See [`Guard`].
    async fn erred(&self, peer: IpAddr, errors: u32) -> Result<(), Unavailable>;

    /// Who is slowed or refused at the moment, those that are put off first; of very many only some.
    ///
    /// # Errors
    /// See [`Guard`].
    async fn throttled(&self) -> Result<Vec<Throttled>, Unavailable>;

    /// Forgets guesses and counts, and says of how many throttles that was the end.
    ///
    /// # Errors
    /// See [`Guard`].
    async fn forgive(&self, whose: &Forgiven) -> Result<usize, Unavailable>;
}

/// How long the guard may think about a connection: without an answer, it is served.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(1);

/// The door of a service that this guard keeps.
#[must_use]
pub fn door(guard: &Arc<dyn Guard>) -> Door {
    Door::kept_by(Arc::new(Keeper(Arc::clone(guard))))
}

struct Keeper(Arc<dyn Guard>);

impl Doorkeeper for Keeper {
    fn knock(&self, peer: IpAddr) -> Pin<Box<dyn Future<Output = Admittance> + Send + '_>> {
        Box::pin(async move {
            match timeout(ARRIVAL_PATIENCE, self.0.arrive(peer)).await {
                Ok(Ok(Arrival::PutOff)) => Admittance::Refused,
                Ok(Ok(Arrival::Welcome) | Err(_)) | Err(_) => Admittance::Granted,
            }
        })
    }
}
