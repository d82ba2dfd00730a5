//! Logging in by tokens of an OAuth server: by programs that are not ours, against real processes and an issuer of the test's own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailstack_tests::apart::{Apart, Layout, Part};
use mailstack_tests::certificate::Certificate;
use mailstack_tests::clients::{Said, available, run};
use mailstack_tests::deadline::wait_for;
use mailstack_tests::issuer::{AUDIENCE, FUTURE, ISSUER, Issuer, PAST, SECRET};
use mailstack_tests::pop3::Pop3;
use mailstack_tests::senders::{WAYS, Way};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

/// Its arguments are port, way, authority, protocol, mechanism, form, login and token.
const SCRIPT: &str = include_str!("oauth.py");
const PROTOCOLS: [&str; 2] = ["smtp", "pop3"];
const MECHANISMS: [&str; 2] = ["OAUTHBEARER", "XOAUTH2"];
const ALICE: &str = "alice@example.test";
/// A token that means nothing to anybody but its issuer.
const GOOD: &str = "good-as-gold";
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 66, 6, 6);
/// Nobody waits for a turn, so that no test has to.
const NO_TURNS: &str = "turn_seconds_max = 0\nguesses_max = 10\nnetwork_guesses_max = 50";
/// Guesses are not counted.
const NO_GUARD: &str =
    "turn_seconds_max = 0\nguesses_max = 0\nnetwork_guesses_max = 0\naccount_guesses_max = 0";
/// All that there is to log.
const LOG: &str = "[log]\nfilter = \"trace\"\n";

/// By each way, protocol and mechanism.
fn logins() -> impl Iterator<Item = (Way, &'static str, &'static str)> {
    let protocols = WAYS.into_iter().flat_map(|way| PROTOCOLS.map(|protocol| (way, protocol)));
    protocols.flat_map(|(way, protocol)| MECHANISMS.map(|mechanism| (way, protocol, mechanism)))
}

fn server(oauth: &str) -> Server {
    guarded_server(oauth, "")
}

fn guarded_server(oauth: &str, guard: &'static str) -> Server {
    let roomy = "login_failures_max = 1000";
    let tables = format!("{oauth}\n{LOG}");
    Server::start(&Configuration { tables, guard, smtp: roomy, pop3: roomy, ..Configuration::default() })
        .unwrap()
}

fn port(server: &Server, way: Way, protocol: &str) -> u16 {
    let addresses = server.addresses().unwrap();
    let address = match (way, protocol) {
        (Way::StartTls, "smtp") => addresses.submission,
        (Way::Tls, "smtp") => addresses.submissions,
        (Way::StartTls, _) => addresses.pop3,
        (Way::Tls, _) => addresses.pop3s,
    };
    address.port()
}

/// How somebody logs in.
#[derive(Clone, Copy)]
struct By {
    way: Way,
    protocol: &'static str,
    mechanism: &'static str,
    form: &'static str,
}

const BY_SMTP: By = By { way: Way::Tls, protocol: "smtp", mechanism: "OAUTHBEARER", form: "initial" };
const BY_POP3: By = By { way: Way::Tls, protocol: "pop3", mechanism: "XOAUTH2", form: "two-step" };

/// Logs in by Python.
fn python(server: &Server, by: By, login: &str, token: &str) -> Said {
    let By { way, protocol, mechanism, form } = by;
    let port = port(server, way, protocol).to_string();
    let way = if way == Way::Tls { "tls" } else { "starttls" };
    let authority = server.certificate().authority.display().to_string();
    let arguments = ["-c", SCRIPT, &port, way, &authority, protocol, mechanism, form, login, token];
    run("python3", &arguments, b"").unwrap()
}

/// Logs in by curl, which sends a message or lists a maildrop.
fn curl(server: &Server, way: Way, protocol: &str, mechanism: &str, token: &str) -> Said {
    let scheme = if way == Way::Tls { format!("{protocol}s") } else { protocol.to_owned() };
    let url = format!("{scheme}://localhost:{}/", port(server, way, protocol));
    let authority = server.certificate().authority.display().to_string();
    let options = format!("AUTH={mechanism}");
    let mut arguments = vec!["--silent", "--show-error", "--ssl-reqd", "--cacert", &authority, "--url", &url];
    arguments.extend([
        "--user",
        "alice@example.test:",
        "--oauth2-bearer",
        token,
        "--login-options",
        &options,
    ]);
    if protocol == "smtp" {
        arguments.extend(["--mail-from", ALICE, "--mail-rcpt", "bob@example.test", "--upload-file", "-"]);
    }
    run("curl", &arguments, b"From: alice@example.test\r\n\r\ntext\r\n").unwrap()
}

/// What SMTP and POP3 say to a token in the end: the reply, or nothing where it is good.
struct Clients {
    smtp: Smtp,
    pop3: Pop3,
}

impl Clients {
    fn new(server: &Server, source: Ipv4Addr) -> Self {
        let addresses = server.addresses().unwrap();
        let stream = |address| Stream::clear_from(source, address, server.trust()).unwrap();
        let smtp = Smtp::new(stream(addresses.submission)).unwrap();
        Self { smtp, pop3: Pop3::new(stream(addresses.pop3)).unwrap() }
    }

    fn by_smtp(&mut self, login: &str, token: &str) -> String {
        let message = STANDARD.encode(format!("user={login}\u{1}auth=Bearer {token}\u{1}\u{1}"));
        let reply = self.smtp.ask(&format!("AUTH XOAUTH2 {message}")).unwrap();
        if reply.code != 334 {
            return reply.text;
        }
        self.smtp.ask("").unwrap().text
    }

    fn by_pop3(&mut self, login: &str, token: &str) -> String {
        let message = STANDARD.encode(format!("n,a={login},\u{1}auth=Bearer {token}\u{1}\u{1}"));
        let asked = self.pop3.ask("AUTH OAUTHBEARER").unwrap_err().to_string();
        assert_eq!(asked, "+ ");
        match self.pop3.ask(&message).map_err(|error| error.to_string()) {
            Err(challenge) if challenge.starts_with("+ ") => self.pop3.ask("AQ==").unwrap_err().to_string(),
            Err(refusal) => refusal,
            Ok(_) => String::new(),
        }
    }
}

/// No token, no part of one that counts, and no secret is in the log.
fn assert_log_keeps(server: &Server, secrets: &[&str]) {
    let log = server.log();
    assert!(log.contains(" DEBUG session: "), "there is a log");
    for secret in secrets.iter().chain(&[SECRET]) {
        let last = secret.rsplit('.').next().unwrap();
        assert!(!log.contains(last), "{last} is in the log");
    }
    for sign in ["auth=Bearer", "YXV0aD1CZWFyZX", "Basic "] {
        assert!(!log.contains(sign), "{sign} is in the log");
    }
}

#[test]
fn a_signed_token_logs_in_by_each_mechanism_in_each_form() {
    if !available("python3").unwrap() {
        return;
    }
    let issuer = Issuer::new().unwrap();
    let server = server(&issuer.keys_table(""));
    let token = issuer.signed(ALICE, FUTURE).unwrap();
    for (way, protocol, mechanism) in logins() {
        for form in ["initial", "two-step"] {
            // A command of POP3 has no room for a signed token (RFC 5034 §4).
            if protocol == "smtp" || form == "two-step" {
                let by = By { way, protocol, mechanism, form };
                python(&server, by, ALICE, &token).well().unwrap();
            }
        }
    }
    assert_eq!(issuer.asked("/jwks"), 1, "the keys are kept, for both daemons of the process");
    assert_log_keeps(&server, &[&token]);
}

#[test]
fn curl_sends_and_fetches_by_a_token() {
    if !available("curl").unwrap() {
        return;
    }
    let issuer = Issuer::new().unwrap();
    let server = server(&issuer.keys_table(""));
    let token = issuer.signed(ALICE, FUTURE).unwrap();
    for (way, protocol, mechanism) in logins() {
        curl(&server, way, protocol, mechanism, &token).well().unwrap();
        let refused = curl(&server, way, protocol, mechanism, &issuer.signed(ALICE, PAST).unwrap());
        assert!(!refused.success, "{}", refused.text());
    }
    assert_eq!(server.maildrop("bob").unwrap().count().unwrap(), 4);
    assert_log_keeps(&server, &[&token]);
}

#[test]
fn a_token_is_asked_about_by_tls_with_a_private_authority() {
    if !available("python3").unwrap() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path()).unwrap();
    let issuer = Issuer::by_tls(&certificate).unwrap();
    let authority = format!("ca_file = \"{}\"\nlogin_claim = \"username\"", certificate.authority.display());
    let server = guarded_server(&issuer.questions_table(folder.path(), &authority).unwrap(), NO_GUARD);
    issuer.grant("opaque+token/of-alice=", "alice");
    for protocol in PROTOCOLS {
        for mechanism in MECHANISMS {
            for form in ["initial", "two-step"] {
                let by = By { way: Way::Tls, protocol, mechanism, form };
                python(&server, by, ALICE, "opaque+token/of-alice=").well().unwrap();
                let refused = python(&server, by, ALICE, "another");
                assert!(!refused.success, "{protocol} {mechanism} {form}");
            }
        }
    }
    // The good one is remembered, a bad one is not: it may be good in a moment.
    assert_eq!(issuer.asked("/introspect"), 1 + 8);
    assert_log_keeps(&server, &["opaque+token/of-alice=", "another"]);
}

#[test]
fn an_authority_that_nobody_named_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::by_tls(&Certificate::make(folder.path()).unwrap()).unwrap();
    let other = tempfile::tempdir().unwrap();
    let authority = Certificate::make(other.path()).unwrap().authority;
    let table = issuer.questions_table(folder.path(), &format!("ca_file = \"{}\"", authority.display()));
    let server = server(&table.unwrap());
    issuer.grant(GOOD, ALICE);
    let mut clients = Clients::new(&server, Ipv4Addr::LOCALHOST);
    assert!(clients.by_smtp(ALICE, GOOD).starts_with("454 4.7.0 "));
    assert_eq!(issuer.asked("/introspect"), 0);
}

#[test]
fn a_refused_client_is_told_why_in_json_and_that_it_is_refused() {
    if !available("python3").unwrap() {
        return;
    }
    let issuer = Issuer::new().unwrap();
    let server = guarded_server(&issuer.keys_table(""), NO_GUARD);
    let claims = |more: &str| {
        let claims =
            format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{FUTURE},"email":"{ALICE}"{more}}}"#);
        issuer.signed_claims(&claims).unwrap()
    };
    let good = claims("");
    python(&server, BY_SMTP, ALICE, &good).well().unwrap();
    let unsigned = good.rsplit_once('.').unwrap().0;
    let stranger = Issuer::new().unwrap().signed(ALICE, FUTURE).unwrap();
    for (what, login, token) in [
        ("another's", "bob@example.test", good.clone()),
        ("nobody's here", "alice@elsewhere.test", issuer.signed("alice@elsewhere.test", FUTURE).unwrap()),
        ("an alias'", "postmaster@example.test", issuer.signed("postmaster@example.test", FUTURE).unwrap()),
        ("over", ALICE, issuer.signed(ALICE, PAST).unwrap()),
        ("without a signature", ALICE, format!("{unsigned}.")),
        ("by `none`", ALICE, format!("eyJhbGciOiJub25lIn0.{}.", unsigned.split_once('.').unwrap().1)),
        ("by somebody else", ALICE, stranger),
        ("unverified", ALICE, claims(r#","email_verified":false"#)),
        ("not yet good", ALICE, claims(&format!(r#","nbf":{FUTURE}"#))),
        ("doubled", ALICE, claims(r#","exp":4102444801"#)),
        ("no token", ALICE, "x".to_owned()),
        ("empty", ALICE, String::new()),
    ] {
        for (by, refusal) in [(BY_SMTP, "535 5.7.8 "), (BY_POP3, "-ERR [AUTH] ")] {
            let said = python(&server, by, login, &token);
            assert!(!said.success && said.text().contains(refusal), "{what}: {}", said.text());
            // A good token of nobody here is no wrong token: the client is not to fetch another one.
            let told = said.text().contains("{'status': ");
            assert_eq!(told, !["nobody's here", "an alias'"].contains(&what), "{what}: {}", said.text());
        }
    }
    let log = server.log();
    for reason in [
        "the token has expired",
        "the token is not signed by RS256, PS256, ES256, ES384 or EdDSA",
        "the token's signature is wrong",
        "the token's e-mail address is not verified",
        "the token is not valid yet",
        "its claims are no JSON object",
        "there is no token",
    ] {
        assert!(log.contains(reason), "the operator is not told that {reason}");
    }
    assert_log_keeps(&server, &[&good]);
}

#[test]
fn while_the_issuer_is_away_logins_are_put_off_and_nothing_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new().unwrap();
    let server = server(&issuer.questions_table(folder.path(), "").unwrap());
    issuer.grant(GOOD, ALICE);
    issuer.go_away();
    let mut clients = Clients::new(&server, ATTACKER);
    for number in 0..12 {
        let token = format!("token-{number}");
        let told = clients.by_smtp(ALICE, &token);
        assert!(told.starts_with("454 4.7.0 "), "{told}");
        let told = clients.by_pop3(ALICE, &token);
        assert!(told.starts_with("-ERR [SYS/TEMP] "), "{told}");
    }
    assert_eq!(server.mailstack(&["guard", "list"], "").unwrap(), "nobody is slowed or put off\n");
    issuer.come_back();
    assert!(clients.by_smtp(ALICE, GOOD).starts_with("235 "));
    assert_eq!(clients.by_pop3(ALICE, GOOD), "");
    // What is remembered needs nobody.
    issuer.go_away();
    assert!(Clients::new(&server, ATTACKER).by_smtp(ALICE, GOOD).starts_with("235 "));
    assert_log_keeps(&server, &[GOOD, "token-"]);
}

#[test]
fn keys_are_known_while_the_issuer_is_away_and_a_new_one_is_found() {
    let issuer = Issuer::new().unwrap();
    let server = server(&issuer.keys_table("keys_pause_seconds = 1"));
    let token = issuer.signed(ALICE, FUTURE).unwrap();
    issuer.go_away();
    let login = |token: &str| Clients::new(&server, Ipv4Addr::LOCALHOST).by_smtp(ALICE, token);
    assert!(login(&token).starts_with("454 "));
    issuer.come_back();
    let logged_in = |token: &str| {
        wait_for("the issuer's keys", || Ok(login(token).starts_with("235 ").then_some(()))).unwrap();
    };
    logged_in(&token);
    issuer.go_away();
    assert!(login(&token).starts_with("235 "));
    issuer.change_key().unwrap();
    let newer = issuer.signed(ALICE, FUTURE).unwrap();
    assert!(!login(&newer).starts_with("235 "));
    issuer.come_back();
    logged_in(&newer);
}

#[test]
fn whoever_tries_wrong_tokens_is_put_off_and_the_issuer_is_left_in_peace() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new().unwrap();
    let server = guarded_server(&issuer.questions_table(folder.path(), "").unwrap(), NO_TURNS);
    issuer.grant(GOOD, ALICE);
    let mut clients = Clients::new(&server, ATTACKER);
    let mut refused = 0;
    for number in 0..15 {
        refused += usize::from(clients.by_smtp(ALICE, &format!("a{number}")).starts_with("535 "));
        refused += usize::from(clients.by_pop3(ALICE, &format!("b{number}")).starts_with("-ERR [AUTH] "));
    }
    assert_eq!(refused, 10);
    assert_eq!(issuer.asked("/introspect"), 10);
    assert!(clients.by_smtp(ALICE, GOOD).starts_with("454 4.7.0 "), "nobody learns whether it is good");
    assert_eq!(issuer.asked("/introspect"), 10);
    assert!(Clients::new(&server, Ipv4Addr::LOCALHOST).by_smtp(ALICE, GOOD).starts_with("235 "));
    // Whoever hangs up before the end of the exchange has been counted as well.
    for number in 0..15 {
        let mut smtp = Clients::new(&server, ATTACKER).smtp;
        let message = STANDARD.encode(format!("n,a=bob@example.test,\u{1}auth=Bearer c{number}\u{1}\u{1}"));
        smtp.ask(&format!("AUTH OAUTHBEARER {message}")).unwrap();
    }
    assert_eq!(issuer.asked("/introspect"), 10 + 1 + 10);
    // And so has whoever leaves it to the token to say who they are.
    for number in 0..15 {
        let message = STANDARD.encode(format!("n,,\u{1}auth=Bearer d{number}\u{1}\u{1}"));
        Clients::new(&server, ATTACKER).smtp.ask(&format!("AUTH OAUTHBEARER {message}")).unwrap();
    }
    assert_eq!(issuer.asked("/introspect"), 10 + 1 + 10 + 10);
    let listed = server.mailstack(&["guard", "list", "--plain"], "").unwrap();
    assert!(listed.contains("127.66.6.6\t(unnamed)\tguesses\tput-off\t10\t"), "{listed}");
    assert_log_keeps(&server, &[GOOD]);
}

#[test]
fn a_stale_token_in_an_old_program_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new().unwrap();
    let by_question = guarded_server(&issuer.questions_table(folder.path(), "").unwrap(), NO_TURNS);
    let mut clients = Clients::new(&by_question, ATTACKER);
    for _ in 0..15 {
        assert!(clients.by_smtp(ALICE, "stale").starts_with("535 5.7.8 "));
        assert!(clients.by_pop3(ALICE, "stale").starts_with("-ERR [AUTH] "));
    }
    let by_keys = guarded_server(&issuer.keys_table(""), NO_TURNS);
    let mut clients = Clients::new(&by_keys, ATTACKER);
    for second in 0..15 {
        // One after the other they were good, and are no guesses.
        let expired = issuer.signed(ALICE, PAST + second).unwrap();
        assert!(clients.by_smtp(ALICE, &expired).starts_with("535 5.7.8 "));
    }
    for server in [by_question, by_keys] {
        assert_eq!(server.mailstack(&["guard", "list"], "").unwrap(), "nobody is slowed or put off\n");
    }
}

#[test]
fn two_daemons_on_one_store_check_tokens_each_for_itself() {
    let issuer = Issuer::new().unwrap();
    let apart = Apart::new(Layout::Anyone).unwrap();
    apart.add_tables(&issuer.keys_table("")).unwrap();
    apart.start(Part::Smtp).unwrap();
    apart.start(Part::Pop3).unwrap();
    apart.add_account("alice").unwrap();
    let token = issuer.signed(ALICE, FUTURE).unwrap();
    let login = || {
        let mut clients = Clients { smtp: apart.submissions().unwrap(), pop3: apart.pop3().unwrap() };
        assert!(clients.by_smtp(ALICE, &token).starts_with("235 "));
        assert_eq!(clients.by_pop3(ALICE, &token), "");
        clients.pop3.quit().unwrap();
    };
    login();
    assert_eq!(issuer.asked("/jwks"), 2);
    issuer.go_away();
    login();
}

#[test]
fn without_a_table_no_token_is_asked_for_and_a_wrong_table_is_explained() {
    let server = server("");
    let mut clients = Clients::new(&server, Ipv4Addr::LOCALHOST);
    assert!(clients.by_smtp(ALICE, "x").starts_with("504 "));
    let check = |table: &str| {
        let toml = server.folder().join("other.toml");
        let text = std::fs::read_to_string(server.folder().join("mailstack.toml")).unwrap();
        std::fs::write(&toml, format!("{text}\n[oauth]\n{table}\n")).unwrap();
        let mailstack = mailstack_tests::programs::program("mailstack").unwrap().display().to_string();
        run(&mailstack, &["config", "check", "--config", &toml.display().to_string()], b"").unwrap()
    };
    check("").well().unwrap();
    for (table, complaint) in [
        ("jwks_urls = \"x\"", "did you mean `jwks_url`?"),
        ("jwks_url = \"https://id.example.org/\"", "`issuer` is needed for `jwks_url`"),
        (
            "introspection_url = \"http://192.0.2.1/\"\nclient_id = \"a\"\nclient_secret_file = \"b\"",
            "must begin with https://",
        ),
        (
            "introspection_url = \"https://192.0.2.1/\"\nclient_id = \"a\"\nclient_secret_file = \"/nonexistent/b\"",
            "reading `client_secret_file` /nonexistent/b failed",
        ),
    ] {
        let said = check(table);
        assert!(!said.success && said.text().contains(complaint), "{}", said.text());
    }
}
