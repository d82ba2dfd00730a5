//! What is kept in the journal beside a message: how it came here, and on which terms.

use std::mem;

use serde::{Deserialize, Serialize};

use super::record::Message;
use crate::{Delivery, Life, LocalRecipient, RecipientTerms, Terms, TraceRow, TraceStep};
use mailwire::address::Mailbox;

/// Steps that are kept of a message's way here; the later ones go.
const STEPS_MAX: usize = 64;
/// Most octets that are kept of what a step tells.
const DETAIL_OCTETS_MAX: usize = 256;

/// Beside a message. Never changed: a journal is read for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Circumstances {
    /// What came before the row of the message itself.
    pub(crate) steps: Vec<TraceStep>,
    pub(crate) terms: Terms,
    /// Recipients elsewhere for whom something is asked, by their numbers.
    pub(crate) relay: Vec<(u32, RecipientTerms)>,
    /// Recipients here for whom something is asked.
    pub(crate) local: Vec<(String, RecipientTerms)>,
}

impl Circumstances {
    /// Those of a delivery, taken out of it; `None` where there is nothing to be kept.
    pub(crate) fn of(delivery: &mut Delivery) -> Option<Box<Self>> {
        let relay = (0_u32..).zip(&delivery.relay).map(|(number, to)| (number, to.terms.clone()));
        let local = delivery.local.iter().map(|to| (to.mailbox.text(), to.terms.clone()));
        let circumstances = Self {
            relay: relay.filter(|(_, terms)| *terms != RecipientTerms::default()).collect(),
            local: local.collect(),
            steps: mem::take(&mut delivery.steps).into_iter().take(STEPS_MAX).map(shortened).collect(),
            terms: mem::take(&mut delivery.terms),
        };
        (circumstances != Self::default()).then(|| Box::new(circumstances))
    }

    /// What is asked for one recipient elsewhere.
    pub(crate) fn recipient(&self, number: u32) -> RecipientTerms {
        let found = self.relay.iter().find(|(asked, _)| *asked == number);
        found.map(|(_, terms)| terms.clone()).unwrap_or_default()
    }
}

fn shortened(mut step: TraceStep) -> TraceStep {
    step.detail.truncate(step.detail.floor_char_boundary(DETAIL_OCTETS_MAX));
    step
}

/// All that is kept of how a message came here and what is asked for it.
pub(crate) fn life(message: &Message, circumstances: Option<&Circumstances>) -> Life {
    let Circumstances { steps, terms, local, .. } = circumstances.cloned().unwrap_or_default();
    let session = &message.trace.session;
    let rows = steps.into_iter().map(|TraceStep { at, event, detail }| TraceRow {
        at,
        session: session.clone(),
        event,
        detail,
    });
    let local = local.into_iter().filter_map(|(mailbox, terms)| {
        Some(LocalRecipient { mailbox: Mailbox::parse(&mailbox).ok()?, terms })
    });
    Life { rows: rows.chain([message.trace.clone()]).collect(), terms, local: local.collect() }
}
