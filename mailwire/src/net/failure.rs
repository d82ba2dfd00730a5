//! Why a connection's peer is not read or written any more, or does not get TLS.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio_rustls::rustls::{self, CertificateError, OtherError, PeerIncompatible};

/// Why nothing more was read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The peer closed, or reset, the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// A deadline passed: the peer was idle, or slower than the least rate.
    #[error("nothing, or too little, came from the peer within {0:?}")]
    TimedOut(Duration),
    /// The server is draining and the peer was idle.
    #[error("the server is shutting down")]
    Shutdown,
    /// The socket or TLS failed.
    #[error("reading from the peer failed")]
    Io(#[source] io::Error),
}

/// Why a switch to TLS failed.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Octets came behind the STARTTLS line in clear (RFC 3207 §4.2, CVE-2011-0411).
    #[error("the peer sent {0} octets in clear behind the command that starts TLS")]
    Injection(usize),
    /// This connection has no TLS to switch to, or has switched.
    #[error("TLS is not available on this connection")]
    Unavailable,
    /// The handshake took too long.
    #[error("the TLS handshake took longer than {0:?}")]
    TimedOut(Duration),
    /// The peer offers only TLS versions, or only cipher suites, that are not safe any more (RFC 8996, RFC 9325).
    #[error("the peer offers no {0} that is still safe")]
    TooWeak(&'static str),
    /// The handshake failed otherwise.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
}

impl TlsError {
    /// What is wrong with the peer's certificate, where TLS failed for that.
    #[must_use]
    pub fn certificate(&self) -> Option<String> {
        let rustls::Error::InvalidCertificate(problem) = self.cause()? else { return None };
        if let CertificateError::Other(OtherError(ours)) = problem {
            return Some(ours.to_string());
        }
        Some(problem.to_string())
    }

    /// What TLS itself has said, where it has said anything.
    #[must_use]
    pub fn cause(&self) -> Option<&rustls::Error> {
        let Self::Handshake(error) = self else { return None };
        error.get_ref()?.downcast_ref::<rustls::Error>()
    }
}

/// A peer that went away is no failure of ours.
pub(super) fn read_error(error: io::Error) -> ReadError {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    let gone = [ConnectionReset, BrokenPipe, ConnectionAborted, NotConnected, UnexpectedEof];
    if gone.contains(&error.kind()) { ReadError::Closed } else { ReadError::Io(error) }
}

/// What failed in a handshake, in words where the peer is to be updated.
pub(super) fn handshake_error(error: io::Error) -> TlsError {
    use PeerIncompatible::{
        NoCipherSuitesInCommon, ServerDoesNotSupportTls12Or13, ServerTlsVersionIsDisabledByOurConfig,
        Tls12NotOffered, Tls12NotOfferedOrEnabled,
    };
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::PeerIncompatible(lack)) = cause else { return TlsError::Handshake(error) };
    let is_too_old = matches!(
        lack,
        Tls12NotOffered
            | Tls12NotOfferedOrEnabled
            | ServerDoesNotSupportTls12Or13
            | ServerTlsVersionIsDisabledByOurConfig
    );
    if is_too_old {
        TlsError::TooWeak("TLS version")
    } else if *lack == NoCipherSuitesInCommon {
        TlsError::TooWeak("cipher suite")
    } else {
        TlsError::Handshake(error)
    }
}
