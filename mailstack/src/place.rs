//! Which server a command is about: one with a configuration, or one that made itself in a folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mailstore::{Addresses, OpenError, Options, Store};
use mailwire::address::{AddressError, Domain, Mailbox};
use mailwire::daemon::config::{ConfigError, ConfigFile, Server, TABLES};
use smtpd::dkim::Dkim;
use smtpd::relay::RelayConfig;
use thiserror::Error;

use crate::arguments::Whereabouts;
use crate::trial::Trial;

/// Why a server is not found, or cannot be worked on.
#[derive(Debug, Error)]
pub(crate) enum PlaceError {
    #[error("neither HOME nor XDG_DATA_HOME names a folder; say where with --dir DIR")]
    NoHome,
    #[error(
        "there is no server in {0}; start it once with `mailstack up`, or name a configuration with --config FILE"
    )]
    NoServer(PathBuf),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("{address} is in no domain of this server; its domains are {domains}")]
    Domain { address: Addresses, domains: String },
}

/// A server's names, its store and its keys.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) store: Options,
    pub(crate) dkim: Dkim,
    pub(crate) relay: RelayConfig,
    /// Where the server made itself.
    pub(crate) trial: Option<Trial>,
}

impl Place {
    /// The server that the options name.
    pub(crate) fn find(whereabouts: &Whereabouts) -> Result<Self, PlaceError> {
        if let Some(path) = &whereabouts.config {
            return Self::configured(path);
        }
        let trial = trial(whereabouts)?;
        if !trial.has_store() {
            return Err(PlaceError::NoServer(trial.folder().to_owned()));
        }
        let (server, store, dkim) = (Trial::server(), trial.store(), trial.dkim());
        Ok(Self { server, store, dkim, relay: RelayConfig::default(), trial: Some(trial) })
    }

    fn configured(path: &Path) -> Result<Self, PlaceError> {
        let file = ConfigFile::read(path, &TABLES)?;
        let server: Server = file.table("server")?;
        let store = file.table::<Options>("store")?.of_domains(&server.domains);
        let store = Options { guard: file.table("guard")?, ..store };
        let (dkim, relay) = (file.table("dkim")?, file.table("relay")?);
        Ok(Self { server, store, dkim, relay, trial: None })
    }

    /// Opens the store.
    pub(crate) async fn open(&self) -> Result<Store, PlaceError> {
        Ok(mailstore::open(self.store.clone()).await?)
    }

    /// An address in a domain of this server.
    pub(crate) fn local(&self, text: &str) -> Result<Mailbox, PlaceError> {
        let address = Mailbox::parse(text)?;
        if self.is_local(address.domain()) { Ok(address) } else { Err(self.elsewhere(address.into())) }
    }

    /// An address in a domain of this server, or all of one.
    pub(crate) fn local_addresses(&self, text: &str) -> Result<Addresses, PlaceError> {
        let addresses = Addresses::parse(text)?;
        if self.is_local(addresses.domain()) { Ok(addresses) } else { Err(self.elsewhere(addresses)) }
    }

    /// True for a domain of this server.
    pub(crate) fn is_local(&self, domain: &Domain) -> bool {
        self.server.domains.iter().any(|name| Domain::parse(name).is_ok_and(|local| local == *domain))
    }

    fn elsewhere(&self, address: Addresses) -> PlaceError {
        PlaceError::Domain { address, domains: self.server.domains.join(", ") }
    }
}

/// The folder of a server that makes itself.
pub(crate) fn trial(whereabouts: &Whereabouts) -> Result<Trial, PlaceError> {
    let folder = match &whereabouts.dir {
        Some(folder) => folder.clone(),
        None => default_folder(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"))
            .ok_or(PlaceError::NoHome)?,
    };
    // The screen shows paths that work from anywhere.
    Ok(Trial::new(std::path::absolute(&folder).unwrap_or(folder)))
}

/// Where the XDG Base Directory Specification puts a user's data; a path that is not absolute counts as not set.
fn default_folder(data_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let data =
        data_home.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".local/share")))?;
    Some(data.join("mailstack"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(data_home: &str, home: &str) -> Option<PathBuf> {
        let given = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
        default_folder(given(data_home), given(home))
    }

    #[test]
    fn the_folder_follows_the_users_environment() {
        assert_eq!(folder("/data", "/home/user").unwrap(), Path::new("/data/mailstack"));
        assert_eq!(folder("", "/home/user").unwrap(), Path::new("/home/user/.local/share/mailstack"));
        assert_eq!(folder("data", "/home/user").unwrap(), Path::new("/home/user/.local/share/mailstack"));
        assert_eq!(folder("data", ""), None);
    }

    #[test]
    fn an_address_elsewhere_is_refused_with_the_domains_that_are_here() {
        let (server, store) = (Trial::server(), Options::default());
        let (dkim, relay) = (Dkim::default(), RelayConfig::default());
        let place = Place { server, store, dkim, relay, trial: None };
        assert!(place.local("carol@Example.Test").is_ok());
        assert_eq!(
            place.local("carol@example.org").unwrap_err().to_string(),
            "carol@example.org is in no domain of this server; its domains are example.test"
        );
        assert_eq!(
            place.local("carol").unwrap_err().to_string(),
            "\"carol\" is not an address of the form name@domain"
        );
    }

    #[test]
    fn a_folder_without_a_server_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let whereabouts = Whereabouts { config: None, dir: Some(folder.path().to_owned()) };
        let text = Place::find(&whereabouts).unwrap_err().to_string();
        assert!(text.contains(&folder.path().display().to_string()), "{text}");
        assert!(text.contains("start it once with `mailstack up`"), "{text}");
    }
}
