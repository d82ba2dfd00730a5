//! Whole sessions of SMTP and LMTP of any octets: the same replies and messages however they are chopped, and nothing kept that a line end could split.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use mailstack_tests::player::{Peer as _, Security};
use smtpd::session::{Kind, Policy};
use smtpd::{ClearLogin, Config};

use crate::accounts::Accounts;
use crate::session::{BareSession, policy};

#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/bare_dialogues/accounts.rs"]
mod accounts;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/bare_dialogues/messages.rs"]
mod messages;
#[allow(dead_code, unused_imports, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/bare_dialogues/quotas.rs"]
mod quotas;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/bare_dialogues/session.rs"]
mod session;

/// Stands in the input where the client makes its TLS handshake.
const HANDSHAKE: &[u8] = b"\xf0TLS\xf1";

/// What was said, what was committed (prefix and content), and whether the connection is closed.
#[derive(Debug, PartialEq)]
struct Outcome {
    said: Vec<u8>,
    messages: Vec<(Vec<u8>, Vec<u8>)>,
    is_closed: bool,
}

/// A new session, by the first octet of the input.
fn begun(flags: u8) -> BareSession {
    let kind = match (flags & 16, flags & 1) {
        (0, 0) => Kind::Reception,
        (0, _) => Kind::Submission,
        _ => Kind::Lmtp,
    };
    let security = if flags & 2 == 0 { Security::Clear } else { Security::Tls };
    let policy = &POLICIES[usize::from(flags >> 2 & 3)];
    BareSession::new(kind, Arc::clone(policy), Accounts::new().into(), security)
}

/// By two bits of the first octet; made once.
static POLICIES: LazyLock<[Arc<Policy>; 4]> = LazyLock::new(|| {
    [0_u8, 1, 2, 3].map(|flags| {
        let clear_login = if flags & 1 == 0 { ClearLogin::Loopback } else { ClearLogin::Never };
        let mut config = Config { clear_login, ..Config::default() };
        if flags & 2 != 0 {
            (config.content_octets_max, config.recipients_max, config.errors_max) = (60, 2, 3);
        }
        policy(&config)
    })
});

fn outcome(flags: u8, octets: &[u8], chunk_octets: usize) -> Outcome {
    let mut session = begun(flags);
    let mut said = Vec::new();
    let mut rest = octets;
    loop {
        let handshake = rest.windows(HANDSHAKE.len()).position(|window| window == HANDSHAKE);
        let (before, behind) = rest.split_at(handshake.unwrap_or(rest.len()));
        for chunk in before.chunks(chunk_octets) {
            said.extend_from_slice(session.ask(chunk).as_bytes());
        }
        let Some(behind) = behind.get(HANDSHAKE.len()..) else { break };
        // Where no handshake is due, this end of the connection has made a mistake, which is not of interest here.
        let _ = session.start_tls();
        rest = behind;
    }
    let messages = session.messages.committed().into_iter();
    let messages = messages.map(|message| (message.delivery.prefix, message.content)).collect();
    Outcome { said, messages, is_closed: session.is_closed() }
}

/// RFC 5321 §4.2.1 and RFC 2034 §4: what every line of every reply is like.
fn check_reply_line(line: &[u8]) {
    assert!(line.len() <= 512 && line.ends_with(b"\r\n") && line.len() >= 5, "{}", line.escape_ascii());
    assert!((b'2'..=b'5').contains(&line[0]) && matches!(line[3], b' ' | b'-'), "{}", line.escape_ascii());
    let text = &line[..line.len() - 2];
    assert!(!text.iter().any(u8::is_ascii_control), "{}", line.escape_ascii());
    if text.len() > 5 && text[5] == b'.' && text[4].is_ascii_digit() {
        assert_eq!(text[0], text[4], "{}", line.escape_ascii());
    }
}

/// RFC 5321 §2.3.8: neither CR nor LF stands alone.
fn check_line_ends(octets: &[u8]) {
    let line_feeds = octets.iter().filter(|octet| **octet == b'\n').count();
    let returns = octets.iter().filter(|octet| **octet == b'\r').count();
    let ends = octets.windows(2).filter(|window| window == b"\r\n").count();
    assert_eq!((line_feeds, returns), (ends, ends), "{}", octets.escape_ascii());
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (flags, size, octets) = (input.0, usize::from(input.1 % 17) + 1, input.2);
    let whole = outcome(flags, octets, octets.len().max(1));
    whole.said.split_inclusive(|octet| *octet == b'\n').for_each(check_reply_line);
    for (prefix, content) in &whole.messages {
        check_line_ends(prefix);
        check_line_ends(content);
    }
    assert_eq!(outcome(flags, octets, size), whole);
});
