//! A server may say anything: the client's POP3 session answers, waits or gives up, and never sends a password in clear.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::pop3::client::{Request, Session, Settings, Step};
use mailwire::sasl::Credentials;
use mailwire::secret::Secret;
use mailwire::tls_policy::TlsPolicy;

fuzz_target!(|octets: &[u8]| {
    let credentials = Credentials { login: "alice".to_owned(), password: Secret::new("hush".to_owned()) };
    let mut session = Session::new(Settings { tls: TlsPolicy::Required, credentials });
    let (mut is_tls, mut requested) = (false, 0);
    for line in octets.split(|octet| *octet == b'\n') {
        let mut step = session.line(line);
        loop {
            step = match step {
                Step::Send(sent) => {
                    assert!(sent.expose().ends_with(b"\r\n"));
                    assert!(is_tls || [b"CAPA".as_slice(), b"STLS", b"QUIT"].contains(&&sent.expose()[..4]));
                    break;
                }
                Step::Wait => break,
                Step::StartTls => {
                    assert!(!is_tls);
                    is_tls = true;
                    session.tls_started()
                }
                Step::Ready if requested > 2 => session.quit(),
                Step::Ready => {
                    requested += 1;
                    let numbers: Vec<_> = session.messages().take(5).map(|message| message.number).collect();
                    session.request(numbers.into_iter().flat_map(|number| {
                        [Request::Top(number, 0), Request::Retrieve(number), Request::Delete(number)]
                    }))
                }
                Step::Content(_) | Step::Done(_) | Step::Refused(..) => session.proceed(),
                Step::Closed | Step::Failed(_) => return,
            };
        }
    }
});
