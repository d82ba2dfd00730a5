//! Tokens checked with an issuer on loopback: what it is asked, what is remembered, and what happens while it is away.

use std::fs;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::daemon::oauth::config::Limits;
use crate::net::answering::{Answer, Answering};
use crate::net::{HttpsUrl, QuestionLimits, Roots};

const ALICE: &str = "alice@example.test";

/// What an issuer answers at the moment.
#[derive(Clone)]
struct Says(Arc<Mutex<Answer>>);

impl Says {
    fn new(answer: Answer) -> Self {
        Self(Arc::new(Mutex::new(answer)))
    }

    fn now(&self, answer: Answer) {
        *self.0.lock().unwrap() = answer;
    }

    fn server(&self) -> Answering {
        let says = self.clone();
        Answering::new(move |_| says.0.lock().unwrap().clone())
    }
}

fn away() -> Answer {
    Answer::status("503 Away", "")
}

fn token(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn terms(login_claim: &str) -> Terms {
    Terms {
        issuer: None,
        audience: None,
        scope: Vec::new(),
        login_claim: login_claim.to_owned(),
        leeway_seconds: 0,
    }
}

/// Far longer than any test takes, and no pause between fetchings of keys.
fn patient() -> Limits {
    let question = QuestionLimits { deadline: Duration::from_hours(1), answer_octets_max: 100_000 };
    Limits { question, keys_pause: Duration::ZERO, ..OAuth::default().limits }
}

fn checker(source: Source, terms: Terms, limits: Limits) -> Arc<Checker> {
    let oauth = OAuth { source: Some(source), terms, roots: Roots::System, limits };
    Checker::new(&oauth).unwrap().unwrap()
}

fn secret_file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn endpoint(server: &Answering, limits: Limits) -> Arc<Checker> {
    let (_folder, client_secret_file) = secret_file("gX1fBat3bV\n");
    let url = HttpsUrl::parse(&server.url("/introspect")).unwrap();
    let source = Source::Introspection { url, client_id: "s6BhdRkqt3".to_owned(), client_secret_file };
    checker(source, terms("username"), limits)
}

fn keys(server: &Answering, limits: Limits) -> Arc<Checker> {
    let source = Source::Keys { url: HttpsUrl::parse(&server.url("/jwks")).unwrap() };
    checker(source, terms("email"), limits)
}

/// A key of an issuer, by its name.
struct Key(&'static str, Ed25519KeyPair);

impl Key {
    fn new(name: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(name, Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    fn set(&self) -> Answer {
        let x = URL_SAFE_NO_PAD.encode(self.1.public_key());
        Answer::ok(&format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{}","x":"{x}"}}]}}"#, self.0))
    }

    fn token(&self, until: u64) -> Secret<String> {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, self.0));
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"email":"{ALICE}","exp":{until}}}"#));
        let input = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.1.sign(input.as_bytes()));
        token(&format!("{input}.{signature}"))
    }

    fn good(&self) -> Secret<String> {
        self.token(clock::unix_seconds() + 3600)
    }
}

fn login(name: &str) -> TokenVerdict {
    TokenVerdict::Login(name.to_owned())
}

#[tokio::test]
async fn an_endpoint_is_asked_and_what_is_good_is_remembered() {
    let server = Says::new(Answer::ok(r#"{"active":true,"username":"alice"}"#)).server();
    let checker = endpoint(&server, patient());
    for _ in 0..3 {
        assert_eq!(checker.check(&token("good+token")).await, Ok(login("alice")));
    }
    let [question] = &server.asked()[..] else { panic!("asked {} times", server.asked().len()) };
    // The field that RFC 6749 §2.3.1 shows.
    assert!(question.contains("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW\r\n"), "{question}");
    assert!(question.ends_with("\r\n\r\ntoken=good%2Btoken&token_type_hint=access_token"), "{question}");
    assert_eq!(checker.check(&token("other")).await, Ok(login("alice")));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn what_is_not_good_is_not_remembered_and_an_endpoint_that_comes_back_answers() {
    let says = Says::new(Answer::ok(r#"{"active":false}"#));
    let server = says.server();
    let checker = endpoint(&server, patient());
    assert_eq!(checker.check(&token("x")).await, Ok(TokenVerdict::Refused));
    for trouble in [away(), Answer::status("401 Who", ""), Answer::ok("{}"), Answer::ok("<html>")] {
        says.now(trouble.clone());
        assert!(checker.check(&token("x")).await.is_err(), "{trouble:?}");
    }
    says.now(Answer::ok(r#"{"active":true,"username":"alice","exp":1}"#));
    assert_eq!(checker.check(&token("x")).await, Ok(TokenVerdict::Expired));
    says.now(Answer::ok(r#"{"active":true,"username":"alice"}"#));
    assert_eq!(checker.check(&token("x")).await, Ok(login("alice")));
    assert_eq!(server.asked().len(), 7);
}

#[tokio::test]
async fn without_a_token_nobody_is_asked() {
    let server = Says::new(Answer::ok(r#"{"active":true,"username":"alice"}"#)).server();
    assert_eq!(endpoint(&server, patient()).check(&token("")).await, Ok(TokenVerdict::Refused));
    let huge = token(&"x".repeat(crate::oauth::TOKEN_OCTETS_MAX + 1));
    assert_eq!(endpoint(&server, patient()).check(&huge).await, Ok(TokenVerdict::Refused));
    let keys = keys(&server, patient());
    for junk in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(keys.check(&token(junk)).await, Ok(TokenVerdict::Refused), "{junk}");
    }
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn whoever_waits_for_a_turn_or_an_answer_waits_no_longer_than_the_deadline() {
    let server = Says::new(Answer::Stall(Vec::new())).server();
    let question = QuestionLimits { deadline: Duration::from_millis(50), ..patient().question };
    let checker = endpoint(&server, Limits { question, checks_max: 1, ..patient() });
    let (one, two, three) = (token("1"), token("2"), token("3"));
    let answers = tokio::join!(checker.check(&one), checker.check(&two), checker.check(&three));
    assert!(answers.0.is_err() && answers.1.is_err() && answers.2.is_err(), "{answers:?}");
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_for_a_key_that_is_not_among_them() {
    let (old, new, strange) = (Key::new("1"), Key::new("2"), Key::new("3"));
    let says = Says::new(old.set());
    let server = says.server();
    let checker = keys(&server, patient());
    let (good, also) = (old.good(), old.good());
    let both = tokio::join!(checker.check(&good), checker.check(&also));
    assert_eq!(both, (Ok(login(ALICE)), Ok(login(ALICE))));
    assert_eq!(server.asked().len(), 1, "who comes meanwhile waits for the same keys");
    says.now(new.set());
    assert_eq!(checker.check(&new.good()).await, Ok(login(ALICE)));
    assert_eq!(server.asked().len(), 2);
    assert_eq!(checker.check(&strange.good()).await, Ok(TokenVerdict::Refused));
    assert_eq!(checker.check(&old.good()).await, Ok(TokenVerdict::Refused), "the issuer has given it up");
}

#[tokio::test]
async fn unknown_keys_do_not_have_the_issuer_asked_more_often_than_the_pause_says() {
    let (own, strange) = (Key::new("1"), Key::new("2"));
    let server = Says::new(own.set()).server();
    let checker = keys(&server, Limits { keys_pause: Duration::from_hours(1), ..patient() });
    assert_eq!(checker.check(&own.good()).await, Ok(login(ALICE)));
    for _ in 0..20 {
        assert_eq!(checker.check(&strange.good()).await, Ok(TokenVerdict::Refused));
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn known_keys_do_while_the_issuer_is_away() {
    let (own, strange) = (Key::new("1"), Key::new("2"));
    let says = Says::new(away());
    let server = says.server();
    let checker = keys(&server, patient());
    assert!(checker.check(&own.good()).await.is_err());
    says.now(own.set());
    assert_eq!(checker.check(&own.good()).await, Ok(login(ALICE)), "no restart is needed");
    for trouble in [away(), Answer::ok("{}"), Answer::ok(r#"{"keys":[]}"#), Answer::ok(&"x".repeat(100_001))]
    {
        says.now(trouble.clone());
        assert!(
            checker.check(&strange.good()).await.is_err(),
            "{trouble:?}: nobody knows whether the key is theirs"
        );
        assert_eq!(checker.check(&own.good()).await, Ok(login(ALICE)), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_signed_token_that_has_expired_is_told_from_one_that_never_was() {
    let (own, other) = (Key::new("1"), Key::new("1"));
    let server = Says::new(own.set()).server();
    let checker = keys(&server, patient());
    assert_eq!(checker.check(&own.token(1)).await, Ok(TokenVerdict::Expired));
    assert_eq!(checker.check(&other.token(1)).await, Ok(TokenVerdict::Refused));
}

#[test]
fn a_secret_is_one_line() {
    for good in ["secret", "secret\n", "secret\r\n"] {
        let (_folder, path) = secret_file(good);
        assert_eq!(secret(&path).unwrap().expose(), "secret");
    }
    let (_folder, path) = secret_file(&"x".repeat(4096));
    assert!(secret(&path).is_ok());
    let long = "x".repeat(4097);
    for bad in ["", "\n", "a\nb", "a\tb", &long] {
        let (_folder, path) = secret_file(bad);
        assert!(matches!(secret(&path), Err(SetupError::NoSecret(_))), "{bad:?}");
    }
    let failure = secret(Path::new("/nonexistent/secret")).unwrap_err();
    assert!(failure.to_string().contains("/nonexistent/secret"), "{failure}");
}
