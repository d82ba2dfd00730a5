//! A Unix socket to listen at: its file, who may use it, and what was left there by a server that is gone.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Who may connect: the socket's owner and its group.
const MODE: u32 = 0o660;

/// A socket that is listened at. Its file goes with it.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that only our own file is removed.
    identity: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Listens at `path`. A socket there at which nobody listens any more is replaced.
    ///
    /// # Errors
    /// `AddrInUse` where somebody listens there; as the system says otherwise.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let listener = UnixListener::bind(path)?;
        let socket = Self { listener, path: path.to_owned(), identity: identity(path) };
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        Ok(socket)
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // What cannot be removed is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Removes a socket at which nobody listens, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is there is no socket, and is left alone"))
        }
        Ok(_) => match Probe::connect(path) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_owner_and_group_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lmtp.sock");
        let socket = UnixSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let client = UnixStream::connect(&path).await.unwrap();
        socket.accept().await.unwrap();
        drop((socket, client));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_somebody_listens_at_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lmtp.sock");
        let _first = UnixSocket::bind(&path).unwrap();
        assert_eq!(UnixSocket::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_a_killed_server_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lmtp.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let second = UnixSocket::bind(&path).unwrap();
        // Whoever took its place keeps it.
        fs::remove_file(&path).unwrap();
        let third = UnixSocket::bind(&path).unwrap();
        drop(second);
        assert!(path.exists());
        drop(third);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lmtp.sock");
        fs::write(&path, "precious").unwrap();
        assert_eq!(UnixSocket::bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
