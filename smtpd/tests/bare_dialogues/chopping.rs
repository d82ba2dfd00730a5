//! The same octets give the same replies and the same messages, however they are chopped.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use smtpd::Config;
use smtpd::session::Kind;

use crate::accounts::Accounts;
use crate::session::{LOGIN, greeted};

/// What clients say, and what they should not.
const FRAGMENTS: [&str; 33] = [
    LOGIN,
    "EHLO x\r\n",
    "HELO x\r\n",
    "MAIL FROM:<alice@example.test>\r\n",
    "MAIL FROM:<> SIZE=5\r\n",
    "MAIL FROM:<> BODY=BINARYMIME\r\n",
    "RCPT TO:<bob@example.test>\r\n",
    "RCPT TO:<nobody@example.test>\r\n",
    "DATA\r\n",
    "BDAT 7\r\n",
    "BDAT 4 LAST\r\n",
    "BDAT 0 LAST\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "AUTH LOGIN\r\n",
    "AUTH PLAIN\r\n",
    "*\r\n",
    "YWJj\r\n",
    ".\r\n",
    "..\r\n",
    "Subject: x\r\n",
    "Date: y\r\n",
    "Content-Transfer-Encoding: binary\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "--b\r\n",
    "BDAT 60\r\n",
    "\r\n",
    "text",
    "\r",
    "\n",
    "\0",
    "\r\n.\r\n",
    ".",
];

/// What was said, and prefix and content of each message stored.
type Outcome = (String, Vec<(Vec<u8>, Vec<u8>)>);

/// What the session says to `octets` in chunks of these sizes, in turn, and what it stores.
fn outcome(octets: &[u8], sizes: &[usize]) -> Outcome {
    let config = Config { content_octets_max: 60, ..Config::default() };
    let mut session = greeted(Kind::Submission, &config, Accounts::new());
    let mut said = session.ask(LOGIN);
    let mut rest = octets;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap()).min(rest.len());
        let (chunk, after) = rest.split_at(size);
        said += &session.ask(chunk);
        rest = after;
    }
    let committed = session.messages.committed();
    (said, committed.into_iter().map(|message| (message.delivery.prefix, message.content)).collect())
}

proptest! {
    #[test]
    fn any_octets_are_answered_or_awaited(octets in vec(any::<u8>(), 0..300), line in vec(any::<char>(), 0..40)) {
        let line = line.into_iter().collect::<String>().into_bytes();
        let mut session = greeted(Kind::Submission, &Config::default(), Accounts::new());
        for piece in [LOGIN.as_bytes(), &octets, b"\r\n", &line, b"\r\n"] {
            session.ask(piece);
        }
        prop_assert!(!session.is_closed() && session.codes("NOOP\r\n") == [250]);
    }

    #[test]
    fn chopping_makes_no_difference(
        fragments in vec(select(&FRAGMENTS[..]), 0..40),
        sizes in vec(1_usize..12, 1..8),
    ) {
        let octets = fragments.concat().into_bytes();
        let whole = outcome(&octets, &[octets.len().max(1)]);
        prop_assert_eq!(outcome(&octets, &sizes), whole);
    }
}
