//! The way to a destination: its hosts in their order, each address in turn, TLS as each of them needs it, until one of
//! them is ready for a transaction (RFC 5321 §5.1).

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mailwire::address::Domain;
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::net::client_name;
use mailwire::sasl::{BearerToken, Credentials};
use mailwire::secret::Secret;
use mailwire::smtp::Enhanced;
use mailwire::smtp::client::{Login, Settings};
use mailwire::tls_policy::TlsPolicy;
use tracing::{debug, warn};

use super::config::TlsMode;
use super::link::{Approach, Link, NotOpened, Obstacle, Tls};
use super::names::{Exchanger, Promise};
use super::route::{Access, Destination, Route, SecretFile, Smarthost};
use super::security::{Protection, Security};
use super::verdict::{Fate, Finding};
use super::witness::Witness;
use super::worker::Common;

/// Addresses that are tried in one attempt.
const ADDRESSES_MAX: usize = 10;
/// How long it may take to get to a session, over all addresses; the one that is being tried may finish.
const ATTEMPT: Duration = Duration::from_mins(15);
/// Most octets of a file with a password or a token.
const SECRET_OCTETS_MAX: usize = 16 << 10;

/// Why there is no session with a destination.
#[derive(Clone, Debug)]
pub(super) struct Unreachable {
    pub(super) finding: Finding,
    /// Where it was tried last; empty where nobody was asked.
    pub(super) place: String,
}

/// A session that is ready, and what it is with.
pub(super) struct Reached {
    pub(super) link: Link,
    /// The host's name.
    pub(super) host: String,
    /// The host, its address, and what protects the way there.
    pub(super) place: String,
}

/// What a domain promises about TLS with its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promises {
    /// It must be kept, and reports tell how that went.
    Asked,
    /// It is of no interest.
    Ignored,
}

/// Tries one destination.
struct Search<'a> {
    common: &'a Common,
    deadline: Instant,
    tried: usize,
    /// The last failure that may pass, or else the last one.
    worst: Option<Unreachable>,
}

/// Connects to `destination`, by whatever host of it is ready first.
pub(super) async fn reach(common: &Common, destination: &Destination) -> Result<Reached, Unreachable> {
    let deadline = clock::instant() + ATTEMPT;
    let search = Search { common, deadline, tried: 0, worst: None };
    match (common.routes.route(destination), destination) {
        (Route::Host(host), _) => search.smarthost(&host).await,
        (Route::Exchangers(mode), Destination::Domain(_, domain)) => {
            search.exchangers(domain, mode, Promises::Asked).await
        }
        (Route::Exchangers(mode), Destination::Relaxed(_, domain)) => {
            search.exchangers(domain, mode, Promises::Ignored).await
        }
        // A route that has no host has no such destination either.
        (Route::Exchangers(_), Destination::Host(_)) => Err(search.end()),
    }
}

impl Search<'_> {
    async fn exchangers(
        mut self,
        domain: &Domain,
        mode: TlsMode,
        asks: Promises,
    ) -> Result<Reached, Unreachable> {
        let exchangers = match self.common.names.exchangers(domain).await {
            Ok(exchangers) => exchangers,
            Err(no_route) => {
                self.note(Finding::of_no_route(&no_route), String::new());
                return Err(self.end());
            }
        };
        for exchanger in &exchangers {
            if self.is_over() {
                break;
            }
            if let Some(reached) = self.exchanger((domain, exchanger), mode, asks).await {
                return Ok(reached);
            }
        }
        Err(self.end())
    }

    async fn exchanger(
        &mut self,
        (domain, exchanger): (&Domain, &Exchanger),
        mode: TlsMode,
        asks: Promises,
    ) -> Option<Reached> {
        let host = exchanger.host.clone();
        let addresses = match self.common.names.addresses(&host).await {
            Ok(addresses) => addresses,
            Err(no_route) => {
                // RFC 5321 §5.1: an exchanger without an address is passed over; that may be mended.
                self.note(Finding::later(Enhanced(4, 4, 4), &no_route.to_string()), host);
                return None;
            }
        };
        let port = self.common.config.port;
        let mut witness = None;
        let promise = match (mode, asks) {
            (TlsMode::Opportunistic, Promises::Asked) => {
                let promised = self.common.names.promised(domain, exchanger, &addresses, port).await;
                let tally = self.common.tally.as_ref();
                witness = tally.map(|tally| Witness::new(tally, domain, &host, &promised));
                promised.promise
            }
            (TlsMode::Opportunistic, Promises::Ignored)
            | (TlsMode::Required | TlsMode::Implicit | TlsMode::Never, _) => Ok(Promise::Nothing),
        };
        let promise = match promise {
            Ok(promise) => promise,
            Err(no_route) => {
                witness.iter().for_each(Witness::nowhere);
                self.note(Finding::of_no_route(&no_route), host);
                return None;
            }
        };
        let security = match mode {
            TlsMode::Opportunistic => Security::Promised(&promise, &addresses),
            TlsMode::Required | TlsMode::Implicit => Security::Verified,
            TlsMode::Never => Security::Clear,
        };
        let Protection { policy, tls, is_verified, watched } = self.common.trust.protection(security, &host);
        let settings = Settings { hello: self.common.hello.clone(), tls: policy, login: None };
        let approach = Approach { settings, tls, is_verified, waits: self.common.waits() };
        let witness = witness.map(|witness| witness.watching(watched));
        self.addresses((&host, port), &addresses.addresses, approach, witness.as_ref()).await
    }

    async fn smarthost(mut self, smarthost: &Arc<Smarthost>) -> Result<Reached, Unreachable> {
        let host = smarthost.host.as_str();
        let login = match &smarthost.login {
            None => None,
            Some(access) => match login(access).await {
                Ok(login) => Some(login),
                Err(problem) => {
                    warn!(host, problem, "the login for another server cannot be read");
                    self.note(Finding::later(Enhanced(4, 3, 5), &problem), host.to_owned());
                    return Err(self.end());
                }
            },
        };
        let found = match address(host) {
            Some(address) => Ok(vec![address]),
            None => self.common.names.addresses(host).await.map(|found| found.addresses),
        };
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(no_route) => {
                // Whoever named the host here can mend that.
                self.note(Finding::later(Enhanced(4, 4, 4), &no_route.to_string()), host.to_owned());
                return Err(self.end());
            }
        };
        let verified = |policy| Protection::verified(policy, named(smarthost, host));
        let protection = match smarthost.tls {
            TlsMode::Implicit => verified(TlsPolicy::Implicit),
            TlsMode::Required => verified(TlsPolicy::Required),
            TlsMode::Opportunistic => self.common.trust.protection(Security::Opportunistic, host),
            TlsMode::Never => self.common.trust.protection(Security::Clear, host),
        };
        let Protection { policy, tls, is_verified, .. } = protection;
        let settings = Settings { hello: self.common.hello.clone(), tls: policy, login };
        let approach = Approach { settings, tls, is_verified, waits: self.common.waits() };
        let reached = self.addresses((host, smarthost.port), &addresses, approach, None).await;
        reached.ok_or_else(|| self.end())
    }

    /// Each address in turn. Where TLS fails that nobody has asked for, the address is tried again without it (RFC 7435
    /// §4: what is in clear is no worse than what there was before).
    async fn addresses(
        &mut self,
        (host, port): (&str, u16),
        addresses: &[IpAddr],
        approach: Approach,
        witness: Option<&Witness>,
    ) -> Option<Reached> {
        for address in addresses.iter().map(|address| SocketAddr::new(*address, port)) {
            let (mut approach, mut witness) = (approach.clone(), witness);
            while !self.is_over() {
                self.tried = self.tried.saturating_add(1);
                let NotOpened { obstacle, local } = match Link::open(address, approach.clone()).await {
                    Ok(link) => {
                        if let Some(witness) = witness {
                            witness.opened(&link, address.ip());
                        }
                        let place = link.place(host);
                        return Some(Reached { link, host: host.to_owned(), place });
                    }
                    Err(not_opened) => not_opened,
                };
                if let Some(witness) = witness {
                    witness.not_opened(&obstacle, local, address.ip());
                }
                debug!(host, %address, reason = chain(&obstacle), "no session");
                let is_tls = matches!(obstacle, Obstacle::Tls(_));
                self.note(Finding::of_obstacle(&obstacle), format!("{host} [{}]:{port}", address.ip()));
                if !is_tls || approach.settings.tls != TlsPolicy::WhenOffered {
                    break;
                }
                warn!(host, %address, reason = chain(&obstacle), "TLS failed that nobody has asked for: in clear");
                approach.settings.tls = TlsPolicy::Never;
                approach.tls = None;
                // It has been told how that session went.
                witness = None;
            }
        }
        None
    }

    fn is_over(&self) -> bool {
        self.tried >= ADDRESSES_MAX || clock::instant() >= self.deadline
    }

    /// A failure that may pass counts more than one that is for good: another time that host may take the mail.
    fn note(&mut self, finding: Finding, place: String) {
        let hides = |known: &Unreachable| known.finding.fate == Fate::Later && finding.fate == Fate::Never;
        if !self.worst.as_ref().is_some_and(hides) {
            self.worst = Some(Unreachable { finding, place });
        }
    }

    fn end(self) -> Unreachable {
        self.worst.unwrap_or_else(|| Unreachable {
            finding: Finding::later(Enhanced(4, 4, 4), "there is no host that could be tried"),
            place: String::new(),
        })
    }
}

/// TLS with a certificate for the host.
fn named(smarthost: &Smarthost, host: &str) -> Option<Tls> {
    smarthost.trust.clone().zip(client_name(host))
}

/// The address that is named instead of a host, in brackets or not.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// What a file says now.
async fn login(access: &Access) -> Result<Login, String> {
    let login = access.login.clone();
    match &access.secret {
        SecretFile::Password(path) => {
            Ok(Login::Password(Credentials { login, password: secret(path).await? }))
        }
        SecretFile::Token(path) => {
            Ok(Login::Token(BearerToken { login: Some(login), token: secret(path).await? }))
        }
    }
}

async fn secret(path: &Path) -> Result<Secret<String>, String> {
    let failed = |why: &str| format!("reading {} failed: {why}", path.display());
    let text = tokio::fs::read_to_string(path).await.map_err(|error| failed(&error.to_string()))?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() || line.len() > SECRET_OCTETS_MAX || line.contains(['\r', '\n', '\0']) {
        return Err(failed("it must have one line"));
    }
    Ok(Secret::new(line.to_owned()))
}
