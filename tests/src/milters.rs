//! Milters of others on loopback: opendkim, and what a script does with Python's library for them.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::clients::{run, skipped};
use crate::deadline::wait_for;

const OPENDKIM: &str = "/usr/sbin/opendkim";
const PYTHON: &str = "/usr/bin/python3";

/// Runs until this is dropped.
pub struct Milter {
    child: Child,
    folder: TempDir,
}

/// True where this machine has opendkim. In CI it must.
///
/// # Errors
/// Where it is missing in CI.
pub fn opendkim_is_available() -> io::Result<bool> {
    if Path::new(OPENDKIM).exists() && Path::new("/usr/bin/openssl").exists() {
        return Ok(true);
    }
    skipped("opendkim is not installed")?;
    Ok(false)
}

/// True where Python has its library for milters. In CI it must.
///
/// # Errors
/// Where it is missing in CI.
pub fn python_is_available() -> io::Result<bool> {
    if Path::new(PYTHON).exists() && run(PYTHON, &["-c", "import Milter"], b"")?.success {
        return Ok(true);
    }
    skipped("python3-milter is not installed")?;
    Ok(false)
}

impl Milter {
    /// opendkim with these lines of its configuration, `{}` in them for its folder, in which lies a key (`key.pem`), and what DNS
    /// would say of it for the domain `example.test` and the selector `s` (`keys`), and the address of a host elsewhere (`inside`).
    ///
    /// # Errors
    /// Where it does not come up; the text has what it said.
    pub fn opendkim(lines: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("mailstack-opendkim-")?;
        let path = folder.path().display();
        let key = format!("{path}/key.pem");
        run("openssl", &["genrsa", "-out", &key, "2048"], b"")?.well()?;
        let public = run("openssl", &["rsa", "-in", &key, "-pubout"], b"")?.well()?.output;
        let public = String::from_utf8_lossy(&public);
        let base64: String = public.lines().filter(|line| !line.starts_with('-')).collect();
        fs::write(
            folder.path().join("keys"),
            format!("s._domainkey.example.test v=DKIM1; k=rsa; p={base64}\n"),
        )?;
        // Nobody here, or it would sign what comes from there.
        fs::write(folder.path().join("inside"), "192.0.2.1\n")?;
        let configuration = folder.path().join("opendkim.conf");
        let always =
            "Background no\nSyslog no\nRequireSafeKeys no\nSocket local:{}/socket\nTemporaryDirectory {}\n";
        fs::write(&configuration, format!("{always}{lines}").replace("{}", &path.to_string()))?;
        let mut command = Command::new(OPENDKIM);
        command.args(["-f", "-x"]).arg(&configuration);
        Self::start(command, folder)
    }

    /// A script for Python's library, which gets the path of the socket as its argument.
    ///
    /// # Errors
    /// Where it does not come up; the text has what it said.
    pub fn python(script: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("mailstack-milter-")?;
        let mut command = Command::new(PYTHON);
        command.arg(script).arg(folder.path().join("socket"));
        Self::start(command, folder)
    }

    fn start(mut command: Command, folder: TempDir) -> io::Result<Self> {
        let log = fs::File::create(folder.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let milter = Self { child: command.spawn()?, folder };
        let socket = milter.folder.path().join("socket");
        wait_for("the milter's socket", || Ok(socket.exists().then_some(())))
            .map_err(|error| io::Error::new(error.kind(), format!("{error}\n{}", milter.log())))?;
        Ok(milter)
    }

    /// Where it answers, as the configuration names it.
    #[must_use]
    pub fn at(&self) -> String {
        format!("unix:{}", self.folder.path().join("socket").display())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Milter {
    fn drop(&mut self) {
        if let Some(process) = self.child.id().try_into().ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
