//! All scanners of one message: its content is kept for them as it comes in, and they are asked for their word at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mailwire::clock;
use tracing::warn;

use super::config::Kind;
use super::link::{Link, LinkError};
use super::milter::{Filters, Letter, MilterWord, Parts, Revision, decide_milter};
use super::spool::Spool;
use super::{Answer, Decision, Facts, ScanConfig, ScannerConfig, Word, decide};

/// Seconds between two complaints about one scanner.
const COMPLAINT_SECONDS: u64 = 600;

/// A scanner, and when the administrator was last told about it (seconds since 1970).
type Scanner = (ScannerConfig, AtomicU64);

/// The scanners of the configuration.
#[derive(Clone)]
pub(crate) struct Scanners(Arc<[Scanner]>);

/// One message, for those scanners that look at it.
pub struct Scan {
    facts: Facts,
    scanners: Scanners,
    /// The content, or why it could not be kept.
    source: Result<Source, String>,
    octets: u64,
    octets_max: u64,
    is_ascii: bool,
}

/// Where the content is.
enum Source {
    Spool(Spool),
    /// A milter has seen it.
    Letter(Box<Letter>),
}

/// What scanners say of a message.
pub(crate) struct Scanned {
    /// What follows from the word of each.
    pub(crate) decisions: Vec<Decision>,
    /// What milters have made of it.
    pub(crate) revision: Option<Revision>,
    /// What it was when it came.
    pub(crate) came: Came,
}

/// A message as it came.
pub(crate) struct Came {
    /// What scanners were told of it.
    pub(crate) facts: Facts,
    /// Octets of its content.
    pub(crate) octets: u64,
    /// True where none of them had its eighth bit set.
    pub(crate) is_ascii: bool,
}

impl Scanners {
    pub(crate) fn new(config: &ScanConfig) -> Self {
        Self(config.scanners.iter().map(|scanner| (scanner.clone(), AtomicU64::new(0))).collect())
    }

    /// Begins with a message; `None` where no scanner looks at it.
    pub(crate) fn begin(&self, facts: Facts) -> Option<Scan> {
        let octets_max = self.about(&facts).map(|(_, (config, _))| config.octets_max).max()?;
        let source = Ok(Source::Spool(Spool::new()));
        Some(Scan { facts, scanners: self.clone(), source, octets: 0, octets_max, is_ascii: true })
    }

    /// Those who look at such a message, with their numbers.
    pub(super) fn about(&self, facts: &Facts) -> impl Iterator<Item = (usize, &Scanner)> {
        let is_about = |(_, (config, _)): &(usize, &Scanner)| config.submissions || !facts.is_submission;
        self.0.iter().enumerate().filter(is_about)
    }

    /// The one with this number.
    pub(super) fn numbered(&self, number: usize) -> Option<&Scanner> {
        self.0.get(number)
    }
}

impl Scan {
    /// Takes the next piece of the content. What is too large for all scanners is not kept.
    pub(crate) async fn pass(&mut self, octets: &[u8]) {
        self.octets = self.octets.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        self.is_ascii = self.is_ascii && octets.is_ascii();
        let Ok(Source::Spool(spool)) = &mut self.source else { return };
        if self.octets > self.octets_max {
            self.source = Err(String::new());
        } else if let Err(error) = spool.write(octets).await {
            self.source = Err(format!("the content cannot be kept for it: {error}"));
        }
    }

    /// What all of them say, in their order.
    pub(crate) async fn finish(mut self, filters: &mut Filters, mut parts: Parts) -> Scanned {
        let mut decisions = Vec::new();
        let scanners = self.scanners.clone();
        for (number, (config, complained)) in scanners.about(&self.facts.clone()) {
            match config.kind {
                Kind::Rspamd => {
                    let word = self.rspamd(config).await;
                    if let Word::Away(why) = &word {
                        complain(config, complained, why);
                    }
                    decisions.push(decide(config, &word));
                }
                Kind::Milter => {
                    let refused = filters.take_refused(number).into_iter();
                    decisions.extend(refused.map(|row| Decision { row, ..Decision::default() }));
                    let word = self.milter(filters, (number, config), &mut parts).await;
                    decisions.push(decide_milter(config, &word));
                }
            }
        }
        let revision = match self.source {
            Ok(Source::Letter(letter)) => letter.revision(),
            Ok(Source::Spool(_)) | Err(_) => None,
        };
        let came = Came { facts: self.facts, octets: self.octets, is_ascii: self.is_ascii };
        Scanned { decisions, revision, came }
    }

    async fn rspamd(&mut self, config: &ScannerConfig) -> Word {
        if self.octets > config.octets_max {
            return Word::TooLarge;
        }
        let spool = match &mut self.source {
            Ok(Source::Spool(spool)) => spool,
            Ok(Source::Letter(letter)) => letter.spool(),
            Err(why) => return Word::Away(why.clone()),
        };
        match ask(config, &self.facts, spool).await {
            Ok(answer) => Word::Said(answer),
            Err(error) => Word::Away(error.to_string()),
        }
    }

    async fn milter(
        &mut self,
        filters: &mut Filters,
        (number, config): (usize, &ScannerConfig),
        parts: &mut Parts,
    ) -> MilterWord {
        if let Some(word) = filters.word(number, &self.facts) {
            return word.clone();
        }
        if self.octets > config.octets_max {
            return MilterWord::TooLarge;
        }
        let source = std::mem::replace(&mut self.source, Err(String::new()));
        let mut letter = match source {
            Ok(Source::Letter(letter)) => letter,
            Ok(Source::Spool(spool)) => match Letter::read(std::mem::take(parts), spool).await {
                Ok(Ok(letter)) => Box::new(letter),
                Ok(Err((taken, spool))) => {
                    (*parts, self.source) = (taken, Ok(Source::Spool(spool)));
                    return MilterWord::TooLarge;
                }
                Err(error) => {
                    let why = format!("the content cannot be read again for it: {error}");
                    self.source = Err(why.clone());
                    return MilterWord::Away(why);
                }
            },
            Err(why) => {
                self.source = Err(why.clone());
                return MilterWord::Away(why);
            }
        };
        let word = filters.letter((&self.scanners, number), &self.facts, &mut letter).await;
        self.source = Ok(Source::Letter(letter));
        word.unwrap_or_else(|| MilterWord::Away("it is not there any more".to_owned()))
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
pub(super) fn complain(config: &ScannerConfig, complained: &AtomicU64, reason: &str) {
    let (now, before) = (clock::unix_seconds(), complained.load(Ordering::Relaxed));
    if now.saturating_sub(before) >= COMPLAINT_SECONDS
        && complained.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    {
        warn!(scanner = %config.at, reason, when_away = ?config.when_away, "a scanner is away");
    }
}

#[cfg(test)]
mod tests;
