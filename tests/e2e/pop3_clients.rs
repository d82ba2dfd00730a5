//! Mail programs that are not ours collect mail: all of it, then what is new, then they delete it on the server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::collectors::{After, Collection, Collector};
use mailstack_tests::senders::Way;
use mailstack_tests::server::{Configuration, Server};

#[test]
fn fetchmail_collects_each_message_once_and_deletes_it() {
    collects(Collector::Fetchmail);
}

#[test]
fn getmail_collects_each_message_once_and_deletes_it() {
    collects(Collector::Getmail);
}

#[test]
fn mpop_collects_each_message_once_and_deletes_it() {
    collects(Collector::Mpop);
}

#[test]
fn mutt_collects_and_deletes() {
    collects(Collector::Mutt);
}

#[test]
fn mutt_copies_what_is_new_out_of_a_folder_and_deletes_it() {
    collects(Collector::MuttFolder);
}

#[test]
fn s_nail_collects_and_deletes() {
    collects(Collector::SNail);
}

#[test]
fn poplib_collects_each_message_once_and_deletes_it() {
    collects(Collector::Poplib);
}

#[test]
fn net_pop3_collects_each_message_once_and_deletes_it() {
    collects(Collector::NetPop3);
}

#[test]
fn curl_collects_each_message_once_and_deletes_it() {
    collects(Collector::Curl);
}

#[test]
fn claws_mail_collects_each_message_once_and_deletes_it() {
    collects(Collector::ClawsMail);
}

/// What all of them can keep: dots and `From` at the beginnings of lines, octets over 127, long lines.
fn content(name: &str) -> Vec<u8> {
    let mut content = format!(
        "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: {name}\r\n\
         Date: Mon, 2 Jan 2006 15:04:05 -0700\r\nMessage-ID: <{name}@example.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         .\r\n..\r\n.{name}\r\n\r\nGrüße, 漢字\r\nFrom me\r\n"
    )
    .into_bytes();
    content.extend_from_slice(&[b'x'; 998]);
    content.extend_from_slice(b"\r\n\r\nend\r\n");
    content
}

fn deliver(server: &Server, account: &str, name: &str) {
    let content = content(name);
    let mut smtp = server.reception().unwrap();
    smtp.envelope("alice@example.org", &[&format!("{account}@example.test")]).unwrap();
    smtp.chunks(&content, content.len()).unwrap().positive().unwrap();
    smtp.quit().unwrap();
}

/// What lies in the maildrop, as the program will keep it, sorted.
fn expected(server: &Server, account: &str, collector: Collector) -> Vec<Vec<u8>> {
    let mut pop3 = server.maildrop(account).unwrap();
    let count = pop3.count().unwrap();
    let mut stored: Vec<_> =
        (1..=count).map(|number| collector.as_kept(&pop3.retrieve(number).unwrap())).collect();
    pop3.quit().unwrap();
    stored.sort();
    stored
}

/// Each way to TLS has an account of its own.
fn collects(collector: Collector) {
    if !collector.is_available().unwrap() {
        return;
    }
    let accounts = vec!["starttls", "tls"];
    let tls = match collector {
        // Its GNU SASL takes SCRAM-SHA-256-PLUS where that is offered and then lacks what to bind to; after that mutt takes
        // the answer to its `*` for the one to USER.
        Collector::Mutt | Collector::MuttFolder => "channel_binding = false",
        Collector::Fetchmail
        | Collector::Getmail
        | Collector::Mpop
        | Collector::SNail
        | Collector::Poplib
        | Collector::NetPop3
        | Collector::Curl
        | Collector::ClawsMail => "",
    };
    let server = Server::start(&Configuration { accounts, tls, ..Configuration::default() }).unwrap();
    for way in collector.ways() {
        let account = match way {
            Way::StartTls => "starttls",
            Way::Tls => "tls",
        };
        let collection = || {
            let login = format!("{account}@example.test");
            Collection::new(collector, *way, &login, &format!("pw-{account}")).unwrap()
        };
        let mut own = collection();
        for (names, after) in
            [(["one", "two"].as_slice(), After::Leave), (&["three"], After::Leave), (&[], After::Delete)]
        {
            for name in names {
                deliver(&server, account, name);
            }
            let expected = expected(&server, account, collector);
            if !collector.remembers() {
                own = collection();
            }
            let collected = own.collect(&server, after).unwrap();
            assert_eq!(text(&collected), text(&expected), "{collector:?} by {way:?}, {after:?}");
            assert!(collected == expected, "{collector:?} by {way:?} changed octets");
        }
        assert_eq!(server.maildrop(account).unwrap().count().unwrap(), 0, "{collector:?} by {way:?}");
    }
}

/// In a form that shows what differs.
fn text(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|message| message.escape_ascii().to_string()).collect()
}
