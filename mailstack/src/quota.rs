//! `mailstack account quota`: how much mail an account may have.

use std::error::Error;
use std::str::FromStr;

use mailstore::{AccountUsage, AdministrationError, Quota, Store};
use mailwire::address::Mailbox;
use thiserror::Error;

use crate::account::AccountError;
use crate::arguments::QuotaOptions;
use crate::listing;
use crate::output::Output;
use crate::place::Place;

/// What stands for no limit on the command line.
const NONE: &str = "none";

/// Why a limit cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum LimitError {
    #[error("give octets (1000000), a number with K, M, G or T behind it (500M), or none")]
    Size,
    #[error("give a number of messages, or none")]
    Count,
    #[error("0 would keep all mail out: give none for no limit")]
    Zero,
    #[error("that is more than can be counted: give none for no limit")]
    TooMuch,
}

/// Octets, or 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizeLimit(u64);

/// Messages, or 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountLimit(u64);

impl FromStr for SizeLimit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        if text == NONE {
            return Ok(Self(0));
        }
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let shift = match unit.to_ascii_uppercase().as_str() {
            "" => 0,
            "K" | "KB" | "KIB" => 10,
            "M" | "MB" | "MIB" => 20,
            "G" | "GB" | "GIB" => 30,
            "T" | "TB" | "TIB" => 40,
            _ => return Err(LimitError::Size),
        };
        let number = positive(number, LimitError::Size)?;
        number.checked_mul(1 << shift).map(Self).ok_or(LimitError::TooMuch)
    }
}

impl FromStr for CountLimit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        if text == NONE { Ok(Self(0)) } else { positive(text, LimitError::Count).map(Self) }
    }
}

fn positive(digits: &str, otherwise: LimitError) -> Result<u64, LimitError> {
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(otherwise);
    }
    let number = digits.parse().map_err(|_| LimitError::TooMuch)?;
    if number == 0 { Err(LimitError::Zero) } else { Ok(number) }
}

/// Does what `options` say, and shows what holds then.
pub(crate) async fn run(options: &QuotaOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let place = Place::find(&options.whereabouts)?;
    let address = Mailbox::parse(&options.address)?;
    let store = place.open().await?;
    let usage = change(&store, &address, options).await;
    store.close().await;
    let usage = usage.map_err(|error| AccountError::of(&address, error))?;
    output.lines(&listing::table(&[usage]));
    Ok(())
}

async fn change(
    store: &Store,
    address: &Mailbox,
    options: &QuotaOptions,
) -> Result<AccountUsage, AdministrationError> {
    let before = usage_of(store, address).await?;
    let quota = match (options.default, options.octets, options.messages) {
        (false, None, None) => return Ok(before),
        (true, _, _) => None,
        (false, octets, messages) => Some(Quota {
            octets: octets.map_or(before.quota.octets, |limit| limit.0),
            messages: messages.map_or(before.quota.messages, |limit| limit.0),
        }),
    };
    store.administration.set_quota(address, quota).await?;
    usage_of(store, address).await
}

/// What the account of this address has and may have.
pub(crate) async fn usage_of(store: &Store, address: &Mailbox) -> Result<AccountUsage, AdministrationError> {
    let key = address.key_in_a_labels();
    let mut all = store.administration.usage().await?.into_iter();
    let found = all.find(|usage| usage.account.address.key_in_a_labels() == key);
    found.ok_or_else(|| AdministrationError::Missing(address.key()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_taken_as_people_write_them() {
        for (text, octets) in [
            ("none", 0),
            ("1", 1),
            ("10000", 10_000),
            ("500M", 500 << 20),
            ("2g", 2 << 30),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(text.parse(), Ok(SizeLimit(octets)), "{text}");
        }
        for text in ["", "M", "1.5G", "-1", "+1", "5 M", "5X", "M5", "None", "1e3", "\u{663}"] {
            assert_eq!(text.parse::<SizeLimit>(), Err(LimitError::Size), "{text}");
        }
        for text in ["0", "0M", "000"] {
            assert_eq!(text.parse::<SizeLimit>(), Err(LimitError::Zero), "{text}");
        }
        for text in ["99999999999999999999", "16777216T"] {
            assert_eq!(text.parse::<SizeLimit>(), Err(LimitError::TooMuch), "{text}");
        }
    }

    #[test]
    fn counts_have_no_units() {
        assert_eq!("1000".parse(), Ok(CountLimit(1000)));
        assert_eq!("none".parse(), Ok(CountLimit(0)));
        assert_eq!("1K".parse::<CountLimit>(), Err(LimitError::Count));
        assert_eq!("0".parse::<CountLimit>(), Err(LimitError::Zero));
    }
}
