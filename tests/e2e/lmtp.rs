//! LMTP as other programs speak it, over TCP and a Unix socket, and SMTP through a proxy.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

use mailstack_tests::clients::{available, run};
use mailstack_tests::player::{Peer as _, Received};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::stream::Stream;

const CONTENT: &str = "Subject: by LMTP\r\n\r\n.dot\r\ntext\r\n";

/// Sends one message to each of argv[3:] by itself and says what it was told: smtplib reads one verdict a message.
const SMTPLIB: &str = r"
import smtplib, sys
host, port, recipients = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
content = sys.stdin.buffer.read()
with smtplib.LMTP(host, port, local_hostname='mta.example.org') as lmtp:
    for recipient in recipients:
        try:
            lmtp.sendmail('sender@example.org', recipient, content)
            print(recipient, 'delivered')
        except smtplib.SMTPDataError as error:
            print(recipient, error.smtp_code)
        except smtplib.SMTPRecipientsRefused as error:
            print(recipient, error.recipients[recipient][0])
";

#[test]
fn swaks_delivers_over_tcp_and_a_unix_socket() {
    if !available("swaks").unwrap() {
        return;
    }
    let server = Server::usual().unwrap();
    let address = server.addresses().unwrap().lmtp.to_string();
    let path = server.lmtp_socket().display().to_string();
    for place in [["--server", &address], ["--socket", &path]] {
        let arguments = ["--protocol", "LMTP", "--helo", "mta.example.org", "--from", "sender@example.org"];
        let to = ["--to", "bob@example.test,carol@example.test", "--data", "-"];
        let said = run("swaks", &[&place[..], &arguments, &to].concat(), CONTENT.as_bytes()).unwrap();
        said.well().unwrap();
    }
    for name in ["bob", "carol"] {
        assert_eq!(server.maildrop(name).unwrap().count().unwrap(), 2, "{name}");
    }
}

#[test]
fn smtplib_delivers_over_tcp_and_a_unix_socket() {
    if !available("python3").unwrap() {
        return;
    }
    let server = server_with_a_small_maildrop();
    let address = server.addresses().unwrap().lmtp;
    let path = server.lmtp_socket().display().to_string();
    let content = format!("{CONTENT}{}\r\n", "x".repeat(900)).repeat(12);
    for (host, port) in [(address.ip().to_string(), address.port().to_string()), (path, "0".to_owned())] {
        let recipients = ["bob@example.test", "dora@example.test", "nobody@example.test"];
        let arguments = [&["-c", SMTPLIB, &host, &port][..], &recipients].concat();
        let said = run("python3", &arguments, content.as_bytes()).unwrap().well().unwrap();
        let told = "bob@example.test delivered\ndora@example.test 552\nnobody@example.test 550\n";
        assert_eq!(said.text(), told);
    }
    assert_eq!(server.maildrop("bob").unwrap().count().unwrap(), 2);
    assert_eq!(server.maildrop("dora").unwrap().count().unwrap(), 0);
}

#[test]
fn a_message_says_by_which_way_it_came() {
    let server = Server::usual().unwrap();
    let address = server.addresses().unwrap().lmtp;
    let mut over_tcp = Stream::clear(address, server.trust()).unwrap();
    let mut over_unix = Stream::local(&server.lmtp_socket(), server.trust()).unwrap();
    for (stream, from) in [(&mut over_tcp, " ([127.0.0.1])"), (&mut over_unix, "")] {
        deliver(stream, "LHLO mta.example.org");
        let stored = newest(&server);
        assert!(stored.starts_with("Return-Path: <sender@example.org>\r\nReceived: "), "{stored}");
        let received =
            format!("from mta.example.org{from}\r\n\tby mail.example.test (mailstack) with LMTP\r\n");
        assert!(stored.contains(&received), "{stored}");
        assert!(stored.ends_with(CONTENT), "{stored}");
    }
}

#[test]
fn the_socket_is_for_its_group_and_goes_with_the_server() {
    let mut server = Server::usual().unwrap();
    let path = server.lmtp_socket();
    let found = std::fs::metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    server.terminate().unwrap();
    assert!(server.ended().unwrap().success());
    assert!(!path.exists());
    // What a server that was killed leaves is in nobody's way.
    server.run(&Configuration::default()).unwrap();
    server.signal_kill().unwrap();
    server.ended().unwrap();
    assert!(path.exists());
    server.run(&Configuration::default()).unwrap();
    Stream::local(&path, server.trust()).unwrap().line().unwrap();
}

#[test]
fn who_comes_through_a_trusted_proxy_is_known_by_its_own_address() {
    let smtp = "proxy_trusted = [\"127.0.0.0/8\"]\nconnections_per_address_max = 1";
    let server = Server::start(&Configuration { smtp, ..Configuration::default() }).unwrap();
    let reception = server.addresses().unwrap().reception;
    let text = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n".as_slice();
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc6\x33\x64\x01\xdc\x04\0\x19".as_slice();
    let mut open = Vec::new();
    for (header, client) in [(text, "192.0.2.7"), (binary, "192.0.2.8")] {
        let mut stream = Stream::clear(reception, server.trust()).unwrap();
        stream.send(header).unwrap();
        deliver(&mut stream, "EHLO mta.example.org");
        let stored = newest(&server);
        assert!(stored.contains(&format!("from mta.example.org ([{client}])\r\n")), "{stored}");
        let mut second = Stream::clear(reception, server.trust()).unwrap();
        second.send(header).unwrap();
        assert!(second.line().unwrap().starts_with(b"421 "), "{client} has a connection already");
        open.push(stream);
    }
    let mut without = Stream::clear(reception, server.trust()).unwrap();
    without.send(b"EHLO mta.example.org\r\n").unwrap();
    assert_eq!(without.receive_line().unwrap(), Received::Closed, "a trusted proxy must say its header");
    assert!(server.log().contains("192.0.2.7:56324"), "the log has the client's address");
}

fn server_with_a_small_maildrop() -> Server {
    let configuration = Configuration { accounts: vec!["dora"], ..Configuration::default() };
    let server = Server::start(&configuration).unwrap();
    server.mailstack(&["account", "quota", "dora@example.test", "--octets", "10000"], "").unwrap();
    server
}

/// Delivers to bob over a connection at its beginning, and leaves it open.
fn deliver(stream: &mut Stream, hello: &str) {
    let envelope = "MAIL FROM:<sender@example.org>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n";
    let content = CONTENT.replace("\r\n.", "\r\n..");
    for (say, code) in [
        (String::new(), "220"),
        (format!("{hello}\r\n"), "250"),
        (envelope.to_owned(), "354"),
        (format!("{content}.\r\n"), "250 2.0.0 Message accepted"),
    ] {
        stream.send(say.as_bytes()).unwrap();
        loop {
            let line = String::from_utf8(stream.line().unwrap()).unwrap();
            if line.starts_with(code) && line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
            assert!(line.starts_with("250"), "{line}");
        }
    }
}

/// The last message in bob's maildrop.
fn newest(server: &Server) -> String {
    let mut bob = server.maildrop("bob").unwrap();
    let count = bob.count().unwrap();
    String::from_utf8(bob.retrieve(count).unwrap()).unwrap()
}
