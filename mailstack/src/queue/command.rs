//! What `mailstack queue` does with server and store once they are found.

use std::error::Error;
use std::io;

use mailstore::{
    DomainCounts, QUEUE_CHANGES_MAX, QueueEntry, QueueError, QueueFilter, QueueId, QueueOutcome, QueueState,
    Store, Then, TracedRecipient,
};
use mailwire::clock;
use smtpd::relay::Bouncer;
use thiserror::Error;

use super::bounce::Bounces;
use super::entry_name::EntryName;
use super::listing::{self, Reader};
use crate::arguments::{QueueCommand, QueueFilters, QueueListOptions, QueueSelection, Whereabouts};
use crate::consent;
use crate::output::Output;
use crate::place::Place;

/// Entries and domains that are asked for at a time.
const PAGE: usize = 1000;

/// Why a command did not do all that it should.
#[derive(Debug, Error)]
enum CommandError {
    #[error("there is no entry {0} in the queue")]
    Missing(EntryName),
    #[error("only {done} of {} were changed; the same command goes on from there", entries(*.all))]
    Partly {
        done: usize,
        all: usize,
        #[source]
        source: QueueError,
    },
    #[error("reading the answer failed")]
    Answer(#[source] io::Error),
    #[error("what is {0} cannot be brought back: say --yes where nobody is there to be asked")]
    NobodyToAsk(&'static str),
    #[error("nothing was {0}")]
    Declined(&'static str),
}

/// Does what `command` says.
pub(crate) async fn run(command: &QueueCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    let place = Place::find(whereabouts(command))?;
    let store = place.open().await?;
    let done = match Bouncer::new(&place.relay, &place.server, &store) {
        Ok(bouncer) => Work { store: &store, bouncer: &bouncer, output }.done(command).await,
        Err(error) => Err(error.into()),
    };
    store.close().await;
    done
}

const fn whereabouts(command: &QueueCommand) -> &Whereabouts {
    match command {
        QueueCommand::List(options) => &options.whereabouts,
        QueueCommand::Show { whereabouts, .. } => whereabouts,
        QueueCommand::Retry(selection)
        | QueueCommand::Hold(selection)
        | QueueCommand::Release(selection)
        | QueueCommand::Bounce { selection, .. }
        | QueueCommand::Remove { selection, .. } => &selection.whereabouts,
    }
}

/// What is done to entries.
#[derive(Clone, Copy)]
enum Deed {
    Retry,
    Put(QueueState),
    Remove,
}

struct Work<'a> {
    store: &'a Store,
    bouncer: &'a Bouncer,
    output: &'a Output,
}

/// What cannot be taken back, and what is asked before it.
struct Final {
    verb: &'static str,
    done: &'static str,
    means: &'static str,
}

const REMOVE: Final = Final { verb: "Remove", done: "removed", means: "Their senders are not told." };
const BOUNCE: Final = Final { verb: "Bounce", done: "bounced", means: "Their senders are told." };

impl From<&QueueFilters> for QueueFilter {
    fn from(filters: &QueueFilters) -> Self {
        let state = match (filters.held, filters.waiting) {
            (true, _) => Some(QueueState::Held),
            (false, true) => Some(QueueState::Waiting),
            (false, false) => None,
        };
        Self {
            domain: filters.domain.clone(),
            message: None,
            recipient: filters.to.clone(),
            reverse_path: filters.from.clone(),
            state,
        }
    }
}

impl Work<'_> {
    async fn done(&self, command: &QueueCommand) -> Result<(), Box<dyn Error>> {
        match command {
            QueueCommand::List(options) if options.domains => self.domains(options).await,
            QueueCommand::List(options) => self.list(options).await,
            QueueCommand::Show { name, json, .. } => {
                self.show(*name, if *json { Reader::Program } else { Reader::People }).await
            }
            QueueCommand::Retry(selection) => {
                let changed = self.change(&self.chosen(selection).await?, Deed::Retry).await?;
                self.output.line(&format!("{} due now", are(changed)));
                Ok(())
            }
            QueueCommand::Hold(selection) => self.put(selection, QueueState::Held, "held").await,
            QueueCommand::Release(selection) => self.put(selection, QueueState::Waiting, "released").await,
            QueueCommand::Bounce { selection, reason, yes, json } => {
                let mut chosen = self.chosen(selection).await?;
                chosen.sort_unstable();
                chosen.dedup();
                if !yes && !chosen.is_empty() {
                    self.confirm(&BOUNCE, chosen.len())?;
                }
                let (store, output, bouncer) = (self.store, self.output, self.bouncer);
                let reader = if *json { Reader::Program } else { Reader::People };
                Bounces { store, bouncer, reason: reason.as_deref(), reader, output }.all(&chosen).await
            }
            QueueCommand::Remove { selection, yes } => {
                let chosen = self.chosen(selection).await?;
                if !yes && !chosen.is_empty() {
                    self.confirm(&REMOVE, chosen.len())?;
                }
                let removed = self.change(&chosen, Deed::Remove).await?;
                self.output.line(&format!("{} removed; nobody is told", are(removed)));
                Ok(())
            }
        }
    }

    async fn put(
        &self,
        selection: &QueueSelection,
        state: QueueState,
        word: &str,
    ) -> Result<(), Box<dyn Error>> {
        let changed = self.change(&self.chosen(selection).await?, Deed::Put(state)).await?;
        self.output.line(&format!("{} {word}", are(changed)));
        Ok(())
    }

    fn confirm(&self, what: &Final, count: usize) -> Result<(), CommandError> {
        let Final { verb, done, means } = what;
        let question = format!("{verb} {} for good? {means}", entries(count));
        match consent::given(self.output, &question).map_err(CommandError::Answer)? {
            None => Err(CommandError::NobodyToAsk(done)),
            Some(false) => Err(CommandError::Declined(done)),
            Some(true) => Ok(()),
        }
    }

    async fn list(&self, options: &QueueListOptions) -> Result<(), Box<dyn Error>> {
        let reader = if options.json { Reader::Program } else { Reader::People };
        let filter = QueueFilter::from(&options.filters);
        let mut left = options.count.unwrap_or(usize::MAX);
        let mut after = None;
        while left > 0 {
            let page = self.store.queue.list(&filter, after, left.min(PAGE)).await?;
            let Some(last) = page.last() else { break };
            (after, left) = (Some(last.id), left.saturating_sub(page.len()));
            for entry in &page {
                self.say(reader, || listing::object(entry, None), || vec![listing::line(entry)])?;
            }
        }
        if after.is_none() && reader == Reader::People {
            self.output.line("nothing of that waits");
        }
        Ok(())
    }

    async fn domains(&self, options: &QueueListOptions) -> Result<(), Box<dyn Error>> {
        let mut left = options.count.unwrap_or(usize::MAX);
        let mut last: Option<DomainCounts> = None;
        let reader = if options.json { Reader::Program } else { Reader::People };
        while left > 0 {
            let after = last.as_ref().map(|last| &last.domain);
            let page = self.store.queue.domains(after, left.min(PAGE)).await?;
            left = left.saturating_sub(page.len());
            for counted in &page {
                let line = || vec![listing::domain_line(counted)];
                self.say(reader, || listing::domain_object(counted), line)?;
            }
            match page.into_iter().last() {
                Some(counted) => last = Some(counted),
                None => break,
            }
        }
        if last.is_none() && reader == Reader::People {
            self.output.line("nothing waits");
        }
        Ok(())
    }

    async fn show(&self, name: EntryName, reader: Reader) -> Result<(), Box<dyn Error>> {
        let shown = self.named(name).await?;
        let life = self.store.traces.trace(name.message).await?;
        let recipients: &[TracedRecipient] = life.as_ref().map_or(&[], |life| &life.recipients);
        for entry in &shown {
            let traced = recipients.iter().find(|traced| traced.recipient == entry.id.recipient);
            self.say(reader, || listing::object(entry, traced), || listing::details(entry, traced))?;
        }
        Ok(())
    }

    fn say(
        &self,
        reader: Reader,
        object: impl FnOnce() -> Result<String, serde_json::Error>,
        lines: impl FnOnce() -> Vec<String>,
    ) -> Result<(), Box<dyn Error>> {
        match reader {
            Reader::Program => self.output.text(&format!("{}\n", object()?)),
            Reader::People => self.output.lines(&lines()),
        }
        Ok(())
    }

    /// The entries of a name, of which there must be one at least.
    async fn named(&self, name: EntryName) -> Result<Vec<QueueEntry>, Box<dyn Error>> {
        let filter = QueueFilter { message: Some(name.message), ..QueueFilter::default() };
        let mut named = self.all(&filter).await?;
        named.retain(|entry| name.recipient.is_none_or(|recipient| recipient == entry.id.recipient));
        if named.is_empty() { Err(CommandError::Missing(name).into()) } else { Ok(named) }
    }

    async fn all(&self, filter: &QueueFilter) -> Result<Vec<QueueEntry>, QueueError> {
        let mut all: Vec<QueueEntry> = Vec::new();
        loop {
            let page = self.store.queue.list(filter, all.last().map(|last| last.id), PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    async fn chosen(&self, selection: &QueueSelection) -> Result<Vec<QueueId>, Box<dyn Error>> {
        let mut chosen = Vec::new();
        for name in &selection.names {
            chosen.extend(self.named(*name).await?.iter().map(|entry| entry.id));
        }
        if selection.names.is_empty() {
            let mut after = None;
            let filter = QueueFilter::from(&selection.filters);
            // Only their names are kept: there may be very many.
            loop {
                let page = self.store.queue.list(&filter, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                chosen.extend(page.iter().map(|entry| entry.id));
            }
        }
        Ok(chosen)
    }

    /// Gives how many were changed.
    async fn change(&self, chosen: &[QueueId], deed: Deed) -> Result<usize, CommandError> {
        let (queue, now) = (&self.store.queue, clock::unix_seconds());
        let mut changed: usize = 0;
        for (number, batch) in chosen.chunks(QUEUE_CHANGES_MAX).enumerate() {
            let done = match deed {
                Deed::Retry => queue.retry_at(batch, now).await,
                Deed::Put(state) => queue.hold(batch, state).await,
                Deed::Remove => {
                    let removed = |id: &QueueId| QueueOutcome { id: *id, attempt: None, then: Then::Removed };
                    queue.settle(batch.iter().map(removed).collect()).await
                }
            };
            let (done_before, all) = (number.saturating_mul(QUEUE_CHANGES_MAX), chosen.len());
            let done = done.map_err(|source| CommandError::Partly { done: done_before, all, source })?;
            changed = changed.saturating_add(done.len());
        }
        Ok(changed)
    }
}

fn entries(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

fn are(count: usize) -> String {
    format!("{} {}", entries(count), if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use clap::Parser;
    use mailstore::{Attempt, Delivery, Fate, RecipientTerms, RelayRecipient, Terms, TraceRow};
    use mailwire::address::{Mailbox, ReversePath};
    use mailwire::daemon::config::Server;
    use mailwire::secret::Secret;
    use smtpd::relay::RelayConfig;

    use super::*;
    use crate::arguments::{Arguments, Command};
    use crate::output::tests::Printed;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    async fn store(folder: &Path) -> Store {
        let options = mailstore::Options { path: folder.to_owned(), reserve_octets: 0, ..Default::default() };
        let store = mailstore::open(options).await.unwrap();
        for (from, to) in [("a@example.test", &["b@x.test", "c@y.test"][..]), ("", &["d@x.test"])] {
            let relay = to.iter().map(|to| RelayRecipient {
                mailbox: mailbox(to),
                due: 90_000_000_000,
                expires: 90_000_000_001,
                terms: RecipientTerms::default(),
            });
            let delivery = Delivery {
                delivery_prefix: Vec::new(),
                prefix: Vec::new(),
                reverse_path: Mailbox::parse(from).map_or(ReversePath::Null, ReversePath::Mailbox),
                maildrops: Vec::new(),
                fate: Fate::Shared,
                relay: relay.collect(),
                terms: Terms::default(),
                local: Vec::new(),
                steps: Vec::new(),
                trace: TraceRow::default(),
                carried: None,
                concludes: Vec::new(),
            };
            let mut draft = store.intake.draft(0).await.unwrap();
            draft.write(b"A: b\r\n\r\nx\r\n").await.unwrap();
            draft.commit(delivery).await.unwrap();
        }
        store
    }

    /// What `mailstack queue` with these arguments prints, or why it fails.
    async fn queue(store: &Store, arguments: &str) -> Result<String, String> {
        let arguments = ["mailstack", "queue"].into_iter().chain(arguments.split(' '));
        let arguments = Arguments::try_parse_from(arguments).map_err(|error| error.to_string())?;
        let Command::Queue(command) = arguments.command else { return Err("another command".to_owned()) };
        let printed = Printed::default();
        let output = printed.output();
        let server =
            Server { hostname: "mail.example.test".to_owned(), domains: vec!["example.test".to_owned()] };
        let bouncer = Bouncer::new(&RelayConfig::default(), &server, store).unwrap();
        let done = Work { store, bouncer: &bouncer, output: &output }.done(&command).await;
        done.map_err(|error| error.to_string()).map(|()| printed.text())
    }

    async fn said(store: &Store, arguments: &str) -> String {
        queue(store, arguments).await.unwrap()
    }

    #[tokio::test]
    async fn what_waits_is_listed_for_people_and_for_programs() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let all = said(&store, "list").await;
        let line = "       1.0   11 octets  due 4821-12-26T16:00:00Z  0 attempts  a@example.test to b@x.test";
        assert_eq!(all.lines().next(), Some(line));
        assert_eq!(all.lines().count(), 3);
        assert!(said(&store, "list --from <>").await.ends_with("<> to d@x.test\n"));
        assert_eq!(said(&store, "list --domain x.test --count 1").await.lines().count(), 1);
        assert_eq!(said(&store, "list --to B@X.test --held").await, "nothing of that waits\n");
        assert_eq!(
            said(&store, "list --domains").await,
            "x.test  2 waiting, 0 held\ny.test  1 waiting, 0 held\n"
        );
        let object = said(&store, "list --to c@y.test --json").await;
        let object: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!((&object["entry"], &object["to"]), (&"1.1".into(), &"c@y.test".into()));
        assert_eq!((&object["state"], &object["due"]), (&"waiting".into(), &90_000_000_000_u64.into()));
        assert_eq!(
            said(&store, "list --domains --json --count 1").await,
            "{\"domain\":\"x.test\",\"waiting\":2,\"held\":0}\n"
        );
        store.close().await;
    }

    #[tokio::test]
    async fn an_entry_is_shown_with_what_was_tried() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let id = QueueId { message: mailstore::MessageId(1), recipient: 1 };
        let attempt = Attempt {
            at: 1_800_000_000,
            place: "mx.y.test [192.0.2.1]".to_owned(),
            said: "451 later".to_owned(),
            dialogue: "C: QUIT".to_owned(),
        };
        let then = Then::Defer { due: 90_000_000_000, warned: true };
        store.queue.settle(vec![QueueOutcome { id, attempt: Some(attempt), then }]).await.unwrap();
        let shown = said(&store, "show 1.1").await;
        for line in [
            "1.1: a@example.test to c@y.test",
            "  the sender has been told that it takes long",
            "  2027-01-15T08:00:00Z  attempt 1: mx.y.test [192.0.2.1]: 451 later",
            "      C: QUIT",
        ] {
            assert!(shown.lines().any(|found| found == line), "{line}: {shown}");
        }
        assert_eq!(said(&store, "show 1").await.matches(" to ").count(), 2);
        let object: serde_json::Value = serde_json::from_str(&said(&store, "show 1.1 --json").await).unwrap();
        assert_eq!(object["tried"][0]["said"], "451 later");
        assert_eq!(queue(&store, "show 1.2").await.unwrap_err(), "there is no entry 1.2 in the queue");
        store.close().await;
    }

    #[tokio::test]
    async fn entries_are_bounced_and_their_senders_told_where_that_is_owed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let gone = said(&store, "bounce 1.0 --yes").await;
        assert_eq!(gone, "1 entry is bounced, and nobody is told: the sender has no mailbox here any more\n");
        let secret = Secret::new("pw".to_owned());
        let account = store.administration.add_account(&mailbox("a@example.test"), &secret).await.unwrap();
        said(&store, "hold 1").await;
        assert_eq!(
            said(&store, "bounce 1.1 --yes --json").await,
            "{\"entry\":\"1.1\",\"bounced\":\"told\"}\n"
        );
        let lease = store.maildrops.lease(account.maildrop, Duration::ZERO).await.unwrap();
        assert_eq!(lease.entries().len(), 1);
        drop(lease);
        let silent = said(&store, "bounce --all --yes").await;
        assert_eq!(silent, "1 entry is bounced, and nobody is told: a report itself, or from nobody else\n");
        assert_eq!(said(&store, "list").await, "nothing of that waits\n");
        assert_eq!(said(&store, "bounce --all --yes").await, "0 entries are bounced\n");
        let ended = store.traces.trace(mailstore::MessageId(1)).await.unwrap().unwrap();
        let tried: Vec<String> = ended.recipients.iter().flat_map(listing::tried).collect();
        assert!(tried[0].ends_with("attempt 1: the postmaster has ended it"), "{tried:?}");
        assert!(tried[1].ends_with("failed for good"), "{tried:?}");
        store.close().await;
    }

    #[tokio::test]
    async fn what_a_server_has_in_its_hands_is_not_bounced() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let id = QueueId { message: mailstore::MessageId(1), recipient: 0 };
        store.queue.lease(&[id], 90_000_000_000).await.unwrap();
        let refused = queue(&store, "bounce --all --yes").await.unwrap_err();
        assert!(refused.contains("1 entry is not bounced: a server is sending it"), "{refused}");
        assert!(refused.contains("(1.0)"), "{refused}");
        // An attempt that was begun before goes on.
        said(&store, "hold 1.0").await;
        assert!(queue(&store, "bounce 1.0 --yes").await.is_err());
        assert_eq!(said(&store, "list").await.lines().count(), 1);
        for wrong in ["bounce", "bounce 1 --all --yes", "bounce 1 --yes --reason ", "bounce 1 --reason a\nb"]
        {
            assert!(queue(&store, wrong).await.is_err(), "{wrong}");
        }
        store.close().await;
    }

    #[tokio::test]
    async fn entries_are_held_released_put_forward_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        assert_eq!(said(&store, "hold --domain x.test").await, "2 entries are held\n");
        assert_eq!(said(&store, "list --held").await.lines().count(), 2);
        assert_eq!(said(&store, "release 1.0").await, "1 entry is released\n");
        assert_eq!(said(&store, "retry --all").await, "3 entries are due now\n");
        assert_eq!(store.queue.due(clock::unix_seconds(), None, 10).await.unwrap().len(), 2);
        for wrong in ["hold", "hold 1.0 --all", "hold --all --held", "remove", "list --held --waiting"] {
            assert!(queue(&store, wrong).await.is_err(), "{wrong}");
        }
        assert_eq!(queue(&store, "hold 9").await.unwrap_err(), "there is no entry 9 in the queue");
        assert_eq!(said(&store, "remove 1 --yes").await, "2 entries are removed; nobody is told\n");
        assert_eq!(said(&store, "remove --waiting --yes").await, "0 entries are removed; nobody is told\n");
        assert_eq!(said(&store, "list").await.lines().count(), 1);
        store.close().await;
    }
}
