//! The list of a maildrop: one line a message, in the order of arrival.

use std::error::Error;

use mailstore::{Kept, MaildropError, MaildropId, Store};

use super::headline::{HEADER_OCTETS_MAX, headline};
use super::moment;
use super::selection::within;
use crate::arguments::MaildropListOptions;
use crate::exchange::maildrop::Pages;
use crate::output::Output;

/// Shows what `options` ask for.
pub(crate) async fn list(
    store: &Store,
    maildrop: MaildropId,
    options: &MaildropListOptions,
    output: &Output,
) -> Result<(), Box<dyn Error>> {
    let mut pages = Pages::new(store, maildrop);
    let (mut number, mut shown) = (0_usize, 0_usize);
    while let Some(page) = pages.next().await? {
        for kept in page.iter().filter(|kept| is_of_kind(kept, options)) {
            number = number.saturating_add(1);
            if number < options.from || !within(time(kept, options), options.since, options.until) {
                continue;
            }
            if options.count.is_some_and(|count| shown >= count) {
                return Ok(());
            }
            match header_section(store, maildrop, kept).await {
                Ok(header_section) => output.line(&line(number, kept, &header_section)),
                // Its time is over since the page was asked for.
                Err(MaildropError::Ended) => continue,
                Err(error) => return Err(error.into()),
            }
            shown = shown.saturating_add(1);
        }
    }
    Ok(())
}

/// What is numbered: messages that are there, deleted ones, or both.
const fn is_of_kind(kept: &Kept, options: &MaildropListOptions) -> bool {
    options.all || kept.expunged_at.is_some() == options.deleted
}

/// Deleted messages are found by when they were deleted, as `undelete` and `purge` do it.
fn time(kept: &Kept, options: &MaildropListOptions) -> u64 {
    kept.expunged_at.filter(|_| options.deleted).unwrap_or(kept.entry.received_at)
}

/// The header section, or as much of it as is looked at.
pub(crate) async fn header_section(
    store: &Store,
    maildrop: MaildropId,
    kept: &Kept,
) -> Result<Vec<u8>, MaildropError> {
    let wanted = usize::try_from(kept.entry.header_octets).unwrap_or(usize::MAX).min(HEADER_OCTETS_MAX);
    let mut section: Vec<u8> = Vec::new();
    while section.len() < wanted {
        let (offset, rest) = (section.len() as u64, wanted.saturating_sub(section.len()));
        let octets = store.maildrop_administration.read(maildrop, kept.message, offset, rest).await?;
        if octets.is_empty() {
            break;
        }
        section.extend(octets);
    }
    Ok(section)
}

fn line(number: usize, kept: &Kept, header_section: &[u8]) -> String {
    let deleted = kept.expunged_at.map_or_else(|| "-".to_owned(), moment::shown);
    format!(
        "{number:>6}  {:26}  {:>9}  {}  {deleted:20}  {}",
        kept.entry.unique_id.to_string(),
        kept.entry.octets,
        moment::shown(kept.entry.received_at),
        headline(header_section),
    )
}
