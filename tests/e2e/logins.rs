//! Each mechanism that programs of others can be told to log in with, with an initial response and without.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::clients::{Said, available, run};
use mailstack_tests::server::Server;

const LOGIN: &str = "alice@example.test";
const PASSWORD: &str = "pw-alice";
const RECIPIENT: &str = "bob@example.test";
const CONTENT: &[u8] = b"From: alice@example.test\r\nSubject: x\r\n\r\ntext\r\n";

/// Where and with whose certificate a program finds the server.
struct Place {
    port: String,
    authority: String,
}

fn place(server: &Server) -> Place {
    Place {
        port: server.addresses().unwrap().submission.port().to_string(),
        authority: server.certificate().authority.display().to_string(),
    }
}

/// Runs `send` for each mechanism and way, and looks for as many messages.
fn each_sends(program: &str, ways: &[(&str, &str)], send: impl Fn(&Place, &str, &str) -> Said) {
    if !available(program).unwrap() {
        return;
    }
    let server = Server::usual().unwrap();
    for (mechanism, way) in ways {
        let said = send(&place(&server), mechanism, way);
        assert!(said.success, "{program} by {mechanism}{way}: {}", said.text());
    }
    let mut pop3 = server.maildrop("bob").unwrap();
    assert_eq!(pop3.count().unwrap(), ways.len());
    pop3.quit().unwrap();
}

#[test]
fn curl_logs_in_by_each_mechanism_with_and_without_an_initial_response() {
    let ways = [("PLAIN", ""), ("PLAIN", "--sasl-ir"), ("LOGIN", ""), ("LOGIN", "--sasl-ir")];
    each_sends("curl", &ways, |place, mechanism, way| {
        let url = format!("smtp://127.0.0.1:{}", place.port);
        let (user, options) = (format!("{LOGIN}:{PASSWORD}"), format!("AUTH={mechanism}"));
        let tls = ["--silent", "--show-error", "--ssl-reqd", "--cacert", &place.authority];
        let login = ["--user", &user, "--login-options", &options];
        let mail = ["--mail-from", LOGIN, "--mail-rcpt", RECIPIENT, "--upload-file", "-", "--url", &url];
        let way: &[&str] = if way.is_empty() { &[] } else { &[way] };
        run("curl", &[tls.as_slice(), &login, &mail, way].concat(), CONTENT).unwrap()
    });
}

#[test]
fn swaks_logs_in_by_each_mechanism() {
    each_sends("swaks", &[("PLAIN", ""), ("LOGIN", "")], |place, mechanism, _| {
        let connection = ["--server", "127.0.0.1", "--port", &place.port, "--tls", "--tls-verify"];
        let trust = ["--tls-ca-path", &place.authority];
        let user = ["--auth", mechanism, "--auth-user", LOGIN, "--auth-password", PASSWORD];
        let mail = ["--from", LOGIN, "--to", RECIPIENT];
        run("swaks", &[connection.as_slice(), &trust, &user, &mail].concat(), b"").unwrap()
    });
}

#[test]
fn msmtp_logs_in_by_each_mechanism() {
    each_sends("msmtp", &[("plain", ""), ("login", "")], |place, mechanism, _| {
        let (port, trust) =
            (format!("--port={}", place.port), format!("--tls-trust-file={}", place.authority));
        let (auth, user) = (format!("--auth={mechanism}"), format!("--user={LOGIN}"));
        let (password, from) = (format!("--passwordeval=echo {PASSWORD}"), format!("--from={LOGIN}"));
        let connection = ["--file=/dev/null", "--host=127.0.0.1", &port, "--tls=on", &trust];
        let login = [auth.as_str(), &user, &password, &from, "--", RECIPIENT];
        run("msmtp", &[connection.as_slice(), &login].concat(), b"Subject: x\n\ntext\n").unwrap()
    });
}

#[test]
fn smtplib_logs_in_by_each_mechanism_with_and_without_an_initial_response() {
    const PROGRAM: &str = "
import smtplib, ssl, sys
port, authority, login, password, recipient, mechanism, initial = sys.argv[1:]
smtp = smtplib.SMTP('127.0.0.1', int(port))
smtp.starttls(context=ssl.create_default_context(cafile=authority))
smtp.ehlo()
smtp.user, smtp.password = login, password
method = {'PLAIN': smtp.auth_plain, 'LOGIN': smtp.auth_login}[mechanism]
code, text = smtp.auth(mechanism, method, initial_response_ok=initial != '')
assert code == 235, text
smtp.sendmail(login, [recipient], sys.stdin.buffer.read())
smtp.quit()
";
    let ways = [("PLAIN", ""), ("PLAIN", "initial"), ("LOGIN", ""), ("LOGIN", "initial")];
    each_sends("python3", &ways, |place, mechanism, way| {
        let arguments = ["-c", PROGRAM, &place.port, &place.authority, LOGIN, PASSWORD, RECIPIENT];
        run("python3", &[arguments.as_slice(), &[mechanism, way]].concat(), CONTENT).unwrap()
    });
}
