//! The sharers' side of the socket: connections to the host.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::frame::{self, GREETING};
use super::request::Request;

/// Connections kept for the next question.
const IDLE_MAX: usize = 16;

/// The socket of a store. Its path goes through its folder's descriptor: a socket's path has at most 107 octets, a
/// folder may have more.
#[derive(Debug)]
pub(crate) struct SocketPath {
    folder: OwnedFd,
    name: OsString,
}

impl SocketPath {
    /// For the socket at `path`, in a folder that is there. Others may go through the folder without reading it.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no path of a socket"));
        };
        let folder =
            rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { folder, name: name.to_owned() })
    }

    /// What to bind or to connect to, while `self` lives.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd())).join(&self.name)
    }
}

/// Connections to one host.
#[derive(Debug)]
pub(crate) struct Pool {
    socket: SocketPath,
    idle: Mutex<Vec<UnixStream>>,
}

/// A connection with no question open.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    pool: Arc<Pool>,
}

impl Pool {
    /// For the socket at `path`; connects when it is asked to.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { socket: SocketPath::new(path)?, idle: Mutex::default() })
    }

    /// A connection to the host that is there now.
    pub(crate) async fn connection(self: &Arc<Self>) -> io::Result<Connection> {
        let stream = if let Some(stream) = self.take_idle() {
            stream
        } else {
            let mut stream = UnixStream::connect(self.socket.path()).await?;
            stream.write_all(&GREETING).await?;
            stream
        };
        Ok(Connection { stream, pool: Arc::clone(self) })
    }

    /// An idle connection whose host is still there.
    fn take_idle(&self) -> Option<UnixStream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(stream) = idle.pop() {
            let silent = stream.try_read(&mut [0]);
            if silent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return Some(stream);
            }
        }
        None
    }
}

impl Connection {
    /// Asks, and waits for the answer. After an error the connection is of no use.
    pub(crate) async fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> io::Result<T> {
        frame::write(&mut self.stream, request).await?;
        self.hear().await
    }

    /// A further answer to the same question.
    pub(crate) async fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let answer = frame::read(&mut self.stream).await?;
        answer.ok_or_else(|| {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the process that hosts the store has ended")
        })
    }

    /// True where the host has said something unasked, part of which is read then: the connection is of no other use.
    pub(crate) fn has_unasked(&self) -> bool {
        self.stream.try_read(&mut [0]).is_ok_and(|read| read > 0)
    }

    /// Keeps the connection for the next question.
    pub(crate) fn give_back(self) {
        let Self { stream, pool } = self;
        let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(stream);
        }
    }
}
