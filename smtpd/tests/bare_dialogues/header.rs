//! The header section of what is stored: who a submission claims to be from, what is added to it, and what goes.

use std::sync::Arc;

use smtpd::session::Kind;
use smtpd::{BareLineEnds, Config, DomainConfig};

use crate::accounts::Accounts;
use crate::session::{BareSession, LOGIN, greeted, reception, submission};

const TO_BOB: &str = "MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n";

/// What is stored of `content`: the fields put in front, and the content.
fn stored(session: &mut BareSession, envelope: &str, content: &str) -> (String, String) {
    assert_eq!(session.codes(format!("{envelope}DATA\r\n")), [250, 250, 354]);
    assert_eq!(session.codes(format!("{content}.\r\n")), [250], "{content:?}");
    let message = session.messages.committed().pop().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (text(message.delivery.prefix), text(message.content))
}

#[test]
fn a_submission_loses_bcc_and_return_path_and_keeps_every_other_octet() {
    let content = "From: alice@example.test\r\nBCC: carol@example.test,\r\n dora@example.test\r\nX: y \r\n z\r\n\
                   Resent-Bcc : carol@example.test\r\nReturn-Path: <bob@example.test>\r\n\r\nBcc: in the text\r\n";
    let (_, submitted) = stored(&mut submission(), TO_BOB, content);
    assert_eq!(submitted, "From: alice@example.test\r\nX: y \r\n z\r\n\r\nBcc: in the text\r\n");
    let (_, received) = stored(&mut reception(), TO_BOB, content);
    assert_eq!(received, content);
}

#[test]
fn results_of_authentication_that_claim_to_be_ours_go_wherever_they_come_from() {
    for mut session in [submission(), reception()] {
        let ours = "Authentication-Results: (x) MAIL.example.test 1;\r\n\tspf=pass\r\nauthentication-results :\r\n \
                    \"example.test\"; none\r\n";
        let theirs = "Authentication-Results: mx.example.org; spf=pass\r\n";
        let content = format!("{ours}From: alice@example.test\r\n{theirs}{ours}\r\n{ours}");
        let (_, kept) = stored(&mut session, TO_BOB, &content);
        assert_eq!(kept, format!("From: alice@example.test\r\n{theirs}\r\n{ours}"));
    }
}

#[test]
fn chunks_are_filtered_like_data() {
    let mut session = submission();
    assert_eq!(session.codes(TO_BOB), [250, 250]);
    let chunks = "BDAT 3\r\nBccBDAT 7\r\n: x\r\n yBDAT 4\r\n\r\nBcBDAT 5\r\ncs: aBDAT 0 LAST\r\n";
    assert_eq!(session.codes(chunks), [250; 5]);
    assert_eq!(session.messages.committed()[0].content, b"Bccs: a");
}

#[test]
fn a_submission_without_from_gets_the_sender_as_author() {
    let author = |prefix: &str| {
        let from = prefix.lines().filter_map(|line| line.strip_prefix("From: "));
        from.map(str::to_owned).collect::<Vec<_>>()
    };
    let alias = TO_BOB.replace("alice", "Postmaster");
    let (prefix, _) = stored(&mut submission(), &alias, "Subject: x\r\n\r\n");
    assert_eq!(author(&prefix), ["<Postmaster@example.test>"]);
    let null = TO_BOB.replace("alice@example.test", "");
    let (prefix, _) = stored(&mut submission(), &null, "hello\r\n");
    assert_eq!(author(&prefix), ["<alice@example.test>"]);
    let (prefix, _) = stored(&mut submission(), TO_BOB, "from: alice@example.test\r\n\r\n");
    assert!(author(&prefix).is_empty());
    let (prefix, _) = stored(&mut reception(), TO_BOB, "Subject: x\r\n\r\n");
    assert!(author(&prefix).is_empty());
}

#[test]
fn a_directory_that_cannot_say_who_may_send_as_whom_puts_the_message_off() {
    let mut accounts = Accounts::new();
    accounts.silent_about = Some("bob@example.test");
    let mut session = greeted(Kind::Submission, &Config::default(), accounts);
    assert_eq!(session.codes(LOGIN), [235]);
    assert_eq!(session.codes(format!("{TO_BOB}DATA\r\n")), [250, 250, 354]);
    assert_eq!(session.codes("From: bob@example.test\r\n\r\n.\r\n"), [451]);
    assert!(session.messages.committed().is_empty());
    assert_eq!(session.codes(format!("{TO_BOB}DATA\r\n")), [250, 250, 354]);
    assert_eq!(session.codes("From: alice@example.test\r\n\r\n.\r\n"), [250]);
}

#[test]
fn no_refusal_shows_what_the_message_says() {
    for field in ["From", "Sender", "Resent-From"] {
        for body in
            ["mallory@example.org", "mallory@example.org,", "=?utf-8?q?mallory=40?= <alice@example.test>"]
        {
            let mut session = submission();
            assert_eq!(session.codes(format!("{TO_BOB}DATA\r\n")), [250, 250, 354]);
            let said = session.ask(format!("{field}: {body}\r\n\r\n.\r\n"));
            assert!(said.starts_with("55") && !said.contains("mallory"), "{said}");
        }
    }
}

#[test]
fn the_header_section_is_limited_at_its_edge() {
    let config = Config { header_octets_max: 1000, ..Config::default() };
    for (octets, code) in [(1000, 250), (1001, 552)] {
        let mut session = greeted(Kind::Reception, &config, Accounts::new());
        assert_eq!(session.codes(format!("{TO_BOB}DATA\r\n")), [250, 250, 354]);
        // The CR of the empty line is the last octet of the section that counts.
        let fields = format!("A:{}\r\n", "x".repeat(octets - 5));
        assert_eq!(session.codes(format!("{fields}\r\n{}\r\n.\r\n", "y".repeat(5000))), [code]);
        assert_eq!(session.codes("NOOP\r\n"), [250]);
    }
}

#[test]
fn received_fields_are_limited_at_the_edge_of_the_configuration() {
    let config = Config { received_max: 120, ..Config::default() };
    for (fields, code) in [(120, 250), (121, 554)] {
        let mut session = greeted(Kind::Reception, &config, Accounts::new());
        assert_eq!(session.codes(format!("{TO_BOB}DATA\r\n")), [250, 250, 354]);
        assert_eq!(session.codes(format!("{}\r\n.\r\n", "Received: x\r\n".repeat(fields))), [code]);
    }
}

fn small_domain(content_octets_max: u64) -> Config {
    let domains = [("example.test".to_owned(), DomainConfig { content_octets_max })];
    Config { domains: domains.into(), content_octets_max: 5000, ..Config::default() }
}

#[test]
fn a_domain_may_take_less_than_the_server() {
    let mut session = greeted(Kind::Reception, &small_domain(1000), Accounts::new());
    let with_size =
        |octets: u64| format!("RSET\r\nMAIL FROM:<> SIZE={octets}\r\nRCPT TO:<bob@example.test>\r\n");
    assert_eq!(session.codes(with_size(1000)), [250, 250, 250]);
    assert_eq!(session.codes(with_size(1001)), [250, 250, 552]);
    assert_eq!(session.codes(with_size(5001)), [250, 552, 503]);
    for (octets, code) in [(1000, 250), (1001, 552), (9000, 552)] {
        assert_eq!(session.codes("RSET\r\n"), [250]);
        assert_eq!(session.codes(format!("{TO_BOB}DATA\r\n")), [250, 250, 354]);
        assert_eq!(session.codes(format!("{}\r\n.\r\n", "x".repeat(octets - 2))), [code]);
    }
    assert!(session.ask("EHLO x\r\n").contains("SIZE 5000\r\n"));
}

#[test]
fn bare_line_ends_of_this_machine_are_repaired_where_told_so() {
    let config = Config { bare_line_ends: BareLineEnds::RepairLoopback, ..Config::default() };
    for kind in [Kind::Reception, Kind::Submission] {
        let mut session = greeted(kind, &config, Accounts::new());
        if kind == Kind::Submission {
            assert_eq!(session.codes(LOGIN), [235]);
        }
        let content = "From: alice@example.test\nBcc: x\n y\n\none\n.\ntwo\r.\r\nthree\r\n";
        let kept = stored(&mut session, TO_BOB, content).1;
        let bcc = if kind == Kind::Reception { "Bcc: x\r\n y\r\n" } else { "" };
        let expected = format!("From: alice@example.test\r\n{bcc}\r\none\r\n.\r\ntwo\r\n.\r\nthree\r\n");
        assert_eq!(kept, expected);
        assert_eq!(session.codes("NOOP\r\n"), [250]);
    }
}

#[test]
fn bare_line_ends_of_other_machines_are_refused_whatever_the_configuration() {
    let config = Config { bare_line_ends: BareLineEnds::RepairLoopback, ..Config::default() };
    let mut session = BareSession::of_peer(
        Kind::Reception,
        &config,
        Arc::new(Accounts::new()),
        "192.0.2.1".parse().unwrap(),
    );
    assert_eq!(session.codes("EHLO x\r\n"), [220, 250]);
    assert_eq!(session.codes(format!("{TO_BOB}DATA\r\n")), [250, 250, 354]);
    assert_eq!(session.codes("A: b\n\r\n.\r\n"), [554]);
    assert!(session.is_closed());
}
