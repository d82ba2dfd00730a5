//! The host's side of the socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use mailwire::address::Mailbox;
use mailwire::secret::Secret;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::access;
use super::frame::{self, GREETING, Octets};
use super::pool::SocketPath;
use super::queue::{self, Leasing};
use super::repair;
use super::request::{
    AccountText, AdministrationRequest, AliasText, DirectoryRequest, FilingText, IntakeRequest, LifeText,
    LoginText, MaildropAdministrationRequest, MaildropRequest, MaintenanceRequest, Request, ScramKeysText,
    UsageText,
};
use super::{guard, notes, recollections, rule_files, sightings, traces};
use crate::embedded::{Core, EmbeddedLease, Tenure};
use crate::{
    AccountUsage, Addresses, Administration, AdministrationError, Directory, Draft, HeldState, Hold, Intake,
    Lease, MaildropAdministration, MaildropError, Maintenance, Options, Rules, Unavailable,
};

/// Connections of all sharers together; each draft and each lease is one.
const CONNECTIONS_MAX: usize = 8192;
/// Who may connect where the socket lies outside of the store's folder: its owner and its group.
const SOCKET_MODE: u32 = 0o660;
/// Entries of one page of a list.
const PAGE_ENTRIES: usize = 10_000;
/// Octets of one read, whatever was asked for.
pub(super) const READ_OCTETS_MAX: usize = 1 << 20;

/// Serves the socket until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    socket: SocketPath,
    ended: watch::Sender<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        // The next host replaces what is left.
        let _ = fs::remove_file(self.socket.path());
    }
}

impl Server {
    /// Ends every connection; what their processes held is given back.
    pub(crate) fn end(&self) {
        self.ended.send_replace(());
    }

    /// Listens for those who share the store, whose lock this process holds.
    pub(crate) fn start(options: &Options, core: &Arc<Core>) -> io::Result<Self> {
        let socket = SocketPath::new(&options.socket_path())?;
        remove_old(&socket.path())?;
        let listener = UnixListener::bind(socket.path())?;
        if options.socket.is_absolute() {
            // In the store's folder only its owner gets to it; elsewhere its group shall.
            fs::set_permissions(socket.path(), Permissions::from_mode(SOCKET_MODE))?;
        }
        let (ended, end) = watch::channel(());
        tokio::spawn(accept(listener, Arc::clone(core), end));
        Ok(Self { socket, ended })
    }
}

/// Removes what an earlier host has left, and nothing else.
fn remove_old(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is there is no socket, and is left alone"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

async fn accept(listener: UnixListener, core: Arc<Core>, mut end: watch::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut trouble = Trouble::None;
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = end.changed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                trouble = Trouble::None;
                let (core, mut end) = (Arc::clone(&core), end.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        served = serve(stream, core) => {
                            if let Err(error) = served {
                                debug!(%error, "a process that shares the store broke off");
                            }
                        }
                        _ = end.changed() => {}
                    }
                    drop(place);
                });
            }
            Err(error) => {
                if std::mem::replace(&mut trouble, Trouble::Told) == Trouble::None {
                    warn!(%error, "accepting a process that shares the store failed");
                }
                // Whatever it lacks (open files, mostly) comes back when others end.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

/// Whether the operator knows that accepting fails; it is tried too often to be told each time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Told,
}

/// One connection, with the draft, the leases or the hold that it has become.
struct Session {
    stream: UnixStream,
    core: Arc<Core>,
    draft: Option<Box<dyn Draft>>,
    lease: Option<EmbeddedLease>,
    /// The lease's, while the sharer has not been told that it was taken over.
    tenure: Option<Arc<Tenure>>,
    hold: Option<Box<dyn Hold>>,
    /// Entries of the queue.
    leasing: Option<Leasing>,
}

async fn serve(mut stream: UnixStream, core: Arc<Core>) -> io::Result<()> {
    let mut greeting = [0; GREETING.len()];
    stream.read_exact(&mut greeting).await?;
    if greeting != GREETING {
        warn!("a process of another release wants to share the store; let both run the same release");
        return Ok(());
    }
    let mut session =
        Session { stream, core, draft: None, lease: None, tenure: None, hold: None, leasing: None };
    while let Some(request) = session.request().await? {
        session.answer(request).await?;
    }
    Ok(())
}

impl Session {
    /// The next question. That a lease has been taken over is said unasked, for whoever holds it to see before the next
    /// use; whatever is asked after that is answered in the same way.
    async fn request(&mut self) -> io::Result<Option<Request>> {
        if let Some(tenure) = self.tenure.clone() {
            tokio::select! {
                first = frame::begin(&mut self.stream) => {
                    let Some(first) = first? else { return Ok(None) };
                    return frame::rest(&mut self.stream, first).await.map(Some);
                }
                () = tenure.over() => {}
            }
            self.tenure = None;
            self.say(&Err::<(), _>(MaildropError::TakenOver)).await?;
        }
        frame::read(&mut self.stream).await
    }

    async fn answer(&mut self, request: Request) -> io::Result<()> {
        match request {
            Request::Directory(request) => self.directory(request).await,
            Request::Administration(request) => self.administration(request).await,
            Request::Access(request) => access::serve(&mut self.stream, &self.core, request).await,
            Request::Intake(request) => self.intake(request).await,
            Request::Maildrop(request) => self.maildrop(request).await,
            Request::MaildropAdministration(request) => self.maildrop_administration(request).await,
            Request::Queue(request) => {
                queue::serve(&mut self.stream, &self.core, &mut self.leasing, request).await
            }
            Request::Traces(request) => traces::serve(&mut self.stream, &self.core, request).await,
            Request::Repair(request) => repair::serve(&mut self.stream, &self.core, request).await,
            Request::Maintenance(request) => self.maintenance(request).await,
            Request::Guard(request) => guard::serve(&mut self.stream, &self.core, request).await,
            Request::RuleFiles(request) => rule_files::serve(&mut self.stream, &self.core, request).await,
            Request::Notes(request) => notes::serve(&mut self.stream, &self.core, request).await,
            Request::Sightings(request) => sightings::serve(&mut self.stream, &self.core, request).await,
            Request::Recollections(request) => {
                recollections::serve(&mut self.stream, &self.core, request).await
            }
        }
    }

    async fn say<T: Serialize + Sync>(&mut self, answer: &T) -> io::Result<()> {
        frame::write(&mut self.stream, answer).await
    }

    async fn directory(&mut self, request: DirectoryRequest) -> io::Result<()> {
        match request {
            DirectoryRequest::Authenticate { login, password } => {
                let found = self.core.authenticate(&login, &Secret::new(password)).await;
                let answer: Result<Option<LoginText>, Unavailable> =
                    found.map(|login| login.as_ref().map(LoginText::from));
                self.say(&answer).await
            }
            DirectoryRequest::Account { login } => {
                let found = self.core.account(&login).await;
                let answer: Result<Option<LoginText>, Unavailable> =
                    found.map(|login| login.as_ref().map(LoginText::from));
                self.say(&answer).await
            }
            DirectoryRequest::ScramKeys { login } => {
                let answer = self.core.scram_keys(&login).await.map(ScramKeysText::from);
                self.say(&answer).await
            }
            DirectoryRequest::Recipient { mailbox, octets } => {
                let answer = self.core.recipient(&address(&mailbox)?, octets).await;
                self.say(&answer).await
            }
            DirectoryRequest::MaySendAs { account, mailbox } => {
                let account = account.account().ok_or_else(foreign)?;
                let answer = self.core.may_send_as(&account, &address(&mailbox)?).await;
                self.say(&answer).await
            }
            DirectoryRequest::ForwardingSecret => {
                let answer = self.core.forwarding_secret().await.map(|secret| *secret.expose());
                self.say(&answer).await
            }
            DirectoryRequest::Filing { maildrop } => {
                let filing = self.core.filing(maildrop).await;
                let answer: Result<Option<FilingText>, Unavailable> =
                    filing.map(|filing| filing.map(FilingText::from));
                self.say(&answer).await
            }
            DirectoryRequest::CommonRules => {
                let answer = self.core.common_rules().await;
                self.say(&answer).await
            }
        }
    }

    async fn administration(&mut self, request: AdministrationRequest) -> io::Result<()> {
        let core = Arc::clone(&self.core);
        let done: Result<(), AdministrationError> = match request {
            AdministrationRequest::Accounts => {
                let accounts = core.accounts().await;
                let answer: Result<Vec<AccountText>, AdministrationError> =
                    accounts.map(|accounts| accounts.iter().map(AccountText::from).collect());
                return self.say(&answer).await;
            }
            AdministrationRequest::Usage { from } => {
                let usage = core.usage().await;
                let mut entries: usize = 0;
                let fits = |usage: &AccountUsage| {
                    entries = entries.saturating_add(usage.further.len()).saturating_add(1);
                    entries <= PAGE_ENTRIES
                };
                let page = usage.map(|usage| usage.into_iter().skip(index(from)).take_while(fits));
                let answer: Result<Vec<UsageText>, AdministrationError> =
                    page.map(|page| page.map(UsageText::from).collect());
                return self.say(&answer).await;
            }
            AdministrationRequest::Aliases => {
                let aliases = core.aliases().await;
                let answer: Result<Vec<AliasText>, AdministrationError> =
                    aliases.map(|aliases| aliases.iter().map(AliasText::from).collect());
                return self.say(&answer).await;
            }
            AdministrationRequest::AddAccount { address, password } => {
                let added = core.add_account(&self::address(&address)?, &Secret::new(password)).await;
                let answer: Result<AccountText, AdministrationError> =
                    added.as_ref().map(AccountText::from).map_err(Clone::clone);
                return self.say(&answer).await;
            }
            AdministrationRequest::RemoveAccount { address } => {
                core.remove_account(&self::address(&address)?).await
            }
            AdministrationRequest::SetPassword { address, password } => {
                core.set_password(&self::address(&address)?, &Secret::new(password)).await
            }
            AdministrationRequest::SetQuota { address, quota } => {
                core.set_quota(&self::address(&address)?, quota).await
            }
            AdministrationRequest::SetRules { address, own } => {
                core.set_rules(&self::address(&address)?, own).await
            }
            AdministrationRequest::AddMaildrop { address, detail } => {
                core.add_maildrop(&self::address(&address)?, &detail).await
            }
            AdministrationRequest::RemoveMaildrop { address, detail, with_mail } => {
                core.remove_maildrop(&self::address(&address)?, &detail, with_mail).await
            }
            AdministrationRequest::AddAlias(alias) => {
                core.add_alias(&alias.alias().ok_or_else(foreign)?).await
            }
            AdministrationRequest::RemoveAlias { address } => {
                core.remove_alias(&Addresses::parse(&address).map_err(|_| foreign())?).await
            }
        };
        self.say(&done).await
    }

    async fn intake(&mut self, request: IntakeRequest) -> io::Result<()> {
        match request {
            IntakeRequest::Draft { octets_expected } => {
                let begun = self.core.draft(octets_expected).await;
                let answer = begun.map(|draft| self.draft = Some(draft));
                self.say(&answer).await
            }
            IntakeRequest::Write(octets) => {
                let draft = self.draft.as_mut().ok_or_else(foreign)?;
                let answer = draft.write(&octets.0).await;
                self.say(&answer).await
            }
            IntakeRequest::Commit(delivery) => {
                let draft = self.draft.take().ok_or_else(foreign)?;
                let answer = draft.commit(delivery.delivery().ok_or_else(foreign)?).await;
                self.say(&answer).await
            }
        }
    }

    async fn maildrop(&mut self, request: MaildropRequest) -> io::Result<()> {
        if let MaildropRequest::Lease { maildrop, patience } = request {
            let begun = self.core.begin_lease(maildrop, patience).await;
            let answer: Result<(u64, Rules), MaildropError> = begun.map(|lease| {
                let begun = (lease.entries().len() as u64, lease.rules());
                self.tenure = Some(lease.tenure());
                self.lease = Some(lease);
                begun
            });
            return self.say(&answer).await;
        }
        let lease = self.lease.as_mut().ok_or_else(foreign)?;
        match request {
            MaildropRequest::Lease { .. } => Ok(()),
            MaildropRequest::Entries { from } => {
                let rest = lease.entries().get(index(from)..).unwrap_or_default();
                let page = rest.get(..PAGE_ENTRIES).unwrap_or(rest).to_vec();
                self.say(&Ok::<_, MaildropError>(page)).await
            }
            MaildropRequest::Read { index, offset, octets_max } => {
                let octets_max = self::index(octets_max).min(READ_OCTETS_MAX);
                let answer = lease.read(self::index(index), offset, octets_max).await.map(Octets);
                self.say(&answer).await
            }
            MaildropRequest::Expunge { indices } => {
                let indices: Vec<usize> = indices.into_iter().map(index).collect();
                let answer = lease.expunge(&indices).await;
                self.say(&answer).await
            }
            MaildropRequest::Visited { visit } => {
                let answer = lease.visited(visit).await;
                self.say(&answer).await
            }
        }
    }

    async fn maildrop_administration(&mut self, request: MaildropAdministrationRequest) -> io::Result<()> {
        let core = Arc::clone(&self.core);
        let done = match request {
            MaildropAdministrationRequest::Messages { maildrop, after, messages_max } => {
                let messages_max = index(messages_max).min(PAGE_ENTRIES);
                let answer = core.messages(maildrop, after, messages_max).await;
                return self.say(&answer).await;
            }
            MaildropAdministrationRequest::Read { maildrop, message, offset, octets_max } => {
                let octets_max = index(octets_max).min(READ_OCTETS_MAX);
                let answer = MaildropAdministration::read(&core, maildrop, message, offset, octets_max).await;
                return self.say(&answer.map(Octets)).await;
            }
            MaildropAdministrationRequest::Life { maildrop, message } => {
                let answer = core.life(maildrop, message).await;
                return self.say(&answer.map(LifeText::from)).await;
            }
            MaildropAdministrationRequest::BringBack { maildrop, messages, how } => {
                core.bring_back(maildrop, &messages, how).await
            }
            MaildropAdministrationRequest::Purge { maildrop, messages } => {
                core.purge(maildrop, &messages).await
            }
        };
        self.say(&done).await
    }

    async fn maintenance(&mut self, request: MaintenanceRequest) -> io::Result<()> {
        match request {
            MaintenanceRequest::Hold => {
                let answer: Result<HeldState, Unavailable> =
                    Maintenance::hold(&self.core).await.map(|hold| {
                        let state = hold.state().clone();
                        self.hold = Some(hold);
                        state
                    });
                self.say(&answer).await
            }
            MaintenanceRequest::Confirm => {
                let answer = self.hold.as_mut().ok_or_else(foreign)?.confirm().await;
                self.say(&answer).await
            }
        }
    }
}

pub(super) fn address(text: &str) -> io::Result<Mailbox> {
    Mailbox::parse(text).map_err(|_| foreign())
}

pub(super) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Something that no process of this release sends.
pub(super) fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a question that makes no sense here")
}
