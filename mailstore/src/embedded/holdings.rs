//! What maildrops hold, known without a look into the trees: how much that is, and their listings while they only grow.

use std::collections::HashMap;
use std::sync::Arc;

use super::index::{Index, IndexError};
use super::keys::{EntryValue, Subject, Usage};
use crate::Entry;
use crate::terms::is_released;
use mailwire::clock;

/// Messages of all listings that are kept, at 160 to 320 octets each. Most programs look for mail again and again, and mostly
/// there is none, or little more than the last time.
const LISTED_MAX: usize = 128 << 10;

/// Of all maildrops.
#[derive(Default)]
pub(crate) struct Holdings {
    maildrops: HashMap<u64, Holding>,
    /// Messages of the listings that are kept.
    listed: usize,
}

#[derive(Default)]
struct Holding {
    usage: Usage,
    /// How often it has changed.
    changes: u64,
    listing: Option<Arc<Listing>>,
}

/// A maildrop as a lease finds it.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    /// Identity and place of each.
    pub(super) places: Vec<(u64, Subject)>,
    /// When the first of those is released that may not be read yet.
    until: Option<u64>,
}

impl Holdings {
    /// Of maildrops whose entries nobody has seen yet.
    pub(super) fn of(usages: HashMap<u64, Usage>) -> Self {
        let holding = |(maildrop, usage)| (maildrop, Holding { usage, ..Holding::default() });
        Self { maildrops: usages.into_iter().map(holding).collect(), listed: 0 }
    }

    /// How much is in each.
    pub(super) fn usages(&self) -> impl Iterator<Item = (u64, Usage)> {
        self.maildrops.iter().map(|(maildrop, holding)| (*maildrop, holding.usage))
    }

    /// How much is in one.
    pub(super) fn usage(&self, maildrop: u64) -> Usage {
        self.maildrops.get(&maildrop).map(|holding| holding.usage).unwrap_or_default()
    }

    /// A message has come. A listing that nobody reads just now goes on with it.
    pub(super) fn added(&mut self, maildrop: u64, message: u64, entry: &EntryValue) {
        let is_room = self.listed < LISTED_MAX;
        let holding = self.maildrops.entry(maildrop).or_default();
        holding.usage.add(entry);
        match holding.listing.as_mut().and_then(Arc::get_mut) {
            Some(listing) if is_room && listing.ends_before(message) => {
                holding.changes += 1;
                let before = listing.places.len();
                listing.take(message, entry.clone(), clock::unix_seconds());
                self.listed += listing.places.len() - before;
            }
            _ => {
                self.change(maildrop);
            }
        }
    }

    /// A message has gone.
    pub(super) fn removed(&mut self, maildrop: u64, entry: &EntryValue) {
        self.change(maildrop).usage.remove(entry);
    }

    /// A message is elsewhere now, or has another unique-id.
    pub(super) fn changed(&mut self, maildrop: u64) {
        self.change(maildrop);
    }

    /// The maildrop is no more.
    pub(super) fn ended(&mut self, maildrop: u64) {
        self.change(maildrop);
        self.maildrops.remove(&maildrop);
    }

    fn change(&mut self, maildrop: u64) -> &mut Holding {
        let holding = self.maildrops.entry(maildrop).or_default();
        holding.changes += 1;
        let kept = holding.listing.take();
        self.listed = self.listed.saturating_sub(kept.map_or(0, |listing| listing.places.len()));
        holding
    }

    /// The listing of a maildrop that has not changed since it was made.
    pub(super) fn listing(&self, maildrop: u64, now: u64) -> Option<Arc<Listing>> {
        let listing = self.maildrops.get(&maildrop)?.listing.as_ref()?;
        listing.until.is_none_or(|until| now < until).then(|| Arc::clone(listing))
    }

    fn changes(&self, maildrop: u64) -> u64 {
        self.maildrops.get(&maildrop).map_or(0, |holding| holding.changes)
    }

    /// Keeps a listing that was made since the maildrop had changed so often, where it has not changed meanwhile; all others
    /// are given up where there is no room.
    fn keep(&mut self, maildrop: u64, changes: u64, listing: &Arc<Listing>) {
        let messages = listing.places.len();
        if self.changes(maildrop) != changes || messages > LISTED_MAX {
            return;
        }
        if self.listed + messages > LISTED_MAX {
            self.maildrops.values_mut().for_each(|holding| holding.listing = None);
            self.listed = 0;
        }
        let Some(holding) = self.maildrops.get_mut(&maildrop) else { return };
        if let Some(old) = holding.listing.replace(Arc::clone(listing)) {
            self.listed = self.listed.saturating_sub(old.places.len());
        }
        self.listed += messages;
    }
}

impl Listing {
    /// All messages of a maildrop that may be read by now: it must never seem to have lost some, since clients forget then
    /// which ones they have fetched. In between come deliveries, or the account's end.
    pub(super) fn made(index: &Index, maildrop: u64) -> Result<Arc<Self>, IndexError> {
        let (before, changes) = {
            let holdings = index.holdings();
            (holdings.usage(maildrop).messages, holdings.changes(maildrop))
        };
        let mut listing = Self::with_room_for(before);
        let (mut counted, now) = (0_u64, clock::unix_seconds());
        for entry in index.entries(maildrop) {
            let (message, value) = entry?;
            counted += 1;
            listing.take(message, value, now);
        }
        let listing = Arc::new(listing);
        let mut holdings = index.holdings();
        let after = holdings.usage(maildrop).messages;
        if !(before.min(after)..=before.max(after)).contains(&counted) {
            return Err(IndexError::Miscounted { counted, expected: after });
        }
        holdings.keep(maildrop, changes, &listing);
        Ok(listing)
    }

    fn with_room_for(messages: u64) -> Self {
        let messages = usize::try_from(messages).unwrap_or_default();
        Self { entries: Vec::with_capacity(messages), places: Vec::with_capacity(messages), until: None }
    }

    fn ends_before(&self, message: u64) -> bool {
        self.places.last().is_none_or(|(last, _)| *last < message)
    }

    fn take(&mut self, message: u64, value: EntryValue, now: u64) {
        if is_released(value.release_at, now) {
            self.places.push((message, value.subject));
            self.entries.push(entry(value));
        } else {
            self.until = self.until.into_iter().chain(value.release_at).min();
        }
    }
}

/// A message as its readers see it.
pub(crate) fn entry(value: EntryValue) -> Entry {
    Entry {
        unique_id: value.unique_id,
        octets: value.subject.octets,
        header_octets: value.subject.header_octets,
        repertoire: value.subject.repertoire,
        received_at: value.received_at,
        release_at: value.release_at,
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::Location;
    use super::*;
    use crate::UniqueId;

    const ALICE: u64 = 1;
    const BOB: u64 = 2;

    fn value(release_at: Option<u64>) -> EntryValue {
        let subject = Subject {
            location: Location { segment: 1, offset: 0 },
            front_octets: 0,
            octets: 100,
            header_octets: 10,
            repertoire: crate::Repertoire::Ascii,
            file: None,
        };
        EntryValue { unique_id: UniqueId::minted([1; 16]), received_at: 0, subject, release_at }
    }

    fn listing(messages: usize) -> Arc<Listing> {
        let mut listing = Listing::default();
        (0..messages).for_each(|_| listing.take(7, value(None), 0));
        Arc::new(listing)
    }

    /// Alice and Bob have a message each.
    fn holdings() -> Holdings {
        let mut holdings = Holdings::default();
        for maildrop in [ALICE, BOB] {
            holdings.added(maildrop, 7, &value(None));
        }
        holdings
    }

    #[test]
    fn a_listing_is_known_until_its_maildrop_changes() {
        let changes: [fn(&mut Holdings); 4] = [
            |holdings| holdings.added(ALICE, 6, &value(None)),
            |holdings| holdings.removed(ALICE, &value(None)),
            |holdings| holdings.changed(ALICE),
            |holdings| holdings.ended(ALICE),
        ];
        for change in changes {
            let mut holdings = holdings();
            holdings.keep(ALICE, 1, &listing(1));
            holdings.keep(BOB, 1, &listing(1));
            assert!(holdings.listing(ALICE, 0).is_some());
            change(&mut holdings);
            assert!(holdings.listing(ALICE, 0).is_none());
            assert!(holdings.listing(BOB, 0).is_some());
            assert_eq!(holdings.listed, 1);
        }
    }

    #[test]
    fn a_listing_goes_on_with_a_message_that_comes() {
        let mut holdings = holdings();
        holdings.keep(ALICE, 1, &listing(1));
        holdings.added(ALICE, 8, &value(None));
        holdings.added(ALICE, 9, &value(Some(u64::MAX)));
        let found = holdings.listing(ALICE, 0).unwrap();
        assert_eq!(found.places.iter().map(|(message, _)| *message).collect::<Vec<_>>(), [7, 8]);
        assert_eq!((found.entries.len(), found.until, holdings.listed), (2, Some(u64::MAX), 2));
        // Now somebody reads it.
        holdings.added(ALICE, 10, &value(None));
        assert!(holdings.listing(ALICE, 0).is_none());
        assert_eq!((found.places.len(), holdings.listed), (2, 0));
    }

    #[test]
    fn a_listing_goes_on_while_there_is_room() {
        let mut holdings = holdings();
        holdings.keep(ALICE, 1, &listing(LISTED_MAX - 1));
        holdings.added(ALICE, 8, &value(None));
        assert_eq!(holdings.listing(ALICE, 0).unwrap().places.len(), LISTED_MAX);
        holdings.added(ALICE, 9, &value(None));
        assert!(holdings.listing(ALICE, 0).is_none());
        assert_eq!(holdings.listed, 0);
    }

    #[test]
    fn a_listing_during_which_something_changed_is_not_kept() {
        let mut holdings = holdings();
        let before = holdings.changes(ALICE);
        holdings.changed(ALICE);
        holdings.keep(ALICE, before, &listing(1));
        assert!(holdings.listing(ALICE, 0).is_none());
    }

    #[test]
    fn listings_that_are_kept_have_a_limit() {
        let mut holdings = holdings();
        holdings.keep(ALICE, 1, &listing(LISTED_MAX - 1));
        holdings.keep(BOB, 1, &listing(1));
        assert!(holdings.listing(ALICE, 0).is_some() && holdings.listing(BOB, 0).is_some());
        assert_eq!(holdings.listed, LISTED_MAX);
        holdings.keep(BOB, 1, &listing(2));
        assert!(holdings.listing(ALICE, 0).is_none() && holdings.listing(BOB, 0).is_some());
        assert_eq!(holdings.listed, 2);
        holdings.keep(ALICE, 1, &listing(LISTED_MAX + 1));
        assert!(holdings.listing(ALICE, 0).is_none() && holdings.listing(BOB, 0).is_some());
    }

    #[test]
    fn a_listing_is_over_when_a_message_is_released() {
        let mut made = Listing::default();
        for release_at in [Some(300), None, Some(200)] {
            made.take(7, value(release_at), 100);
        }
        assert_eq!(made.places.len(), 1);
        let mut holdings = holdings();
        holdings.keep(ALICE, 1, &Arc::new(made));
        assert!(holdings.listing(ALICE, 199).is_some());
        assert!(holdings.listing(ALICE, 200).is_none());
    }
}
