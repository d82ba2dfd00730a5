//! Reports as a whole: what is collected, and when and to whom it is told.

use std::sync::Arc;
use std::time::Duration;

use mailstore::{Store, Unavailable};
use mailwire::address::{AddressError, Domain, Mailbox};
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::daemon::config::Server;
use mailwire::net::{KnownRoots, Shutdown};
use thiserror::Error;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::config::ReportsConfig;
use super::courier::{Courier, SendError, Sent};
use super::day::Day;
use super::head::{Head, Reporter};
use super::tally::{Collected, Kind, Tally, collected, forget};
use super::tls;
use crate::relay::RelayTables;
use crate::relay::names::Names;

/// How long what was counted waits for more before the store hears of it.
const FLUSH: Duration = Duration::from_secs(2);
/// When those are tried again that could not be sent.
const RETRY_SECONDS: u64 = 60 * 60;
/// Reports that are made and sent at one time.
const AT_ONCE_MAX: usize = 8;

/// Why there are no reports.
#[derive(Debug, Error)]
pub enum ReportsError {
    /// The server's own name or domain, or an address of the table, is wrong.
    #[error("[reports] or [server] has an address that is none")]
    Address(#[from] AddressError),
    /// Nobody would bring them.
    #[error("[reports] needs a relay that sends them: say `enabled = true` in [relay], or turn reports off")]
    NoRelay,
}

/// Makes and sends reports.
pub struct Reports {
    config: ReportsConfig,
    reporter: Reporter,
    courier: Courier,
}

impl Reports {
    /// By configuration.
    ///
    /// # Errors
    /// See [`ReportsError`].
    pub fn new(
        tables: &RelayTables,
        server: &Server,
        names: Names,
        store: &Store,
    ) -> Result<Self, ReportsError> {
        let config = &tables.reports;
        if !tables.relay.enabled {
            return Err(ReportsError::NoRelay);
        }
        let hostname = Domain::parse(&server.hostname)?;
        let domains = server.domains.iter().map(|name| Domain::parse(name)).collect::<Result<Vec<_>, _>>()?;
        let primary = domains.first().unwrap_or(&hostname).in_a_labels();
        let or_postmaster =
            |text: &str| if text.is_empty() { format!("postmaster@{primary}") } else { text.to_owned() };
        let from = Mailbox::parse(&or_postmaster(&config.from))?;
        let contact = Mailbox::parse(&or_postmaster(&config.contact))?.to_string();
        let submitter = hostname.in_a_labels().to_string().to_lowercase();
        let organization =
            if config.organization.is_empty() { submitter.clone() } else { config.organization.clone() };
        let courier = Courier {
            store: store.clone(),
            names,
            from,
            domains,
            // A system that trusts nobody can do without POST.
            roots: KnownRoots::read(&tables.relay.roots()).ok(),
            post_seconds: config.post_seconds,
        };
        let reporter = Reporter { organization, contact, submitter };
        Ok(Self { config: config.clone(), reporter, courier })
    }

    /// When the reports about a day are due.
    #[must_use]
    pub fn due(&self, day: Day) -> u64 {
        day.due(&self.reporter.submitter, self.config.delay_seconds_max)
    }

    /// A report, as it would be sent at `now`.
    #[must_use]
    pub fn text(&self, collected: &Collected, now: u64) -> String {
        let head = Head::new(&self.reporter, collected, now);
        match collected.kind {
            Kind::Tls => tls::report(&head, &collected.rows()),
        }
    }

    /// Sends one report, and forgets what it tells.
    ///
    /// # Errors
    /// Where it could not be sent; it can be tried again then.
    pub async fn send(&self, collected: &Collected, now: u64) -> Result<Sent, SendError> {
        let head = Head::new(&self.reporter, collected, now);
        let names = &self.courier.names;
        let destinations = match collected.kind {
            Kind::Tls => tls::destinations(names, &collected.domain).await?,
        };
        let sent = if destinations.is_empty() {
            Sent::NotWanted
        } else {
            self.courier.bring(&head, &self.text(collected, now), &destinations, now).await?
        };
        forget(&self.courier.store, collected).await.map_err(SendError::Store)?;
        Ok(sent)
    }

    /// Counts, and sends what is due, until the drain has begun.
    pub(crate) async fn run(self: Box<Self>, tally: Tally, shutdown: Shutdown) {
        let this: Arc<Self> = Arc::from(self);
        let mut due = clock::unix_seconds();
        loop {
            let pause = Duration::from_secs(due.saturating_sub(clock::unix_seconds()));
            tokio::select! {
                biased;
                () = shutdown.begun() => break,
                () = tally.begun() => {
                    tokio::select! {
                        () = shutdown.begun() => {}
                        () = tokio::time::sleep(FLUSH) => {}
                    }
                    tally.flush(clock::unix_seconds()).await;
                }
                () = tokio::time::sleep(pause) => {
                    let now = clock::unix_seconds();
                    let left = tokio::select! {
                        () = shutdown.begun() => break,
                        left = Arc::clone(&this).send_due(now) => left,
                    };
                    due = this.next_due(clock::unix_seconds(), left);
                }
            }
        }
        tally.flush(clock::unix_seconds()).await;
    }

    fn next_due(&self, now: u64, left: usize) -> u64 {
        let next = Day::next_due(now, &self.reporter.submitter, self.config.delay_seconds_max);
        if left == 0 { next } else { next.min(now.saturating_add(RETRY_SECONDS)) }
    }

    /// Sends all that is due; says how many reports could not be sent, and are to be tried again.
    pub(super) async fn send_due(self: Arc<Self>, now: u64) -> usize {
        let mut left = 0_usize;
        for kind in Kind::ALL.into_iter().filter(|kind| self.config.collects(*kind)) {
            let due = match self.all_due(kind, now).await {
                Ok(due) => due,
                Err(error) => {
                    warn!(reason = chain(&error), "what was counted for reports cannot be read now");
                    left = left.saturating_add(1);
                    continue;
                }
            };
            let mut due = due.into_iter();
            let mut sending = JoinSet::new();
            loop {
                while sending.len() < AT_ONCE_MAX
                    && let Some(collected) = due.next()
                {
                    let this = Arc::clone(&self);
                    sending.spawn(async move { this.send_or_tell(&collected, now).await });
                }
                match sending.join_next().await {
                    None => break,
                    Some(Ok(true)) => {}
                    Some(Ok(false) | Err(_)) => left = left.saturating_add(1),
                }
            }
        }
        left
    }

    /// Those about days that are over, the largest first.
    async fn all_due(&self, kind: Kind, now: u64) -> Result<Vec<Collected>, Unavailable> {
        let mut due = collected(&self.courier.store, kind, now).await?;
        due.retain(|collected| self.due(collected.day) <= now);
        due.sort_by_key(|collected| std::cmp::Reverse(collected.count()));
        let left_out = due.len().saturating_sub(self.config.reports_max);
        if left_out > 0 {
            warn!(
                kind = kind.word(),
                left_out, "there are more reports than `reports_max` in [reports] lets be sent"
            );
            for collected in due.split_off(self.config.reports_max) {
                forget(&self.courier.store, &collected).await?;
            }
        }
        Ok(due)
    }

    /// False where it is to be tried again.
    async fn send_or_tell(&self, collected: &Collected, now: u64) -> bool {
        let (kind, domain) = (collected.kind.word(), &collected.domain);
        match self.send(collected, now).await {
            Ok(Sent::To(_)) => true,
            Ok(Sent::NotWanted) => {
                debug!(kind, domain, "the domain does not ask for reports");
                true
            }
            Err(error) => {
                warn!(kind, domain, reason = chain(&error), "a report could not be sent, and is tried again");
                false
            }
        }
    }
}
