//! Names looked up: a domain's exchangers, and their addresses.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use mailwire::address::Domain;

use super::addresses::Addresses;
use super::config::Dns;
use super::exchangers::{Exchanger, Mx, before_itself, in_order, is_host};
use super::no_route::NoRoute;
use super::resolver::{Answer, Nothing, RecordType, Resolver, ResolverError};

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
    itself: Arc<Itself>,
}

impl Names {
    /// As the table `[dns]` says.
    ///
    /// # Errors
    /// See [`ResolverError`].
    pub fn new(dns: &Dns, itself: Itself) -> Result<Self, ResolverError> {
        Ok(Self { resolver: Resolver::new(dns)?, itself: Arc::new(itself) })
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
            Err(Nothing::Failed(failed)) => Err(failed),
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
        let name = match Domain::parse(host).as_ref().map(Domain::in_a_labels).as_deref() {
            Ok(Domain::Address(address)) => return self.elsewhere(host, Addresses::literal(*address)),
            Ok(Domain::Name(name)) => name.clone(),
            Err(_) if is_host(host) => host.to_lowercase(),
            Err(_) => return Err(NoRoute::NotAName { name: host.to_owned() }),
        };
        let six = self.resolver.ask(&name, RecordType::AAAA);
        let (six, four) = tokio::join!(six, self.resolver.ask(&name, RecordType::A));
        self.elsewhere(host, Addresses::new(&name, six, four)?)
    }

    /// Forgets every answer.
    pub fn forget(&self) {
        self.resolver.forget();
    }

    /// Without the addresses of this server.
    fn elsewhere(&self, host: &str, mut found: Addresses) -> Result<Addresses, NoRoute> {
        found.addresses.retain(|address| !self.itself.addresses.contains(&address.to_canonical()));
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
