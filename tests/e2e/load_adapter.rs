//! The load adapter: what `tests/load/up` promises to load tools, kept over a stop, a crash and two processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mailstack_tests::certificate::Certificate;
use mailstack_tests::clients::{Said, available, run_command};
use mailstack_tests::pop3::Pop3;
use mailstack_tests::programs::{program, repository};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;
use tempfile::TempDir;
use tokio_rustls::rustls::ClientConfig;

/// A folder that something serves, until it is dropped.
struct Adapted {
    folder: TempDir,
    trust: Arc<ClientConfig>,
}

impl Adapted {
    fn new() -> Self {
        let folder = TempDir::with_prefix("mailstack-load-").unwrap();
        let trust = Certificate::make(folder.path()).unwrap().trust;
        Self { folder, trust }
    }

    fn adapter(&self, name: &str, split: &str) -> Said {
        let programs = program("mailstack").unwrap();
        let mut command = Command::new(repository().join("tests/load").join(name));
        command.arg(self.folder.path()).env("MAILSTACK_PROGRAMS", programs.parent().unwrap());
        command.env("MAIL_USERS", "2").env("MAILSTACK_SPLIT", split).env("FAULT_RELAY", "127.0.0.1:1");
        run_command(&mut command, b"").unwrap()
    }

    /// Starts it and gives what the env file says.
    fn up(&self, split: &str) -> HashMap<String, String> {
        self.adapter("up", split).well().unwrap();
        let env = fs::read_to_string(self.folder.path().join("env")).unwrap();
        env.lines()
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect()
    }

    fn down(&self) {
        self.adapter("down", "0").well().unwrap();
    }

    fn address(env: &HashMap<String, String>, port: &str) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], env.get(port).unwrap().parse().unwrap()))
    }

    fn send(&self, env: &HashMap<String, String>) {
        let mut smtp = Smtp::clear(Self::address(env, "SUBMISSION_PORT"), &self.trust).unwrap();
        smtp.login("user0001@example.test", "pw-user0001").unwrap();
        smtp.envelope("user0001@example.test", &["postmaster@example.test", "user0002+x@example.test"])
            .unwrap();
        smtp.data(b"Subject: load\r\n\r\n").unwrap().positive().unwrap();
    }

    fn count(&self, env: &HashMap<String, String>, account: &str) -> usize {
        let mut maildrop =
            Pop3::new(Stream::clear(Self::address(env, "POP3_PORT"), &self.trust).unwrap()).unwrap();
        maildrop.login(&format!("{account}@example.test"), &format!("pw-{account}")).unwrap();
        maildrop.count().unwrap()
    }
}

impl Drop for Adapted {
    fn drop(&mut self) {
        if self.folder.path().join("env").exists() {
            let _ = self.adapter("down", "0");
        }
    }
}

#[test]
fn a_second_start_finds_the_state_of_the_first() {
    if !available("openssl").unwrap() {
        return;
    }
    let adapted = Adapted::new();
    let env = adapted.up("0");
    for name in ["CA_FILE", "CERT_FILE", "KEY_FILE", "LOG_FILE"] {
        assert!(Path::new(env.get(name).unwrap()).is_file(), "{name}");
    }
    let fixed =
        [("MAIL_HOST", "127.0.0.1"), ("MAIL_NAME", "mail.example.test"), ("MAIL_DOMAIN", "example.test")];
    for (name, value) in fixed {
        assert_eq!(env.get(name).unwrap(), value, "{name}");
    }
    for name in ["MX_PORT", "SUBMISSION_PORT", "SUBMISSIONS_PORT", "POP3_PORT", "POP3S_PORT"] {
        assert!(Adapted::address(&env, name).port() > 10_000, "{name}");
        TcpStream::connect(Adapted::address(&env, name)).unwrap();
    }
    TcpStream::connect(env.get("LMTP").unwrap()).unwrap();
    adapted.send(&env);
    assert!(!adapted.adapter("up", "0").success, "two servers were started on one folder");
    adapted.down();
    assert!(TcpStream::connect(Adapted::address(&env, "MX_PORT")).is_err());

    let env = adapted.up("0");
    adapted.send(&env);
    let pids = env.get("SERVER_PIDS").unwrap();
    assert!(Command::new("kill").args(["-9", pids]).status().unwrap().success());

    let env = adapted.up("1");
    assert_eq!(env.get("SERVER_PIDS").unwrap().split(' ').count(), 2);
    adapted.send(&env);
    for account in ["alice", "user0002"] {
        assert_eq!(adapted.count(&env, account), 3, "{account}");
    }
}
