//! The queue by another process: what is asked of the host, and how the host answers.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use mailwire::address::Domain;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::frame::{self, Octets};
use super::member::{Member, Way, ask, foreign};
use super::objects::lost;
use super::request::{QueueEntryText, Request, reverse_path, reverse_path_text};
use super::server;
use crate::embedded::{Core, HolderId};
use crate::{
    DomainCounts, DuePlace, MessageId, QUEUE_CHANGES_MAX, Queue, QueueCounts, QueueEntry, QueueError,
    QueueFilter, QueueId, QueueOutcome, QueueState, Unavailable,
};

/// Entries in one answer: with all that may be asked for each they take less than a frame.
const PAGE_ENTRIES: usize = 500;
/// Domains in one answer.
const PAGE_DOMAINS: usize = 5000;

#[derive(Serialize, Deserialize)]
pub(crate) enum QueueRequest {
    Due {
        now: u64,
        after: Option<DuePlace>,
        entries_max: u64,
    },
    NextDue,
    /// Answered when there is something to say.
    Changed {
        since: u64,
    },
    /// What is leased ends with this connection.
    Lease {
        ids: Vec<QueueId>,
        until: u64,
    },
    Read {
        id: QueueId,
        offset: u64,
        octets_max: u64,
    },
    Settle {
        outcomes: Vec<QueueOutcome>,
    },
    Hold {
        ids: Vec<QueueId>,
        state: QueueState,
    },
    RetryAt {
        ids: Vec<QueueId>,
        due: u64,
    },
    List {
        filter: FilterText,
        after: Option<QueueId>,
        entries_max: u64,
    },
    Show {
        id: QueueId,
    },
    Domains {
        after: Option<String>,
        domains_max: u64,
    },
}

/// A [`QueueFilter`].
#[derive(Serialize, Deserialize)]
pub(crate) struct FilterText {
    domain: Option<String>,
    message: Option<MessageId>,
    recipient: Option<String>,
    reverse_path: Option<String>,
    state: Option<QueueState>,
}

impl From<&QueueFilter> for FilterText {
    fn from(filter: &QueueFilter) -> Self {
        Self {
            domain: filter.domain.as_ref().map(ToString::to_string),
            message: filter.message,
            recipient: filter.recipient.as_ref().map(ToString::to_string),
            reverse_path: filter.reverse_path.as_ref().map(reverse_path_text),
            state: filter.state,
        }
    }
}

impl FilterText {
    fn filter(self) -> io::Result<QueueFilter> {
        let domain = |text: String| Domain::parse(&text).map_err(|_| server::foreign());
        Ok(QueueFilter {
            domain: self.domain.map(domain).transpose()?,
            message: self.message,
            recipient: self.recipient.as_deref().map(server::address).transpose()?,
            reverse_path: self
                .reverse_path
                .map(|text| reverse_path(&text).ok_or_else(server::foreign))
                .transpose()?,
            state: self.state,
        })
    }
}

impl From<Unavailable> for QueueError {
    fn from(Unavailable(why): Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

fn entries(answer: Result<Vec<QueueEntryText>, QueueError>) -> Result<Vec<QueueEntry>, QueueError> {
    let entries: Option<_> = answer?.into_iter().map(QueueEntryText::entry).collect();
    Ok(entries.ok_or_else(foreign)?)
}

#[async_trait]
impl Queue for Member {
    async fn due(
        &self,
        now: u64,
        after: Option<DuePlace>,
        entries_max: usize,
    ) -> Result<Vec<QueueEntry>, QueueError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.due(now, after, entries_max).await,
            Way::Host(connection) => connection,
        };
        let request = QueueRequest::Due { now, after, entries_max: entries_max as u64 };
        entries(ask(connection, Request::Queue(request)).await?)
    }

    async fn next_due(&self) -> Result<Option<u64>, QueueError> {
        match self.way().await? {
            Way::Here(core) => core.next_due().await,
            Way::Host(connection) => ask(connection, Request::Queue(QueueRequest::NextDue)).await?,
        }
    }

    async fn changed(&self, since: u64) -> Result<u64, QueueError> {
        match self.way().await? {
            Way::Here(core) => core.changed(since).await,
            Way::Host(connection) => ask(connection, Request::Queue(QueueRequest::Changed { since })).await?,
        }
    }

    async fn lease(&self, ids: &[QueueId], until: u64) -> Result<Vec<QueueId>, QueueError> {
        // All on one connection: its end gives back what this process has.
        let mut leasing = self.leasing().lock().await;
        let request = Request::Queue(QueueRequest::Lease { ids: ids.to_vec(), until });
        if let Some(connection) = leasing.as_mut() {
            if let Ok(answer) = connection.ask(&request).await {
                return answer;
            }
            // The host has gone, and with it all that was leased.
            *leasing = None;
        }
        match self.way().await? {
            Way::Here(core) => core.lease(ids, until).await,
            Way::Host(mut connection) => {
                let answer = connection.ask(&request).await;
                let answer: Result<_, QueueError> = answer.map_err(|error| Unavailable(lost(&error)))?;
                *leasing = Some(connection);
                answer
            }
        }
    }

    async fn read(&self, id: QueueId, offset: u64, octets_max: usize) -> Result<Vec<u8>, QueueError> {
        let connection = match self.way().await? {
            Way::Here(core) => return Queue::read(&core, id, offset, octets_max).await,
            Way::Host(connection) => connection,
        };
        let request = QueueRequest::Read { id, offset, octets_max: octets_max as u64 };
        let answer: Result<Octets, QueueError> = ask(connection, Request::Queue(request)).await?;
        answer.map(|octets| octets.0)
    }

    async fn settle(&self, outcomes: Vec<QueueOutcome>) -> Result<Vec<QueueId>, QueueError> {
        match self.way().await? {
            Way::Here(core) => core.settle(outcomes).await,
            Way::Host(connection) => {
                if outcomes.len() > QUEUE_CHANGES_MAX {
                    return Err(QueueError::TooMany);
                }
                let outcomes = outcomes.into_iter().map(QueueOutcome::shortened).collect();
                ask(connection, Request::Queue(QueueRequest::Settle { outcomes })).await?
            }
        }
    }

    async fn hold(&self, ids: &[QueueId], state: QueueState) -> Result<Vec<QueueId>, QueueError> {
        match self.way().await? {
            Way::Here(core) => core.hold(ids, state).await,
            Way::Host(connection) => {
                ask(connection, Request::Queue(QueueRequest::Hold { ids: ids.to_vec(), state })).await?
            }
        }
    }

    async fn retry_at(&self, ids: &[QueueId], due: u64) -> Result<Vec<QueueId>, QueueError> {
        match self.way().await? {
            Way::Here(core) => core.retry_at(ids, due).await,
            Way::Host(connection) => {
                ask(connection, Request::Queue(QueueRequest::RetryAt { ids: ids.to_vec(), due })).await?
            }
        }
    }

    async fn list(
        &self,
        filter: &QueueFilter,
        after: Option<QueueId>,
        entries_max: usize,
    ) -> Result<Vec<QueueEntry>, QueueError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.list(filter, after, entries_max).await,
            Way::Host(connection) => connection,
        };
        let request = QueueRequest::List { filter: filter.into(), after, entries_max: entries_max as u64 };
        entries(ask(connection, Request::Queue(request)).await?)
    }

    async fn show(&self, id: QueueId) -> Result<QueueEntry, QueueError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.show(id).await,
            Way::Host(connection) => connection,
        };
        let answer: Result<QueueEntryText, QueueError> =
            ask(connection, Request::Queue(QueueRequest::Show { id })).await?;
        Ok(answer?.entry().ok_or_else(foreign)?)
    }

    async fn domains(
        &self,
        after: Option<&Domain>,
        domains_max: usize,
    ) -> Result<Vec<DomainCounts>, QueueError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.domains(after, domains_max).await,
            Way::Host(connection) => connection,
        };
        let after = after.map(ToString::to_string);
        let request = QueueRequest::Domains { after, domains_max: domains_max as u64 };
        let answer: Result<Vec<(String, QueueCounts)>, QueueError> =
            ask(connection, Request::Queue(request)).await?;
        let counted = |(domain, counts): (String, _)| {
            Some(DomainCounts { domain: Domain::parse(&domain).ok()?, counts })
        };
        let domains: Option<_> = answer?.into_iter().map(counted).collect();
        Ok(domains.ok_or_else(foreign)?)
    }
}

/// What a sharer has leased on its connection: it ends with that.
pub(super) struct Leasing {
    core: Arc<Core>,
    holder: HolderId,
}

impl Drop for Leasing {
    fn drop(&mut self) {
        self.core.end_queue_leases_of(self.holder);
    }
}

impl Leasing {
    fn begin(core: &Arc<Core>) -> Self {
        Self { core: Arc::clone(core), holder: core.queue_leases.new_holder() }
    }
}

/// The host's side.
pub(super) async fn serve(
    stream: &mut UnixStream,
    core: &Arc<Core>,
    leasing: &mut Option<Leasing>,
    request: QueueRequest,
) -> io::Result<()> {
    let texts = |entries: Vec<QueueEntry>| -> Vec<QueueEntryText> {
        entries.into_iter().map(QueueEntryText::from).collect()
    };
    let changed = match request {
        QueueRequest::Due { now, after, entries_max } => {
            let due = core.due(now, after, server::index(entries_max).min(PAGE_ENTRIES)).await;
            return frame::write(stream, &due.map(texts)).await;
        }
        QueueRequest::NextDue => return frame::write(stream, &core.next_due().await).await,
        QueueRequest::Changed { since } => {
            let count = tokio::select! {
                count = core.changed(since) => count,
                // Nothing is asked in between: the sharer has gone, or does not wait any more.
                gone = frame::begin(stream) => return gone.map(|_| ()),
            };
            return frame::write(stream, &count).await;
        }
        QueueRequest::Read { id, offset, octets_max } => {
            let octets_max = server::index(octets_max).min(server::READ_OCTETS_MAX);
            let read = Queue::read(core, id, offset, octets_max).await.map(Octets);
            return frame::write(stream, &read).await;
        }
        QueueRequest::List { filter, after, entries_max } => {
            let entries_max = server::index(entries_max).min(PAGE_ENTRIES);
            let listed = core.list(&filter.filter()?, after, entries_max).await;
            return frame::write(stream, &listed.map(texts)).await;
        }
        QueueRequest::Show { id } => {
            let shown = core.show(id).await.map(QueueEntryText::from);
            return frame::write(stream, &shown).await;
        }
        QueueRequest::Domains { after, domains_max } => {
            let after = after.map(|text| Domain::parse(&text).map_err(|_| server::foreign())).transpose()?;
            let domains_max = server::index(domains_max).min(PAGE_DOMAINS);
            let domains = core.domains(after.as_ref(), domains_max).await;
            let text = |one: DomainCounts| (one.domain.to_string(), one.counts);
            let texts = |domains: Vec<DomainCounts>| domains.into_iter().map(text).collect::<Vec<_>>();
            return frame::write(stream, &domains.map(texts)).await;
        }
        QueueRequest::Lease { ids, until } => {
            let holder = leasing.get_or_insert_with(|| Leasing::begin(core)).holder;
            core.lease_entries(&ids, until, holder)
        }
        QueueRequest::Settle { outcomes } => core.settle(outcomes).await,
        QueueRequest::Hold { ids, state } => Queue::hold(core, &ids, state).await,
        QueueRequest::RetryAt { ids, due } => core.retry_at(&ids, due).await,
    };
    frame::write(stream, &changed).await
}
