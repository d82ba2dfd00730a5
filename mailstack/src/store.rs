//! `mailstack store`: the store is looked after, and its promise put to the test on the user's machine.

use std::error::Error;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mailstore::{Depth, Gain, Progress, Proof, ProofError, ProofPlan, Seen, Speed};
use mailwire::clock;
use thiserror::Error;

use crate::arguments::{ProveOptions, Sabotage, StoreCommand, Whereabouts};
use crate::exchange::maildrop::messages;
use crate::output::Output;
use crate::place::Place;
use crate::serve;

/// A seed that is made up is short enough to be typed.
const SEED_MAX: u64 = 999_999;

/// Does what `command` says.
pub(crate) async fn run(command: &StoreCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    match command {
        StoreCommand::Prove(options) => prove(*options, output).await,
        StoreCommand::Serve { whereabouts } => serve::run(whereabouts).await,
        StoreCommand::Check { deep, whereabouts } => {
            let depth = if *deep { Depth::Content } else { Depth::Heads };
            check(whereabouts, depth, Speed::Full, output).await
        }
        StoreCommand::Scrub { whereabouts } => {
            check(whereabouts, Depth::Content, Speed::Budgeted, output).await
        }
        StoreCommand::Rebuild { whereabouts } => rebuild(whereabouts, output).await,
        StoreCommand::Compact { whereabouts } => {
            let store = Place::find(whereabouts)?.open().await?;
            output.progress("looking for space that can come back");
            let gain = store.repair.compact().await;
            store.close().await;
            output.progress("");
            let Gain { expired, purged, segments, files } = gain?;
            output.line(&format!(
                "{purged} deleted messages given up, {segments} segments of the journal compacted, {files} content \
                 files removed"
            ));
            if expired > 0 {
                output.line(&format!("{} expired", messages(expired)));
            }
            Ok(())
        }
    }
}

/// Why a work on the store is no success.
#[derive(Debug, Error)]
enum CheckError {
    #[error(
        "{0} {places} damaged, and something is lost; the lines above say whose; restore it from a backup where there \
         is one",
        places = if *.0 == 1 { "place is" } else { "places are" }
    )]
    Loss(u64),
    #[error("the check was ended early; nothing that is lost was found so far")]
    Interrupted,
    #[error(
        "a server that runs goes on with the rebuild; where none does, the next one to start begins anew"
    )]
    RebuildInterrupted,
}

/// What was seen of a long work.
#[derive(Default)]
struct Watched {
    findings: u64,
    losses: u64,
    interrupted: bool,
}

/// Shows what is found and how far it is, until the work has ended or Ctrl-C is pressed.
async fn watch(seen: &mut tokio::sync::mpsc::Receiver<Seen>, output: &Output) -> Watched {
    let mut watched = Watched::default();
    loop {
        let saw = tokio::select! {
            saw = seen.recv() => saw,
            Ok(()) = tokio::signal::ctrl_c() => {
                watched.interrupted = true;
                None
            }
        };
        match saw {
            Some(Seen::Progress(Progress { done, total })) => {
                output.progress(&format!("{} of {} MiB", done >> 20, total >> 20));
            }
            Some(Seen::Finding(finding)) => {
                output.progress("");
                output.line(&finding.to_string());
                watched.findings = watched.findings.saturating_add(1);
                watched.losses = watched.losses.saturating_add(u64::from(finding.problem.is_loss()));
            }
            None => return watched,
        }
    }
}

async fn rebuild(whereabouts: &Whereabouts, output: &Output) -> Result<(), Box<dyn Error>> {
    let store = Place::find(whereabouts)?.open().await?;
    let (tell, mut seen) = tokio::sync::mpsc::channel(16);
    let repair = Arc::clone(&store.repair);
    let work = tokio::spawn(async move { repair.rebuild(tell).await });
    let watched = watch(&mut seen, output).await;
    output.progress("");
    if watched.interrupted {
        // Closing the store would wait for it.
        return Err(CheckError::RebuildInterrupted.into());
    }
    let rebuilt = work.await;
    store.close().await;
    rebuilt??;
    output.line("the index is made anew from the journal");
    Ok(())
}

/// Shows what is found and how far it is; Ctrl-C ends it early.
async fn check(
    whereabouts: &Whereabouts,
    depth: Depth,
    speed: Speed,
    output: &Output,
) -> Result<(), Box<dyn Error>> {
    let store = Place::find(whereabouts)?.open().await?;
    let (tell, mut seen) = tokio::sync::mpsc::channel(16);
    let repair = Arc::clone(&store.repair);
    let work = tokio::spawn(async move { repair.check(depth, speed, tell).await });
    let Watched { findings, losses, interrupted } = watch(&mut seen, output).await;
    drop(seen);
    output.progress("");
    let checked = work.await;
    store.close().await;
    checked??;
    match (losses, interrupted) {
        (1.., _) => return Err(CheckError::Loss(losses).into()),
        (0, true) => return Err(CheckError::Interrupted.into()),
        (0, false) => {}
    }
    output.line(match (findings, depth) {
        (1.., _) => "nothing is lost",
        (0, Depth::Heads) => "no damage was found; --deep reads all content as well",
        (0, Depth::Content) => "no damage was found",
    });
    Ok(())
}

async fn prove(options: ProveOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let seed = match options.seed {
        Some(seed) => seed,
        None => made_up_seed()?,
    };
    let plan = ProofPlan { seed, cuts: options.cuts, sabotage: sabotage(options.sabotage) };
    let begun = clock::instant();
    let outcome = watched(plan, output).await;
    output.progress("");
    let proof = outcome?;
    let seconds = begun.elapsed().as_secs();
    output.text(&verdict(&proof, &plan, seconds));
    Ok(())
}

/// Shows how far the proof is; Ctrl-C ends it with what it has found so far.
async fn watched(plan: ProofPlan, output: &Output) -> Result<Proof, ProofError> {
    let (send, mut progress) = tokio::sync::watch::channel(0);
    let ended = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&ended);
    let work = tokio::task::spawn_blocking(move || {
        mailstore::prove(plan, |cuts| {
            send.send_replace(cuts);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    loop {
        let cuts = *progress.borrow_and_update();
        output.progress(&format!("{cuts} of {} crashes", plan.cuts));
        tokio::select! {
            changed = progress.changed() => if changed.is_err() { break },
            // Where the system takes no handler, Ctrl-C ends the process by itself.
            Ok(()) = tokio::signal::ctrl_c() => ended.store(true, Ordering::Relaxed),
        }
    }
    work.await.map_err(io::Error::other)?
}

fn verdict(proof: &Proof, plan: &ProofPlan, seconds: u64) -> String {
    let Proof { cuts, power_cuts, during_recovery, acknowledged, unanswered, compacted, restored } = proof;
    let kills = cuts.saturating_sub(*power_cuts);
    let ended = if *cuts < plan.cuts { ", ended early" } else { "" };
    format!(
        "{cuts} crashes in {seconds} s{ended}: {power_cuts} power cuts and {kills} kills, {during_recovery} of them \
         during recovery\n\
         {acknowledged} acknowledged changes: all there, whole and once\n\
         {unanswered} changes cut off before their answer: each whole or absent\n\
         {compacted} segments of the journal compacted meanwhile\n\
         {restored} snapshots restored from backups that were cut off as well: all as they were taken\n\
         the store kept its promise (seed {})\n",
        plan.seed
    )
}

fn made_up_seed() -> io::Result<u64> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(io::Error::other)?;
    Ok(u64::from_le_bytes(octets) % SEED_MAX + 1)
}

const fn sabotage(option: Option<Sabotage>) -> mailstore::Sabotage {
    match option {
        None => mailstore::Sabotage::Nothing,
        Some(Sabotage::NoSync) => mailstore::Sabotage::NoSync,
        Some(Sabotage::LateSync) => mailstore::Sabotage::LateSync,
        Some(Sabotage::NoSyncOfJournalFolder) => mailstore::Sabotage::NoSyncOfJournalFolder,
        Some(Sabotage::NoSyncOfContentFolder) => mailstore::Sabotage::NoSyncOfContentFolder,
        Some(Sabotage::LateSyncOfJournalFolder) => mailstore::Sabotage::LateSyncOfJournalFolder,
        Some(Sabotage::ForgottenDeletions) => mailstore::Sabotage::ForgottenDeletions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::Printed;

    async fn proved(sabotage: Option<Sabotage>) -> (Result<(), Box<dyn Error>>, String) {
        let printed = Printed::default();
        let options = ProveOptions { seed: Some(1), cuts: 80, sabotage };
        let result = prove(options, &printed.output()).await;
        (result, printed.text())
    }

    #[tokio::test]
    async fn a_proof_ends_with_a_verdict_that_names_its_seed() {
        let (result, text) = proved(None).await;
        result.unwrap();
        assert!(text.starts_with("80 crashes in "), "{text}");
        assert!(text.ends_with("the store kept its promise (seed 1)\n"), "{text}");
    }

    #[tokio::test]
    async fn a_disk_that_syncs_nothing_fails_the_proof() {
        let (result, text) = proved(Some(Sabotage::NoSync)).await;
        let failure = result.unwrap_err().to_string();
        assert!(failure.starts_with("the store broke its promise (seed "), "{failure}");
        assert_eq!(text, "");
    }
}
