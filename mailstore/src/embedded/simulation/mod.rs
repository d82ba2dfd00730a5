//! The proof that nothing acknowledged is lost: the store on a simulated disk that is cut off again and again.
//!
//! - [`random`]: everything is chosen by a generator that a seed repeats
//! - [`image`], [`disk`]: a disk in memory that keeps account of what is safe, and what a power cut may leave of it
//! - [`view`], [`model`]: what the store should hold, and what it may hold where an answer was cut off
//! - [`messages`]: the mail that is sent
//! - [`session`], [`workload`]: the store on that disk, what it is asked, and what it holds then
//! - [`outbound`]: its queue
//! - [`backups`]: snapshots of the store on another disk, which is cut off as well
//! - [`walk`], [`proof`]: open, compare, go on, cut; and again

mod backups;
mod disk;
mod image;
mod messages;
mod model;
mod outbound;
mod proof;
mod random;
mod session;
mod view;
mod walk;
mod workload;

pub use disk::Sabotage;
pub use proof::{Proof, ProofError, ProofPlan, prove};
