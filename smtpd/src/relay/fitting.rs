//! A message made fit for a server: one that takes nothing but ASCII gets ASCII (RFC 6152 §3), and what was called
//! international and is not goes to one that takes nothing international (RFC 6531 §3.1).

use mailstore::{Body, QueueEntry};
use mailwire::smtp::Enhanced;
use mailwire::smtp::client::Content as Kind;

use super::content::{Content, ContentError};
use super::envelope::{Abilities, Hindrance};
use super::signing;
use super::worker::Common;
use crate::content::{Look, Plan, Unfit};

/// How a message goes to one server.
#[derive(Clone, Debug)]
pub(super) struct Fitted {
    pub(super) kind: Kind,
    /// How it is made ASCII, where it is.
    pub(super) plan: Option<Plan>,
    /// Octets of its content, as it will be sent.
    pub(super) octets: u64,
    /// What goes in front of it.
    pub(super) signatures: Vec<u8>,
}

/// Why it does not go there.
#[derive(Debug)]
pub(super) enum Misfit {
    Hindrance(Hindrance),
    Content(ContentError),
}

/// Makes the message of `entry` fit for a server that is able to do so much.
pub(super) async fn fit(common: &Common, entry: &QueueEntry, abilities: Abilities) -> Result<Fitted, Misfit> {
    let mut fitted = Fitted { kind: kind(entry), plan: None, octets: entry.octets, signatures: Vec::new() };
    match fitted.kind {
        Kind::Utf8 if !abilities.takes_utf8 => {
            let plan = look(common, entry).await.map_err(Misfit::Content)?;
            // The server is asked no more where the header needs it: the session says so.
            if !matches!(plan, Err(Unfit::Header)) {
                fitted.kind = Kind::EightBit;
                if !abilities.takes_eight_bit {
                    fitted.convert(common, entry, plan).await?;
                }
            }
        }
        Kind::EightBit if !abilities.takes_eight_bit => {
            let plan = look(common, entry).await.map_err(Misfit::Content)?;
            fitted.convert(common, entry, plan).await?;
        }
        Kind::SevenBit | Kind::EightBit | Kind::Utf8 => {}
    }
    fitted.signatures = signing::signatures(common, entry, fitted.plan.as_ref()).await;
    Ok(fitted)
}

/// What the message is, by what was seen of it when it came.
const fn kind(entry: &QueueEntry) -> Kind {
    match (entry.terms.is_utf8, entry.terms.body) {
        (true, _) => Kind::Utf8,
        (false, Some(Body::SevenBit)) => Kind::SevenBit,
        // What nobody has looked at may be anything.
        (false, Some(Body::EightBit | Body::Binary) | None) => Kind::EightBit,
    }
}

impl Fitted {
    async fn convert(
        &mut self,
        common: &Common,
        entry: &QueueEntry,
        plan: Result<Plan, Unfit>,
    ) -> Result<(), Misfit> {
        let plan = plan.map_err(|unfit| {
            // X.6.3: conversion required but not supported.
            let said = format!(
                "the server takes no 8-bit content (8BITMIME), and the message cannot be converted: {unfit}"
            );
            Misfit::Hindrance(Hindrance { status: Enhanced(5, 6, 3), said: said.into() })
        })?;
        let mut content = Content::new(&*common.store.queue, entry).converted(Some(&plan));
        self.octets = 0;
        while let Some(piece) = content.next().await.map_err(Misfit::Content)? {
            self.octets = self.octets.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        (self.kind, self.plan) = (Kind::SevenBit, Some(plan));
        Ok(())
    }
}

/// How the message could be made ASCII.
async fn look(common: &Common, entry: &QueueEntry) -> Result<Result<Plan, Unfit>, ContentError> {
    let (mut look, mut content) = (Look::new(), Content::new(&*common.store.queue, entry));
    while let Some(piece) = content.next().await? {
        look.pass(piece);
    }
    Ok(look.plan())
}
