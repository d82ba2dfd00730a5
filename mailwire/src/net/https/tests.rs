//! Questions to a server on loopback: what is asked, and every way in which there is no answer.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::testing::{Answer, Answering};
use super::*;

const LIMITS: QuestionLimits = QuestionLimits { deadline: Duration::from_hours(1), answer_octets_max: 100 };

fn client(url: &str, limits: QuestionLimits) -> HttpsClient {
    HttpsClient::new(HttpsUrl::parse(url).unwrap(), &Roots::System, limits).unwrap()
}

fn get(answer: Answer) -> Result<Vec<u8>, HttpsError> {
    let server = Answering::new(move |_| answer.clone());
    client(&server.url("/"), LIMITS).get()
}

#[test]
fn only_https_is_an_address_but_on_this_machine() {
    for good in [
        "https://id.example.org",
        "https://id.example.org/realms/a/certs?x=1",
        "https://192.0.2.1:8443/",
        "http://127.0.0.1/",
        "http://127.3.2.1:8080/x",
        "http://[::1]:80/",
        "http://localhost:9/",
    ] {
        assert!(HttpsUrl::parse(good).is_ok(), "{good}");
    }
    for clear in
        ["http://id.example.org/", "http://10.0.0.1/", "http://localhost.example.org/", "http://[fe80::1]/"]
    {
        assert_eq!(HttpsUrl::parse(clear), Err(HttpsUrlError::Clear), "{clear}");
    }
    for wrong in [
        "",
        "id.example.org",
        "/x",
        "ftp://id.example.org/",
        "https://",
        "https:///x",
        "https://a b/",
        "https://a/#b",
    ] {
        assert_eq!(HttpsUrl::parse(wrong), Err(HttpsUrlError::Form), "{wrong}");
    }
    for user in ["https://u:p@id.example.org/", "http://127.0.0.1@evil.example/"] {
        assert_eq!(HttpsUrl::parse(user), Err(HttpsUrlError::UserInformation), "{user}");
    }
    let long = |octets: usize| format!("https://a/{}", "x".repeat(octets - "https://a/".len()));
    assert!(HttpsUrl::parse(&long(URL_OCTETS_MAX)).is_ok());
    assert_eq!(HttpsUrl::parse(&long(URL_OCTETS_MAX + 1)), Err(HttpsUrlError::Form));
}

#[test]
fn a_form_is_posted_with_its_authorization() {
    let server = Answering::new(|_| Answer::ok("yes"));
    let client = client(&server.url("/introspect?a=b"), LIMITS);
    let answer = client.post_form(&Secret::new("Basic eA==".to_owned()), &Secret::new(b"token=x".to_vec()));
    assert_eq!(answer.unwrap(), b"yes");
    let [question] = &server.asked()[..] else { panic!() };
    let lower = question.to_lowercase();
    assert!(question.starts_with("POST /introspect?a=b HTTP/1.1\r\n"), "{question}");
    for field in ["content-type: application/x-www-form-urlencoded\r\n", "accept: application/json\r\n"] {
        assert!(lower.contains(field), "{question}");
    }
    assert!(question.contains("Basic eA==\r\n") && question.ends_with("\r\n\r\ntoken=x"), "{question}");
}

#[test]
fn an_answer_may_be_as_large_as_the_limit_and_no_larger() {
    assert_eq!(get(Answer::ok(&"x".repeat(100))).unwrap().len(), 100);
    assert!(matches!(get(Answer::ok(&"x".repeat(101))), Err(HttpsError::TooLarge { octets_max: 100 })));
    let endless = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(100_000));
    assert!(matches!(get(Answer::Octets(endless.into())), Err(HttpsError::TooLarge { .. })));
    let header = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(100_000));
    assert!(matches!(get(Answer::Octets(header.into())), Err(HttpsError::Failed(_))));
}

#[test]
fn any_status_but_200_is_no_answer() {
    for (status, code) in
        [("201 Created", 201), ("204 No Content", 204), ("401 Unauthorized", 401), ("503 Busy", 503)]
    {
        assert!(
            matches!(get(Answer::status(status, "")), Err(HttpsError::Status(found)) if found == code),
            "{status}"
        );
    }
}

#[test]
fn nobody_is_sent_elsewhere() {
    let elsewhere = Answering::new(|_| Answer::ok("stolen"));
    let location = elsewhere.url("/");
    let server = Answering::new(move |_| {
        let head = format!(
            "HTTP/1.1 307 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        Answer::Octets(head.into())
    });
    let client = client(&server.url("/"), LIMITS);
    assert!(matches!(client.get(), Err(HttpsError::Status(307))));
    let answer = client.post_form(&Secret::new("x".to_owned()), &Secret::new(b"token=x".to_vec()));
    assert!(matches!(answer, Err(HttpsError::Status(307))));
    assert_eq!(elsewhere.asked().len(), 0);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn whoever_is_away_or_talks_nonsense_gives_no_answer_and_is_not_asked_again() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    assert!(matches!(client(&format!("http://{free}/"), LIMITS).get(), Err(HttpsError::Failed(_))));
    for nonsense in ["", "SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"] {
        let server = Answering::new(move |_| Answer::Octets(nonsense.into()));
        assert!(matches!(client(&server.url("/"), LIMITS).get(), Err(HttpsError::Failed(_))), "{nonsense}");
        assert_eq!(server.asked().len(), 1, "{nonsense}");
    }
}

#[test]
fn whoever_does_not_answer_in_time_is_not_waited_for() {
    let limits = QuestionLimits { deadline: Duration::from_millis(30), ..LIMITS };
    for begun in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"] {
        let server = Answering::new(move |_| Answer::Stall(begun.into()));
        assert!(
            matches!(client(&server.url("/"), limits).get(), Err(HttpsError::TimedOut { .. })),
            "{begun}"
        );
    }
}

#[test]
fn a_certificate_must_be_signed_by_whom_the_configuration_names() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let server = Answering::by_tls(Arc::new(tls), |_| Answer::ok("yes"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, made.cert.pem()).unwrap();
    let ask = |host: &str, roots: &Roots| {
        HttpsClient::new(HttpsUrl::parse(&server.https(host)).unwrap(), roots, LIMITS).unwrap().get()
    };
    let named = Roots::File(file.clone());
    assert_eq!(ask("localhost", &named).unwrap(), b"yes");
    assert!(matches!(ask("127.0.0.1", &named), Err(HttpsError::Failed(_))), "the name is another one");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    fs::write(&file, other.cert.pem()).unwrap();
    assert!(matches!(ask("localhost", &named), Err(HttpsError::Failed(_))));
    assert_eq!(server.asked().len(), 1, "nothing was asked of whom nobody knows");
    fs::write(&file, "nothing").unwrap();
    let url = HttpsUrl::parse("https://localhost/").unwrap();
    let failure = HttpsClient::new(url, &named, LIMITS).unwrap_err();
    assert!(failure.to_string().ends_with("ca.pem holds no certificate in PEM form"), "{failure}");
}

/// A server for `host` that shows a certificate of its own, and who trusts that.
fn tls_for(host: &str, answer: Answer) -> (Answering, KnownRoots) {
    let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, made.cert.pem()).unwrap();
    let roots = KnownRoots::read(&Roots::File(file)).unwrap();
    (Answering::by_tls(Arc::new(tls), move |_| answer.clone()), roots)
}

fn text(media_type: &str) -> Answer {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    );
    Answer::Octets((head + "yes").into())
}

fn get_text(answer: Answer) -> Result<Vec<u8>, HttpsError> {
    let (server, roots) = tls_for("text.example.test", answer);
    let url = HttpsUrl::parse(&server.https("text.example.test")).unwrap();
    HttpsClient::for_text(url, &roots, LIMITS, vec![Ipv4Addr::LOCALHOST.into()]).get()
}

#[test]
fn text_is_fetched_from_the_addresses_that_are_known() {
    let (server, roots) = tls_for("text.example.test", text("text/plain"));
    let url = |host| HttpsUrl::parse(&server.https(host)).unwrap();
    let ask = |host, addresses| HttpsClient::for_text(url(host), &roots, LIMITS, addresses).get();
    assert_eq!(ask("text.example.test", vec![Ipv4Addr::LOCALHOST.into()]).unwrap(), b"yes");
    assert!(server.asked()[0].to_lowercase().contains("accept: text/plain\r\n"));
    let nowhere = ask("text.example.test", Vec::new());
    assert!(matches!(nowhere, Err(HttpsError::Failed(error)) if matches!(*error, ureq::Error::HostNotFound)));
    let other_name = ask("other.example.test", vec![Ipv4Addr::LOCALHOST.into()]);
    assert!(matches!(other_name, Err(HttpsError::Failed(_))));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn text_is_what_is_said_to_be_text() {
    for right in ["text/plain", "Text/Plain; charset=utf-8"] {
        assert_eq!(get_text(text(right)).unwrap(), b"yes", "{right}");
    }
    for wrong in ["text/html", "application/json", "text/plainer", ""] {
        assert!(matches!(get_text(text(wrong)), Err(HttpsError::NotText)), "{wrong}");
    }
    assert!(matches!(get_text(Answer::ok("yes")), Err(HttpsError::NotText)));
}
