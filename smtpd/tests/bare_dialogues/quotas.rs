//! What maildrops hold and may hold, as the store would see it: what fits is taken, and the edge is exact.

use std::collections::HashMap;
use std::sync::Mutex;

use mailstore::{Fate, IntakeError, MaildropId, OverQuota};
use smtpd::Config;
use smtpd::session::Kind;

use crate::accounts::Accounts;
use crate::session::{BareSession, greeted};

/// Octets of a mailbox that has a quota.
pub(crate) const QUOTA_OCTETS: u64 = 10_000;
/// Messages that it takes.
const QUOTA_MESSAGES: u64 = 2;

/// The maildrops with a quota.
#[derive(Default)]
pub(crate) struct Quotas(Mutex<HashMap<MaildropId, Held>>);

#[derive(Clone, Copy, Default)]
struct Held {
    messages: u64,
    octets: u64,
}

impl Quotas {
    /// Gives a maildrop its quota, and a message of no octets for each of `messages`.
    pub(crate) fn set(&self, maildrop: MaildropId, messages: u64) {
        self.0.lock().unwrap().insert(maildrop, Held { messages, octets: 0 });
    }

    /// Whether a message of `octets` may come in.
    pub(crate) fn check(&self, maildrop: MaildropId, octets: u64) -> Result<(), OverQuota> {
        let held = self.0.lock().unwrap();
        let Some(held) = held.get(&maildrop) else { return Ok(()) };
        if octets > QUOTA_OCTETS {
            return Err(OverQuota::TooLarge);
        }
        let fits = held.octets + octets <= QUOTA_OCTETS && held.messages < QUOTA_MESSAGES;
        if fits { Ok(()) } else { Err(OverQuota::Full) }
    }

    /// Lets a message into all of `maildrops`, or into none; or into each for itself.
    pub(crate) fn take(
        &self,
        maildrops: &[MaildropId],
        fate: &Fate,
        octets: u64,
    ) -> Result<Vec<Result<(), OverQuota>>, IntakeError> {
        let check = |maildrops: &[MaildropId]| {
            let over = |&maildrop: &MaildropId| self.check(maildrop, octets).err().map(|why| (why, maildrop));
            maildrops.iter().filter_map(over).max()
        };
        let Fate::Apart(groups) = fate else {
            if let Some((why, maildrop)) = check(maildrops) {
                return Err(IntakeError::OverQuota { maildrop, why, groups: Vec::new() });
            }
            self.add(maildrops, octets);
            return Ok(Vec::new());
        };
        let over: Vec<_> = groups.iter().map(|group| check(group)).collect();
        if let (false, Some((why, maildrop))) = (over.contains(&None), over.iter().max().copied().flatten()) {
            let groups = over.into_iter().flatten().map(|(why, _)| why).collect();
            return Err(IntakeError::OverQuota { maildrop, why, groups });
        }
        let served = groups.iter().zip(&over).filter(|(_, over)| over.is_none());
        self.add(&served.flat_map(|(group, _)| group.clone()).collect::<Vec<_>>(), octets);
        Ok(over.into_iter().map(|over| over.map_or(Ok(()), |(why, _)| Err(why))).collect())
    }

    fn add(&self, maildrops: &[MaildropId], octets: u64) {
        for (maildrop, held) in self.0.lock().unwrap().iter_mut() {
            if maildrops.contains(maildrop) {
                held.messages += 1;
                held.octets += octets;
            }
        }
    }
}

fn reception() -> BareSession {
    greeted(Kind::Reception, &Config::default(), Accounts::new())
}

const ENVELOPE: &str = "MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<dora@example.test>\r\n";

#[test]
fn a_declared_size_is_compared_with_the_quota_at_its_edge() {
    let mut session = reception();
    let with_size =
        |octets: u64| format!("RSET\r\nMAIL FROM:<> SIZE={octets}\r\nRCPT TO:<dora@example.test>\r\n");
    assert_eq!(session.codes(with_size(QUOTA_OCTETS)), [250, 250, 250]);
    assert_eq!(session.codes(with_size(QUOTA_OCTETS + 1)), [250, 250, 552]);
    assert_eq!(session.codes("RCPT TO:<bob@example.test>\r\n"), [250]);
}

#[test]
fn nobody_gets_what_one_recipient_may_not_hold() {
    let mut session = reception();
    for (lines, code) in [(600, 250), (600, 452), (1100, 552), (1, 250)] {
        let content = "12345678\r\n".repeat(lines);
        assert_eq!(session.codes(format!("{ENVELOPE}DATA\r\n")), [250, 250, 250, 354]);
        assert_eq!(session.codes(format!("{content}.\r\n")), [code], "{lines} lines");
    }
    assert_eq!(session.codes(ENVELOPE), [250, 250, 452]);
    assert_eq!(session.messages.committed().len(), 2);
}

#[test]
fn the_last_chunk_is_told_that_the_mailbox_may_not_hold_the_message() {
    let mut session = reception();
    assert_eq!(session.codes(ENVELOPE), [250, 250, 250]);
    let chunk = format!("BDAT 6000\r\n{}", "x".repeat(6000));
    assert_eq!(session.codes(chunk.repeat(2)), [250, 250]);
    assert_eq!(session.codes("BDAT 0 LAST\r\nNOOP\r\n"), [552, 250]);
    assert!(session.messages.committed().is_empty());
    assert_eq!(session.codes(ENVELOPE), [250, 250, 250]);
}

#[test]
fn no_reply_tells_whose_mailbox_is_full() {
    let mut session = reception();
    let said = session.ask("MAIL FROM:<> SIZE=10001\r\nRCPT TO:<dora@example.test>\r\n");
    assert!(said.contains("552 5.2.2 ") && !said.contains("dora") && !said.contains("10"), "{said}");
}
