//! A stream socket of either kind, TCP or Unix, and where its ends are.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Where an end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// At an address of the network, or of the loopback.
    Network(SocketAddr),
    /// At a Unix socket: on this machine, and no address says more.
    Local,
}

impl Endpoint {
    /// The address without its port.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Network(address) => Some(address.ip()),
            Self::Local => None,
        }
    }

    /// The port of an address of the network.
    #[must_use]
    pub const fn port(self) -> Option<u16> {
        match self {
            Self::Network(address) => Some(address.port()),
            Self::Local => None,
        }
    }

    /// Where the system says so; an IPv4 end of an IPv6 socket is the IPv4 end.
    fn of(address: io::Result<SocketAddr>) -> Self {
        // Only a socket that is gone has no address, which the first read tells.
        let address = address.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Self::Network(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::of(Ok(address))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.fmt(formatter),
            Self::Local => formatter.write_str("local"),
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl Socket {
    /// The other end.
    pub(super) fn peer(&self) -> Endpoint {
        match self {
            Self::Tcp(stream) => Endpoint::of(stream.peer_addr()),
            Self::Unix(_) => Endpoint::Local,
        }
    }

    /// Our end.
    pub(super) fn local(&self) -> Endpoint {
        match self {
            Self::Tcp(stream) => Endpoint::of(stream.local_addr()),
            Self::Unix(_) => Endpoint::Local,
        }
    }

    /// Sends small pieces at once (`TCP_NODELAY`); Unix sockets do that anyway.
    pub(super) fn send_at_once(&self) {
        match self {
            // A socket that refuses this is already gone, which the first read tells.
            Self::Tcp(stream) => _ = stream.set_nodelay(true),
            Self::Unix(_) => {}
        }
    }

    /// Says `text` as far as the socket takes it without a wait, and throws away what has come.
    pub(super) fn say_at_once(&self, text: &[u8]) {
        // The peer that is not there to read it needs no answer. Octets left unread would turn the close into a reset
        // that may overtake the text.
        let mut unread = [0; 512];
        match self {
            Self::Tcp(stream) => _ = (stream.try_write(text), stream.try_read(&mut unread)),
            Self::Unix(stream) => _ = (stream.try_write(text), stream.try_read(&mut unread)),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
