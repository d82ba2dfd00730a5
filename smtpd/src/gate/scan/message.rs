//! All scanners of one message: its content is kept for them as it comes in, and they are asked for their word at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mailwire::clock;
use tracing::warn;

use super::link::{Link, LinkError};
use super::spool::Spool;
use super::{Answer, Decision, Facts, ScanConfig, ScannerConfig, Word, decide};

/// Seconds between two complaints about one scanner.
const COMPLAINT_SECONDS: u64 = 600;

/// The scanners of the configuration, and when the administrator was last told about each of them (seconds since 1970).
pub(crate) struct Scanners(Arc<[(ScannerConfig, AtomicU64)]>);

/// One message, for those scanners that look at it.
pub struct Scan {
    facts: Facts,
    scanners: Arc<[(ScannerConfig, AtomicU64)]>,
    /// The content, or why it could not be kept.
    spool: Result<Spool, String>,
    octets: u64,
    octets_max: u64,
}

impl Scanners {
    pub(crate) fn new(config: &ScanConfig) -> Self {
        Self(config.scanners.iter().map(|scanner| (scanner.clone(), AtomicU64::new(0))).collect())
    }

    /// Begins with a message; `None` where no scanner looks at it.
    pub(crate) fn begin(&self, facts: Facts) -> Option<Scan> {
        let about = self.0.iter().map(|(config, _)| config).filter(|config| is_about(config, &facts));
        let octets_max = about.map(|config| config.octets_max).max()?;
        let scanners = Arc::clone(&self.0);
        Some(Scan { facts, scanners, spool: Ok(Spool::new()), octets: 0, octets_max })
    }
}

fn is_about(config: &ScannerConfig, facts: &Facts) -> bool {
    config.submissions || !facts.is_submission
}

impl Scan {
    /// Takes the next piece of the content. What is too large for all scanners is not kept.
    pub(crate) async fn pass(&mut self, octets: &[u8]) {
        self.octets = self.octets.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        let Ok(spool) = &mut self.spool else { return };
        if self.octets > self.octets_max {
            self.spool = Err(String::new());
        } else if let Err(error) = spool.write(octets).await {
            self.spool = Err(format!("the content cannot be kept for it: {error}"));
        }
    }

    /// What all of them say, in their order.
    pub(crate) async fn finish(mut self) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for (config, complained) in self.scanners.iter().filter(|(config, _)| is_about(config, &self.facts)) {
            let word = match &mut self.spool {
                _ if self.octets > config.octets_max => Word::TooLarge,
                Ok(spool) => match ask(config, &self.facts, spool).await {
                    Ok(answer) => Word::Said(answer),
                    Err(error) => Word::Away(error.to_string()),
                },
                Err(why) => Word::Away(why.clone()),
            };
            if let Word::Away(why) = &word {
                complain(config, complained, why);
            }
            decisions.push(decide(config, &word));
        }
        decisions
    }
}

async fn ask(config: &ScannerConfig, facts: &Facts, spool: &mut Spool) -> Result<Answer, LinkError> {
    spool.rewind().await?;
    let mut link = Link::open(config, facts).await?;
    loop {
        let piece = spool.read().await?;
        if piece.is_empty() {
            return link.finish().await;
        }
        link.pass(&piece).await?;
    }
}

/// Tells the administrator, once in a while.
fn complain(config: &ScannerConfig, complained: &AtomicU64, reason: &str) {
    let (now, before) = (clock::unix_seconds(), complained.load(Ordering::Relaxed));
    if now.saturating_sub(before) >= COMPLAINT_SECONDS
        && complained.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    {
        warn!(scanner = %config.at, reason, when_away = ?config.when_away, "a scanner is away");
    }
}

#[cfg(test)]
mod tests;
