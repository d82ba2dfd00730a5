//! Ten thousand generated messages: what STAT, LIST and UIDL say of each, and what RETR and TOP send, octet for octet.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::thread;

use mailstack_tests::generated::{Generated, binary_header, decoded};
use mailstack_tests::messages::fields_before;
use mailstack_tests::pop3::Pop3;
use mailstack_tests::random::Random;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

const MESSAGES: u64 = 10_000;
/// Maildrops, each with its part of the messages.
const ACCOUNTS: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];
/// Messages, and commands, that are sent in one write.
const GROUP: usize = 40;
/// Where a header field was in UTF-8, for who has not said UTF8.
const ENCODED: &str = "=?utf-8?B?";
/// What reception puts in front.
const TRACE: [&str; 2] = ["Return-Path", "Received"];
/// The body of a larger message is cut at some of its lines only.
const LINES_ALL_CUT: usize = 200;
/// Where pieces of a message may end on their way, and how much the last piece may have on top.
const PIECE_OCTETS: usize = 64 << 10;
const LAST_PIECE_EXTRA_OCTETS: usize = 2 << 10;

/// RFC 1939 §5 and §7, §11; RFC 2449 §6.6.
#[test]
fn of_ten_thousand_messages_every_size_every_octet_and_every_top_is_exact() {
    let accounts = ACCOUNTS.into_iter().skip(3).collect();
    let server = Server::start(&Configuration { accounts, ..Configuration::default() }).unwrap();
    thread::scope(|scope| {
        for position in 0..ACCOUNTS.len() {
            scope.spawn({
                let server = &server;
                move || deliver(server, position)
            });
        }
    });
    let ids: Vec<Vec<String>> = thread::scope(|scope| {
        let server = &server;
        let checks: Vec<_> =
            (0..ACCOUNTS.len()).map(|position| scope.spawn(move || check(server, position))).collect();
        checks.into_iter().map(|check| check.join().unwrap()).collect()
    });
    let different: BTreeSet<&String> = ids.iter().flatten().collect();
    assert_eq!(different.len() as u64, MESSAGES, "unique-ids are unique");
    for (position, before) in ids.iter().enumerate() {
        let mut maildrop = login(&server, position + 1, ACCOUNTS.get(position).unwrap());
        assert_eq!(maildrop.listed("UIDL").unwrap(), *before, "unique-ids are the same in the next session");
    }
}

/// The numbers of the messages that are for an account.
fn numbers(position: usize) -> impl Iterator<Item = u64> {
    (position as u64..MESSAGES).step_by(ACCOUNTS.len())
}

/// Hands an account its messages, in order; most of them in groups, by BDAT (RFC 2920, RFC 3030 §4.2).
fn deliver(server: &Server, position: usize) {
    let recipient = format!("{}@example.test", ACCOUNTS.get(position).unwrap());
    let mut smtp = server.reception().unwrap();
    let numbers: Vec<u64> = numbers(position).collect();
    for (group, at) in numbers.chunks(GROUP).zip(0..) {
        let messages: Vec<Generated> = group.iter().map(|number| Generated::of(*number)).collect();
        if at % 4 == 0 {
            for message in messages {
                deliver_alone(&mut smtp, &recipient, &message);
            }
        } else {
            deliver_together(&mut smtp, &recipient, &messages);
        }
    }
}

/// By DATA where that can carry the content.
fn deliver_alone(smtp: &mut Smtp, recipient: &str, message: &Generated) {
    let content = message.content();
    match message {
        Generated::Text(_) if content.is_empty() || content.ends_with(b"\r\n") => {
            smtp.envelope("dave@example.org", &[recipient]).unwrap();
            smtp.data(&content).unwrap().positive().unwrap();
        }
        Generated::Text(_) | Generated::Binary(_) => {
            deliver_together(smtp, recipient, std::slice::from_ref(message));
        }
    }
}

fn deliver_together(smtp: &mut Smtp, recipient: &str, messages: &[Generated]) {
    for message in messages {
        let body = match message {
            Generated::Text(_) => "8BITMIME",
            Generated::Binary(_) => "BINARYMIME",
        };
        let content = message.content();
        let commands = format!(
            "MAIL FROM:<dave@example.org> BODY={body}\r\nRCPT TO:<{recipient}>\r\nBDAT {} LAST\r\n",
            content.len()
        );
        smtp.say(&[commands.as_bytes(), &content].concat()).unwrap();
    }
    for _ in 0..3 * messages.len() {
        smtp.reply().unwrap().positive().unwrap();
    }
}

/// True for the sessions in UTF-8 mode (RFC 6856 §2.1), which are every other one.
const fn is_in_utf8(turn: usize) -> bool {
    turn.is_multiple_of(2)
}

/// A session over one of the three ways, by turns.
fn login(server: &Server, turn: usize, account: &str) -> Pop3 {
    let addresses = server.addresses().unwrap();
    let stream = match turn % 3 {
        0 => Stream::tls(addresses.pop3s, server.trust()).unwrap(),
        _ => Stream::clear(addresses.pop3, server.trust()).unwrap(),
    };
    let mut maildrop = Pop3::new(stream).unwrap();
    if turn % 3 == 1 {
        maildrop.start_tls().unwrap();
    }
    if is_in_utf8(turn) {
        maildrop.ask("UTF8").unwrap();
    }
    maildrop.login(&format!("{account}@example.test"), &format!("pw-{account}")).unwrap();
    maildrop
}

/// Compares all that POP3 says of a maildrop with what was delivered, and gives the unique-ids.
fn check(server: &Server, position: usize) -> Vec<String> {
    let mut maildrop = login(server, position, ACCOUNTS.get(position).unwrap());
    let numbers: Vec<u64> = numbers(position).collect();
    let sizes: Vec<usize> =
        maildrop.listed("LIST").unwrap().iter().map(|octets| octets.parse().unwrap()).collect();
    let stat = maildrop.ask("STAT").unwrap();
    assert_eq!(stat, format!("{} {}", numbers.len(), sizes.iter().sum::<usize>()));
    assert_eq!(sizes.len(), numbers.len());
    let mut message_number = 0;
    for (numbers, sizes) in numbers.chunks(GROUP).zip(sizes.chunks(GROUP)) {
        let retrievals: Vec<String> =
            (1..=numbers.len()).map(|next| format!("RETR {}", message_number + next)).collect();
        let retrieved = maildrop.group(&retrievals).unwrap();
        for ((number, size), retrieved) in numbers.iter().zip(sizes).zip(retrieved) {
            message_number += 1;
            assert_eq!(retrieved.len(), *size, "{number}: LIST and RETR disagree");
            let is_downgraded = retrieved.windows(ENCODED.len()).any(|octets| octets == ENCODED.as_bytes());
            assert!(!is_downgraded || !is_in_utf8(position), "{number} is not as it was sent");
            if !is_downgraded {
                check_content(*number, &retrieved);
            }
            check_tops(&mut maildrop, message_number, *number, &retrieved);
        }
    }
    let ids = maildrop.listed("UIDL").unwrap();
    assert_eq!(ids.len(), numbers.len());
    maildrop.quit().unwrap();
    ids
}

/// What came back is what was sent, behind its trace fields.
fn check_content(number: u64, retrieved: &[u8]) {
    let complain = |problem| format!("message {number}: {problem}");
    match Generated::of(number) {
        Generated::Text(content) => {
            fields_before(retrieved, &content, &TRACE).map_err(complain).unwrap();
        }
        Generated::Binary(attachment) => {
            let header = binary_header("base64");
            let at = retrieved.windows(header.len()).position(|octets| octets == header.as_bytes()).unwrap();
            let (before, encoded) = retrieved.split_at(at + header.len());
            fields_before(before, header.as_bytes(), &TRACE).map_err(complain).unwrap();
            assert!(
                decoded(encoded) == Some(attachment),
                "{}",
                complain("its attachment differs".to_owned())
            );
        }
    }
}

/// Each TOP is the header section, the empty line behind it, and so many lines more.
fn check_tops(maildrop: &mut Pop3, message_number: usize, number: u64, retrieved: &[u8]) {
    // Where a TOP of so many lines ends.
    let mut ends: Vec<usize> = Vec::new();
    let mut end = 0;
    for line in retrieved.split_inclusive(|octet| *octet == b'\n') {
        end += line.len();
        if !ends.is_empty() || line == b"\r\n" {
            ends.push(end);
        }
    }
    if ends.is_empty() {
        ends.push(end);
    }
    let cuts = cuts(&ends, number);
    let tops: Vec<String> = cuts.iter().map(|lines| format!("TOP {message_number} {lines}")).collect();
    for (lines, top) in cuts.iter().zip(maildrop.group(&tops).unwrap()) {
        let end = ends.get(*lines).copied().unwrap_or(retrieved.len());
        assert!(
            retrieved.get(..end) == Some(top.as_slice()),
            "message {number}: TOP of {lines} lines differs"
        );
    }
}

/// How many lines to ask for: all numbers up to one more than there are, or of a large message those around each place
/// where it may be cut on its way, and some others.
fn cuts(ends: &[usize], number: u64) -> Vec<usize> {
    let lines = ends.len() - 1;
    if lines <= LINES_ALL_CUT {
        return (0..=lines + 1).chain([99_999_999]).collect();
    }
    let mut random = Random::new(number);
    let mut cuts = vec![0, 1, lines - 1, lines, lines + 1, 99_999_999];
    cuts.extend((0..4).map(|_| usize::try_from(random.below(lines as u64)).unwrap()));
    let edges = ends.last().unwrap() / PIECE_OCTETS;
    for edge in (1..=edges).map(|piece| piece * PIECE_OCTETS).filter(|_| edges < 4 || random.below(8) == 0) {
        for place in [edge, edge + LAST_PIECE_EXTRA_OCTETS] {
            let near = ends.partition_point(|end| *end < place);
            cuts.extend([near.saturating_sub(1), near, near + 1]);
        }
    }
    cuts
}
