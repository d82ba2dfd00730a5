//! Any content by DATA and by BDAT, lines or binary: what is stored is what was meant, or nothing is, and chunks make no
//! difference.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use mailstack_tests::player::Security;
use smtpd::Config;
use smtpd::session::{Kind, Policy};

use crate::accounts::Accounts;
use crate::session::{BareSession, LOGIN, policy};

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

/// Made once.
static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| policy(&Config::default()));
const ENVELOPE: &str = "MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n";
const BINARY_ENVELOPE: &str =
    "MAIL FROM:<alice@example.test> BODY=BINARYMIME\r\nRCPT TO:<bob@example.test>\r\n";

/// What was said to the content and after it, and the content of each message that was committed.
type Outcome = (String, Vec<(Vec<u8>, Vec<u8>)>);

fn begun(kind: Kind, envelope: &str) -> BareSession {
    let mut session = BareSession::new(kind, Arc::clone(&POLICY), Accounts::new().into(), Security::Tls);
    session.ask(match kind {
        Kind::Reception | Kind::Submission => "EHLO client.example.org\r\n",
        Kind::Lmtp => "LHLO client.example.org\r\n",
    });
    if kind == Kind::Submission {
        session.ask(LOGIN);
    }
    session.ask(envelope);
    session
}

fn ended(said: String, session: &BareSession) -> Outcome {
    let messages = session.messages.committed().into_iter();
    (said, messages.map(|message| (message.delivery.prefix, message.content)).collect())
}

fn by_data(kind: Kind, octets: &[u8], size: usize) -> Outcome {
    let mut session = begun(kind, ENVELOPE);
    session.ask("DATA\r\n");
    let said = octets.chunks(size).map(|chunk| session.ask(chunk)).collect();
    ended(said, &session)
}

fn by_chunks(kind: Kind, envelope: &str, octets: &[u8], size: usize) -> Outcome {
    let mut session = begun(kind, envelope);
    for chunk in octets.chunks(size) {
        session.ask(format!("BDAT {}\r\n", chunk.len()));
        session.ask(chunk);
    }
    let said = session.ask("BDAT 0 LAST\r\n");
    ended(said, &session)
}

/// RFC 5321 §4.5.2 as simply as can be: the content before the final dot, its lines without the dot in front.
fn unstuffed(octets: &[u8]) -> Option<Vec<u8>> {
    let framed = [b"\r\n", octets].concat();
    let end = framed.windows(5).position(|window| window == b"\r\n.\r\n")?;
    let mut content = Vec::new();
    let mut rest = &framed[..end + 2];
    while let Some(at) = rest.windows(3).position(|window| window == b"\r\n.") {
        content.extend_from_slice(&rest[..at + 2]);
        rest = &rest[at + 3..];
    }
    content.extend_from_slice(rest);
    Some(content[2..].to_vec())
}

/// The content of the message that was taken; what stands behind a refused one may be commands for another.
fn taken((said, messages): &Outcome) -> Option<&[u8]> {
    messages.first().filter(|_| said.starts_with("250 ")).map(|(_, content)| content.as_slice())
}

/// RFC 5321 §2.3.8: CR and LF as CRLF only.
fn is_lines(content: &[u8]) -> bool {
    let text: String = content.iter().copied().map(char::from).collect();
    !text.replace("\r\n", "").contains(['\r', '\n'])
}

/// What is binary becomes lines; where nothing says that it is, all stays as it is.
fn binary(kind: Kind, octets: &[u8], size: usize) {
    let whole = by_chunks(kind, BINARY_ENVELOPE, octets, octets.len().max(1));
    assert_eq!(by_chunks(kind, BINARY_ENVELOPE, octets, size).1, whole.1);
    let Some(content) = taken(&whole) else { return };
    assert!(is_lines(content), "{}", content.escape_ascii());
    if kind == Kind::Reception && stays_as_it_is(octets) {
        let says_binary = octets.to_ascii_lowercase().windows(6).any(|window| window == b"binary");
        assert!(says_binary || content == octets, "{}", content.escape_ascii());
        // There is nothing left to convert.
        let again = by_chunks(kind, BINARY_ENVELOPE, content, size);
        assert_eq!(taken(&again), Some(content));
    }
}

/// True where reception and LMTP store the octets as they are.
fn stays_as_it_is(content: &[u8]) -> bool {
    let lower = content.to_ascii_lowercase();
    let names: [&[u8]; 2] = [b"authentication-results", b"x-spam-flag"];
    names.iter().all(|name| !lower.windows(name.len()).any(|window| window == *name))
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (flags, size, octets) = (input.0, usize::from(input.1 % 17) + 1, input.2);
    let kind = match (flags & 4, flags & 1) {
        (0, 0) => Kind::Reception,
        (0, _) => Kind::Submission,
        _ => Kind::Lmtp,
    };
    if flags & 2 != 0 {
        return binary(kind, octets, size);
    }
    let whole = by_data(kind, octets, octets.len().max(1));
    assert_eq!(by_data(kind, octets, size), whole);
    if let (Some(content), Kind::Reception | Kind::Lmtp) = (taken(&whole), kind) {
        let meant = unstuffed(octets).expect("a message without its end");
        assert!(!stays_as_it_is(&meant) || content == meant, "{}", content.escape_ascii());
    }

    let chunks = by_chunks(kind, ENVELOPE, octets, octets.len().max(1));
    // Each chunk of refused content is an error of its own, so the replies may differ.
    assert_eq!(by_chunks(kind, ENVELOPE, octets, size).1, chunks.1);
    if let (Some(content), Kind::Reception | Kind::Lmtp) = (taken(&chunks), kind) {
        assert!(!stays_as_it_is(octets) || content == octets, "{}", content.escape_ascii());
    }
});
