//! Mail programs that are not ours: each of them sends, each of them fetches, and the octets are equal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::clients::available;
use mailstack_tests::fetchers::Fetcher;
use mailstack_tests::messages::fields_before;
use mailstack_tests::senders::{Mail, Sender, WAYS};
use mailstack_tests::server::{Configuration, Server};

/// What a submission may get in front.
const TRACE: [&str; 2] = ["Return-Path", "Received"];

/// What all of them can send and fetch: dots at the beginnings of lines, octets over 127, long lines.
fn content(name: &str) -> Vec<u8> {
    let mut content = format!(
        "From: alice@example.test\r\nTo: {name}@example.test\r\nSubject: from {name}\r\n\
         Date: Mon, 2 Jan 2006 15:04:05 -0700\r\nMessage-ID: <{name}@example.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         .\r\n..\r\n.dot\r\n\r\nGrüße, 漢字\r\nFrom me\r\n"
    )
    .into_bytes();
    content.extend_from_slice(&[b'x'; 998]);
    content.extend_from_slice(b"\r\n\r\nend\r\n");
    content
}

#[test]
fn smtplib_sends_what_every_client_fetches() {
    sends_what_every_client_fetches(Sender::Smtplib);
}

#[test]
fn curl_sends_what_every_client_fetches() {
    sends_what_every_client_fetches(Sender::Curl);
}

#[test]
fn msmtp_sends_what_every_client_fetches() {
    sends_what_every_client_fetches(Sender::Msmtp);
}

#[test]
fn swaks_sends_what_every_client_fetches() {
    sends_what_every_client_fetches(Sender::Swaks);
}

#[test]
fn nodemailer_sends_what_every_client_fetches() {
    sends_what_every_client_fetches(Sender::Nodemailer);
}

#[test]
fn openssl_sends_what_every_client_fetches() {
    sends_what_every_client_fetches(Sender::OpenSsl);
}

/// Each way to send has an account of its own, which every program then looks at in each way to fetch.
fn sends_what_every_client_fetches(sender: Sender) {
    if !sender.is_available().unwrap() {
        return;
    }
    let names = ["starttls", "tls"];
    let configuration = Configuration { accounts: names.to_vec(), ..Configuration::default() };
    let server = Server::start(&configuration).unwrap();
    for (way, name) in WAYS.into_iter().zip(names) {
        let content = content(name);
        let login = format!("{name}@example.test");
        let mail =
            Mail { login: "alice@example.test", password: "pw-alice", recipient: &login, content: &content };
        sender.send(&server, way, &mail).unwrap().well().unwrap();
        let stored = server.maildrop(name).unwrap().retrieve(1).unwrap();
        assert_eq!(fields_before(&stored, &content, &TRACE).unwrap(), TRACE);

        for fetcher in Fetcher::ALL {
            if !available(fetcher.program()).unwrap() {
                continue;
            }
            for way in WAYS {
                let fetched = fetcher.fetch(&server, way, &login, &format!("pw-{name}")).unwrap();
                let said = fetched.said.well().unwrap();
                assert!(
                    fetched.message.as_deref() == Some(&fetcher.as_fetched(&stored)),
                    "{fetcher:?} by {way:?} got {:?}\n{}",
                    fetched.message.map(|message| String::from_utf8_lossy(&message).into_owned()),
                    said.text()
                );
            }
        }
    }
}
