//! What is known of a message when rules look at it.

use mailwire::address::{Mailbox, ReversePath};

use crate::session::Class;

/// A message, as far as rules know it, on its way to one maildrop.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Where reports go.
    pub reverse_path: &'a ReversePath,
    /// The addresses by which it has come to the maildrop, as the sender wrote them.
    pub recipients: &'a [Mailbox],
    /// Octets of its content.
    pub octets: u64,
    /// Its header section.
    pub header: &'a [u8],
    /// Whether it was submitted by somebody who has logged in.
    pub is_authenticated: bool,
    /// What it was taken for.
    pub class: &'a Class,
    /// What says that its sender may be somebody else.
    pub doubt: Option<&'a str>,
    /// Whose rules these are.
    pub account: &'a Mailbox,
    /// Those of the recipients that are the account's alone.
    pub personal: &'a [Mailbox],
    /// Seconds since 1970.
    pub now: u64,
}
