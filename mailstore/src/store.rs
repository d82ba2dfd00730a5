//! One store, whoever hosts it.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;

use mailwire::address::Domain;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::rules::LOGIN_DELAY_SECONDS_MAX;
use crate::shared::Member;
use crate::{
    AccessAdministration, Administration, Directory, Expiry, Guard, GuardOptions, Intake,
    MaildropAdministration, Maildrops, Maintenance, Notes, Queue, Quota, Recollections, Repair, RuleFiles,
    Rules, Sightings, Takeover, Traces,
};

/// How the store behaves: the table `[store]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The folder (`/var/lib/mailstack`).
    pub path: PathBuf,
    /// Octets of free disk below which no mail is taken (256 MiB).
    pub reserve_octets: u64,
    /// Octets of content that all drafts together hold in memory; more goes to files at once (64 MiB).
    pub draft_memory_octets_max: u64,
    /// Days for which expunged mail can be brought back (14).
    pub undelete_days: u64,
    /// Days in which all content is read and compared with its checksums once; 0: never (30).
    pub scrub_days: u64,
    /// Octets that the maildrop of an account without a quota of its own may hold (0: no limit).
    pub quota_octets: u64,
    /// Messages that it may hold (0: no limit).
    pub quota_messages: u64,
    /// Seconds from a login before which an account without a rule of its own may not log in again, at most
    /// [`LOGIN_DELAY_SECONDS_MAX`]; 0: none (0).
    #[serde(deserialize_with = "login_delay")]
    pub login_delay_seconds: u32,
    /// Days after which mail of an account without a rule of its own is expunged; 0: never (0).
    pub expire_days: u16,
    /// Whether a login to an account without a rule of its own ends the session that has its maildrop (no).
    pub takeover: bool,
    /// Days for which the trace of a message is kept after it has left (14).
    pub trace_days: u64,
    /// Most octets of traces; above, the oldest ones go sooner (256 MiB).
    pub trace_octets_max: u64,
    /// Octets a second that work in the background reads and writes (64 MiB).
    pub upkeep_octets_per_second: u64,
    /// Where processes that share the store reach the one that hosts it: a path from the folder on, or an absolute one,
    /// which the group of the socket may use as well (`socket`).
    pub socket: PathBuf,
    /// Who may host the store (anyone).
    pub hosted_by: HostedBy,
    /// Whose postmaster gets the mail for the postmaster of a domain that has none of its own.
    #[serde(skip)]
    pub primary_domain: Option<Domain>,
    /// Who guesses too often, or sends too much: the table `[guard]`.
    #[serde(skip)]
    pub guard: GuardOptions,
}

/// Which processes may host a store: open its files themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostedBy {
    /// Whoever comes first.
    Anyone,
    /// The one that calls [`host`]; [`open`] only shares, and looks at no file of the store.
    Serve,
}

/// More would keep people from their mail.
fn login_delay<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let seconds = u32::deserialize(deserializer)?;
    if seconds > LOGIN_DELAY_SECONDS_MAX {
        return Err(D::Error::custom(format!("it must be at most {LOGIN_DELAY_SECONDS_MAX}")));
    }
    Ok(seconds)
}

impl Options {
    /// Where the socket lies.
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.path.join(&self.socket)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/var/lib/mailstack"),
            reserve_octets: 256 << 20,
            draft_memory_octets_max: 64 << 20,
            undelete_days: 14,
            scrub_days: 30,
            quota_octets: 0,
            quota_messages: 0,
            login_delay_seconds: 0,
            expire_days: 0,
            takeover: false,
            trace_days: 14,
            trace_octets_max: 256 << 20,
            upkeep_octets_per_second: 64 << 20,
            socket: PathBuf::from("socket"),
            hosted_by: HostedBy::Anyone,
            primary_domain: None,
            guard: GuardOptions::default(),
        }
    }
}

impl Options {
    /// For a server with these domains, of which the first one is the primary one.
    #[must_use]
    pub fn of_domains(self, domains: &[String]) -> Self {
        let primary_domain = domains.first().and_then(|domain| Domain::parse(domain).ok());
        Self { primary_domain, ..self }
    }

    /// The quota of an account that has none of its own.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        Quota { octets: self.quota_octets, messages: self.quota_messages }
    }

    /// The rules of an account that has none of its own.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            login_delay_seconds: self.login_delay_seconds,
            expiry: NonZeroU16::new(self.expire_days).map_or(Expiry::Never, Expiry::Days),
            takeover: if self.takeover { Takeover::Allowed } else { Takeover::Refused },
        }
    }
}

/// Why a store did not open. Nothing in its folder was changed by the attempt.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the store in {0} is held by another process that does not answer; see who runs by the process id in its file LOCK"
    )]
    InUse(PathBuf),
    /// Another process hosts it, where this one should.
    #[error("the store in {0} is hosted by another process already; stop that one first, or let it be")]
    Hosted(PathBuf),
    /// Nobody hosts it, and this process may not.
    #[error(
        "nobody hosts the store at the socket {socket}; see that `mailstack store serve` runs, and that this user may \
         use the socket"
    )]
    NoHost {
        /// Where a host would be reached.
        socket: PathBuf,
        /// What came of it.
        #[source]
        source: std::io::Error,
    },
    /// A file or folder failed.
    #[error("opening the store in {path} failed")]
    Io {
        /// The store's folder, or the file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Written by a release that this one does not know.
    #[error(
        "the store in {path} has format {found}, this release knows formats up to {known}; run the newer release"
    )]
    TooNew {
        /// The store's folder.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
}

/// A store that is open. Clones share it; the last one dropped closes it, [`Self::close`] waits for that.
#[derive(Clone)]
pub struct Store {
    /// Who is this.
    pub directory: Arc<dyn Directory>,
    /// Accounts and aliases change.
    pub administration: Arc<dyn Administration>,
    /// What accounts may log in with and send as changes.
    pub access: Arc<dyn AccessAdministration>,
    /// Rules of accounts for their mail change.
    pub rule_files: Arc<dyn RuleFiles>,
    /// Messages begin.
    pub intake: Arc<dyn Intake>,
    /// Messages are read.
    pub maildrops: Arc<dyn Maildrops>,
    /// Messages come back.
    pub maildrop_administration: Arc<dyn MaildropAdministration>,
    /// Damage is found, and space comes back.
    pub repair: Arc<dyn Repair>,
    /// Messages leave.
    pub queue: Arc<dyn Queue>,
    /// Their lives are told.
    pub traces: Arc<dyn Traces>,
    /// What happened to messages otherwise.
    pub sightings: Arc<dyn Sightings>,
    /// The store as a whole.
    pub maintenance: Arc<dyn Maintenance>,
    /// Who guesses too often, or sends too much.
    pub guard: Arc<dyn Guard>,
    /// What could be found out anew.
    pub notes: Arc<dyn Notes>,
    /// Who has been here before.
    pub recollections: Arc<dyn Recollections>,
    member: Arc<Member>,
}

impl Store {
    /// All traits, answered by `member`.
    pub(crate) fn of(member: Member) -> Self {
        let member = Arc::new(member);
        Self {
            directory: member.clone(),
            administration: member.clone(),
            access: member.clone(),
            rule_files: member.clone(),
            intake: member.clone(),
            maildrops: member.clone(),
            maildrop_administration: member.clone(),
            repair: member.clone(),
            queue: member.clone(),
            traces: member.clone(),
            sightings: member.clone(),
            maintenance: member.clone(),
            guard: member.clone(),
            notes: member.clone(),
            recollections: member.clone(),
            member,
        }
    }

    /// True where this process hosts the store, so that nobody else knows what lies in its memory.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.member.is_host()
    }

    /// Waits until everything that was answered for is in the index as well, and marks the store as closed in
    /// order. Nothing is lost without it; the next start is quicker with it.
    pub async fn close(self) {
        self.member.close().await;
    }
}

/// Opens the store in `options.path`, creating it where there is none. The first process to come hosts it, later
/// ones share it through a socket beside it; when the host goes, one of them takes its place. With
/// [`HostedBy::Serve`] it is shared and never hosted.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(options: Options) -> Result<Store, OpenError> {
    Ok(Store::of(Member::join(options).await?))
}

/// Opens the store in `options.path` as its host, creating it where there is none, whatever `options.hosted_by` says.
///
/// # Errors
/// See [`OpenError`]; also where its socket cannot be served.
pub async fn host(options: Options) -> Result<Store, OpenError> {
    Ok(Store::of(Member::host(options).await?))
}
