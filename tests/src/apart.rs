//! The daemons as processes of their own on one store: each is started, killed and started again by itself.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::certificate::Certificate;
use crate::clients::{run_command, skipped};
use crate::deadline::wait_for;
use crate::pop3::Pop3;
use crate::programs::program;
use crate::server::{address, signal, usize_of};
use crate::smtp::Smtp;
use crate::stream::Stream;

/// The group of all users of a hardened layout; nobody else has these numbers.
const GROUP: u32 = 64_000;
const STORE_USER: u32 = 64_001;
const DAEMON_USER: u32 = 64_002;

/// One of the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `mailstack store serve`.
    Store,
    /// `smtpd`.
    Smtp,
    /// `pop3d`.
    Pop3,
}

/// Who hosts the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Whichever daemon comes first.
    Anyone,
    /// [`Part::Store`] alone, with a user of its own where the test is root.
    Hardened,
}

/// The processes, and the folder of everything that they have.
pub struct Apart {
    folder: TempDir,
    certificate: Certificate,
    layout: Layout,
    running: Mutex<BTreeMap<Part, Running>>,
}

struct Running {
    child: Child,
    /// Where a daemon answers: reception, or POP3 with TLS from the first octet.
    address: Option<SocketAddr>,
}

impl Part {
    const fn program(self) -> &'static str {
        match self {
            Self::Store => "mailstack",
            Self::Smtp => "smtpd",
            Self::Pop3 => "pop3d",
        }
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Store => &["store", "serve"],
            Self::Smtp | Self::Pop3 => &[],
        }
    }

    /// What it says once it serves.
    const fn ready(self) -> &'static str {
        match self {
            Self::Store => "the store is served",
            Self::Smtp => "smtpd serves",
            Self::Pop3 => "pop3d serves",
        }
    }

    const fn listener(self) -> Option<&'static str> {
        match self {
            Self::Store => None,
            Self::Smtp => Some("reception"),
            Self::Pop3 => Some("pop3s"),
        }
    }

    const fn user(self) -> u32 {
        match self {
            Self::Store => STORE_USER,
            Self::Smtp | Self::Pop3 => DAEMON_USER,
        }
    }
}

impl Apart {
    /// Everything that the processes need; none of them runs.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn new(layout: Layout) -> io::Result<Self> {
        let folder = TempDir::with_prefix("mailstack-apart-")?;
        let certificate = Certificate::make(folder.path())?;
        let apart = Self { folder, certificate, layout, running: Mutex::default() };
        fs::create_dir(apart.file("bin"))?;
        for part in [Part::Store, Part::Smtp, Part::Pop3] {
            // Other users may not get to where it was built.
            let (from, to) = (program(part.program())?, apart.file("bin").join(part.program()));
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))?;
        }
        fs::write(apart.file("mailstack.toml"), apart.toml())?;
        apart.give_away()?;
        Ok(apart)
    }

    /// Adds tables to the configuration, for the processes that are started from now on.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add_tables(&self, tables: &str) -> io::Result<()> {
        let mut file = File::options().append(true).open(self.file("mailstack.toml"))?;
        file.write_all(format!("\n{tables}").as_bytes())
    }

    /// Gives the folders to their users.
    fn give_away(&self) -> io::Result<()> {
        for (name, mode) in [("store", 0o700), ("run", 0o750)] {
            fs::create_dir(self.file(name))?;
            fs::set_permissions(self.file(name), Permissions::from_mode(mode))?;
        }
        if self.has_users() {
            fs::set_permissions(self.folder.path(), Permissions::from_mode(0o755))?;
            fs::set_permissions(self.file("bin"), Permissions::from_mode(0o755))?;
            for readable in ["mailstack.toml", "certificate.pem", "key.pem"] {
                fs::set_permissions(self.file(readable), Permissions::from_mode(0o644))?;
            }
            for name in ["store", "run"] {
                chown(self.file(name), Some(STORE_USER), Some(GROUP))?;
            }
        }
        Ok(())
    }

    /// True where the processes have users of their own; where a hardened layout has none, says so loudly.
    ///
    /// # Errors
    /// With `CI=true` in the environment, where nothing may be skipped.
    pub fn keeps_daemons_out(&self) -> io::Result<bool> {
        if !self.has_users() {
            skipped("only root can run the processes as users of their own")?;
        }
        Ok(self.has_users())
    }

    fn has_users(&self) -> bool {
        self.layout == Layout::Hardened && geteuid().is_root()
    }

    /// Starts a process and waits until it serves.
    ///
    /// # Errors
    /// Where it does not come up; the text has what it said.
    pub fn start(&self, part: Part) -> io::Result<()> {
        let log = self.log_file(part);
        let begin = usize_of(fs::metadata(&log).map_or(0, |metadata| metadata.len()));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(self.file("bin").join(part.program()));
        command.args(part.arguments()).arg("--config").arg(self.file("mailstack.toml"));
        command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        if self.has_users() {
            command.uid(part.user()).gid(GROUP);
        }
        let mut child = command.spawn()?;
        let address = wait_for(part.ready(), || {
            let said = fs::read(&log)?;
            let said = String::from_utf8_lossy(said.get(begin..).unwrap_or_default()).into_owned();
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("{part:?} ended with {status}:\n{said}")));
            }
            let line = said.lines().find(|line| line.contains(part.ready()));
            Ok(line.map(|line| part.listener().and_then(|name| address(line, name))))
        });
        let address = match address {
            Ok(address) => address,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        self.running().insert(part, Running { child, address });
        Ok(())
    }

    /// Kills a process wherever it is, and waits until it is gone.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn kill(&self, part: Part) -> io::Result<()> {
        self.end(part, Signal::KILL)
    }

    /// Asks a process to end, and waits until it has.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn terminate(&self, part: Part) -> io::Result<()> {
        self.end(part, Signal::TERM)
    }

    fn end(&self, part: Part, how: Signal) -> io::Result<()> {
        let mut running = self.running().remove(&part).ok_or_else(|| not_running(part))?;
        signal(&running.child, how)?;
        wait_for("a process to end", || running.child.try_wait()).map(drop)
    }

    /// The process that hosts the store: its id is in the lock file.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn host(&self) -> io::Result<Option<Part>> {
        let pid = fs::read_to_string(self.file("store/LOCK"))?;
        let pid = pid.trim().parse().ok();
        let running = self.running();
        Ok(running.iter().find(|(_, running)| Some(running.child.id()) == pid).map(|(part, _)| *part))
    }

    /// Connects to reception.
    ///
    /// # Errors
    /// Where it does not run, or refuses.
    pub fn reception(&self) -> io::Result<Smtp> {
        Smtp::clear(self.address(Part::Smtp)?, &self.certificate.trust)
    }

    /// Connects to submission by TLS.
    ///
    /// # Errors
    /// Where it does not run, or refuses.
    pub fn submissions(&self) -> io::Result<Smtp> {
        let log = self.log(Part::Smtp);
        let line = log.lines().rev().find(|line| line.contains(Part::Smtp.ready()));
        let found = line.and_then(|line| address(line, "submissions"));
        Smtp::new(Stream::tls(found.ok_or_else(|| not_running(Part::Smtp))?, &self.certificate.trust)?)
    }

    /// Connects to POP3.
    ///
    /// # Errors
    /// Where it does not run, or refuses.
    pub fn pop3(&self) -> io::Result<Pop3> {
        Pop3::new(Stream::tls(self.address(Part::Pop3)?, &self.certificate.trust)?)
    }

    /// Connects to POP3 and logs in.
    ///
    /// # Errors
    /// Where it does not run, or refuses.
    pub fn maildrop(&self, account: &str) -> io::Result<Pop3> {
        let mut pop3 = self.pop3()?;
        pop3.login(&format!("{account}@example.test"), &format!("pw-{account}"))?;
        Ok(pop3)
    }

    /// Adds an account with its usual password.
    ///
    /// # Errors
    /// Where the command fails; the text has what it said.
    pub fn add_account(&self, account: &str) -> io::Result<()> {
        let address = format!("{account}@example.test");
        self.mailstack(&["account", "add", &address], &format!("pw-{account}\n")).map(drop)
    }

    /// What an administration command says.
    ///
    /// # Errors
    /// Where it fails; the text has what it said.
    pub fn mailstack(&self, arguments: &[&str], input: &str) -> io::Result<String> {
        let mut command = Command::new(self.file("bin/mailstack"));
        command.args(arguments).arg("--config").arg(self.file("mailstack.toml"));
        Ok(run_command(&mut command, input.as_bytes())?.well()?.text())
    }

    /// True where the daemons' user can list the store's folder.
    ///
    /// # Errors
    /// Where that cannot be tried.
    pub fn daemons_can_read_the_store(&self) -> io::Result<bool> {
        let mut command = Command::new("ls");
        command.arg(self.file("store")).uid(DAEMON_USER).gid(GROUP);
        Ok(run_command(&mut command, b"")?.success)
    }

    /// What a process has logged.
    #[must_use]
    pub fn log(&self, part: Part) -> String {
        let log = fs::read(self.log_file(part)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn address(&self, part: Part) -> io::Result<SocketAddr> {
        let running = self.running();
        running.get(&part).and_then(|running| running.address).ok_or_else(|| not_running(part))
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Part, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_file(&self, part: Part) -> PathBuf {
        self.file(&format!("{part:?}.log"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn toml(&self) -> String {
        let folder = Path::display(self.folder.path());
        let store = match self.layout {
            Layout::Anyone => String::new(),
            Layout::Hardened => format!("socket = \"{folder}/run/store.sock\"\nhosted_by = \"serve\"\n"),
        };
        format!(
            r#"version = 1

[server]
hostname = "mail.example.test"
domains = ["example.test"]

[tls]
certificate = "{folder}/certificate.pem"
key = "{folder}/key.pem"

[store]
path = "{folder}/store"
{store}
[smtp]
reception = ["127.0.0.1:0"]
submission = []
submissions = ["127.0.0.1:0"]

[pop3]
pop3 = []
pop3s = ["127.0.0.1:0"]
"#
        )
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        for running in self.running().values_mut() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if std::thread::panicking() {
            for part in [Part::Store, Part::Smtp, Part::Pop3] {
                let log = self.log(part);
                let last: Vec<&str> = log.lines().rev().take(10).collect();
                let _ = writeln!(io::stderr(), "the log of {part:?}, newest first:\n{}", last.join("\n"));
            }
        }
    }
}

fn not_running(part: Part) -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, format!("{part:?} does not run"))
}
