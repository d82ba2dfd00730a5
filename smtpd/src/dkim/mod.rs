//! DKIM (RFC 6376): the keys of the domains that send mail from here, and the signatures made with them.

mod author;
mod blanks;
mod config;
mod error;
mod folder;
mod key;
mod selector;
mod signatory;
mod signature;

pub use author::author;
pub(crate) use blanks::Blanks;
pub use config::Dkim;
pub use error::DkimError;
pub use folder::{Folder, Key, State};
pub use key::{Algorithm, KeyPair};
pub use selector::{Selector, SelectorError};
pub use signatory::{Signatory, Signing};
