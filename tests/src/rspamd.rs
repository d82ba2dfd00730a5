//! rspamd with one worker on loopback, and everything that it has in one folder.

use std::fs::{self, Permissions};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::clients::skipped;
use crate::deadline::{PATIENCE, wait_for};

const PROGRAM: &str = "/usr/bin/rspamd";

/// Runs until this is dropped.
pub struct Rspamd {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

/// True where this machine has it. In CI it must.
///
/// # Errors
/// Where it is missing in CI.
pub fn available() -> io::Result<bool> {
    if Path::new(PROGRAM).exists() {
        return Ok(true);
    }
    skipped("rspamd is not installed")?;
    Ok(false)
}

impl Rspamd {
    /// Starts it and waits until it answers. It asks nobody, and knows no rule but its test patterns: GTUBE, and what comes
    /// with the configuration `more`.
    ///
    /// # Errors
    /// Where it does not come up; the text has what it said.
    pub fn start(more: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("mailstack-rspamd-")?;
        // Its workers run as another user.
        make_public(folder.path())?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let (path, configuration) = (folder.path().display(), folder.path().join("rspamd.conf"));
        fs::write(
            &configuration,
            format!(
                "options {{\n  pidfile = \"{path}/pid\";\n  temp_dir = \"{path}\";\n  hs_cache_dir = \"{path}\";\n  \
                 dynamic_conf = \"{path}/dynamic\";\n  history_file = \"{path}/history\";\n  filters = \"\";\n  \
                 url_tld = \"{path}/domains\";\n  gtube_patterns = \"all\";\n  enable_test_patterns = true;\n  dns {{ nameserver = [\"127.0.0.1:9\"]; timeout = 0.1s; retransmits = 1; }}\n}}\n\
                 lang_detection {{ languages = [\"en\"]; }}\n\
                 logging {{ type = \"console\"; level = \"warning\"; }}\n\
                 actions {{ reject = 15; add_header = 6; greylist = 4; }}\n\
                 worker \"normal\" {{ bind_socket = \"{address}\"; count = 1; }}\n{more}\n"
            ),
        )?;
        // Of all top domains of the internet it would make a matcher first, for a minute on a busy machine.
        fs::write(folder.path().join("domains"), "example\ntest\n")?;
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new(PROGRAM)
            .args(["-f", "-i", "-c"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let rspamd = Self { child, address, folder };
        wait_for("rspamd to answer", || Ok(answers(address).then_some(())))
            .map_err(|error| io::Error::new(error.kind(), format!("{error}\n{}", rspamd.log())))?;
        Ok(rspamd)
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Rspamd {
    fn drop(&mut self) {
        if let Some(process) = self.child.id().try_into().ok().and_then(Pid::from_raw) {
            // It ends its workers with it.
            let _ = kill_process(process, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

fn make_public(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o777))
}

fn answers(address: SocketAddr) -> bool {
    let asked = || -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /ping HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    asked().is_ok_and(|answer| answer.contains("pong"))
}
