//! Dovecot as POP3 server of one Maildir, in a folder of its own, reached through a socket that needs no port.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::clients::{run, skipped};
use crate::deadline::wait_for;

/// Where distributions put its POP3 server, which Debian has in a package of its own.
const POP3: [&str; 2] = ["/usr/lib/dovecot/pop3", "/usr/libexec/dovecot/pop3"];
/// Where they put Dovecot itself; not everybody's PATH names the folder.
const PROGRAM: &str = "/usr/sbin/dovecot";

/// A Dovecot that runs until it is dropped. It takes every login with the right password.
pub struct Dovecot {
    folder: TempDir,
    child: Child,
}

/// Whose rights it has: its own processes must not be root's.
struct User {
    name: String,
    group: String,
    uid: u32,
    gid: u32,
}

/// True where Dovecot is installed; says loudly that something is skipped where it is not.
///
/// # Errors
/// With `CI=true` in the environment, where nothing may be skipped.
pub fn available() -> io::Result<bool> {
    let found = Path::new(PROGRAM).is_file() && POP3.iter().any(|path| Path::new(path).is_file());
    if !found {
        skipped("Dovecot's POP3 server is not installed")?;
    }
    Ok(found)
}

impl Dovecot {
    /// Serves `maildir`, which must lie in a folder that everybody may look into.
    ///
    /// # Errors
    /// Where it does not come up; the text has what it said.
    pub fn serve(maildir: &Path, password: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("dovecot-")?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let user = User::unprivileged()?;
        give(maildir, &user)?;
        let configuration = folder.path().join("dovecot.conf");
        fs::write(&configuration, user.configuration(folder.path(), maildir, password))?;
        let child = Command::new(PROGRAM)
            .arg("-F")
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut dovecot = Self { folder, child };
        wait_for("Dovecot to come up", || {
            if let Some(status) = dovecot.child.try_wait()? {
                return Err(io::Error::other(format!("Dovecot ended with {status}:\n{}", dovecot.log())));
            }
            Ok(dovecot.socket().exists().then_some(()))
        })?;
        Ok(dovecot)
    }

    /// Where its POP3 answers.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("run/pop3")
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // Its other processes end with the first one, where that is asked to and not killed.
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if !asked || wait_for("Dovecot to end", || self.child.try_wait()).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl User {
    /// Who runs the test, or `nobody` where that is root.
    fn unprivileged() -> io::Result<Self> {
        let whose: &[&str] = if geteuid().is_root() { &["nobody"] } else { &[] };
        let id = |what: &str| -> io::Result<String> {
            let said = run("id", &[&[what], whose].concat(), b"")?.well()?;
            Ok(said.text().trim_end().to_owned())
        };
        let number = |what: &str| id(what)?.parse().map_err(io::Error::other);
        Ok(Self { name: id("-un")?, group: id("-gn")?, uid: number("-u")?, gid: number("-g")? })
    }

    fn configuration(&self, folder: &Path, maildir: &Path, password: &str) -> String {
        let Self { name, group, uid, gid } = self;
        let (folder, maildir) = (folder.display(), maildir.display());
        format!(
            "base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = pop3
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_location = maildir:{maildir}
default_internal_user = {name}
default_internal_group = {group}
default_login_user = {name}
first_valid_uid = 0
first_valid_gid = 0
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={maildir}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = 0
  }}
  unix_listener pop3 {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
"
        )
    }
}

/// Gives a folder and everything in it to `user`.
fn give(path: &Path, user: &User) -> io::Result<()> {
    chown(path, Some(user.uid), Some(user.gid))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    Ok(())
}
