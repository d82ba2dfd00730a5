//! One store for several processes: the first one hosts it, later ones share it through a socket beside it.
//!
//! - [`member`]: hosting or sharing, whichever it is at the moment, behind the traits of this crate
//! - [`role`]: how a process finds out which of the two it is
//! - [`maintenance`]: a hold on the store as a whole
//! - [`server`]: the host's side of the socket
//! - [`accounts`]: accounts and aliases behind their traits, which are the longest
//! - [`access`]: application passwords and grants, both sides
//! - [`guard`]: the guard, both sides
//! - [`notes`], [`recollections`]: notes and recollections, both sides
//! - [`rule_files`]: the rules of accounts for their mail, both sides
//! - [`queue`], [`traces`]: the outbound queue, and what became of mail that left, both sides
//! - [`pool`]: the sharers' side: connections that are opened when needed and used again
//! - [`objects`]: drafts and leases of a sharer
//! - [`repair`]: checks, rebuilds and compactions, both sides
//! - [`request`]: what is asked and answered
//! - [`frame`]: how it stands on the socket
//!
//! A connection carries one question at a time, and a draft, a lease or a hold has a connection to itself, as have all
//! leases of the queue together. So nothing has to
//! be told apart, nothing can overtake, and whatever a process held is given back when its connections end.

mod access;
mod accounts;
mod frame;
mod guard;
mod maintenance;
mod member;
mod notes;
mod objects;
mod pool;
mod queue;
mod recollections;
mod repair;
mod request;
mod role;
mod rule_files;
mod server;
mod sightings;
mod traces;

pub(crate) use member::Member;
