//! A maildrop moves from Dovecot to mailstack and back, and the client that has read it downloads nothing again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mailstack_tests::clients::available;
use mailstack_tests::dovecot::{self, Dovecot};
use mailstack_tests::reader::{Reader, at_mailstack};
use mailstack_tests::server::Server;

const LOGIN: &str = "bob@example.test";
const PASSWORD: &str = "pw-bob";

fn at_dovecot(dovecot: &Dovecot) -> Vec<String> {
    vec![format!("--socket={}", dovecot.socket().display()), "--tls=off".to_owned()]
}

/// A Maildir with mail that was delivered, some of it not looked at yet.
fn delivered(folder: &Path) -> PathBuf {
    let maildir = folder.join("maildir");
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(maildir.join(part)).unwrap();
    }
    let bodies = [".\n", "..dots\n.\n", "From me\n>From you\n", "Gr\u{fc}\u{df}e\n", "\n\n"];
    for (number, body) in (1..=20).zip(bodies.iter().cycle()) {
        let part = if number % 3 == 0 { "new" } else { "cur" };
        let flags = if number % 3 == 0 { "" } else { ":2,S" };
        let name = format!("{}.M{number}P7.old{flags}", 1_700_000_000 + number * 37 % 100);
        let text = format!("From: alice@example.test\nSubject: number {number}\n\n{body}");
        fs::write(maildir.join(part).join(name), text).unwrap();
    }
    maildir
}

#[test]
fn a_client_of_dovecots_downloads_nothing_from_mailstack_and_nothing_after_the_way_back() {
    if !available("mpop").unwrap() || !dovecot::available().unwrap() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let maildir = delivered(folder.path());
    let reader = Reader::new(LOGIN, PASSWORD).unwrap();
    let dovecot = Dovecot::serve(&maildir, PASSWORD).unwrap();
    let read = reader.fetch(&at_dovecot(&dovecot)).unwrap();
    assert_eq!(read.len(), 20, "{}", dovecot.log());
    drop(dovecot);

    let server = Server::usual().unwrap();
    let import = ["import", LOGIN, maildir.to_str().unwrap()];
    let said = server.mailstack(&import, "").unwrap();
    assert_eq!(said, "imported 20 messages, 0 were there already\n");
    let said = server.mailstack(&import, "").unwrap();
    assert_eq!(said, "imported 0 messages, 20 were there already\n");
    assert!(reader.fetch(&at_mailstack(&server).unwrap()).unwrap() == read, "something was downloaded again");
    assert!(
        Reader::new(LOGIN, PASSWORD).unwrap().fetch(&at_mailstack(&server).unwrap()).unwrap() == read,
        "the messages have changed"
    );

    let mut submission = server.submission("alice").unwrap();
    submission.envelope("alice@example.test", &[LOGIN]).unwrap();
    submission.data(b"Subject: new\r\n\r\nnew\r\n").unwrap().positive().unwrap();
    let read = reader.fetch(&at_mailstack(&server).unwrap()).unwrap();
    assert_eq!(read.len(), 21);

    let exported = folder.path().join("exported");
    let export = ["export", LOGIN, exported.to_str().unwrap(), "--format", "maildir"];
    let said = server.mailstack(&export, "").unwrap();
    assert_eq!(said, "exported 21 messages, 0 were there already\n");
    let dovecot = Dovecot::serve(&exported, PASSWORD).unwrap();
    assert!(
        reader.fetch(&at_dovecot(&dovecot)).unwrap() == read,
        "something was downloaded again: {}",
        dovecot.log()
    );
    assert!(
        Reader::new(LOGIN, PASSWORD).unwrap().fetch(&at_dovecot(&dovecot)).unwrap() == read,
        "the messages have changed: {}",
        dovecot.log()
    );
}
