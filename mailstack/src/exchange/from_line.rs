//! The line that begins a message in an mbox: `From sender Tue Jul 21 08:00:00 2026` (RFC 4155).

use mail_parser::DateTime;

/// What it begins with.
pub(crate) const FROM: &[u8] = b"From ";

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The line for a message that was received at `unix_seconds`; who sent it is not known any more.
pub(crate) fn written(unix_seconds: u64) -> String {
    let date = DateTime::from_timestamp(i64::try_from(unix_seconds).unwrap_or(0));
    let day = DAYS.get(usize::from(date.day_of_week())).unwrap_or(&"Thu");
    let month = MONTHS.get(usize::from(date.month).saturating_sub(1)).unwrap_or(&"Jan");
    format!(
        "From MAILER-DAEMON {day} {month} {:2} {:02}:{:02}:{:02} {}\n",
        date.day, date.hour, date.minute, date.second, date.year
    )
}

/// When the message was received, in seconds since 1970, where `line` is such a line.
///
/// The sender may hold blanks and the date may have a zone before or behind the year or no seconds, as procmail, Gmail's
/// and Thunderbird's archives have it; without a zone it is UTC. A line without a date is text: not all programs
/// quote `From ` in text.
pub(crate) fn received_at(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.strip_prefix(FROM)?).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.windows(3).find_map(|window| {
        let [month, day, time] = window else { return None };
        let month = MONTHS.iter().position(|name| name == month)?;
        let day = day.parse().ok().filter(|day| (1..=31).contains(day))?;
        let behind = words.iter().skip_while(|word| *word != time).skip(1);
        let date =
            Date { month: u8::try_from(month).ok()?.saturating_add(1), day, time, behind: behind.copied() };
        date.unix_seconds()
    })
}

/// A date in parts; `behind` the time stand the year and perhaps a zone.
struct Date<'a, Words> {
    month: u8,
    day: u8,
    time: &'a str,
    behind: Words,
}

impl<'a, Words: Iterator<Item = &'a str> + Clone> Date<'a, Words> {
    fn unix_seconds(self) -> Option<u64> {
        let mut time = self.time.split(':').map(str::parse::<u8>);
        let (hour, minute) = (time.next()?.ok()?, time.next()?.ok()?);
        let second = time.next().unwrap_or(Ok(0)).ok()?;
        let is_time = hour < 24 && minute < 60 && second <= 60;
        let words = self.behind.take(3);
        let is_year = |word: &&str| word.len() == 4 && word.bytes().all(|octet| octet.is_ascii_digit());
        let year = words.clone().find(is_year).filter(|_| is_time)?.parse().ok()?;
        let date = DateTime {
            year,
            month: self.month,
            day: self.day,
            hour,
            minute,
            second,
            tz_before_gmt: false,
            tz_hour: 0,
            tz_minute: 0,
        };
        let zone_seconds = words.clone().find_map(zone_seconds).unwrap_or(0);
        u64::try_from(date.to_timestamp().saturating_sub(zone_seconds)).ok()
    }
}

/// `+0200` as seconds east of UTC.
fn zone_seconds(word: &str) -> Option<i64> {
    let digits = word.strip_prefix(['+', '-']).filter(|digits| digits.len() == 4)?;
    let number: i64 = digits.parse().ok()?;
    let seconds = (number / 100).saturating_mul(3600).saturating_add((number % 100).saturating_mul(60));
    Some(if word.starts_with('-') { seconds.saturating_neg() } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 1_784_620_800;

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(written(AT), "From MAILER-DAEMON Tue Jul 21 08:00:00 2026\n");
        for at in [0, AT, 951_782_399, 4_102_444_800] {
            assert_eq!(received_at(written(at).as_bytes()), Some(at));
        }
    }

    #[test]
    fn the_dates_of_other_programs_are_read() {
        for line in [
            "From a@b.test Tue Jul 21 08:00:00 2026\r\n",
            "From - Tue Jul 21 08:00:00 2026",
            "From 1784@xxx Tue Jul 21 10:00:00 +0200 2026",
            "From a b Jul  Tue Jul 21 02:00:00 2026 -0600",
            "From a@b Tue Jul 21 08:00 2026 remote from c",
            "From \"a b\"@c Tue Jul 21 08:00:00 GMT 2026",
        ] {
            assert_eq!(received_at(line.as_bytes()), Some(AT), "{line}");
        }
    }

    #[test]
    fn text_that_begins_as_such_a_line_is_text() {
        for line in [
            "From the desk of Jul 21",
            "From Jul 21 99:00 2026",
            "from a Jul 21 08:00 2026",
            "From a Jul 32 08:00 2026",
            "From Jul 21 08:00 26",
            ">From a Jul 21 08:00 2026",
        ] {
            assert_eq!(received_at(line.as_bytes()), None, "{line}");
        }
    }
}
