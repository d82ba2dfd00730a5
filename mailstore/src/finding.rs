//! What is not as it should be in a store: where, what it costs, and whom.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::UniqueId;

/// How thoroughly a store is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Depth {
    /// Every record by its head, and every entry of the index: it takes seconds.
    Heads,
    /// All content as well: everything is read.
    Content,
}

/// How far a long work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Octets looked at.
    pub done: u64,
    /// Octets there are.
    pub total: u64,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Problem {
    /// A file of the journal is not there.
    SegmentMissing,
    /// The first octets of a file of the journal are damaged; its records are read all the same.
    SegmentHeader,
    /// Octets of the journal that are no record: what stood there is lost.
    RecordLost,
    /// One of the two heads of a record is damaged. Nothing is lost by it.
    HeadDamaged,
    /// Content of a message is damaged: its readers get a substitute for that part.
    ContentDamaged,
    /// A message is gone, though the index knows of it: its readers get a substitute.
    MessageLost,
    /// The index has more or fewer entries than the journal says.
    Miscounted,
}

impl Problem {
    /// True where something is lost, not only something that is there twice.
    #[must_use]
    pub const fn is_loss(self) -> bool {
        match self {
            Self::SegmentMissing | Self::RecordLost | Self::ContentDamaged | Self::MessageLost => true,
            Self::SegmentHeader | Self::HeadDamaged | Self::Miscounted => false,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::SegmentMissing => "a segment of the journal is missing",
            Self::SegmentHeader => "the header of a segment is damaged; its records are read all the same",
            Self::RecordLost => "the journal is damaged; what stood here is lost",
            Self::HeadDamaged => "one of the two heads of a record is damaged; nothing is lost",
            Self::ContentDamaged => "content is damaged; readers get a substitute for this part",
            Self::MessageLost => "the message is lost; readers get a substitute",
            Self::Miscounted => "the index does not fit the journal; `mailstack store rebuild` makes it anew",
        }
    }
}

/// Whose message it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// It is in this account's maildrop, or was expunged from it and can be brought back.
    Account {
        /// The account's address.
        address: String,
        /// What UIDL shows.
        unique_id: UniqueId,
    },
    /// It waits for relay to this recipient.
    Recipient(String),
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub problem: Problem,
    /// The file in the store's folder.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// How many octets are concerned.
    pub octets: u64,
    /// Whom it concerns, as far as it is known.
    pub owners: Vec<Owner>,
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account { address, unique_id } => write!(formatter, "message {unique_id} of {address}"),
            Self::Recipient(address) => write!(formatter, "a message in the queue to {address}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problem, file, offset, octets, owners } = self;
        write!(formatter, "{file}, octet {offset}, {octets} octets: {}", problem.text())?;
        for (owner, separator) in owners.iter().zip(std::iter::once(": ").chain(std::iter::repeat(", "))) {
            write!(formatter, "{separator}{owner}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_that_names_whom_it_concerns() {
        let owner = |address: &str| Owner::Account {
            address: address.to_owned(),
            unique_id: UniqueId::parse("abc").unwrap(),
        };
        let finding = Finding {
            problem: Problem::ContentDamaged,
            file: "journal/00000001.segment".to_owned(),
            offset: 64,
            octets: 10,
            owners: vec![owner("a@example.test"), Owner::Recipient("b@elsewhere.test".to_owned())],
        };
        assert_eq!(
            finding.to_string(),
            "journal/00000001.segment, octet 64, 10 octets: content is damaged; readers get a substitute for this \
             part: message abc of a@example.test, a message in the queue to b@elsewhere.test"
        );
    }
}
