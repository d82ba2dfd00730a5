//! DNS, asked as a configuration says.

use std::error::Error;
use std::path::Path;

use mailwire::daemon::config::{ConfigFile, Server, TABLES};
use smtpd::relay::names::{Dns, Itself, MtaStsConfig, Names};

/// Asks as the configuration in `path` says; without one, this system's name servers.
pub(crate) fn names(path: Option<&Path>) -> Result<Names, Box<dyn Error>> {
    let Some(path) = path else {
        let names = Names::new(&Dns::default(), Itself::default())?;
        return Ok(names.with_policies(&MtaStsConfig::default(), None)?);
    };
    let file = ConfigFile::read(path, &TABLES)?;
    let server: Server = file.table("server")?;
    let itself = Itself { names: [server.hostname].into(), ..Itself::default() };
    let names = Names::new(&file.table("dns")?, itself)?;
    // They are fetched anew: what is to be seen is what holds now.
    Ok(names.with_policies(&file.table("mta_sts")?, None)?)
}
