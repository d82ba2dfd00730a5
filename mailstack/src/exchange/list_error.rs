//! Why a list of unique-ids that another server has left is not understood.

use thiserror::Error;

/// Without the list, clients would download all again, so nothing is guessed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ListError {
    #[error("line {number} is not understood")]
    Line { number: usize },
    #[error("its version {0} is not known")]
    Version(char),
}
