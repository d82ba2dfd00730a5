//! A client's connection that is cut behind so many octets, counted as they are on the wire.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustls_pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::certificate::HOST;
use crate::deadline::PATIENCE;

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The client's side is closed, and what the server still says is heard to its end.
    Close,
    /// Both sides at once, and whatever is under way is lost.
    Reset,
}

/// A connection with a number of octets that may still be sent, and received.
pub struct Metered {
    link: Box<dyn Link>,
    socket: TcpStream,
    budget: Arc<Budget>,
    received: Vec<u8>,
    consumed: usize,
}

trait Link: Read + Write {}

impl<T: Read + Write> Link for T {}

struct Budget {
    sending: AtomicUsize,
    receiving: AtomicUsize,
}

/// The socket below TLS.
struct Wire {
    socket: TcpStream,
    budget: Arc<Budget>,
}

/// Takes what may be had of `wanted` octets.
fn take(budget: &AtomicUsize, wanted: usize) -> io::Result<usize> {
    let left = budget.load(Ordering::Relaxed);
    let taken = left.min(wanted);
    budget.store(left - taken, Ordering::Relaxed);
    if taken == 0 && wanted > 0 { Err(io::Error::other("the octets are used up")) } else { Ok(taken) }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = take(&self.budget.receiving, buffer.len())?;
        let octets = self.socket.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.budget.receiving.fetch_add(most - octets, Ordering::Relaxed);
        Ok(octets)
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let most = take(&self.budget.sending, octets.len())?;
        self.socket.write_all(octets.get(..most).unwrap_or_default())?;
        Ok(most)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Metered {
    /// Connects in clear, without any limit so far.
    ///
    /// # Errors
    /// Where nobody answers.
    pub fn clear(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let budget = Arc::new(Budget {
            sending: AtomicUsize::new(usize::MAX),
            receiving: AtomicUsize::new(usize::MAX),
        });
        let wire = Wire { socket: socket.try_clone()?, budget: Arc::clone(&budget) };
        Ok(Self { link: Box::new(wire), socket, budget, received: Vec::new(), consumed: 0 })
    }

    /// Connects with TLS from the first octet.
    ///
    /// # Errors
    /// Where nobody answers, or the handshake fails.
    pub fn tls(address: SocketAddr, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        let clear = Self::clear(address)?;
        let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(trust), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, clear.link);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { link: Box::new(stream), ..clear })
    }

    /// The client's port, by which the server's log names the connection.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// From now on so many octets are sent and no more.
    pub fn send_at_most(&self, octets: usize) {
        self.budget.sending.store(octets, Ordering::Relaxed);
    }

    /// From now on so many octets are received and no more.
    pub fn receive_at_most(&self, octets: usize) {
        self.budget.receiving.store(octets, Ordering::Relaxed);
    }

    /// Sends `octets`, or as many as may be sent.
    ///
    /// # Errors
    /// Where that was not all of them.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.link.write_all(octets)?;
        self.link.flush()
    }

    /// The next line that the server says, with its end.
    ///
    /// # Errors
    /// Where the connection ends before, or no more may be received; what came is left for [`Self::rest`].
    pub fn line(&mut self) -> io::Result<String> {
        loop {
            let unread = self.received.get(self.consumed..).unwrap_or_default();
            if let Some(at) = unread.iter().position(|octet| *octet == b'\n') {
                let line = String::from_utf8_lossy(unread.get(..=at).unwrap_or_default()).into_owned();
                self.consumed += at + 1;
                return Ok(line);
            }
            let mut chunk = [0; 4096];
            match self.link.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                octets => self.received.extend_from_slice(chunk.get(..octets).unwrap_or_default()),
            }
        }
    }

    /// All that the server still says until the connection ends or no more may be received.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        while let Ok(line) = self.line() {
            rest.push_str(&line);
        }
        let unread = self.received.split_off(self.consumed);
        self.received.truncate(self.consumed);
        rest + &String::from_utf8_lossy(&unread)
    }

    /// Cuts the connection and gives what the server has still said.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn cut(mut self, cut: Cut) -> io::Result<String> {
        match cut {
            Cut::Close => {
                self.socket.shutdown(Shutdown::Write)?;
                Ok(self.rest())
            }
            Cut::Reset => {
                set_socket_linger(&self.socket, Some(Duration::ZERO))?;
                Ok(String::new())
            }
        }
    }
}
