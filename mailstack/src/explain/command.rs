//! What `mailstack explain` says of each message that is meant.

use std::collections::BTreeMap;
use std::error::Error;

use mailstore::{
    MessageId, QueueError, QueueId, QueueState, Refusal, RefusalFilter, Store, Trace, TraceRow, TracedAs,
    TracedRecipient, Unavailable,
};
use mailwire::address::{Mailbox, ReversePath};
use thiserror::Error;

use super::here::{self, ByMessage, Here};
use crate::arguments::ExplainOptions;
use crate::maildrop::moment::shown;
use crate::output::Output;
use crate::place::Place;
use crate::queue::entry_name::EntryName;
use crate::queue::listing::{path, tried};

/// Messages that are asked for at a time.
const PAGE: usize = 100;

/// Why nothing is said.
#[derive(Debug, Error)]
#[error(
    "nothing is kept of such a message; traces of what has left go after `trace_days`, and what was purged is gone"
)]
struct NothingKept;

/// What is known of a message: what left, and what is here.
#[derive(Default)]
struct Known {
    trace: Option<Trace>,
    here: Vec<Here>,
}

/// Does what the options say.
pub(crate) async fn run(options: &ExplainOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let place = Place::find(&options.whereabouts)?;
    let store = place.open().await?;
    let done = explain(&store, options, output).await;
    store.close().await;
    done
}

async fn explain(store: &Store, options: &ExplainOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let known = known(store, options).await?;
    let refusals = refusals(store, options).await?;
    if known.is_empty() && refusals.is_empty() {
        return Err(NothingKept.into());
    }
    for (message, known) in known.into_iter().rev().take(options.count) {
        output.lines(&lines(store, message, &known).await?);
    }
    output.lines(&refusals.iter().map(refused).collect::<Vec<_>>());
    Ok(())
}

async fn known(
    store: &Store,
    options: &ExplainOptions,
) -> Result<BTreeMap<MessageId, Known>, Box<dyn Error>> {
    let since = options.since.map_or(0, |since| since.0);
    let (traces, here) = match (&options.message, &options.to) {
        (Some(text), _) if text.contains('@') => {
            let known_as = TracedAs::MessageId(text.clone());
            let traces = traces(store, &known_as, since, options.count, |_| true).await?;
            (traces, here::by_message_id(store, text, since).await?)
        }
        (Some(text), _) => {
            let EntryName { message, .. } = text.parse()?;
            let trace = store.traces.trace(message).await?;
            (trace.into_iter().collect(), here::by_number(store, message).await?)
        }
        (None, Some(to)) => {
            let is_meant = |trace: &Trace| {
                is_to(trace, to)
                    && options.from.as_ref().is_none_or(|from| is_from(&trace.reverse_path, from))
            };
            let traces =
                traces(store, &TracedAs::Address(to.clone()), since, options.count, is_meant).await?;
            // Who has sent what stays here is told by its header section alone.
            let stays = options.from.is_none();
            let count = if stays { options.count } else { 0 };
            (traces, here::by_recipient(store, to, since, count).await?)
        }
        (None, None) => {
            let Some(from) = &options.from else { return Ok(BTreeMap::new()) };
            let is_meant = |trace: &Trace| is_from(&trace.reverse_path, from);
            let known_as = TracedAs::Address(from.clone());
            (traces(store, &known_as, since, options.count, is_meant).await?, ByMessage::new())
        }
    };
    let mut known: BTreeMap<MessageId, Known> = BTreeMap::new();
    for trace in traces {
        let message = trace.message;
        known.entry(message).or_default().trace = Some(trace);
    }
    for (message, here) in here {
        let known = known.entry(message).or_default();
        known.here = here;
        if known.trace.is_none() {
            // It may have gone elsewhere as well.
            known.trace = store.traces.trace(message).await?;
        }
    }
    Ok(known)
}

/// What was not taken of what is meant, the newest first. It has no number, and its Message-ID is known where rules have
/// decided.
async fn refusals(store: &Store, options: &ExplainOptions) -> Result<Vec<Refusal>, Unavailable> {
    let message_id = match &options.message {
        Some(text) if text.contains('@') => {
            Some(text.trim().trim_start_matches('<').trim_end_matches('>').to_owned())
        }
        Some(_) => return Ok(Vec::new()),
        None => None,
    };
    let (from, to) = (options.from.clone(), options.to.clone());
    let filter = RefusalFilter { from, to, message_id, since: options.since.map_or(0, |since| since.0) };
    store.sightings.refusals(&filter, options.count).await
}

fn refused(refusal: &Refusal) -> String {
    let Refusal { at, session, peer, reverse_path, recipients, said } = refusal;
    let to = if recipients.is_empty() { String::new() } else { format!(" to {}", recipients.join(", ")) };
    format!("not taken  {}  [{session}]  from {reverse_path}{to}, client {peer}: {said}", shown(*at))
}

/// The newest `count` of those that are known so and meant.
async fn traces(
    store: &Store,
    known_as: &TracedAs,
    since: u64,
    count: usize,
    is_meant: impl Fn(&Trace) -> bool,
) -> Result<Vec<Trace>, Box<dyn Error>> {
    let (mut traces, mut before) = (Vec::new(), None);
    loop {
        let page = store.traces.traced(known_as, before, PAGE).await?;
        let Some(last) = page.last() else { return Ok(traces) };
        before = Some(*last);
        for message in page {
            let Some(trace) = store.traces.trace(message).await? else { continue };
            if trace.accepted_at < since || traces.len() >= count {
                return Ok(traces);
            }
            traces.extend(is_meant(&trace).then_some(trace));
        }
    }
}

fn is_same(one: &Mailbox, other: &Mailbox) -> bool {
    one.key_in_a_labels() == other.key_in_a_labels()
}

fn is_to(trace: &Trace, to: &Mailbox) -> bool {
    trace.recipients.iter().any(|recipient| is_same(&recipient.mailbox, to))
}

fn is_from(path: &ReversePath, from: &Mailbox) -> bool {
    match path {
        ReversePath::Null => false,
        ReversePath::Mailbox(sender) => is_same(sender, from),
    }
}

async fn lines(store: &Store, message: MessageId, known: &Known) -> Result<Vec<String>, Box<dyn Error>> {
    let mut lines = vec![format!("message {}", message.0)];
    match (&known.trace, known.here.first()) {
        (Some(trace), _) => {
            lines.push(format!("  from {}", path(&trace.reverse_path)));
            lines.extend(trace.message_id.as_ref().map(|id| format!("  Message-ID <{id}>")));
            lines.extend(trace.rows.iter().map(row));
        }
        (None, Some(here)) => lines.extend(here.life(store).await?.rows.iter().map(row)),
        (None, None) => {}
    }
    let visited = if known.here.is_empty() { Vec::new() } else { store.sightings.visited(message).await? };
    for here in &known.here {
        lines.extend(here.visits(&visited).into_iter().map(|line| format!("  {line}")));
        lines.push(format!("  {}", here.line()));
    }
    for recipient in known.trace.iter().flat_map(|trace| &trace.recipients) {
        lines.push(format!("to {}", recipient.mailbox));
        lines.extend(tried(recipient));
        lines.extend(waits(store, message, recipient).await?);
    }
    Ok(lines)
}

/// What comes next for a recipient that is in the queue.
async fn waits(
    store: &Store,
    message: MessageId,
    recipient: &TracedRecipient,
) -> Result<Option<String>, QueueError> {
    if recipient.ended.is_some() {
        return Ok(None);
    }
    let id = QueueId { message, recipient: recipient.recipient };
    let entry = match store.queue.show(id).await {
        // It has just ended.
        Err(QueueError::Missing) => return Ok(None),
        entry => entry?,
    };
    let name = EntryName::from(id);
    Ok(Some(match (entry.is_leased, entry.state) {
        (true, _) => format!("  in the queue as {name}: an attempt is being made now"),
        (false, QueueState::Waiting) => {
            let which = if entry.attempts == 0 { "first" } else { "next" };
            format!("  in the queue as {name}: the {which} attempt is due {}", shown(entry.due))
        }
        (false, QueueState::Held) => {
            format!("  in the queue as {name}: held until it is released (`mailstack queue release {name}`)")
        }
    }))
}

fn row(row: &TraceRow) -> String {
    let TraceRow { at, session, event, detail } = row;
    let session = if session.is_empty() { String::new() } else { format!("  [{session}]") };
    let line = format!("  {}{session}  {event}  {detail}", shown(*at));
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use mailstore::{
        Attempt, Delivery, Fate, QueueOutcome, RecipientTerms, RelayRecipient, Terms, Then, TraceStep, Visit,
    };
    use mailwire::secret::Secret;

    use super::*;
    use crate::arguments::{Arguments, Command};
    use crate::output::tests::Printed;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    /// Alice has sent a message to Bob, who is here, to somebody who has it by now, and to somebody else.
    async fn store(folder: &Path) -> Store {
        let options = mailstore::Options { path: folder.to_owned(), reserve_octets: 0, ..Default::default() };
        let store = mailstore::open(options).await.unwrap();
        let (address, password) = (mailbox("bob@example.test"), Secret::new("x".to_owned()));
        let bob = store.administration.add_account(&address, &password).await.unwrap().maildrop;
        let relay = ["c@x.test", "d@y.test"].map(|to| RelayRecipient {
            mailbox: mailbox(to),
            due: 90_000_000_000,
            expires: 90_000_000_001,
            terms: RecipientTerms::default(),
        });
        let row = |event: &'static str| TraceRow {
            at: 1_800_000_001,
            session: "s7".to_owned(),
            event: event.into(),
            detail: String::new(),
        };
        let delivery = Delivery {
            delivery_prefix: Vec::new(),
            prefix: Vec::new(),
            reverse_path: ReversePath::Mailbox(mailbox("alice@example.test")),
            maildrops: vec![bob],
            fate: Fate::Shared,
            relay: relay.into(),
            terms: Terms::default(),
            local: Vec::new(),
            steps: vec![TraceStep {
                at: 1_800_000_000,
                event: "connected".into(),
                detail: "from 192.0.2.9".to_owned(),
            }],
            trace: row("submitted"),
            carried: None,
            concludes: Vec::new(),
        };
        let here = Delivery { relay: Vec::new(), trace: row("received"), ..delivery.clone() };
        for (delivery, id) in [(delivery, "one"), (here, "two")] {
            let mut draft = store.intake.draft(0).await.unwrap();
            draft.write(format!("Message-ID: <{id}@example.test>\r\n\r\nx\r\n").as_bytes()).await.unwrap();
            draft.commit(delivery).await.unwrap();
        }
        let id = QueueId { message: MessageId(2), recipient: 0 };
        let attempt = Attempt {
            at: 1_800_000_100,
            place: "mx.x.test [192.0.2.1]".to_owned(),
            said: "250 taken".to_owned(),
            dialogue: String::new(),
        };
        let outcome = QueueOutcome { id, attempt: Some(attempt), then: Then::Relayed };
        assert_eq!(store.queue.settle(vec![outcome]).await.unwrap(), [id]);
        store
    }

    /// What `mailstack explain` with these arguments prints, or why it fails.
    async fn explained(store: &Store, arguments: &str) -> Result<String, String> {
        let arguments = ["mailstack", "explain"].into_iter().chain(arguments.split(' '));
        let arguments = Arguments::try_parse_from(arguments).map_err(|error| error.to_string())?;
        let Command::Explain(options) = arguments.command else { return Err("another command".to_owned()) };
        let printed = Printed::default();
        let done = explain(store, &options, &printed.output()).await;
        done.map_err(|error| error.to_string()).map(|()| printed.text())
    }

    #[tokio::test]
    async fn who_fetched_and_who_deleted_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let bob = store.directory.account("bob@example.test").await.unwrap().unwrap().maildrop;
        let mut lease = store.maildrops.lease(bob, std::time::Duration::ZERO).await.unwrap();
        lease.expunge(&[1]).await.unwrap();
        let mut visit = Visit { by: "POP3 session p1-0 from 192.0.2.7:50000".to_owned(), ..Visit::default() };
        visit.retrieved.mark(0);
        visit.retrieved.mark(1);
        visit.expunged.mark(1);
        lease.visited(visit).await.unwrap();
        drop(lease);
        let lines = async |id| {
            let told = explained(&store, id).await.unwrap();
            let lines = told.lines().filter(|line| line.contains("maildrop of bob"));
            lines
                .map(|line| line.split_once("Z  ").map_or(line, |(_, rest)| rest).to_owned())
                .collect::<Vec<_>>()
        };
        let fetched =
            "fetched from the maildrop of bob@example.test by POP3 session p1-0 from 192.0.2.7:50000";
        let first = lines("<one@example.test>").await;
        assert_eq!(first[0], fetched);
        assert!(first[1].starts_with("  in the maildrop"), "{first:?}");
        assert_eq!(first.len(), 2);
        let second = lines("<two@example.test>").await;
        assert_eq!(second[..2], [fetched.to_owned(), fetched.replace("fetched", "deleted")]);
        assert!(second[2].contains("can be brought back"), "{second:?}");
        store.close().await;
    }

    #[tokio::test]
    async fn what_was_not_taken_is_told_with_the_reply() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let refusal = |to: &str, said: &str| {
            let from = ReversePath::Mailbox(mailbox("x@far.test"));
            Refusal::new((1_900_000_000, "s9", "192.0.2.8"), &from, &[mailbox(to)], said)
        };
        let refusals = vec![
            refusal("nobody@example.test", "550 5.1.1 No"),
            refusal("bob@example.test", "452 4.2.2 Full"),
        ];
        store.sightings.refused(refusals).await.unwrap();
        let told = explained(&store, "--to nobody@example.test").await.unwrap();
        let expected = "not taken  2030-03-17T17:46:40Z  [s9]  from <x@far.test> to nobody@example.test, client \
                        192.0.2.8: 550 5.1.1 No\n";
        assert_eq!(told, expected);
        let told = explained(&store, "--to bob@example.test --count 1").await.unwrap();
        assert!(told.starts_with("message ") && told.contains("452 4.2.2 Full"), "{told}");
        assert_eq!(explained(&store, "--from X@far.test").await.unwrap().lines().count(), 2);
        let why =
            "250 2.0.0 Message accepted; Message-ID <gone@far.test>; bob@example.test: line 1: discarded";
        store.sightings.refused(vec![refusal("bob@example.test", why)]).await.unwrap();
        for known_as in ["<gone@far.test>", "gone@far.test"] {
            let told = explained(&store, known_as).await.unwrap();
            assert!(
                told.starts_with("not taken  2030-03-17T17:46:40Z")
                    && told.ends_with(": line 1: discarded\n")
            );
        }
        store.close().await;
    }

    #[tokio::test]
    async fn a_life_is_told_from_the_connection_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let told = explained(&store, "2").await.unwrap();
        let expected = [
            "message 2",
            "  from alice@example.test",
            "  Message-ID <one@example.test>",
            "  2027-01-15T08:00:00Z  [s7]  connected  from 192.0.2.9",
            "  2027-01-15T08:00:01Z  [s7]  submitted",
            "  in the maildrop of bob@example.test, unique-id ",
            "to c@x.test",
            "  2027-01-15T08:01:40Z  attempt 1: mx.x.test [192.0.2.1]: 250 taken",
            "  20",
            "to d@y.test",
            "  in the queue as 2.1: the first attempt is due 4821-12-26T16:00:00Z",
        ];
        assert_eq!(told.lines().count(), expected.len(), "{told}");
        for (line, expected) in told.lines().zip(expected) {
            assert!(line.starts_with(expected), "{line}: {expected}");
        }
        assert!(told.contains("Z  relayed\n"), "{told}");
        for same in [
            "<one@example.test>",
            "--to c@x.test",
            "--from Alice@example.test",
            "--to d@y.test --from alice@example.test",
        ] {
            assert_eq!(explained(&store, same).await.unwrap().lines().next(), Some("message 2"), "{same}");
        }
        store.close().await;
    }

    #[tokio::test]
    async fn what_stays_here_is_found_too_and_what_nobody_knows_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        for name in ["3", "two@example.test"] {
            let told = explained(&store, name).await.unwrap();
            assert!(told.starts_with("message 3\n") && told.contains("received"), "{told}");
        }
        let told = explained(&store, "--to bob@example.test").await.unwrap();
        let numbers: Vec<_> = told.lines().filter(|line| line.starts_with("message ")).collect();
        assert_eq!(numbers, ["message 3", "message 2"]);
        let last = explained(&store, "--to bob@example.test --count 1").await.unwrap();
        assert_eq!(last.matches("message ").count(), 1);
        for nobody in
            ["9", "x@x.test", "--to nobody@example.test", "--from x@x.test", "--to c@x.test --from x@x.test"]
        {
            let why = explained(&store, nobody).await.unwrap_err();
            assert!(why.starts_with("nothing is kept of such a message"), "{nobody}: {why}");
        }
        for wrong in ["", "one", "2 --to c@x.test"] {
            assert!(explained(&store, wrong).await.is_err(), "{wrong}");
        }
        store.close().await;
    }
}
