//! The server under test: `mailstack up` on ports of its own, with everything it has in a folder of its own.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_rustls::rustls::ClientConfig;

use crate::certificate::Certificate;
use crate::deadline::wait_for;
use crate::dialogue::ClearLogin;
use crate::player::Peer as _;
use crate::pop3::Pop3;
use crate::programs::program;
use crate::smtp::Smtp;
use crate::stream::Stream;

/// The accounts that every server has.
pub const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

/// Lines of the log that a failed test shows.
const LOG_LINES_SHOWN: usize = 40;

/// A folder with configuration, certificate and store, and the process that serves it.
pub struct Server {
    folder: TempDir,
    certificate: Certificate,
    running: Option<Running>,
}

/// Where the services answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// SMTP for other servers.
    pub reception: SocketAddr,
    /// SMTP for users, with STARTTLS.
    pub submission: SocketAddr,
    /// SMTP for users, with TLS from the first octet.
    pub submissions: SocketAddr,
    /// LMTP over TCP; [`Server::lmtp_socket`] is the other one.
    pub lmtp: SocketAddr,
    /// POP3, with STLS.
    pub pop3: SocketAddr,
    /// POP3 with TLS from the first octet.
    pub pop3s: SocketAddr,
}

struct Running {
    child: Child,
    addresses: Addresses,
}

/// What differs from one server to the next.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Whether login needs TLS.
    pub clear_login: ClearLogin,
    /// Where the store lies, if not in the server's folder.
    pub store: Option<PathBuf>,
    /// More lines of the table `[store]`.
    pub store_keys: &'static str,
    /// Who signs the certificates of clients, in PEM form; nobody, usually.
    pub client_authority: Option<PathBuf>,
    /// More lines of the table `[tls]`.
    pub tls: &'static str,
    /// Lines of the table `[guard]`.
    pub guard: &'static str,
    /// More lines of the table `[smtp]`.
    pub smtp: &'static str,
    /// Lines of the table `[relay]`, `{}` in them for the folder; usually mail for other domains goes to a port where
    /// nobody listens.
    pub relay: String,
    /// More lines of the table `[pop3]`.
    pub pop3: &'static str,
    /// More tables, with their names. Without a table `[checks]` among them nobody is asked about mail from outside.
    pub tables: String,
    /// Accounts besides [`ACCOUNTS`], with the same form of password.
    pub accounts: Vec<&'static str>,
    /// What the server is run by: a program and its arguments, `{}` in them for the folder; nothing, usually.
    pub wrapper: Vec<&'static str>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            clear_login: ClearLogin::Allowed,
            store: None,
            store_keys: "",
            client_authority: None,
            tls: "",
            guard: "",
            smtp: "",
            relay: "routes = [{ host = \"127.0.0.1\", port = 9, tls = \"never\" }]".to_owned(),
            pop3: "",
            tables: String::new(),
            accounts: Vec::new(),
            wrapper: Vec::new(),
        }
    }
}

impl Server {
    /// Makes a new world and starts the server.
    ///
    /// # Errors
    /// Where anything of that fails; the text has what the server said.
    pub fn start(configuration: &Configuration) -> io::Result<Self> {
        let folder = TempDir::with_prefix("mailstack-test-")?;
        let certificate = Certificate::make(folder.path())?;
        let mut server = Self { folder, certificate, running: None };
        fs::write(server.file("mailstack.toml"), server.toml(configuration))?;
        for account in ACCOUNTS.iter().chain(&configuration.accounts) {
            let login = format!("{account}@example.test");
            server.mailstack(&["account", "add", &login], &format!("pw-{account}\n"))?;
        }
        server.mailstack(&["alias", "add", "postmaster@example.test", "alice@example.test"], "")?;
        server.run(configuration)?;
        Ok(server)
    }

    /// A server with nothing special about it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn usual() -> io::Result<Self> {
        Self::start(&Configuration::default())
    }

    /// Starts the process again on what it has left.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn run(&mut self, configuration: &Configuration) -> io::Result<()> {
        let log = self.file("log");
        let begin = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let output = File::options().create(true).append(true).open(&log)?;
        let mut words: Vec<String> =
            configuration.wrapper.iter().map(|word| word.replace("{}", &self.text_path())).collect();
        words.push(program("mailstack")?.display().to_string());
        let (first, arguments) = words.split_first().ok_or_else(|| io::Error::other("nothing to run"))?;
        let mut child = Command::new(first)
            .args(arguments)
            .args(["up", "--config"])
            .arg(self.file("mailstack.toml"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let addresses = wait_for("the server to come up", || {
            let said = fs::read(&log)?;
            let said = String::from_utf8_lossy(said.split_at(usize_of(begin).min(said.len())).1).into_owned();
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("the server ended with {status}:\n{said}")));
            }
            Ok(addresses(&said))
        });
        match addresses {
            Ok(addresses) => {
                self.running = Some(Running { child, addresses });
                Ok(())
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(io::Error::new(error.kind(), format!("{error}\n{}", self.log())))
            }
        }
    }

    /// Runs an administration command on this server's configuration.
    ///
    /// # Errors
    /// Where it fails; the text has what it said.
    pub fn mailstack(&self, arguments: &[&str], input: &str) -> io::Result<String> {
        let mut child = Command::new(program("mailstack")?)
            .args(arguments)
            .arg("--config")
            .arg(self.file("mailstack.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("mailstack {arguments:?} failed: {said}{complaint}")))
    }

    /// Where the services answer.
    ///
    /// # Errors
    /// Where the server does not run.
    pub fn addresses(&self) -> io::Result<Addresses> {
        let running = self.running.as_ref().ok_or_else(|| io::Error::other("the server does not run"))?;
        Ok(running.addresses)
    }

    /// The certificate and its files.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// How our own clients trust the server.
    #[must_use]
    pub const fn trust(&self) -> &Arc<ClientConfig> {
        &self.certificate.trust
    }

    /// The folder of everything that this server has.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.file("log")).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Lets [`Self::memory_octets_peak`] begin anew (`clear_refs`, proc(5)).
    ///
    /// # Errors
    /// Where the server does not run, or the system does not allow it.
    pub fn forget_memory_peak(&self) -> io::Result<()> {
        let running = self.running.as_ref().ok_or_else(|| io::Error::other("the server does not run"))?;
        fs::write(format!("/proc/{}/clear_refs", running.child.id()), "5")
    }

    /// The most memory that the process has had at one time (`VmHWM`, proc(5)).
    ///
    /// # Errors
    /// Where the server does not run, or the system does not say.
    pub fn memory_octets_peak(&self) -> io::Result<u64> {
        let running = self.running.as_ref().ok_or_else(|| io::Error::other("the server does not run"))?;
        let status = fs::read_to_string(format!("/proc/{}/status", running.child.id()))?;
        let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        let kibibytes = kibibytes.and_then(|number| number.trim().parse::<u64>().ok());
        kibibytes.map(|number| number << 10).ok_or_else(|| io::Error::other("no VmHWM"))
    }

    /// Sends SIGHUP, after which certificates are read again.
    ///
    /// # Errors
    /// Where the server does not run.
    pub fn hang_up(&self) -> io::Result<()> {
        let running = self.running.as_ref().ok_or_else(|| io::Error::other("the server does not run"))?;
        signal(&running.child, Signal::HUP)
    }

    /// Sends SIGTERM, as an operator does.
    ///
    /// # Errors
    /// Where the server does not run.
    pub fn terminate(&self) -> io::Result<()> {
        let running = self.running.as_ref().ok_or_else(|| io::Error::other("the server does not run"))?;
        signal(&running.child, Signal::TERM)
    }

    /// Sends SIGKILL, which ends the process wherever it is; [`Self::ended`] says when it has.
    ///
    /// # Errors
    /// Where the server does not run.
    pub fn signal_kill(&self) -> io::Result<()> {
        let running = self.running.as_ref().ok_or_else(|| io::Error::other("the server does not run"))?;
        signal(&running.child, Signal::KILL)
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    /// Where it does not run, or does not end.
    pub fn ended(&mut self) -> io::Result<ExitStatus> {
        let running = self.running.as_mut().ok_or_else(|| io::Error::other("the server does not run"))?;
        let status = wait_for("the server to end", || running.child.try_wait())?;
        self.running = None;
        Ok(status)
    }

    /// Connects to submission, switches to TLS and logs in.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn submission(&self, account: &str) -> io::Result<Smtp> {
        let mut smtp = Smtp::clear(self.addresses()?.submission, self.trust())?;
        smtp.start_tls()?;
        smtp.login(&format!("{account}@example.test"), &format!("pw-{account}"))?;
        Ok(smtp)
    }

    /// Connects to the port for other servers.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn reception(&self) -> io::Result<Smtp> {
        Smtp::clear(self.addresses()?.reception, self.trust())
    }

    /// Connects to a service as a client at this address: the connection begins with the line of a proxy (PROXY protocol,
    /// version 1), and `proxy_trusted` in the configuration must name 127.0.0.1.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn connection_of(&self, client: &str, service: SocketAddr) -> io::Result<Stream> {
        let mut stream = Stream::clear(service, self.trust())?;
        let (family, local) =
            if client.contains(':') { ("TCP6", "2001:db8::25") } else { ("TCP4", "198.51.100.25") };
        stream.send(format!("PROXY {family} {client} {local} 56324 25\r\n").as_bytes())?;
        Ok(stream)
    }

    /// As [`Self::connection_of`], to the port for other servers, up to the reply to EHLO.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn reception_of(&self, client: &str) -> io::Result<Smtp> {
        Smtp::new(self.connection_of(client, self.addresses()?.reception)?)
    }

    /// Connects to POP3 over TLS and logs in to an account's maildrop, or to that of a subaddress.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn maildrop(&self, name: &str) -> io::Result<Pop3> {
        let mut pop3 = Pop3::new(Stream::tls(self.addresses()?.pop3s, self.trust())?)?;
        let account = name.split('+').next().unwrap_or(name);
        pop3.login(&format!("{name}@example.test"), &format!("pw-{account}"))?;
        Ok(pop3)
    }

    /// The same in UTF-8 mode (RFC 6856 §2.1), where every message comes as it is stored.
    ///
    /// # Errors
    /// As [`Self::maildrop`].
    pub fn utf8_maildrop(&self, account: &str) -> io::Result<Pop3> {
        let mut pop3 = Pop3::new(Stream::tls(self.addresses()?.pop3s, self.trust())?)?;
        pop3.ask("UTF8")?;
        pop3.login(&format!("{account}@example.test"), &format!("pw-{account}"))?;
        Ok(pop3)
    }

    /// Where LMTP is spoken over a Unix socket.
    #[must_use]
    pub fn lmtp_socket(&self) -> PathBuf {
        self.file("lmtp.sock")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text_path(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn toml(&self, configuration: &Configuration) -> String {
        let folder = self.text_path();
        let store = configuration.store.clone().unwrap_or_else(|| self.file("store"));
        let clear_login = match configuration.clear_login {
            ClearLogin::Allowed => "loopback",
            ClearLogin::Never => "never",
        };
        let client_authority = configuration.client_authority.clone().unwrap_or_default();
        format!(
            r#"version = 1

[server]
hostname = "mail.example.test"
domains = ["example.test", "second.test", "caught.test"]

[tls]
certificate = "{folder}/certificate.pem"
key = "{folder}/key.pem"
client_ca = "{}"
{}

[store]
path = "{}"
{}

[guard]
{}

[smtp]
reception = ["127.0.0.1:0"]
submission = ["127.0.0.1:0"]
submissions = ["127.0.0.1:0"]
lmtp = ["127.0.0.1:0", "unix:{folder}/lmtp.sock"]
clear_login = "{clear_login}"
{}

[relay]
{}

[pop3]
pop3 = ["127.0.0.1:0"]
pop3s = ["127.0.0.1:0"]
clear_login = "{clear_login}"
{}

{}
{}
"#,
            client_authority.display(),
            configuration.tls,
            store.display(),
            configuration.store_keys,
            configuration.guard,
            configuration.smtp,
            configuration.relay.replace("{}", &folder),
            configuration.pop3,
            configuration.tables,
            if configuration.tables.contains("[checks]") { "" } else { "[checks]\nenabled = false" },
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if std::thread::panicking() {
            let mut output = io::stderr();
            let log = self.log();
            let last = log.lines().count().saturating_sub(LOG_LINES_SHOWN);
            let lines: Vec<&str> = log.lines().skip(last).collect();
            let _ = writeln!(output, "the server's log ends with:\n{}", lines.join("\n"));
        }
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
    Ok(kill_process(pid, signal)?)
}

pub(crate) fn usize_of(octets: u64) -> usize {
    usize::try_from(octets).unwrap_or(usize::MAX)
}

/// The addresses that the server says it serves, once it has said all of them.
fn addresses(said: &str) -> Option<Addresses> {
    Some(Addresses {
        reception: address(said, "reception")?,
        submission: address(said, "submission")?,
        submissions: address(said, "submissions")?,
        lmtp: address(said, "lmtp")?,
        pop3: address(said, "pop3")?,
        pop3s: address(said, "pop3s")?,
    })
}

/// The first address in ` name=[127.0.0.1:4025]`.
pub(crate) fn address(said: &str, name: &str) -> Option<SocketAddr> {
    let (_, rest) = said.split_once(&format!(" {name}=["))?;
    rest.split([']', ',']).next()?.parse().ok()
}
