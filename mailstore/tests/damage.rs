//! Octets of a store flip at random: it opens, everything that is whole is read as it was sent, and whatever is not is
//! named.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mailstore::{
    Delivery, Depth, Fate, Finding, MaildropId, Options, Owner, Problem, Seen, Speed, Store, Terms, TraceRow,
    UniqueId, open,
};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::secret::Secret;

const MESSAGES: usize = 300;
const ACCOUNTS: usize = 3;
const FLIPS: u64 = 60;

/// Numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 16) % limit
    }
}

/// So little memory that some messages go to files of their own.
fn options(path: &Path) -> Options {
    Options { path: path.to_owned(), reserve_octets: 0, draft_memory_octets_max: 8000, ..Options::default() }
}

fn content(number: usize) -> String {
    let lines = if number.is_multiple_of(50) { 400 } else { number % 60 };
    let line = |line| format!("message {number}, line {line}, and what one writes in a line\r\n");
    format!("Subject: {number}\r\n\r\n") + &(0..lines).map(line).collect::<String>()
}

async fn filled(store: &Store) -> Vec<MaildropId> {
    let mut drops = Vec::new();
    for number in 0..ACCOUNTS {
        let address = Mailbox::parse(&format!("user{number}@example.test")).unwrap();
        let password = Secret::new("x".to_owned());
        drops.push(store.administration.add_account(&address, &password).await.unwrap().maildrop);
    }
    for number in 0..MESSAGES {
        let mut draft = store.intake.draft(0).await.unwrap();
        draft.write(content(number).as_bytes()).await.unwrap();
        let delivery = Delivery {
            delivery_prefix: Vec::new(),
            prefix: Vec::new(),
            reverse_path: ReversePath::Null,
            maildrops: drops.get(number % ACCOUNTS).copied().into_iter().collect(),
            fate: Fate::Shared,
            relay: Vec::new(),
            terms: Terms::default(),
            local: Vec::new(),
            steps: Vec::new(),
            trace: TraceRow::default(),
            carried: None,
            concludes: Vec::new(),
        };
        draft.commit(delivery).await.unwrap();
    }
    drops
}

/// Every message, by its unique-id.
async fn read_all(store: &Store, drops: &[MaildropId]) -> BTreeMap<UniqueId, Vec<u8>> {
    let mut all = BTreeMap::new();
    for maildrop in drops {
        for kept in store.maildrop_administration.messages(*maildrop, None, MESSAGES).await.unwrap() {
            let mut content = Vec::new();
            while (content.len() as u64) < kept.entry.octets {
                let offset = content.len() as u64;
                let read = store.maildrop_administration.read(*maildrop, kept.message, offset, 100_000);
                content.extend(read.await.unwrap());
            }
            all.insert(kept.entry.unique_id, content);
        }
    }
    all
}

/// Every file that matters, with its length.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            files.extend(self::files(&entry.path()));
        } else if metadata.is_file() && entry.file_name() != "reserve" {
            files.push((entry.path(), metadata.len()));
        }
    }
    files.sort();
    files
}

fn flip(files: &[(PathBuf, u64)], random: &mut Random) {
    let mut at = random.below(files.iter().map(|(_, octets)| octets).sum());
    for (path, octets) in files {
        if at < *octets {
            let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
            let mut octet = [0];
            file.read_exact_at(&mut octet, at).unwrap();
            file.write_all_at(&[octet[0] ^ (1 << random.below(8))], at).unwrap();
            return;
        }
        at -= octets;
    }
}

async fn findings(store: &Store) -> Vec<Finding> {
    let (tell, mut seen) = tokio::sync::mpsc::channel(16);
    let repair = store.repair.clone();
    let check = tokio::spawn(async move { repair.check(Depth::Content, Speed::Full, tell).await });
    let mut findings = Vec::new();
    while let Some(saw) = seen.recv().await {
        if let Seen::Finding(finding) = saw {
            findings.push(finding);
        }
    }
    check.await.unwrap().unwrap();
    findings
}

#[tokio::test]
async fn whatever_octets_flip_the_store_opens_and_names_what_is_damaged() {
    let mut concerned = 0;
    for seed in 1..=4 {
        let folder = tempfile::tempdir().unwrap();
        let store = open(options(folder.path())).await.unwrap();
        let drops = filled(&store).await;
        let sent = read_all(&store, &drops).await;
        assert_eq!(sent.len(), MESSAGES);
        store.close().await;
        let (files, mut random) = (files(folder.path()), Random(seed));
        for _ in 0..FLIPS {
            flip(&files, &mut random);
        }

        let store = open(options(folder.path())).await.unwrap();
        let findings = findings(&store).await;
        let owners = findings.iter().flat_map(|finding| &finding.owners);
        let named: BTreeSet<_> = owners
            .filter_map(|owner| match owner {
                Owner::Account { unique_id, .. } => Some(unique_id),
                Owner::Recipient(_) => None,
            })
            .collect();
        let found = read_all(&store, &drops).await;
        for (unique_id, content) in &found {
            let is_whole = sent.get(unique_id) == Some(content);
            assert!(
                is_whole || named.contains(unique_id),
                "seed {seed}: {unique_id} is damaged and not named"
            );
            concerned += usize::from(!is_whole);
        }
        // Where both heads of a record are hit, and the index as well, there is only the place to be named.
        let places = findings.iter().filter(|finding| finding.problem == Problem::RecordLost).count();
        assert!(sent.len() - found.len() <= places, "seed {seed}: {findings:#?}");
        store.close().await;
    }
    assert!(concerned > 20, "only {concerned} messages were hit");
}
