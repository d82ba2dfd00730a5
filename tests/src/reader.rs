//! Somebody who reads mail with mpop for a long time: mpop remembers what was fetched, and fetches what is new.

use std::fs;
use std::io;

use tempfile::TempDir;

use crate::clients::run;
use crate::server::Server;

/// The reader, all that was ever fetched, and mpop's memory of it. A memory is of a host and a user, so all servers have
/// the same name here.
pub struct Reader {
    folder: TempDir,
    login: String,
    password: String,
}

impl Reader {
    /// Somebody who has fetched nothing yet.
    ///
    /// # Errors
    /// Where there is no place to fetch to.
    pub fn new(login: &str, password: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("mpop-")?;
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.path().join("maildir").join(name))?;
        }
        Ok(Self { folder, login: login.to_owned(), password: password.to_owned() })
    }

    /// Fetches what is new from a server that is named by mpop's own arguments, and leaves it there; gives all that was
    /// ever fetched, sorted by its octets, with LF as mpop has it.
    ///
    /// # Errors
    /// Where mpop fails.
    pub fn fetch(&self, server: &[String]) -> io::Result<Vec<Vec<u8>>> {
        let maildir = self.folder.path().join("maildir");
        let own = [
            "--file=/dev/null".to_owned(),
            "--host=127.0.0.1".to_owned(),
            "--auth=user".to_owned(),
            format!("--user={}", self.login),
            format!("--passwordeval=echo {}", self.password),
            "--keep=on".to_owned(),
            "--received-header=off".to_owned(),
            format!("--uidls-file={}", self.folder.path().join("uidls").display()),
            format!("--delivery=maildir,{}", maildir.display()),
        ];
        let arguments: Vec<&str> = own.iter().chain(server).map(String::as_str).collect();
        run("mpop", &arguments, b"")?.well()?;
        let files = fs::read_dir(maildir.join("new"))?;
        let fetched: io::Result<Vec<_>> = files.map(|file| fs::read(file?.path())).collect();
        let mut fetched = fetched?;
        fetched.sort();
        Ok(fetched)
    }
}

/// What mpop must be told of a server of ours.
///
/// # Errors
/// Where the server does not run.
pub fn at_mailstack(server: &Server) -> io::Result<Vec<String>> {
    Ok(vec![
        format!("--port={}", server.addresses()?.pop3s.port()),
        "--tls=on".to_owned(),
        "--tls-starttls=off".to_owned(),
        format!("--tls-trust-file={}", server.certificate().authority.display()),
    ])
}
