//! Reports about TLS with the hosts of other domains (RFC 8460).
//!
//! | file | holds |
//! |---|---|
//! | `session.rs` | what is counted of a session |
//! | `fault.rs` | what of it went wrong, in the words of the RFC |
//! | `record.rs` | where a domain wants its reports |
//! | `report.rs` | the report itself |

mod fault;
mod record;
mod report;
mod session;

pub(crate) use fault::{fault, objection};
pub(super) use record::destinations;
pub(super) use report::report;
pub(crate) use session::{Failure, Fault, Policy, PolicyType, Session};
