//! All that a session is told when it begins: what this server is and allows, and who is at the other end.

use std::net::IpAddr;
use std::sync::Arc;

use mailwire::address::{AddressError, Domain, Mailbox};
use mailwire::daemon::config::Server;
use mailwire::daemon::login::ClearLogin;
use mailwire::net::{Network, TlsDetails};
use thiserror::Error;

use crate::checks::Checks;
use crate::config::{BareLineEnds, Config, DomainConfig};
use crate::gate::GateTables;
use crate::relay::RelayConfig;

/// What a listener's sessions are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Other servers bring mail for the local domains (port 25).
    Reception,
    /// Users who log in send mail (ports 587 and 465, RFC 6409).
    Submission,
    /// Programs that are trusted bring mail for the local domains, and keep what a recipient cannot take (RFC 2033).
    Lmtp,
}

/// What this server is, and what it allows; the same for all its sessions.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) hostname: String,
    pub(super) domains: Vec<Domain>,
    pub(super) postmaster: Mailbox,
    pub(super) clear_login: ClearLogin,
    pub(super) content_octets_max: u64,
    /// Domains that take less.
    domains_octets_max: Vec<(Domain, u64)>,
    pub(super) header_octets_max: u64,
    pub(super) received_max: u32,
    pub(super) bare_line_ends: BareLineEnds,
    /// The names under which we would tell what we found out about a message (RFC 8601 §2.5), in lower case.
    pub(super) own_names: Arc<[String]>,
    pub(super) recipients_max: usize,
    pub(super) errors_max: u32,
    pub(super) commands_max: u32,
    pub(super) login_failures_max: u32,
    pub(super) future_release_seconds_max: u32,
    pub(super) deliver_by_seconds_min: u32,
    pub(super) expand_aliases: bool,
    pub(super) received_names_login: bool,
    pub(super) relay: RelayPolicy,
    /// What is looked at in mail from outside, if anything is.
    pub(super) checks: Option<Arc<Checks>>,
    pub(super) gate: GatePolicy,
}

/// What is looked at before it is let in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GatePolicy {
    /// Strangers, before they may name a recipient.
    pub(super) strangers: bool,
    /// Content, by other programs.
    pub(super) content: bool,
    /// Each step, by milters.
    pub(super) milters: Milters,
}

/// Of whose transactions milters hear.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Milters {
    pub(super) reception: bool,
    pub(super) submission: bool,
}

/// Who may send mail to other domains.
#[derive(Clone, Debug)]
pub(super) struct RelayPolicy {
    pub(super) enabled: bool,
    trusted: Vec<Network>,
    /// Seconds after which what could not be delivered goes back.
    pub(super) expire_seconds: u64,
}

impl RelayPolicy {
    /// True for addresses whose programs need no login.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

/// Who is at the other end, and how.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address; `None` where it is a program of this machine at a Unix socket.
    pub address: Option<IpAddr>,
    /// Ours, as the client reached it.
    pub local: Option<IpAddr>,
    /// The session's identity in the log and in trace fields.
    pub session: String,
    /// What protects the connection.
    pub tls: Tls,
}

/// What protects a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Nothing, and nothing can.
    Unavailable,
    /// Nothing yet; STARTTLS can.
    Available,
    /// TLS.
    Running(TlsDetails),
}

/// Why the server's own names cannot be used.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// Mail must be for somebody.
    #[error("[server] domains names no domain")]
    NoDomain,
    /// Not a domain.
    #[error("[server] domains has \"{name}\", which is not a domain")]
    Domain {
        /// What the configuration says.
        name: String,
        /// Why.
        #[source]
        source: AddressError,
    },
    /// A limit that would never count.
    #[error("[smtp] domains has \"{name}\", which is none of the domains in [server]")]
    UnknownDomain {
        /// What the configuration says.
        name: String,
    },
}

impl Policy {
    /// Policy by configuration.
    ///
    /// # Errors
    /// Where the server's domains are none.
    pub fn new(config: &Config, relay: &RelayConfig, server: &Server) -> Result<Self, PolicyError> {
        let postmasters =
            server.domains.iter().map(|name| postmaster(name)).collect::<Result<Vec<_>, _>>()?;
        let domains: Vec<_> = postmasters.iter().map(|mailbox| mailbox.domain().clone()).collect();
        let own_names = domains.iter().map(ToString::to_string).chain([server.hostname.to_lowercase()]);
        Ok(Self {
            hostname: server.hostname.clone(),
            own_names: own_names.collect(),
            domains_octets_max: domains_octets_max(config, &domains)?,
            domains,
            postmaster: postmasters.into_iter().next().ok_or(PolicyError::NoDomain)?,
            clear_login: config.clear_login,
            content_octets_max: config.content_octets_max,
            header_octets_max: config.header_octets_max,
            received_max: config.received_max,
            bare_line_ends: config.bare_line_ends,
            recipients_max: config.recipients_max,
            errors_max: config.errors_max,
            commands_max: config.commands_max,
            login_failures_max: config.login_failures_max,
            future_release_seconds_max: config.future_release_seconds_max,
            deliver_by_seconds_min: config.deliver_by_seconds_min,
            expand_aliases: config.expand_aliases,
            received_names_login: config.received_names_login,
            relay: RelayPolicy {
                enabled: relay.enabled,
                trusted: relay.trusted.clone(),
                expire_seconds: relay.expire_seconds,
            },
            checks: None,
            gate: GatePolicy::default(),
        })
    }

    /// The same, with a look at strangers and at content where these tables ask for one.
    #[must_use]
    pub fn with_gate(self, tables: &GateTables) -> Self {
        let mut milters = tables.scan.milters();
        let milters = Milters {
            submission: milters.clone().any(|milter| milter.submissions),
            reception: milters.next().is_some(),
        };
        let content = !tables.scan.scanners.is_empty();
        let gate = GatePolicy { strangers: tables.is_kept(), content, milters };
        Self { gate, ..self }
    }

    /// The same, with checks of mail from outside.
    #[must_use]
    pub fn with_checks(self, checks: &Checks) -> Self {
        Self { checks: checks.is_on().then(|| Arc::new(checks.clone())), ..self }
    }

    /// True for the domains whose mail is kept here.
    pub(crate) fn is_local(&self, domain: &Domain) -> bool {
        self.domains.contains(domain)
    }

    /// Seconds for which mail that is forwarded is tried; `None` where nothing leaves.
    pub(crate) fn forwards_for_seconds(&self) -> Option<u64> {
        self.relay.enabled.then_some(self.relay.expire_seconds)
    }

    /// Most octets of a message for `recipients`: the least that any of their domains takes.
    pub(super) fn octets_max_for(&self, recipients: &[Mailbox]) -> u64 {
        let takes = |(domain, octets_max): &(Domain, u64)| {
            recipients.iter().any(|recipient| recipient.domain() == domain).then_some(*octets_max)
        };
        let least = self.domains_octets_max.iter().filter_map(takes).min();
        least.map_or(self.content_octets_max, |octets| octets.min(self.content_octets_max))
    }
}

/// The limits of single domains, which must be ours.
fn domains_octets_max(config: &Config, ours: &[Domain]) -> Result<Vec<(Domain, u64)>, PolicyError> {
    let limit = |(name, domain): (&String, &DomainConfig)| match postmaster(name)?.domain() {
        known if ours.contains(known) => Ok((known.clone(), domain.content_octets_max)),
        Domain::Name(_) | Domain::Address(_) => Err(PolicyError::UnknownDomain { name: name.clone() }),
    };
    config.domains.iter().map(limit).collect()
}

/// Every domain has one (RFC 5321 §4.5.1).
fn postmaster(domain: &str) -> Result<Mailbox, PolicyError> {
    Mailbox::parse(&format!("postmaster@{domain}"))
        .map_err(|source| PolicyError::Domain { name: domain.to_owned(), source })
}

impl Peer {
    /// What TLS is made of, where it runs.
    pub(super) const fn tls_details(&self) -> Option<&TlsDetails> {
        match &self.tls {
            Tls::Unavailable | Tls::Available => None,
            Tls::Running(details) => Some(details),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(domains: &[&str]) -> Result<Policy, PolicyError> {
        configured(&Config::default(), domains)
    }

    fn configured(config: &Config, domains: &[&str]) -> Result<Policy, PolicyError> {
        let domains = domains.iter().map(ToString::to_string).collect();
        Policy::new(
            config,
            &RelayConfig::default(),
            &Server { hostname: "mail.example.test".to_owned(), domains },
        )
    }

    fn domain(name: &str) -> Domain {
        Mailbox::parse(&format!("x@{name}")).unwrap().domain().clone()
    }

    #[test]
    fn the_first_domain_is_the_primary_one() {
        let policy = policy(&["Example.test", "other.test"]).unwrap();
        assert_eq!(policy.postmaster.to_string(), "postmaster@example.test");
        assert!(policy.is_local(&domain("OTHER.test")));
        let policy = self::policy(&["bücher.example"]).unwrap();
        assert!(
            policy.is_local(&domain("xn--bcher-kva.example")) && !policy.is_local(&domain("bucher.example"))
        );
        assert!(!policy.is_local(&domain("sub.other.test")));
    }

    #[test]
    fn the_smallest_limit_of_all_recipients_domains_counts() {
        let domains = [("Small.test", 1000), ("tiny.test", 10), ("large.test", u64::MAX)]
            .map(|(name, octets)| (name.to_owned(), DomainConfig { content_octets_max: octets }));
        let config = Config { domains: domains.into(), content_octets_max: 5000, ..Config::default() };
        let policy = configured(&config, &["other.test", "small.test", "tiny.test", "large.test"]).unwrap();
        for (recipients, expected) in [
            (&["a@other.test"][..], 5000),
            (&["a@large.test"], 5000),
            (&["a@other.test", "a@SMALL.test"], 1000),
            (&["a@small.test", "a@tiny.test", "b@small.test"], 10),
            (&["a@sub.tiny.test"], 5000),
        ] {
            let recipients: Vec<_> = recipients.iter().map(|text| Mailbox::parse(text).unwrap()).collect();
            assert_eq!(policy.octets_max_for(&recipients), expected);
        }
        let unknown = configured(&config, &["other.test", "small.test"]);
        assert!(matches!(unknown, Err(PolicyError::UnknownDomain { .. })));
    }

    #[test]
    fn a_server_without_a_domain_is_no_server() {
        assert!(matches!(policy(&[]), Err(PolicyError::NoDomain)));
        assert!(matches!(policy(&["a b"]), Err(PolicyError::Domain { .. })));
    }
}
