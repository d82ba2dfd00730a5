//! `mailstack store serve`: the store is hosted for programs that may not read it, and nothing is served to the network.

use std::error::Error;

use mailwire::daemon::config::{ConfigError, ConfigFile, Log, TABLES};
use mailwire::daemon::signals::Signals;
use mailwire::daemon::{log, process};
use tracing::info;

use crate::arguments::Whereabouts;
use crate::place::Place;

/// Hosts the store until told to stop.
pub(crate) async fn run(whereabouts: &Whereabouts) -> Result<(), Box<dyn Error>> {
    let place = Place::find(whereabouts)?;
    log::start(&log_of(whereabouts)?.filter);
    // Each draft and each session of a maildrop is a connection.
    let open_files_max = process::raise_open_files_limit();
    let mut signals = Signals::register()?;
    let (path, socket) = (place.store.path.clone(), place.store.socket.clone());
    let store = tokio::select! {
        store = mailstore::host(place.store) => store?,
        () = signals.terminated(|| {}) => return Ok(()),
    };
    info!(?path, ?socket, open_files_max, "the store is served");
    signals.terminated(|| {}).await;
    store.close().await;
    info!("stopped");
    Ok(())
}

fn log_of(whereabouts: &Whereabouts) -> Result<Log, ConfigError> {
    match &whereabouts.config {
        Some(path) => ConfigFile::read(path, &TABLES)?.table("log"),
        None => Ok(Log::default()),
    }
}
