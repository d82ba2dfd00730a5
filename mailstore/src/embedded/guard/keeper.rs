//! The guard of this process, with its clock and its log.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mailwire::address::Mailbox;
use mailwire::clock;
use mailwire::daemon::login;
use mailwire::net::Network;
use tracing::info;

use super::super::Core;
use super::super::subaddresses::has_other_spellings;
use super::arrivals::{Arrivals, Comer};
use super::fingerprints::Fingerprints;
use super::logins::{Logins, Throttle, Tried, Trust, Visitor};
use super::sendings::{Sender, Sendings};
use crate::{
    Admission, Arrival, Forgiven, Guard, GuardOptions, Measure, Outcome, Reason, Sending, Throttled, TooMuch,
    Turn, Unavailable, Verdict,
};

/// Most that [`Guard::throttled`] shows.
const THROTTLED_MAX: usize = 5000;
/// Octets of a login that are kept to be shown.
const LOGIN_OCTETS_MAX: usize = 128;
/// Bits of the prefix that an address has in common with its neighbourhood.
const NEIGHBOURHOOD_BITS_V4: u32 = 24;
const NEIGHBOURHOOD_BITS_V6: u32 = 48;

/// Everything that is known of those who come, log in and send.
pub(crate) struct Keeper {
    options: GuardOptions,
    fingerprints: Fingerprints,
    began: Instant,
    logins: Mutex<Logins>,
    sendings: Mutex<Sendings>,
    arrivals: Mutex<Arrivals>,
}

impl Keeper {
    /// Knows nothing yet.
    pub(crate) fn new(options: &GuardOptions) -> Result<Self, getrandom::Error> {
        Ok(Self {
            options: options.clone(),
            fingerprints: Fingerprints::new()?,
            began: clock::instant(),
            logins: Mutex::new(Logins::new(options)),
            sendings: Mutex::new(Sendings::new(options)),
            arrivals: Mutex::new(Arrivals::new(options)),
        })
    }

    fn now(&self) -> Duration {
        clock::instant().saturating_duration_since(self.began)
    }

    fn logins(&self) -> MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sendings(&self) -> MutexGuard<'_, Sendings> {
        self.sendings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the guesses at one login, be they many.
    pub(crate) fn forgive_guesses(&self, login: &str) {
        self.logins().forgive_login(self.fingerprints.login(login));
    }

    fn visitor<'a>(&self, peer: IpAddr, login: &'a str) -> Visitor<'a> {
        Visitor {
            key: self.fingerprints.login(login),
            login: cut(login),
            address: Network::subscriber(peer),
            neighbourhood: neighbourhood(peer),
            trust: if self.options.trusts(peer) { Trust::Trusted } else { Trust::Stranger },
        }
    }

    fn throttles(&self, now: Duration) -> Vec<Throttle> {
        let mut all: Vec<_> = self.logins().throttles(now).collect();
        all.extend(self.sendings().throttles(now));
        all.extend(self.arrivals().throttles(now));
        all
    }
}

/// What counts as the neighbourhood of an address.
fn neighbourhood(peer: IpAddr) -> Network {
    let bits = match peer.to_canonical() {
        IpAddr::V4(_) => NEIGHBOURHOOD_BITS_V4,
        IpAddr::V6(_) => NEIGHBOURHOOD_BITS_V6,
    };
    Network::around(peer, bits)
}

/// The beginning of `login` that is kept.
fn cut(login: &str) -> &str {
    login.get(..login.floor_char_boundary(LOGIN_OCTETS_MAX)).unwrap_or_default()
}

/// The account's own login, where `login` is a subaddress of it: nobody sees there which details were made up.
fn without_detail(login: &str) -> Cow<'_, str> {
    if !has_other_spellings(login) {
        return Cow::Borrowed(login);
    }
    let user = Mailbox::parse(login).ok().and_then(|mailbox| Some(mailbox.subaddress()?.0.text()));
    user.map_or(Cow::Borrowed(login), Cow::Owned)
}

/// One line for each throttle that begins.
fn tell(begun: &Throttle) {
    let network = begun.network.map_or_else(|| "everywhere".to_owned(), |network| network.to_string());
    let login = begun.login.as_deref().map_or_else(|| "all".to_owned(), login::shown);
    let count = begun.count;
    match (begun.reason, begun.measure) {
        (Reason::Guesses, Measure::PutOff) => info!(network, login, count, "guessing: logins are put off"),
        (Reason::Guesses, Measure::Slowed) => info!(network, login, count, "guessing: logins are slowed"),
        (Reason::Messages | Reason::Recipients, _) => {
            info!(network, login, count, reason = ?begun.reason, "sends too much: messages are put off");
        }
        (Reason::Connections | Reason::Errors, _) => {
            info!(network, count, reason = ?begun.reason, "too much at once: connections are put off");
        }
    }
}

#[async_trait]
impl Guard for Core {
    async fn admit(&self, peer: IpAddr, login: &str) -> Result<Admission, Unavailable> {
        let login = without_detail(login);
        let visitor = self.keeper.visitor(peer, &login);
        let now = self.keeper.now();
        Ok(self.keeper.logins().admit(&visitor, now))
    }

    async fn settle(
        &self,
        peer: IpAddr,
        login: &str,
        turn: Turn,
        outcome: Outcome<'_>,
    ) -> Result<Verdict, Unavailable> {
        let login = without_detail(login);
        let visitor = self.keeper.visitor(peer, &login);
        let tried = match outcome {
            Outcome::Right => Tried::Right,
            Outcome::Wrong(secret) => Tried::Wrong(Some(self.keeper.fingerprints.secret(&login, secret))),
            Outcome::WrongUnseen => Tried::Wrong(None),
        };
        let now = self.keeper.now();
        let (verdict, begun) = self.keeper.logins().settle(&visitor, tried, turn, now);
        begun.iter().for_each(tell);
        Ok(verdict)
    }

    async fn send(&self, sending: Sending<'_>) -> Result<Option<TooMuch>, Unavailable> {
        let Sending { peer, account, recipients } = sending;
        if self.keeper.options.spares(peer) {
            return Ok(None);
        }
        let sender = match account {
            Some(account) => Sender::Account(self.keeper.fingerprints.account(account), cut(account)),
            None => Sender::Address(Network::subscriber(peer)),
        };
        let now = self.keeper.now();
        let said = self.keeper.sendings().send(sender, recipients, now);
        said.begun.iter().for_each(tell);
        Ok(said.too_much)
    }

    async fn arrive(&self, peer: IpAddr) -> Result<Arrival, Unavailable> {
        if self.keeper.options.spares(peer) {
            return Ok(Arrival::Welcome);
        }
        let comer = Comer { address: Network::subscriber(peer), neighbourhood: neighbourhood(peer) };
        let now = self.keeper.now();
        let (arrival, begun) = self.keeper.arrivals().arrive(comer, now);
        begun.iter().for_each(tell);
        Ok(arrival)
    }

    async fn erred(&self, peer: IpAddr, errors: u32) -> Result<(), Unavailable> {
        if !self.keeper.options.spares(peer) {
            let now = self.keeper.now();
            self.keeper.arrivals().erred(Network::subscriber(peer), errors, now);
        }
        Ok(())
    }

    async fn throttled(&self) -> Result<Vec<Throttled>, Unavailable> {
        let (now, unix_seconds) = (self.keeper.now(), clock::unix_seconds());
        let mut all = self.keeper.throttles(now);
        all.sort_by(|one, other| {
            let rank = |throttle: &Throttle| (throttle.measure, throttle.reason, throttle.network);
            rank(one).cmp(&rank(other)).then_with(|| one.login.cmp(&other.login))
        });
        all.truncate(THROTTLED_MAX);
        let shown = |throttle: Throttle| Throttled {
            network: throttle.network,
            login: throttle.login.map(String::from),
            reason: throttle.reason,
            count: throttle.count,
            measure: throttle.measure,
            until: unix_seconds.saturating_add(throttle.until.saturating_sub(now).as_secs()),
        };
        Ok(all.into_iter().map(shown).collect())
    }

    async fn forgive(&self, whose: &Forgiven) -> Result<usize, Unavailable> {
        let now = self.keeper.now();
        let before = self.keeper.throttles(now).len();
        match whose {
            Forgiven::Network(network) => {
                self.keeper.logins().forgive_network(network);
                self.keeper.sendings().forgive_network(network);
                self.keeper.arrivals().forgive_network(network);
            }
            Forgiven::Login(login) => {
                self.keeper.forgive_guesses(login);
                self.keeper.sendings().forgive_login(self.keeper.fingerprints.account(login));
            }
            Forgiven::Everything => {
                self.keeper.logins().forgive_all();
                self.keeper.sendings().forgive_all();
                self.keeper.arrivals().forgive_all();
            }
        }
        Ok(before.saturating_sub(self.keeper.throttles(now).len()))
    }
}
