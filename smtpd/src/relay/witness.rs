//! How TLS with a host of another domain went, counted for the reports that the domain may want (RFC 8460).

use std::net::IpAddr;

use mailwire::address::Domain;
use mailwire::clock;
use mailwire::net::Watched;
use mailwire::smtp::client::Failure as SessionFailure;

use super::link::{Link, Obstacle};
use super::names::Promised;
use crate::reports::tls::{Failure, Fault, Policy, Session, fault, objection};
use crate::reports::{Kind, Tally};

/// Sees the sessions with one host.
pub(super) struct Witness {
    tally: Tally,
    /// In A-labels.
    domain: String,
    host: String,
    policy: Policy,
    /// What is wrong with the policy itself.
    fault: Option<(Fault, String)>,
    /// What a policy that is being tested would have come to.
    watched: Option<Watched>,
}

impl Witness {
    pub(super) fn new(tally: &Tally, domain: &Domain, host: &str, promised: &Promised) -> Self {
        Self {
            tally: tally.clone(),
            domain: domain.in_a_labels().to_string().to_lowercase(),
            host: host.to_owned(),
            policy: promised.policy.clone(),
            fault: promised.fault.clone(),
            watched: None,
        }
    }

    /// The same, with what a policy that is being tested would have come to.
    pub(super) fn watching(self, watched: Option<Watched>) -> Self {
        Self { watched, ..self }
    }

    /// There was no session, since the policy does not let there be one.
    pub(super) fn nowhere(&self) {
        if self.fault.is_some() {
            self.session(self.of_policy(), None, None);
        }
    }

    /// There is a session.
    pub(super) fn opened(&self, link: &Link, address: IpAddr) {
        let in_clear = || (Fault::StarttlsNotSupported, None);
        let watched = || {
            let (fault, reason) = objection(&self.watched.as_ref()?.objection()?);
            Some((fault, Some(reason)))
        };
        let failure = if link.has_tls() { self.of_policy().or_else(watched) } else { Some(in_clear()) };
        self.session(failure, link.local(), Some(address));
    }

    /// There is none, be it for TLS or for something that has nothing to do with it.
    pub(super) fn not_opened(&self, obstacle: &Obstacle, local: Option<IpAddr>, address: IpAddr) {
        let failure = match obstacle {
            Obstacle::Tls(error) => fault(error).map(|(fault, reason)| (fault, Some(reason))),
            Obstacle::Session(SessionFailure::NoTls) => Some((Fault::StarttlsNotSupported, None)),
            Obstacle::Session(_) | Obstacle::Connect(_) | Obstacle::Broken(_) => None,
        };
        if failure.is_some() {
            self.session(failure, local, Some(address));
        }
    }

    fn of_policy(&self) -> Option<(Fault, Option<String>)> {
        self.fault.clone().map(|(fault, reason)| (fault, Some(reason)))
    }

    fn session(
        &self,
        fault: Option<(Fault, Option<String>)>,
        sending: Option<IpAddr>,
        receiving: Option<IpAddr>,
    ) {
        let failure = fault.map(|(fault, reason)| {
            let failure = Failure::new(fault, &self.host, reason);
            Failure { sending, receiving, ..failure }
        });
        let session = Session { policy: self.policy.clone(), failure };
        self.tally.count(Kind::Tls, &self.domain, &session, clock::unix_seconds());
    }
}
