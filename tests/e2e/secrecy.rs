//! What others must not see or forge: secrets, files, lines of the log, and who is behind a name.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailstack_tests::pop3::Pop3;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

const SECRET: &[u8] = b"Subject: a secret subject\r\nFrom: alice@example.test\r\n\r\na secret text\r\n";

/// A server that logs all there is to log, and ends no session for what is wrong in it.
fn talkative() -> Server {
    let roomy = "errors_max = 1000\nlogin_failures_max = 1000";
    let configuration = Configuration {
        tables: "[log]\nfilter = \"trace\"\n".to_owned(),
        guard: "turn_seconds_max = 0\nguesses_max = 0\nnetwork_guesses_max = 0\naccount_guesses_max = 0",
        smtp: roomy,
        pop3: roomy,
        ..Configuration::default()
    };
    Server::start(&configuration).unwrap()
}

/// Submission in clear.
fn submission(server: &Server) -> Smtp {
    Smtp::clear(server.addresses().unwrap().submission, server.trust()).unwrap()
}

/// Retrieval in clear.
fn pop3(server: &Server) -> Pop3 {
    let stream = Stream::clear(server.addresses().unwrap().pop3, server.trust()).unwrap();
    Pop3::new(stream).unwrap()
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// What PLAIN sends (RFC 4616 §2).
fn plain(login: &str, password: &str) -> String {
    base64(&format!("\0{login}\0{password}"))
}

#[test]
fn neither_passwords_nor_content_are_logged_at_any_level() {
    let server = talkative();
    let blob = plain("alice@example.test", "pw-alice");
    // As it should be, by each way, under TLS and in clear.
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    smtp.data(SECRET).unwrap().positive().unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    smtp.chunks(SECRET, 20).unwrap().positive().unwrap();
    let mut maildrop = server.maildrop("bob").unwrap();
    assert!(maildrop.retrieve(1).unwrap().ends_with(b"a secret text\r\n"));
    maildrop.top(2, 1).unwrap();
    for steps in [
        vec![format!("AUTH PLAIN {blob}")],
        vec!["AUTH PLAIN".to_owned(), blob.clone()],
        vec!["AUTH LOGIN".to_owned(), base64("alice@example.test"), base64("pw-alice")],
    ] {
        let (mut smtp, mut pop3) = (submission(&server), pop3(&server));
        for step in &steps {
            smtp.ask(step).unwrap().positive().unwrap();
            // A challenge is no +OK.
            let _ = pop3.ask(step);
        }
        pop3.count().unwrap();
    }
    // And where none of it belongs.
    let mut smtp = submission(&server);
    let mut reception = server.reception().unwrap();
    let too_long = format!("AUTH PLAIN {}", blob.repeat(600));
    for line in [
        "AUTH PLAIN pw-alice",
        "pw-alice",
        "PASS pw-alice",
        &blob,
        &too_long,
        &base64("pw-alice"),
        "Subject: a secret subject",
        "DATA a secret text",
        "EXPN",
        "AUTH NTLM",
        &format!("AUTH PLAIN {blob} {blob}"),
        &format!("AUTH PLAIN {blob}"),
    ] {
        smtp.ask(line).unwrap();
        reception.ask(line).unwrap();
        let _ = pop3(&server).ask(line);
    }
    let mut typed = pop3(&server);
    typed.ask("USER alice@example.test").unwrap();
    typed.ask("PASS pw-alice and more").unwrap_err();
    let log = server.log();
    assert!(log.contains("DEBUG"), "not all was logged");
    for secret in ["pw-alice", "pw-bob", "secret", &blob, &base64("pw-alice")] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

/// Where it stood at the beginning of a line, it would be taken for an event.
const FORGED: &str = "2001-01-01T00:00:00.000000Z  INFO session: forged";

#[test]
fn what_clients_send_forges_no_line_and_reaches_no_terminal() {
    let server = talkative();
    let odd = [
        "\r\n",
        "\n",
        "\r",
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\u{9b}2J",
        "\u{2028}",
        "\u{202e}",
        "\x7f",
        "\\n",
    ];
    for odd in odd {
        let name = format!("alice{odd}{FORGED}");
        let mut smtp = submission(&server);
        let blob = plain(&name, "wrong");
        smtp.ask(&format!("AUTH PLAIN {blob}")).unwrap().positive().unwrap_err();
        smtp.ask("AUTH LOGIN").unwrap();
        smtp.ask(&base64(&name)).unwrap();
        let _ = smtp.ask(&base64("wrong"));
        pop3(&server).ask(&format!("AUTH PLAIN {blob}")).unwrap_err();
        if odd.contains(['\r', '\n']) {
            continue;
        }
        let mut pop3 = pop3(&server);
        let _ = pop3.ask(&format!("USER {name}"));
        let _ = pop3.ask("PASS wrong");
        let mut smtp = server.reception().unwrap();
        for line in [
            format!("EHLO {name}"),
            format!("MAIL FROM:<\"{name}\"@example.org> SMTPUTF8"),
            format!("RCPT TO:<\"{name}\"@example.test>"),
            "RSET".to_owned(),
            format!("MAIL FROM:<{odd}@example.org> SMTPUTF8 ENVID={odd}"),
            format!("MAIL FROM:<a{odd}@example.org> SMTPUTF8"),
            format!("VRFY {name}"),
            format!("NOOP {name}"),
            format!("HELP {name}"),
            name.clone(),
        ] {
            smtp.ask(&line).unwrap();
        }
        smtp.ask("RCPT TO:<bob@example.test>").unwrap();
        let _ = smtp.data(format!("Subject: {name}\r\n\r\n{name}\r\n").as_bytes());
    }
    let log = server.log();
    assert!(log.contains("login failed") && log.contains("\\x1b"), "nothing was told");
    assert!(log.bytes().all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet)), "{log:?}");
    let year = log.get(..4).unwrap();
    let forged = log.lines().find(|line| !line.starts_with(year) || line.starts_with(FORGED));
    assert_eq!(forged, None);
}

/// Names that might be taken for alice's, or for a path.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "../alice@example.test",
        "alice/../alice@example.test",
        "./alice@example.test",
        "/alice@example.test",
        "alice%00@example.test",
        "%61lice@example.test",
        "alice\u{0}@example.test",
        "alice@example.test\u{0}x",
        "\u{430}lice@example.test",
        "al\u{131}ce@example.test",
        "alice@ex\u{430}mple.test",
        "alice@example.test/",
        "/etc/passwd",
        "file:///etc/passwd",
        "~alice@example.test",
        "alice @example.test",
        "alice.@example.test",
        "alice@@example.test",
        "alice@example.test@example.test",
        "alice@example.test,bob@example.test",
        "alice@example.test\r\nbob@example.test",
        "alice*@example.test",
        "$(id)@example.test",
        "';--@example.test",
        "@example.test",
        "alice@",
        "@",
        "",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(format!("{}@example.test", "a".repeat(5000)));
    names.push(format!("alice@{}.test", "a".repeat(5000)));
    names
}

#[test]
fn a_name_is_a_name_and_nothing_else() {
    let server = talkative();
    let before = files(server.folder());
    let mut smtp = submission(&server);
    let mut reception = server.reception().unwrap();
    reception.ask("MAIL FROM:<> SMTPUTF8").unwrap().positive().unwrap();
    let mut words = BTreeSet::new();
    for name in names() {
        let blob = plain(&name, "pw-alice");
        let reply = smtp.ask(&format!("AUTH PLAIN {blob}")).unwrap();
        assert!([500, 501, 535].contains(&reply.code), "{name:?}: {reply:?}");
        words.extend((reply.code == 535).then_some(reply.text));
        let said = pop3(&server).ask(&format!("AUTH PLAIN {blob}")).unwrap_err().to_string();
        assert!(said.starts_with("-ERR"), "{name:?}: {said}");
        if !name.contains(['\r', '\n']) {
            let reply = reception.ask(&format!("RCPT TO:<{name}>")).unwrap();
            assert!([500, 501, 550, 553].contains(&reply.code), "{name:?}: {reply:?}");
            let mut pop3 = pop3(&server);
            let said = pop3.ask(&format!("USER {name}")).and_then(|_| pop3.ask("PASS pw-alice")).unwrap_err();
            assert!(said.to_string().starts_with("-ERR"), "{name:?}: {said}");
        }
    }
    // A known name with a wrong password is answered in the same words.
    words.insert(smtp.ask(&format!("AUTH PLAIN {}", plain("alice@example.test", "wrong"))).unwrap().text);
    assert_eq!(words.len(), 1, "{words:?}");
    let made: Vec<_> = files(server.folder()).difference(&before).cloned().collect();
    assert!(made.iter().all(|path| path.starts_with(server.folder().join("store"))), "{made:?}");
    server.maildrop("alice").unwrap().quit().unwrap();
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    each_file(folder, &mut |path, _| {
        files.insert(path.to_owned());
    });
    files
}

/// The umask that the server begins with allows everything, so what its files are is its own doing.
#[test]
fn nobody_else_can_read_what_the_store_writes() {
    let configuration = Configuration {
        wrapper: vec!["sh", "-c", "umask 0; exec \"$@\"", "sh"],
        store_keys: "draft_memory_octets_max = 65536",
        ..Configuration::default()
    };
    let server = Server::start(&configuration).unwrap();
    let mut smtp = server.reception().unwrap();
    smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
    smtp.ask("DATA").unwrap().positive().unwrap();
    smtp.say(SECRET).unwrap();
    let before = files(server.folder());
    // What is too large for memory is in a file of its own while it arrives.
    let line = "as long as a line may well be, and so more of it is not needed\r\n".repeat(10_000);
    mailstack_tests::deadline::wait_for("a file", || {
        smtp.say(line.as_bytes())?;
        Ok((files(server.folder()) != before).then_some(()))
    })
    .unwrap();
    assert_private(&server);
    smtp.say(b".\r\n").unwrap();
    smtp.reply().unwrap().positive().unwrap();
    server.maildrop("bob").unwrap().delete(1).unwrap();
    assert_private(&server);
}

fn assert_private(server: &Server) {
    let mut count = 0;
    each_file(&server.folder().join("store"), &mut |path, mode| {
        count += 1;
        assert_eq!(mode & 0o077, 0, "{} can be read by others: {mode:o}", path.display());
    });
    assert!(count > 1);
    // The socket for LMTP is for a group as well, and for nobody else.
    each_file(&server.lmtp_socket(), &mut |_, mode| assert_eq!(mode & 0o007, 0, "{mode:o}"));
}

fn each_file(path: &Path, look: &mut impl FnMut(&Path, u32)) {
    // The store removes what it needs no more.
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    look(path, metadata.mode());
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            each_file(&entry.unwrap().path(), look);
        }
    }
}
