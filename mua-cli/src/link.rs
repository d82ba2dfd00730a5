//! The connection to a server: opened, switched to TLS, read and written, with errors that a user understands.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mailwire::escape::escaped;
use mailwire::line::Line;
use mailwire::net::{Connection, ConnectionLimits, ReadError, TlsError, client_name};
use mailwire::sasl::ScramMeans;
use mailwire::secret::Secret;
use mailwire::tls_policy::TlsPolicy;
use mailwire::{daemon, pop3, smtp};
use tokio_rustls::rustls::ClientConfig;
use tracing::debug;

use crate::failure::{Exit, Failure};
use crate::options::Connect;
use crate::random;
use crate::server::{Protocol, Server, ServerError, Start};
use crate::trust;

/// Most octets of a line that a server may send; RFC 5321 §4.5.3.1.5 and RFC 2449 §4 say 512.
const LINE_OCTETS_MAX: usize = 8192;

/// How long a client waits (RFC 5321 §4.5.3.2): 10 minutes for the reply to a message, less for the rest.
const LIMITS: ConnectionLimits = ConnectionLimits {
    handshake: Duration::from_secs(30),
    idle: Duration::from_mins(10),
    command: Duration::from_mins(2),
    content_idle: Duration::from_mins(3),
    content_octets_per_second_min: 10,
    write: Duration::from_mins(3),
    // A client is never drained.
    drain: Duration::ZERO,
};

/// A connection to a server.
pub(crate) struct Link {
    connection: Connection,
    server: Server,
    tls: Arc<ClientConfig>,
}

/// The server that the command line names.
pub(crate) fn server(connect: &Connect, protocol: Protocol) -> Result<Server, Failure> {
    let server = Server::parse(protocol, &connect.server).map_err(|error| wrong_url(&error))?;
    if connect.clear && server.start == Start::Tls {
        return Err(Failure::new(Exit::Usage, "--clear contradicts a URL that means TLS"));
    }
    Ok(server)
}

fn wrong_url(error: &ServerError) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
        .advise("Example: submission://alice%40example.org@mail.example.org:587 (see mua send --help).")
}

/// Whether the session insists on TLS.
pub(crate) fn tls_policy(connect: &Connect, server: &Server) -> TlsPolicy {
    match server.start {
        Start::Tls => TlsPolicy::Implicit,
        Start::Clear if connect.clear => TlsPolicy::Never,
        Start::Clear if server.is_local() && connect.cert_file.is_none() => TlsPolicy::Local,
        Start::Clear => TlsPolicy::Required,
    }
}

impl Link {
    /// Connects, in TLS where the URL says so.
    pub(crate) async fn open(connect: &Connect, server: Server) -> Result<Self, Failure> {
        if connect.verbose {
            daemon::log::start("mua=debug");
        }
        let tls = trust::client_config(&server, connect.cert_file.as_deref())?;
        let connection = Connection::connect(&server.host, server.port, LIMITS)
            .await
            .map_err(|error| not_connected(&server, &error))?;
        let mut link = Self { connection, server, tls };
        match link.server.start {
            Start::Tls => link.start_tls().await?,
            Start::Clear => {}
        }
        Ok(link)
    }

    /// Switches to TLS.
    pub(crate) async fn start_tls(&mut self) -> Result<(), Failure> {
        let name = client_name(&self.server.host).ok_or_else(|| {
            Failure::new(Exit::Usage, "the server's host is not a name that a certificate can have")
        })?;
        self.connection.connect_tls(Arc::clone(&self.tls), name).await.map_err(|error| {
            let failure = Failure::caused(Exit::Protocol, format!("no TLS with {}", self.server.name()), &error);
            match error {
                TlsError::Injection(_) => failure.advise("Somebody may be tampering with the connection."),
                TlsError::Unavailable | TlsError::TimedOut(_) => failure,
                TlsError::TooWeak(_) => failure.advise("Whoever runs the server must update it."),
                TlsError::Handshake(_) => failure.advise(
                    "If the server is your own and its certificate self-signed, name that certificate by --cert-file.",
                ),
            }
        })
    }

    /// What SCRAM needs on this connection; `None` where the system has no randomness, and other mechanisms are left.
    pub(crate) fn scram_means(&self) -> Option<ScramMeans> {
        let nonce = random::nonce().ok()?;
        Some(ScramMeans { nonce, bindings: self.connection.channel_bindings() })
    }

    /// Queues commands; they leave before the next read.
    pub(crate) fn send(&mut self, commands: &Secret<Vec<u8>>) {
        for line in commands.expose().split(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
            debug!(line = shown(self.server.protocol, line.trim_ascii_end()), "client");
        }
        self.connection.write(commands.expose());
    }

    /// The next line.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, Failure> {
        match self.connection.read_line(LINE_OCTETS_MAX).await {
            Ok(Line::Complete(line)) => {
                debug!(line = escaped(&line), "server");
                Ok(line)
            }
            Ok(Line::TooLong) => Err(Failure::new(
                Exit::Protocol,
                format!("{} sent a line of more than {LINE_OCTETS_MAX} octets", self.server.name()),
            )),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// The connection itself, for content.
    pub(crate) const fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// What a failed read or write means to the user.
    pub(crate) fn broken(&self, error: &ReadError) -> Failure {
        Failure::caused(Exit::TryAgain, format!("the connection to {} broke", self.server.name()), error)
    }

    /// Closes the connection.
    pub(crate) async fn close(self) {
        self.connection.close().await;
    }
}

fn not_connected(server: &Server, error: &io::Error) -> Failure {
    let what = format!("connecting to {} failed", server.name());
    // A name that is not found is no error of the system's network calls.
    if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::TimedOut {
        return Failure::caused(Exit::TryAgain, what, error)
            .advise("Check whether the server runs, and whether the port is the right one.");
    }
    Failure::caused(Exit::NoHost, what, error).advise("Check the host's name.")
}

/// A command for the user's eyes: what could hold a password is left out, and so is what is no command, since it
/// answers a challenge.
fn shown(protocol: Protocol, line: &[u8]) -> String {
    const HIDDEN: &str = "(hidden)";
    match protocol {
        Protocol::Smtp => match smtp::parse(line) {
            Ok(smtp::Command::Auth { mechanism, .. }) => format!("AUTH {mechanism} {HIDDEN}"),
            Ok(_) => escaped(line),
            Err(_) => HIDDEN.to_owned(),
        },
        Protocol::Pop3 => match pop3::parse(line) {
            Ok(pop3::Command::Auth { mechanism, .. }) => format!("AUTH {mechanism} {HIDDEN}"),
            Ok(pop3::Command::Pass(_)) => format!("PASS {HIDDEN}"),
            Ok(pop3::Command::Apop(name, _)) => format!("APOP {} {HIDDEN}", escaped(name.as_bytes())),
            Ok(_) => escaped(line),
            Err(_) => HIDDEN.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(url: &str) -> Connect {
        Connect {
            server: url.to_owned(),
            clear: false,
            cert_file: None,
            verbose: false,
            password_stdin: false,
        }
    }

    fn policy(connect: &Connect) -> TlsPolicy {
        tls_policy(connect, &server(connect, Protocol::Smtp).unwrap())
    }

    #[test]
    fn tls_is_required_unless_the_server_is_local_or_the_user_says_so() {
        assert_eq!(policy(&connect("smtp://mail.example.test")), TlsPolicy::Required);
        assert_eq!(policy(&connect("submission://[::1]")), TlsPolicy::Local);
        assert_eq!(policy(&connect("submissions://localhost")), TlsPolicy::Implicit);
        assert_eq!(policy(&Connect { clear: true, ..connect("smtp://mail.example.test") }), TlsPolicy::Never);
        let named = Connect { cert_file: Some("c.pem".into()), ..connect("smtp://localhost") };
        assert_eq!(policy(&named), TlsPolicy::Required);
    }

    #[test]
    fn no_password_is_shown() {
        for (protocol, line) in [
            (Protocol::Smtp, "AUTH PLAIN AGEAcHc="),
            (Protocol::Smtp, "cHc="),
            (Protocol::Pop3, "AUTH PLAIN AGEAcHc="),
            (Protocol::Pop3, "PASS cHc="),
            (Protocol::Pop3, "cHc="),
        ] {
            let shown = shown(protocol, line.as_bytes());
            assert!(shown.ends_with("(hidden)") && !shown.contains("cHc="), "{shown}");
        }
        assert_eq!(shown(Protocol::Smtp, b"MAIL FROM:<a@b.example>"), "MAIL FROM:<a@b.example>");
    }

    #[test]
    fn clear_contradicts_implicit_tls() {
        let clear = Connect { clear: true, ..connect("submissions://mail.example.test") };
        assert_eq!(server(&clear, Protocol::Smtp).unwrap_err().exit(), Exit::Usage);
        assert_eq!(server(&connect("mail.example.test"), Protocol::Smtp).unwrap_err().exit(), Exit::Usage);
    }
}
