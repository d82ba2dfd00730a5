//! `mua`, the reference mail client of mailstack: sends and fetches mail with any server.
//!
//! Each subcommand has a file; [`output`] is all that prints, [`failure`] all that ends with another status than 0.

mod compose;
mod deliver;
mod failure;
mod fetch;
mod fetched;
mod header;
mod link;
mod maildir;
mod mbox;
mod options;
mod output;
mod password;
mod random;
mod retrieve;
mod send;
mod server;
mod spool;
mod summary;
mod trust;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use failure::{Exit, Failure};
use options::{Action, Options};
use output::Output;

fn main() -> ExitCode {
    let mut output = Output::standard();
    let done = match Options::try_parse() {
        Ok(options) => run(&options, &mut output),
        Err(error) => return usage(&error, &mut output),
    };
    let done = done.and_then(|()| output.flush().map_err(Failure::from));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What was printed before belongs before what went wrong.
            let _ = output.flush();
            output.note(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn run(options: &Options, output: &mut Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::caused(Exit::Io, "starting failed", &error))?;
    match &options.action {
        Action::Send(options) => runtime.block_on(send::run(options, output)),
        Action::Fetch(options) => runtime.block_on(fetch::run(options, output)),
    }
}

/// Help and version are asked for; everything else is a wrong command line.
fn usage(error: &clap::Error, output: &mut Output) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked {
        let printed = output.help(&error.render().to_string()).and_then(|()| output.flush());
        return if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Io.status()) };
    }
    output.note(error.render().to_string().trim_end());
    ExitCode::from(Exit::Usage.status())
}
