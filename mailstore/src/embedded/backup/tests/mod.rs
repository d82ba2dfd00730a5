//! Backups of real stores: what comes back is what was there, and damage is named.
//!
//! - [`house`]: a store, its backup, and what comes back
//! - [`taking`], [`damaging`], [`restoring`]: by what is done

mod damaging;
mod house;
mod restoring;
mod taking;
