//! What `mailstack restore` does.

use std::error::Error;
use std::path::{Path, PathBuf};

use mailstore::{Backup, Restored, Which};
use thiserror::Error;

use super::account;
use super::watched::Watched;
use crate::arguments::{RestoreOptions, SnapshotChoice};
use crate::output::Output;

/// What is wrong although everything was done that could be done.
#[derive(Debug, Error)]
enum RestoreError {
    #[error(
        "the store is restored but for what stood in damaged objects ({0}); it opens and serves what is left, and `mailstack \
         store check --deep` says what is lost"
    )]
    Damaged(String),
    #[error(
        "say what is to be restored: the whole store (--to FOLDER), or what an account has lost (--account ADDRESS)"
    )]
    NoWish,
}

/// Does what `options` say.
pub(crate) async fn run(options: RestoreOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let which = which(&options.choice);
    let backup = Backup::open(&options.folder)?;
    if let Some(to) = &options.to {
        return whole(backup, which, to, output).await;
    }
    let address = options.account.as_deref().ok_or(RestoreError::NoWish)?;
    let wish =
        account::Wish { address, unique_id: options.message.as_ref(), whereabouts: &options.whereabouts };
    account::run(backup, which, &wish, output).await
}

fn which(choice: &SnapshotChoice) -> Which {
    match (&choice.snapshot, choice.time) {
        (Some(name), _) => Which::Named(name.clone()),
        (None, Some(time)) => Which::NotAfter(time.0),
        (None, None) => Which::Newest,
    }
}

async fn whole(backup: Backup, which: Which, to: &Path, output: &Output) -> Result<(), Box<dyn Error>> {
    let (watched, mut tell) = Watched::begin();
    let folder: PathBuf = to.to_owned();
    let restored = watched.blocking(output, move || backup.restore(&which, &folder, &mut tell)).await??;
    let Restored { snapshot, octets, damaged } = restored;
    output.line(&format!("snapshot {snapshot} is restored: {octets} octets in {}", to.display()));
    if damaged.is_empty() {
        output.line("a server whose store is in that folder finds everything there, when it is started");
        return Ok(());
    }
    Err(RestoreError::Damaged(damaged.join(", ")).into())
}
