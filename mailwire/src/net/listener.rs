//! Accepting connections within limits, and draining them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_ipv6_v6only;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, error, info, warn};

use super::counts::{Counts, Place};
use super::proxied::OriginError;
use super::unix_socket::UnixSocket;
use super::{
    Admittance, Connection, ConnectionLimits, Door, Endpoint, ListenAddress, ListenerLimits, Proxies,
    ServerTls, Shutdown, Socket,
};
use crate::cause::chain;
use crate::clock;

/// Connections that the system holds for us until they are accepted.
const BACKLOG: u32 = 1024;
/// After an accept that failed for want of something (descriptors, memory), how long before the next one.
const RECOVERY: Duration = Duration::from_millis(100);
/// A condition that lasts is told again after so long.
const REPEAT: Duration = Duration::from_mins(1);

/// What protects a listener's connections.
#[derive(Clone, Debug)]
pub enum Security {
    /// Clear, with no TLS to switch to.
    Plain,
    /// Clear, and STARTTLS or STLS switches to TLS.
    Upgrade(ServerTls),
    /// TLS from the first octet (RFC 8314 §3).
    Implicit(ServerTls),
}

/// On what terms a listener's connections are served.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What protects them.
    pub security: Security,
    /// Their deadlines.
    pub limits: ConnectionLimits,
    /// What a connection over a limit of the listener is told.
    pub refusal: &'static [u8],
    /// The proxies through which some of them come.
    pub proxies: Proxies,
    /// Who of those that there is a place for is let in.
    pub door: Door,
}

/// By whose hands a connection comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Through {
    Nobody,
    Proxy,
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    InClear,
    WithTls,
}

impl Security {
    fn tls(&self) -> Option<ServerTls> {
        match self {
            Self::Plain => None,
            Self::Upgrade(tls) | Self::Implicit(tls) => Some(tls.clone()),
        }
    }

    const fn begins(&self) -> Begins {
        match self {
            Self::Plain | Self::Upgrade(_) => Begins::InClear,
            Self::Implicit(_) => Begins::WithTls,
        }
    }
}

/// A bound socket. Several listeners share one [`ListenerLimits`] count when made by [`Listener::beside`].
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    address: ListenAddress,
    counts: Counts,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Bound {
    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(socket) => Ok(socket.accept().await?.0.into()),
            Self::Unix(socket) => Ok(socket.accept().await?.into()),
        }
    }
}

impl Listener {
    /// Binds `address` (port 0: any free one). An IPv6 address takes IPv6 only, so `0.0.0.0` and `[::]` can stand
    /// beside each other. The file of a Unix socket is for owner and group, and goes with the listener.
    ///
    /// # Errors
    /// As the system says, with the address in the text.
    pub fn bind(address: impl Into<ListenAddress>, limits: ListenerLimits) -> io::Result<Self> {
        Self::counted(&address.into(), Counts::new(limits))
    }

    /// Binds `address`, counting connections together with this listener.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn beside(&self, address: impl Into<ListenAddress>) -> io::Result<Self> {
        Self::counted(&address.into(), self.counts.clone())
    }

    fn counted(address: &ListenAddress, counts: Counts) -> io::Result<Self> {
        let bound = match address {
            ListenAddress::Tcp(address) => listen(*address).and_then(|socket| {
                let address = socket.local_addr()?;
                Ok((Bound::Tcp(socket), address.into()))
            }),
            ListenAddress::Unix(path) => {
                UnixSocket::bind(path).map(|socket| (Bound::Unix(socket), address.clone()))
            }
        };
        let (socket, address) = bound.map_err(|error| {
            io::Error::new(error.kind(), format!("listening on {address} is not possible: {error}"))
        })?;
        Ok(Self { socket, address, counts })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Accepts until the drain begins, then returns when every connection has ended.
    ///
    /// Each connection is one task running `serve`. The header of a trusted proxy is read, and with
    /// [`Security::Implicit`] the handshake is done (each within its deadline, in that task), before `serve` sees the
    /// connection. A connection over a limit gets the refusal (in clear, or nothing on an implicit-TLS port) and is
    /// closed. Dropping the future ends every connection.
    pub async fn run<S, F>(self, terms: Terms, shutdown: Shutdown, serve: S)
    where
        S: Fn(Connection) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let terms = Arc::new(terms);
        let serve = Arc::new(serve);
        let mut sessions = JoinSet::new();
        let mut troubles = Troubles::new(self.address.clone());
        let drain = shutdown.clone();
        let mut drain = std::pin::pin!(drain.begun());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut drain => break,
                Some(ended) = sessions.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = self.socket.accept() => accepted,
            };
            let socket = match accepted {
                Ok(socket) => socket,
                Err(error) if is_of_one_peer(&error) => continue,
                Err(error) => {
                    troubles.failed(&error);
                    tokio::time::sleep(RECOVERY).await;
                    continue;
                }
            };
            let peer = socket.peer();
            // Whoever comes through a proxy counts once it is known who that is.
            let through = if terms.proxies.trust(peer) { Through::Proxy } else { Through::Nobody };
            let counted = match through {
                Through::Proxy => None,
                Through::Nobody => peer.ip(),
            };
            if let Some(place) = self.counts.place(counted) {
                let tls = terms.security.tls();
                let connection = Connection::server(socket, tls, terms.limits, shutdown.clone());
                match through {
                    Through::Proxy => {
                        let session = proxied(connection, place, Arc::clone(&terms), Arc::clone(&serve));
                        sessions.spawn(session);
                    }
                    Through::Nobody => {
                        let terms = Arc::clone(&terms);
                        sessions.spawn(session(connection, place, terms, Arc::clone(&serve)));
                    }
                }
            } else {
                troubles.refused(peer);
                if terms.security.begins() == Begins::InClear {
                    // A new socket has room for a line, so nothing waits and refused peers cannot pile up.
                    socket.say_at_once(terms.refusal);
                }
            }
        }
        drop(self);
        while let Some(ended) = sessions.join_next().await {
            report(ended);
        }
    }
}

/// The task of a connection that comes through a proxy, apart from the others, which are not to pay for it.
async fn proxied<S, F>(mut connection: Connection, place: Place, terms: Arc<Terms>, serve: Arc<S>)
where
    S: Fn(Connection) -> F,
    F: Future<Output = ()>,
{
    let proxy = connection.peer();
    if let Err(error) = Box::pin(connection.take_origin(&terms.proxies)).await {
        match &error {
            // So do those that look whether we are there, and all at the end.
            OriginError::Read(_) | OriginError::Shutdown => {
                debug!(%proxy, reason = chain(&error), "no connection through a proxy");
            }
            OriginError::Header(_) | OriginError::Loopback | OriginError::TimedOut(_) => {
                warn!(%proxy, reason = chain(&error), "a trusted proxy's connection is not served");
            }
        }
        return;
    }
    let peer = connection.peer();
    let place = match peer.ip() {
        Some(address) => place.of(address),
        None => Some(place),
    };
    if let Some(place) = place {
        return session(connection, place, terms, serve).await;
    }
    debug!(%peer, %proxy, "connection refused: too many connections from one address");
    refuse(connection, &terms).await;
}

/// One connection's task.
async fn session<S, F>(mut connection: Connection, place: Place, terms: Arc<Terms>, serve: Arc<S>)
where
    S: Fn(Connection) -> F,
    F: Future<Output = ()>,
{
    let begins = terms.security.begins();
    match terms.door.knock(connection.peer().ip()).await {
        Admittance::Granted => drop(terms),
        Admittance::Refused => {
            debug!(peer = %connection.peer(), "connection refused at the door");
            return Box::pin(refuse(connection, &terms)).await;
        }
    }
    if begins == Begins::WithTls
        && let Err(error) = connection.accept_tls().await
    {
        info!(peer = %connection.peer(), reason = chain(&error), "no TLS session");
        return;
    }
    serve(connection).await;
    drop(place);
}

/// The last word to a connection that has cost us no more than its task; TLS is not begun for it.
async fn refuse(mut connection: Connection, terms: &Terms) {
    if terms.security.begins() == Begins::InClear {
        connection.write(terms.refusal);
        connection.close().await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            set_ipv6_v6only(&socket, true)?;
            socket
        }
    };
    // A restart must not wait for the old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// True where the next accept may well succeed: one peer went away before it was accepted (accept(2)).
fn is_of_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A session that panicked ends alone.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("a session ended by a fault of this program; the others go on");
    }
}

/// What the operator hears of connections that were not served: the first of a burst, then one a minute.
struct Troubles {
    address: ListenAddress,
    refused: Burst,
    failed: Burst,
}

impl Troubles {
    const fn new(address: ListenAddress) -> Self {
        Self { address, refused: Burst::new(), failed: Burst::new() }
    }

    fn refused(&mut self, peer: Endpoint) {
        if let Some(unsaid) = self.refused.say(clock::instant()) {
            warn!(address = %self.address, %peer, unsaid, "connection refused: too many connections");
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if let Some(unsaid) = self.failed.say(clock::instant()) {
            warn!(address = %self.address, %error, unsaid, "accepting connections fails");
        }
    }
}

/// Keeps what happens often from filling the log.
#[derive(Debug)]
struct Burst {
    said: Option<Instant>,
    unsaid: u64,
}

impl Burst {
    const fn new() -> Self {
        Self { said: None, unsaid: 0 }
    }

    /// Whether it is to be said now, and how often it was not said since the last time.
    fn say(&mut self, now: Instant) -> Option<u64> {
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < REPEAT) {
            self.unsaid = self.unsaid.saturating_add(1);
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpStream, UnixStream};
    use tokio::task::JoinHandle;

    use super::super::testing::{PATIENT, SOON, Tls};
    use super::super::{Doorkeeper, ShutdownTrigger};
    use super::*;
    use crate::line::Line;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    const MANY: ListenerLimits = ListenerLimits { connections_max: 100, connections_per_address_max: 100 };
    const REFUSAL: &[u8] = b"421 too many\r\n";

    struct Running {
        address: SocketAddr,
        trigger: ShutdownTrigger,
        task: JoinHandle<()>,
    }

    /// Sends each line back; `panic` makes the session fail.
    async fn echo(mut connection: Connection) {
        connection.write(b"220 ready\r\n");
        while let Ok(Line::Complete(line)) = connection.read_line(100).await {
            assert_ne!(line, b"panic");
            connection.write(&line);
            connection.write(b"\r\n");
        }
        connection.close().await;
    }

    fn run(listener: Listener, security: Security, limits: ConnectionLimits) -> Running {
        run_behind(Proxies::none(), listener, security, limits)
    }

    fn run_behind(
        proxies: Proxies,
        listener: Listener,
        security: Security,
        limits: ConnectionLimits,
    ) -> Running {
        run_on(Terms { security, limits, refusal: REFUSAL, proxies, door: Door::open() }, listener)
    }

    fn run_on(terms: Terms, listener: Listener) -> Running {
        let (trigger, shutdown) = Shutdown::new();
        let address = listener.address().network().unwrap_or(ANY);
        let task = tokio::spawn(listener.run(terms, shutdown, echo));
        Running { address, trigger, task }
    }

    /// Lets in whoever comes from this address.
    struct OnlyFrom(IpAddr);

    impl Doorkeeper for OnlyFrom {
        fn knock(&self, peer: IpAddr) -> Pin<Box<dyn Future<Output = Admittance> + Send + '_>> {
            let admittance = if peer == self.0 { Admittance::Granted } else { Admittance::Refused };
            Box::pin(std::future::ready(admittance))
        }
    }

    async fn greeted(address: SocketAddr) -> (TcpStream, String) {
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut greeting = vec![0; 64];
        let octets = client.read(&mut greeting).await.unwrap();
        greeting.truncate(octets);
        (client, String::from_utf8(greeting).unwrap())
    }

    #[tokio::test]
    async fn a_connection_over_the_limit_is_told_so_and_one_that_ends_makes_room() {
        let limits = ListenerLimits { connections_per_address_max: 2, ..MANY };
        let listener = Listener::bind(ANY, limits).unwrap();
        let beside = listener.beside(ANY).unwrap();
        let first = run(listener, Security::Plain, PATIENT);
        let second = run(beside, Security::Plain, PATIENT);

        let (one, greeting) = greeted(first.address).await;
        assert_eq!(greeting, "220 ready\r\n");
        let (_two, _) = greeted(second.address).await;
        let (mut three, refusal) = greeted(second.address).await;
        assert_eq!(refusal.as_bytes(), REFUSAL);
        assert_eq!(three.read(&mut [0; 1]).await.unwrap(), 0);

        drop(one);
        while greeted(first.address).await.1 != "220 ready\r\n" {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_session_that_panics_leaves_the_others_alone() {
        let listener = run(Listener::bind(ANY, MANY).unwrap(), Security::Plain, PATIENT);
        let (mut one, _) = greeted(listener.address).await;
        let (mut two, _) = greeted(listener.address).await;
        one.write_all(b"panic\r\n").await.unwrap();
        assert_eq!(one.read(&mut [0; 1]).await.unwrap_or(0), 0);
        two.write_all(b"hello\r\n").await.unwrap();
        let mut answer = [0; 7];
        two.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello\r\n");
        assert_eq!(greeted(listener.address).await.1, "220 ready\r\n");
    }

    #[tokio::test]
    async fn the_drain_closes_the_listener_and_waits_for_its_sessions() {
        let listener = run(Listener::bind(ANY, MANY).unwrap(), Security::Plain, PATIENT);
        let (mut client, _) = greeted(listener.address).await;
        listener.trigger.trigger();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        drop(client);
        listener.task.await.unwrap();
        assert!(TcpStream::connect(listener.address).await.is_err());
    }

    #[tokio::test]
    async fn dropping_the_listener_ends_its_sessions() {
        let ended = Arc::new(AtomicUsize::new(0));
        let (_trigger, shutdown) = Shutdown::new();
        let listener = Listener::bind(ANY, MANY).unwrap();
        let address = listener.address().network().unwrap();
        let counted = Arc::clone(&ended);
        let terms = Terms {
            security: Security::Plain,
            limits: PATIENT,
            refusal: REFUSAL,
            proxies: Proxies::none(),
            door: Door::open(),
        };
        let task = tokio::spawn(listener.run(terms, shutdown, move |connection| {
            let counted = Arc::clone(&counted);
            async move {
                let _counts = Counting(counted);
                echo(connection).await;
            }
        }));
        let (mut client, _) = greeted(address).await;
        task.abort();
        assert!(task.await.is_err());
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    }

    struct Counting(Arc<AtomicUsize>);

    impl Drop for Counting {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn implicit_tls_comes_before_the_session() {
        let tls = Tls::new();
        let listener = Listener::bind(ANY, MANY).unwrap();
        let listener = run(listener, Security::Implicit(tls.server), PATIENT);
        let mut client =
            Connection::connect(&listener.address.ip().to_string(), listener.address.port(), PATIENT)
                .await
                .unwrap();
        client.connect_tls(tls.client, Tls::name()).await.unwrap();
        assert_eq!(client.read_line(100).await.unwrap(), Line::Complete(b"220 ready".to_vec()));
        client.close().await;
    }

    #[tokio::test]
    async fn a_peer_that_begins_no_handshake_loses_its_place() {
        let tls = Tls::new();
        let limits = ConnectionLimits { handshake: SOON, ..PATIENT };
        let listener = Listener::bind(ANY, ListenerLimits { connections_max: 1, ..MANY }).unwrap();
        let listener = run(listener, Security::Implicit(tls.server), limits);
        let mut client = TcpStream::connect(listener.address).await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let listener = Listener::bind(ANY, MANY).unwrap();
        let error = Listener::bind(listener.address().clone(), MANY).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&listener.address().to_string()), "{error}");
    }

    #[tokio::test]
    async fn a_unix_socket_serves_as_tcp_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let limits = ListenerLimits { connections_max: 1, connections_per_address_max: 1 };
        let listener = Listener::bind(ListenAddress::Unix(path.clone()), limits).unwrap();
        let running = run(listener, Security::Plain, PATIENT);
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"hello\r\n").await.unwrap();
        let mut said = [0; 18];
        client.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"220 ready\r\nhello\r\n");
        let mut refused = Vec::new();
        UnixStream::connect(&path).await.unwrap().read_to_end(&mut refused).await.unwrap();
        assert_eq!(refused, REFUSAL);
        running.trigger.trigger();
        drop(client);
        running.task.await.unwrap();
        assert!(!path.exists(), "the socket goes with its listener");
    }

    const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n";

    fn loopback() -> Proxies {
        Proxies::new(&["127.0.0.0/8".parse().unwrap()], PATIENT.handshake)
    }

    /// All that the server says to `octets`, until it has closed.
    async fn said_to(address: SocketAddr, octets: &[u8]) -> String {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(octets).await.unwrap();
        client.shutdown().await.unwrap();
        let mut said = String::new();
        // A reset has said what there was to say.
        let _ = client.read_to_string(&mut said).await;
        said
    }

    #[tokio::test]
    async fn a_trusted_proxy_must_say_its_header_first() {
        let listener = Listener::bind(ANY, MANY).unwrap();
        let running = run_behind(loopback(), listener, Security::Plain, PATIENT);
        let with_header = [HEADER, b"hello\r\n"].concat();
        assert_eq!(said_to(running.address, &with_header).await, "220 ready\r\nhello\r\n");
        let binary = [b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0hello\r\n".as_slice()].concat();
        assert_eq!(said_to(running.address, &binary).await, "220 ready\r\nhello\r\n");
        assert_eq!(said_to(running.address, b"hello\r\n").await, "");
        assert_eq!(said_to(running.address, HEADER.split_at(20).0).await, "");
    }

    #[tokio::test]
    async fn from_anybody_else_the_header_is_a_line_like_any_other() {
        let proxies = Proxies::new(&["192.0.2.0/24".parse().unwrap()], PATIENT.handshake);
        let running = run_behind(proxies, Listener::bind(ANY, MANY).unwrap(), Security::Plain, PATIENT);
        let said = said_to(running.address, HEADER).await;
        assert_eq!(said.as_bytes(), [b"220 ready\r\n", HEADER].concat());
    }

    #[tokio::test]
    async fn clients_of_a_proxy_count_each_for_its_address() {
        let limits = ListenerLimits { connections_per_address_max: 1, ..MANY };
        let listener = Listener::bind(ANY, limits).unwrap();
        let running = run_behind(loopback(), listener, Security::Plain, PATIENT);
        let mut places = Vec::new();
        for client in ["192.0.2.1", "192.0.2.2"] {
            let header = format!("PROXY TCP4 {client} 198.51.100.1 1 25\r\n");
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(header.as_bytes()).await.unwrap();
            let mut greeting = [0; 11];
            stream.read_exact(&mut greeting).await.unwrap();
            assert_eq!(&greeting, b"220 ready\r\n");
            places.push(stream);
            assert_eq!(said_to(running.address, header.as_bytes()).await.as_bytes(), REFUSAL);
        }
    }

    #[tokio::test]
    async fn a_header_comes_before_tls() {
        let tls = Tls::new();
        let listener = Listener::bind(ANY, MANY).unwrap();
        let running = run_behind(loopback(), listener, Security::Implicit(tls.server), PATIENT);
        let host = running.address.ip().to_string();
        let mut client = Connection::connect(&host, running.address.port(), PATIENT).await.unwrap();
        client.write(HEADER);
        client.connect_tls(tls.client, Tls::name()).await.unwrap();
        assert_eq!(client.read_line(100).await.unwrap(), Line::Complete(b"220 ready".to_vec()));
        client.close().await;
    }

    #[tokio::test]
    async fn a_proxy_that_says_no_header_in_time_loses_its_place() {
        let proxies = Proxies::new(&["127.0.0.1".parse().unwrap()], SOON);
        let running = run_behind(proxies, Listener::bind(ANY, MANY).unwrap(), Security::Plain, PATIENT);
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(b"PROXY ").await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn whoever_is_refused_at_the_door_hears_so_before_anything_else() {
        let door = |address: &str| Door::kept_by(Arc::new(OnlyFrom(address.parse().unwrap())));
        let terms =
            |security, proxies, door| Terms { security, limits: PATIENT, refusal: REFUSAL, proxies, door };
        let plain = |door| terms(Security::Plain, Proxies::none(), door);
        let running = run_on(plain(door("127.0.0.1")), Listener::bind(ANY, MANY).unwrap());
        assert_eq!(greeted(running.address).await.1, "220 ready\r\n");
        let running = run_on(plain(door("192.0.2.7")), Listener::bind(ANY, MANY).unwrap());
        let (mut client, refusal) = greeted(running.address).await;
        assert_eq!(refusal.as_bytes(), REFUSAL);
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);

        let behind = terms(Security::Plain, loopback(), door("192.0.2.7"));
        let running = run_on(behind, Listener::bind(ANY, MANY).unwrap());
        for (client, said) in [("192.0.2.7", &b"220 ready\r\n"[..]), ("192.0.2.8", REFUSAL)] {
            let mut proxy = TcpStream::connect(running.address).await.unwrap();
            let header = format!("PROXY TCP4 {client} 198.51.100.1 1 25\r\n");
            proxy.write_all(header.as_bytes()).await.unwrap();
            let mut heard = vec![0; said.len()];
            proxy.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, said, "{client}");
        }

        let tls = Security::Implicit(Tls::new().server);
        let running =
            run_on(terms(tls, Proxies::none(), door("192.0.2.7")), Listener::bind(ANY, MANY).unwrap());
        let mut client = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0, "not even a handshake");
    }

    #[tokio::test]
    async fn a_proxy_elsewhere_cannot_speak_for_this_machine() {
        let (_trigger, shutdown) = Shutdown::new();
        for (proxy, is_believed) in [("127.0.0.1:1", true), ("192.0.2.9:1", false)] {
            let (one, mut other) = UnixStream::pair().unwrap();
            other.write_all(b"PROXY TCP4 127.0.0.1 198.51.100.1 1 25\r\n").await.unwrap();
            let mut channel = super::super::channel::Channel::new(one.into());
            let proxy = Endpoint::from(proxy.parse::<SocketAddr>().unwrap());
            let origin = loopback().origin(&mut channel, proxy, &shutdown).await;
            match origin {
                Ok(origin) => assert!(is_believed && origin.is_some()),
                Err(error) => assert!(!is_believed && matches!(error, OriginError::Loopback)),
            }
        }
    }

    #[test]
    fn a_burst_is_told_once_a_minute_with_what_was_left_out() {
        let mut burst = Burst::new();
        let start = clock::instant();
        assert_eq!(burst.say(start), Some(0));
        assert_eq!(burst.say(start + Duration::from_secs(1)), None);
        assert_eq!(burst.say(start + Duration::from_secs(2)), None);
        assert_eq!(burst.say(start + REPEAT), Some(2));
    }
}
