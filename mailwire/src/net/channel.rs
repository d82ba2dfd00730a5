//! Octets over a socket or TLS, with no buffer of its own while nothing moves.
//!
//! tokio-rustls makes the handshake. After it rustls is driven here: what the socket has is read in one piece into a
//! scratch buffer of the thread (a TLS stream would read 4 KiB at a time and keep its buffers), so a connection that
//! waits holds what rustls needs and nothing else.

use std::cell::RefCell;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::rustls::{self, pki_types::ServerName};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::socket::Socket;
use crate::line::LineBuffer;

/// Most octets that one look at the socket takes: four TLS records of full size.
const SCRATCH_OCTETS: usize = 64 << 10;
/// Most octets of one TLS record (RFC 8446 §5.1).
const RECORD_OCTETS: usize = 16 << 10;
/// So many octets at the end of what is sent stay in one record: some clients look for `CRLF.CRLF` in what one read
/// brings them, and TLS gives them a record at a time.
const END_OCTETS: usize = 64;
/// Most octets that are still read, and thrown away, from a peer that has been told goodbye.
const FAREWELL_OCTETS_MAX: usize = 1 << 20;

thread_local! {
    /// Lent to whichever connection is being polled; none keeps a buffer while it waits.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_OCTETS]);
}

/// The socket, and TLS over it once the handshake is done.
#[derive(Debug)]
pub(super) struct Channel {
    stream: Socket,
    tls: Option<Box<rustls::Connection>>,
    sent_octets: u64,
}

impl Channel {
    /// In clear.
    pub(super) const fn new(stream: Socket) -> Self {
        Self { stream, tls: None, sent_octets: 0 }
    }

    /// The socket alone, whatever ran over it.
    #[cfg(test)]
    pub(super) fn into_stream(self) -> Socket {
        self.stream
    }

    /// The TLS session, once there is one.
    pub(super) fn tls(&self) -> Option<&rustls::Connection> {
        self.tls.as_deref()
    }

    /// Octets that the socket has taken so far; it grows with every progress.
    pub(super) const fn sent_octets(&self) -> u64 {
        self.sent_octets
    }

    /// Appends what has come to `received`, and says how many octets that was; 0 once the peer has closed.
    pub(super) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        received: &mut LineBuffer,
    ) -> Poll<io::Result<usize>> {
        let Self { stream, tls, .. } = self;
        let Some(tls) = tls else {
            return poll_scratch(stream, context, |octets| {
                received.extend(octets);
                Ok(octets.len())
            });
        };
        // What came behind the handshake in one piece with it.
        let mut taken = take_plaintext(tls, received)?;
        loop {
            match taken {
                Taken::Closed => return Poll::Ready(Ok(0)),
                Taken::Octets(0) => answer_by_itself(tls, Outgoing { stream, context })?,
                Taken::Octets(octets) => return Poll::Ready(Ok(octets)),
            }
            let came = poll_scratch(stream, context, |octets| decrypt(tls, octets, received));
            taken = match ready!(came) {
                Ok(taken) => taken,
                Err(error) => {
                    // The alert that says why; the connection ends whether or not it gets out.
                    let _ = tls.write_tls(&mut Outgoing { stream, context });
                    return Poll::Ready(Err(error));
                }
            };
        }
    }

    /// Moves octets towards the peer and says how many of `octets` were taken. With no `octets` it pushes what TLS
    /// still holds and is ready when nothing is left.
    pub(super) fn poll_send(&mut self, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let Some(tls) = &mut self.tls else {
            if octets.is_empty() {
                return Poll::Ready(Ok(0));
            }
            let taken = ready!(Pin::new(&mut self.stream).poll_write(context, octets))?;
            self.sent_octets = self.sent_octets.saturating_add(to_u64(taken));
            return Poll::Ready(if taken == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(taken) });
        };
        loop {
            // Not more before that is sent, or what TLS has room for would decide where records end.
            if !tls.wants_write() {
                let taken = tls.writer().write(next_records(octets))?;
                let refused = taken == 0 && !octets.is_empty();
                return Poll::Ready(if refused { Err(io::ErrorKind::WriteZero.into()) } else { Ok(taken) });
            }
            match tls.write_tls(&mut Outgoing { stream: &mut self.stream, context }) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(moved) => self.sent_octets = self.sent_octets.saturating_add(to_u64(moved)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Fills `octets` with what comes in clear, before anything else is read.
    pub(super) async fn read_exactly(&mut self, octets: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(octets).await.map(|_| ())
    }

    /// Gives back the memory that rustls keeps after a large record.
    pub(super) fn release(&mut self) {
        if let Some(tls) = &mut self.tls {
            // rustls trims its buffer before each read; this read brings nothing.
            let _ = tls.read_tls(&mut Nothing);
        }
    }

    /// The server's handshake.
    pub(super) async fn accept(&mut self, config: Arc<rustls::ServerConfig>) -> io::Result<()> {
        let accepted = TlsAcceptor::from(config).accept(&mut self.stream).await?;
        let (_, session) = accepted.into_inner();
        self.tls = Some(Box::new(session.into()));
        Ok(())
    }

    /// The client's handshake.
    pub(super) async fn connect(
        &mut self,
        config: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<()> {
        let connected = TlsConnector::from(config).connect(name, &mut self.stream).await?;
        let (_, session) = connected.into_inner();
        self.tls = Some(Box::new(session.into()));
        Ok(())
    }

    /// Encrypts what TLS has room for and says how much that was; [`Self::poll_send`] sends it.
    pub(super) fn queue(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.tls.as_mut().map_or(Ok(0), |tls| tls.writer().write(next_records(octets)))
    }

    /// Queues the goodbye of TLS (RFC 8446 §6.1); [`Self::poll_send`] sends it.
    pub(super) fn queue_close_notify(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
    }

    /// Ends our side, then reads on until the peer ends its own: closing with octets unread would make the system
    /// reset the connection, and the peer could lose our last reply.
    pub(super) async fn farewell(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut read_octets = 0_usize;
        while read_octets < FAREWELL_OCTETS_MAX {
            let stream = &mut self.stream;
            let came =
                std::future::poll_fn(|context| poll_scratch(stream, context, |octets| Ok(octets.len())));
            match came.await? {
                0 => return Ok(()),
                octets => read_octets = read_octets.saturating_add(octets),
            }
        }
        Ok(())
    }
}

/// What of `octets` becomes records now: all, but for an end that would be torn.
fn next_records(octets: &[u8]) -> &[u8] {
    let is_torn = (1..END_OCTETS).contains(&(octets.len() % RECORD_OCTETS));
    let end = octets.len().checked_sub(END_OCTETS).filter(|_| is_torn && octets.len() > RECORD_OCTETS);
    end.and_then(|end| octets.get(..end)).unwrap_or(octets)
}

/// Reads what the socket has into the scratch buffer and hands it to `take`.
fn poll_scratch<T>(
    stream: &mut Socket,
    context: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> io::Result<T>,
) -> Poll<io::Result<T>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
        Poll::Ready(take(buffer.filled()))
    })
}

/// What TLS made of what came.
enum Taken {
    /// So many octets of plain text; none where a record is not complete yet.
    Octets(usize),
    /// The peer has said goodbye, or gone without it, and all it sent has been taken.
    Closed,
}

/// Gives `octets` to TLS and appends what they say to `received`.
fn decrypt(tls: &mut rustls::Connection, octets: &[u8], received: &mut LineBuffer) -> io::Result<Taken> {
    if octets.is_empty() {
        return Ok(Taken::Closed);
    }
    let mut rest = octets;
    let mut sum = 0;
    while !rest.is_empty() {
        tls.read_tls(&mut rest)?;
        tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        match take_plaintext(tls, received)? {
            Taken::Octets(taken) => sum += taken,
            // After the goodbye nothing more counts (RFC 8446 §6.1).
            Taken::Closed if sum == 0 => return Ok(Taken::Closed),
            Taken::Closed => break,
        }
    }
    Ok(Taken::Octets(sum))
}

/// Sends what TLS has to say of its own accord, such as that nobody renegotiates (RFC 5746 §4.5) or that keys are changed
/// here as well (RFC 8446 §4.6.3). What the socket does not take at once goes with the next octets.
fn answer_by_itself(tls: &mut rustls::Connection, mut outgoing: Outgoing<'_, '_>) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(&mut outgoing) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Moves what TLS has decrypted to `received`.
fn take_plaintext(tls: &mut rustls::Connection, received: &mut LineBuffer) -> io::Result<Taken> {
    let mut reader = tls.reader();
    let mut sum = 0;
    loop {
        let count = match reader.fill_buf() {
            Ok([]) if sum == 0 => return Ok(Taken::Closed),
            Ok([]) => return Ok(Taken::Octets(sum)),
            Ok(octets) => {
                received.extend(octets);
                octets.len()
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Taken::Octets(sum)),
            Err(error) => return Err(error),
        };
        reader.consume(count);
        sum += count;
    }
}

/// A size as the counters hold it.
fn to_u64(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}

/// The socket as rustls writes to it.
struct Outgoing<'a, 'b> {
    stream: &'a mut Socket,
    context: &'a mut Context<'b>,
}

impl Write for Outgoing<'_, '_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.stream).poll_write(self.context, octets) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match Pin::new(&mut *self.stream).poll_write_vectored(self.context, slices) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A source that has nothing yet.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;
    use tokio_rustls::rustls::ClientConnection;

    use super::super::testing::{Ends, PATIENT, Tls};
    use super::*;

    /// The plain text of the next record that has any; `None` at the end.
    async fn record(socket: &mut TcpStream, tls: &mut ClientConnection) -> Option<Vec<u8>> {
        loop {
            let mut record = vec![0; 5];
            if socket.read_exact(&mut record).await.is_err() {
                return None;
            }
            record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
            socket.read_exact(&mut record[5..]).await.unwrap();
            let mut rest = record.as_slice();
            while tls.read_tls(&mut rest).unwrap() > 0 {}
            tls.process_new_packets().unwrap();
            let mut text = Vec::new();
            // It complains that more may come.
            let _ = tls.reader().read_to_end(&mut text);
            if !text.is_empty() {
                return Some(text);
            }
        }
    }

    #[tokio::test]
    async fn the_end_of_what_is_sent_is_in_one_record() {
        let tls = Tls::new();
        for octets in
            [0, 1, 2, 4, 5].map(|more| [1, 4, 8].map(|records| records * RECORD_OCTETS + more)).concat()
        {
            let Ends { mut server, client, trigger: _trigger } =
                Ends::new(PATIENT, Some(tls.server.clone())).await;
            let sent: Vec<u8> = (0..=255).cycle().take(octets).collect();
            let sending = sent.clone();
            let serving = tokio::spawn(async move {
                server.accept_tls().await.unwrap();
                server.write(&sending);
                server.close().await;
            });
            let connector = TlsConnector::from(Arc::clone(&tls.client));
            let (mut socket, mut session) =
                connector.connect(Tls::name(), client).await.unwrap().into_inner();
            let mut received = Vec::new();
            let mut last = 0;
            while let Some(text) = record(&mut socket, &mut session).await {
                last = text.len();
                received.extend(text);
            }
            assert!(received == sent);
            assert!(last >= 5, "{octets} octets end with a record of {last}");
            drop(socket);
            serving.await.unwrap();
        }
    }
}
