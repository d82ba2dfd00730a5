//! Asking the lists: all at once, for no longer than all of it may take.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mailwire::clock;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span, warn};

use super::finding::{name_of_address, reason};
use super::{About, Dnsbl, Finding, Heard, ListConfig};
use crate::dns::{Nothing, RData, RecordType, Resolver};

/// Seconds between two complaints about one list.
const COMPLAINT_SECONDS: u64 = 3600;
/// Most characters of a name in DNS (RFC 1035 §2.3.4).
const NAME_CHARACTERS_MAX: usize = 253;

/// The lists of the configuration, and who is asked about them.
pub(crate) struct Lists {
    dnsbl: Dnsbl,
    resolver: Resolver,
    /// When the administrator was last told about each of them, seconds since 1970.
    complaints: Vec<AtomicU64>,
}

/// Questions that are under way; dropping them gives them up.
pub(crate) type Asked = JoinSet<Finding>;

impl Lists {
    pub(crate) fn new(dnsbl: Dnsbl, resolver: Resolver) -> Self {
        let complaints = dnsbl.lists.iter().map(|_| AtomicU64::new(0)).collect();
        Self { dnsbl, resolver, complaints }
    }

    pub(crate) const fn config(&self) -> &Dnsbl {
        &self.dnsbl
    }

    /// Asks about an address.
    pub(crate) fn ask_about_address(self: &Arc<Self>, address: IpAddr) -> Asked {
        let subject = address.to_canonical().to_string();
        self.ask(About::Address, [subject], |_, zone| Some(name_of_address(address, zone)))
    }

    /// Asks about domains, which are in A-labels.
    pub(crate) fn ask_about_domains(self: &Arc<Self>, domains: impl IntoIterator<Item = String>) -> Asked {
        self.ask(About::Domain, domains, |domain, zone| {
            Some(format!("{domain}.{zone}")).filter(|name| name.len() <= NAME_CHARACTERS_MAX)
        })
    }

    fn ask(
        self: &Arc<Self>,
        about: About,
        subjects: impl IntoIterator<Item = String>,
        name: impl Fn(&str, &str) -> Option<String>,
    ) -> Asked {
        let mut asked = Asked::new();
        let until = Instant::from_std(clock::instant() + Duration::from_secs(self.dnsbl.seconds));
        for subject in subjects {
            for (index, list) in self.dnsbl.lists.iter().enumerate().filter(|(_, list)| list.about == about) {
                let Some(name) = name(&subject, &list.zone) else { continue };
                let (this, subject) = (Arc::clone(self), subject.clone());
                let look = async move {
                    let heard = this.look_up(index, &name, until).await;
                    Finding { list: index, subject, heard }
                };
                asked.spawn(look.instrument(Span::current()));
            }
        }
        asked
    }

    async fn look_up(&self, index: usize, name: &str, until: Instant) -> Heard {
        let Some(list) = self.dnsbl.lists.get(index) else { return Heard::Silent };
        let heard = match timeout_at(until, self.addresses(name)).await {
            Ok(Some(addresses)) => Heard::of(&addresses, &list.answers),
            Ok(None) | Err(_) => Heard::Silent,
        };
        match heard {
            Heard::Listed { answers, .. } => {
                // Its words are worth no more than the listing: where they are late, it stands without them.
                let words = timeout_at(until, self.resolver.ask(name, RecordType::TXT)).await;
                let words =
                    words.ok().and_then(Result::ok).and_then(|answer| answer.texts().into_iter().next());
                Heard::Listed { answers, reason: words.and_then(|words| reason(&words)) }
            }
            Heard::Unusable(answer) => {
                self.complain(index, list, &format!("its answer is {answer}"));
                Heard::Unusable(answer)
            }
            Heard::Silent => {
                self.complain(index, list, "it has not answered in time, or DNS failed");
                Heard::Silent
            }
            Heard::NotListed => Heard::NotListed,
        }
    }

    /// The addresses of a name; `None` where DNS does not say.
    async fn addresses(&self, name: &str) -> Option<Vec<Ipv4Addr>> {
        let address = |record: &RData| {
            let RData::A(address) = record else { return None };
            Some(address.0)
        };
        match self.resolver.ask(name, RecordType::A).await {
            Ok(answer) => Some(answer.records.iter().filter_map(address).collect()),
            Err(Nothing::NoName | Nothing::NoRecord) => Some(Vec::new()),
            Err(Nothing::Failed(_)) => None,
        }
    }

    /// Tells the administrator of a list that is of no use, once in a while.
    fn complain(&self, index: usize, list: &ListConfig, problem: &str) {
        let Some(told) = self.complaints.get(index) else { return };
        let (now, before) = (clock::unix_seconds(), told.load(Ordering::Relaxed));
        let is_time = before == 0 || now.saturating_sub(before) >= COMPLAINT_SECONDS;
        if is_time && told.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            warn!(
                list = list.shown(),
                problem,
                "a list in [dnsbl] is of no use at the moment, and counts as if it had nothing listed"
            );
        }
    }
}
