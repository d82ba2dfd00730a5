//! An SMTP client for tests, written apart from the project's own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_rustls::rustls::ClientConfig;

use crate::player::Peer as _;
use crate::stream::Stream;

/// A connection whose greeting has been read.
pub struct Smtp {
    stream: Stream,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// All lines as they came, without CRLF.
    pub text: String,
}

impl Reply {
    /// The reply, where it is a `2yz` or `3yz`.
    ///
    /// # Errors
    /// With the text of any other.
    pub fn positive(self) -> io::Result<Self> {
        if self.code < 400 { Ok(self) } else { Err(io::Error::other(self.text)) }
    }
}

impl Smtp {
    /// Reads the greeting of a new connection and says EHLO.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn new(stream: Stream) -> io::Result<Self> {
        let mut smtp = Self { stream };
        smtp.reply()?.positive()?;
        smtp.ask("EHLO client.example.test")?.positive()?;
        Ok(smtp)
    }

    /// A connection on which nothing has been read; the greeting is for [`Self::reply`].
    #[must_use]
    pub const fn before_greeting(stream: Stream) -> Self {
        Self { stream }
    }

    /// Connects without TLS.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn clear(address: SocketAddr, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        Self::new(Stream::clear(address, trust)?)
    }

    /// Switches to TLS and says EHLO again.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn start_tls(&mut self) -> io::Result<()> {
        self.ask("STARTTLS")?.positive()?;
        self.stream.start_tls()?;
        self.ask("EHLO client.example.test")?.positive()?;
        Ok(())
    }

    /// Logs in by PLAIN.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn login(&mut self, login: &str, password: &str) -> io::Result<()> {
        let token = STANDARD.encode(format!("\0{login}\0{password}"));
        self.ask(&format!("AUTH PLAIN {token}"))?.positive()?;
        Ok(())
    }

    /// Says one line and reads its reply.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn ask(&mut self, line: &str) -> io::Result<Reply> {
        self.stream.send(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Says octets as they are; the reply is for [`Self::reply`].
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn say(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.send(octets)
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// Where it is none, or the connection ends or fails.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut text = String::new();
        loop {
            let line = self.stream.line()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let Some(line) = line.strip_suffix("\r\n") else {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("not a reply: {line:?}")));
            };
            text.push_str(line);
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| io::Error::other(format!("not a reply: {line:?}")))?;
            if line.get(3..4) != Some("-") {
                return Ok(Reply { code, text });
            }
            text.push('\n');
        }
    }

    /// MAIL and RCPT.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn envelope(&mut self, reverse_path: &str, recipients: &[&str]) -> io::Result<()> {
        self.ask(&format!("MAIL FROM:<{reverse_path}>"))?.positive()?;
        for recipient in recipients {
            self.ask(&format!("RCPT TO:<{recipient}>"))?.positive()?;
        }
        Ok(())
    }

    /// Sends content by DATA, dots stuffed, and gives the reply to the final dot. Content ends in CRLF or is empty.
    ///
    /// # Errors
    /// Where the server refuses DATA or the connection fails.
    pub fn data(&mut self, content: &[u8]) -> io::Result<Reply> {
        self.ask("DATA")?.positive()?;
        self.stream.send(&stuffed(content))?;
        self.reply()
    }

    /// Sends content in chunks of at most `chunk_octets` and gives the last reply.
    ///
    /// # Errors
    /// Where the server refuses a chunk or the connection fails.
    pub fn chunks(&mut self, content: &[u8], chunk_octets: usize) -> io::Result<Reply> {
        for chunk in content.chunks(chunk_octets) {
            self.stream.send(format!("BDAT {}\r\n", chunk.len()).as_bytes())?;
            self.stream.send(chunk)?;
            self.reply()?.positive()?;
        }
        self.ask("BDAT 0 LAST")
    }

    /// Ends the client's side; what the server has said can still be read.
    ///
    /// # Errors
    /// Where the connection fails otherwise than by being closed already.
    pub fn hang_up(&mut self) -> io::Result<()> {
        self.stream.close()
    }

    /// Says QUIT.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn quit(mut self) -> io::Result<Reply> {
        self.ask("QUIT")
    }
}

/// Content with its dots stuffed and the final dot behind it (RFC 5321 §4.5.2).
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(content.len() + 8);
    for line in content.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b".") {
            octets.push(b'.');
        }
        octets.extend_from_slice(line);
    }
    octets.extend_from_slice(b".\r\n");
    octets
}
