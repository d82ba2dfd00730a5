//! Programs of others that fetch mail, as their users run them.

use std::fs;
use std::io;
use std::path::Path;

use crate::clients::{Said, run};
use crate::senders::{Way, with_lf};
use crate::server::Server;

/// A program that fetches mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetcher {
    /// Python's `poplib`.
    Poplib,
    /// curl.
    Curl,
    /// mpop.
    Mpop,
    /// `openssl s_client` and somebody who types the protocol.
    OpenSsl,
}

/// What a program fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// What it said.
    pub said: Said,
    /// The first message of the maildrop, with the line ends that the program gives it.
    pub message: Option<Vec<u8>>,
}

impl Fetcher {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Poplib, Self::Curl, Self::Mpop, Self::OpenSsl];

    /// What has to be installed.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Poplib => "python3",
            Self::Curl => "curl",
            Self::Mpop => "mpop",
            Self::OpenSsl => "openssl",
        }
    }

    /// `content` with the line ends that the program gives it.
    #[must_use]
    pub fn as_fetched(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Poplib | Self::Curl | Self::OpenSsl => content.to_vec(),
            Self::Mpop => with_lf(content),
        }
    }

    /// Fetches the first message of a maildrop and leaves it there.
    ///
    /// # Errors
    /// Where the program cannot be run; whether it was successful is in what it said.
    pub fn fetch(self, server: &Server, way: Way, login: &str, password: &str) -> io::Result<Fetched> {
        let addresses = server.addresses()?;
        let port = match way {
            Way::StartTls => addresses.pop3.port(),
            Way::Tls => addresses.pop3s.port(),
        };
        let authority = server.certificate().authority.display().to_string();
        let call = Call { way, port: port.to_string(), authority, login, password };
        match self {
            Self::Poplib => call.poplib(),
            Self::Curl => call.curl(),
            Self::Mpop => call.mpop(&server.folder().join(format!("mpop-{login}-{way:?}"))),
            Self::OpenSsl => call.openssl(),
        }
    }
}

/// One maildrop to be looked at.
struct Call<'a> {
    way: Way,
    port: String,
    authority: String,
    login: &'a str,
    password: &'a str,
}

impl Call<'_> {
    fn poplib(&self) -> io::Result<Fetched> {
        const PROGRAM: &str = "
import poplib, ssl, sys
port, way, authority, login, password = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
if way == 'tls':
    pop = poplib.POP3_SSL('127.0.0.1', int(port), context=context)
else:
    pop = poplib.POP3('127.0.0.1', int(port))
    pop.stls(context=context)
pop.user(login)
pop.pass_(password)
sys.stdout.buffer.write(b''.join(line + b'\\r\\n' for line in pop.retr(1)[1]))
pop.quit()
";
        let way = match self.way {
            Way::StartTls => "stls",
            Way::Tls => "tls",
        };
        let arguments = ["-c", PROGRAM, &self.port, way, &self.authority, self.login, self.password];
        Ok(printed(run("python3", &arguments, b"")?))
    }

    fn curl(&self) -> io::Result<Fetched> {
        let url = match self.way {
            Way::StartTls => format!("pop3://127.0.0.1:{}/1", self.port),
            Way::Tls => format!("pop3s://127.0.0.1:{}/1", self.port),
        };
        let user = format!("{}:{}", self.login, self.password);
        let arguments = ["--silent", "--show-error", "--ssl-reqd", "--cacert", &self.authority];
        Ok(printed(run("curl", &[arguments.as_slice(), &["--user", &user, "--url", &url]].concat(), b"")?))
    }

    fn mpop(&self, folder: &Path) -> io::Result<Fetched> {
        let maildir = folder.join("maildir");
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(name))?;
        }
        let start_tls = match self.way {
            Way::StartTls => "--tls-starttls=on",
            Way::Tls => "--tls-starttls=off",
        };
        let arguments = [
            "--file=/dev/null".to_owned(),
            "--host=127.0.0.1".to_owned(),
            format!("--port={}", self.port),
            "--tls=on".to_owned(),
            start_tls.to_owned(),
            format!("--tls-trust-file={}", self.authority),
            "--auth=on".to_owned(),
            format!("--user={}", self.login),
            format!("--passwordeval=echo {}", self.password),
            "--keep=on".to_owned(),
            "--received-header=off".to_owned(),
            format!("--uidls-file={}", folder.join("uidls").display()),
            format!("--delivery=maildir,{}", maildir.display()),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = run("mpop", &arguments, b"")?;
        let mut files: Vec<_> = fs::read_dir(maildir.join("new"))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        let message = files.first().map(fs::read).transpose()?;
        fs::remove_dir_all(folder)?;
        Ok(Fetched { said, message })
    }

    fn openssl(&self) -> io::Result<Fetched> {
        let typed = format!("USER {}\r\nPASS {}\r\nRETR 1\r\nQUIT\r\n", self.login, self.password);
        let address = format!("127.0.0.1:{}", self.port);
        let arguments = ["s_client", "-quiet", "-verify_return_error", "-CAfile", &self.authority];
        let start_tls: &[&str] = match self.way {
            Way::StartTls => &["-starttls", "pop3"],
            Way::Tls => &[],
        };
        let arguments = [&arguments, start_tls, &["-connect", &address]].concat();
        let mut said = run("openssl", &arguments, typed.as_bytes())?;
        let message = answer_to_retr(&said.output);
        said.success = message.is_some();
        Ok(Fetched { said, message })
    }
}

/// A program that prints the message.
fn printed(said: Said) -> Fetched {
    let message = said.success.then(|| said.output.clone());
    Fetched { said, message }
}

/// The message in what the server said to the lines that were typed, unstuffed.
fn answer_to_retr(said: &[u8]) -> Option<Vec<u8>> {
    let mut lines = said.split_inclusive(|&octet| octet == b'\n');
    lines.find(|line| line.starts_with(b"+OK") && line.ends_with(b" octets\r\n"))?;
    let mut message = Vec::new();
    for line in lines {
        if line == b".\r\n" {
            return Some(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    None
}
