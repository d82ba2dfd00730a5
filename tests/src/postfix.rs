//! Postfix that takes mail through a socket of its own and delivers it by LMTP, with everything it has in one folder.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::certificate::Certificate;
use crate::clients::{left_out, run, skipped};
use crate::deadline::wait_for;

/// Where distributions put it; not everybody's PATH names the folder.
const PROGRAM: &str = "/usr/sbin/postfix";
const QUEUE_PROGRAM: &str = "/usr/sbin/postqueue";
/// Its services that mail goes through on its way from a client to LMTP.
const SERVICES: &str = "\
smtpd     unix        n  -  n  -    -  smtpd
cleanup   unix        n  -  n  -    0  cleanup
qmgr      unix        n  -  n  300  1  qmgr
rewrite   unix        -  -  n  -    -  trivial-rewrite
bounce    unix        -  -  n  -    0  bounce
defer     unix        -  -  n  -    0  bounce
trace     unix        -  -  n  -    0  bounce
flush     unix        n  -  n  -    0  flush
pickup    unix        n  -  n  60   1  pickup
proxymap  unix        -  -  n  -    -  proxymap
showq     unix        n  -  n  -    -  showq
error     unix        -  -  n  -    -  error
retry     unix        -  -  n  -    -  error
lmtp      unix        -  -  n  -    -  lmtp
smtp      unix        -  -  n  -    -  smtp
tlsmgr    unix        -  -  n  1000 1  tlsmgr
anvil     unix        -  -  n  -    1  anvil
postlog   unix-dgram  n  -  n  -    1  postlogd
";

/// A Postfix that runs until it is dropped, and is of no concern to one that the machine may have.
pub struct Postfix {
    folder: TempDir,
    child: Child,
}

/// Whether it has STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It has.
    Offered,
    /// It has not, or somebody on the way keeps that secret.
    Missing,
}

/// True where Postfix is installed and can be started; says loudly that something is skipped where it is not.
///
/// # Errors
/// With `CI=true` in the environment, where nothing that is not installed may be skipped.
pub fn available() -> io::Result<bool> {
    if !Path::new(PROGRAM).is_file() {
        skipped("Postfix is not installed")?;
        return Ok(false);
    }
    if !geteuid().is_root() {
        left_out("Postfix can be started by root only")?;
        return Ok(false);
    }
    Ok(true)
}

/// The group of its processes.
///
/// # Errors
/// Where there is none.
pub fn group() -> io::Result<u32> {
    let said = run("id", &["-g", "postfix"], b"")?.well()?;
    said.text().trim_end().parse().map_err(io::Error::other)
}

impl Postfix {
    /// Delivers mail for `example.test` to `lmtp`, written as Postfix does: `inet:127.0.0.1:24`, `unix:/path`.
    ///
    /// # Errors
    /// Where it does not come up; the text has what it said.
    pub fn delivering_to(lmtp: &str) -> io::Result<Self> {
        Self::start(&format!("lmtp:{lmtp}"), "", "")
    }

    /// Takes mail for `elsewhere.test` at this address and port, and delivers what is for `bob` there to
    /// `bob@example.test` by `transport`, written as Postfix does: `lmtp:unix:/path`, `smtp:[127.0.0.1]:25`.
    ///
    /// # Errors
    /// As [`Self::delivering_to`].
    pub fn elsewhere(
        (address, port): (&str, u16),
        transport: &str,
        tls: Tls,
        certificate: &Certificate,
    ) -> io::Result<Self> {
        let tls = match tls {
            Tls::Offered => "may",
            Tls::Missing => "none",
        };
        let keys = format!(
            "virtual_alias_domains = elsewhere.test
virtual_alias_maps = inline:{{ bob@elsewhere.test=bob@example.test }}
smtpd_tls_security_level = {tls}
smtpd_tls_chain_files = {}, {}
smtpd_tls_received_header = yes
",
            certificate.key.display(),
            certificate.chain.display()
        );
        Self::start(transport, &format!("{address}:{port} inet n - n - - smtpd\n"), &keys)
    }

    fn start(transport: &str, services: &str, keys: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("postfix-")?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        // It makes a folder for its data itself, and gives it to a user of its own.
        for part in ["conf", "queue"] {
            fs::create_dir(folder.path().join(part))?;
        }
        fs::write(folder.path().join("conf/main.cf"), configuration(folder.path(), transport) + keys)?;
        fs::write(folder.path().join("conf/master.cf"), SERVICES.to_owned() + services)?;
        let said = fs::File::create(folder.path().join("said"))?;
        let child = Command::new(PROGRAM)
            .arg("-c")
            .arg(folder.path().join("conf"))
            .arg("start-fg")
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()?;
        let mut postfix = Self { folder, child };
        wait_for("Postfix to come up", || {
            if let Some(status) = postfix.child.try_wait()? {
                return Err(io::Error::other(format!("Postfix ended with {status}:\n{}", postfix.log())));
            }
            Ok((postfix.socket().exists() && postfix.pid().is_some()).then_some(()))
        })?;
        Ok(postfix)
    }

    /// Where it takes mail by SMTP.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("queue/public/smtpd")
    }

    /// What it has logged, and said at its start.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("said") + &read("log")
    }

    /// Its queue, one line of JSON a message.
    ///
    /// # Errors
    /// Where it does not say.
    pub fn queue(&self) -> io::Result<String> {
        Ok(self.ask("-j")?.text())
    }

    /// Has it try everything in its queue now.
    ///
    /// # Errors
    /// Where it does not.
    pub fn flush(&self) -> io::Result<()> {
        self.ask("-f").map(drop)
    }

    fn ask(&self, what: &str) -> io::Result<crate::clients::Said> {
        let folder = self.folder.path().join("conf").display().to_string();
        run(QUEUE_PROGRAM, &["-c", &folder, what], b"")?.well()
    }

    /// The process that all others are children of.
    fn pid(&self) -> Option<Pid> {
        let pid = fs::read_to_string(self.folder.path().join("queue/pid/master.pid")).ok()?;
        Pid::from_raw(pid.trim().parse().ok()?)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // All its processes end with that one, and the one that was started here after it.
        let asked = self.pid().is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if !asked || wait_for("Postfix to end", || self.child.try_wait()).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn configuration(folder: &Path, transport: &str) -> String {
    let folder = folder.display();
    format!(
        "compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mta.example.org
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = loopback-only
relay_domains = example.test
relay_recipient_maps =
relay_transport = {transport}
smtpd_relay_restrictions = permit_mynetworks, reject
"
    )
}
