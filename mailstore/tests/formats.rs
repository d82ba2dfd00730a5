//! Stores written by every released format, kept for ever: each opens, and holds what was put into it.
//!
//! `formats/N` holds a small store of format N and, in `holds.txt`, what is in it; `N-WORD` one that has more in it. A
//! release with a new format adds its own: `MAILSTACK_FORMAT_SAMPLE=mailstore/tests/formats/N cargo test -p mailstore
//! --test formats`.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mailstore::{
    Addresses, Alias, AppPasswordName, Attempt, Carried, Delivery, Detail, Expiry, Fate, MaildropId,
    MessageId, Notify, Options, OwnRules, QueueEntry, QueueFilter, QueueId, QueueOutcome, QueueState, Quota,
    RecipientTerms, RelayRecipient, Repertoire, ReturnAs, RuleFile, Store, Terms, Then, TraceRow, TraceStep,
    TracedAs, UniqueId, WithMail, open,
};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::sasl::ScramKeys;
use mailwire::secret::Secret;

const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];
/// What says where a new sample is to be kept.
const SAMPLE: &str = "MAILSTACK_FORMAT_SAMPLE";

fn mailbox(name: &str) -> Mailbox {
    Mailbox::parse(&format!("{name}@example.test")).unwrap()
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// So little memory that a message of some KiB goes to a file of its own.
fn options(path: &Path) -> Options {
    Options { path: path.to_owned(), reserve_octets: 0, draft_memory_octets_max: 6000, ..Options::default() }
}

fn delivery(maildrops: &[MaildropId], relay: &[&str]) -> Delivery {
    let relay = relay.iter().map(|name| RelayRecipient {
        mailbox: Mailbox::parse(&format!("{name}@elsewhere.test")).unwrap(),
        due: 1_000_000,
        expires: 9_000_000_000,
        terms: RecipientTerms::default(),
    });
    Delivery {
        delivery_prefix: b"Return-Path: <sender@example.test>\r\n".to_vec(),
        prefix: b"Received: by a sample\r\n".to_vec(),
        reverse_path: ReversePath::Mailbox(mailbox("sender")),
        maildrops: maildrops.to_vec(),
        fate: Fate::Shared,
        relay: relay.collect(),
        terms: Terms::default(),
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow { at: 1, session: "s".to_owned(), event: "received".into(), detail: String::new() },
        carried: None,
        concludes: Vec::new(),
    }
}

fn terms() -> Terms {
    Terms { envelope_id: Some("an id".to_owned()), priority: Some(3), ..Terms::default() }
}

fn steps() -> Vec<TraceStep> {
    vec![TraceStep { at: 1, event: "connected".into(), detail: "from 192.0.2.1".to_owned() }]
}

async fn deliver(store: &Store, text: &str, lines: usize, maildrops: &[MaildropId], relay: &[&str]) {
    deliver_as(store, text, lines, delivery(maildrops, relay)).await;
}

async fn deliver_as(store: &Store, text: &str, lines: usize, delivery: Delivery) {
    let mut draft = store.intake.draft(0).await.unwrap();
    draft.write(format!("Subject: {text}\r\n\r\n").as_bytes()).await.unwrap();
    for number in 0..lines {
        draft.write(format!("{text}, line {number} \u{e9}\0\r\n").as_bytes()).await.unwrap();
    }
    draft.commit(delivery).await.unwrap();
}

/// Something of everything that a journal may hold.
async fn fill(store: &Store) {
    let mut drops = Vec::new();
    for name in ACCOUNTS {
        let account = store.administration.add_account(&mailbox(name), &secret("old")).await.unwrap();
        drops.push(account.maildrop);
        store.administration.set_password(&mailbox(name), &secret(&format!("pw-{name}"))).await.unwrap();
    }
    let gone = store.administration.add_account(&mailbox("gone"), &secret("x")).await.unwrap();
    for (alias, targets) in [("info", vec!["alice", "bob"]), ("sales", vec!["carol"]), ("old", vec!["bob"])] {
        let targets = targets.into_iter().map(mailbox).collect();
        store.administration.add_alias(&Alias { address: mailbox(alias).into(), targets }).await.unwrap();
    }
    store.administration.remove_alias(&mailbox("old").into()).await.unwrap();
    for number in 0..6 {
        deliver(store, &format!("small {number}"), number, &drops, &[]).await;
    }
    deliver(store, "large", 1000, drops.get(..2).unwrap(), &["large"]).await;
    deliver(store, "relayed", 3, &[], &["deferred", "held", "finished", "waiting"]).await;
    deliver(store, "gone", 3, &[gone.maildrop], &[]).await;
    store.administration.remove_account(&mailbox("gone")).await.unwrap();
    let [alice, bob, carol] = drops.try_into().unwrap();
    expunge(store, alice, &[1, 4]).await;
    for entry in store.queue.due(2_000_000, None, 10).await.unwrap() {
        match entry.recipient.local_part().as_str() {
            "deferred" => settle(store, vec![deferred(entry.id)]).await,
            "held" => drop(store.queue.hold(&[entry.id], QueueState::Held).await.unwrap()),
            "finished" => settle(store, vec![relayed(entry.id)]).await,
            _ => {}
        }
    }
    fill_access(store).await;
    fill_since_format_2(store, [alice, bob, carol]).await;
    // Behind the compaction, so that what became of those that are gone stands in the journal.
    fill_subaddresses(store).await;
    fill_queue(store, alice).await;
    fill_rule_files(store).await;
}

/// What format 3 has brought: rules of accounts for their mail, one of them so long that the index has it in pieces.
async fn fill_rule_files(store: &Store) {
    for (name, text) in
        [("alice", "one ".repeat(2000)), ("bob", "two".to_owned()), ("carol", "gone".to_owned())]
    {
        let rules = RuleFile::new(text).unwrap();
        store.rule_files.set_rule_file(&mailbox(name), Some(rules)).await.unwrap();
    }
    store.rule_files.set_rule_file(&mailbox("carol"), None).await.unwrap();
}

fn deferred(id: QueueId) -> QueueOutcome {
    let attempt = Attempt {
        at: 2_000_000,
        place: "mx.elsewhere.test [192.0.2.1]".to_owned(),
        said: "451 not now".to_owned(),
        dialogue: "MAIL FROM:<sender@example.test>".to_owned(),
    };
    QueueOutcome { id, attempt: Some(attempt), then: Then::Defer { due: 3_000_000, warned: false } }
}

fn warned(id: QueueId) -> QueueOutcome {
    QueueOutcome { then: Then::Defer { due: 3_000_000, warned: true }, ..deferred(id) }
}

const fn relayed(id: QueueId) -> QueueOutcome {
    QueueOutcome { id, attempt: None, then: Then::Relayed }
}

async fn settle(store: &Store, outcomes: Vec<QueueOutcome>) {
    let ids: Vec<_> = outcomes.iter().map(|outcome| outcome.id).collect();
    assert_eq!(store.queue.settle(outcomes).await.unwrap(), ids);
}

/// What format 3 has brought: reports that conclude, delays that are told of, several outcomes at once.
async fn fill_queue(store: &Store, alice: MaildropId) {
    let tried = |relay: &[&str]| Delivery {
        prefix: b"Message-ID: <tried@example.test>\r\n".to_vec(),
        ..delivery(&[], relay)
    };
    deliver_as(store, "tried", 3, tried(&["warned", "concluded", "tried"])).await;
    let of = |name: &str, listed: &[QueueEntry]| {
        listed.iter().find(|entry| entry.recipient.local_part().as_str() == name).unwrap().id
    };
    let listed = store.queue.list(&QueueFilter::default(), None, 100).await.unwrap();
    settle(store, vec![warned(of("warned", &listed)), deferred(of("tried", &listed))]).await;
    let failed = QueueOutcome { then: Then::Failed, ..deferred(of("concluded", &listed)) };
    deliver_as(store, "report", 2, Delivery { concludes: vec![failed], ..delivery(&[alice], &[]) }).await;
    // Both lie in a segment that is compacted, so that what is known of the first one stands in the journal once more.
    for _ in 0..60 {
        deliver(store, "in vain", 250, &[alice], &[]).await;
    }
    let kept = store.maildrop_administration.messages(alice, None, 1000).await.unwrap();
    let live = kept.iter().filter(|kept| kept.expunged_at.is_none()).count();
    expunge(store, alice, &(live - 60..live).collect::<Vec<_>>()).await;
    let expunged = self::expunged(store, alice).await;
    store.maildrop_administration.purge(alice, expunged.get(2..).unwrap()).await.unwrap();
    assert!(store.repair.compact().await.unwrap().segments > 0);
    deliver_as(store, "tried later", 3, tried(&["late", "lost"])).await;
    let listed = store.queue.list(&QueueFilter::default(), None, 100).await.unwrap();
    settle(store, vec![warned(of("late", &listed))]).await;
    let failed = QueueOutcome { then: Then::Failed, ..deferred(of("lost", &listed)) };
    deliver_as(store, "report", 2, Delivery { concludes: vec![failed], ..delivery(&[alice], &[]) }).await;
}

/// What format 3 has brought: application passwords and grants; and a catch-all.
async fn fill_access(store: &Store) {
    let name = |text| AppPasswordName::parse(text).unwrap();
    let addresses = |text| Addresses::parse(text).unwrap();
    let bob = mailbox("bob");
    for app_password in ["lost", "phone"] {
        store.access.add_app_password(&bob, &name(app_password)).await.unwrap();
    }
    store.access.remove_app_password(&bob, &name("lost")).await.unwrap();
    for granted in ["@example.org", "press@example.test", "old@example.test"] {
        store.access.grant(&bob, &addresses(granted)).await.unwrap();
    }
    store.access.revoke(&bob, &addresses("old@example.test")).await.unwrap();
    let catch_all = Alias { address: addresses("@example.test"), targets: vec![mailbox("carol")] };
    store.administration.add_alias(&catch_all).await.unwrap();
}

/// What format 3 has brought: maildrops for subaddresses, which have come and gone, with their account and without.
async fn fill_subaddresses(store: &Store) {
    let detail = |text| Detail::parse(text).unwrap();
    let administration = &store.administration;
    administration.add_account(&mailbox("passing"), &secret("x")).await.unwrap();
    for (name, of) in [("bob", "junk"), ("bob", "lists"), ("passing", "junk")] {
        administration.add_maildrop(&mailbox(name), &detail(of)).await.unwrap();
    }
    for name in ["bob", "passing"] {
        let all = administration.usage().await.unwrap();
        let usage = all.iter().find(|usage| usage.account.address == mailbox(name)).unwrap();
        let maildrops: Vec<_> = usage.maildrops().map(|(_, maildrop)| maildrop).skip(1).collect();
        deliver(store, "filtered", 2, &maildrops, &[]).await;
        deliver(store, "expunged", 1, &maildrops, &[]).await;
        for maildrop in maildrops {
            expunge(store, maildrop, &[1]).await;
        }
    }
    administration.remove_maildrop(&mailbox("bob"), &detail("lists"), WithMail::GivenUp).await.unwrap();
    administration.remove_account(&mailbox("passing")).await.unwrap();
}

/// What format 2 has brought: second thoughts, quotas, imports, and what a compaction leaves.
async fn fill_since_format_2(store: &Store, [alice, bob, carol]: [MaildropId; 3]) {
    expunge(store, bob, &[0, 1, 2]).await;
    let expunged = expunged(store, bob).await;
    let [known, fresh, purged] = [0, 1, 2].map(|at| expunged.get(at..=at).unwrap());
    let administration = &store.maildrop_administration;
    administration.bring_back(bob, known, ReturnAs::Known).await.unwrap();
    administration.bring_back(bob, fresh, ReturnAs::New).await.unwrap();
    administration.purge(bob, purged).await.unwrap();
    let quota = Quota { octets: 1_000_000, messages: 100 };
    store.administration.set_quota(&mailbox("carol"), Some(quota)).await.unwrap();
    // So many days that nothing expires.
    let expiry = Some(Expiry::Days(NonZeroU16::MAX));
    for name in ["alice", "carol"] {
        let own = OwnRules { login_delay_seconds: Some(60), expiry, takeover: None };
        store.administration.set_rules(&mailbox(name), own).await.unwrap();
    }
    store.administration.set_rules(&mailbox("alice"), OwnRules::default()).await.unwrap();
    let unique_id = UniqueId::parse("000000045f3b2a1c").unwrap();
    let carried = Some(Carried { unique_id, received_at: 1_000_000_000 });
    deliver_as(store, "imported", 2, Delivery { carried, ..delivery(&[carol], &[]) }).await;
    // What format 3 has brought: what senders ask, and how a message came here.
    let held = Terms { release_at: Some(90_000_000_000), ..terms() };
    deliver_as(store, "held", 2, Delivery { terms: held, steps: steps(), ..delivery(&[carol], &[]) }).await;
    let mut asked = Delivery { terms: terms(), ..delivery(&[], &["asked", "plain"]) };
    asked.relay.first_mut().unwrap().terms.notify = Some(Notify::Never);
    deliver_as(store, "asked", 2, asked).await;
    // So much that is needed no more that the first segment is compacted.
    for _ in 0..60 {
        deliver(store, "in vain", 250, &[alice], &[]).await;
    }
    let in_vain: Vec<usize> = (5..65).collect();
    expunge(store, alice, &in_vain).await;
    let expunged = self::expunged(store, alice).await;
    administration.purge(alice, expunged.get(2..).unwrap()).await.unwrap();
    assert!(store.repair.compact().await.unwrap().segments > 0);
    expunge(store, carol, &[2]).await;
}

async fn expunge(store: &Store, maildrop: MaildropId, indices: &[usize]) {
    let mut lease = store.maildrops.lease(maildrop, Duration::from_mins(1)).await.unwrap();
    lease.expunge(indices).await.unwrap();
}

async fn expunged(store: &Store, maildrop: MaildropId) -> Vec<MessageId> {
    let kept = store.maildrop_administration.messages(maildrop, None, 1000).await.unwrap();
    kept.into_iter().filter(|kept| kept.expunged_at.is_some()).map(|kept| kept.message).collect()
}

/// All that a store holds, a line each.
async fn describe(store: &Store) -> String {
    let mut lines = Vec::new();
    for usage in store.administration.usage().await.unwrap() {
        let (account, quota) = (&usage.account, usage.quota);
        let own_rules = usage.own_rules;
        let name = account.address.local_part().as_str().to_owned();
        let (login, password) = (account.address.to_string(), secret(&format!("pw-{name}")));
        let may_log_in = store.directory.authenticate(&login, &password).await.unwrap().is_some();
        lines.push(format!("account {login} {:?} login {may_log_in} {quota:?}", account.maildrop));
        if own_rules != OwnRules::default() {
            lines.push(format!("rules {name} {own_rules:?}"));
        }
        if let Some(rules) = store.rule_files.rule_file(&account.address).await.unwrap() {
            let (octets, checksum) = (rules.as_str().len(), crc32c::crc32c(rules.as_str().as_bytes()));
            lines.push(format!("rule-file {name} {octets} {checksum:08x}"));
        }
        for one in store.access.app_passwords(&account.address).await.unwrap() {
            lines.push(format!("app-password {name} {} {}", one.name.as_str(), one.created_at));
        }
        for addresses in store.access.grants(&account.address).await.unwrap() {
            lines.push(format!("grant {name} {addresses}"));
        }
        for (address, maildrop) in usage.maildrops() {
            if maildrop != account.maildrop {
                lines.push(format!("maildrop {address} {maildrop:?}"));
            }
            describe_maildrop(store, address.local_part().as_str(), maildrop, &mut lines).await;
        }
    }
    for alias in store.administration.aliases().await.unwrap() {
        let targets: Vec<_> = alias.targets.iter().map(ToString::to_string).collect();
        lines.push(format!("alias {} {}", alias.address, targets.join(" ")));
    }
    for entry in store.queue.due(u64::MAX, None, 100).await.unwrap() {
        let content = store.queue.read(entry.id, 0, 100_000).await.unwrap();
        let checksum = crc32c::crc32c(&content);
        lines.push(format!(
            "queue {:?} {} due {} attempts {} {:?} {} {checksum:08x}",
            entry.id, entry.recipient, entry.due, entry.attempts, entry.last_result, entry.octets
        ));
        if entry.is_warned {
            lines.push(format!("warned {:?}", entry.id));
        }
        if entry.terms != Terms::default() {
            lines.push(format!("asked {:?} {:?} {:?}", entry.id, entry.terms, entry.recipient_terms));
        }
    }
    describe_traces(store, &mut lines).await;
    lines.join("\n") + "\n"
}

/// The lives of messages that have left, or are leaving. Those from before format 3 are not asked for.
async fn describe_traces(store: &Store, lines: &mut Vec<String>) {
    let known_as = TracedAs::MessageId("tried@example.test".to_owned());
    for message in store.traces.traced(&known_as, None, 100).await.unwrap() {
        let life = store.traces.trace(message).await.unwrap().unwrap();
        lines.push(format!("trace {message:?} {:?} {:?}", life.message_id, life.rows));
        for recipient in life.recipients {
            let ended = recipient.ended.map(|(_, how)| how);
            lines.push(format!("to {} {:?} {ended:?}", recipient.mailbox, recipient.attempts));
        }
    }
}

async fn describe_maildrop(store: &Store, name: &str, maildrop: MaildropId, lines: &mut Vec<String>) {
    let administration = &store.maildrop_administration;
    for kept in administration.messages(maildrop, None, 1000).await.unwrap() {
        let entry = kept.entry;
        let mut content = Vec::new();
        while (content.len() as u64) < entry.octets {
            let offset = content.len() as u64;
            let octets = administration.read(maildrop, kept.message, offset, 100_000).await;
            let octets = octets.unwrap();
            assert!(!octets.is_empty(), "message {:?} ends too early", kept.message);
            content.extend(octets);
        }
        let checksum = crc32c::crc32c(&content);
        let (id, octets, header, at) =
            (entry.unique_id, entry.octets, entry.header_octets, entry.received_at);
        let what = if kept.expunged_at.is_some() { "expunged" } else { "message" };
        lines.push(format!("{what} {name} {id} {octets} {header} {at} {checksum:08x}"));
        let life = administration.life(maildrop, kept.message).await.unwrap();
        if life.terms != Terms::default() {
            lines.push(format!("life {id} {:?} {:?}", life.terms, life.rows));
            assert_eq!(entry.release_at, life.terms.release_at);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_of_every_format_opens_and_holds_what_was_put_into_it() {
    let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let mut opened = 0;
    for sample in fs::read_dir(samples).unwrap() {
        let sample = sample.unwrap().path();
        let folder = tempfile::tempdir().unwrap();
        copy(&sample, folder.path());
        for _ in 0..2 {
            let store = open(options(folder.path())).await.unwrap();
            let holds = fs::read_to_string(sample.join("holds.txt")).unwrap();
            assert_eq!(describe(&store).await, holds, "{}", sample.display());
            store.close().await;
        }
        opened += 1;
    }
    assert!(opened > 0);
}

/// What is known of the header fields of all messages.
async fn repertoires(store: &Store) -> Vec<Repertoire> {
    let mut repertoires = Vec::new();
    for account in store.administration.accounts().await.unwrap() {
        let kept = store.maildrop_administration.messages(account.maildrop, None, 1000).await.unwrap();
        repertoires.extend(kept.iter().map(|kept| kept.entry.repertoire));
    }
    repertoires
}

#[tokio::test]
async fn of_messages_of_an_older_release_nobody_knows_what_their_header_fields_hold() {
    for format in ["1", "2", "3"] {
        let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(format);
        let folder = tempfile::tempdir().unwrap();
        copy(&sample, folder.path());
        let store = open(options(folder.path())).await.unwrap();
        let before = repertoires(&store).await;
        assert!(!before.is_empty() && before.iter().all(|known| *known == Repertoire::Unknown), "{before:?}");
        let alice = store.directory.account("alice@example.test").await.unwrap().unwrap().maildrop;
        deliver(&store, "gr\u{fc}n", 1, &[alice], &[]).await;
        assert_eq!(repertoires(&store).await.iter().filter(|known| **known == Repertoire::Utf8).count(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn an_account_of_an_older_format_gets_its_keys_for_scram_when_it_logs_in() {
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/formats/2");
    let folder = tempfile::tempdir().unwrap();
    copy(&sample, folder.path());
    let store = open(options(folder.path())).await.unwrap();
    let keys = async |store: &Store, login| store.directory.scram_keys(login).await.unwrap();
    let of = |keys: &ScramKeys, password| {
        ScramKeys::derive(&secret(password), &keys.salt, keys.iterations) == *keys
    };
    let before = keys(&store, "alice@example.test").await;
    assert!(!of(&before, "pw-alice"));
    let wrong = store.directory.authenticate("alice@example.test", &secret("wrong")).await.unwrap();
    assert!(wrong.is_none());
    assert_eq!(keys(&store, "alice@example.test").await, before);
    for _ in 0..2 {
        let right = store.directory.authenticate("alice@example.test", &secret("pw-alice")).await.unwrap();
        assert!(right.is_some());
    }
    let after = keys(&store, "alice@example.test").await;
    assert!(of(&after, "pw-alice"));
    assert_eq!(after.salt, before.salt, "nobody sees from outside that it is a login");
    let bob = keys(&store, "bob@example.test").await;
    store.close().await;
    // Not from the index, nor from where they were written first.
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let store = open(options(folder.path())).await.unwrap();
    store.repair.compact().await.unwrap();
    assert_eq!(keys(&store, "alice@example.test").await, after);
    assert_eq!(keys(&store, "bob@example.test").await, bob);
    store.close().await;
}

#[tokio::test]
async fn what_this_release_writes_it_reads_again() {
    let temporary = tempfile::tempdir().unwrap();
    let kept =
        std::env::var_os(SAMPLE).map(|path| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path));
    let folder = kept.clone().unwrap_or_else(|| temporary.path().to_owned());
    let store = open(options(&folder)).await.unwrap();
    fill(&store).await;
    let holds = describe(&store).await;
    let count = |what| holds.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!((count("message "), count("expunged ")), (21, 4), "{holds}");
    assert_eq!((count("queue "), count("warned ")), (8, 2), "{holds}");
    assert_eq!((count("trace "), count("to ")), (2, 5), "{holds}");
    assert_eq!(count("maildrop "), 1, "{holds}");
    assert_eq!((count("life "), count("asked ")), (1, 2), "{holds}");
    assert_eq!((count("rules "), count("rule-file ")), (1, 2), "{holds}");
    assert_eq!((count("app-password "), count("grant "), count("alias @")), (1, 2, 1), "{holds}");
    store.close().await;
    let store = open(options(&folder)).await.unwrap();
    assert_eq!(describe(&store).await, holds);
    store.close().await;
    if kept.is_some() {
        fs::write(folder.join("holds.txt"), holds).unwrap();
        // They are made anew, and say nothing about the format.
        for name in ["index", "spool"] {
            fs::remove_dir_all(folder.join(name)).unwrap();
        }
        for name in ["reserve", "LOCK"] {
            fs::remove_file(folder.join(name)).unwrap();
        }
    }
}
