//! What `mailstack maildrop` does with server, store and maildrop once they are found.

use std::error::Error;
use std::io;

use mailstore::{Kept, MaildropError, MaildropId, MessageId, ReturnAs, Store, UniqueId};
use mailwire::address::Mailbox;
use thiserror::Error;

use super::listing;
use super::selection::{SelectionError, selected};
use crate::arguments::{DeletedSelection, MaildropCommand, Whereabouts};
use crate::consent;
use crate::exchange::maildrop::{self, Pages, messages};
use crate::output::Output;
use crate::place::Place;

/// Octets of a message that are asked for at a time.
const CHUNK_OCTETS: usize = 256 << 10;
/// Messages that one commit changes.
const BATCH: usize = 10_000;

/// Why a command did not do all that it should.
#[derive(Debug, Error)]
enum CommandError {
    #[error("only {done} of {} were changed; the same command goes on from there", messages(*.all))]
    Partly {
        done: u64,
        all: u64,
        #[source]
        source: MaildropError,
    },
    #[error("writing the message failed")]
    Write(#[source] io::Error),
    #[error("reading the answer failed")]
    Answer(#[source] io::Error),
    #[error("what is purged cannot be brought back: say --yes where nobody is there to be asked")]
    NobodyToAsk,
    #[error("nothing was purged")]
    Declined,
}

/// Does what `command` says.
pub(crate) async fn run(command: &MaildropCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    let (address, whereabouts) = about(command);
    let place = Place::find(whereabouts)?;
    let address = Mailbox::parse(address)?;
    let store = place.open().await?;
    let done = Work { store: &store, address: &address, output }.done(command).await;
    store.close().await;
    done
}

/// Whose maildrop a command is about.
const fn about(command: &MaildropCommand) -> (&String, &Whereabouts) {
    match command {
        MaildropCommand::List(options) => (&options.address, &options.whereabouts),
        MaildropCommand::Show { address, whereabouts, .. }
        | MaildropCommand::Undelete { address, whereabouts, .. }
        | MaildropCommand::Purge { address, whereabouts, .. } => (address, whereabouts),
    }
}

/// Whether somebody is asked before anything is purged.
enum Consent {
    Given,
    Asked,
}

struct Work<'a> {
    store: &'a Store,
    address: &'a Mailbox,
    output: &'a Output,
}

impl Work<'_> {
    async fn done(&self, command: &MaildropCommand) -> Result<(), Box<dyn Error>> {
        let maildrop = maildrop::of(self.store, self.address).await?;
        match command {
            MaildropCommand::List(options) => listing::list(self.store, maildrop, options, self.output).await,
            MaildropCommand::Show { unique_id, .. } => self.show(maildrop, unique_id).await,
            MaildropCommand::Undelete { selection, fresh, .. } => {
                let how = if *fresh { ReturnAs::New } else { ReturnAs::Known };
                self.undelete(maildrop, selection, how).await
            }
            MaildropCommand::Purge { selection, yes, .. } => {
                let consent = if *yes { Consent::Given } else { Consent::Asked };
                self.purge(maildrop, selection, consent).await
            }
        }
    }

    async fn show(&self, maildrop: MaildropId, unique_id: &UniqueId) -> Result<(), Box<dyn Error>> {
        let message = self.find(maildrop, unique_id).await?;
        let mut offset = 0_u64;
        loop {
            let administration = &self.store.maildrop_administration;
            let octets = administration.read(maildrop, message, offset, CHUNK_OCTETS).await?;
            if octets.is_empty() {
                return Ok(());
            }
            match self.output.octets(&octets) {
                // Whoever reads has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written.map_err(CommandError::Write)?,
            }
            offset = offset.saturating_add(octets.len() as u64);
        }
    }

    async fn find(&self, maildrop: MaildropId, unique_id: &UniqueId) -> Result<MessageId, Box<dyn Error>> {
        let mut pages = Pages::new(self.store, maildrop);
        while let Some(page) = pages.next().await? {
            if let Some(kept) = page.iter().find(|kept| kept.entry.unique_id == *unique_id) {
                return Ok(kept.message);
            }
        }
        let (unique_id, address) = (unique_id.clone(), self.address.clone());
        Err(SelectionError::Missing { unique_id, address }.into())
    }

    async fn undelete(
        &self,
        maildrop: MaildropId,
        selection: &DeletedSelection,
        how: ReturnAs,
    ) -> Result<(), Box<dyn Error>> {
        let chosen = self.chosen(maildrop, selection).await?;
        for (number, batch) in chosen.chunks(BATCH).enumerate() {
            let returned = self.store.maildrop_administration.bring_back(maildrop, batch, how).await;
            returned.map_err(|source| partly(number, &chosen, source))?;
        }
        self.output.line(&format!("{} came back to {}", messages(chosen.len() as u64), self.address));
        self.output.line(match how {
            ReturnAs::Known => {
                "the unique-ids are those that they had: a mail program that remembers them does not fetch them again \
                 (--fresh gives new ones)"
            }
            ReturnAs::New => "the unique-ids are new: every mail program fetches them, once more where it has them",
        });
        Ok(())
    }

    async fn purge(
        &self,
        maildrop: MaildropId,
        selection: &DeletedSelection,
        consent: Consent,
    ) -> Result<(), Box<dyn Error>> {
        let chosen = self.chosen(maildrop, selection).await?;
        let words = format!("{} of {}", messages(chosen.len() as u64), self.address);
        match consent {
            Consent::Given => {}
            Consent::Asked => self.confirm(&words)?,
        }
        for (number, batch) in chosen.chunks(BATCH).enumerate() {
            let purged = self.store.maildrop_administration.purge(maildrop, batch).await;
            purged.map_err(|source| partly(number, &chosen, source))?;
        }
        self.output.line(&format!("gave up {words} for good"));
        Ok(())
    }

    fn confirm(&self, words: &str) -> Result<(), CommandError> {
        let question = format!("Give up {words} for good?");
        match consent::given(self.output, &question).map_err(CommandError::Answer)? {
            None => Err(CommandError::NobodyToAsk),
            Some(false) => Err(CommandError::Declined),
            Some(true) => Ok(()),
        }
    }

    async fn chosen(
        &self,
        maildrop: MaildropId,
        selection: &DeletedSelection,
    ) -> Result<Vec<MessageId>, Box<dyn Error>> {
        let mut kept: Vec<Kept> = Vec::new();
        let mut pages = Pages::new(self.store, maildrop);
        while let Some(page) = pages.next().await? {
            kept.extend(page);
        }
        Ok(selected(&kept, selection, self.address)?)
    }
}

/// So many batches are done.
fn partly(batches: usize, chosen: &[MessageId], source: MaildropError) -> CommandError {
    CommandError::Partly { done: batches.saturating_mul(BATCH) as u64, all: chosen.len() as u64, source }
}
