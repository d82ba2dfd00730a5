//! What a newcomer does: start without arguments, paste what the screen shows, stop, and start again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use mailstack_tests::clients::{Said, available, run, run_command};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// With this line the screen ends.
const LAST_LINE: &str = "`mua send` and `mua fetch`";

/// A server that made itself, and its screen.
struct Started {
    child: Child,
    screen: String,
    log: JoinHandle<String>,
    /// Kept open, for the server must not find its screen gone.
    _output: BufReader<ChildStdout>,
}

impl Started {
    /// Starts it as a user would, whose home is `home`.
    fn new(home: &Path) -> Self {
        let mut child =
            mailstack(home).arg("up").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let log = gather(child.stderr.take().unwrap());
        let mut screen = String::new();
        while !screen.contains(LAST_LINE) {
            let octets = output.read_line(&mut screen).unwrap();
            assert_ne!(octets, 0, "the server ended with {}", child.wait().unwrap());
        }
        Self { child, screen, log, _output: output }
    }

    /// The line of the screen that begins so.
    fn line(&self, beginning: &str) -> &str {
        self.screen.lines().find(|line| line.starts_with(beginning)).unwrap()
    }

    /// Pastes that line.
    fn paste(&self, beginning: &str, input: &[u8]) -> Said {
        run("sh", &["-c", self.line(beginning)], input).unwrap()
    }

    /// Ctrl-C; the exit status and the log.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), self.log.join().unwrap())
    }
}

fn gather(errors: ChildStderr) -> JoinHandle<String> {
    thread::spawn(move || std::io::read_to_string(errors).unwrap_or_default())
}

fn mailstack(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailstack"));
    command.env("HOME", home).env_remove("XDG_DATA_HOME").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// What an administration command says.
fn administer(home: &Path, arguments: &[&str], input: &str) -> Said {
    run_command(mailstack(home).args(arguments), input.as_bytes()).unwrap()
}

#[test]
fn the_lines_on_the_screen_work_and_a_second_start_finds_the_mail() {
    if !available("curl").unwrap() || !available("openssl").unwrap() {
        return;
    }
    let home = TempDir::new().unwrap();
    let first = Started::new(home.path());
    let sent = first.paste("printf ", b"").well().unwrap();
    assert_eq!(sent.output, b"sent\n");
    let fetched = first.paste("curl ", b"").well().unwrap();
    assert!(fetched.output.ends_with(b"Subject: Hello\r\n\r\nIt works.\r\n"), "{}", fetched.text());
    let typed = first.paste("openssl ", b"CAPA\nQUIT\n");
    let said = String::from_utf8_lossy(&typed.output).into_owned();
    assert!(said.starts_with("+OK ") && said.contains("\r\nUIDL\r\n"), "{}", typed.text());
    let certificate = first.line("               SHA-256 ").to_owned();
    let (status, log) = first.interrupt();
    assert_eq!(status, Some(0), "{log}");

    let second = Started::new(home.path());
    assert_eq!(second.line("               SHA-256 "), certificate);
    assert_eq!(second.paste("curl ", b"").well().unwrap().output, fetched.output);
    assert_eq!(second.interrupt().0, Some(0));
}

#[test]
fn accounts_are_administered_while_it_runs() {
    let home = TempDir::new().unwrap();
    let server = Started::new(home.path());
    let two = ["account", "add", "carol@example.test", "dave@example.test"];
    administer(home.path(), &two, "one\ntwo\n").well().unwrap();
    let again = administer(home.path(), &two, "one\ntwo\n");
    assert!(!again.success);
    assert!(again.complaint.contains("carol@example.test exists already"), "{}", again.complaint);
    administer(home.path(), &["alias", "add", "info@example.test", "carol@example.test"], "").well().unwrap();
    let aliases = administer(home.path(), &["alias", "list"], "").well().unwrap();
    assert_eq!(
        aliases.text(),
        "info@example.test -> carol@example.test\npostmaster@example.test -> alice@example.test\n"
    );
    administer(home.path(), &["account", "remove", "dave@example.test"], "").well().unwrap();
    administer(home.path(), &["account", "password", "bob@example.test"], "new\n").well().unwrap();
    let accounts = administer(home.path(), &["account", "list"], "").well().unwrap();
    assert_eq!(addresses(&accounts), ["alice@example.test", "bob@example.test", "carol@example.test"]);
    assert_eq!(server.interrupt().0, Some(0));

    let changed = Started::new(home.path());
    assert!(changed.screen.contains("bob%40example.test:PASSWORD@"), "{}", changed.screen);
    assert_eq!(changed.interrupt().0, Some(0));
}

/// What each line begins with.
fn addresses(listed: &Said) -> Vec<String> {
    listed.text().lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn quotas_are_set_shown_and_taken_away() {
    let home = TempDir::new().unwrap();
    let server = Started::new(home.path());
    let quota = |arguments: &[&str]| {
        let all = [&["account", "quota", "bob@example.test"], arguments].concat();
        administer(home.path(), &all, "")
    };
    let shown = |arguments: &[&str]| quota(arguments).well().unwrap().text();
    let holds = "bob@example.test  0 messages  0 octets  ";
    assert_eq!(shown(&[]), format!("{holds}quota none\n"));
    assert_eq!(shown(&["--octets", "500M"]), format!("{holds}own quota 500 MiB\n"));
    assert_eq!(shown(&["--messages", "1"]), format!("{holds}own quota 500 MiB, 1 message\n"));
    assert_eq!(shown(&["--octets", "none"]), format!("{holds}own quota 1 message\n"));
    let plain = administer(home.path(), &["account", "list", "--plain"], "").well().unwrap();
    assert_eq!(
        plain.text(),
        "alice@example.test\t0\t0\tnone\tnone\tdefault\nbob@example.test\t0\t0\t1\tnone\town\n"
    );
    for (wrong, complaint) in [
        (["--octets", "500X"], "give octets (1000000), a number with K, M, G or T"),
        (["--messages", "0"], "give none for no limit"),
    ] {
        let refused = quota(&wrong);
        assert!(!refused.success && refused.complaint.contains(complaint), "{}", refused.complaint);
    }
    assert!(!quota(&["--default", "--octets", "1G"]).success);
    assert_eq!(shown(&["--default"]), format!("{holds}quota none\n"));
    let nobody = administer(home.path(), &["account", "quota", "nobody@example.test", "--default"], "");
    assert!(nobody.complaint.contains("there is no account nobody@example.test"), "{}", nobody.complaint);
    assert_eq!(server.interrupt().0, Some(0));
}

#[test]
fn a_port_that_was_told_must_be_free() {
    let home = TempDir::new().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let refused = administer(home.path(), &["up", "--pop3-port", &address.port().to_string()], "");
    assert!(!refused.success);
    assert!(refused.complaint.contains(&format!("{address}")), "{}", refused.complaint);
}

#[test]
fn a_command_that_is_not_there_is_a_usage_error() {
    let home = TempDir::new().unwrap();
    assert_eq!(mailstack(home.path()).arg("upp").stderr(Stdio::null()).status().unwrap().code(), Some(2));
    assert_eq!(
        mailstack(home.path()).args(["account", "list"]).stderr(Stdio::null()).status().unwrap().code(),
        Some(1)
    );
}

#[test]
fn the_rules_of_a_maildrop_are_set_shown_and_taken_away() {
    let home = TempDir::new().unwrap();
    let server = Started::new(home.path());
    let maildrop = |arguments: &[&str]| {
        let all = [&["account", "maildrop", "bob@example.test"], arguments].concat();
        administer(home.path(), &all, "")
    };
    let shown = |arguments: &[&str]| maildrop(arguments).well().unwrap().text();
    assert_eq!(
        shown(&[]),
        "bob@example.test\nlogin delay  none (default)\nmail         stays (default)\ntakeover     no (default)\n"
    );
    assert_eq!(
        shown(&["--login-delay", "60s", "--takeover", "yes"]),
        "bob@example.test\nlogin delay  1 minute (own)\nmail         stays (default)\ntakeover     yes (own)\n"
    );
    let plain = "bob@example.test\t60\town\t30\town\tyes\town\n";
    assert_eq!(shown(&["--expire", "30d", "--plain"]), plain);
    assert_eq!(shown(&["--plain"]), plain);
    let listed = administer(home.path(), &["account", "list"], "").well().unwrap().text();
    let line = "bob@example.test    0 messages  0 octets  \
                quota none; login delay 1 minute, mail expires after 30 days, takeover";
    assert_eq!(listed.lines().nth(1), Some(line));
    for (wrong, complaint) in [
        (["--expire", "0d"], "a day (1d) is the least"),
        (["--login-delay", "2d"], "give seconds (60s), minutes (5m) or hours (1h), or none"),
    ] {
        let refused = maildrop(&wrong);
        assert!(!refused.success && refused.complaint.contains(complaint), "{}", refused.complaint);
    }
    assert!(!maildrop(&["--default", "--takeover", "no"]).success);
    let plain = "bob@example.test\tnone\tdefault\tnever\tdefault\tno\tdefault\n";
    assert_eq!(shown(&["--default", "--plain"]), plain);
    let nobody = administer(home.path(), &["account", "maildrop", "nobody@example.test", "--default"], "");
    assert!(nobody.complaint.contains("there is no account nobody@example.test"), "{}", nobody.complaint);
    assert_eq!(server.interrupt().0, Some(0));
}
