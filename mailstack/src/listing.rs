//! `mailstack account list`: a line an account, for people or for programs.

use std::iter;

use mailstore::{AccountUsage, Quota, QuotaSource};
use mailwire::escape::without_controls;

use crate::rules;

/// Names of the units above the octet, each 1024 of the one before.
const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];

/// Lines for people, with aligned columns; the address comes first. Those of an account's further maildrops follow it.
pub(crate) fn table(all: &[AccountUsage]) -> Vec<String> {
    let rows = all.iter().flat_map(|usage| iter::once(row(usage)).chain(further_rows(usage)));
    aligned(&rows.collect::<Vec<_>>())
}

/// The same for an account's further maildrops alone.
pub(crate) fn further(usage: &AccountUsage) -> Vec<String> {
    let rows: Vec<_> = further_rows(usage).collect();
    aligned(&rows)
}

fn aligned(rows: &[[String; 4]]) -> Vec<String> {
    let mut widths = [0; 4];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let [address_width, messages_width, size_width, _] = widths;
    rows.iter()
        .map(|[address, messages, size, quota]| {
            format!("{address:address_width$}  {messages:>messages_width$}  {size:>size_width$}  {quota}")
        })
        .collect()
}

/// What is in them counts as the account's.
fn further_rows(usage: &AccountUsage) -> impl Iterator<Item = [String; 4]> {
    let addresses = usage.maildrops().skip(1).map(|(address, _)| address.to_string());
    addresses.zip(&usage.further).map(|(address, further)| {
        [address, count(further.messages), size(further.octets), "of these".to_owned()]
    })
}

fn row(usage: &AccountUsage) -> [String; 4] {
    [usage.account.address.to_string(), count(usage.messages), size(usage.octets), quota(usage)]
}

fn quota(usage: &AccountUsage) -> String {
    let Quota { octets, messages } = usage.quota;
    let limits = match (octets, messages) {
        (0, 0) => "none".to_owned(),
        (octets, 0) => size(octets),
        (0, messages) => count(messages),
        (octets, messages) => format!("{}, {}", size(octets), count(messages)),
    };
    let quota = match usage.source {
        QuotaSource::Configuration => format!("quota {limits}"),
        QuotaSource::Account => format!("own quota {limits}"),
    };
    match rules::summary(usage.rules) {
        Some(rules) => format!("{quota}; {rules}"),
        None => quota,
    }
}

/// Lines for programs: exact, with a tab between the columns.
pub(crate) fn plain(all: &[AccountUsage]) -> String {
    let limit = |limit: u64| if limit == 0 { "none".to_owned() } else { limit.to_string() };
    all.iter()
        .map(|usage| {
            let address = usage.account.address.to_string();
            let source = match usage.source {
                QuotaSource::Configuration => "default",
                QuotaSource::Account => "own",
            };
            let columns = [
                without_controls(&address).into_owned(),
                usage.messages.to_string(),
                usage.octets.to_string(),
                limit(usage.quota.messages),
                limit(usage.quota.octets),
                source.to_owned(),
            ];
            columns.join("\t") + "\n"
        })
        .collect()
}

fn count(messages: u64) -> String {
    let noun = if messages == 1 { "message" } else { "messages" };
    format!("{messages} {noun}")
}

/// With one digit behind the point where there is something to say with it; never more than there is.
pub(crate) fn size(octets: u64) -> String {
    let mut unit_octets: u64 = 1;
    let mut shown = if octets == 1 { "1 octet".to_owned() } else { format!("{octets} octets") };
    for unit in UNITS {
        unit_octets = unit_octets.saturating_mul(1024);
        if octets < unit_octets {
            break;
        }
        let whole = octets / unit_octets;
        let tenths = (octets % unit_octets).saturating_mul(10) / unit_octets;
        shown = if tenths == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") };
    }
    shown
}

#[cfg(test)]
mod tests {
    use mailstore::{Account, Detail, MaildropId, OwnRules, Rules, SubaddressMaildrop};
    use mailwire::address::Mailbox;

    use super::*;

    fn usage(name: &str, holds: (u64, u64), quota: (u64, u64), source: QuotaSource) -> AccountUsage {
        let address = Mailbox::parse(&format!("{name}@example.test")).unwrap();
        let account = Account { address, maildrop: MaildropId(1) };
        let quota = Quota { messages: quota.0, octets: quota.1 };
        let (rules, own_rules, further) = (Rules::default(), OwnRules::default(), Vec::new());
        AccountUsage { account, messages: holds.0, octets: holds.1, quota, source, rules, own_rules, further }
    }

    fn some() -> [AccountUsage; 4] {
        [
            usage("al", (0, 0), (0, 0), QuotaSource::Configuration),
            usage("barbara", (1, 1_300_000), (1000, 500 << 20), QuotaSource::Account),
            usage("carol", (12_345, 3 << 30), (0, 4 << 40), QuotaSource::Configuration),
            usage("\"d d\"", (2, 1023), (1, 0), QuotaSource::Account),
        ]
    }

    #[test]
    fn people_get_a_table_that_begins_with_the_address() {
        let expected = [
            "al@example.test           0 messages     0 octets  quota none",
            "barbara@example.test       1 message      1.2 MiB  own quota 500 MiB, 1000 messages",
            "carol@example.test    12345 messages        3 GiB  quota 4 TiB",
            "\"d d\"@example.test        2 messages  1023 octets  own quota 1 message",
        ];
        assert_eq!(table(&some()), expected);
    }

    #[test]
    fn further_maildrops_follow_their_account() {
        let mut alice = usage("alice", (15, 4096), (0, 0), QuotaSource::Configuration);
        let further = |detail, messages, octets| SubaddressMaildrop {
            detail: Detail::parse(detail).unwrap(),
            maildrop: MaildropId(2),
            messages,
            octets,
        };
        alice.further = vec![further("junk", 3, 1024), further("lists", 0, 0)];
        let lines = [
            "alice@example.test        15 messages     4 KiB  quota none",
            "alice+junk@example.test    3 messages     1 KiB  of these",
            "alice+lists@example.test   0 messages  0 octets  of these",
        ];
        assert_eq!(table(&[alice.clone()]), lines);
        assert_eq!(self::further(&alice).len(), 2);
        assert_eq!(plain(&[alice]), "alice@example.test\t15\t4096\tnone\tnone\tdefault\n");
    }

    #[test]
    fn programs_get_tabs_and_exact_numbers() {
        let expected = [
            "al@example.test\t0\t0\tnone\tnone\tdefault",
            "barbara@example.test\t1\t1300000\t1000\t524288000\town",
            "carol@example.test\t12345\t3221225472\tnone\t4398046511104\tdefault",
            "\"d d\"@example.test\t2\t1023\t1\tnone\town",
        ];
        assert_eq!(plain(&some()), expected.map(|line| format!("{line}\n")).concat());
    }

    #[test]
    fn a_size_is_never_shown_larger_than_it_is() {
        for (octets, shown) in
            [(1, "1 octet"), (1024, "1 KiB"), ((1 << 20) - 1, "1023.9 KiB"), (u64::MAX, "16777215.9 TiB")]
        {
            assert_eq!(size(octets), shown);
        }
    }
}
