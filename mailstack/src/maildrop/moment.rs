//! Points in time as an administrator says them, and as a list shows them: in UTC, to the second.

use std::str::FromStr;

use mail_parser::DateTime;
use mailwire::clock;
use thiserror::Error;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Seconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u64);

/// Why a text is no point in time.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "give a date (2026-11-20), a time in UTC (2026-11-20T13:00:00Z), or how long ago it was in days, hours or minutes \
     (3d, 12h, 30m)"
)]
pub(crate) struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        parse(text, clock::unix_seconds()).map(Self).ok_or(NoMoment)
    }
}

/// `2026-11-20T13:00:00Z`.
pub(crate) fn shown(unix_seconds: u64) -> String {
    DateTime::from_timestamp(i64::try_from(unix_seconds).unwrap_or(0)).to_rfc3339()
}

fn parse(text: &str, now: u64) -> Option<u64> {
    ago(text, now).or_else(|| date(text))
}

/// `3d`, `12h` or `30m` before `now`.
fn ago(text: &str, now: u64) -> Option<u64> {
    let unit = [("d", DAY_SECONDS), ("h", 60 * 60), ("m", 60)];
    let (count, seconds) =
        unit.iter().find_map(|(letter, seconds)| Some((text.strip_suffix(letter)?, *seconds)))?;
    if !count.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    Some(now.saturating_sub(count.parse::<u64>().ok()?.saturating_mul(seconds)))
}

/// A date, which is its first second, or a date with a time in UTC.
fn date(text: &str) -> Option<u64> {
    let digit = |character: char| if character.is_ascii_digit() { '0' } else { character };
    let shape: String = text.chars().map(digit).collect();
    let whole = match shape.as_str() {
        "0000-00-00" => format!("{text}T00:00:00Z"),
        "0000-00-00T00:00Z" => format!("{}:00Z", text.strip_suffix('Z')?),
        "0000-00-00T00:00:00Z" => text.to_owned(),
        _ => return None,
    };
    let unix_seconds = DateTime::parse_rfc3339(&whole)?.to_timestamp();
    // There is no 30th of February: it would be shown as another day.
    let exists = DateTime::from_timestamp(unix_seconds).to_rfc3339() == whole;
    u64::try_from(unix_seconds).ok().filter(|_| exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_date_and_a_time_are_what_they_say() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2026-11-20", 1_795_132_800),
            ("2026-11-20T13:00Z", 1_795_179_600),
            ("2026-11-20T13:00:05Z", 1_795_179_605),
            ("2028-02-29T23:59:59Z", 1_835_481_599),
        ] {
            assert_eq!(parse(text, NOW), Some(seconds), "{text}");
        }
        assert_eq!(shown(1_795_179_605), "2026-11-20T13:00:05Z");
    }

    #[test]
    fn how_long_ago_counts_back_from_now() {
        assert_eq!(parse("3d", NOW), Some(NOW - 3 * DAY_SECONDS));
        assert_eq!(parse("12h", NOW), Some(NOW - 12 * 3600));
        assert_eq!(parse("0m", NOW), Some(NOW));
        assert_eq!(parse("99999999999999999d", NOW), Some(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "d",
            "3",
            "3w",
            "-3d",
            "+3d",
            "3.5d",
            "2026",
            "2026-11",
            "2026-02-30",
            "2026-13-01",
            "1969-12-31",
            "2026-11-20T24:00Z",
            "2026-11-20T13:00:00",
            "2026-11-20 13:00",
            "20-11-2026",
            "٣d",
        ] {
            assert_eq!(parse(text, NOW), None, "{text}");
        }
    }
}
