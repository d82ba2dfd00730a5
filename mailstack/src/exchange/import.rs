//! `mailstack import`: each message of a source into a maildrop, once, however often it is done.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mailstore::{
    Carried, Delivery, Draft, IntakeError, MaildropError, MaildropId, Store, Terms, TraceRow, UniqueId,
};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::clock;
use thiserror::Error;

use super::content_identity::{ContentHash, identity};
use super::maildrop;
use super::open::open_source;
use super::source::{Item, Position, Source, Unreadable};
use crate::arguments::ImportOptions;
use crate::output::Output;
use crate::place::Place;

/// Why an import is not complete.
#[derive(Debug, Error)]
enum ImportError {
    #[error("the import stopped; what was imported stays, and the same command goes on from there")]
    Store(#[from] IntakeError),
    #[error("the import was stopped; what was imported stays, and the same command goes on from there")]
    Interrupted,
    #[error("not all messages were imported; when the cause is mended, the same command imports the others")]
    Incomplete,
}

/// What a client that has fetched a message already will notice.
#[derive(Debug, Error)]
enum Notice {
    #[error("{name}: clients will fetch it again")]
    NoUniqueId {
        name: String,
        #[source]
        source: mailstore::NoUniqueId,
    },
    #[error("{name}: clients will fetch it again, because {unique_id} is the unique-id of another message")]
    Taken { name: String, unique_id: UniqueId },
}

/// What has become of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    imported: u64,
    there: u64,
    unreadable: u64,
}

/// What has become of one.
enum Fate {
    Imported,
    There,
    LeftOut(Unreadable),
}

/// Why a message did not come into its draft.
enum ContentError {
    Source(io::Error),
    Draft(IntakeError),
}

struct Import<'a> {
    store: &'a Store,
    output: &'a Output,
    maildrop: MaildropId,
    /// Octets by unique-id of what the maildrop has, or has had and can still bring back.
    there: HashMap<UniqueId, u64>,
    /// Unique-ids that messages of the source carry.
    carried: HashSet<UniqueId>,
    /// How many messages of the source have had this content.
    equals: HashMap<[u8; 16], u64>,
    count: Count,
}

/// Does what `options` say.
pub(crate) async fn run(options: &ImportOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let place = Place::find(&options.whereabouts)?;
    let address = Mailbox::parse(&options.account)?;
    let mut source = open_source(&options.source, options.format, options.uidl_format.as_ref())?;
    let store = place.open().await?;
    let imported = import(&store, &address, &mut *source, output).await;
    store.close().await;
    imported
}

async fn import(
    store: &Store,
    address: &Mailbox,
    source: &mut dyn Source,
    output: &Output,
) -> Result<(), Box<dyn Error>> {
    let maildrop = maildrop::of(store, address).await?;
    let mut import = Import::new(store, output, maildrop).await?;
    let imported = import.all(source, &maildrop::until_interrupted()).await;
    output.progress("");
    output.line(&import.count.words());
    Ok(imported?)
}

impl<'a> Import<'a> {
    async fn new(store: &'a Store, output: &'a Output, maildrop: MaildropId) -> Result<Self, MaildropError> {
        let mut there = HashMap::new();
        let mut kept = maildrop::Pages::new(store, maildrop);
        while let Some(page) = kept.next().await? {
            there.extend(page.into_iter().map(|kept| (kept.entry.unique_id, kept.entry.octets)));
        }
        let count = Count::default();
        let (carried, equals) = (HashSet::new(), HashMap::new());
        Ok(Self { store, output, maildrop, there, carried, equals, count })
    }

    /// The messages come in one after the other: their order is that of their commits.
    async fn all(&mut self, source: &mut dyn Source, ended: &Arc<AtomicBool>) -> Result<(), ImportError> {
        while let Some(next) = source.next() {
            let fate = match next {
                Ok(item) => self.message(item, source).await?,
                Err(unreadable) => Fate::LeftOut(unreadable),
            };
            match fate {
                Fate::Imported => self.count.imported = self.count.imported.saturating_add(1),
                Fate::There => self.count.there = self.count.there.saturating_add(1),
                Fate::LeftOut(unreadable) => {
                    self.count.unreadable = self.count.unreadable.saturating_add(1);
                    self.say(&unreadable);
                }
            }
            self.output.progress(&self.count.progress(source.position()));
            if ended.load(Ordering::Relaxed) {
                return Err(ImportError::Interrupted);
            }
        }
        if self.count.unreadable > 0 { Err(ImportError::Incomplete) } else { Ok(()) }
    }

    async fn message(&mut self, item: Item, source: &mut dyn Source) -> Result<Fate, IntakeError> {
        let carried = self.carried(&item);
        let mut draft = self.store.intake.draft(0).await?;
        let (hash, octets) = match content(source, &mut *draft).await {
            Ok(content) => content,
            Err(ContentError::Draft(error)) => return Err(error),
            Err(ContentError::Source(source)) => {
                return Ok(Fate::LeftOut(Unreadable { name: item.name, source }));
            }
        };
        let own = self.own(hash);
        let there = carried.as_ref().and_then(|unique_id| self.there.get(unique_id)).copied();
        // Under its own identity it is there where it came in before it had another one.
        if there == Some(octets) || self.there.contains_key(&own) {
            return Ok(Fate::There);
        }
        let unique_id = match carried {
            Some(unique_id) if there.is_some() => {
                self.say(&Notice::Taken { name: item.name.clone(), unique_id });
                own
            }
            Some(unique_id) => unique_id,
            None => own,
        };
        draft.commit(self.delivery(item, unique_id.clone())).await?;
        self.there.insert(unique_id, octets);
        Ok(Fate::Imported)
    }

    /// The unique-id that a message has by its content, other than those that messages of the source carry.
    fn own(&mut self, hash: [u8; 16]) -> UniqueId {
        let equals = self.equals.entry(hash).or_default();
        loop {
            let own = UniqueId::minted(identity(hash, *equals));
            *equals = equals.saturating_add(1);
            if !self.carried.contains(&own) {
                return own;
            }
        }
    }

    /// The unique-id that the message keeps; the second one of two messages that carry the same gets another.
    fn carried(&mut self, item: &Item) -> Option<UniqueId> {
        let name = item.name.clone();
        match UniqueId::parse(item.carried.as_deref()?) {
            Ok(unique_id) if self.carried.insert(unique_id.clone()) => Some(unique_id),
            Ok(unique_id) => {
                self.say(&Notice::Taken { name, unique_id });
                None
            }
            Err(source) => {
                self.say(&Notice::NoUniqueId { name, source });
                None
            }
        }
    }

    fn delivery(&self, item: Item, unique_id: UniqueId) -> Delivery {
        let now = clock::unix_seconds();
        Delivery {
            delivery_prefix: Vec::new(),
            prefix: Vec::new(),
            reverse_path: ReversePath::Null,
            maildrops: vec![self.maildrop],
            fate: mailstore::Fate::Shared,
            relay: Vec::new(),
            terms: Terms::default(),
            local: Vec::new(),
            steps: Vec::new(),
            trace: TraceRow { at: now, session: String::new(), event: "imported".into(), detail: item.name },
            carried: Some(Carried { unique_id, received_at: item.received_at.unwrap_or(now) }),
            concludes: Vec::new(),
        }
    }

    fn say(&self, about: &(dyn Error + 'static)) {
        self.output.progress("");
        self.output.failure(about);
    }
}

/// Reads a message into a draft; gives the hash of its content and its octets.
async fn content(source: &mut dyn Source, draft: &mut dyn Draft) -> Result<([u8; 16], u64), ContentError> {
    let (mut hash, mut octets, mut chunk) = (ContentHash::default(), 0_u64, Vec::new());
    loop {
        source.read(&mut chunk).map_err(ContentError::Source)?;
        if chunk.is_empty() {
            return Ok((hash.finish(), octets));
        }
        hash.update(&chunk);
        octets = octets.saturating_add(chunk.len() as u64);
        draft.write(&chunk).await.map_err(ContentError::Draft)?;
    }
}

impl Count {
    fn words(self) -> String {
        let Self { imported, there, unreadable } = self;
        let imported = maildrop::messages(imported);
        let unreadable = match unreadable {
            0 => String::new(),
            count => format!(", {count} could not be read"),
        };
        format!("imported {imported}, {}{unreadable}", maildrop::were_there(there))
    }

    fn progress(self, position: Position) -> String {
        let percent = position.at.saturating_mul(100).checked_div(position.end).unwrap_or(100);
        format!("{percent} %: {}", self.words())
    }
}
