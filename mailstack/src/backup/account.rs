//! What an account has lost comes back from a snapshot: once, however often it is done.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mailstore::{
    Backup, BackupError, Carried, Delivery, Fate, IntakeError, Kept, MaildropError, MaildropId, PastMessage,
    PastStore, ReturnAs, Store, Terms, TraceRow, UniqueId, Which,
};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::clock;
use thiserror::Error;

use crate::arguments::Whereabouts;
use crate::exchange::maildrop::{self, Pages, messages, until_interrupted, were_there};
use crate::output::Output;
use crate::place::Place;

/// Octets of a message that are read at a time.
const CHUNK_OCTETS: usize = 256 << 10;

/// What is wanted.
pub(super) struct Wish<'a> {
    pub(super) address: &'a str,
    /// Only this message.
    pub(super) unique_id: Option<&'a UniqueId>,
    pub(super) whereabouts: &'a Whereabouts,
}

/// Why not all that was wanted is there.
#[derive(Debug, Error)]
enum AccountError {
    #[error(
        "there was no account or maildrop {address} in the snapshot {snapshot}; `mailstack backup list` shows the others"
    )]
    NoAccount { address: Mailbox, snapshot: String },
    #[error(
        "{address} had no message {unique_id} in the snapshot {snapshot}; `mailstack backup list` shows the others"
    )]
    NoMessage { address: Mailbox, unique_id: UniqueId, snapshot: String },
    #[error("the restore stopped; what was restored stays, and the same command goes on from there")]
    Intake(#[from] IntakeError),
    #[error("the restore stopped; what was restored stays, and the same command goes on from there")]
    Maildrop(#[from] MaildropError),
    #[error("the restore stopped; what was restored stays, and the same command goes on from there")]
    Read(#[from] io::Error),
    #[error("the restore was stopped; what was restored stays, and the same command goes on from there")]
    Interrupted,
    #[error("{} of the backup are damaged and were not restored; another snapshot may have them whole", messages(*.0))]
    Damaged(u64),
}

/// What has become of the messages.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    restored: u64,
    returned: u64,
    there: u64,
    damaged: u64,
}

/// What the maildrop has of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    There,
    Deleted(mailstore::MessageId),
}

struct Restore<'a> {
    store: &'a Store,
    past: &'a PastStore,
    output: &'a Output,
    maildrop: MaildropId,
    count: Count,
}

/// Does what `wish` says.
pub(super) async fn run(
    backup: Backup,
    which: Which,
    wish: &Wish<'_>,
    output: &Output,
) -> Result<(), Box<dyn Error>> {
    let place = Place::find(wish.whereabouts)?;
    let address = Mailbox::parse(wish.address)?;
    output.progress("reading the snapshot");
    let opened = tokio::task::spawn_blocking(move || PastStore::open(&backup, &which)).await;
    output.progress("");
    let past = opened.map_err(io::Error::other)??;
    let wanted = wanted(&past, &address, wish.unique_id)?;
    let store = place.open().await?;
    let restored = restore(&store, &past, (&address, &wanted), output).await;
    store.close().await;
    if wish.unique_id.is_none() {
        for further in past.further(&address)? {
            output.line(&format!("(the mail of its maildrop {further} is restored by that address)"));
        }
    }
    restored
}

/// The messages of the snapshot that are meant.
fn wanted(
    past: &PastStore,
    address: &Mailbox,
    unique_id: Option<&UniqueId>,
) -> Result<Vec<PastMessage>, Box<dyn Error>> {
    let snapshot = || past.snapshot().to_owned();
    let found: Result<Option<Vec<PastMessage>>, BackupError> = past.messages(address);
    let no_account = || AccountError::NoAccount { address: address.clone(), snapshot: snapshot() };
    let mut wanted = found?.ok_or_else(no_account)?;
    if let Some(unique_id) = unique_id {
        wanted.retain(|message| message.entry.unique_id == *unique_id);
        if wanted.is_empty() {
            let (address, unique_id) = (address.clone(), unique_id.clone());
            return Err(AccountError::NoMessage { address, unique_id, snapshot: snapshot() }.into());
        }
    }
    Ok(wanted)
}

async fn restore(
    store: &Store,
    past: &PastStore,
    (address, wanted): (&Mailbox, &[PastMessage]),
    output: &Output,
) -> Result<(), Box<dyn Error>> {
    let maildrop = maildrop::of(store, address).await?;
    let mut restore = Restore { store, past, output, maildrop, count: Count::default() };
    let restored = restore.all(wanted).await;
    output.progress("");
    output.line(&restore.count.words());
    Ok(restored?)
}

impl Restore<'_> {
    async fn all(&mut self, wanted: &[PastMessage]) -> Result<(), AccountError> {
        let mut states = self.states().await?;
        let mut deleted = Vec::new();
        let interrupted: Arc<AtomicBool> = until_interrupted();
        for message in wanted {
            match states.get(&message.entry.unique_id) {
                Some(State::There) => self.count.there = self.count.there.saturating_add(1),
                Some(State::Deleted(identity)) => deleted.push(*identity),
                None => {
                    self.message(message).await?;
                    states.insert(message.entry.unique_id.clone(), State::There);
                }
            }
            self.output.progress(&format!("{} of {}", self.count.words(), wanted.len()));
            if interrupted.load(Ordering::Relaxed) {
                return Err(AccountError::Interrupted);
            }
        }
        if !deleted.is_empty() {
            let administration = &self.store.maildrop_administration;
            administration.bring_back(self.maildrop, &deleted, ReturnAs::Known).await?;
            self.count.returned = deleted.len() as u64;
        }
        if self.count.damaged > 0 { Err(AccountError::Damaged(self.count.damaged)) } else { Ok(()) }
    }

    /// What the maildrop has, and has had and can bring back.
    async fn states(&self) -> Result<HashMap<UniqueId, State>, MaildropError> {
        let mut states = HashMap::new();
        let mut pages = Pages::new(self.store, self.maildrop);
        while let Some(page) = pages.next().await? {
            for Kept { message, entry, expunged_at, .. } in page {
                let state = expunged_at.map_or(State::There, |_| State::Deleted(message));
                if states.get(&entry.unique_id) != Some(&State::There) {
                    states.insert(entry.unique_id, state);
                }
            }
        }
        Ok(states)
    }

    /// Delivers a message again, as it was.
    async fn message(&mut self, message: &PastMessage) -> Result<(), AccountError> {
        let unique_id = message.entry.unique_id.clone();
        let Some(content) = self.past.content(message).await? else {
            self.output.progress("");
            self.output.line(&format!("message {unique_id} is damaged in the backup"));
            self.count.damaged = self.count.damaged.saturating_add(1);
            return Ok(());
        };
        let mut draft = self.store.intake.draft(message.entry.octets).await?;
        let mut offset = 0_u64;
        loop {
            let octets = content.read(offset, CHUNK_OCTETS).await?;
            if octets.is_empty() {
                break;
            }
            offset = offset.saturating_add(octets.len() as u64);
            draft.write(&octets).await?;
        }
        let delivery = Delivery {
            delivery_prefix: Vec::new(),
            prefix: Vec::new(),
            reverse_path: ReversePath::Null,
            maildrops: vec![self.maildrop],
            fate: Fate::Shared,
            relay: Vec::new(),
            terms: Terms { release_at: message.entry.release_at, ..Terms::default() },
            local: Vec::new(),
            steps: Vec::new(),
            trace: TraceRow {
                at: clock::unix_seconds(),
                session: String::new(),
                event: "restored".into(),
                detail: self.past.snapshot().to_owned(),
            },
            carried: Some(Carried { unique_id, received_at: message.entry.received_at }),
            concludes: Vec::new(),
        };
        draft.commit(delivery).await?;
        self.count.restored = self.count.restored.saturating_add(1);
        Ok(())
    }
}

impl Count {
    fn words(self) -> String {
        let Self { restored, returned, there, damaged } = self;
        let returned = if returned == 0 { String::new() } else { format!(", {returned} undeleted") };
        let damaged = if damaged == 0 { String::new() } else { format!(", {damaged} damaged") };
        format!("restored {}{returned}, {}{damaged}", messages(restored), were_there(there))
    }
}
