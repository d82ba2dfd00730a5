//! SMTP smuggling: no form of a wrong end of content, and nothing sent at a wrong moment, ever becomes a message or a command.
//!
//! The forms are those of the published checkers (SEC Consult's list, `smtpsmug`, SMTP-Smuggling-Tools), and every
//! combination of what might be taken for a line end before and behind a dot.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io;

use mailstack_tests::messages::fields_before;
use mailstack_tests::server::Server;
use mailstack_tests::smtp::{Reply, Smtp};
use mailstack_tests::stream::Stream;

/// What the server may put in front of what it takes.
const TRACE: [&str; 2] = ["Return-Path", "Received"];
/// Stands in front of each form.
const CARRIER: &[u8] =
    b"From: alice@example.test\r\nDate: Mon, 2 Jan 2006 15:04:05 -0700\r\nMessage-ID: <a@example.test>\r\n\
      Subject: carrier\r\n\r\ntext";
/// Stands behind each form: a message, for a server that has taken the form for the end.
const SMUGGLED: &[u8] = b"MAIL FROM:<admin@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n\
      Subject: smuggled\r\n\r\nsmuggled";

/// What becomes of a form.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// The message is refused, with everything that looks like a second one.
    Refused,
    /// It is content like any other: these octets are stored for it.
    Kept(&'static [u8]),
}
use Fate::{Kept, Refused};

/// What checkers send where `CRLF . CRLF` should be.
const PUBLISHED: [(&[u8], Fate); 31] = [
    (b"\n.\n", Refused),
    (b"\n.\r", Refused),
    (b"\n.\r\n", Refused),
    (b"\r.\n", Refused),
    (b"\r.\r", Refused),
    (b"\r.\r\n", Refused),
    (b"\r\n.\n", Refused),
    (b"\r\n.\r", Refused),
    (b"\r\r.\r\r", Refused),
    (b"\n\n.\n\n", Refused),
    (b"\n\n.\r\n", Refused),
    (b"\r\n.\n\n", Refused),
    (b"\r\n.\r\r\n", Refused),
    (b"\r\r\n.\r\n", Refused),
    (b"\r\r\n.\r\r\n", Refused),
    (b"\n\r\n.\r\n", Refused),
    (b"\n\r.\n\r", Refused),
    (b"\n\r.\r\n", Refused),
    (b"\r\n\n.\r\n", Refused),
    (b"\r\n\r.\r\n", Refused),
    (b".\r\r\n", Refused),
    (b".\n", Refused),
    (b"\r\n.\x00\n", Refused),
    (b"\r\n.\r\x00\n", Refused),
    (b"\r\x00\n.\r\n", Refused),
    (b"\r\n\x00.\r\n", Kept(b"\r\n\x00.\r\n")),
    (b"\r\n.\x00\r\n", Kept(b"\r\n\x00\r\n")),
    (b"\r\n\x00.\x00\r\n", Kept(b"\r\n\x00.\x00\r\n")),
    (b"\r\n. \r\n", Kept(b"\r\n \r\n")),
    (b"\r\n..\r\n", Kept(b"\r\n.\r\n")),
    (b"\xe2\x80\xa8.\xc2\x85", Kept(b"\xe2\x80\xa8.\xc2\x85")),
];

/// What one program or another might take for a line end, or overlook beside one.
const LINE_ENDS: [&[u8]; 16] = [
    b"",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\r",
    b"\r\r\n",
    b"\r\n\r",
    b"\n\r\n",
    b"\r\n\n",
    b"\r\x00\n",
    b"\x00\r\n",
    b"\r\n\x00",
    b"\r\n ",
    b"\x0b",
    b"\x0c",
    b"\xe2\x80\xa8",
];

/// How one comes to where a message can be sent.
#[derive(Clone, Copy, Debug)]
enum Service {
    Reception,
    ReceptionByStartTls,
    Submission,
    Submissions,
}

impl Service {
    const ALL: [Self; 4] = [Self::Reception, Self::ReceptionByStartTls, Self::Submission, Self::Submissions];

    fn connect(self, server: &Server) -> io::Result<Smtp> {
        match self {
            Self::Reception => server.reception(),
            Self::ReceptionByStartTls => {
                let mut smtp = server.reception()?;
                smtp.start_tls()?;
                Ok(smtp)
            }
            Self::Submission => server.submission("alice"),
            Self::Submissions => {
                let mut smtp = Smtp::new(Stream::tls(server.addresses()?.submissions, server.trust())?)?;
                smtp.login("alice@example.test", "pw-alice")?;
                Ok(smtp)
            }
        }
    }
}

/// How content is sent.
#[derive(Clone, Copy, Debug)]
enum By {
    Data,
    Chunk,
}

/// Sends a message with `form` in it, and gives the one reply that it gets.
fn sent(server: &Server, service: Service, by: By, form: &[u8]) -> io::Result<Reply> {
    let mut smtp = service.connect(server)?;
    smtp.envelope("alice@example.test", &["bob@example.test"])?;
    let content = [CARRIER, form, SMUGGLED, b"\r\n"].concat();
    match by {
        By::Data => {
            smtp.ask("DATA")?.positive()?;
            smtp.say(&[content.as_slice(), b".\r\n"].concat())?;
        }
        By::Chunk => {
            smtp.say(format!("BDAT {} LAST\r\n", content.len()).as_bytes())?;
            smtp.say(&content)?;
        }
    }
    let reply = smtp.reply()?;
    // Either the connection is closed now, or nothing has been answered but the content.
    if let Ok(goodbye) = smtp.ask("QUIT") {
        assert_eq!(goodbye.code, 221, "a second message was answered: {goodbye:?}");
    }
    Ok(reply)
}

/// The contents that lie in bob's maildrop, taken away.
fn taken(server: &Server) -> io::Result<Vec<Vec<u8>>> {
    let mut pop3 = server.maildrop("bob")?;
    let mut contents = Vec::new();
    for number in 1..=pop3.count()? {
        contents.push(pop3.retrieve(number)?);
        pop3.delete(number)?;
    }
    pop3.quit()?;
    Ok(contents)
}

fn has_bare_line_ends(octets: &[u8]) -> bool {
    let count = |end: &[u8]| octets.windows(end.len()).filter(|octets| *octets == end).count();
    count(b"\r\n") != count(b"\r") || count(b"\r\n") != count(b"\n")
}

fn has_field(message: &[u8], field: &[u8]) -> bool {
    let end = message.windows(4).position(|octets| octets == b"\r\n\r\n").unwrap_or(message.len());
    message.get(..end).is_some_and(|head| head.windows(field.len()).any(|octets| octets == field))
}

/// A form, and what was sent with it in the middle as it should be stored.
type Expected = (String, Vec<u8>);

/// Bob has got these messages and no others.
fn assert_taken(server: &Server, expected: &[Expected]) {
    let messages = taken(server).unwrap();
    let shown: Vec<_> = messages.iter().map(|message| String::from_utf8_lossy(message)).collect();
    assert_eq!(messages.len(), expected.len(), "{shown:#?}");
    for (message, (place, content)) in messages.iter().zip(expected) {
        assert_eq!(
            fields_before(message, content, &TRACE).as_deref(),
            Ok(TRACE.map(str::to_owned).as_slice()),
            "{place}"
        );
    }
}

#[test]
fn every_published_form_is_refused_or_kept_as_content() {
    let server = Server::usual().unwrap();
    for service in Service::ALL {
        let mut expected = Vec::new();
        for (form, fate) in PUBLISHED {
            let place = format!("{service:?}: {}", form.escape_ascii());
            let reply = sent(&server, service, By::Data, form).unwrap();
            match fate {
                Refused => assert!([550, 554].contains(&reply.code), "{place}: {reply:?}"),
                Kept(stored) => {
                    assert_eq!(reply.code, 250, "{place}: {reply:?}");
                    expected.push((place, [CARRIER, stored, SMUGGLED, b"\r\n"].concat()));
                }
            }
        }
        assert_taken(&server, &expected);
    }
}

#[test]
fn no_form_in_a_chunk_becomes_a_second_message() {
    let server = Server::usual().unwrap();
    let mut expected = Vec::new();
    for form in PUBLISHED.map(|(form, _)| form).into_iter().chain([b"\r\n.\r\n".as_slice()]) {
        let place = form.escape_ascii().to_string();
        let reply = sent(&server, Service::Submission, By::Chunk, form).unwrap();
        if has_bare_line_ends(form) {
            assert!([550, 554].contains(&reply.code), "{place}: {reply:?}");
        } else {
            assert_eq!(reply.code, 250, "{place}: {reply:?}");
            expected.push((place, [CARRIER, form, SMUGGLED, b"\r\n"].concat()));
        }
    }
    assert_taken(&server, &expected);
}

#[test]
fn no_combination_of_line_ends_around_a_dot_smuggles() {
    let server = Server::usual().unwrap();
    let (mut forms, mut acknowledged) = (0, 0);
    for before in LINE_ENDS {
        for behind in LINE_ENDS {
            let form = [before, b".", behind].concat();
            let end = form.windows(5).position(|octets| octets == b"\r\n.\r\n");
            // That is the end, as it should be.
            if end.and_then(|end| form.get(..end)).is_some_and(|front| !has_bare_line_ends(front)) {
                continue;
            }
            forms += 1;
            let reply = sent(&server, Service::Reception, By::Data, &form).unwrap();
            assert!([250, 550, 554].contains(&reply.code), "{}: {reply:?}", form.escape_ascii());
            acknowledged += usize::from(reply.code == 250);
        }
    }
    let messages = taken(&server).unwrap();
    assert!(forms > 200, "only {forms} forms were tried");
    assert_eq!(messages.len(), acknowledged);
    for message in &messages {
        let shown = String::from_utf8_lossy(message);
        assert!(has_field(message, b"\r\nSubject: carrier"), "{shown}");
        assert!(!has_bare_line_ends(message), "a bare line end was stored: {shown:?}");
    }
}

/// A message to bob, in one write.
const MESSAGE: &str =
    "MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n";

#[test]
fn commands_sent_where_none_may_come_are_not_carried_out() {
    let server = Server::usual().unwrap();
    let reception = server.addresses().unwrap().reception;
    let submission = server.addresses().unwrap().submission;
    let chunk = format!("BDAT {} LAST\r\n{MESSAGE}", MESSAGE.len());
    let cases = [
        (reception, "behind STARTTLS", format!("EHLO x\r\nSTARTTLS\r\n{MESSAGE}")),
        (submission, "behind STARTTLS", format!("EHLO x\r\nSTARTTLS\r\n{MESSAGE}")),
        (reception, "within a chunk before MAIL", format!("EHLO x\r\n{chunk}")),
        (submission, "within a chunk before a login", format!("EHLO x\r\n{chunk}")),
        (reception, "behind a chunk without a size", format!("EHLO x\r\nBDAT x\r\n{MESSAGE}")),
        (reception, "behind a chunk with a huge size", {
            format!("EHLO x\r\nBDAT 99999999999999999999\r\n{MESSAGE}")
        }),
        (
            reception,
            "in a line that is too long",
            format!("EHLO x\r\n{}{}", "x".repeat(20_000), { MESSAGE.replace("\r\n", "\n") }),
        ),
        (reception, "behind bare line ends", format!("EHLO x\r\n{}", MESSAGE.replace("\r\n", "\n"))),
        (reception, "behind bare carriage returns", format!("EHLO x\r\n{}", MESSAGE.replace("\r\n", "\r"))),
        (reception, "behind QUIT", format!("EHLO x\r\nQUIT\r\n{MESSAGE}")),
        (submission, "in place of a login", format!("EHLO x\r\n{MESSAGE}")),
        (submission, "within a login", format!("EHLO x\r\nAUTH PLAIN\r\n{MESSAGE}")),
    ];
    for (address, place, octets) in cases {
        let mut smtp = Smtp::before_greeting(Stream::clear(address, server.trust()).unwrap());
        smtp.say(octets.as_bytes()).unwrap();
        smtp.hang_up().unwrap();
        let mut said = String::new();
        while let Ok(reply) = smtp.reply() {
            said = said + &reply.text + "\n";
        }
        assert!(!said.contains("\n354 "), "{place}: {said}");
        assert_eq!(taken(&server).unwrap().len(), 0, "{place}: {said}");
    }
}
