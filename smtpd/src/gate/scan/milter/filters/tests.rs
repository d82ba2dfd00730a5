//! Milters that answer, change, hang, vanish and talk nonsense, played by sockets of the test's own.

use std::net::{Ipv4Addr, SocketAddr};

use mailwire::smtp::Hello;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::super::facts::testing::facts;
use super::super::super::{Came, Scanned};
use super::super::{Parts, Revision};
use super::*;

/// What a milter agrees on where nothing else is said: all actions but naming macros, and all steps.
const EVERYTHING: [u32; 3] = [6, 0xff, 0];

/// What a played milter does.
#[derive(Clone)]
struct Play {
    options: [u32; 3],
    /// To each letter, octets that it answers instead of going on; at the second one it closes.
    answers: Vec<(u8, Vec<u8>)>,
    closes_at: Option<u8>,
}

impl Play {
    fn new(answers: &[(u8, &[u8])]) -> Self {
        let answers = answers.iter().map(|(letter, octets)| (*letter, octets.to_vec())).collect();
        Self { options: EVERYTHING, answers, closes_at: None }
    }

    fn agreeing(self, options: [u32; 3]) -> Self {
        Self { options, ..self }
    }

    fn closing_at(self, letter: u8) -> Self {
        Self { closes_at: Some(letter), ..self }
    }
}

fn packet(octets: &[u8]) -> Vec<u8> {
    [&u32::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat()
}

fn packets(several: &[&[u8]]) -> Vec<u8> {
    several.iter().flat_map(|octets| packet(octets)).collect()
}

/// A milter that plays for one connection after the other; it gives the letters that it has heard, those of macros left out, and all
/// that it has heard.
struct Milter {
    at: SocketAddr,
    serving: JoinHandle<(String, Vec<u8>)>,
}

impl Milter {
    /// For so many connections.
    async fn start(play: Play, connections: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut letters, mut heard) = (String::new(), Vec::new());
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                serve(&mut stream, &play, &mut letters, &mut heard).await;
            }
            (letters, heard)
        });
        Self { at, serving }
    }

    async fn end(self) -> (String, Vec<u8>) {
        self.serving.await.unwrap()
    }
}

async fn serve(stream: &mut TcpStream, play: &Play, letters: &mut String, heard: &mut Vec<u8>) {
    loop {
        let Ok(octets) = stream.read_u32().await else { return };
        let mut data = vec![0; usize::try_from(octets).unwrap()];
        stream.read_exact(&mut data).await.unwrap();
        heard.extend_from_slice(&data);
        let letter = data[0];
        if letter != b'D' {
            letters.push(char::from(letter));
        }
        if play.closes_at == Some(letter) {
            return;
        }
        let answer = match (play.answers.iter().find(|(asked, _)| *asked == letter), letter) {
            (Some((_, octets)), _) => octets.clone(),
            (None, b'O') => {
                let options = play.options.iter().flat_map(|number| number.to_be_bytes());
                packet(&std::iter::once(b'O').chain(options).collect::<Vec<_>>())
            }
            (None, b'D' | b'A') => Vec::new(),
            (None, b'Q') => return,
            (None, _) => packet(b"c"),
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn scanners(at: SocketAddr, keys: &str) -> Scanners {
    let table =
        format!("[[scanners]]\nkind = \"milter\"\nat = \"{at}\"\nseconds = 1\nwhen_away = \"defer\"\n{keys}");
    Scanners::new(&toml::from_str(&table).unwrap())
}

/// A whole transaction: what is said of its recipient, and of its content.
async fn transaction(
    scanners: &Scanners,
    filters: &mut Filters,
    (facts, message): (Facts, &[u8]),
) -> (Consent, Vec<Decision>, Option<Revision>) {
    let bob = facts.recipients[0].clone();
    let consent = filters.recipient(scanners, &facts, &bob).await;
    let mut scan = scanners.begin(facts).unwrap();
    for piece in message.chunks(10_000) {
        scan.pass(piece).await;
    }
    let parts = Parts { prefix: b"Received: x\r\n".to_vec(), leaves: false };
    let Scanned { decisions, revision, came: Came { octets, .. } } = scan.finish(filters, parts).await;
    assert_eq!(octets, u64::try_from(message.len()).unwrap());
    (consent, decisions, revision)
}

const MESSAGE: &[u8] = b"Subject: a\r\n b\r\nTo: c\r\n\r\ntext\r\n";

/// What one milter makes of a usual message.
async fn played(play: Play) -> (Consent, Decision, Option<Revision>, String) {
    let milter = Milter::start(play, 1).await;
    let (scanners, mut filters) = (scanners(milter.at, ""), Filters::default());
    let (consent, mut decisions, revision) = transaction(&scanners, &mut filters, (facts(), MESSAGE)).await;
    filters.end().await;
    drop(filters);
    (consent, decisions.pop().unwrap(), revision, milter.end().await.0)
}

fn is_given(consent: &Consent) -> bool {
    matches!(consent, Consent::Given)
}

#[tokio::test]
async fn a_milter_hears_of_each_step() {
    let milter = Milter::start(Play::new(&[]), 1).await;
    let (scanners, mut filters) = (scanners(milter.at, ""), Filters::default());
    let (consent, decisions, revision) = transaction(&scanners, &mut filters, (facts(), MESSAGE)).await;
    assert!(is_given(&consent) && revision.is_none());
    assert_eq!((decisions.len(), decisions[0].outcome), (1, Outcome::Pass));
    filters.end().await;
    let (letters, heard) = milter.end().await;
    assert_eq!(letters, "OCHMRTLLNBEQ");
    for told in [
        &b"C[192.0.2.1]\x004\x10\xe1192.0.2.1\0"[..],
        b"Hmail.b.example\0",
        b"M<a@b.example>\0SIZE=7\0",
        b"R<bob@example.test>\0",
        b"LSubject\0a\n b\0",
        b"LTo\0c\0",
        b"Btext\r\n",
        b"DMi\0id\0{mail_addr}\0a@b.example\0",
    ] {
        assert!(memchr::memmem::find(&heard, told).is_some(), "{}", told.escape_ascii());
    }
}

#[tokio::test]
async fn it_is_told_only_what_it_wants_to_hear() {
    for (steps, expected) in [
        (0x1, "OHMRTLLNBEQ"),
        (0x2, "OCMRTLLNBEQ"),
        (0x3f | 0x40 | 0x200, "OEQ"),
        (0x20 | 0x10, "OCHMRTNEQ"),
        // What it does not answer is not waited for.
        (0xff080, "OCHMRTLLNBEQ"),
    ] {
        let silent: &[(u8, &[u8])] = if steps == 0xff080 {
            &[
                (b'C', b""),
                (b'H', b""),
                (b'M', b""),
                (b'R', b""),
                (b'T', b""),
                (b'L', b""),
                (b'N', b""),
                (b'B', b""),
            ]
        } else {
            &[]
        };
        let (consent, decision, _, letters) = played(Play::new(silent).agreeing([6, 0, steps])).await;
        assert!(is_given(&consent));
        assert_eq!((decision.outcome, letters.as_str()), (Outcome::Pass, expected), "{steps:x}");
    }
}

#[tokio::test]
async fn blanks_in_front_of_a_field_are_given_to_who_wants_them() {
    let milter = Milter::start(Play::new(&[]).agreeing([6, 0, 0x10_0000]), 1).await;
    let (scanners, mut filters) = (scanners(milter.at, ""), Filters::default());
    transaction(&scanners, &mut filters, (facts(), MESSAGE)).await;
    filters.end().await;
    let (_, heard) = milter.end().await;
    assert!(memchr::memmem::find(&heard, b"LSubject\0 a\n b\0").is_some());
}

#[tokio::test]
async fn what_it_says_before_the_content_is_said_to_a_recipient() {
    let no = packet(b"y550 5.7.1 no\0");
    let later = packet(b"y451 4.7.1 later\0");
    for letter in [b'C', b'H', b'M', b'R'] {
        for (answer, code, expected) in [
            (&packet(b"r"), 550, "5.7.1 Mail from you to this recipient"),
            (&packet(b"t"), 451, "4.7.1 The message cannot be looked at"),
            (&packet(b"4"), 421, "4.7.0 No mail is taken"),
            (&no, 550, "5.7.1 no"),
            (&later, 451, "4.7.1 later"),
        ] {
            let milter = Milter::start(Play::new(&[(letter, answer)]), 1).await;
            let (scanners, mut filters) = (scanners(milter.at, ""), Filters::default());
            let facts = facts();
            for _ in 0..2 {
                let consent = filters.recipient(&scanners, &facts, &facts.recipients[0]).await;
                let Consent::Refused { reply, row } = consent else { panic!("{letter}") };
                assert!(reply.code() == code && reply.to_string().contains(expected), "{reply} for {letter}");
                assert!(row.contains("by [[scan.scanners]] 127.0.0.1:"), "{row}");
            }
            filters.end().await;
            milter.end().await;
        }
    }
}

#[tokio::test]
async fn one_recipient_may_be_refused_alone() {
    let milter = Milter::start(Play::new(&[(b'R', &packet(b"r"))]), 1).await;
    let (scanners, mut filters) = (scanners(milter.at, "reject = \"junk\""), Filters::default());
    let (consent, decisions, _) = transaction(&scanners, &mut filters, (facts(), MESSAGE)).await;
    assert!(matches!(consent, Consent::Refused { reply, .. } if reply.code() == 550));
    // The message is taken for others, and tells of it.
    let rows: Vec<_> = decisions.iter().map(|decision| (decision.outcome, decision.row.as_str())).collect();
    assert_eq!(rows.len(), 2);
    assert!(
        rows[0].1.starts_with("bob@example.test: milter=refuse by ") && rows[1].0 == Outcome::Pass,
        "{rows:?}"
    );
    filters.end().await;
    assert_eq!(milter.end().await.0, "OCHMRTLLNBEQ");
}

#[tokio::test]
async fn what_it_says_of_the_content_counts_for_the_message() {
    for letter in [b'T', b'L', b'N', b'B', b'E'] {
        for (answer, outcome) in [
            (&b"r"[..], Outcome::Refuse),
            (b"t", Outcome::Defer),
            (b"d", Outcome::Discard),
            (b"a", Outcome::Pass),
            (b"4", Outcome::Defer),
            (b"y550 5.7.1 no\0", Outcome::Refuse),
            (b"y451 4.7.1 later\0", Outcome::Defer),
        ] {
            let (consent, decision, _, _) = played(Play::new(&[(letter, &packet(answer))])).await;
            assert!(is_given(&consent));
            assert_eq!(decision.outcome, outcome, "{} at {}", decision.row, char::from(letter));
        }
    }
    // Before the content it says the same of all of it.
    let (consent, decision, _, letters) = played(Play::new(&[(b'R', &packet(b"d"))])).await;
    assert!(is_given(&consent) && decision.outcome == Outcome::Discard && letters == "OCHMRQ", "{letters}");
    let (_, decision, _, letters) = played(Play::new(&[(b'C', &packet(b"a"))])).await;
    assert!(decision.outcome == Outcome::Pass && letters == "OCQ", "{letters}");
}

#[tokio::test]
async fn it_may_change_the_message_at_its_end() {
    let changes = packets(&[
        b"i\0\0\0\0X-First\0 1\0",
        b"hX-Last\0 2\0",
        b"m\0\0\0\x01To\0 d\0",
        b"e<>\0",
        b"+<carol@example.test>\0",
        b"-<bob@example.test>\0",
        b"bother\n",
        b"p",
        b"btext\r\n",
        b"c",
    ]);
    let play = Play::new(&[(b'E', &changes)]).agreeing([6, 0xff, 0x10_0000]);
    let (_, decision, revision, _) = played(play).await;
    assert_eq!(decision.outcome, Outcome::Pass, "{}", decision.row);
    let told = "adds X-First, adds X-Last, changes To, changes sender to <>, adds recipient <carol@example.test>, takes out \
                recipient <bob@example.test>, writes another text";
    assert!(decision.row.contains(told.split_at(100).0), "{}", decision.row);
    let mut revision = revision.unwrap();
    assert_eq!(revision.prefix, b"X-First: 1\r\nReceived: x\r\nX-Last: 2\r\n");
    assert_eq!((revision.added.len(), revision.removed.len(), revision.sender.is_some()), (1, 1, true));
    let (mut content, mut written) = (revision.content.take().unwrap(), Vec::new());
    loop {
        let piece = content.piece().await.unwrap();
        if piece.is_empty() {
            break;
        }
        written.extend(piece);
    }
    assert_eq!(written, b"Subject: a\r\n b\r\nTo: d\r\n\r\nother\r\ntext\r\n");
}

#[tokio::test]
async fn what_is_refused_is_not_changed() {
    for end in [&b"r"[..], b"t", b"d"] {
        let (_, _, revision, _) = played(Play::new(&[(b'E', &packets(&[b"hX-A\0b\0", end]))])).await;
        assert!(revision.is_none());
    }
    let quarantine = packets(&[b"qtoo odd\0", b"c"]);
    let (_, decision, _, _) = played(Play::new(&[(b'E', &quarantine)])).await;
    assert!(decision.outcome == Outcome::Junk && decision.row.ends_with("quarantine: too odd"));
}

#[tokio::test]
async fn it_may_have_heard_enough_of_the_text() {
    let large = [MESSAGE, &b"text\r\n".repeat(50_000)].concat();
    for (steps, outcome, bodies) in [(0x400, Outcome::Pass, 1), (0, Outcome::Defer, 1)] {
        let play = Play::new(&[(b'B', &packet(b"s"))]).agreeing([6, 0, steps]);
        let milter = Milter::start(play, 1).await;
        let (scanners, mut filters) = (scanners(milter.at, ""), Filters::default());
        let (_, decisions, _) = transaction(&scanners, &mut filters, (facts(), &large)).await;
        assert_eq!(decisions[0].outcome, outcome, "{}", decisions[0].row);
        filters.end().await;
        drop(filters);
        assert_eq!(milter.end().await.0.matches('B').count(), bodies);
    }
    // All of it comes there otherwise.
    let milter = Milter::start(Play::new(&[]), 1).await;
    let (scanners, mut filters) = (scanners(milter.at, ""), Filters::default());
    transaction(&scanners, &mut filters, (facts(), &large)).await;
    filters.end().await;
    let (letters, heard) = milter.end().await;
    assert!(letters.matches('B').count() >= 5 && heard.len() > large.len(), "{letters}");
}

#[tokio::test]
async fn one_that_is_broken_hangs_or_vanishes_is_away() {
    let many = [b"hX-A\0b\0".as_slice(); 1001].concat();
    let many = (0..many.len() / 7).flat_map(|_| packet(b"hX-A\0b\0")).collect::<Vec<_>>();
    for (play, why) in [
        (Play::new(&[]).closing_at(b'O'), "closed the connection"),
        (Play::new(&[]).closing_at(b'M'), "closed the connection"),
        (Play::new(&[]).closing_at(b'E'), "closed the connection"),
        (Play::new(&[(b'O', b"")]), "in time"),
        (Play::new(&[(b'R', b"")]), "in time"),
        (Play::new(&[(b'E', b"")]), "in time"),
        (Play::new(&[]).agreeing([7, 0, 0]), "version 7"),
        (Play::new(&[]).agreeing([6, 0x200, 0]), "not offered"),
        (Play::new(&[(b'O', &packet(b"c"))]), "may not say there"),
        (Play::new(&[(b'M', b"HTTP/1.1 400")]), "too large"),
        (Play::new(&[(b'M', &packet(b"!"))]), "may not say there"),
        (Play::new(&[(b'M', &packet(b"hX-A\0b\0"))]), "not offered"),
        (Play::new(&[(b'M', &packet(b"y250 2.0.0 ok\0"))]), "none that refuses"),
        (Play::new(&[(b'E', &packets(&[b"+x\0", b"c"]))]), "address is none"),
        (Play::new(&[(b'E', &packets(&[b"hX A\0b\0", b"c"]))]), "field is none"),
        (Play::new(&[(b'E', &packets(&[b"hX-A\0b\0", b"c"]))]).agreeing([6, 0x10, 0]), "not offered"),
        (Play::new(&[(b'E', &many)]), "says too much"),
    ] {
        let (consent, decision, revision, _) = played(play).await;
        assert!(revision.is_none() && decision.outcome == Outcome::Defer);
        assert!(decision.row.contains(why), "{} instead of {why}", decision.row);
        if let Consent::Refused { reply, .. } = consent {
            assert_eq!(reply.code(), 451);
        }
    }
}

#[tokio::test]
async fn one_that_is_busy_has_more_time_but_not_for_ever() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let scanners = scanners(listener.local_addr().unwrap(), "content_seconds = 2");
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = packet(b"O\0\0\0\x06\0\0\0\0\0\0\0\0");
        stream.write_all(&answer).await.unwrap();
        while stream.write_all(&packet(b"p")).await.is_ok() {
            tokio::task::yield_now().await;
            let mut heard = [0; 4096];
            if stream.try_read(&mut heard).is_ok_and(|octets| octets == 0) {
                return;
            }
        }
    });
    let facts = facts();
    let consent = Filters::default().recipient(&scanners, &facts, &facts.recipients[0]).await;
    assert!(matches!(consent, Consent::Refused { row, .. } if row.contains("in time")));
    serving.await.unwrap();
}

#[tokio::test]
async fn a_connection_is_used_for_one_transaction_after_the_other() {
    let milter = Milter::start(Play::new(&[]), 2).await;
    let (scanners, mut filters) = (scanners(milter.at, ""), Filters::default());
    transaction(&scanners, &mut filters, (facts(), MESSAGE)).await;
    let second = Facts { number: 2, ..facts() };
    // This one comes to nothing.
    assert!(is_given(&filters.recipient(&scanners, &second, &second.recipients[0]).await));
    transaction(&scanners, &mut filters, (Facts { number: 3, ..facts() }, MESSAGE)).await;
    // Whoever is another is told of anew.
    let hello = Hello::Other("another".to_owned());
    transaction(&scanners, &mut filters, (Facts { number: 4, hello, ..facts() }, MESSAGE)).await;
    filters.end().await;
    assert_eq!(milter.end().await.0, "OCHMRTLLNBEMRAMRTLLNBEQOCHMRTLLNBEQ");
}

#[tokio::test]
async fn one_milter_sees_what_another_has_made() {
    let first = Milter::start(Play::new(&[(b'E', &packets(&[b"hX-A\0b\0", b"bnew\r\n", b"c"]))]), 1).await;
    let second = Milter::start(Play::new(&[]), 1).await;
    let table = [first.at, second.at].map(|at| format!("[[scanners]]\nkind = \"milter\"\nat = \"{at}\"\n"));
    let scanners = Scanners::new(&toml::from_str(&table.concat()).unwrap());
    let mut filters = Filters::default();
    let (_, decisions, _) = transaction(&scanners, &mut filters, (facts(), MESSAGE)).await;
    assert!(decisions.len() == 2 && decisions.iter().all(|decision| decision.outcome == Outcome::Pass));
    filters.end().await;
    first.end().await;
    let heard = second.end().await.1;
    assert!(
        memchr::memmem::find(&heard, b"LX-A\0b\0").is_some()
            && memchr::memmem::find(&heard, b"Bnew\r\n").is_some()
    );
}

#[tokio::test]
async fn what_is_too_large_is_not_shown() {
    let milter = Milter::start(Play::new(&[]), 1).await;
    let (scanners, mut filters) = (scanners(milter.at, "octets_max = 10"), Filters::default());
    let (consent, decisions, _) = transaction(&scanners, &mut filters, (facts(), MESSAGE)).await;
    assert!(is_given(&consent) && decisions[0].row.ends_with("octets_max = 10"));
    filters.end().await;
    assert_eq!(milter.end().await.0, "OCHMRQ");
}

#[tokio::test]
async fn what_users_submit_is_shown_only_where_that_is_wanted() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let submitted = Facts { is_submission: true, ..facts() };
    let bob = submitted.recipients[0].clone();
    assert!(is_given(&Filters::default().recipient(&scanners(at, ""), &submitted, &bob).await));
    let consent = Filters::default().recipient(&scanners(at, "submissions = true"), &submitted, &bob).await;
    assert!(matches!(consent, Consent::Refused { row, .. } if row.contains("cannot be reached")));
}
