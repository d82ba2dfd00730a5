//! Milters of others look at mail and change it: opendkim, which signs and verifies, and one that does whatever it is asked for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use mailstack_tests::milters::{Milter, opendkim_is_available, python_is_available};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Reply;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/milters.py");

fn server(milter: &str) -> Server {
    let tables = format!("[[scan.scanners]]\nkind = \"milter\"\n{milter}\n");
    Server::start(&Configuration { tables, ..Configuration::default() }).unwrap()
}

/// What a message for bob with this Subject is answered.
fn sent(server: &Server, subject: &str) -> Reply {
    let mut smtp = server.reception().unwrap();
    smtp.envelope("a@b.example", &["bob@example.test"]).unwrap();
    smtp.data(&message(subject)).unwrap()
}

fn message(subject: &str) -> Vec<u8> {
    let fields = format!("Message-ID: <{subject}@b.example>\r\nX-Secret: yes\r\nSubject: {subject}\r\n");
    format!("{fields}\r\ntext\r\n").into_bytes()
}

fn explained(server: &Server, subject: &str) -> String {
    server.mailstack(&["explain", &format!("{subject}@b.example")], "").unwrap()
}

/// The last message in a maildrop.
fn last(server: &Server, account: &str) -> String {
    let mut maildrop = server.maildrop(account).unwrap();
    let number = maildrop.count().unwrap();
    String::from_utf8(maildrop.retrieve(number).unwrap()).unwrap()
}

fn beginning(message: &str) -> String {
    message.chars().take(2000).collect()
}

fn count(server: &Server, account: &str) -> usize {
    server.maildrop(account).unwrap().count().unwrap()
}

#[test]
fn what_a_milter_says_of_a_message_is_done() {
    if !python_is_available().unwrap() {
        return;
    }
    let milter = Milter::python(SCRIPT).unwrap();
    let server = server(&format!("at = \"{}\"", milter.at()));
    sent(&server, "usual").positive().unwrap();
    let got = last(&server, "bob");
    let id = got.split("id ").nth(1).unwrap().split_whitespace().next().unwrap();
    let told = format!(
        "X-Told: host=[127.0.0.1]; address=127.0.0.1; hello=client.example.test; from=<a@b.example>; i={id}; \
         j=mail.example.test; {{daemon_name}}=MTA; {{auth_authen}}=None; {{auth_type}}=None; to=<bob@example.test>; octets=6\r\n"
    );
    assert!(got.contains(&told), "{got}\n{told}");
    assert!(explained(&server, "usual").contains(" at end: adds X-Told"), "{}", explained(&server, "usual"));
    sent(&server, "busy").positive().unwrap();
    let refused = sent(&server, "reject");
    assert_eq!((refused.code, refused.text.contains("5.7.1 one line")), (554, true), "{refused:?}");
    assert!(refused.text.contains("and 100% more"), "{refused:?}");
    assert_eq!(sent(&server, "tempfail").code, 451);
    assert_eq!(count(&server, "bob"), 2);
    sent(&server, "discard").positive().unwrap();
    sent(&server, "nobody").positive().unwrap();
    assert_eq!(count(&server, "bob"), 2);
    let told = server.mailstack(&["explain", "--to", "bob@example.test"], "").unwrap();
    assert!(
        told.contains("milter=discard by ") && told.contains("takes out recipient <bob@example.test>"),
        "{told}"
    );
    sent(&server, "quarantine").positive().unwrap();
    let told = explained(&server, "quarantine");
    assert!(told.contains("milter=junk by ") && told.contains("quarantine: looks odd"), "{told}");
    assert!(last(&server, "bob").contains("X-Spam-Flag: YES"), "{}", last(&server, "bob"));
}

#[test]
fn a_milter_changes_fields_text_sender_and_recipients() {
    if !python_is_available().unwrap() {
        return;
    }
    let milter = Milter::python(SCRIPT).unwrap();
    let server = server(&format!("at = \"{}\"", milter.at()));
    sent(&server, "change").positive().unwrap();
    let got = last(&server, "bob");
    assert!(got.contains("\r\nSubject: changed\r\n\r\ntext\r\n") && !got.contains("X-Secret"), "{got}");
    let at = |text: &str| got.find(text).unwrap_or_else(|| panic!("{text}: {got}"));
    assert!(at("Return-Path:") < at("X-First: 1\r\n") && at("X-First: 1\r\n") < at("Received:"), "{got}");
    assert!(at("Authentication-Results: mail.example.test;\r\n\tmilter=pass\r\n") < at("Subject:"), "{got}");
    sent(&server, "text").positive().unwrap();
    let got = last(&server, "bob");
    assert!(got.ends_with("Subject: text\r\n\r\nanother text\r\nof two lines\r\n"), "{got}");
    sent(&server, "sender").positive().unwrap();
    assert!(last(&server, "bob").contains("Return-Path: <other@b.example>"), "{}", last(&server, "bob"));
    let (bob, alice) = (count(&server, "bob"), count(&server, "alice"));
    sent(&server, "recipients").positive().unwrap();
    assert_eq!((count(&server, "bob"), count(&server, "alice")), (bob, alice + 1));
    assert!(last(&server, "alice").ends_with("Subject: recipients\r\n\r\ntext\r\n"));
    // Larger than what lies in memory, and changed all the same.
    let large = [message("change"), b"text of a line\r\n".repeat(50_000)].concat();
    let mut smtp = server.reception().unwrap();
    smtp.envelope("a@b.example", &["bob@example.test"]).unwrap();
    smtp.chunks(&large, 100_000).unwrap().positive().unwrap();
    let got = last(&server, "bob");
    let octets = got.len() - got.find("\r\n\r\n").unwrap();
    assert!(
        octets > 800_000 && got.contains(&format!("octets={}", octets - 4)),
        "{octets}: {}",
        beginning(&got)
    );
}

#[test]
fn a_milter_refuses_a_sender_or_one_recipient() {
    if !python_is_available().unwrap() {
        return;
    }
    let milter = Milter::python(SCRIPT).unwrap();
    let server = server(&format!("at = \"{}\"\nsubmissions = true", milter.at()));
    let mut smtp = server.reception().unwrap();
    smtp.ask("MAIL FROM:<reject@b.example>").unwrap().positive().unwrap();
    let refused = smtp.ask("RCPT TO:<bob@example.test>").unwrap();
    assert_eq!(
        (refused.code, refused.text.contains("5.7.1 the milter does not want this sender")),
        (550, true)
    );
    smtp.ask("RSET").unwrap().positive().unwrap();
    // The same connection goes on, there and here.
    smtp.ask("MAIL FROM:<a@b.example>").unwrap().positive().unwrap();
    let refused = smtp.ask("RCPT TO:<carol@example.test>").unwrap();
    assert_eq!((refused.code, refused.text.contains("5.1.1 the milter does not know carol")), (550, true));
    smtp.ask("RCPT TO:<bob@example.test>").unwrap().positive().unwrap();
    smtp.data(&message("one")).unwrap().positive().unwrap();
    let told = explained(&server, "one");
    assert!(
        told.contains("carol@example.test: milter=refuse by ") && told.contains("does not know carol"),
        "{told}"
    );
    // Users are shown to it where the administrator wants that.
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    smtp.data(b"Subject: x\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    let got = last(&server, "bob");
    assert!(got.contains("{daemon_name}=MSA; {auth_authen}=alice@example.test; {auth_type}=PLAIN"), "{got}");
}

#[test]
fn a_milter_that_hangs_leaves_or_talks_nonsense_is_away() {
    if !python_is_available().unwrap() {
        return;
    }
    for (subject, why) in [("hang", "it has not answered in time"), ("drop", "it has closed the connection")]
    {
        let milter = Milter::python(SCRIPT).unwrap();
        let accepting = server(&format!("at = \"{}\"\nseconds = 1", milter.at()));
        sent(&accepting, subject).positive().unwrap();
        let told = explained(&accepting, subject);
        assert!(told.contains("when_away = \"accept\"") && told.contains(why), "{told}");
        assert!(accepting.log().contains("a scanner is away"), "{}", accepting.log());
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let nonsense = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 17]).unwrap();
        stream.write_all(&vec![0xff; 100_000]).unwrap();
    });
    let deferring = server(&format!("at = \"{at}\"\nwhen_away = \"defer\""));
    let mut smtp = deferring.reception().unwrap();
    smtp.ask("MAIL FROM:<a@b.example>").unwrap().positive().unwrap();
    let put_off = smtp.ask("RCPT TO:<bob@example.test>").unwrap();
    assert_eq!((put_off.code, put_off.text.contains("4.7.1 ")), (451, true), "{put_off:?}");
    nonsense.join().unwrap();
    assert!(deferring.log().contains("is empty or too large"), "{}", deferring.log());
}

#[test]
fn opendkim_signs_what_users_submit_and_verifies_what_comes() {
    if !opendkim_is_available().unwrap() {
        return;
    }
    let lines = "Mode sv\nDomain example.test\nSelector s\nKeyFile {}/key.pem\nCanonicalization relaxed/simple\n\
                 TestPublicKeys {}/keys\nInternalHosts {}/inside\nAuthservID mail.example.test\n";
    let opendkim = Milter::opendkim(lines).unwrap();
    let server = server(&format!("at = \"{}\"\nsubmissions = true", opendkim.at()));
    // Date and Message-ID are this server's, and are signed as well.
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    let content = format!("From: alice@example.test\r\nSubject: signed\r\n\r\n{}", "text\r\n".repeat(20_000));
    smtp.data(content.as_bytes()).unwrap().positive().unwrap();
    let signed = last(&server, "bob");
    let log = opendkim.log();
    assert!(
        signed.contains("\r\nDKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.test;"),
        "{log}"
    );
    let (_, signed) = signed.split_once("\r\n").unwrap();
    for (content, result) in [
        (signed.to_owned(), "dkim=pass"),
        (signed.replace("Subject: signed", "Subject: forged"), "dkim=fail"),
        (format!("{signed}more\r\n"), "dkim=fail"),
        (signed.replacen("\r\nDate: ", "\r\nDate: Mon, 1 Jan 2001 00:00:00 +0000 ", 1), "dkim=fail"),
    ] {
        let mut smtp = server.reception().unwrap();
        smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
        // What claims to be its word, and is not.
        let content = format!("Authentication-Results: mail.example.test; dkim=forged\r\n{content}");
        smtp.data(content.as_bytes()).unwrap().positive().unwrap();
        let got = last(&server, "bob");
        let results = got.split("Authentication-Results: mail.example.test;").nth(1);
        let results = results.unwrap_or_else(|| panic!("{}\n{}", opendkim.log(), beginning(&got)));
        assert!(
            beginning(results).starts_with(&format!("\r\n\t{result}")) && !got.contains("dkim=forged"),
            "{result}: {}",
            beginning(&got)
        );
    }
}
