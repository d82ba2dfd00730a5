//! The folder in which `mailstack up` keeps what it makes itself: certificate, store, and the first passwords.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mailstore::{Administration, AdministrationError, Alias, Options};
use mailwire::address::Mailbox;
use mailwire::daemon::config::Server;
use mailwire::secret::Secret;
use smtpd::dkim::Dkim;
use smtpd::relay::{RelayConfig, RelayTables};
use thiserror::Error;

use crate::certificate;
use crate::passwords::{self, PasswordError};

/// Its domain, which no one else can have (RFC 2606 §2).
pub(crate) const DOMAIN: &str = "example.test";
/// Its name.
pub(crate) const HOSTNAME: &str = "mail.example.test";
/// What its certificate is for.
const NAMES: [&str; 4] = [HOSTNAME, "localhost", "127.0.0.1", "::1"];
/// The first accounts; the first of them gets what is for the postmaster (RFC 5321 §4.5.1).
const ACCOUNTS: [&str; 2] = ["alice", "bob"];

/// Why a server could not make itself.
#[derive(Debug, Error)]
pub(crate) enum TrialError {
    #[error("the folder {folder} cannot be used; choose another with --dir DIR")]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Certificate(#[from] certificate::CertificateError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Address(#[from] mailwire::address::AddressError),
    #[error("making the first accounts failed")]
    Accounts(#[from] AdministrationError),
}

/// An account whose password the screen can show.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) address: String,
    pub(crate) password: Secret<String>,
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Trial {
    folder: PathBuf,
}

impl Trial {
    /// The server in `folder`, whether or not there is one yet.
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's names.
    pub(crate) fn server() -> Server {
        Server { hostname: HOSTNAME.to_owned(), domains: vec![DOMAIN.to_owned()] }
    }

    pub(crate) fn store(&self) -> Options {
        let options = Options { path: self.folder.join("store"), ..Options::default() };
        options.of_domains(&Self::server().domains)
    }

    /// Where the keys lie that sign its mail.
    pub(crate) fn dkim(&self) -> Dkim {
        Dkim { keys: self.folder.join("dkim") }
    }

    /// Tried out, it bothers nobody else.
    pub(crate) fn relay() -> RelayTables {
        let relay = RelayConfig { enabled: false, ..RelayConfig::default() };
        RelayTables { relay, ..RelayTables::default() }
    }

    pub(crate) fn has_store(&self) -> bool {
        self.store().path.is_dir()
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("tls/certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("tls/key.pem")
    }

    /// The first passwords, for the screen of every start.
    fn passwords(&self) -> PathBuf {
        self.folder.join("passwords")
    }

    /// Makes the folder and the certificate, where they are not there yet.
    pub(crate) fn prepare(&self) -> Result<(), TrialError> {
        fs::create_dir_all(self.folder.join("tls")).map_err(|source| self.unusable(source))?;
        if !self.certificate().exists() || !self.key().exists() {
            certificate::make(&NAMES, &self.certificate(), &self.key())?;
        }
        Ok(())
    }

    /// Makes the first accounts and the alias for the postmaster, once. The file with their passwords comes last: it
    /// says that all of this is done.
    pub(crate) async fn accounts(
        &self,
        administration: &dyn Administration,
    ) -> Result<Vec<Login>, TrialError> {
        if self.passwords().exists() {
            return self.read();
        }
        let mut logins = Vec::new();
        for name in ACCOUNTS {
            let address = Mailbox::parse(&format!("{name}@{DOMAIN}"))?;
            let password = passwords::made_up()?;
            match administration.add_account(&address, &password).await {
                // Left by a first start that did not come to its end.
                Err(AdministrationError::Exists(_)) => {
                    administration.set_password(&address, &password).await?;
                }
                made => {
                    made?;
                }
            }
            logins.push(Login { address: address.to_string(), password });
        }
        let [first, ..] = ACCOUNTS;
        let alias = Alias {
            address: Mailbox::parse(&format!("postmaster@{DOMAIN}"))?.into(),
            targets: vec![Mailbox::parse(&format!("{first}@{DOMAIN}"))?],
        };
        administration.add_alias(&alias).await?;
        self.write(&logins)?;
        Ok(logins)
    }

    /// Forgets a first password that has been changed.
    pub(crate) fn forget_password(&self, address: &Mailbox) -> Result<(), TrialError> {
        if !self.passwords().exists() {
            return Ok(());
        }
        let mut logins = self.read()?;
        logins.retain(|login| login.address != address.key());
        self.write(&logins)
    }

    fn read(&self) -> Result<Vec<Login>, TrialError> {
        let text = fs::read_to_string(self.passwords()).map_err(|source| self.unusable(source))?;
        let logins = text.lines().filter_map(|line| line.split_once(' ')).map(|(address, password)| Login {
            address: address.to_owned(),
            password: Secret::new(password.to_owned()),
        });
        Ok(logins.collect())
    }

    fn write(&self, logins: &[Login]) -> Result<(), TrialError> {
        let mut lines = String::new();
        for Login { address, password } in logins {
            lines.extend([address, " ", password.expose(), "\n"]);
        }
        certificate::put(&self.passwords(), &lines).map_err(|source| self.unusable(source))
    }

    fn unusable(&self, source: io::Error) -> TrialError {
        TrialError::Folder { folder: self.folder.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(address: &str, password: &str) -> Login {
        Login { address: address.to_owned(), password: Secret::new(password.to_owned()) }
    }

    #[test]
    fn a_second_start_finds_certificate_and_passwords() {
        let folder = tempfile::tempdir().unwrap();
        let trial = Trial::new(folder.path().join("deep/mailstack"));
        trial.prepare().unwrap();
        let certificate = fs::read(trial.certificate()).unwrap();
        trial.prepare().unwrap();
        assert_eq!(fs::read(trial.certificate()).unwrap(), certificate);

        let logins = [login("alice@example.test", "kesuto-bavime-rilano"), login("bob@example.test", "a b")];
        trial.write(&logins).unwrap();
        assert_eq!(trial.read().unwrap(), logins);
    }

    #[test]
    fn a_changed_password_is_not_shown_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let trial = Trial::new(folder.path().to_owned());
        let alice = Mailbox::parse("Alice@Example.Test").unwrap();
        trial.forget_password(&alice).unwrap();
        trial.write(&[login("alice@example.test", "one"), login("bob@example.test", "two")]).unwrap();
        trial.forget_password(&alice).unwrap();
        assert_eq!(trial.read().unwrap(), [login("bob@example.test", "two")]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let text = Trial::new(folder.path().join("file/mailstack")).prepare().unwrap_err().to_string();
        assert!(text.contains("file/mailstack cannot be used"), "{text}");
    }
}
