//! Names looked up: a domain's exchangers, and their addresses.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use mailstore::Notes;
use mailwire::address::Domain;
use mailwire::net::HttpsSetupError;
use thiserror::Error;

use super::addresses::Addresses;
use super::exchangers::{Exchanger, Mx, before_itself, in_order};
use super::mta_sts::{MtaSts, MtaStsConfig};
use super::no_route::NoRoute;
use super::promise::{self, Promise, Promised};
use crate::dns::{Answer, Dns, Nothing, RecordType, Resolver, ResolverError};

/// What this server is called, and where it takes mail: what leads back to it is a loop.
#[derive(Clone, Debug, Default)]
pub struct Itself {
    /// Names, in lower case.
    pub names: HashSet<String>,
    /// Addresses at which it takes mail from others.
    pub addresses: HashSet<IpAddr>,
}

/// Looks names up. Cheap to clone; all clones share one bounded cache.
#[derive(Clone)]
pub struct Names {
    resolver: Resolver,
    mta_sts: Option<MtaSts>,
    itself: Arc<Itself>,
}

/// Why names cannot be looked up.
#[derive(Debug, Error)]
pub enum NamesError {
    /// DNS cannot be asked.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// Policies cannot be fetched.
    #[error("the table [mta_sts] cannot be followed")]
    MtaSts(#[from] HttpsSetupError),
}

impl Names {
    /// As the table `[dns]` says; nobody is asked for policies.
    ///
    /// # Errors
    /// See [`NamesError`].
    pub fn new(dns: &Dns, itself: Itself) -> Result<Self, NamesError> {
        Ok(Self::asking(Resolver::new(dns)?, itself))
    }

    /// By a resolver that others ask as well; nobody is asked for policies.
    #[must_use]
    pub fn asking(resolver: Resolver, itself: Itself) -> Self {
        Self { resolver, mta_sts: None, itself: Arc::new(itself) }
    }

    /// The same, with policies, as the table `[mta_sts]` says; they are kept among the store's notes, if there is one.
    ///
    /// # Errors
    /// See [`NamesError`].
    pub fn with_policies(
        self,
        config: &MtaStsConfig,
        notes: Option<Arc<dyn Notes>>,
    ) -> Result<Self, NamesError> {
        if !config.enabled {
            return Ok(self);
        }
        let mta_sts = MtaSts::new(config, self.resolver.clone(), notes)?;
        Ok(Self { mta_sts: Some(mta_sts), ..self })
    }

    /// The hosts that take the domain's mail, in the order in which they are to be tried (RFC 5321 §5.1). Never empty.
    ///
    /// # Errors
    /// See [`NoRoute`].
    pub async fn exchangers(&self, domain: &Domain) -> Result<Vec<Exchanger>, NoRoute> {
        let name = match &*domain.in_a_labels() {
            Domain::Name(name) if is_this_host(name) => {
                return Err(NoRoute::LoopToSelf { domain: name.clone() });
            }
            Domain::Name(name) => name.clone(),
            literal @ Domain::Address(_) => return Ok(vec![only(literal.to_string())]),
        };
        match self.resolver.ask(&name, RecordType::MX).await {
            Ok(answer) => self.named(&name, &answer),
            // RFC 5321 §5.1: without MX records, the domain is its own exchanger.
            Err(Nothing::NoRecord) => self.implicit(name).await,
            Err(Nothing::NoName) => Err(NoRoute::NoSuchName { name }),
            Err(Nothing::Failed(failed)) => Err(failed.into()),
        }
    }

    /// Those of MX records.
    fn named(&self, domain: &str, answer: &Answer) -> Result<Vec<Exchanger>, NoRoute> {
        let hosts = match in_order(answer, random) {
            Mx::Null => return Err(NoRoute::NullMx { domain: domain.to_owned() }),
            Mx::None => return Err(NoRoute::NoAddress { name: domain.to_owned() }),
            Mx::Hosts(hosts) => hosts,
        };
        let hosts = before_itself(hosts, |host| self.itself.names.contains(host));
        if hosts.is_empty() {
            return Err(NoRoute::LoopToSelf { domain: domain.to_owned() });
        }
        let secure = answer.trust.is_secure();
        let mut domains = vec![domain.to_owned()];
        if secure && answer.owner != domain {
            domains.push(answer.owner.clone());
        }
        let exchanger = |(preference, host)| Exchanger { host, preference, secure, domains: domains.clone() };
        Ok(hosts.into_iter().map(exchanger).collect())
    }

    /// The domain itself, where it has an address.
    async fn implicit(&self, domain: String) -> Result<Vec<Exchanger>, NoRoute> {
        if self.itself.names.contains(&domain) {
            return Err(NoRoute::LoopToSelf { domain });
        }
        self.addresses(&domain).await?;
        // There was proof that it has no MX record, or none of that zone's answers can be trusted, its address included.
        Ok(vec![Exchanger { secure: true, ..only(domain) }])
    }

    /// The addresses of a host: of an exchanger, or of one that the configuration names.
    ///
    /// # Errors
    /// See [`NoRoute`].
    pub async fn addresses(&self, host: &str) -> Result<Addresses, NoRoute> {
        let found = Addresses::find(&self.resolver, host).await?;
        self.elsewhere(host, found)
    }

    /// What the domain promises about TLS with one of its exchangers, whose addresses these are, at this port.
    ///
    /// # Errors
    /// Where DNS does not say, or where the domain's policy does not know the host: there is no mail for it now.
    pub async fn promise(
        &self,
        domain: &Domain,
        exchanger: &Exchanger,
        addresses: &Addresses,
        port: u16,
    ) -> Result<Promise, NoRoute> {
        self.promised(domain, exchanger, addresses, port).await.promise
    }

    /// The same, with what reports tell of it.
    pub(in super::super) async fn promised(
        &self,
        domain: &Domain,
        exchanger: &Exchanger,
        addresses: &Addresses,
        port: u16,
    ) -> Promised {
        // RFC 8461 §2: where there is DANE, it counts alone.
        if let Some(promised) = promise::dane(&self.resolver, exchanger, addresses, port).await {
            return promised;
        }
        match (&*domain.in_a_labels(), &self.mta_sts) {
            (Domain::Name(name), Some(mta_sts)) => promise::mta_sts(mta_sts, name, exchanger).await,
            (Domain::Name(_), None) | (Domain::Address(_), _) => Promised::nothing(),
        }
    }

    /// The TXT records of a name, each in one piece (RFC 1035 §3.3.14); none where there is no such name.
    ///
    /// # Errors
    /// Where DNS does not say.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, NoRoute> {
        let answer = match self.resolver.ask(name, RecordType::TXT).await {
            Ok(answer) => answer,
            Err(Nothing::NoName | Nothing::NoRecord) => return Ok(Vec::new()),
            Err(Nothing::Failed(failed)) => return Err(failed.into()),
        };
        Ok(answer.texts().iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
    }

    /// Forgets every answer.
    pub fn forget(&self) {
        self.resolver.forget();
    }

    /// Without the addresses of this server, and without those that are of no single host: a system may take them for its
    /// own (RFC 1122 §3.2.1.3).
    fn elsewhere(&self, host: &str, mut found: Addresses) -> Result<Addresses, NoRoute> {
        found.addresses.retain(|address| {
            let address = address.to_canonical();
            let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
            let is_nobody = address.is_unspecified() || address.is_multicast() || is_broadcast;
            !is_nobody && !self.itself.addresses.contains(&address)
        });
        if found.addresses.is_empty() {
            return Err(NoRoute::LoopToSelf { domain: host.to_owned() });
        }
        Ok(found)
    }
}

/// RFC 6761 §6.3: these names are of no other host.
fn is_this_host(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// One that nothing else is known of.
fn only(host: String) -> Exchanger {
    Exchanger { domains: vec![host.clone()], host, preference: 0, secure: false }
}

/// Without randomness from the system the order is that of the names, which is right too.
fn random() -> u64 {
    getrandom::u64().unwrap_or_default()
}
