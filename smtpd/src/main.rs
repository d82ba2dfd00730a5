//! The program `smtpd`: submission and reception on the store and the addresses that the configuration names.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use mailstore::Options;
use mailwire::cause::chain;
use mailwire::daemon::config::{ConfigFile, Log, Server, TABLES, Tls};
use mailwire::daemon::oauth::Checker;
use mailwire::daemon::{log, process, serving, signals};
use mailwire::net::Certificates;
use smtpd::gate::GateTables;
use smtpd::relay::RelayTables;
use smtpd::{Addresses, Config, Service, Shared};
use tracing::{error, info};

/// Submission, reception and relay of mail over SMTP.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    process::limit_heaps();
    signals::restrict_file_access();
    match run(&arguments.config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where the configuration is wrong, nobody has said yet how to log.
            log::start(&Log::default().filter);
            error!(reason = chain(&*failure), "smtpd cannot serve");
            ExitCode::FAILURE
        }
    }
}

/// From the configuration to the end of the drain.
async fn run(path: &Path) -> Result<(), Box<dyn Error>> {
    let file = ConfigFile::read(path, &TABLES)?;
    log::start(&file.table::<Log>("log")?.filter);
    let open_files_max = process::raise_open_files_limit();
    let config = file.table::<Config>("smtp")?;
    let server = file.table::<Server>("server")?;
    let tls = file.table::<Tls>("tls")?;
    let certificates = Certificates::load(&tls.certificate, &tls.key)?;
    let tokens = Checker::new(&file.table("oauth")?)?;
    let options = file.table::<Options>("store")?.of_domains(&server.domains);
    let store = mailstore::open(Options { guard: file.table("guard")?, ..options }).await?;
    let tls = Some(tls.server(&certificates)?);
    let (relay, gate) = (RelayTables::read(&file)?, GateTables::read(&file)?);
    let checks = file.table("checks")?;
    let shared = Shared { server, tls, store: store.clone(), tokens, relay, gate, checks };
    let service = Service::bind(&config, &shared)?;
    drop(shared);
    serving::until_drained(&certificates, |shutdown| {
        let Addresses { reception, submission, submissions, lmtp } = service.addresses();
        info!(?reception, ?submission, ?submissions, ?lmtp, open_files_max, "smtpd serves");
        service.run(shutdown)
    })
    .await?;
    store.close().await;
    Ok(())
}
