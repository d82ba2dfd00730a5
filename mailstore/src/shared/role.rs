//! Which part a process has in a store: it hosts it, with the files open, or it reaches the process that does.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailwire::clock;
use tracing::warn;

use super::pool::Pool;
use super::server::Server;
use crate::embedded::{self, Host};
use crate::{HostedBy, OpenError, Options};

/// How long the lock may be held by a process whose socket does not answer: it is opening the store, or closing it.
const SETTLE: Duration = Duration::from_secs(30);
/// Pause between two looks meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// A part in a store.
#[derive(Clone)]
pub(super) enum Role {
    Hosting(Arc<Hosting>),
    Sharing(Arc<Pool>),
    Closed,
}

pub(super) struct Hosting {
    /// Ends before the host does.
    pub(super) server: Option<Server>,
    pub(super) host: Host,
}

/// The role that there is for this process. Where it may not host, a host is waited for as long as `patience`.
pub(super) async fn find(options: &Options, patience: Duration) -> Result<Role, OpenError> {
    match options.hosted_by {
        HostedBy::Anyone => host_or_share(options).await,
        HostedBy::Serve => share(options, patience).await,
    }
}

/// Whoever comes first hosts.
async fn host_or_share(options: &Options) -> Result<Role, OpenError> {
    let deadline = clock::instant() + SETTLE;
    loop {
        match open(options).await {
            Ok(host) => {
                let server = Server::start(options, &host.core).inspect_err(
                    |error| warn!(%error, "other processes cannot share the store: its socket failed"),
                );
                return Ok(Role::Hosting(Arc::new(Hosting { server: server.ok(), host })));
            }
            Err(OpenError::InUse(_)) => {}
            Err(error) => return Err(error),
        }
        if let Ok(pool) = reach(options).await {
            return Ok(Role::Sharing(pool));
        }
        if clock::instant() >= deadline {
            return Err(OpenError::InUse(options.path.clone()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Never looks at the files of the store.
async fn share(options: &Options, patience: Duration) -> Result<Role, OpenError> {
    let deadline = clock::instant() + patience;
    loop {
        match reach(options).await {
            Ok(pool) => return Ok(Role::Sharing(pool)),
            Err(source) if clock::instant() >= deadline => {
                return Err(OpenError::NoHost { socket: options.socket_path(), source });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Hosts, whoever may besides; others must be able to share.
pub(super) async fn host(options: &Options) -> Result<Role, OpenError> {
    let deadline = clock::instant() + SETTLE;
    loop {
        match open(options).await {
            Ok(host) => {
                let server = Server::start(options, &host.core);
                let server = server.map_err(|source| failed(&options.socket_path(), source))?;
                return Ok(Role::Hosting(Arc::new(Hosting { server: Some(server), host })));
            }
            Err(OpenError::InUse(_)) => {}
            Err(error) => return Err(error),
        }
        if reach(options).await.is_ok() {
            return Err(OpenError::Hosted(options.path.clone()));
        }
        if clock::instant() >= deadline {
            return Err(OpenError::InUse(options.path.clone()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn open(options: &Options) -> Result<Host, OpenError> {
    let for_host = options.clone();
    let opened = tokio::task::spawn_blocking(|| embedded::open(for_host)).await;
    opened.map_err(|error| failed(&options.path, io::Error::other(error)))?
}

/// Connections to the host, one of which is there.
async fn reach(options: &Options) -> io::Result<Arc<Pool>> {
    let pool = Arc::new(Pool::new(&options.socket_path())?);
    pool.connection().await?.give_back();
    Ok(pool)
}

fn failed(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use mailwire::cause::chain;

    use super::*;
    use crate::contract;

    /// Options for a store under `folder` that is served, with its socket elsewhere.
    fn served(folder: &Path) -> Options {
        let (socket, hosted_by) = (folder.join("run"), HostedBy::Serve);
        Options { socket, hosted_by, ..contract::options(&folder.join("store")) }
    }

    #[tokio::test]
    async fn who_may_only_share_opens_nothing_and_says_what_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let options = served(folder.path());
        let failure = find(&options, Duration::ZERO).await.err().unwrap();
        let text = chain(&failure);
        assert!(text.contains("`mailstack store serve`") && text.contains("/run"), "{text}");
        assert!(!options.path.exists());
    }

    #[tokio::test]
    async fn a_host_lets_the_group_of_its_socket_share_and_is_the_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let options = served(folder.path());
        let first = crate::host(options.clone()).await.unwrap();
        let mode = fs::metadata(&options.socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let second = crate::host(options.clone()).await.err().unwrap().to_string();
        assert!(second.contains("is hosted by another process already"), "{second}");
        first.close().await;
        assert!(!options.socket.exists());
        crate::host(options).await.unwrap().close().await;
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let options = served(folder.path());
        fs::write(&options.socket, "precious").unwrap();
        let failure = crate::host(options.clone()).await.err().unwrap();
        assert!(chain(&failure).contains("no socket"), "{}", chain(&failure));
        assert_eq!(fs::read(&options.socket).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn questions_fail_while_nobody_hosts_and_are_answered_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let options = served(folder.path());
        let host = crate::host(options.clone()).await.unwrap();
        let elsewhere = Options { path: folder.path().join("unreadable"), ..options.clone() };
        let sharer = crate::open(elsewhere.clone()).await.unwrap();
        let alice = contract::account(&sharer, "alice").await.maildrop;
        contract::deliver_text(&sharer, alice, "one").await;
        host.close().await;
        let (first, second) = tokio::join!(sharer.administration.accounts(), sharer.administration.aliases());
        assert!(first.is_err() && second.is_err());
        let host = crate::host(options).await.unwrap();
        contract::deliver_text(&sharer, alice, "two").await;
        assert_eq!(contract::read_all(&sharer, alice).await.len(), 2);
        assert!(!elsewhere.path.exists());
        sharer.close().await;
        host.close().await;
    }
}
