//! A server may say anything: the client's SMTP session answers, waits or gives up, and never sends a password in clear.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::address::{Mailbox, ReversePath};
use mailwire::sasl::Credentials;
use mailwire::secret::Secret;
use mailwire::smtp::client::{Content, Envelope, Login, Requests, Session, Settings, Step};
use mailwire::smtp::{Hello, ReplyReader};
use mailwire::tls_policy::TlsPolicy;

fn envelope() -> Envelope {
    let mailbox = |text| Mailbox::parse(text).expect("a mailbox");
    Envelope {
        reverse_path: ReversePath::Mailbox(mailbox("alice@example.test")),
        recipients: vec![mailbox("bob@example.test").into(), mailbox("carol@example.test").into()],
        content_octets: 100,
        content: Content::EightBit,
        requests: Requests::default(),
    }
}

fuzz_target!(|octets: &[u8]| {
    let credentials = Credentials { login: "alice".to_owned(), password: Secret::new("hush".to_owned()) };
    let settings = Settings {
        hello: Hello::Other("client".to_owned()),
        tls: TlsPolicy::Required,
        login: Some(Login::Password(credentials)),
    };
    let (mut session, mut reader) = (Session::new(settings), ReplyReader::default());
    let (mut is_tls, mut transactions) = (false, 0);
    for line in octets.split(|octet| *octet == b'\n') {
        let Ok(reply) = reader.line(line) else { return };
        let Some(reply) = reply else { continue };
        let mut step = session.reply(reply);
        loop {
            step = match step {
                Step::Send(sent) => {
                    assert!(sent.expose().ends_with(b"\r\n"));
                    assert!(is_tls || [b"EHLO".as_slice(), b"STAR", b"QUIT"].contains(&&sent.expose()[..4]));
                    break;
                }
                Step::Wait | Step::Content => break,
                Step::StartTls => {
                    assert!(!is_tls);
                    is_tls = true;
                    session.tls_started()
                }
                Step::Ready => session.transaction(envelope()),
                Step::Ended(verdicts) => {
                    assert_eq!(verdicts.len(), 2);
                    transactions += 1;
                    if transactions < 3 { session.transaction(envelope()) } else { session.quit() }
                }
                Step::Closed | Step::Failed(_) => return,
            };
        }
    }
});
