//! One scanner's connection for one message: what is sent, what comes back, and how long either may take.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::milter::MilterError;
use super::rspamd::{self, LAST_CHUNK, answer};
use super::{Answer, AnswerError, End, Facts, Place, ScannerConfig};

/// Octets that are read at a time.
const READ_OCTETS: usize = 16 << 10;

/// Why there is no word of a scanner.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error("it cannot be reached: {0}")]
    Connect(io::Error),
    #[error("its connection broke off: {0}")]
    Io(#[from] io::Error),
    #[error("it has not answered in time")]
    Late,
    #[error("it has closed the connection")]
    Closed,
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error(transparent)]
    Milter(#[from] MilterError),
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Reaches a scanner.
pub(super) async fn connect(config: &ScannerConfig) -> Result<Box<dyn Stream>, LinkError> {
    let connecting = async {
        let stream: Box<dyn Stream> = match &config.at {
            Place::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                // What is said is short, and an answer is waited for.
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
        };
        Ok(stream)
    };
    let stream = timeout(config.connect(), connecting).await.map_err(|_| LinkError::Late)?;
    stream.map_err(LinkError::Connect)
}

/// A connection on which the head of the request has been sent.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    patience: Duration,
}

impl Link {
    pub(super) async fn open(config: &ScannerConfig, facts: &Facts) -> Result<Self, LinkError> {
        let mut link = Self { stream: connect(config).await?, patience: config.patience() };
        link.send(&[&rspamd::head(facts)]).await?;
        Ok(link)
    }

    /// Sends a piece of the content.
    pub(super) async fn pass(&mut self, octets: &[u8]) -> Result<(), LinkError> {
        if octets.is_empty() {
            return Ok(());
        }
        self.send(&[rspamd::chunk(octets.len()).as_bytes(), octets, b"\r\n"]).await
    }

    /// Says that there is no more content, and waits for the answer.
    pub(super) async fn finish(mut self) -> Result<Answer, LinkError> {
        self.send(&[LAST_CHUNK]).await?;
        timeout(self.patience, self.answer()).await.map_err(|_| LinkError::Late)?
    }

    async fn send(&mut self, parts: &[&[u8]]) -> Result<(), LinkError> {
        let sending = async {
            for part in parts {
                self.stream.write_all(part).await?;
            }
            self.stream.flush().await
        };
        Ok(timeout(self.patience, sending).await.map_err(|_| LinkError::Late)??)
    }

    async fn answer(&mut self) -> Result<Answer, LinkError> {
        let mut received = Vec::new();
        let mut end = End::Open;
        loop {
            // It is as long as an answer may be at most, before it is one or none.
            if let Some(answer) = answer(&received, end)? {
                return Ok(answer);
            }
            let before = received.len();
            received.resize(before.saturating_add(READ_OCTETS), 0);
            let read = self.stream.read(received.get_mut(before..).unwrap_or_default()).await?;
            received.truncate(before.saturating_add(read));
            if read == 0 {
                end = End::Closed;
            }
        }
    }
}
