//! DMARC (RFC 7489): whether SPF or DKIM prove the domain that the author of a message is at.
//!
//! Which domains belong together is found by walking up the DNS (RFC 9989 §4.10), and not by the list of public suffixes that
//! RFC 7489 §3.2 leaves open: there is no list to be kept fresh, and domain owners can say themselves where theirs begins.
//! `pct`, which that successor has dropped, is followed all the same: who publishes it wants it.

mod record;
#[cfg(test)]
mod tests;

use super::findings::{Dkim, Signature};
use super::source::{Source, is_name, texts};
use super::spf::Spf;
use crate::dns::{Failed, Nothing, RecordType};
use record::{Alignment, Record};

pub use record::Policy;

/// Labels of a longer name with which the walk goes on behind its whole (RFC 9989 §4.10).
const LABELS_MAX: usize = 7;

/// What DMARC says of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dmarc {
    /// Whether the author's domain is proven.
    pub result: DmarcResult,
    /// The author's domain, in A-labels; empty where From does not name one.
    pub domain: String,
    /// What its owner wants to become of mail that is not proven.
    pub policy: Option<Policy>,
    /// Of how many messages in a hundred.
    pub percent: u8,
    /// Why not, where that is not clear.
    pub reason: Option<String>,
}

/// RFC 7489 §11.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmarcResult {
    /// The domain has no policy.
    None,
    /// It is proven.
    Pass,
    /// It is not.
    Fail,
    /// DNS did not say.
    TempError,
    /// From does not name one domain.
    PermError,
}

/// What may prove the domain.
pub(super) struct Proofs<'a> {
    /// What SPF says, of which domain.
    pub(super) spf: Option<(Spf, &'a str)>,
    pub(super) signatures: &'a [Signature],
}

impl Dmarc {
    /// Where From is broken.
    pub(super) fn broken(reason: &str) -> Self {
        Self {
            result: DmarcResult::PermError,
            domain: String::new(),
            policy: None,
            percent: 100,
            reason: Some(reason.to_owned()),
        }
    }

    /// Where nobody could say.
    pub(super) fn unknown(domain: &str, reason: String) -> Self {
        let (result, domain) = (DmarcResult::TempError, domain.to_owned());
        Self { result, domain, policy: None, percent: 100, reason: Some(reason) }
    }
}

/// A record on the way from a domain to the top, with whose it is.
type Walk<'a> = Vec<(&'a str, Record)>;

/// Whether the author's domain is proven, and what its owner wants if not.
pub(super) async fn evaluate<S: Source>(source: &S, author: &str, proofs: &Proofs<'_>) -> Dmarc {
    match checked(source, author, proofs).await {
        Ok(dmarc) => dmarc,
        Err(failed) => Dmarc::unknown(author, failed.to_string()),
    }
}

async fn checked<S: Source>(source: &S, author: &str, proofs: &Proofs<'_>) -> Result<Dmarc, Failed> {
    let none = || Dmarc {
        result: DmarcResult::None,
        domain: author.to_owned(),
        policy: None,
        percent: 100,
        reason: None,
    };
    let walk = walk(source, author).await?;
    let organization = organization(&walk, author).to_owned();
    let own = walk.iter().find(|(name, _)| *name == author);
    let above = || walk.iter().find(|(name, _)| *name == organization).or_else(|| walk.last());
    let Some((owner, record)) = own.or_else(above) else { return Ok(none()) };
    let Some(policy) = policy(source, author, owner, record).await else { return Ok(none()) };
    let result = match proven(source, author, &organization, record, proofs).await {
        Ok(result) => result,
        Err(failed) => {
            return Ok(Dmarc { policy: Some(policy), ..Dmarc::unknown(author, failed.to_string()) });
        }
    };
    let policy = if record.is_test { policy.gentler() } else { policy };
    Ok(Dmarc { result, policy: Some(policy), percent: record.percent, ..none() })
}

/// What is wanted for the author, by a record that may be of a domain above (RFC 7489 §6.3, RFC 9989 §4.10.1).
async fn policy<S: Source>(source: &S, author: &str, owner: &str, record: &Record) -> Option<Policy> {
    let own = record.own()?;
    if author == owner {
        return Some(own);
    }
    let subdomains = record.subdomains.unwrap_or(own);
    let Some(nonexistent) = record.nonexistent.filter(|nonexistent| *nonexistent != subdomains) else {
        return Some(subdomains);
    };
    match source.ask(author, RecordType::A).await {
        Err(Nothing::NoName) => Some(nonexistent),
        Ok(_) | Err(Nothing::NoRecord | Nothing::Failed(_)) => Some(subdomains),
    }
}

/// RFC 7489 §6.6.2: one proof of an aligned domain is enough; what could not be checked leaves it open.
async fn proven<S: Source>(
    source: &S,
    author: &str,
    organization: &str,
    record: &Record,
    proofs: &Proofs<'_>,
) -> Result<DmarcResult, Failed> {
    let spf = proofs.spf.iter().filter_map(|(result, domain)| match result {
        Spf::Pass => Some((true, *domain, record.spf)),
        Spf::TempError => Some((false, *domain, record.spf)),
        Spf::None | Spf::Neutral | Spf::Fail | Spf::SoftFail | Spf::PermError => None,
    });
    let dkim = proofs.signatures.iter().filter_map(|signature| match signature.result {
        Dkim::Pass => Some((true, signature.domain.as_str(), record.dkim)),
        Dkim::TempError => Some((false, signature.domain.as_str(), record.dkim)),
        Dkim::Fail | Dkim::Policy | Dkim::Neutral | Dkim::PermError => None,
    });
    let mut proofs: Vec<_> = spf.chain(dkim).collect();
    // What is certain first.
    proofs.sort_by_key(|(is_certain, ..)| !is_certain);
    for (is_certain, domain, alignment) in proofs {
        if is_aligned(source, domain, author, organization, alignment).await? {
            return Ok(if is_certain { DmarcResult::Pass } else { DmarcResult::TempError });
        }
    }
    Ok(DmarcResult::Fail)
}

/// RFC 7489 §3.1.1, §3.1.2.
async fn is_aligned<S: Source>(
    source: &S,
    domain: &str,
    author: &str,
    organization: &str,
    alignment: Alignment,
) -> Result<bool, Failed> {
    let domain = domain.to_lowercase();
    if domain == author {
        return Ok(true);
    }
    let is_below = |name: &str| {
        name.strip_suffix(organization).is_some_and(|labels| labels.is_empty() || labels.ends_with('.'))
    };
    match alignment {
        Alignment::Strict => Ok(false),
        Alignment::Relaxed if !is_below(&domain) => Ok(false),
        Alignment::Relaxed => Ok(self::organization(&walk(source, &domain).await?, &domain) == organization),
    }
}

/// The records from a domain up to the top (RFC 9989 §4.10), at most eight look-ups.
async fn walk<'a, S: Source>(source: &S, domain: &'a str) -> Result<Walk<'a>, Failed> {
    let mut found = Walk::new();
    let mut name = domain;
    loop {
        if let Some(record) = record(source, name).await? {
            let is_end = record.is_public_suffix.is_some();
            found.push((name, record));
            if is_end {
                return Ok(found);
            }
        }
        let labels = name.split('.').count();
        let skipped = if labels > LABELS_MAX { labels - LABELS_MAX } else { 1 };
        match name.splitn(skipped + 1, '.').nth(skipped) {
            Some(above) => name = above,
            None => return Ok(found),
        }
    }
}

/// The one record of a name (RFC 7489 §6.6.3: of several, none counts).
async fn record<S: Source>(source: &S, name: &str) -> Result<Option<Record>, Failed> {
    let place = format!("_dmarc.{name}");
    if !is_name(&place) {
        return Ok(None);
    }
    let records = match source.ask(&place, RecordType::TXT).await {
        Ok(records) => texts(&records),
        Err(Nothing::NoName | Nothing::NoRecord | Nothing::Failed(Failed::NotAName { .. })) => {
            return Ok(None);
        }
        Err(Nothing::Failed(failed)) => return Err(failed),
    };
    let mut records = records.iter().filter_map(|text| Record::parse(text));
    Ok(records.next().filter(|_| records.next().is_none()))
}

/// The domain that an owner has registered, by the records above and at `start` (RFC 9989 §4.10.2).
fn organization<'a>(walk: &Walk<'a>, start: &'a str) -> &'a str {
    for (name, record) in walk {
        match record.is_public_suffix {
            Some(false) => return name,
            // The label below it is theirs.
            Some(true) if *name != start => {
                let above = start.strip_suffix(name).and_then(|labels| labels.strip_suffix('.'));
                let label = above.map_or(0, |labels| labels.rfind('.').map_or(0, |at| at + 1));
                return start.get(label..).unwrap_or(start);
            }
            Some(true) | None => {}
        }
    }
    walk.last().map_or(start, |(name, _)| name)
}
