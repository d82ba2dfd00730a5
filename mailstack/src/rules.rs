//! `mailstack account maildrop`: what holds for the use of an account's maildrop, and how long mail stays in it.

use std::error::Error;
use std::num::NonZeroU16;
use std::str::FromStr;

use mailstore::{
    AccountUsage, AdministrationError, Expiry, Kept, LOGIN_DELAY_SECONDS_MAX, MaildropError, OwnRules, Rules,
    Store, Takeover,
};
use mailwire::address::Mailbox;
use mailwire::clock;
use mailwire::escape::without_controls;
use thiserror::Error;

use crate::account::AccountError;
use crate::arguments::{RulesOptions, YesNo};
use crate::exchange::maildrop::{Pages, messages};
use crate::output::Output;
use crate::place::Place;
use crate::quota::usage_of;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Why a rule cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum RuleError {
    #[error("give seconds (60s), minutes (5m) or hours (1h), or none")]
    LoginDelay,
    #[error("that would keep the account from its mail: a day is the longest, and none is no delay")]
    TooLong,
    #[error("give days (30d), or never")]
    Expire,
    #[error("mail would be deleted before anybody has read it: a day (1d) is the least")]
    AtOnce,
}

/// Seconds between two logins, or 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoginDelay(u32);

/// When mail is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpireAfter(Expiry);

impl FromStr for LoginDelay {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text == "none" {
            return Ok(Self(0));
        }
        let unit = [("s", 1), ("m", 60), ("h", 60 * 60)];
        let split = unit.iter().find_map(|(letter, seconds)| Some((text.strip_suffix(letter)?, *seconds)));
        let (digits, seconds) = split.ok_or(RuleError::LoginDelay)?;
        let count = number(digits).ok_or(RuleError::LoginDelay)?.map_err(|TooMuch| RuleError::TooLong)?;
        let delay = count.checked_mul(seconds).filter(|delay| *delay <= LOGIN_DELAY_SECONDS_MAX);
        delay.map(Self).ok_or(RuleError::TooLong)
    }
}

impl FromStr for ExpireAfter {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text == "never" {
            return Ok(Self(Expiry::Never));
        }
        let days = text.strip_suffix('d').and_then(number).ok_or(RuleError::Expire)?;
        let days = days.ok().and_then(|days| u16::try_from(days).ok()).ok_or(RuleError::Expire)?;
        NonZeroU16::new(days).map(|days| Self(Expiry::Days(days))).ok_or(RuleError::AtOnce)
    }
}

/// More than can be counted.
struct TooMuch;

/// Digits and nothing else.
fn number(digits: &str) -> Option<Result<u32, TooMuch>> {
    let is_number = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| digits.parse().map_err(|_| TooMuch))
}

/// Does what `options` say, and shows what holds then.
pub(crate) async fn run(options: &RulesOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let place = Place::find(&options.whereabouts)?;
    let address = Mailbox::parse(&options.address)?;
    let store = place.open().await?;
    let usage = change(&store, &address, options).await;
    let due = match (&usage, options.expire) {
        (Ok(usage), Some(ExpireAfter(Expiry::Days(days)))) => due(&store, usage, days).await,
        (Ok(_) | Err(_), _) => Ok(0),
    };
    store.close().await;
    let usage = usage.map_err(|error| AccountError::of(&address, error))?;
    if options.plain {
        // A line whose tabs must stay.
        output.text(&plain(&usage));
        return Ok(());
    }
    output.lines(&table(&usage));
    // Nobody shall find out afterwards.
    let due = due?;
    if due > 0 {
        output.line(&format!(
            "{} came longer ago than that and will be deleted within minutes; `mailstack maildrop undelete {address}` \
             brings deleted mail back",
            messages(due)
        ));
    }
    Ok(())
}

/// How many messages are to go at once after so many days.
async fn due(store: &Store, usage: &AccountUsage, days: NonZeroU16) -> Result<u64, MaildropError> {
    let until = clock::unix_seconds().saturating_sub(SECONDS_PER_DAY.saturating_mul(days.get().into()));
    let mut due: u64 = 0;
    for (_, maildrop) in usage.maildrops() {
        let mut pages = Pages::new(store, maildrop);
        while let Some(page) = pages.next().await? {
            let is_due = |kept: &&Kept| kept.expunged_at.is_none() && kept.stays_since <= until;
            due = due.saturating_add(page.iter().filter(is_due).count() as u64);
        }
    }
    Ok(due)
}

async fn change(
    store: &Store,
    address: &Mailbox,
    options: &RulesOptions,
) -> Result<AccountUsage, AdministrationError> {
    let before = usage_of(store, address).await?;
    let RulesOptions { login_delay, expire, takeover, default, .. } = options;
    let own = if *default {
        OwnRules::default()
    } else {
        let takeover = takeover.map(|takeover| match takeover {
            YesNo::Yes => Takeover::Allowed,
            YesNo::No => Takeover::Refused,
        });
        OwnRules {
            login_delay_seconds: login_delay.map(|delay| delay.0).or(before.own_rules.login_delay_seconds),
            expiry: expire.map(|expire| expire.0).or(before.own_rules.expiry),
            takeover: takeover.or(before.own_rules.takeover),
        }
    };
    if own == before.own_rules {
        return Ok(before);
    }
    store.administration.set_rules(address, own).await?;
    usage_of(store, address).await
}

/// Lines for people.
fn table(usage: &AccountUsage) -> Vec<String> {
    let (rules, own) = (usage.rules, usage.own_rules);
    let line = |name: &str, what: String, is_own: bool| {
        let source = if is_own { "own" } else { "default" };
        format!("{name:<11}  {what} ({source})")
    };
    vec![
        usage.account.address.to_string(),
        line("login delay", delay(rules.login_delay_seconds), own.login_delay_seconds.is_some()),
        line("mail", expiry(rules.expiry), own.expiry.is_some()),
        line("takeover", takeover(rules.takeover).to_owned(), own.takeover.is_some()),
    ]
}

/// A line for programs: exact, with a tab between the columns.
fn plain(usage: &AccountUsage) -> String {
    let (rules, own) = (usage.rules, usage.own_rules);
    let source = |is_own: bool| if is_own { "own" } else { "default" }.to_owned();
    let columns = [
        without_controls(&usage.account.address.to_string()).into_owned(),
        match rules.login_delay_seconds {
            0 => "none".to_owned(),
            seconds => seconds.to_string(),
        },
        source(own.login_delay_seconds.is_some()),
        match rules.expiry {
            Expiry::Never => "never".to_owned(),
            Expiry::Days(days) => days.to_string(),
        },
        source(own.expiry.is_some()),
        takeover(rules.takeover).to_owned(),
        source(own.takeover.is_some()),
    ];
    columns.join("\t") + "\n"
}

/// What differs from how it is without any rule; `None` where nothing does.
pub(crate) fn summary(rules: Rules) -> Option<String> {
    let mut parts = Vec::new();
    if rules.login_delay_seconds > 0 {
        parts.push(format!("login delay {}", delay(rules.login_delay_seconds)));
    }
    if rules.expiry != Expiry::Never {
        parts.push(format!("mail {}", expiry(rules.expiry)));
    }
    if rules.takeover == Takeover::Allowed {
        parts.push("takeover".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn delay(seconds: u32) -> String {
    let counted = |count: u32, unit: &str| match count {
        1 => format!("1 {unit}"),
        _ => format!("{count} {unit}s"),
    };
    match (seconds, seconds % 60, seconds % 3600) {
        (0, ..) => "none".to_owned(),
        (_, 0, 0) => counted(seconds / 3600, "hour"),
        (_, 0, _) => counted(seconds / 60, "minute"),
        _ => counted(seconds, "second"),
    }
}

fn expiry(expiry: Expiry) -> String {
    match expiry {
        Expiry::Never => "stays".to_owned(),
        Expiry::Days(days) if days == NonZeroU16::MIN => "expires after 1 day".to_owned(),
        Expiry::Days(days) => format!("expires after {days} days"),
    }
}

const fn takeover(takeover: Takeover) -> &'static str {
    match takeover {
        Takeover::Refused => "no",
        Takeover::Allowed => "yes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_delay_is_taken_as_people_write_it() {
        for (text, seconds) in [
            ("none", 0),
            ("0s", 0),
            ("60s", 60),
            ("5m", 300),
            ("1h", 3600),
            ("86400s", 86_400),
            ("24h", 86_400),
        ] {
            assert_eq!(text.parse(), Ok(LoginDelay(seconds)), "{text}");
        }
        for text in ["", "s", "60", "1d", "-1s", "+1s", "1.5m", "5 m", "None", "\u{663}s"] {
            assert_eq!(text.parse::<LoginDelay>(), Err(RuleError::LoginDelay), "{text}");
        }
        for text in ["86401s", "25h", "99999999999s", "4294967295h"] {
            assert_eq!(text.parse::<LoginDelay>(), Err(RuleError::TooLong), "{text}");
        }
    }

    #[test]
    fn mail_stays_for_a_day_at_least() {
        let days = |days| Ok(ExpireAfter(Expiry::Days(NonZeroU16::new(days).unwrap())));
        for (text, expected) in [("1d", days(1)), ("30d", days(30)), ("65535d", days(u16::MAX))] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        assert_eq!("never".parse(), Ok(ExpireAfter(Expiry::Never)));
        assert_eq!("0d".parse::<ExpireAfter>(), Err(RuleError::AtOnce));
        for text in ["", "d", "0", "30", "1w", "-1d", "65536d", "99999999999d", "Never"] {
            assert_eq!(text.parse::<ExpireAfter>(), Err(RuleError::Expire), "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_to_go_at_once_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let options = mailstore::Options {
            path: folder.path().to_owned(),
            reserve_octets: 0,
            ..mailstore::Options::default()
        };
        let store = mailstore::open(options).await.unwrap();
        let address = Mailbox::parse("alice@example.test").unwrap();
        let password = mailwire::secret::Secret::new("x".to_owned());
        let maildrop = store.administration.add_account(&address, &password).await.unwrap().maildrop;
        for days in [40, 31, 29] {
            let received_at = clock::unix_seconds() - days * SECONDS_PER_DAY;
            let unique_id = mailstore::UniqueId::parse(&days.to_string()).unwrap();
            let mut draft = store.intake.draft(0).await.unwrap();
            draft.write(b"A: b\r\n\r\ntext\r\n").await.unwrap();
            let delivery = mailstore::Delivery {
                delivery_prefix: Vec::new(),
                prefix: Vec::new(),
                reverse_path: mailwire::address::ReversePath::Null,
                maildrops: vec![maildrop],
                fate: mailstore::Fate::Shared,
                relay: Vec::new(),
                terms: mailstore::Terms::default(),
                local: Vec::new(),
                steps: Vec::new(),
                trace: mailstore::TraceRow::default(),
                carried: Some(mailstore::Carried { unique_id, received_at }),
                concludes: Vec::new(),
            };
            draft.commit(delivery).await.unwrap();
        }
        let mut lease = store.maildrops.lease(maildrop, std::time::Duration::ZERO).await.unwrap();
        lease.expunge(&[0]).await.unwrap();
        let usage = usage_of(&store, &address).await.unwrap();
        let due = async |days| due(&store, &usage, NonZeroU16::new(days).unwrap()).await.unwrap();
        assert_eq!([due(30).await, due(20).await, due(60).await], [1, 2, 0]);
        drop(lease);
        store.close().await;
    }

    #[test]
    fn what_holds_is_said_in_a_few_words() {
        assert_eq!(summary(Rules::default()), None);
        let rules = Rules {
            login_delay_seconds: 60,
            expiry: Expiry::Days(NonZeroU16::MIN),
            takeover: Takeover::Allowed,
        };
        assert_eq!(
            summary(rules).as_deref(),
            Some("login delay 1 minute, mail expires after 1 day, takeover")
        );
        assert_eq!([delay(7200), delay(90), delay(0)], ["2 hours", "90 seconds", "none"]);
    }
}
