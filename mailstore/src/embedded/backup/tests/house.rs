//! A store, its backup, and what comes back: what the tests of this folder share.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mailwire::address::{Mailbox, ReversePath};
use mailwire::secret::Secret;
use tempfile::TempDir;

use super::super::*;
use crate::contract::{account, deferred, deliver_text, lease, options};
use crate::{
    Alias, Carried, Delivery, Fate, MaildropId, Options, Progress, QueueFilter, QueueOutcome, QueueState,
    RecipientTerms, RelayRecipient, Store, Terms, Then, TraceRow, UniqueId,
};

/// More than fits into the journal itself, and into one piece.
pub(super) const LARGE_OCTETS: usize = 5 << 20;

/// A folder for a store, one for its backup, and one to restore to.
pub(super) struct House {
    folder: TempDir,
}

impl House {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) async fn store(&self) -> Store {
        opened(&self.at("store")).await
    }

    pub(super) fn backup(&self) -> Backup {
        Backup::open(&self.at("backup")).unwrap()
    }

    pub(super) async fn back_up(&self, store: &Store) -> Taken {
        self.read(store, Reading::New).await.unwrap()
    }

    pub(super) async fn read(&self, store: &Store, reading: Reading) -> Result<Taken, BackupError> {
        let plan = BackupPlan { folder: self.at("backup"), reading };
        back_up(store, plan, |_| ControlFlow::Continue(())).await
    }

    /// What the snapshot holds once it is restored and opened.
    pub(super) async fn restored(&self, which: Which) -> String {
        let to = self
            .folder
            .path()
            .join(format!("restored-{}", fs::read_dir(self.folder.path()).unwrap().count()));
        let restored = self.backup().restore(&which, &to, &mut go_on).unwrap();
        assert_eq!(restored.damaged, Vec::<String>::new());
        let store = opened(&to).await;
        let found = describe(&store).await;
        store.close().await;
        found
    }

    /// All files under the backup.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.at("backup")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }

    /// The objects by their size.
    pub(super) fn objects(&self) -> Vec<(PathBuf, u64)> {
        let objects = self.files().into_iter().filter(|path| path.starts_with(self.at("backup/objects")));
        objects.map(|path| (path.clone(), path.metadata().unwrap().len())).collect()
    }

    pub(super) fn verified(&self) -> Verified {
        self.backup().verify(None, &mut go_on).unwrap()
    }
}

pub(super) fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What is expunged is given up as soon as somebody asks for space.
pub(super) async fn opened(path: &Path) -> Store {
    crate::open(Options { undelete_days: 0, ..options(path) }).await.unwrap()
}

pub(super) fn mailbox(name: &str) -> Mailbox {
    Mailbox::parse(&format!("{name}@example.test")).unwrap()
}

pub(super) fn delivery(maildrops: &[MaildropId]) -> Delivery {
    Delivery {
        delivery_prefix: b"Return-Path: <a@example.test>\r\n".to_vec(),
        prefix: b"Received: here\r\n".to_vec(),
        reverse_path: ReversePath::Null,
        maildrops: maildrops.to_vec(),
        fate: Fate::Shared,
        relay: Vec::new(),
        terms: Terms::default(),
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow::default(),
        carried: None,
        concludes: Vec::new(),
    }
}

pub(super) async fn deliver(store: &Store, content: &[u8], delivery: Delivery) {
    let mut draft = store.intake.draft(0).await.unwrap();
    draft.write(content).await.unwrap();
    draft.commit(delivery).await.unwrap();
}

pub(super) fn large(text: &str) -> Vec<u8> {
    let line = format!("{text:>14}\r\n");
    [format!("Subject: {text}\r\n\r\n").into_bytes(), line.repeat(LARGE_OCTETS / 16).into_bytes()].concat()
}

/// A message that fits into the journal.
pub(super) fn middling(number: u64) -> Vec<u8> {
    format!("Subject: {number}\r\n\r\n{}", format!("{number:>14}\r\n").repeat(12_000)).into_bytes()
}

/// Something of everything. Gives the maildrops of alice and bob.
pub(super) async fn fill(store: &Store) -> (MaildropId, MaildropId) {
    let (alice, bob) = (account(store, "alice").await.maildrop, account(store, "bob").await.maildrop);
    let gone = account(store, "gone").await.maildrop;
    deliver_text(store, gone, "gone").await;
    store.administration.remove_account(&mailbox("gone")).await.unwrap();
    let targets = vec![mailbox("alice"), mailbox("bob")];
    store.administration.add_alias(&Alias { address: mailbox("both").into(), targets }).await.unwrap();
    for number in 0..6 {
        deliver_text(store, alice, &format!("number {number}")).await;
    }
    deliver(store, &large("large"), delivery(&[alice, bob])).await;
    let carried = Some(Carried { unique_id: UniqueId::parse("carried").unwrap(), received_at: 77 });
    deliver(store, b"A: b\r\n\r\n", Delivery { carried, ..delivery(&[bob]) }).await;
    let relay = |name: &str| RelayRecipient {
        mailbox: mailbox(name),
        due: 1000,
        expires: 9_000_000_000,
        terms: RecipientTerms::default(),
    };
    let relay = vec![relay("deferred"), relay("held"), relay("finished")];
    deliver(store, b"A: b\r\n\r\nrelayed\r\n", Delivery { relay, ..delivery(&[]) }).await;
    let due = store.queue.due(2000, None, 10).await.unwrap();
    let relayed = QueueOutcome { id: due[2].id, attempt: None, then: Then::Relayed };
    store.queue.settle(vec![deferred(due[0].id, 3000, "451 not now"), relayed]).await.unwrap();
    store.queue.hold(&[due[1].id], QueueState::Held).await.unwrap();
    lease(store, alice).await.expunge(&[1, 4]).await.unwrap();
    (alice, bob)
}

/// All that a store holds, a line each.
pub(super) async fn describe(store: &Store) -> String {
    let mut lines = Vec::new();
    for account in store.administration.accounts().await.unwrap() {
        let login = account.address.to_string();
        let password = Secret::new(format!("pw-{}", account.address.local_part().as_str()));
        let may = store.directory.authenticate(&login, &password).await.unwrap().is_some();
        lines.push(format!("account {login} {:?} {may}", account.maildrop));
        let administration = &store.maildrop_administration;
        for kept in administration.messages(account.maildrop, None, 10_000).await.unwrap() {
            let mut content = Vec::new();
            loop {
                let offset = content.len() as u64;
                let octets =
                    administration.read(account.maildrop, kept.message, offset, 1 << 20).await.unwrap();
                if octets.is_empty() {
                    break;
                }
                content.extend(octets);
            }
            lines.push(format!("message {kept:?} {}", objects::ObjectName::of(&content)));
        }
    }
    lines.extend(store.administration.aliases().await.unwrap().iter().map(|alias| format!("{alias:?}")));
    let due = store.queue.list(&QueueFilter::default(), None, 100).await.unwrap();
    lines.extend(due.iter().map(|entry| format!("{entry:?}")));
    lines.join("\n")
}

pub(super) fn flip(path: &Path, offset: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut octet = [0];
    file.read_exact_at(&mut octet, offset).unwrap();
    file.write_all_at(&[octet[0] ^ 0x10], offset).unwrap();
}
