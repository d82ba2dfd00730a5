//! All that a session is told when it begins: what this server is and allows, and who is at the other end.

use std::net::IpAddr;

use mailwire::address::{AddressError, Domain, Mailbox};
use mailwire::daemon::config::Server;
use mailwire::daemon::login::ClearLogin;
use mailwire::net::TlsDetails;
use thiserror::Error;

use crate::config::Config;

/// What a listener's sessions are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Other servers bring mail for the local domains (port 25).
    Reception,
    /// Users who log in send mail (ports 587 and 465, RFC 6409).
    Submission,
}

/// What this server is, and what it allows; the same for all its sessions.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) hostname: String,
    pub(super) domains: Vec<Domain>,
    pub(super) postmaster: Mailbox,
    pub(super) clear_login: ClearLogin,
    pub(super) content_octets_max: u64,
    pub(super) recipients_max: usize,
    pub(super) errors_max: u32,
    pub(super) login_failures_max: u32,
}

/// Who is at the other end, and how.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address.
    pub address: IpAddr,
    /// Ours, as the client reached it.
    pub local: IpAddr,
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
}

impl Policy {
    /// Policy by configuration.
    ///
    /// # Errors
    /// Where the server's domains are none.
    pub fn new(config: &Config, server: &Server) -> Result<Self, PolicyError> {
        let postmasters =
            server.domains.iter().map(|name| postmaster(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            hostname: server.hostname.clone(),
            domains: postmasters.iter().map(|mailbox| mailbox.domain().clone()).collect(),
            postmaster: postmasters.into_iter().next().ok_or(PolicyError::NoDomain)?,
            clear_login: config.clear_login,
            content_octets_max: config.content_octets_max,
            recipients_max: config.recipients_max,
            errors_max: config.errors_max,
            login_failures_max: config.login_failures_max,
        })
    }

    /// True for the domains whose mail is kept here.
    pub(super) fn is_local(&self, domain: &Domain) -> bool {
        self.domains.contains(domain)
    }
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
        let domains = domains.iter().map(ToString::to_string).collect();
        Policy::new(&Config::default(), &Server { hostname: "mail.example.test".to_owned(), domains })
    }

    fn domain(name: &str) -> Domain {
        Mailbox::parse(&format!("x@{name}")).unwrap().domain().clone()
    }

    #[test]
    fn the_first_domain_is_the_primary_one() {
        let policy = policy(&["Example.test", "other.test"]).unwrap();
        assert_eq!(policy.postmaster.to_string(), "postmaster@example.test");
        assert!(policy.is_local(&domain("OTHER.test")));
        assert!(!policy.is_local(&domain("sub.other.test")));
    }

    #[test]
    fn a_server_without_a_domain_is_no_server() {
        assert!(matches!(policy(&[]), Err(PolicyError::NoDomain)));
        assert!(matches!(policy(&["a b"]), Err(PolicyError::Domain { .. })));
    }
}
