//! What `mailstack backup` does.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::Path;

use mailstore::{Backup, BackupPlan, Flaw, Reading, Taken, Verified, back_up};
use thiserror::Error;

use super::watched::Watched;
use crate::arguments::{BackupCommand, BackupOptions};
use crate::maildrop::moment;
use crate::output::Output;
use crate::place::Place;

/// What is wrong although a command has done its work.
#[derive(Debug, Error)]
enum BackupCommandError {
    #[error(
        "the snapshot is complete, but {0} of the store are damaged, and so they are in the snapshot; earlier snapshots may \
         have them whole"
    )]
    StoreDamaged(String),
    #[error(
        "{0} wrong in this backup; `mailstack backup --full DIR` writes what is damaged again, as far as the store still \
         has it"
    )]
    BackupDamaged(String),
    #[error("say into which folder: `mailstack backup DIR`")]
    NoFolder,
}

/// Does what `options` say.
pub(crate) async fn run(options: BackupOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    match options.command {
        None => {
            let place = Place::find(&options.whereabouts)?;
            let folder = options.folder.ok_or(BackupCommandError::NoFolder)?;
            let reading = if options.full { Reading::Everything } else { Reading::New };
            let store = place.open().await?;
            let (watched, tell) = Watched::begin();
            let taken = watched.show(output, back_up(&store, BackupPlan { folder, reading }, tell)).await;
            store.close().await;
            say_taken(&taken?, output)
        }
        Some(BackupCommand::List { folder }) => list(&folder, output),
        Some(BackupCommand::Verify { folder, snapshot }) => verify(&folder, snapshot, output).await,
        Some(BackupCommand::Prune { folder, keep }) => prune(&folder, keep, output).await,
    }
}

fn say_taken(taken: &Taken, output: &Output) -> Result<(), Box<dyn Error>> {
    let Taken { snapshot, octets, written_octets, damage } = taken;
    output.line(&format!("snapshot {snapshot}: {octets} octets, {written_octets} of them new"));
    for finding in damage {
        output.line(&finding.to_string());
    }
    if damage.is_empty() {
        return Ok(());
    }
    Err(BackupCommandError::StoreDamaged(count(damage.len(), "place", "places")).into())
}

fn list(folder: &Path, output: &Output) -> Result<(), Box<dyn Error>> {
    for listed in Backup::open(folder)?.snapshots()? {
        let what = match listed.content {
            Some(content) => format!(
                "taken {}, {} octets in {}",
                moment::shown(content.time),
                content.octets,
                count(content.files, "file", "files")
            ),
            None => "damaged".to_owned(),
        };
        output.line(&format!("{}  {what}", listed.name));
    }
    Ok(())
}

async fn verify(folder: &Path, snapshot: Option<String>, output: &Output) -> Result<(), Box<dyn Error>> {
    let backup = Backup::open(folder)?;
    let (watched, mut tell) = Watched::begin();
    let verified = watched.blocking(output, move || backup.verify(snapshot.as_deref(), &mut tell)).await??;
    let Verified { snapshots, objects, octets, messages, flaws } = &verified;
    for flaw in flaws {
        say_flaw(flaw, output);
    }
    if !flaws.is_empty() {
        let number = flaws.len();
        let wrong = if number == 1 { "1 thing is".to_owned() } else { format!("{number} things are") };
        return Err(BackupCommandError::BackupDamaged(wrong).into());
    }
    output.line(&format!(
        "{} in order: {} of {octets} octets, {messages} messages in the newest",
        count(*snapshots, "snapshot is", "snapshots are"),
        count(*objects, "object", "objects")
    ));
    Ok(())
}

fn say_flaw(flaw: &Flaw, output: &Output) {
    let Flaw { file, problem, needed_for, snapshots, owners } = flaw;
    output.line(&format!("{file}: {problem}"));
    if !needed_for.is_empty() {
        output.line(&format!("  part of {}", needed_for.join(", ")));
    }
    if !snapshots.is_empty() {
        output.line(&format!("  in snapshot {}", snapshots.join(", ")));
    }
    for owner in owners {
        output.line(&format!("  {owner}"));
    }
}

async fn prune(folder: &Path, keep: NonZeroUsize, output: &Output) -> Result<(), Box<dyn Error>> {
    let backup = Backup::open(folder)?;
    let (watched, mut tell) = Watched::begin();
    let pruned = watched.blocking(output, move || backup.prune(keep, &mut tell)).await??;
    for name in &pruned.snapshots {
        output.line(&format!("snapshot {name} is removed"));
    }
    output.line(&format!("{} objects of {} octets are removed", pruned.objects, pruned.octets));
    Ok(())
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
