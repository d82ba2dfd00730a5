//! One connection, plain or TLS: bounded reading under deadlines, writing gathered into as few writes as possible.

mod pause;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::{self, pki_types::ServerName};

use super::channel::Channel;
use super::deadline::{Alarm, ContentClock};
use super::failure::{ReadError, TlsError, handshake_error, read_error};
use super::login::{self, Bindable, LoginMeans};
use super::proxied::{OriginError, Proxies};
use super::{ConnectionLimits, Endpoint, ServerTls, Shutdown, Socket, TlsDetails};
use crate::clock;
use crate::line::{Line, LineBuffer};
use crate::sasl::ChannelBindings;

/// So many octets queued are sent before more is read or written.
const QUEUE_OCTETS: usize = 64 << 10;
/// How long a peer may take to read our last reply and close.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection. Holds no buffer while nothing is being read or written.
///
/// It is one pointer, because a session hands it by value from future to future, and each of them keeps its room.
pub struct Connection {
    state: Box<State>,
}

struct State {
    channel: Channel,
    peer: Endpoint,
    local: Endpoint,
    upgrade: Option<ServerTls>,
    shutdown: Option<Shutdown>,
    /// Made at the first wait, and kept: waiting again then costs nothing.
    drain: Option<Drain>,
    /// When a wait heard of the drain.
    drains_since: Option<Instant>,
    /// Known from the server's handshake on, until [`Connection::take_login_means`] asks for it.
    bindable: Bindable,
    limits: ConnectionLimits,
    alarm: Alarm,
    received: LineBuffer,
    /// When the first octet of the line that is being received came.
    line_began: Option<Instant>,
    content: ContentClock,
    output: Vec<u8>,
    /// How much of `output` the channel has taken.
    sent: usize,
}

/// Ready once the drain has begun.
type Drain = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// What a read waits for.
#[derive(Clone, Copy)]
enum Reading {
    /// The first octet of a line; the drain ends this wait at once.
    Idle,
    /// The rest of a line that began then.
    Line(Instant),
    /// Content.
    Content,
}

impl Connection {
    /// A server's connection in clear; `tls` is what [`Self::accept_tls`] switches to. Sets `TCP_NODELAY`.
    #[must_use]
    pub fn server(
        socket: impl Into<Socket>,
        tls: Option<ServerTls>,
        limits: ConnectionLimits,
        shutdown: Shutdown,
    ) -> Self {
        let mut connection = Self::client(socket.into(), limits);
        connection.state.upgrade = tls;
        connection.state.shutdown = Some(shutdown);
        connection
    }

    /// Connects a client in clear, trying the host's addresses in turn, each for the time of a handshake.
    ///
    /// # Errors
    /// As the system says.
    pub async fn connect(host: &str, port: u16, limits: ConnectionLimits) -> io::Result<Self> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in tokio::net::lookup_host((host, port)).await? {
            match timeout(limits.handshake, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(Self::client(stream.into(), limits)),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure)
    }

    pub(super) fn client(socket: Socket, limits: ConnectionLimits) -> Self {
        socket.send_at_once();
        let state = State {
            peer: socket.peer(),
            local: socket.local(),
            channel: Channel::new(socket),
            upgrade: None,
            shutdown: None,
            drain: None,
            drains_since: None,
            bindable: Bindable::Nothing,
            limits,
            alarm: Alarm::default(),
            received: LineBuffer::new(),
            line_began: None,
            content: ContentClock::default(),
            output: Vec::new(),
            sent: 0,
        };
        Self { state: Box::new(state) }
    }

    /// Where the peer is: behind a proxy that is trusted, where that proxy's client is.
    #[must_use]
    pub const fn peer(&self) -> Endpoint {
        self.state.peer
    }

    /// Where we are, as the peer has reached us.
    #[must_use]
    pub const fn local(&self) -> Endpoint {
        self.state.local
    }

    /// What protects the connection, once TLS runs.
    #[must_use]
    pub fn tls(&self) -> Option<TlsDetails> {
        let session = self.state.channel.tls()?;
        let newest = session.protocol_version()? == rustls::ProtocolVersion::TLSv1_3;
        let version = if newest { "TLS1.3" } else { "TLS1.2" };
        let suite = format!("{:?}", session.negotiated_cipher_suite()?.suite());
        // rustls names the suites of TLS 1.3 apart, the registry does not (RFC 8446 §B.4).
        Some(TlsDetails { version, cipher: suite.replacen("TLS13_", "TLS_", 1) })
    }

    /// Reads the header that `proxies` must say, before TLS or a greeting, and takes its client for the peer.
    pub(super) async fn take_origin(&mut self, proxies: &Proxies) -> Result<(), OriginError> {
        let Some(shutdown) = &self.state.shutdown else { return Ok(()) };
        let origin = proxies.origin(&mut self.state.channel, self.state.peer, shutdown).await?;
        if let Some((peer, local)) = origin {
            (self.state.peer, self.state.local) = (peer, local);
        }
        Ok(())
    }

    /// What TLS gives to a login on the server's side, to be asked once when TLS has begun; nothing in clear.
    #[must_use]
    pub fn take_login_means(&mut self) -> LoginMeans {
        let bindable = std::mem::take(&mut self.state.bindable);
        self.state.channel.tls().map(|session| login::of_server(session, &bindable)).unwrap_or_default()
    }

    /// What a client can bind its login to; nothing in clear.
    #[must_use]
    pub fn channel_bindings(&self) -> ChannelBindings {
        self.state.channel.tls().map(login::of_client).unwrap_or_default()
    }

    /// True where [`Self::accept_tls`] can succeed.
    #[must_use]
    pub const fn can_start_tls(&self) -> bool {
        self.state.upgrade.is_some()
    }

    /// The next line (at most `octets_max` without CRLF). Sends what is queued just before it would wait, so that
    /// the replies to pipelined commands leave in one write (RFC 2920 §3.2).
    ///
    /// # Errors
    /// See [`ReadError`]; `Shutdown` while no octet of the next line has come, and otherwise when the drain's time is
    /// over.
    pub async fn read_line(&mut self, octets_max: usize) -> Result<Line, ReadError> {
        // A peer that does not take its replies gets no further commands read.
        if self.wants_flush() {
            self.flush().await?;
        }
        let mut came = !self.state.received.unread().is_empty();
        loop {
            if let Some(line) = self.state.received.next_line(octets_max) {
                self.state.line_began = None;
                return Ok(line);
            }
            if came {
                self.state.line_began.get_or_insert_with(clock::instant);
            }
            self.receive(self.state.line_began.map_or(Reading::Idle, Reading::Line)).await?;
            came = true;
        }
    }

    /// At least one octet of content, as received; [`Self::consume`] takes them. Sends what is queued before it
    /// waits. [`Self::begin_content`] starts the clock of the least rate.
    ///
    /// # Errors
    /// See [`ReadError`]; `Shutdown` only when the time is over in which the drain lets content come to its end.
    pub async fn read_content(&mut self) -> Result<&[u8], ReadError> {
        while self.state.received.unread().is_empty() {
            self.receive(Reading::Content).await?;
        }
        Ok(self.state.received.unread())
    }

    /// Content begins: the least rate counts from here.
    pub fn begin_content(&mut self) {
        self.state.content = ContentClock::default();
        self.state.content.received(self.state.received.unread().len());
    }

    /// Takes octets that [`Self::read_content`] gave.
    pub fn consume(&mut self, octets: usize) {
        self.state.received.consume(octets);
    }

    /// Queues octets; nothing is sent before the next read that waits, a [`Self::flush`], or 64 KiB are queued and
    /// the caller asks [`Self::wants_flush`].
    pub fn write(&mut self, octets: &[u8]) {
        self.state.output.extend_from_slice(octets);
    }

    /// The queue itself, to encode into without a copy.
    pub const fn output(&mut self) -> &mut Vec<u8> {
        &mut self.state.output
    }

    /// True where enough is queued that a writer of much content should [`Self::flush`].
    #[must_use]
    pub const fn wants_flush(&self) -> bool {
        self.state.output.len() >= QUEUE_OCTETS
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// Where the peer takes nothing within the write deadline or is gone.
    pub async fn flush(&mut self) -> Result<(), ReadError> {
        let mut stalled = None;
        let sent = poll_fn(|context| self.poll_flush(context, &mut stalled)).await;
        self.state.output.clear();
        self.state.sent = 0;
        sent
    }

    /// `stalled` is when the peer last stopped taking octets, and how many it had taken by then.
    fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
        stalled: &mut Option<(Instant, u64)>,
    ) -> Poll<Result<(), ReadError>> {
        loop {
            let rest = self.state.output.get(self.state.sent..).unwrap_or_default();
            match self.state.channel.poll_send(context, rest) {
                Poll::Ready(Ok(0)) if rest.is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(taken)) => self.state.sent = self.state.sent.saturating_add(taken),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(read_error(error))),
                Poll::Pending => {
                    let sent_octets = self.state.channel.sent_octets();
                    let since = match *stalled {
                        Some((since, octets)) if octets == sent_octets => since,
                        _ => clock::instant(),
                    };
                    *stalled = Some((since, sent_octets));
                    let Some(deadline) = since.checked_add(self.state.limits.write) else {
                        return Poll::Pending;
                    };
                    ready!(self.state.alarm.poll(context, deadline));
                    return Poll::Ready(Err(ReadError::TimedOut(self.state.limits.write)));
                }
            }
        }
    }

    /// Sends what is queued, switches to TLS as the server and forgets everything received before.
    ///
    /// # Errors
    /// See [`TlsError`]; after `Injection` and `Handshake` the connection can only be closed.
    pub async fn accept_tls(&mut self) -> Result<(), TlsError> {
        let Some(tls) = self.state.upgrade.take() else { return Err(TlsError::Unavailable) };
        // Boxed: a handshake takes kilobytes that a session's future need not hold for ever.
        let before = tls.in_use();
        Box::pin(self.switch(Side::Server(tls.config()))).await?;
        self.state.bindable = tls.bindable(before);
        Ok(())
    }

    /// Switches to TLS as the client, refusing anything the server sent in clear behind its reply.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub async fn connect_tls(
        &mut self,
        config: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<(), TlsError> {
        if self.state.channel.tls().is_some() {
            return Err(TlsError::Unavailable);
        }
        Box::pin(self.switch(Side::Client(config, name))).await
    }

    async fn switch(&mut self, side: Side) -> Result<(), TlsError> {
        self.flush().await.map_err(|error| TlsError::Handshake(io::Error::other(error)))?;
        // RFC 3207 §4.2: what came before TLS cannot be trusted. What has been read behind the command was sent
        // before the peer could know that TLS starts, and is refused rather than dropped (CVE-2011-0411).
        let unread = self.state.received.unread().len();
        if unread > 0 {
            return Err(TlsError::Injection(unread));
        }
        self.state.received.clear();
        self.state.line_began = None;
        let allowed = self.state.limits.handshake;
        let channel = &mut self.state.channel;
        let handshake = async {
            match side {
                Side::Server(config) => channel.accept(config).await,
                Side::Client(config, name) => channel.connect(config, name).await,
            }
        };
        let drained = async {
            match &self.state.shutdown {
                Some(shutdown) => shutdown.begun().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = timeout(allowed, handshake) => match done {
                Ok(result) => result.map_err(handshake_error),
                Err(_) => Err(TlsError::TimedOut(allowed)),
            },
            () = drained => Err(TlsError::Handshake(io::Error::other("the server is shutting down"))),
        }
    }

    /// Sends what is queued, says goodbye in TLS, and closes in a way that lets the peer read it all.
    pub async fn close(mut self) {
        if self.goodbye().await.is_ok() {
            // A peer that neither closes nor goes away is not waited for.
            let _ = timeout(FAREWELL, self.state.channel.farewell()).await;
        }
    }

    async fn goodbye(&mut self) -> Result<(), ReadError> {
        // Behind the last reply in the same write, where TLS has room for both.
        let rest = self.state.output.get(self.state.sent..).unwrap_or_default();
        let taken = self.state.channel.queue(rest).map_err(read_error)?;
        self.state.sent = self.state.sent.saturating_add(taken);
        if self.state.sent < self.state.output.len() {
            self.flush().await?;
        }
        self.state.channel.queue_close_notify();
        self.flush().await
    }

    /// Receives at least one octet, waiting no longer than `reading` allows.
    async fn receive(&mut self, reading: Reading) -> Result<(), ReadError> {
        let is_cut_off = match reading {
            Reading::Idle => self.state.shutdown.as_ref().is_some_and(Shutdown::has_begun),
            // So a peer that never makes us wait is cut off as well.
            Reading::Line(_) | Reading::Content => {
                self.cut_off(reading).is_some_and(|end| end <= clock::instant())
            }
        };
        if is_cut_off {
            return Err(ReadError::Shutdown);
        }
        let (allowed, left) = self.patience(reading);
        if left.is_zero() {
            return Err(ReadError::TimedOut(allowed));
        }
        // What is there already costs no timer, and the replies before it may still wait for more company.
        let ready = poll_fn(|context| Poll::Ready(self.poll_receive(context))).await;
        let received = match ready {
            Poll::Ready(received) => received,
            Poll::Pending => {
                self.flush().await?;
                match self.wait(reading, left).await {
                    Some(received) => received,
                    None => Err(ReadError::TimedOut(allowed)),
                }
            }
        };
        if matches!(received, Err(ReadError::Closed)) {
            // The peer may have closed its side only, and read on.
            self.flush().await?;
        }
        received
    }

    /// The limit for `reading`, and how much of it is left from now on.
    fn patience(&self, reading: Reading) -> (Duration, Duration) {
        match reading {
            Reading::Idle => (self.state.limits.idle, self.state.limits.idle),
            Reading::Line(began) => {
                let spent = clock::instant().saturating_duration_since(began);
                (self.state.limits.command, self.state.limits.command.saturating_sub(spent))
            }
            Reading::Content => {
                (self.state.limits.content_idle, self.state.content.patience(&self.state.limits))
            }
        }
    }

    /// `None` where `patience` came to its end.
    async fn wait(&mut self, reading: Reading, patience: Duration) -> Option<Result<(), ReadError>> {
        self.state.output = Vec::new();
        if matches!(reading, Reading::Idle) {
            self.state.channel.release();
        }
        let began = clock::instant();
        let deadline = began.checked_add(patience);
        let received = poll_fn(|context| {
            if let Poll::Ready(received) = self.poll_receive(context) {
                return Poll::Ready(Some(received));
            }
            let cut_off = match self.poll_drain(context) {
                Poll::Ready(()) => self.cut_off(reading),
                Poll::Pending => None,
            };
            let Some(end) = deadline.into_iter().chain(cut_off).min() else { return Poll::Pending };
            ready!(self.state.alarm.poll(context, end));
            Poll::Ready((cut_off == Some(end)).then_some(Err(ReadError::Shutdown)))
        })
        .await;
        if matches!(reading, Reading::Content) {
            self.state.content.waited(clock::instant().saturating_duration_since(began));
        }
        received
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ReadError>> {
        match ready!(self.state.channel.poll_receive(context, &mut self.state.received)) {
            Ok(0) => Poll::Ready(Err(ReadError::Closed)),
            Ok(octets) => {
                self.state.content.received(octets);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(read_error(error))),
        }
    }

    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.state.drains_since.is_none() {
            let Some(shutdown) = &self.state.shutdown else { return Poll::Pending };
            let drain = self.state.drain.get_or_insert_with(|| {
                let shutdown = shutdown.clone();
                Box::pin(async move { shutdown.begun().await })
            });
            ready!(drain.as_mut().poll(context));
            self.state.drain = None;
            self.state.drains_since = Some(clock::instant());
        }
        Poll::Ready(())
    }

    /// When the drain ends a wait for `reading`, as far as a wait has heard of it.
    fn cut_off(&self, reading: Reading) -> Option<Instant> {
        match reading {
            Reading::Idle => self.state.drains_since,
            Reading::Line(_) | Reading::Content => {
                self.state.drains_since?.checked_add(self.state.limits.drain)
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("peer", &self.state.peer).finish_non_exhaustive()
    }
}

/// Which end of a handshake is ours.
enum Side {
    Server(Arc<rustls::ServerConfig>),
    Client(Arc<rustls::ClientConfig>, ServerName<'static>),
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::yield_now;

    use super::super::testing::{Ends, PATIENT, SOON, Tls};
    use super::*;

    use super::pause::AHEAD_OCTETS_MAX;

    const LINE_OCTETS_MAX: usize = 100;

    impl Connection {
        async fn text_line(&mut self) -> String {
            match self.read_line(LINE_OCTETS_MAX).await.unwrap() {
                Line::Complete(line) => String::from_utf8(line).unwrap(),
                Line::TooLong => "too long".into(),
            }
        }
    }

    async fn read_to_end(client: &mut TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn lines_are_the_same_however_they_are_chopped() {
        let text = b"one\r\ntwo\r\n\r\nthree\r\n";
        for chunk_octets in 1..text.len() {
            let Ends { mut server, mut client, trigger: _trigger } = Ends::new(PATIENT, None).await;
            let sender = tokio::spawn(async move {
                for chunk in text.chunks(chunk_octets) {
                    client.write_all(chunk).await.unwrap();
                    yield_now().await;
                }
            });
            for line in ["one", "two", "", "three"] {
                assert_eq!(server.text_line().await, line);
            }
            assert!(matches!(server.read_line(LINE_OCTETS_MAX).await, Err(ReadError::Closed)));
            sender.await.unwrap();
        }
    }

    #[tokio::test]
    async fn replies_to_pipelined_commands_are_held_until_a_read_waits() {
        let Ends { mut server, mut client, trigger: _trigger } = Ends::new(PATIENT, None).await;
        client.write_all(b"one\r\ntwo\r\nthree\r\n").await.unwrap();
        for _ in 0..3 {
            server.text_line().await;
            server.write(b"250 OK\r\n");
        }
        assert_eq!(server.output().len(), 24);
        let peer = tokio::spawn(async move {
            let mut replies = [0; 24];
            client.read_exact(&mut replies).await.unwrap();
            client.write_all(b"four\r\n").await.unwrap();
            replies
        });
        assert_eq!(server.text_line().await, "four");
        assert_eq!(&peer.await.unwrap(), b"250 OK\r\n250 OK\r\n250 OK\r\n");
        assert_eq!(server.output().capacity(), 0, "a connection that waited holds no buffer");
    }

    #[tokio::test]
    async fn a_peer_that_takes_no_replies_gets_no_commands_read() {
        let limits = ConnectionLimits { write: SOON, ..PATIENT };
        let Ends { mut server, client, trigger: _trigger } = Ends::new(limits, None).await;
        let (mut unread, mut sending) = client.into_split();
        let flood =
            tokio::spawn(async move { while sending.write_all(&b"NOOP\r\n".repeat(1_000)).await.is_ok() {} });
        let reply = [b'x'; 1_000];
        let mut queued_max = 0;
        let end = loop {
            match server.read_line(LINE_OCTETS_MAX).await {
                Ok(_) => server.write(&reply),
                Err(error) => break error,
            }
            queued_max = queued_max.max(server.output().len());
        };
        assert!(matches!(end, ReadError::TimedOut(SOON)), "{end}");
        assert!(queued_max < QUEUE_OCTETS + reply.len());
        drop(server);
        flood.await.unwrap();
        assert!(unread.read(&mut [0; 1]).await.is_ok());
    }

    #[tokio::test]
    async fn a_peer_that_is_kept_waiting_hears_what_was_said_and_loses_nothing_of_its_own() {
        let Ends { mut server, mut client, trigger: _trigger } = Ends::new(PATIENT, None).await;
        server.write(b"one moment\r\n");
        let flood = b"x".repeat(1 << 20);
        let sent = tokio::spawn(async move {
            let mut said = [0; 12];
            client.read_exact(&mut said).await.unwrap();
            client.write_all(b"next\r\n").await.unwrap();
            let _ = client.write_all(&flood).await;
            (said, client)
        });
        server.pause(SOON).await.unwrap();
        assert!(server.state.received.unread().len() < AHEAD_OCTETS_MAX + (64 << 10));
        assert_eq!(server.text_line().await, "next");
        drop(server);
        assert_eq!(&sent.await.unwrap().0, b"one moment\r\n");
    }

    #[tokio::test]
    async fn a_peer_that_closes_and_the_drain_end_a_pause_at_once() {
        let ages = Duration::from_hours(1);
        let Ends { mut server, client, trigger: _trigger } = Ends::new(PATIENT, None).await;
        drop(client);
        assert!(matches!(server.pause(ages).await, Err(ReadError::Closed)));
        let Ends { mut server, client: _client, trigger } = Ends::new(PATIENT, None).await;
        trigger.trigger();
        assert!(matches!(server.pause(ages).await, Err(ReadError::Shutdown)));
        assert!(server.pause(Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn a_silent_peer_is_let_go() {
        let limits = ConnectionLimits { idle: SOON, ..PATIENT };
        let Ends { mut server, client: _client, trigger: _trigger } = Ends::new(limits, None).await;
        assert!(matches!(server.read_line(LINE_OCTETS_MAX).await, Err(ReadError::TimedOut(SOON))));
    }

    #[tokio::test]
    async fn a_line_without_end_is_ended_by_the_deadline_of_the_whole_command() {
        for limits in [
            ConnectionLimits { command: SOON, ..PATIENT },
            ConnectionLimits { command: SOON, idle: SOON * 2, ..PATIENT },
        ] {
            let Ends { mut server, mut client, trigger: _trigger } = Ends::new(limits, None).await;
            let flood = tokio::spawn(async move {
                while client.write_all(b"x").await.is_ok() {
                    yield_now().await;
                }
            });
            let end = server.read_line(LINE_OCTETS_MAX).await;
            assert!(matches!(end, Err(ReadError::TimedOut(SOON))), "{end:?}");
            drop(server);
            flood.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_line_that_stops_in_the_middle_is_ended_by_the_deadline_of_the_whole_command() {
        let limits = ConnectionLimits { command: SOON, ..PATIENT };
        let Ends { mut server, mut client, trigger: _trigger } = Ends::new(limits, None).await;
        client.write_all(b"whole\r\nhal").await.unwrap();
        assert_eq!(server.text_line().await, "whole");
        assert!(matches!(server.read_line(LINE_OCTETS_MAX).await, Err(ReadError::TimedOut(SOON))));
    }

    #[tokio::test]
    async fn content_slower_than_the_least_rate_is_ended_although_it_never_stops() {
        let limits =
            ConnectionLimits { content_idle: SOON * 5, content_octets_per_second_min: 1 << 40, ..PATIENT };
        let Ends { mut server, mut client, trigger: _trigger } = Ends::new(limits, None).await;
        let trickle = tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            while client.write_all(b"x").await.is_ok() {
                pace.tick().await;
            }
        });
        server.begin_content();
        let end = loop {
            match server.read_content().await.map(<[u8]>::len) {
                Ok(octets) => server.consume(octets),
                Err(error) => break error,
            }
        };
        assert!(matches!(end, ReadError::TimedOut(_)), "{end}");
        drop(server);
        trickle.await.unwrap();
    }

    #[tokio::test]
    async fn the_drain_ends_an_idle_read_but_not_a_line_that_has_begun() {
        let Ends { mut server, mut client, trigger } = Ends::new(PATIENT, None).await;
        client.write_all(b"first\r\nsec").await.unwrap();
        assert_eq!(server.text_line().await, "first");
        trigger.trigger();
        client.write_all(b"ond\r\nthird\r\n").await.unwrap();
        assert_eq!(server.text_line().await, "second");
        loop {
            // `third` may have come together with the second line or not; nothing is read for it any more.
            match server.read_line(LINE_OCTETS_MAX).await {
                Ok(line) => assert_eq!(line, Line::Complete(b"third".to_vec())),
                Err(error) => {
                    assert!(matches!(error, ReadError::Shutdown), "{error}");
                    break;
                }
            }
        }
    }

    #[tokio::test]
    async fn a_read_that_waits_hears_of_the_drain() {
        let Ends { mut server, client: _client, trigger } = Ends::new(PATIENT, None).await;
        let waiting = tokio::spawn(async move { server.read_line(LINE_OCTETS_MAX).await });
        yield_now().await;
        trigger.trigger();
        assert!(matches!(waiting.await.unwrap(), Err(ReadError::Shutdown)));
    }

    #[tokio::test]
    async fn content_and_lines_that_have_begun_are_read_until_the_time_of_the_drain_is_over() {
        let limits = ConnectionLimits { drain: SOON, ..PATIENT };
        let Ends { mut server, mut client, trigger } = Ends::new(limits, None).await;
        client.write_all(b"NOOP\r\nNOO").await.unwrap();
        assert_eq!(server.text_line().await, "NOOP");
        trigger.trigger();
        assert!(matches!(server.read_line(LINE_OCTETS_MAX).await, Err(ReadError::Shutdown)));

        let Ends { mut server, mut client, trigger } = Ends::new(limits, None).await;
        trigger.trigger();
        server.begin_content();
        client.write_all(b"content").await.unwrap();
        let octets = server.read_content().await.unwrap().len();
        server.consume(octets);
        assert!(matches!(server.read_content().await, Err(ReadError::Shutdown)));
    }

    #[tokio::test]
    async fn a_peer_that_has_ended_its_side_still_gets_its_replies() {
        let Ends { mut server, mut client, trigger: _trigger } = Ends::new(PATIENT, None).await;
        client.write_all(b"one\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        server.text_line().await;
        server.write(b"250 OK\r\n");
        assert!(matches!(server.read_line(LINE_OCTETS_MAX).await, Err(ReadError::Closed)));
        drop(server);
        assert_eq!(read_to_end(&mut client).await, "250 OK\r\n");
    }

    #[tokio::test]
    async fn the_last_reply_reaches_a_peer_that_goes_on_sending() {
        let Ends { mut server, mut client, trigger: _trigger } = Ends::new(PATIENT, None).await;
        client.write_all(b"QUIT\r\n").await.unwrap();
        server.text_line().await;
        server.write(b"221 Bye\r\n");
        client.write_all(&vec![b'x'; 100_000]).await.unwrap();
        let closing = tokio::spawn(server.close());
        assert_eq!(read_to_end(&mut client).await, "221 Bye\r\n");
        drop(client);
        closing.await.unwrap();
    }

    #[tokio::test]
    async fn octets_in_clear_behind_starttls_are_refused() {
        let tls = Tls::new();
        let Ends { mut server, mut client, trigger: _trigger } = Ends::new(PATIENT, Some(tls.server)).await;
        assert!(server.can_start_tls());
        client.write_all(b"STARTTLS\r\nRSET\r\n").await.unwrap();
        assert_eq!(server.text_line().await, "STARTTLS");
        assert!(matches!(server.accept_tls().await, Err(TlsError::Injection(6))));
        assert!(!server.can_start_tls());
        assert_eq!(server.tls(), None);
    }

    #[tokio::test]
    async fn a_handshake_that_never_comes_is_ended() {
        let tls = Tls::new();
        let limits = ConnectionLimits { handshake: SOON, ..PATIENT };
        let Ends { mut server, client: _client, trigger: _trigger } =
            Ends::new(limits, Some(tls.server)).await;
        assert!(matches!(server.accept_tls().await, Err(TlsError::TimedOut(SOON))));
    }

    #[tokio::test]
    async fn a_handshake_that_trickles_is_ended_by_the_deadline_of_the_whole() {
        let tls = Tls::new();
        let limits = ConnectionLimits { handshake: SOON, ..PATIENT };
        let Ends { mut server, mut client, trigger: _trigger } = Ends::new(limits, Some(tls.server)).await;
        // A record of a handshake, as long as one may be (RFC 8446 §5.1).
        client.write_all(&[22, 3, 1, 0x40, 0]).await.unwrap();
        let trickle = tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            while client.write_all(&[1]).await.is_ok() {
                pace.tick().await;
            }
        });
        assert!(matches!(server.accept_tls().await, Err(TlsError::TimedOut(SOON))));
        drop(server);
        trickle.await.unwrap();
    }

    #[tokio::test]
    async fn the_drain_ends_a_handshake() {
        let tls = Tls::new();
        let Ends { mut server, client: _client, trigger } = Ends::new(PATIENT, Some(tls.server)).await;
        trigger.trigger();
        assert!(matches!(server.accept_tls().await, Err(TlsError::Handshake(_))));
    }

    #[tokio::test]
    async fn without_a_certificate_there_is_no_tls_to_switch_to() {
        let Ends { mut server, client: _client, trigger: _trigger } = Ends::new(PATIENT, None).await;
        assert!(!server.can_start_tls());
        assert!(matches!(server.accept_tls().await, Err(TlsError::Unavailable)));
    }

    /// A server's and a client's connection with TLS between them, after one exchange in clear.
    async fn secured() -> (Connection, Connection, super::super::ShutdownTrigger) {
        let tls = Tls::new();
        let Ends { mut server, client, trigger } = Ends::new(PATIENT, Some(tls.server)).await;
        let mut client = Connection::client(client.into(), PATIENT);
        let accepting = tokio::spawn(async move {
            assert_eq!(server.text_line().await, "STARTTLS");
            server.write(b"220 Go ahead\r\n");
            server.accept_tls().await.unwrap();
            server
        });
        client.write(b"STARTTLS\r\n");
        assert_eq!(client.text_line().await, "220 Go ahead");
        client.connect_tls(tls.client, Tls::name()).await.unwrap();
        (accepting.await.unwrap(), client, trigger)
    }

    #[tokio::test]
    async fn tls_carries_lines_and_content_both_ways() {
        let (mut server, mut client, _trigger) = secured().await;
        let details = server.tls().unwrap();
        assert_eq!(details.version, "TLS1.3");
        assert!(details.cipher.starts_with("TLS_") && details.cipher.ends_with("_SHA384"), "{details:?}");
        assert!(!server.can_start_tls());

        let content: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let expected = content.clone();
        let sending = tokio::spawn(async move {
            client.write(b"DATA\r\n");
            assert_eq!(client.text_line().await, "354");
            client.write(&content);
            assert_eq!(client.text_line().await, "250");
            assert!(matches!(client.read_line(LINE_OCTETS_MAX).await, Err(ReadError::Closed)));
            client
        });
        assert_eq!(server.text_line().await, "DATA");
        server.write(b"354\r\n");
        server.begin_content();
        let mut received = Vec::new();
        while received.len() < expected.len() {
            let octets = server.read_content().await.unwrap();
            received.extend_from_slice(octets);
            let count = octets.len();
            server.consume(count);
        }
        assert!(received == expected);
        server.write(b"250\r\n");
        let closing = tokio::spawn(server.close());
        sending.await.unwrap().close().await;
        closing.await.unwrap();
    }

    #[tokio::test]
    async fn a_second_switch_to_tls_is_refused() {
        let (mut server, mut client, _trigger) = secured().await;
        assert!(matches!(server.accept_tls().await, Err(TlsError::Unavailable)));
        let tls = Tls::new();
        assert!(matches!(client.connect_tls(tls.client, Tls::name()).await, Err(TlsError::Unavailable)));
    }

    #[tokio::test]
    async fn a_server_that_sends_in_clear_behind_its_reply_is_refused_by_the_client() {
        let tls = Tls::new();
        let Ends { server, mut client, trigger: _trigger } = Ends::new(PATIENT, Some(tls.server)).await;
        // The roles are turned: what the peer sends here is a server's.
        let mut connection = server;
        client.write_all(b"220 Go ahead\r\n250 injected\r\n").await.unwrap();
        assert_eq!(connection.text_line().await, "220 Go ahead");
        let refused = connection.connect_tls(tls.client, Tls::name()).await;
        assert!(matches!(refused, Err(TlsError::Injection(14))));
    }

    #[tokio::test]
    async fn octets_that_are_not_tls_end_the_connection() {
        let (mut server, client, _trigger) = secured().await;
        client.state.channel.into_stream().write_all(b"NOOP in clear\r\n").await.unwrap();
        let end = server.read_line(LINE_OCTETS_MAX).await;
        assert!(matches!(end, Err(ReadError::Io(_))), "{end:?}");
    }

    #[tokio::test]
    async fn an_idle_session_waits_in_a_small_future() {
        let Ends { mut server, client: _client, trigger: _trigger } = Ends::new(PATIENT, None).await;
        let reading_octets = size_of_val(&server.read_line(LINE_OCTETS_MAX));
        assert!(reading_octets <= 512, "{reading_octets}");
        assert_eq!(size_of::<Connection>(), size_of::<usize>());
    }
}
