//! The `mailstack` command: both daemons in one process, and administration.
//!
//! Invariant: it knows no protocol rules; it puts store, daemons and configuration together.

mod access;
mod account;
mod alias;
mod arguments;
mod backup;
mod certificate;
mod config;
mod consent;
mod daemons;
mod dkim;
mod exchange;
mod explain;
mod greylist;
mod guard;
mod listing;
mod loopback;
mod maildrop;
mod names;
mod output;
mod passwords;
mod place;
mod queue;
mod quota;
mod reports;
mod route;
mod rule_file;
mod rules;
mod screen;
mod serve;
mod store;
mod subaddress;
mod trial;
mod up;
mod why;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use mailwire::daemon::{process, signals};

use crate::arguments::{Arguments, Command};
use crate::output::Output;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.command.serves() {
        process::limit_heaps();
    }
    signals::restrict_file_access();
    let output = Output::standard();
    match run(arguments.command, &output).await {
        Ok(status) => status,
        Err(failure) => {
            output.failure(&*failure);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, output: &Output) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Up(options) => up::run(&options, output).await?,
        Command::Account(command) => account::run(&command, output).await?,
        Command::Alias(command) => alias::run(&command, output).await?,
        Command::Rules(command) => rule_file::run(&command, output).await?,
        Command::Import(options) => exchange::import::run(&options, output).await?,
        Command::Export(options) => exchange::export::run(&options, output).await?,
        Command::Route(options) => route::run(&options, output).await?,
        Command::Dkim(command) => dkim::run(&command, output).await?,
        Command::Config(command) => config::run(&command, output)?,
        Command::Store(command) => store::run(&command, output).await?,
        Command::Guard(command) => guard::run(&command, output).await?,
        Command::Greylist(command) => greylist::run(&command, output).await?,
        Command::Queue(command) => queue::command::run(&command, output).await?,
        Command::Reports(command) => reports::run(&command, output).await?,
        Command::Explain(options) => explain::command::run(&options, output).await?,
        Command::Why(options) => return why::command::run(&options, output).await,
        Command::Maildrop(command) => maildrop::command::run(&command, output).await?,
        Command::Backup(options) => backup::command::run(options, output).await?,
        Command::Restore(options) => backup::restore::run(options, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}
