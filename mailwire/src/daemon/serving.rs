//! The life of a server program once everything is bound: serve, take up new certificates, drain.

use std::io;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::signals::Signals;
use crate::cause::chain;
use crate::net::{Certificates, Shutdown};

/// Runs `serve` until SIGTERM or SIGINT, and from then on until it has drained; a second signal ends that wait.
/// Certificates are read again when their files change and at SIGHUP. Once `serve` is called, signals are obeyed: it is
/// the place to say that the server is ready.
///
/// # Errors
/// Where the system refuses to register a handler for signals.
pub async fn until_drained<F>(
    certificates: &Arc<Certificates>,
    serve: impl FnOnce(Shutdown) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()>,
{
    let mut signals = Signals::register()?;
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(Arc::clone(certificates).watch(shutdown.clone()));
    let mut serving = std::pin::pin!(serve(shutdown));
    tokio::select! {
        () = &mut serving => return Ok(()),
        () = signals.terminated(|| reload(certificates)) => {}
    }
    info!("draining");
    trigger.trigger();
    tokio::select! {
        () = serving => {}
        () = signals.terminated(|| {}) => warn!("told to stop again, running sessions are cut off"),
    }
    Ok(())
}

fn reload(certificates: &Certificates) {
    match certificates.reload() {
        Ok(()) => info!("the certificate was read again"),
        Err(failure) => error!(reason = chain(&failure), "the certificate in use stays in use"),
    }
}
