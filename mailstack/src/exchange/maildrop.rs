//! The maildrop that a command is about: found by its account, and gone through a page at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mailstore::{AccountUsage, AdministrationError, Kept, MaildropError, MaildropId, MessageId, Store};
use mailwire::address::Mailbox;
use thiserror::Error;

/// Messages that are asked for at a time.
const PAGE: usize = 1000;

/// Why there is no maildrop.
#[derive(Debug, Error)]
pub(crate) enum AccountError {
    #[error("there is no account {0}; `mailstack account add {0}` makes one")]
    Missing(Mailbox),
    #[error(
        "{account} has no maildrop {detail}; `mailstack account subaddress add {account} {detail}` makes one"
    )]
    NoMaildrop { account: Mailbox, detail: String },
    #[error(transparent)]
    Store(#[from] AdministrationError),
}

/// The maildrop with this address: of an account, or of a subaddress that has one.
pub(crate) async fn of(store: &Store, address: &Mailbox) -> Result<MaildropId, AccountError> {
    let accounts = store.administration.usage().await?;
    let find = |address: &Mailbox| {
        let key = address.key_in_a_labels();
        let mut maildrops = accounts.iter().flat_map(AccountUsage::maildrops);
        maildrops.find(|(known, _)| known.key_in_a_labels() == key).map(|(_, maildrop)| maildrop)
    };
    if let Some(maildrop) = find(address) {
        return Ok(maildrop);
    }
    Err(match address.subaddress().filter(|(account, _)| find(account).is_some()) {
        Some((account, detail)) => AccountError::NoMaildrop { account, detail: detail.to_owned() },
        None => AccountError::Missing(address.clone()),
    })
}

/// All messages of a maildrop, in the order of their arrival, a page at a time.
pub(crate) struct Pages<'a> {
    store: &'a Store,
    maildrop: MaildropId,
    after: Option<MessageId>,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(store: &'a Store, maildrop: MaildropId) -> Self {
        Self { store, maildrop, after: None }
    }

    /// The next page; `None` behind the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Kept>>, MaildropError> {
        let administration = &self.store.maildrop_administration;
        let page = administration.messages(self.maildrop, self.after, PAGE).await?;
        self.after = page.last().map(|kept| kept.message);
        Ok((!page.is_empty()).then_some(page))
    }
}

/// True once somebody has pressed Ctrl-C: work then ends at its next good place.
pub(crate) fn until_interrupted() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&interrupted);
    tokio::spawn(async move {
        // Where the system takes no handler, Ctrl-C ends the process by itself.
        if tokio::signal::ctrl_c().await.is_ok() {
            set.store(true, Ordering::Relaxed);
        }
    });
    interrupted
}

/// `1 was there already`, `2 were there already`.
pub(crate) fn were_there(count: u64) -> String {
    format!("{count} {} there already", if count == 1 { "was" } else { "were" })
}

/// `1 message`, `2 messages`.
pub(crate) fn messages(count: u64) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}
