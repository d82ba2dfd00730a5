//! Signatures of `mailstack dkim` are right for another program, dkimpy, and its keys come and go as its help says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::PathBuf;

use mailstack_tests::clients::{Said, available, run, skipped};
use mailstack_tests::name_server::{NameServer, Zone};
use mailstack_tests::programs::program;
use tempfile::TempDir;

/// Checks signatures; its head says what its argument is.
const CHECKER: &str = include_str!("dkim.py");
/// Where Debian's packages of Python modules are, whichever Python is the first in PATH.
const PYTHON: &str = "/usr/bin/python3";

/// A configuration, and the folder of its keys.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(tables: &str) -> Self {
        let place = Self { folder: TempDir::new().unwrap() };
        let folder = place.folder.path().display();
        let configuration = format!(
            "version = 1\n[server]\nhostname = \"mail.example.test\"\ndomains = [\"example.test\"]\n\
             [store]\npath = \"{folder}/store\"\n[dkim]\nkeys = \"{folder}/dkim\"\n{tables}"
        );
        fs::write(place.file("mailstack.toml"), configuration).unwrap();
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn dkim(&self, arguments: &[&str], input: &[u8]) -> Said {
        let mailstack = program("mailstack").unwrap().display().to_string();
        let config = self.file("mailstack.toml").display().to_string();
        run(&mailstack, &[&["dkim"], arguments, &["--config", &config]].concat(), input).unwrap()
    }
}

/// What is hard to sign: blanks, folds, letters, ends.
fn messages() -> Vec<String> {
    let header = "From: Alice <alice@example.test>\r\nTo: bob@example.net\r\nSubject: x\r\n";
    let long = "x ".repeat(400);
    [
        "\r\n".to_owned(),
        String::new(),
        "\r\nbody\r\n".to_owned(),
        "\r\nbody".to_owned(),
        "\r\n\r\n\r\nbody  \t with  blanks \t\r\n\t\r\n \r\n\r\n".to_owned(),
        "\r\n\r\n\r\n\r\n".to_owned(),
        "\r\n \t\r\n".to_owned(),
        "\r\n.\r\n..\r\n".to_owned(),
        format!("\r\n{long}\r\n"),
        format!("X-Folded: a\r\n\tb\r\n   c \r\nReferences:\r\n <{}@x>\r\n <b@x>\r\n\r\nbody\r\n", "a".repeat(70)),
        "Received: by x\r\nReceived: by y\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: \
         multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n"
            .to_owned(),
        "Comments: \u{fc}\r\nReply-To: \u{fc} <a@b>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n"
            .to_owned(),
        format!("\r\n{}", "a line of a large message\r\n".repeat(20_000)),
    ]
    .map(|rest| format!("{header}{rest}"))
    .to_vec()
}

/// How many signatures of a message are right, and all of them, by the records in the file `zone`.
fn right_signatures(zone: &str, signed: &[u8]) -> String {
    let said = run(PYTHON, &["-c", CHECKER, zone], signed).unwrap().well().unwrap();
    String::from_utf8(said.output).unwrap().trim().to_owned()
}

#[test]
fn another_program_finds_our_signatures_right() {
    if !available("dkimverify").unwrap() {
        return;
    }
    if !run(PYTHON, &["-c", "import nacl"], b"").unwrap().success {
        return skipped("python3-nacl is not installed").unwrap();
    }
    let place = Place::new("");
    place.dkim(&["make", "example.test"], b"").well().unwrap();
    let zone = place.dkim(&["show", "example.test"], b"").well().unwrap();
    fs::write(place.file("zone"), &zone.output).unwrap();
    let list = place.dkim(&["list", "--plain"], b"").well().unwrap().text();
    let selectors: Vec<_> = list.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    place.dkim(&[&["use", "example.test", "--unchecked"], &selectors[..]].concat(), b"").well().unwrap();
    let zone = place.file("zone").display().to_string();
    for message in messages() {
        let signed = place.dkim(&["sign"], message.as_bytes()).well().unwrap().output;
        assert!(signed.ends_with(message.as_bytes()));
        assert_eq!(right_signatures(&zone, &signed), "2", "{message:.300}");
    }
}

#[test]
fn a_key_of_another_program_signs_as_well() {
    if !available("openssl").unwrap() || !available("dkimverify").unwrap() {
        return;
    }
    let place = Place::new("");
    let file = place.file("key.pem").display().to_string();
    run("openssl", &["genrsa", "-out", &file, "2048"], b"").unwrap().well().unwrap();
    place.dkim(&["import", "example.test", "old", &file], b"").well().unwrap();
    place.dkim(&["use", "--unchecked", "example.test", "old"], b"").well().unwrap();
    let zone = place.dkim(&["show", "example.test"], b"").well().unwrap();
    fs::write(place.file("zone"), &zone.output).unwrap();
    let message = b"From: alice@sub.example.test\r\nSubject: x\r\n\r\nbody\r\n";
    let signed = place.dkim(&["sign"], message).well().unwrap().output;
    let zone = place.file("zone").display().to_string();
    assert_eq!(right_signatures(&zone, &signed), "1");
}

#[test]
fn nothing_is_signed_with_a_key_whose_record_is_not_published() {
    let keys = Place::new("");
    keys.dkim(&["make", "example.test", "--kind", "ed25519", "--selector", "right"], b"").well().unwrap();
    let right = keys.dkim(&["show", "example.test"], b"").well().unwrap().text();
    let (_, record) = right.split_once(" IN TXT ").unwrap();
    let zone =
        format!("right._domainkey TXT {record}\nother._domainkey TXT \"v=DKIM1; k=ed25519; p=AAAA\"\n");
    let server = NameServer::start(&[Zone::signed("example.test", &zone)]).unwrap();
    let place = Place::new(&server.table(keys.folder.path()).unwrap());
    let key = keys.file("dkim/example.test/right.pem").display().to_string();
    for selector in ["right", "other", "missing"] {
        place.dkim(&["import", "example.test", selector, &key], b"").well().unwrap();
    }
    for (selector, complaint) in [
        ("other", "DNS has another key in other._domainkey.example.test"),
        ("missing", "DNS has no record missing._domainkey.example.test yet"),
        ("unknown", "example.test has no key with the selector unknown"),
    ] {
        let said = place.dkim(&["use", "example.test", selector], b"");
        assert!(!said.success && said.text().contains(complaint), "{}", said.text());
    }
    let message = b"From: alice@example.test\r\n\r\n";
    let refused = place.dkim(&["sign"], message);
    assert!(refused.text().contains("no key signs for the domain"), "{}", refused.text());
    let said = place.dkim(&["use", "example.test", "right"], b"").well().unwrap();
    assert_eq!(said.text(), "mail of example.test is signed with right from now on\n");
    place.dkim(&["sign"], message).well().unwrap();
    let said = place.dkim(&["remove", "example.test", "right"], b"");
    assert!(!said.success && said.text().contains("mail of example.test is signed with right"));
    place.dkim(&["use", "example.test", "--none"], b"").well().unwrap();
    place.dkim(&["remove", "example.test", "right"], b"").well().unwrap();
}
