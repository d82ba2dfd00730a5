//! The store's promise over twenty thousand crashes: nothing acknowledged is lost, doubled, torn, or back.

use std::ops::ControlFlow;

use mailstore::{ProofPlan, Sabotage, prove};

#[test]
fn twenty_thousand_crashes_break_no_promise() {
    let plan = ProofPlan { seed: 20_000, cuts: 20_000, sabotage: Sabotage::Nothing };
    let proof = prove(plan, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(proof.cuts, 20_000);
    // It is worth something only where crashes of all kinds came in the middle of work.
    assert!(proof.power_cuts > 10_000 && proof.during_recovery > 2_000, "{proof:?}");
    assert!(proof.acknowledged > 40_000 && proof.unanswered > 2_000, "{proof:?}");
    assert!(proof.compacted > 10_000, "{proof:?}");
}
