//! What programs that are not ours show their users when something is refused: words that help.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::clients::available;
use mailstack_tests::fetchers::Fetcher;
use mailstack_tests::senders::{Mail, Sender, WAYS};
use mailstack_tests::server::{Configuration, Server};

/// What alice may send only where she was granted bob's address.
const AS_BOB: &[u8] =
    b"From: Bob <bob@example.test>\r\nSender: alice@example.test\r\nSubject: x\r\n\r\ntext\r\n";
const CONTENT: &[u8] = b"From: alice@example.test\r\nSubject: x\r\n\r\ntext\r\n";

/// Sends `mail` by every program in each way; each must fail, and say one of `words` of the server or `own` of its own.
fn every_sender_shows(server: &Server, mail: &Mail, words: &str, own: &[(Sender, &str)]) {
    for sender in Sender::ALL {
        if !sender.is_available().unwrap() {
            continue;
        }
        let expected = own.iter().find(|(other, _)| *other == sender).map_or(words, |(_, words)| words);
        for way in WAYS {
            let said = sender.send(server, way, mail).unwrap();
            assert!(!said.success, "{sender:?} by {way:?} was successful");
            assert!(said.text().contains(expected), "{sender:?} by {way:?} said {}", said.text());
        }
    }
}

/// As [`every_sender_shows`], for programs that fetch.
fn every_fetcher_shows(server: &Server, password: &str, words: &str, own: &[(Fetcher, &str)]) {
    for fetcher in Fetcher::ALL {
        if !available(fetcher.program()).unwrap() {
            continue;
        }
        let expected = own.iter().find(|(other, _)| *other == fetcher).map_or(words, |(_, words)| words);
        for way in WAYS {
            let fetched = fetcher.fetch(server, way, "bob@example.test", password).unwrap();
            assert!(!fetched.said.success, "{fetcher:?} by {way:?} was successful");
            let text = fetched.said.text();
            assert!(text.contains(expected), "{fetcher:?} by {way:?} said {text}");
        }
    }
}

#[test]
fn a_wrong_password_is_named_by_who_sends() {
    let server = Server::usual().unwrap();
    let mail = Mail {
        login: "alice@example.test",
        password: "wrong",
        recipient: "bob@example.test",
        content: CONTENT,
    };
    // curl has words of its own for it.
    let own = [(Sender::Curl, "Login denied")];
    every_sender_shows(&server, &mail, "The user name or the password is wrong", &own);
}

#[test]
fn an_unknown_recipient_is_named_by_who_sends() {
    let server = Server::usual().unwrap();
    let mail = Mail {
        login: "alice@example.test",
        password: "pw-alice",
        recipient: "nobody@example.test",
        content: CONTENT,
    };
    let own = [(Sender::Curl, "RCPT failed: 550")];
    every_sender_shows(&server, &mail, "There is no such mailbox here, please check the address", &own);
}

#[test]
fn a_recipient_elsewhere_is_refused_with_the_reason_where_nothing_is_relayed() {
    let relay = "enabled = false".to_owned();
    let server = Server::start(&Configuration { relay, ..Configuration::default() }).unwrap();
    let mail = Mail {
        login: "alice@example.test",
        password: "pw-alice",
        recipient: "dave@example.org",
        content: CONTENT,
    };
    let own = [(Sender::Curl, "RCPT failed: 550")];
    every_sender_shows(&server, &mail, "This server sends to its own domains only", &own);
}

#[test]
fn a_message_that_is_too_big_is_refused_with_the_limit() {
    let configuration = Configuration { smtp: "content_octets_max = 100000", ..Configuration::default() };
    let server = Server::start(&configuration).unwrap();
    let content = [CONTENT, [[b'x'; 70].as_slice(), b"\r\n"].concat().repeat(2000).as_slice()].concat();
    let mail = Mail {
        login: "alice@example.test",
        password: "pw-alice",
        recipient: "bob@example.test",
        content: &content,
    };
    let own = [(Sender::Curl, "MAIL failed: 552")];
    every_sender_shows(&server, &mail, "The message is too big: at most 100000 octets are taken", &own);
}

#[test]
fn a_wrong_password_is_named_by_who_fetches() {
    let server = Server::usual().unwrap();
    // mpop shows nothing of what the server says here.
    let own = [(Fetcher::Curl, "Login denied"), (Fetcher::Mpop, "authentication failed")];
    every_fetcher_shows(&server, "wrong", "User name or password is wrong", &own);
}

#[test]
fn a_busy_maildrop_is_named_by_who_fetches() {
    let server = Server::usual().unwrap();
    let other = server.maildrop("bob").unwrap();
    let own = [(Fetcher::Curl, "Login denied"), (Fetcher::Mpop, "authentication failed")];
    every_fetcher_shows(&server, "pw-bob", "Another program is reading this mailbox at the moment", &own);
    other.quit().unwrap();
}

#[test]
fn a_login_that_comes_too_soon_is_named_by_who_fetches() {
    let server = Server::usual().unwrap();
    let rule = ["account", "maildrop", "bob@example.test", "--login-delay", "1h"];
    server.mailstack(&rule, "").unwrap();
    server.maildrop("bob").unwrap().quit().unwrap();
    let own = [(Fetcher::Curl, "Login denied"), (Fetcher::Mpop, "authentication failed")];
    every_fetcher_shows(&server, "pw-bob", "let your mail program look for new mail less often", &own);
}

#[test]
fn a_granted_address_may_stand_in_from_until_the_grant_is_taken_back() {
    let server = Server::usual().unwrap();
    let mut smtp = server.submission("alice").unwrap();
    let mut submitted = || {
        smtp.envelope("alice@example.test", &["carol@example.test"]).unwrap();
        smtp.data(AS_BOB).unwrap()
    };
    assert_eq!(submitted().code, 550);
    let grant = ["account", "grant", "alice@example.test", "--as", "bob@example.test"];
    server.mailstack(&grant, "").unwrap();
    assert_eq!(submitted().code, 250);
    let revoke = ["account", "revoke", "alice@example.test", "--as", "bob@example.test"];
    server.mailstack(&revoke, "").unwrap();
    assert_eq!(submitted().code, 550);
}
