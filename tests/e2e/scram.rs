//! Ways to log in that are not a password in clear: by programs that are not ours, against real processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::clients::{Said, available, run};
use mailstack_tests::senders::{WAYS, Way};
use mailstack_tests::server::Server;

/// SCRAM by hand (RFC 5802): its arguments are port, way, authority, protocol, mechanism, login and password. It ends
/// well where the server accepted the login after it had proven itself.
const SCRAM: &str = include_str!("scram.py");

/// Logs in by the script.
fn scram(server: &Server, way: Way, protocol: &str, mechanism: &str, [name, password]: [&str; 2]) -> Said {
    let addresses = server.addresses().unwrap();
    let (way, address) = match (way, protocol) {
        (Way::StartTls, "smtp") => ("starttls", addresses.submission),
        (Way::Tls, "smtp") => ("tls", addresses.submissions),
        (Way::StartTls, _) => ("starttls", addresses.pop3),
        (Way::Tls, _) => ("tls", addresses.pop3s),
    };
    let authority = server.certificate().authority.display().to_string();
    let port = address.port().to_string();
    let login = format!("{name}@example.test");
    let arguments = ["-c", SCRAM, &port, way, &authority, protocol, mechanism, &login, password];
    run("python3", &arguments, b"").unwrap()
}

#[test]
fn scram_proves_the_password_to_the_server_and_the_server_to_the_client() {
    if !available("python3").unwrap() {
        return;
    }
    let server = Server::usual().unwrap();
    for way in WAYS {
        for protocol in ["smtp", "pop3"] {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] {
                scram(&server, way, protocol, mechanism, ["alice", "pw-alice"]).well().unwrap();
                let wrong = scram(&server, way, protocol, mechanism, ["alice", "wrong"]);
                assert!(!wrong.success && wrong.text().contains("password is wrong"), "{}", wrong.text());
            }
        }
    }
}

#[test]
fn scram_logs_in_to_the_maildrop_of_a_subaddress() {
    if !available("python3").unwrap() {
        return;
    }
    let server = Server::usual().unwrap();
    server.mailstack(&["account", "subaddress", "add", "alice@example.test", "junk"], "").unwrap();
    for protocol in ["smtp", "pop3"] {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] {
            scram(&server, Way::Tls, protocol, mechanism, ["alice+junk", "pw-alice"]).well().unwrap();
            for wrong in [["alice+junk", "wrong"], ["alice+lists", "pw-alice"]] {
                let wrong = scram(&server, Way::Tls, protocol, mechanism, wrong);
                assert!(!wrong.success && wrong.text().contains("password is wrong"), "{}", wrong.text());
            }
        }
    }
}

#[test]
fn scram_bound_to_another_certificate_is_refused() {
    if !available("python3").unwrap() {
        return;
    }
    let server = Server::usual().unwrap();
    let said = scram(&server, Way::Tls, "smtp", "SCRAM-SHA-256-PLUS elsewhere", ["alice", "pw-alice"]);
    assert!(!said.success && said.text().contains("password is wrong"), "{}", said.text());
}

#[test]
fn msmtp_and_mpop_log_in_by_scram() {
    let server = Server::usual().unwrap();
    let addresses = server.addresses().unwrap();
    let authority = server.certificate().authority.display().to_string();
    for (program, port) in [("msmtp", addresses.submissions.port()), ("mpop", addresses.pop3s.port())] {
        if !available(program).unwrap() {
            continue;
        }
        let arguments = [
            "--file=/dev/null".to_owned(),
            "--host=127.0.0.1".to_owned(),
            format!("--port={port}"),
            "--tls=on".to_owned(),
            "--tls-starttls=off".to_owned(),
            format!("--tls-trust-file={authority}"),
            "--auth=scram-sha-256".to_owned(),
            "--user=alice@example.test".to_owned(),
            "--passwordeval=echo pw-alice".to_owned(),
        ];
        let mbox = server.folder().join("mbox");
        let delivery = format!("--delivery=mbox,{}", mbox.display());
        let uidls = format!("--uidls-file={}", server.folder().join("uidls").display());
        let own: &[&str] = match program {
            "msmtp" => &["--from=alice@example.test", "bob@example.test"],
            _ => &[&delivery, &uidls],
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(own.iter().copied()).collect();
        run(program, &arguments, b"From: alice@example.test\n\ntext\n").unwrap().well().unwrap();
    }
}

#[test]
fn mua_binds_its_login_to_the_connection() {
    let server = Server::usual().unwrap();
    let addresses = server.addresses().unwrap();
    let authority = server.certificate().authority.display().to_string();
    let url = format!("smtps://alice%40example.test:pw-alice@127.0.0.1:{}", addresses.submissions.port());
    let arguments = [
        "send",
        "--server",
        &url,
        "--cert-file",
        &authority,
        "--verbose",
        "--from",
        "alice@example.test",
        "--to",
        "bob@example.test",
        "--subject",
        "x",
    ];
    let mua = mailstack_tests::programs::program("mua").unwrap().display().to_string();
    let said = run(&mua, &arguments, b"text\n").unwrap().well().unwrap();
    assert!(said.text().contains("AUTH SCRAM-SHA-256-PLUS"), "{}", said.text());
}
