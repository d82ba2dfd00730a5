//! Programs of others that submit mail, as their users run them.

use std::fs;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clients::{Said, available, run, skipped};
use crate::server::Server;

/// A program that submits mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Python's `smtplib`.
    Smtplib,
    /// curl.
    Curl,
    /// msmtp.
    Msmtp,
    /// swaks.
    Swaks,
    /// Nodemailer, by node.
    Nodemailer,
    /// `openssl s_client` and somebody who types the protocol.
    OpenSsl,
}

/// How it comes to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By STARTTLS or STLS.
    StartTls,
    /// From the first octet.
    Tls,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// Both ways.
pub const WAYS: [Way; 2] = [Way::StartTls, Way::Tls];

/// Who sends what to whom.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    /// The login, which is the sender's address as well.
    pub login: &'a str,
    /// The password.
    pub password: &'a str,
    /// The recipient's address.
    pub recipient: &'a str,
    /// The message.
    pub content: &'a [u8],
}

impl Sender {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Smtplib, Self::Curl, Self::Msmtp, Self::Swaks, Self::Nodemailer, Self::OpenSsl];

    /// True where it is installed; says loudly that something is skipped where it is not.
    ///
    /// # Errors
    /// With `CI=true` in the environment, where nothing may be skipped.
    pub fn is_available(self) -> io::Result<bool> {
        if !available(self.program())? {
            return Ok(false);
        }
        match self {
            Self::Smtplib | Self::Curl | Self::Msmtp | Self::Swaks | Self::OpenSsl => Ok(true),
            Self::Nodemailer => {
                let found = run("node", &["-e", "require('nodemailer')"], b"")?.success;
                if !found {
                    skipped("node finds no nodemailer (NODE_PATH names the folder it lies in)")?;
                }
                Ok(found)
            }
        }
    }

    /// What has to be installed.
    const fn program(self) -> &'static str {
        match self {
            Self::Smtplib => "python3",
            Self::Curl => "curl",
            Self::Msmtp => "msmtp",
            Self::Swaks => "swaks",
            Self::Nodemailer => "node",
            Self::OpenSsl => "openssl",
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Where the program cannot be run; whether it was successful is in what it said.
    pub fn send(self, server: &Server, way: Way, mail: &Mail) -> io::Result<Said> {
        let addresses = server.addresses()?;
        let port = match way {
            Way::StartTls => addresses.submission.port(),
            Way::Tls => addresses.submissions.port(),
        };
        let authority = server.certificate().authority.display().to_string();
        let call = Call { way, port: port.to_string(), authority, mail };
        match self {
            Self::Smtplib => call.smtplib(),
            Self::Curl => call.curl(server),
            Self::Msmtp => call.msmtp(),
            Self::Swaks => call.swaks(server),
            Self::Nodemailer => call.nodemailer(),
            Self::OpenSsl => call.openssl(),
        }
    }
}

/// One message to be sent.
struct Call<'a> {
    way: Way,
    port: String,
    authority: String,
    mail: &'a Mail<'a>,
}

impl Call<'_> {
    fn smtplib(&self) -> io::Result<Said> {
        const PROGRAM: &str = "
import smtplib, ssl, sys
port, way, authority, login, password, recipient = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
content = sys.stdin.buffer.read()
if way == 'tls':
    smtp = smtplib.SMTP_SSL('127.0.0.1', int(port), context=context)
else:
    smtp = smtplib.SMTP('127.0.0.1', int(port))
    smtp.starttls(context=context)
smtp.login(login, password)
smtp.sendmail(login, [recipient], content)
smtp.quit()
";
        let Mail { login, password, recipient, content } = self.mail;
        let way = self.way.name();
        let arguments = ["-c", PROGRAM, &self.port, way, &self.authority, login, password, recipient];
        run("python3", &arguments, content)
    }

    fn curl(&self, server: &Server) -> io::Result<Said> {
        let file = self.file(server, self.mail.content)?;
        let url = match self.way {
            Way::StartTls => format!("smtp://127.0.0.1:{}", self.port),
            Way::Tls => format!("smtps://127.0.0.1:{}", self.port),
        };
        let Mail { login, password, recipient, .. } = self.mail;
        let user = format!("{login}:{password}");
        let arguments =
            ["--silent", "--show-error", "--ssl-reqd", "--cacert", &self.authority, "--user", &user];
        let mail = ["--mail-from", login, "--mail-rcpt", recipient, "--upload-file", &file, "--url", &url];
        run("curl", &[arguments.as_slice(), &mail].concat(), b"")
    }

    fn msmtp(&self) -> io::Result<Said> {
        let Mail { login, password, recipient, content } = self.mail;
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
            format!("--user={login}"),
            format!("--passwordeval=echo {password}"),
            format!("--from={login}"),
            "--".to_owned(),
            (*recipient).to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run("msmtp", &arguments, &with_lf(content))
    }

    fn swaks(&self, server: &Server) -> io::Result<Said> {
        let Mail { login, password, recipient, content } = self.mail;
        // It adds a line end of its own.
        let content = content.strip_suffix(b"\r\n").unwrap_or(content);
        let file = format!("@{}", self.file(server, &with_lf(content))?);
        let tls = match self.way {
            Way::StartTls => "--tls",
            Way::Tls => "--tlsc",
        };
        let connection = ["--server", "127.0.0.1", "--port", &self.port, tls, "--tls-verify"];
        let trust = ["--tls-ca-path", &self.authority];
        let user = ["--auth", "PLAIN", "--auth-user", login, "--auth-password", password];
        let mail = ["--from", login, "--to", recipient, "--data", &file];
        run("swaks", &[connection.as_slice(), &trust, &user, &mail].concat(), b"")
    }

    fn nodemailer(&self) -> io::Result<Said> {
        const PROGRAM: &str = "
const [port, way, authority, user, pass, recipient] = process.argv.slice(1);
const fs = require('fs');
const transport = require('nodemailer').createTransport({
  host: '127.0.0.1', port: Number(port), secure: way === 'tls', requireTLS: true,
  tls: { ca: fs.readFileSync(authority) }, auth: { user, pass },
});
const mail = { envelope: { from: user, to: [recipient] }, raw: fs.readFileSync(0) };
transport.sendMail(mail).then(
  (info) => console.log(info.response),
  (error) => { console.error(error.message); process.exitCode = 1; },
);
";
        let Mail { login, password, recipient, content } = self.mail;
        let way = self.way.name();
        let arguments = ["-e", PROGRAM, &self.port, way, &self.authority, login, password, recipient];
        run("node", &arguments, content)
    }

    /// All that somebody would type, sent at once: the server reads what it can use and keeps the rest.
    fn openssl(&self) -> io::Result<Said> {
        let Mail { login, password, recipient, content } = self.mail;
        let token = STANDARD.encode(format!("\0{login}\0{password}"));
        let mut typed = format!(
            "EHLO client.example.test\r\nAUTH PLAIN {token}\r\nMAIL FROM:<{login}>\r\n\
             RCPT TO:<{recipient}>\r\nDATA\r\n"
        )
        .into_bytes();
        for line in content.split_inclusive(|&octet| octet == b'\n') {
            typed.extend_from_slice(if line.starts_with(b".") { b"." } else { b"" });
            typed.extend_from_slice(line);
        }
        typed.extend_from_slice(b".\r\nQUIT\r\n");
        let address = format!("127.0.0.1:{}", self.port);
        let arguments = ["s_client", "-quiet", "-verify_return_error", "-CAfile", &self.authority];
        let start_tls: &[&str] = match self.way {
            Way::StartTls => &["-starttls", "smtp"],
            Way::Tls => &[],
        };
        let mut said = run("openssl", &[&arguments, start_tls, &["-connect", &address]].concat(), &typed)?;
        // The program does not know what was said; the reply to the final dot does.
        said.success = String::from_utf8_lossy(&said.output).contains("Message accepted");
        Ok(said)
    }

    /// A file with `content`, in the server's folder.
    fn file(&self, server: &Server, content: &[u8]) -> io::Result<String> {
        let name = format!("{}-{:?}-{}", self.mail.login, self.way, self.mail.recipient);
        let path = server.folder().join(name);
        fs::write(&path, content)?;
        Ok(path.display().to_string())
    }
}

/// With the line ends of this system, which is what its programs expect.
pub(crate) fn with_lf(content: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(content.len());
    for line in content.split_inclusive(|&octet| octet == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(text) => {
                octets.extend_from_slice(text);
                octets.push(b'\n');
            }
            None => octets.extend_from_slice(line),
        }
    }
    octets
}
