//! What milters have made of a message takes the place of what it was: its fields, its text, its sender and its recipients.

use std::io;

use mailstore::{Body, Delivery, IntakeError, RecipientTerms, RelayRecipient, Unavailable};
use mailwire::address::Mailbox;
use mailwire::smtp::Reply;
use tracing::warn;

use crate::connection::{Common, warn_if_failed};
use crate::gate::{Came, Facts, Revision};
use crate::receiving::Size;
use crate::replies;
use crate::session::{Acceptance, FilteredRecipient, Filtering};
use crate::trace;

/// Why a message cannot be changed now.
#[derive(Debug)]
enum Failed {
    Store(IntakeError),
    Directory(Unavailable),
    Read(io::Error),
    /// There is no memory for it.
    TooMuchAtOnce,
}

impl Common {
    /// Changes a message as milters want it. They are told so only by its fate: where that cannot be done now, it is put off.
    pub(crate) async fn revise(
        &self,
        acceptance: &mut Acceptance,
        mut revision: Revision,
        came: &Came,
    ) -> Result<(), Reply> {
        let was_ascii = came.is_ascii && revision.prefix.is_ascii();
        let header = [revision.header.as_slice(), b"\r\n"].concat();
        let written = self.rewrite(acceptance, &mut revision).await.map_err(reply)?;
        let (octets, is_ascii) = written.unwrap_or((came.octets, was_ascii));
        if let Some(filtering) = &mut acceptance.filtering {
            (filtering.octets, filtering.is_ascii) = (octets, is_ascii);
            filtering.header.clone_from(&header);
        }
        let delivery = &mut acceptance.delivery;
        delivery.prefix = revision.prefix;
        if let Some(sender) = revision.sender {
            delivery.delivery_prefix = trace::return_path(&sender).into_bytes();
            delivery.reverse_path = sender;
        }
        let look = Look { header, octets, is_ascii, is_authenticated: came.facts.login.is_some() };
        self.take_out(acceptance, &revision.removed, &came.facts)
            .await
            .map_err(|error| reply(Failed::Directory(error)))?;
        for mailbox in revision.added {
            self.add(acceptance, mailbox, &look).await.map_err(|error| reply(Failed::Directory(error)))?;
        }
        if !acceptance.delivery.relay.is_empty() {
            // The next server must know what it is (RFC 6152 §3).
            let body = if is_ascii { Body::SevenBit } else { Body::EightBit };
            acceptance.delivery.terms.body = Some(body);
        }
        Ok(())
    }

    /// Other content gets a draft of its own, in the place of the one that was written as it came; gives its octets, and whether all
    /// of them are ASCII.
    async fn rewrite(
        &self,
        acceptance: &mut Acceptance,
        revision: &mut Revision,
    ) -> Result<Option<(u64, bool)>, Failed> {
        let Some(content) = &mut revision.content else { return Ok(None) };
        let share = self.receiving.share(Size::Plain).ok_or(Failed::TooMuchAtOnce)?;
        let draft = self.store.intake.draft(0).await.map_err(Failed::Store)?;
        let (mut draft, mut octets, mut is_ascii) = (share.with(draft), 0_u64, revision.prefix.is_ascii());
        loop {
            let piece = content.piece().await.map_err(Failed::Read)?;
            if piece.is_empty() {
                break;
            }
            is_ascii = is_ascii && piece.is_ascii();
            octets = octets.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            draft.write(&piece).await.map_err(Failed::Store)?;
        }
        acceptance.draft = draft;
        Ok(Some((octets, is_ascii)))
    }

    /// Some recipients do not get it. Which maildrops the others have is asked again, since several recipients may share one.
    async fn take_out(
        &self,
        acceptance: &mut Acceptance,
        removed: &[Mailbox],
        facts: &Facts,
    ) -> Result<(), Unavailable> {
        if removed.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = removed.iter().map(Mailbox::key_in_a_labels).collect();
        let stays = |mailbox: &Mailbox| !keys.contains(&mailbox.key_in_a_labels());
        if let Some(filtering) = &mut acceptance.filtering {
            filtering.recipients.retain(|recipient| stays(&recipient.mailbox));
        }
        let Delivery { maildrops, relay, local, .. } = &mut acceptance.delivery;
        relay.retain(|recipient| stays(&recipient.mailbox));
        local.retain(|recipient| stays(&recipient.mailbox));
        let had = std::mem::take(maildrops);
        for mailbox in facts.recipients.iter().filter(|mailbox| stays(mailbox)) {
            if self.policy.is_local(mailbox.domain()) {
                let reached = self.store.directory.recipient(mailbox, 0).await?;
                maildrops.extend(reached.maildrops().iter().filter(|maildrop| had.contains(maildrop)));
            }
        }
        maildrops.sort_unstable();
        maildrops.dedup();
        Ok(())
    }

    /// One recipient more gets it.
    async fn add(
        &self,
        acceptance: &mut Acceptance,
        mailbox: Mailbox,
        look: &Look,
    ) -> Result<(), Unavailable> {
        let policy = &self.policy;
        let delivery = &mut acceptance.delivery;
        if policy.is_local(mailbox.domain()) {
            let reached = self.store.directory.recipient(&mailbox, 0).await?;
            if reached.maildrops().is_empty() {
                warn!(%mailbox, "a milter adds a recipient that is not here, or whose maildrop is full");
            }
            let new = reached.maildrops().iter().copied();
            delivery.maildrops.extend(new.clone());
            delivery.maildrops.sort_unstable();
            delivery.maildrops.dedup();
            if reached.is_filtered() {
                let maildrops = new.collect();
                let filtering = acceptance.filtering.get_or_insert_with(|| Box::new(look.filtering()));
                filtering.recipients.push(FilteredRecipient { mailbox, maildrops });
            }
            return Ok(());
        }
        match policy.forwards_for_seconds() {
            Some(seconds) if delivery.relay.iter().all(|known| known.mailbox != mailbox) => {
                let due = delivery.terms.release_at.unwrap_or(delivery.trace.at).max(delivery.trace.at);
                let (expires, terms) = (due.saturating_add(seconds), RecipientTerms::default());
                delivery.relay.push(RelayRecipient { mailbox, due, expires, terms });
            }
            Some(_) => {}
            None => {
                warn!(%mailbox, "a milter adds a recipient elsewhere, and nothing leaves ([relay] enabled)");
            }
        }
        Ok(())
    }
}

/// What rules see of the message now.
struct Look {
    header: Vec<u8>,
    octets: u64,
    is_ascii: bool,
    is_authenticated: bool,
}

impl Look {
    fn filtering(&self) -> Filtering {
        let Self { header, octets, is_ascii, is_authenticated } = self;
        let (octets, is_ascii, is_authenticated) = (*octets, *is_ascii, *is_authenticated);
        Filtering { recipients: Vec::new(), header: header.clone(), octets, is_ascii, is_authenticated }
    }
}

/// What the client hears; the operator hears more.
fn reply(failed: Failed) -> Reply {
    match failed {
        Failed::Store(error) => warn_if_failed(Some(&error)),
        Failed::Directory(error) => warn_if_failed(Some(&error)),
        Failed::Read(error) => warn!(%error, "what a milter has changed cannot be read again"),
        Failed::TooMuchAtOnce => return replies::too_much_at_once(),
    }
    replies::store_unavailable()
}
