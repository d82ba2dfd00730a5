//! `mailstack up` with no file: what its screen says to paste works as printed, for curl, openssl and `mua`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Stdio};

use mailstack_tests::clients::{available, run, run_command};
use mailstack_tests::deadline::wait_for;
use mailstack_tests::programs::program;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server that made itself, in a folder of the test.
struct Trial {
    child: Child,
    screen: String,
}

impl Trial {
    fn start(folder: &TempDir) -> Self {
        let screen = folder.path().join("screen");
        let output = File::create(&screen).unwrap();
        let mut child = Command::new(program("mailstack").unwrap())
            .args(["up", "--dir"])
            .arg(folder.path().join("trial"))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let shown = wait_for("the screen", || {
            let text = fs::read_to_string(&screen)?;
            assert!(child.try_wait()?.is_none(), "it ended: {text}");
            Ok(text.contains("`mua send`").then_some(text))
        });
        Self { child, screen: shown.unwrap() }
    }

    /// A line to paste, by its beginning.
    fn line(&self, beginning: &str) -> &str {
        self.screen.lines().find(|line| line.starts_with(beginning)).unwrap()
    }

    /// The URL of a service.
    fn url(&self, service: &str) -> &str {
        let line = self.screen.lines().find(|line| line.trim_start().starts_with(&format!("{service} ")));
        line.unwrap().split_whitespace().nth(1).unwrap()
    }

    /// As Ctrl-C does.
    fn interrupt(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        wait_for("the end", || self.child.try_wait()).unwrap()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a line as a shell does.
fn paste(line: &str, typed: &str) -> String {
    run("sh", &["-c", line], typed.as_bytes()).unwrap().well().unwrap().text()
}

#[test]
fn the_pasted_lines_work_and_a_second_start_finds_the_mail() {
    if !available("curl").unwrap() || !available("openssl").unwrap() {
        return;
    }
    let folder = TempDir::with_prefix("mailstack-trial-").unwrap();
    let trial = Trial::start(&folder);
    assert!(paste(trial.line("printf "), "").ends_with("sent\n"));
    assert!(paste(trial.line("curl "), "").contains("\r\nSubject: Hello\r\n\r\nIt works.\r\n"));
    assert!(paste(trial.line("openssl "), "QUIT\n").contains("+OK"));
    let (passwords, certificate) =
        (trial.url("POP3S").to_owned(), trial.line("               SHA-256").to_owned());
    assert!(trial.interrupt().success());

    let trial = Trial::start(&folder);
    assert!(paste(trial.line("curl "), "").contains("\r\nSubject: Hello\r\n\r\nIt works.\r\n"));
    assert_eq!(trial.line("               SHA-256"), certificate);
    let password = |url: &str| url.split(['@', '/']).nth(2).unwrap().to_owned();
    assert_eq!(password(trial.url("POP3S")), password(&passwords));
    assert!(trial.interrupt().success());
}

#[test]
fn mua_takes_the_urls_of_the_screen() {
    let folder = TempDir::with_prefix("mailstack-trial-").unwrap();
    let trial = Trial::start(&folder);
    let mua = program("mua").unwrap().display().to_string();
    let content = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: by mua\r\n\
                   Date: Mon, 2 Jan 2006 15:04:05 -0700\r\nMessage-ID: <m@example.test>\r\n\r\n.\r\nGrüße\r\n";
    let mut sent = 0;
    for (send, fetch) in [("submission", "POP3"), ("submissions", "POP3S")] {
        let sending =
            ["send", "--raw", "--from", "alice@example.test", "--to", "bob@example.test", "--server"];
        run(&mua, &[sending.as_slice(), &[trial.url(send)]].concat(), content.as_bytes())
            .unwrap()
            .well()
            .unwrap();
        sent += 1;
        let maildir = folder.path().join(fetch);
        let mut fetching = Command::new(&mua);
        fetching.args(["fetch", "--server", trial.url(fetch), "--maildir"]).arg(&maildir);
        run_command(&mut fetching, b"").unwrap().well().unwrap();
        let mut fetched = 0;
        for entry in fs::read_dir(maildir.join("new")).unwrap() {
            let message = fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(message.ends_with(&content.replace("\r\n", "\n")), "{message}");
            fetched += 1;
        }
        assert_eq!(fetched, sent);
    }
}
