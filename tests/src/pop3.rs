//! A POP3 client for tests, written apart from the project's own.

use std::io;

use crate::player::Peer as _;
use crate::stream::Stream;

/// A connection whose greeting has been read.
pub struct Pop3 {
    stream: Stream,
}

impl Pop3 {
    /// Reads the greeting of a new connection.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn new(stream: Stream) -> io::Result<Self> {
        let mut pop3 = Self { stream };
        pop3.status()?;
        Ok(pop3)
    }

    /// Switches to TLS.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn start_tls(&mut self) -> io::Result<()> {
        self.ask("STLS")?;
        self.stream.start_tls()
    }

    /// Logs in with USER and PASS.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn login(&mut self, login: &str, password: &str) -> io::Result<()> {
        self.ask(&format!("USER {login}"))?;
        self.ask(&format!("PASS {password}"))?;
        Ok(())
    }

    /// Says one line and gives the text of its `+OK`.
    ///
    /// # Errors
    /// With the line of an `-ERR`, or where the connection fails.
    pub fn ask(&mut self, line: &str) -> io::Result<String> {
        self.stream.send(format!("{line}\r\n").as_bytes())?;
        self.status()
    }

    /// The text of a `+OK`.
    fn status(&mut self) -> io::Result<String> {
        let line = self.stream.line()?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let Some(text) = text.strip_suffix("\r\n") else {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("not a reply: {text:?}")));
        };
        match text.strip_prefix("+OK") {
            Some(text) => Ok(text.trim_start().to_owned()),
            None => Err(io::Error::other(text.to_owned())),
        }
    }

    /// The lines of a multi-line answer, unstuffed and with their CRLF, in one piece (RFC 1939 §3).
    fn lines(&mut self) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        loop {
            let line = self.stream.line()?;
            if !line.ends_with(b"\r\n") {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut off"));
            }
            if line == b".\r\n" {
                return Ok(octets);
            }
            octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    /// How many messages there are.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn count(&mut self) -> io::Result<usize> {
        let text = self.ask("STAT")?;
        let count = text.split(' ').next().and_then(|count| count.parse().ok());
        count.ok_or_else(|| io::Error::other(format!("not an answer to STAT: {text:?}")))
    }

    /// The second word of each line of LIST or UIDL.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn listed(&mut self, command: &str) -> io::Result<Vec<String>> {
        self.ask(command)?;
        let text = String::from_utf8_lossy(&self.lines()?).into_owned();
        let word = |line: &str| line.split_once(' ').map(|(_, word)| word.to_owned());
        text.lines().map(|line| word(line).ok_or_else(|| io::Error::other(line.to_owned()))).collect()
    }

    /// The content of a message.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn retrieve(&mut self, number: usize) -> io::Result<Vec<u8>> {
        self.ask(&format!("RETR {number}"))?;
        self.lines()
    }

    /// The header section of a message and `lines` lines of its body.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn top(&mut self, number: usize, lines: usize) -> io::Result<Vec<u8>> {
        self.ask(&format!("TOP {number} {lines}"))?;
        self.lines()
    }

    /// Says all `commands` in one write and gives the lines of each one's answer (RFC 2449 §6.6).
    ///
    /// # Errors
    /// Where the server refuses one of them or the connection fails.
    pub fn group(&mut self, commands: &[String]) -> io::Result<Vec<Vec<u8>>> {
        self.stream.send((commands.join("\r\n") + "\r\n").as_bytes())?;
        let answer = |command: &String| {
            self.status().map_err(|error| io::Error::new(error.kind(), format!("{command}: {error}")))?;
            self.lines()
        };
        commands.iter().map(answer).collect()
    }

    /// Waits until the server closes the connection without another word.
    ///
    /// # Errors
    /// Where it says something, or the connection fails otherwise than by its end.
    pub fn closed(mut self) -> io::Result<()> {
        match self.stream.line()? {
            nothing if nothing.is_empty() => Ok(()),
            line => Err(io::Error::other(String::from_utf8_lossy(&line).into_owned())),
        }
    }

    /// Marks a message as deleted.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn delete(&mut self, number: usize) -> io::Result<()> {
        self.ask(&format!("DELE {number}")).map(drop)
    }

    /// Says QUIT, which removes what was marked.
    ///
    /// # Errors
    /// Where the server refuses or the connection fails.
    pub fn quit(mut self) -> io::Result<()> {
        self.ask("QUIT").map(drop)
    }
}
