//! Public keys of signatures (RFC 6376 §3.6): looked up beforehand, by our own resolver, so that the library asks nobody.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use mail_auth::{DnsError, Error, ResolverCache, Txt};
use tokio::task::JoinSet;
use tokio::time::{Instant as Deadline, timeout_at};

use super::checker::LATE;
use super::source::{Source, is_name, texts};
use super::tags::tags;
use crate::dns::{Failed, Nothing, RecordType};

/// Fewest bits of an RSA key that counts (RFC 8301 §3.2).
const RSA_BITS_MIN: usize = 1024;

/// The TXT records of names, as they are known in DNS.
pub(super) type Records = HashMap<String, Result<Vec<Vec<u8>>, Nothing>>;

/// What keys say, by their names with the final dot. All that was not looked up does not exist.
#[derive(Default)]
pub(super) struct Keys {
    known: HashMap<Box<str>, Txt>,
    /// Names of keys that must not be used, with the reason.
    unfit: HashMap<String, &'static str>,
}

/// Looks all of these up at the same time.
pub(super) async fn look_up<S>(source: &S, names: BTreeSet<String>, deadline: Deadline) -> Records
where
    S: Source + Clone + Send + 'static,
{
    let mut asked = JoinSet::new();
    for name in names {
        let source = source.clone();
        asked.spawn(async move {
            if !is_name(&name) {
                return (name, Err(Nothing::NoName));
            }
            let records = match timeout_at(deadline, source.ask(&name, RecordType::TXT)).await {
                Ok(answer) => answer.map(|records| texts(&records)),
                Err(_) => {
                    Err(Nothing::Failed(Failed::NotAnswered { name: name.clone(), why: LATE.to_owned() }))
                }
            };
            (name, records)
        });
    }
    let mut records = Records::new();
    while let Some(answer) = asked.join_next().await {
        records.extend(answer.ok());
    }
    records
}

impl Keys {
    /// Reads them. It takes time that the network's threads do not have.
    pub(super) fn read(records: &Records) -> Self {
        let mut keys = Self::default();
        for (name, answer) in records {
            let name = format!("{name}.");
            let (found, unfit) = match answer {
                Ok(texts) => key(texts),
                Err(Nothing::NoName | Nothing::NoRecord) => {
                    (Txt::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain))), None)
                }
                Err(Nothing::Failed(failed)) => {
                    (Txt::Error(Error::Dns(DnsError::Resolver(failed.to_string()))), None)
                }
            };
            keys.unfit.extend(unfit.map(|reason| (name.clone(), reason)));
            keys.known.insert(name.into(), found);
        }
        keys
    }

    /// Why the key of this name must not be used, if so.
    pub(super) fn unfit(&self, name: &str) -> Option<&'static str> {
        self.unfit.get(name).copied()
    }
}

/// The first of a name's records that is a key (RFC 6376 §3.6.2.2 leaves several open), and why it must not be used.
fn key(texts: &[Vec<u8>]) -> (Txt, Option<&'static str>) {
    let mut problem = Error::Dns(DnsError::InvalidRecordType);
    for text in texts {
        match DomainKey::parse(text) {
            Ok(key) => {
                let unfit = unfit(text, key.p.public_key_bits());
                return (key.into(), unfit);
            }
            Err(error) => problem = error,
        }
    }
    (Txt::Error(problem), None)
}

/// What the library does not look at (RFC 6376 §3.6.1: `h=` and `s=`; RFC 8301 §3.2).
fn unfit(text: &[u8], bits: usize) -> Option<&'static str> {
    let text = String::from_utf8_lossy(text);
    let tags = tags(&text);
    let names = |tag: &str, wanted: &[&str]| {
        let Some(value) = tags.iter().find(|(name, _)| *name == tag).map(|(_, value)| value) else {
            return true;
        };
        value.split(':').map(str::trim).any(|value| wanted.contains(&value))
    };
    if bits < RSA_BITS_MIN {
        Some("the key is shorter than 1024 bits")
    } else if !names("h", &["sha256"]) {
        Some("the key is not for SHA-256")
    } else if !names("s", &["*", "email"]) {
        Some("the key is not for mail")
    } else {
        None
    }
}

impl ResolverCache<Box<str>, Txt> for Keys {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let nothing = || Txt::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain)));
        Some(self.known.get(name).cloned().unwrap_or_else(nothing))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}
