//! `mailstack store check`, while the server runs: damage on the disk is named with whose message it concerns, and its
//! reader gets a substitute that no client stumbles over.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::FileExt;

use mailstack_tests::server::Server;

/// What stands in the content of the second message and nowhere else.
const MARK: &[u8] = b"of all messages only this one";

/// A server with three messages for bob.
fn server() -> Server {
    server_with("test")
}

/// The same, with that subject.
fn server_with(subject: &str) -> Server {
    let server = Server::usual().unwrap();
    let mut smtp = server.submission("alice").unwrap();
    for text in ["first", std::str::from_utf8(MARK).unwrap(), "third"] {
        smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
        let content = format!("From: alice@example.test\r\nSubject: {subject}\r\n\r\n{text}\r\n");
        smtp.data(content.as_bytes()).unwrap().positive().unwrap();
    }
    smtp.quit().unwrap();
    server
}

/// Flips a bit of the marked message on the disk.
fn damage(server: &Server) {
    let path = server.folder().join("store/journal/00000001.segment");
    let journal = fs::read(&path).unwrap();
    let at = journal.windows(MARK.len()).position(|octets| octets == MARK).unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[journal.get(at).unwrap() ^ 1], at as u64).unwrap();
}

#[test]
fn damage_is_named_with_whose_message_it_concerns() {
    let server = server();
    let check = |arguments: &[&str]| server.mailstack(&[&["store", "check"], arguments].concat(), "");
    assert_eq!(check(&["--deep"]).unwrap(), "no damage was found\n");
    let unique_ids = server.maildrop("bob").unwrap().listed("UIDL").unwrap();

    damage(&server);
    let said = check(&["--deep"]).unwrap_err().to_string();
    let finding = said.lines().find(|line| line.contains("content is damaged")).unwrap();
    assert!(finding.contains("journal/00000001.segment"), "{said}");
    assert!(finding.ends_with(&format!("message {} of bob@example.test", unique_ids[1])), "{said}");
    assert!(said.contains("1 place is damaged"), "{said}");
    assert!(!unique_ids.iter().enumerate().any(|(index, id)| index != 1 && said.contains(id)), "{said}");
    // The quick look reads no content.
    assert!(check(&[]).is_ok());
}

#[test]
fn the_reader_of_a_damaged_message_gets_a_substitute_and_all_the_others() {
    let server = server();
    let before: Vec<_> =
        (1..=3).map(|number| server.maildrop("bob").unwrap().retrieve(number).unwrap()).collect();
    damage(&server);
    let mut session = server.maildrop("bob").unwrap();
    let after: Vec<_> = (1..=3).map(|number| session.retrieve(number).unwrap()).collect();
    assert_eq!([&after[0], &after[2]], [&before[0], &before[2]]);
    assert_eq!(after[1].len(), before[1].len());
    assert!(after[1].starts_with(b"Subject: [mailstack] This message was damaged on disk\r\n"));
    session.quit().unwrap();
}

/// RFC 6856 §2.1.
#[test]
fn the_substitute_of_an_internationalized_message_has_the_size_that_list_says() {
    let server = server_with("Gr\u{fc}\u{df}e");
    damage(&server);
    for log_in in [Server::maildrop, Server::utf8_maildrop] {
        let mut session = log_in(&server, "bob").unwrap();
        let sizes = session.listed("LIST").unwrap();
        for (size, number) in sizes.iter().zip(1..) {
            assert_eq!(*size, session.retrieve(number).unwrap().len().to_string(), "message {number}");
        }
        let substitute = session.retrieve(2).unwrap();
        assert!(substitute.starts_with(b"Subject: [mailstack] This message was damaged on disk\r\n"));
        assert!(substitute.starts_with(&session.top(2, 0).unwrap()));
        session.quit().unwrap();
    }
}

#[test]
fn an_index_that_is_made_anew_while_the_server_runs_holds_the_same() {
    let server = server();
    let listed = || server.maildrop("bob").unwrap().listed("UIDL").unwrap();
    let before = listed();
    let said = server.mailstack(&["store", "rebuild"], "").unwrap();
    assert_eq!(said, "the index is made anew from the journal\n");
    assert_eq!(listed(), before);
    let said = server.mailstack(&["store", "compact"], "").unwrap();
    assert!(said.starts_with("0 deleted messages given up, 0 segments"), "{said}");
    assert_eq!(listed(), before);
}
