//! Exim and `OpenSMTPD`, each in a mount namespace of its own, where it finds the users and folders that it was built for.
//!
//! So neither has to be installed, and several run at the same time.

mod exim;
mod opensmtpd;

use std::fs::{self, File, Permissions};
use std::io;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::certificate::Certificate;
use crate::clients::{left_out, run, skipped};
use crate::deadline::wait_for;

/// Names the folder in which the programs lie as they do in their packages.
const FOLDER: &str = "MAILSTACK_TEST_MTAS";
/// Users of the programs in their namespaces have numbers from here on.
const USER: u32 = 65_211;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With `GnuTLS`.
    Exim,
    /// The portable version, with OpenSSL.
    OpenSmtpd,
}

/// A server for `elsewhere.test` that runs until it is dropped. What comes for `bob` there goes to `bob@example.test`, what
/// comes for `lost` to `nobody@example.test`, and nobody else is known.
pub struct Mta {
    folder: TempDir,
    child: Child,
}

/// Where it takes mail, and where mail for `example.test` goes.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Its address and port.
    pub own: (&'a str, u16),
    /// The port of `example.test` at 127.0.0.1.
    pub back: u16,
}

/// What one of them needs.
struct Needs {
    /// Its program and arguments.
    command: Vec<String>,
    users: &'static [&'static str],
    /// Files in its `/etc`, with what is in them.
    etc: Vec<(&'static str, String)>,
    /// Folders that are made, and those of them that are its first user's.
    folders: &'static [&'static str],
    owned: &'static [&'static str],
    /// Commands of a shell that arrange the rest of its namespace.
    arranges: &'static str,
}

impl Kind {
    /// Its program's name in its package.
    const fn program(self) -> &'static str {
        match self {
            Self::Exim => "usr/sbin/exim4",
            Self::OpenSmtpd => "usr/sbin/smtpd",
        }
    }

    /// True where it is there and can be started; says loudly that something is skipped where it is not.
    ///
    /// # Errors
    /// With `CI=true` in the environment, where nothing that is not installed may be skipped.
    pub fn available(self) -> io::Result<bool> {
        // Another smtpd may be installed under that name.
        let ours = self == Self::Exim || root().join("usr/sbin/smtpctl").is_file();
        if !ours || !root().join(self.program()).is_file() {
            skipped(&format!("{self:?} is neither installed nor in the folder that {FOLDER} names"))?;
            return Ok(false);
        }
        if !geteuid().is_root() || !run("unshare", &["--mount", "true"], b"")?.success {
            left_out(&format!("{self:?} can be started by root only, where mount namespaces are allowed"))?;
            return Ok(false);
        }
        Ok(true)
    }

    fn needs(self, folder: &Path, places: Places<'_>) -> Needs {
        let program = root().join(self.program()).display().to_string();
        match self {
            Self::Exim => exim::needs(&program, folder, places),
            Self::OpenSmtpd => opensmtpd::needs(&program, folder, places),
        }
    }
}

impl Mta {
    /// Starts it.
    ///
    /// # Errors
    /// Where it does not come up; the text has what it said.
    pub fn start(kind: Kind, places: Places<'_>, certificate: &Certificate) -> io::Result<Self> {
        let folder = TempDir::with_prefix("mta-")?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let needs = kind.needs(folder.path(), places);
        for name in needs.folders {
            fs::create_dir_all(folder.path().join(name))?;
        }
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        fs::copy(&certificate.chain, &chain)?;
        fs::copy(&certificate.key, &key)?;
        fs::set_permissions(&key, Permissions::from_mode(0o600))?;
        etc(folder.path(), &needs)?;
        for name in needs.owned {
            chown(folder.path().join(name), Some(USER), Some(USER))?;
        }
        let said = File::create(folder.path().join("said"))?;
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script(folder.path(), &needs), "sh"])
            .args(&needs.command)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()?;
        let mut mta = Self { folder, child };
        wait_for("another server to come up", || {
            if let Some(status) = mta.child.try_wait()? {
                return Err(io::Error::other(format!("{kind:?} ended with {status}:\n{}", mta.log())));
            }
            Ok(TcpStream::connect(places.own).ok())
        })?;
        Ok(mta)
    }

    /// What it has logged and said.
    #[must_use]
    pub fn log(&self) -> String {
        let names = ["said", "log/mainlog", "log/rejectlog", "log/paniclog"];
        names.map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()).concat()
    }
}

impl Drop for Mta {
    fn drop(&mut self) {
        // Its other processes end with the first one, where that is asked to and not killed.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if !asked || wait_for("another server to end", || self.child.try_wait()).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Under which the packages were unpacked, or installed.
fn root() -> PathBuf {
    std::env::var_os(FOLDER).map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// Makes its `/etc`: no more of the machine's than names and authorities, its users, and its own files.
fn etc(folder: &Path, needs: &Needs) -> io::Result<()> {
    let etc = folder.join("etc");
    fs::create_dir_all(&etc)?;
    for name in ["passwd", "group", "nsswitch.conf", "services", "protocols", "ld.so.cache"] {
        let machine = Path::new("/etc").join(name);
        if machine.is_file() {
            fs::copy(machine, etc.join(name))?;
        }
    }
    let (mut passwd, mut group) =
        (fs::read_to_string(etc.join("passwd"))?, fs::read_to_string(etc.join("group"))?);
    for (user, number) in needs.users.iter().zip(USER..) {
        passwd = format!("{user}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n{passwd}");
        group = format!("{user}:x:{number}:\n{group}");
    }
    fs::write(etc.join("passwd"), passwd)?;
    fs::write(etc.join("group"), group)?;
    // Nobody is asked for names.
    fs::write(etc.join("hosts"), "127.0.0.1 mail.example.test\n127.0.0.2 mx.elsewhere.test\n")?;
    fs::write(etc.join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")?;
    for (name, text) in &needs.etc {
        let path = etc.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// What arranges the namespace, and then becomes the server.
fn script(folder: &Path, needs: &Needs) -> String {
    format!("set -e\nmount --bind {}/etc /etc\n{}exec \"$@\"\n", folder.display(), needs.arranges)
}
