//! Moving house: mail comes from and goes to Maildirs, mbox files and trees of `.eml` files, with its unique-ids.

mod content_identity;
mod courier;
mod eml;
pub(crate) mod export;
mod file_names;
mod files;
mod from_line;
pub(crate) mod import;
mod line_ends;
mod list_error;
mod maildir_sink;
mod maildir_source;
pub(crate) mod maildrop;
mod mbox_sink;
mod mbox_source;
mod new_file;
mod open;
mod quoting;
#[cfg(test)]
mod round_trips;
mod sink;
mod source;
pub(crate) mod uidl_format;
mod uidlist;
