//! One connection to a milter: what is said on it, and how long it may take to answer.

use std::time::{Duration, Instant};

use mailwire::clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout_at;

use super::super::ScannerConfig;
use super::super::link::{LinkError, Stream, connect};
use super::answer::{Answer, MilterError, Packet, packet};
use super::options::Agreed;
use super::question;

/// Octets that wait to be sent at most, before they are.
const WAITING_OCTETS_MAX: usize = 64 << 10;
/// Octets that are read at a time.
const READ_OCTETS: usize = 4 << 10;

/// A connection on which everything is agreed on.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    agreed: Agreed,
    waiting: Vec<u8>,
    received: Vec<u8>,
    patience: Duration,
}

impl Link {
    /// Reaches the milter, and agrees with it.
    pub(super) async fn open(config: &ScannerConfig) -> Result<Self, LinkError> {
        let stream = connect(config).await?;
        // Nothing is agreed on yet, and it must be before anything else is said.
        let mut link = Self {
            stream,
            agreed: Agreed::read(&[0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0])?,
            waiting: question::negotiate(),
            received: Vec::new(),
            patience: config.patience(),
        };
        let until = link.soon();
        link.flush(until).await?;
        let (letter, data) = link.packet(until).await?;
        if letter != b'O' {
            return Err(MilterError::Unexpected(letter).into());
        }
        link.agreed = Agreed::read(&data)?;
        Ok(link)
    }

    /// What is agreed on.
    pub(super) const fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Says something, when there is enough to be sent or an answer is waited for.
    pub(super) async fn say(&mut self, packet: &[u8], until: Instant) -> Result<(), LinkError> {
        self.waiting.extend_from_slice(packet);
        if self.waiting.len() >= WAITING_OCTETS_MAX { self.flush(until).await } else { Ok(()) }
    }

    /// What it answers, before `until` at the latest. While it says that it is busy it has more time, but not beyond that.
    pub(super) async fn answer(&mut self, until: Instant) -> Result<Answer, LinkError> {
        self.flush(until).await?;
        loop {
            let (letter, data) = self.packet(until).await?;
            match Answer::read(letter, &data)? {
                Answer::Progress => {}
                Answer::Change(change) if !self.agreed.may(change.action()) => {
                    return Err(MilterError::NotOffered.into());
                }
                answer @ (Answer::Continue
                | Answer::Accept
                | Answer::Reject
                | Answer::PutOff
                | Answer::Discard
                | Answer::Skip
                | Answer::Shutdown
                | Answer::Reply(_)
                | Answer::Change(_)) => return Ok(answer),
            }
        }
    }

    /// Says goodbye, where that goes at once.
    pub(super) async fn quit(mut self) {
        let until = self.soon();
        self.waiting.extend(question::quit());
        // Whoever is gone need not hear it.
        let _ = self.flush(until).await;
    }

    /// The end of the time that one thing may take.
    fn soon(&self) -> Instant {
        let now = clock::instant();
        now.checked_add(self.patience).unwrap_or(now)
    }

    async fn flush(&mut self, until: Instant) -> Result<(), LinkError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let until = self.soon().min(until);
        let waiting = std::mem::take(&mut self.waiting);
        let sending = async {
            self.stream.write_all(&waiting).await?;
            self.stream.flush().await
        };
        Ok(timeout_at(until.into(), sending).await.map_err(|_| LinkError::Late)??)
    }

    async fn packet(&mut self, until: Instant) -> Result<(u8, Vec<u8>), LinkError> {
        let until = self.soon().min(until);
        loop {
            if let Some(Packet { letter, data, octets }) = packet(&self.received)? {
                let data = data.to_vec();
                self.received.drain(..octets);
                return Ok((letter, data));
            }
            let before = self.received.len();
            self.received.resize(before.saturating_add(READ_OCTETS), 0);
            let reading = self.stream.read(self.received.get_mut(before..).unwrap_or_default());
            let read = timeout_at(until.into(), reading).await.map_err(|_| LinkError::Late)??;
            self.received.truncate(before.saturating_add(read));
            if read == 0 {
                return Err(LinkError::Closed);
            }
        }
    }
}
