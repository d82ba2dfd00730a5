//! One question to DNS, and what its answer is worth. The only file that asks the library.

use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::caching_client::CachingClient;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::RetryDnsHandle;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequestOptions, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, Record};
use hickory_resolver::{Hosts, NameServerPool, PoolContext, TlsConfig, system_conf};
use mailwire::clock;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::warn;

pub(crate) use hickory_resolver::proto::rr::{RData, RecordType};

use super::config::{Dns, NameServer, Validation};
use super::failed::Failed;
use super::remembered::Remembered;

/// Most aliases from a name to its records; what leads further leads nowhere.
const ALIASES_MAX: usize = 16;
/// Most sets of records of which it is remembered that their signatures are right; some 200 octets each.
const VALIDATIONS_MAX: usize = 50_000;
/// What to do about it is known to whoever reads the log, and not to the sender of a message.
const BOGUS: &str = "an answer of DNS is not signed right, and is not used; where all of them are not, the name servers do \
                     not hand signatures on: name others by `name_servers` in [dns], or say `dnssec = \"off\"`";
/// Octets of a datagram that is not torn on its way (RFC 9715 §3.2).
const DATAGRAM_OCTETS: u16 = 1232;

/// Why DNS cannot be asked.
#[derive(Debug, Error)]
pub enum ResolverError {
    /// The system does not say whom to ask.
    #[error("`name_servers` in [dns] is empty, and /etc/resolv.conf names nobody to ask")]
    System(#[source] Box<NetError>),
    /// The trust anchor cannot be used.
    #[error("`trust_anchor` in [dns] is no file of DNSKEY records")]
    TrustAnchor(#[source] hickory_resolver::proto::serialize::txt::ParseError),
    /// The library refuses its configuration.
    #[error("looking names up cannot be set up")]
    Setup(#[source] Box<NetError>),
}

/// Who vouches for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// DNSSEC does, from the root on.
    Secure,
    /// Nobody does.
    Insecure,
}

impl Trust {
    const fn of(proof: Proof) -> Option<Self> {
        match proof {
            Proof::Secure => Some(Self::Secure),
            // RFC 7672 §2.1.1: what cannot be told counts as insecure.
            Proof::Insecure | Proof::Indeterminate => Some(Self::Insecure),
            Proof::Bogus => None,
        }
    }

    /// What is worth as much as the weaker of both.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Secure { other } else { self }
    }

    pub(crate) fn is_secure(self) -> bool {
        self == Self::Secure
    }
}

/// The records of a name, behind its aliases.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Whose records these are, after all aliases; without the final dot.
    pub(crate) owner: String,
    /// How far the first alias can be trusted; `None` where the name was none.
    pub(crate) alias: Option<Trust>,
    /// How far all of it can be trusted.
    pub(crate) trust: Trust,
    /// One at least.
    pub(crate) records: Vec<RData>,
}

impl Answer {
    /// Its TXT records, each in one piece (RFC 1035 §3.3.14).
    pub(crate) fn texts(&self) -> Vec<Vec<u8>> {
        let text = |record: &RData| {
            let RData::TXT(text) = record else { return None };
            Some(text.txt_data.concat())
        };
        self.records.iter().filter_map(text).collect()
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// No such name (RFC 8020).
    NoName,
    /// A name without such a record.
    NoRecord,
    /// Something went wrong, for the time being.
    Failed(Failed),
}

/// Asks whom `[dns]` names, and remembers what they said. Cheap to clone; all clones share one bounded cache.
#[derive(Clone)]
pub struct Resolver {
    library: Library,
    hosts: Arc<Hosts>,
    remembered: Remembered,
    look_ups: Arc<Semaphore>,
    /// What is asked on behalf of strangers waits here first.
    of_strangers: Option<Arc<Semaphore>>,
    strangers_max: usize,
    look_up: Duration,
}

type Pool = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// The library's own `Resolver` would remember a million validations, and answers of any size.
#[derive(Clone)]
struct Library {
    /// Where answers are to be right by DNSSEC.
    validating: Option<CachingClient<DnssecDnsHandle<Pool>>>,
    believing: CachingClient<Pool>,
}

impl Library {
    const fn validation(&self) -> Validation {
        if self.validating.is_some() { Validation::Validate } else { Validation::Off }
    }

    async fn look_up(&self, query: Query) -> Result<Lookup, NetError> {
        let mut options = DnsRequestOptions::default();
        options.edns_payload_len = DATAGRAM_OCTETS;
        match &self.validating {
            Some(client) => {
                options.edns_set_dnssec_ok = true;
                client.lookup(query, options).await
            }
            None => self.believing.lookup(query, options).await,
        }
    }
}

impl Resolver {
    /// By the table `[dns]`.
    ///
    /// # Errors
    /// Where nobody can be asked.
    pub fn new(dns: &Dns) -> Result<Self, ResolverError> {
        let whom = if dns.name_servers.is_empty() {
            let (system, _) =
                system_conf::read_system_conf().map_err(|error| ResolverError::System(Box::new(error)))?;
            system.name_servers().to_vec()
        } else {
            dns.name_servers.iter().map(name_server).collect()
        };
        let tls = TlsConfig::new().map_err(|error| ResolverError::Setup(Box::new(error)))?;
        let context = Arc::new(PoolContext::new(options(dns), tls));
        let pool = NameServerPool::from_config(whom, context, TokioRuntimeProvider::default());
        let pool = RetryDnsHandle::new(pool, dns.retries);
        // Nothing is kept below what is remembered here, but for validations. An alias that nobody vouches for makes all
        // behind it insecure (RFC 7672 §2.1.3), so aliases are shown.
        let validating = match dns.dnssec {
            Validation::Off => None,
            Validation::Validate => {
                let validating = DnssecDnsHandle::with_trust_anchor(pool.clone(), Arc::new(anchors(dns)?));
                let validating = validating.validation_cache_size(VALIDATIONS_MAX);
                Some(CachingClient::new(0, validating, true))
            }
        };
        Ok(Self {
            library: Library { validating, believing: CachingClient::new(0, pool, true) },
            // Where it cannot be read, there are no such hosts.
            hosts: Arc::new(Hosts::from_system().unwrap_or_default()),
            remembered: Remembered::new(dns),
            look_ups: Arc::new(Semaphore::new(dns.look_ups_max)),
            of_strangers: None,
            strangers_max: dns.look_ups_max.div_ceil(2),
            look_up: dns.look_up(),
        })
    }

    /// The same, for what strangers make this server ask: it takes half of the look-ups at most, so that name servers of
    /// theirs that do not answer hold up nobody's mail.
    pub(crate) fn for_strangers(&self) -> Self {
        Self { of_strangers: Some(Arc::new(Semaphore::new(self.strangers_max))), ..self.clone() }
    }

    /// The same, for whom no signatures count.
    pub(crate) fn believing(&self) -> Self {
        let library = Library { validating: None, ..self.library.clone() };
        Self { library, ..self.clone() }
    }

    /// The records of this type that `name` has, behind whichever aliases.
    pub(crate) async fn ask(&self, name: &str, record_type: RecordType) -> Result<Answer, Nothing> {
        if let Some(known) = self.known(name, record_type) {
            return known;
        }
        let not_a_name = || Nothing::Failed(Failed::NotAName { name: name.to_owned() });
        let mut asked = Name::from_ascii(name).map_err(|_| not_a_name())?;
        asked.set_fqdn(true);
        let query = Query::query(asked.clone(), record_type);
        if let Some(found) = self.hosts.lookup_static_host(&query) {
            return read(&asked, record_type, found.answers()).map_err(|failure| failure.about(name));
        }
        let look_up = async {
            // They are never closed.
            let _among_strangers = match &self.of_strangers {
                Some(turns) => Some(turns.acquire().await),
                None => None,
            };
            let _turn = self.look_ups.acquire().await;
            timeout(self.look_up, self.library.look_up(query)).await
        };
        let (answer, holds) = match look_up.await {
            Ok(Ok(found)) => {
                let holds = found.valid_until().saturating_duration_since(clock::instant());
                (read(&asked, record_type, found.answers()), Some(holds))
            }
            Ok(Err(error)) => (self.nothing(&asked, record_type, error), None),
            Err(_) => (Err(self.late()), None),
        };
        if matches!(answer, Err(Failure::Bogus)) {
            warn!(name, ?record_type, "{BOGUS}");
        }
        let answer = answer.map_err(|failure| failure.about(name));
        self.remembered.remember((name, record_type, self.library.validation()), &answer, holds);
        answer
    }

    /// What is good for whoever validates is good for all, but for failures.
    fn known(&self, name: &str, record_type: RecordType) -> Option<Result<Answer, Nothing>> {
        let validated = self.remembered.answer((name, record_type, Validation::Validate));
        match self.library.validation() {
            Validation::Validate => validated,
            Validation::Off => validated
                .filter(|known| !matches!(known, Err(Nothing::Failed(_))))
                .or_else(|| self.remembered.answer((name, record_type, Validation::Off))),
        }
    }

    /// Forgets every answer.
    pub(crate) fn forget(&self) {
        self.remembered.forget();
    }

    fn late(&self) -> Failure {
        Failure::NotAnswered(format!("there was no answer within {} seconds", self.look_up.as_secs()))
    }

    /// What an error of the library means.
    fn nothing(&self, asked: &Name, record_type: RecordType, error: NetError) -> Result<Answer, Failure> {
        if matches!(error, NetError::Timeout) {
            return Err(self.late());
        }
        let NetError::Dns(error) = error else { return Err(Failure::NotAnswered(error.to_string())) };
        match error {
            DnsError::NoRecordsFound(nothing) => Err(Failure::of(nothing.response_code)),
            DnsError::ResponseCode(code) => Err(Failure::of(code)),
            // The proof that there is nothing, or nothing but a wildcard, is beyond what must be looked through (RFC 9276
            // §3.2): an answer that nobody vouches for.
            DnsError::Nsec { response, proof: Proof::Insecure, .. } => {
                let unproven = |answer: Answer| Answer {
                    trust: Trust::Insecure,
                    alias: answer.alias.map(|_| Trust::Insecure),
                    ..answer
                };
                let answer = read(asked, record_type, &response.answers).map(unproven);
                answer.map_err(|_| Failure::of(response.response_code))
            }
            DnsError::Nsec { .. } | DnsError::DnssecBogus => Err(Failure::Bogus),
            other => Err(Failure::NotAnswered(other.to_string())),
        }
    }
}

/// [`Nothing`], but for the name that it is about.
enum Failure {
    NoName,
    NoRecord,
    Bogus,
    NotAnswered(String),
}

impl Failure {
    fn of(code: ResponseCode) -> Self {
        if code == ResponseCode::NXDomain {
            Self::NoName
        } else if code == ResponseCode::NoError {
            Self::NoRecord
        } else {
            Self::NotAnswered(format!("the name server says \"{}\"", code.to_str()))
        }
    }

    fn about(self, name: &str) -> Nothing {
        let name = name.to_owned();
        match self {
            Self::NoName => Nothing::NoName,
            Self::NoRecord => Nothing::NoRecord,
            Self::Bogus => Nothing::Failed(Failed::Bogus { name }),
            Self::NotAnswered(why) => Nothing::Failed(Failed::NotAnswered { name, why }),
        }
    }
}

fn name_server(server: &NameServer) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.0.port();
        connection
    });
    NameServerConfig::new(server.0.ip(), true, connections.to_vec())
}

fn anchors(dns: &Dns) -> Result<TrustAnchors, ResolverError> {
    if dns.trust_anchor.as_os_str().is_empty() {
        return Ok(TrustAnchors::default());
    }
    TrustAnchors::from_file(&dns.trust_anchor).map_err(ResolverError::TrustAnchor)
}

fn options(dns: &Dns) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_secs(dns.try_seconds);
    options
}

/// Goes from alias to alias to the records.
fn read(asked: &Name, record_type: RecordType, answers: &[Record]) -> Result<Answer, Failure> {
    let (mut owner, mut alias, mut trust) = (asked.clone(), None, Trust::Secure);
    let target = |record: &Record| {
        let RData::CNAME(target) = &record.data else { return None };
        Some((target.0.clone(), record.proof))
    };
    for _ in 0..ALIASES_MAX {
        let next = answers.iter().filter(|record| record.name == owner).find_map(target);
        let Some((target, proof)) = next else { break };
        trust = trust.and(Trust::of(proof).ok_or(Failure::Bogus)?);
        alias.get_or_insert(trust);
        owner = target;
    }
    let mut records = Vec::new();
    for record in answers.iter().filter(|record| record.name == owner && record.record_type() == record_type)
    {
        trust = trust.and(Trust::of(record.proof).ok_or(Failure::Bogus)?);
        records.push(record.data.clone());
    }
    if records.is_empty() {
        return Err(Failure::NoRecord);
    }
    Ok(Answer { owner: text(&owner), alias, trust, records })
}

/// In lower case, without the final dot.
pub(crate) fn text(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').map_or_else(|| text.clone(), str::to_owned)
}
