//! Who has a maildrop, where daemons are processes of their own: sessions that are killed, taken over, or come too soon.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io;

use mailstack_tests::apart::{Apart, Layout, Part};
use mailstack_tests::deadline::wait_for;
use mailstack_tests::pop3::Pop3;

const BOB: &str = "bob@example.test";

/// A store that is served apart, with two messages for bob.
fn apart() -> Apart {
    let apart = Apart::new(Layout::Hardened).unwrap();
    apart.start(Part::Store).unwrap();
    apart.add_account("bob").unwrap();
    apart.start(Part::Smtp).unwrap();
    apart.start(Part::Pop3).unwrap();
    let mut smtp = apart.reception().unwrap();
    for number in 0..2 {
        smtp.envelope("a@example.org", &[BOB]).unwrap();
        smtp.data(format!("Subject: {number}\r\n\r\ntext\r\n").as_bytes()).unwrap().positive().unwrap();
    }
    smtp.quit().unwrap();
    apart
}

fn rule(apart: &Apart, options: &[&str]) {
    apart.mailstack(&[&["account", "maildrop", BOB], options].concat(), "").unwrap();
}

/// What is said to a login that is refused.
fn refusal(login: io::Result<Pop3>) -> String {
    login.err().unwrap().to_string()
}

#[test]
fn a_daemon_that_is_killed_leaves_no_maildrop_behind_in_use() {
    let apart = apart();
    let mut session = apart.maildrop("bob").unwrap();
    session.delete(1).unwrap();
    let second = refusal(apart.maildrop("bob"));
    assert!(second.contains("[IN-USE]"), "{second}");
    apart.kill(Part::Pop3).unwrap();
    apart.start(Part::Pop3).unwrap();
    // The host hears of the end at once, and a login tries for a moment: no second one is needed.
    let mut session = apart.maildrop("bob").unwrap();
    assert_eq!(session.count().unwrap(), 2);
}

#[test]
fn a_client_that_vanishes_leaves_the_maildrop_to_the_next_login() {
    let apart = apart();
    let mut session = apart.maildrop("bob").unwrap();
    session.delete(1).unwrap();
    drop(session);
    assert_eq!(apart.maildrop("bob").unwrap().count().unwrap(), 2);
}

#[test]
fn a_login_takes_the_maildrop_over_through_a_store_that_is_served_apart() {
    let apart = apart();
    rule(&apart, &["--takeover", "yes"]);
    let mut older = apart.maildrop("bob").unwrap();
    older.retrieve(1).unwrap();
    older.delete(1).unwrap();
    let mut newer = apart.maildrop("bob").unwrap();
    assert_eq!(newer.count().unwrap(), 2);
    // Word of it comes from the host of the store, and may take a moment.
    let told = wait_for("the older session to be told", || match older.ask("NOOP") {
        Ok(_) => Ok(None),
        Err(error) => Ok(Some(error.to_string())),
    });
    let told = told.unwrap();
    assert!(told.contains("[SYS/TEMP]"), "{told}");
    assert_eq!(older.ask("NOOP").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    newer.delete(2).unwrap();
    newer.quit().unwrap();
    rule(&apart, &["--default"]);
    let mut last = apart.maildrop("bob").unwrap();
    assert_eq!(last.count().unwrap(), 1);
    assert!(refusal(apart.maildrop("bob")).contains("[IN-USE]"));
}

#[test]
fn a_login_delay_is_known_to_the_host_of_the_store_for_as_long_as_it_runs() {
    let apart = apart();
    rule(&apart, &["--login-delay", "1h"]);
    apart.maildrop("bob").unwrap().quit().unwrap();
    assert!(refusal(apart.maildrop("bob")).contains("[LOGIN-DELAY]"));
    apart.kill(Part::Pop3).unwrap();
    apart.start(Part::Pop3).unwrap();
    assert!(refusal(apart.maildrop("bob")).contains("[LOGIN-DELAY]"));
    apart.terminate(Part::Store).unwrap();
    apart.start(Part::Store).unwrap();
    let session = wait_for("a login at the new host", || match apart.maildrop("bob") {
        Ok(session) => Ok(Some(session)),
        Err(error) if error.to_string().contains("[SYS/TEMP]") => Ok(None),
        Err(error) => Err(error),
    });
    session.unwrap().quit().unwrap();
    assert!(refusal(apart.maildrop("bob")).contains("[LOGIN-DELAY]"), "the rule itself is kept");
}
