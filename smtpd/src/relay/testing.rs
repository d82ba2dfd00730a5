//! What the tests of the relay share.

use mailstore::{MessageId, QueueEntry, QueueId, QueueState, RecipientTerms, Terms};
use mailwire::address::{Mailbox, ReversePath};

/// The entry of one recipient of a message from `a@a.example`.
pub(super) fn entry(message: u64, recipient: u32, mailbox: &str) -> QueueEntry {
    QueueEntry {
        id: QueueId { message: MessageId(message), recipient },
        reverse_path: ReversePath::Mailbox(Mailbox::parse("a@a.example").unwrap()),
        recipient: Mailbox::parse(mailbox).unwrap(),
        accepted_at: 1000,
        due: 1000,
        expires: 500_000,
        attempts: 0,
        last_result: String::new(),
        state: QueueState::Waiting,
        is_leased: false,
        is_warned: false,
        octets: 100,
        terms: Terms::default(),
        recipient_terms: RecipientTerms::default(),
    }
}
