//! The store or the directory fails: the client hears that it is temporary, and nothing is lost or kept by half.

use mailstore::{IntakeError, Unavailable};
use smtpd::Config;
use smtpd::session::Kind;

use crate::accounts::Accounts;
use crate::messages::FailAt;
use crate::session::{BareSession, LOGIN, greeted, reception};

const ENVELOPE: &str = "MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n";

fn failing(at: FailAt, error: IntakeError) -> BareSession {
    let mut session = reception();
    session.messages.failure = Some((at, error));
    session
}

fn full() -> IntakeError {
    IntakeError::Full { free_octets: 0 }
}

fn unavailable() -> IntakeError {
    IntakeError::Unavailable("the disk is on fire".to_owned())
}

#[test]
fn a_full_disk_is_told_before_content_is_sent() {
    let mut session = failing(FailAt::Draft, full());
    assert!(session.ask(format!("{ENVELOPE}DATA\r\n")).ends_with("try again later\r\n"));
    session.messages.failure = None;
    assert_eq!(session.codes("DATA\r\n"), [354]);
    assert_eq!(session.codes(".\r\n"), [250]);
}

#[test]
fn failures_of_the_store_are_temporary_whenever_they_come() {
    for (error, code) in [(full(), 452), (unavailable(), 451)] {
        let mut session = failing(FailAt::Draft, error.clone());
        assert_eq!(session.codes(format!("{ENVELOPE}DATA\r\n")), [250, 250, code]);
        for at in [FailAt::Write, FailAt::Commit] {
            let mut session = failing(at, error.clone());
            assert_eq!(session.codes(format!("{ENVELOPE}DATA\r\n")), [250, 250, 354]);
            assert_eq!(session.codes("A: b\r\n\r\nMAIL FROM:<>\r\n.\r\nNOOP\r\n"), [code, 250]);
            assert!(session.messages.committed().is_empty());
            session.messages.failure = None;
            assert_eq!(session.codes(format!("{ENVELOPE}DATA\r\n")), [250, 250, 354]);
            assert_eq!(session.codes(".\r\n"), [250]);
        }
    }
}

#[test]
fn content_for_which_there_is_no_memory_is_put_off_and_may_come_again() {
    let mut session = reception();
    session.puts_off = true;
    assert!(session.ask(format!("{ENVELOPE}DATA\r\n")).contains("452 4.3.1 "));
    // A chunk is read to its end, and so is the rest of the message.
    assert_eq!(session.codes("BDAT 6\r\nNOOP\r\n"), [452]);
    assert_eq!(session.codes("BDAT 0 LAST\r\nNOOP\r\n"), [452, 250]);
    session.puts_off = false;
    assert_eq!(session.codes(format!("{ENVELOPE}DATA\r\n")), [250, 250, 354]);
    assert_eq!(session.codes(".\r\n"), [250]);
}

#[test]
fn a_chunk_is_read_to_its_end_where_the_store_fails() {
    for at in [FailAt::Draft, FailAt::Write, FailAt::Commit] {
        let mut session = failing(at, full());
        assert_eq!(session.codes(format!("{ENVELOPE}BDAT 6 LAST\r\nNOOP\r\n")), [250, 250, 452]);
        assert_eq!(session.codes("NOOP\r\n"), [250]);
    }
}

#[test]
fn what_the_store_says_stays_in_the_log() {
    let mut session = failing(FailAt::Draft, unavailable());
    assert!(!session.ask(format!("{ENVELOPE}DATA\r\n")).contains("fire"));
}

#[test]
fn a_directory_that_cannot_answer_says_nothing_of_recipients_or_passwords() {
    let mut accounts = Accounts::new();
    accounts.failure = Some(Unavailable("the disk is on fire".to_owned()));
    let mut session = greeted(Kind::Submission, &Config::default(), accounts);
    assert_eq!(session.codes(LOGIN), [454]);

    let mut accounts = Accounts::new();
    accounts.failure = Some(Unavailable("the disk is on fire".to_owned()));
    let mut session = greeted(Kind::Reception, &Config::default(), accounts);
    assert_eq!(session.codes("MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n"), [250, 451]);
    assert_eq!(session.codes("RCPT TO:<nobody@example.test>\r\n"), [451]);
}

#[test]
fn a_client_that_goes_within_content_leaves_nothing() {
    let mut session = reception();
    assert_eq!(session.codes(format!("{ENVELOPE}DATA\r\n")), [250, 250, 354]);
    assert!(session.codes("A: b\r\n\r\nhalf a mess").is_empty());
    let messages = session.messages.clone();
    drop(session);
    assert!(messages.committed().is_empty());
}
