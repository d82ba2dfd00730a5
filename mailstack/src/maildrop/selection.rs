//! Which of a maildrop's deleted messages are meant.

use std::cmp::Reverse;
use std::collections::HashSet;

use mailstore::{Kept, MessageId, UniqueId};
use mailwire::address::Mailbox;
use thiserror::Error;

use super::moment::Moment;
use crate::arguments::DeletedSelection;

/// Why nothing is done.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum SelectionError {
    #[error(
        "there is no message {unique_id} in the maildrop of {address}; `mailstack maildrop list {address} --all` shows \
         those there are, deleted ones too"
    )]
    Missing { unique_id: UniqueId, address: Mailbox },
    #[error("the message {0} is not deleted")]
    NotDeleted(UniqueId),
    #[error(
        "no deleted message of {address} is selected; `mailstack maildrop list {address} --deleted` shows those there are"
    )]
    Nothing { address: Mailbox },
}

/// The messages of `kept`, the whole maildrop of `address`, that `selection` names.
pub(crate) fn selected(
    kept: &[Kept],
    selection: &DeletedSelection,
    address: &Mailbox,
) -> Result<Vec<MessageId>, SelectionError> {
    let mut deleted: Vec<(u64, &Kept)> =
        kept.iter().filter_map(|kept| Some((kept.expunged_at?, kept))).collect();
    if !selection.unique_ids.is_empty() {
        let named: HashSet<&UniqueId> = selection.unique_ids.iter().collect();
        deleted.retain(|(_, kept)| named.contains(&kept.entry.unique_id));
        all_found(&selection.unique_ids, kept, &deleted, address)?;
    } else if let Some(count) = selection.last {
        deleted.sort_by_key(|(at, kept)| Reverse((*at, kept.message)));
        deleted.truncate(count);
    } else {
        deleted.retain(|(at, _)| within(*at, selection.since, selection.until));
    }
    let mut messages: Vec<_> = deleted.iter().map(|(_, kept)| kept.message).collect();
    messages.sort_unstable();
    if messages.is_empty() { Err(SelectionError::Nothing { address: address.clone() }) } else { Ok(messages) }
}

/// True from `since` on and before `until`.
pub(crate) fn within(at: u64, since: Option<Moment>, until: Option<Moment>) -> bool {
    since.is_none_or(|since| Moment(at) >= since) && until.is_none_or(|until| Moment(at) < until)
}

fn all_found(
    named: &[UniqueId],
    kept: &[Kept],
    deleted: &[(u64, &Kept)],
    address: &Mailbox,
) -> Result<(), SelectionError> {
    let found: HashSet<&UniqueId> = deleted.iter().map(|(_, kept)| &kept.entry.unique_id).collect();
    let Some(other) = named.iter().find(|unique_id| !found.contains(unique_id)) else { return Ok(()) };
    let unique_id = other.clone();
    Err(if kept.iter().any(|kept| kept.entry.unique_id == unique_id) {
        SelectionError::NotDeleted(unique_id)
    } else {
        SelectionError::Missing { unique_id, address: address.clone() }
    })
}

#[cfg(test)]
mod tests {
    use mailstore::{Entry, Repertoire};

    use super::*;

    fn id(text: &str) -> UniqueId {
        UniqueId::parse(text).unwrap()
    }

    fn kept(message: u64, expunged_at: Option<u64>) -> Kept {
        let entry = Entry {
            unique_id: id(&format!("u{message}")),
            octets: 2,
            header_octets: 2,
            repertoire: Repertoire::Ascii,
            received_at: message,
            release_at: None,
        };
        Kept { message: MessageId(message), entry, expunged_at, stays_since: 0 }
    }

    /// Messages 1 to 5, all but 3 deleted; 2 last.
    fn maildrop() -> Vec<Kept> {
        [Some(50), Some(90), None, Some(70), Some(70)]
            .into_iter()
            .zip(1..)
            .map(|(at, number)| kept(number, at))
            .collect()
    }

    fn chosen(selection: &DeletedSelection) -> Result<Vec<u64>, String> {
        let address = Mailbox::parse("bob@example.test").unwrap();
        let messages = selected(&maildrop(), selection, &address).map_err(|error| error.to_string())?;
        Ok(messages.into_iter().map(|message| message.0).collect())
    }

    #[test]
    fn all_means_what_is_deleted() {
        let all = DeletedSelection { all: true, ..DeletedSelection::default() };
        assert_eq!(chosen(&all), Ok(vec![1, 2, 4, 5]));
    }

    #[test]
    fn unique_ids_must_be_those_of_deleted_messages() {
        let named = |ids: &[&str]| DeletedSelection {
            unique_ids: ids.iter().map(|text| id(text)).collect(),
            ..DeletedSelection::default()
        };
        assert_eq!(chosen(&named(&["u4", "u1", "u4"])), Ok(vec![1, 4]));
        assert_eq!(chosen(&named(&["u1", "u3"])), Err("the message u3 is not deleted".to_owned()));
        let missing = chosen(&named(&["u9", "u1"])).unwrap_err();
        assert!(
            missing.starts_with("there is no message u9 in the maildrop of bob@example.test"),
            "{missing}"
        );
    }

    #[test]
    fn the_last_ones_are_those_deleted_last() {
        let last = |count| DeletedSelection { last: Some(count), ..DeletedSelection::default() };
        assert_eq!(chosen(&last(1)), Ok(vec![2]));
        assert_eq!(chosen(&last(2)), Ok(vec![2, 5]));
        assert_eq!(chosen(&last(99)), Ok(vec![1, 2, 4, 5]));
    }

    #[test]
    fn a_range_begins_with_its_first_second_and_ends_before_its_last() {
        let range = |since: Option<u64>, until: Option<u64>| DeletedSelection {
            since: since.map(Moment),
            until: until.map(Moment),
            ..DeletedSelection::default()
        };
        assert_eq!(chosen(&range(Some(70), None)), Ok(vec![2, 4, 5]));
        assert_eq!(chosen(&range(None, Some(70))), Ok(vec![1]));
        assert_eq!(chosen(&range(Some(70), Some(90))), Ok(vec![4, 5]));
        let nothing = chosen(&range(Some(91), None)).unwrap_err();
        assert!(nothing.starts_with("no deleted message of bob@example.test is selected"), "{nothing}");
    }
}
