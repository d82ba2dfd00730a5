//! `mailstack up`: both daemons in one process on one store, as a configuration says or on loopback by itself.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use mailwire::daemon::config::Log;
use mailwire::daemon::log;
use mailwire::daemon::oauth::Checker;
use mailwire::net::{Certificates, ServerTls};
use smtpd::checks::Checks;
use smtpd::gate::GateTables;
use thiserror::Error;

use crate::arguments::UpOptions;
use crate::config::Configuration;
use crate::daemons::{Common, Daemons};
use crate::loopback::{Loopback, Service};
use crate::output::Output;
use crate::place;
use crate::screen::Screen;
use crate::trial::Trial;

/// What the screen needs and nobody has.
#[derive(Debug, Error)]
#[error("{0} is not there to be shown")]
pub(crate) struct ScreenError(&'static str);

/// Serves until told to stop.
pub(crate) async fn run(options: &UpOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    match &options.whereabouts.config {
        Some(path) => configured(path).await,
        None => by_itself(options, output).await,
    }
}

/// A production server.
async fn configured(path: &Path) -> Result<(), Box<dyn Error>> {
    let Configuration { server, tls, log, store, oauth, smtp, pop3, relay, gate, checks } =
        Configuration::read(path)?;
    log::start(&log.filter);
    let certificates = Certificates::load(&tls.certificate, &tls.key)?;
    let tls = tls.server(&certificates)?;
    let tokens = Checker::new(&oauth)?;
    let store = mailstore::open(store).await?;
    let common = Common { server, certificates, tls, store, tokens, relay, gate, checks };
    let daemons = Daemons::bind(&smtp, &pop3, &common)?;
    drop(common);
    Ok(daemons.serve(|| {}).await?)
}

/// A server that makes what it needs and says how to use it.
async fn by_itself(options: &UpOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    log::start(&Log::default().filter);
    let trial = place::trial(&options.whereabouts)?;
    trial.prepare()?;
    let certificates = Certificates::load(&trial.certificate(), &trial.key())?;
    let fingerprint = certificates.fingerprint().ok_or(ScreenError("the certificate's fingerprint"))?;
    let store = mailstore::open(trial.store()).await?;
    let logins = trial.accounts(&*store.administration).await?;
    let tls = ServerTls::new(Arc::clone(&certificates));
    let (server, relay) = (Trial::server(), Trial::relay());
    let (gate, checks) = (GateTables::default(), Checks::off());
    let common = Common { server, certificates, tls, store, tokens: None, relay, gate, checks };
    let (daemons, moved) = Loopback::new(options.ports).bind(&common)?;
    drop(common);
    let bound = |service: Service| service.bound(&daemons).ok_or(ScreenError("a listener"));
    let screen = Screen {
        folder: trial.folder().to_owned(),
        certificate: trial.certificate(),
        fingerprint,
        logins,
        reception: bound(Service::Reception)?,
        submission: bound(Service::Submission)?,
        submissions: bound(Service::Submissions)?,
        pop3: bound(Service::Pop3)?,
        pop3s: bound(Service::Pop3s)?,
        moved,
    };
    Ok(daemons.serve(|| output.text(&screen.text())).await?)
}
