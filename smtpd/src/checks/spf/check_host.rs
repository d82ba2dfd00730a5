//! `check_host()` (RFC 7208 §4): a domain's record, followed term by term until one matches.

use std::net::IpAddr;

use mailwire::net::Network;

use super::macros::{Facts, MacroString, Purpose};
use super::record::{Mechanism, Prefixes, Record};
use super::{Asked, Outcome, Spf};
use crate::checks::source::{Source, addresses, is_name, names_of, texts};
use crate::dns::{Failed, Nothing, RData, RecordType, text};

/// Terms that need DNS (RFC 7208 §4.6.4).
const TERMS_MAX: u32 = 10;
/// Look-ups that find nothing (RFC 7208 §4.6.4).
const VOID_LOOK_UPS_MAX: u32 = 2;
/// Exchangers of one `mx` whose addresses are looked up (RFC 7208 §4.6.4).
const EXCHANGERS_MAX: usize = 10;
/// Octets of an explanation that is handed on.
const EXPLANATION_OCTETS_MAX: usize = 400;
/// `%{p}` where nothing could be validated (RFC 7208 §7.3).
const UNKNOWN: &str = "unknown";

/// Why there is no result.
enum Stop {
    Temporary(String),
    Permanent(&'static str),
}

/// A result, and where its explanation is found.
struct Found {
    result: Spf,
    explanation: Option<(MacroString, String)>,
}

impl From<Spf> for Found {
    fn from(result: Spf) -> Self {
        Self { result, explanation: None }
    }
}

/// One evaluation, with what it may still ask.
struct Check<'a, S> {
    source: &'a S,
    asked: &'a Asked<'a>,
    terms: u32,
    voids: u32,
    /// Names of the client that lead back to it, once they were needed.
    validated: Option<Vec<String>>,
}

/// Whether the domain lets the client send its mail.
pub(crate) async fn check_host<S: Source>(source: &S, asked: &Asked<'_>) -> Outcome {
    // RFC 7208 §4.3: what could have no record.
    if !is_name(asked.domain) || !asked.domain.contains('.') {
        return Outcome { result: Spf::None, problem: None, explanation: None };
    }
    let mut check = Check { source, asked, terms: 0, voids: 0, validated: None };
    match check.evaluate(asked.domain).await {
        Ok(Found { result: Spf::Fail, explanation }) => {
            let explanation = match explanation {
                Some((name, domain)) => check.explanation(&name, &domain).await,
                None => None,
            };
            Outcome { result: Spf::Fail, problem: None, explanation }
        }
        Ok(Found { result, .. }) => Outcome { result, problem: None, explanation: None },
        Err(Stop::Temporary(why)) => {
            Outcome { result: Spf::TempError, problem: Some(why), explanation: None }
        }
        Err(Stop::Permanent(why)) => {
            Outcome { result: Spf::PermError, problem: Some(why.to_owned()), explanation: None }
        }
    }
}

impl<S: Source> Check<'_, S> {
    async fn evaluate(&mut self, domain: &str) -> Result<Found, Stop> {
        let Some(record) = self.record(domain).await? else { return Ok(Spf::None.into()) };
        for directive in &record.directives {
            if self.matches(&directive.mechanism, domain).await? {
                let explanation = record.explanation.map(|name| (name, domain.to_owned()));
                return Ok(Found { result: directive.result, explanation });
            }
        }
        let Some(redirect) = record.redirect else { return Ok(Spf::Neutral.into()) };
        // RFC 7208 §6.1.
        self.count_term()?;
        let target = self.expand(&redirect, domain).await?;
        match Box::pin(self.evaluate(&target)).await? {
            Found { result: Spf::None, .. } => Err(Stop::Permanent("redirect leads to no record")),
            found => Ok(found),
        }
    }

    /// RFC 7208 §4.4, §4.5.
    async fn record(&mut self, domain: &str) -> Result<Option<Record>, Stop> {
        if !is_name(domain) {
            return Ok(None);
        }
        let records = match self.source.ask(domain, RecordType::TXT).await {
            Ok(records) => texts(&records),
            Err(Nothing::NoName | Nothing::NoRecord | Nothing::Failed(Failed::NotAName { .. })) => {
                return Ok(None);
            }
            Err(Nothing::Failed(failed)) => return Err(Stop::Temporary(failed.to_string())),
        };
        let mut records = records.iter().filter(|text| Record::is_one(text));
        match (records.next(), records.next()) {
            (None, _) => Ok(None),
            (Some(text), None) => match Record::parse(text) {
                Some(record) => Ok(Some(record)),
                None => Err(Stop::Permanent("the record is not written right")),
            },
            (Some(_), Some(_)) => Err(Stop::Permanent("there are several records")),
        }
    }

    /// RFC 7208 §5.
    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Stop> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip(network, bits) => Ok(is_near(self.asked.ip, *network, *bits)),
            Mechanism::Include(name) => {
                self.count_term()?;
                let target = self.expand(name, domain).await?;
                match Box::pin(self.evaluate(&target)).await?.result {
                    Spf::Pass => Ok(true),
                    Spf::Fail | Spf::SoftFail | Spf::Neutral => Ok(false),
                    Spf::None | Spf::TempError | Spf::PermError => {
                        Err(Stop::Permanent("include leads to no record"))
                    }
                }
            }
            Mechanism::A(name, prefixes) => {
                self.count_term()?;
                let target = self.target(name.as_ref(), domain).await?;
                self.has_address(&target, *prefixes).await
            }
            Mechanism::Mx(name, prefixes) => {
                self.count_term()?;
                let target = self.target(name.as_ref(), domain).await?;
                self.has_exchanger(&target, *prefixes).await
            }
            Mechanism::Ptr(name) => {
                self.count_term()?;
                let target = self.target(name.as_ref(), domain).await?.to_ascii_lowercase();
                Ok(self.validated().await.iter().any(|name| is_at_or_below(name, &target)))
            }
            Mechanism::Exists(name) => {
                self.count_term()?;
                let target = self.expand(name, domain).await?;
                // RFC 7208 §5.7: an A record, for IPv6 clients too.
                Ok(!self.ask(&target, RecordType::A).await?.is_empty())
            }
        }
    }

    fn count_term(&mut self) -> Result<(), Stop> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(Stop::Permanent("it takes too many look-ups"));
        }
        Ok(())
    }

    async fn target(&mut self, name: Option<&MacroString>, domain: &str) -> Result<String, Stop> {
        match name {
            Some(name) => self.expand(name, domain).await,
            None => Ok(domain.to_owned()),
        }
    }

    async fn expand(&mut self, name: &MacroString, domain: &str) -> Result<String, Stop> {
        let validated = self.validated_name(name, domain).await;
        Ok(name.expand_name(&Facts { asked: self.asked, domain, validated: &validated }))
    }

    /// `%{p}`, where it is needed: of several names rather the domain itself, or one below it (RFC 7208 §7.3).
    async fn validated_name(&mut self, needed_by: &MacroString, domain: &str) -> String {
        if !needed_by.names_validated() {
            return UNKNOWN.to_owned();
        }
        let names = self.validated().await;
        let is_near = |name: &&String| is_at_or_below(name, &domain.to_ascii_lowercase());
        let name = names.iter().find(is_near).or_else(|| names.first());
        name.cloned().unwrap_or_else(|| UNKNOWN.to_owned())
    }

    /// Names of the client that lead back to it (RFC 7208 §5.5). Where DNS fails, there are none.
    async fn validated(&mut self) -> Vec<String> {
        if let Some(names) = &self.validated {
            return names.clone();
        }
        let names =
            names_of(self.source, self.asked.ip).await.map(|names| names.confirmed).unwrap_or_default();
        self.validated.insert(names).clone()
    }

    async fn has_address(&mut self, host: &str, prefixes: Prefixes) -> Result<bool, Stop> {
        let (record_type, bits) = match self.asked.ip {
            IpAddr::V4(_) => (RecordType::A, prefixes.four),
            IpAddr::V6(_) => (RecordType::AAAA, prefixes.six),
        };
        let records = self.ask(host, record_type).await?;
        Ok(addresses(&records).any(|address| is_near(self.asked.ip, address, bits)))
    }

    /// RFC 7208 §5.4. There are no implicit exchangers here.
    async fn has_exchanger(&mut self, domain: &str, prefixes: Prefixes) -> Result<bool, Stop> {
        let records = self.ask(domain, RecordType::MX).await?;
        let exchangers = records.iter().filter_map(|record| {
            let RData::MX(mx) = record else { return None };
            Some(text(&mx.exchange))
        });
        for (count, host) in exchangers.enumerate() {
            if count == EXCHANGERS_MAX {
                return Err(Stop::Permanent("mx has too many hosts"));
            }
            if self.has_address(&host, prefixes).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Records, or none; not often none.
    async fn ask(&mut self, name: &str, record_type: RecordType) -> Result<Vec<RData>, Stop> {
        // RFC 7208 §4.8 leaves it to us what a name that cannot be is taken for: one that does not exist.
        let answer =
            if is_name(name) { self.source.ask(name, record_type).await } else { Err(Nothing::NoName) };
        match answer {
            Ok(records) => Ok(records),
            Err(Nothing::Failed(failed @ (Failed::NotAnswered { .. } | Failed::Bogus { .. }))) => {
                Err(Stop::Temporary(failed.to_string()))
            }
            Err(Nothing::NoName | Nothing::NoRecord | Nothing::Failed(Failed::NotAName { .. })) => {
                self.voids += 1;
                if self.voids > VOID_LOOK_UPS_MAX {
                    return Err(Stop::Permanent("too many of its look-ups find nothing"));
                }
                Ok(Vec::new())
            }
        }
    }

    /// RFC 7208 §6.2: where anything is wrong with it, there is none.
    async fn explanation(&mut self, name: &MacroString, domain: &str) -> Option<String> {
        let target = self.expand(name, domain).await.ok().filter(|target| is_name(target))?;
        let records = texts(&self.source.ask(&target, RecordType::TXT).await.ok()?);
        let [text] = records.as_slice() else { return None };
        let text = MacroString::parse(std::str::from_utf8(text).ok()?, Purpose::Explanation)?;
        let validated = self.validated_name(&text, domain).await;
        let explained = text.expand(&Facts { asked: self.asked, domain, validated: &validated });
        let is_printable = explained.bytes().all(|octet| (b' '..=b'~').contains(&octet));
        (is_printable && explained.len() <= EXPLANATION_OCTETS_MAX).then_some(explained)
    }
}

/// True where both are of one kind, and their first `bits` are equal.
fn is_near(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    one.is_ipv4() == other.is_ipv4() && Network::around(one, bits) == Network::around(other, bits)
}

/// Both in lower case.
fn is_at_or_below(name: &str, domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    name.strip_suffix(domain).is_some_and(|labels| labels.is_empty() || labels.ends_with('.'))
}
