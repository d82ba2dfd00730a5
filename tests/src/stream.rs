//! A client's connection: TCP, then perhaps TLS, or a Unix socket, read in lines.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketType};
use rustls_pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::certificate::HOST;
use crate::deadline::PATIENCE;
use crate::player::{Peer, Received};

/// Most octets that a test expects in one line.
const LINE_OCTETS_MAX: usize = 64 << 20;

/// A connection to a server. Waiting for it ends with an error after [`PATIENCE`].
pub struct Stream {
    link: Link,
    trust: Arc<ClientConfig>,
    unread: Vec<u8>,
    consumed: usize,
}

enum Link {
    Clear(TcpStream),
    Local(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Only while one becomes the other.
    Switching,
}

impl Stream {
    /// Connects without TLS; `trust` is for later.
    ///
    /// # Errors
    /// Where nobody answers.
    pub fn clear(address: SocketAddr, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        Self::patient(TcpStream::connect_timeout(&address, PATIENCE)?, trust)
    }

    /// Goes on with a connection on which nothing has been read.
    ///
    /// # Errors
    /// Where the system refuses its settings.
    pub fn of(socket: TcpStream, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        Self::patient(socket, trust)
    }

    fn patient(socket: TcpStream, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::over(Link::Clear(socket), trust))
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// Where nobody answers.
    pub fn local(path: &Path, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::over(Link::Local(socket), trust))
    }

    fn over(link: Link, trust: &Arc<ClientConfig>) -> Self {
        Self { link, trust: Arc::clone(trust), unread: Vec::new(), consumed: 0 }
    }

    /// As [`Self::clear`], from an address of this machine's own choice, such as 127.0.0.2.
    ///
    /// # Errors
    /// Where the address is not this machine's, or nobody answers.
    pub fn clear_from(source: Ipv4Addr, address: SocketAddr, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::from((source, 0)))?;
        rustix::net::connect(&socket, &address)?;
        Self::patient(TcpStream::from(socket), trust)
    }

    /// Connects with TLS from the first octet.
    ///
    /// # Errors
    /// Where nobody answers, or the handshake fails.
    pub fn tls(address: SocketAddr, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        let mut stream = Self::clear(address, trust)?;
        stream.start_tls()?;
        Ok(stream)
    }

    /// Octets up to and including the next LF, or what came before the end of the connection.
    ///
    /// # Errors
    /// Where nothing comes, or the connection breaks.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut searched = self.consumed;
        loop {
            let waiting = self.unread.get(searched..).unwrap_or_default();
            if let Some(at) = waiting.iter().position(|&octet| octet == b'\n') {
                return Ok(self.take(searched + at + 1));
            }
            searched = self.unread.len();
            if searched - self.consumed > LINE_OCTETS_MAX {
                return Err(io::Error::other("a line that does not end"));
            }
            let before = self.consumed;
            if self.receive()? == 0 {
                return Ok(self.take(self.unread.len()));
            }
            searched -= before - self.consumed;
        }
    }

    /// The octets up to `end`, which are then read.
    fn take(&mut self, end: usize) -> Vec<u8> {
        let line = self.unread.get(self.consumed..end).unwrap_or_default().to_vec();
        self.consumed = end;
        line
    }

    /// Receives more; nought at the end of the connection, however it ended.
    fn receive(&mut self) -> io::Result<usize> {
        self.unread.drain(..self.consumed);
        self.consumed = 0;
        let mut chunk = vec![0; 1 << 16];
        let received = match &mut self.link {
            Link::Clear(socket) => socket.read(&mut chunk),
            Link::Local(socket) => socket.read(&mut chunk),
            Link::Tls(stream) => stream.read(&mut chunk),
            Link::Switching => Ok(0),
        };
        let octets = match received {
            Err(error) if is_end(&error) => 0,
            other => other?,
        };
        self.unread.extend_from_slice(chunk.get(..octets).unwrap_or_default());
        Ok(octets)
    }
}

/// Whether it is the end of the connection: a server that closes with something unread resets it, and some do not say that
/// TLS ends.
pub(crate) fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof].contains(&error.kind())
}

impl Peer for Stream {
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.link {
            Link::Clear(socket) => socket.write_all(octets),
            Link::Local(socket) => socket.write_all(octets),
            Link::Tls(stream) => {
                stream.write_all(octets)?;
                stream.flush()
            }
            Link::Switching => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn receive_line(&mut self) -> io::Result<Received> {
        let line = self.line()?;
        Ok(if line.is_empty() { Received::Closed } else { Received::Line(line) })
    }

    fn start_tls(&mut self) -> io::Result<()> {
        if self.unread.len() > self.consumed {
            return Err(io::Error::other("the server said something in clear before the handshake"));
        }
        let Link::Clear(socket) = std::mem::replace(&mut self.link, Link::Switching) else {
            return Err(io::Error::other("there is TLS already, or no TCP"));
        };
        let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(&self.trust), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        self.link = Link::Tls(Box::new(stream));
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        let closed = match &mut self.link {
            Link::Clear(socket) => socket.shutdown(Shutdown::Write),
            Link::Local(socket) => socket.shutdown(Shutdown::Write),
            Link::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush().and_then(|()| stream.sock.shutdown(Shutdown::Write))
            }
            Link::Switching => Ok(()),
        };
        match closed {
            Err(error) if is_end(&error) => Ok(()),
            other => other,
        }
    }
}
