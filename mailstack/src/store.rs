//! `mailstack store`: the promise of the store, put to the test on the user's machine.

use std::error::Error;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mailstore::{Proof, ProofError, ProofPlan};
use mailwire::clock;

use crate::arguments::{ProveOptions, Sabotage, StoreCommand};
use crate::output::Output;

/// A seed that is made up is short enough to be typed.
const SEED_MAX: u64 = 999_999;

/// Does what `command` says.
pub(crate) async fn run(command: &StoreCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    match command {
        StoreCommand::Prove(options) => prove(*options, output).await,
    }
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
    let Proof { cuts, power_cuts, during_recovery, acknowledged, unanswered, compacted } = proof;
    let kills = cuts.saturating_sub(*power_cuts);
    let ended = if *cuts < plan.cuts { ", ended early" } else { "" };
    format!(
        "{cuts} crashes in {seconds} s{ended}: {power_cuts} power cuts and {kills} kills, {during_recovery} of them \
         during recovery\n\
         {acknowledged} acknowledged changes: all there, whole and once\n\
         {unanswered} changes cut off before their answer: each whole or absent\n\
         {compacted} segments of the journal compacted meanwhile\n\
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
