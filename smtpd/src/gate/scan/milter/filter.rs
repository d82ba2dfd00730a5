//! One milter, for as long as a client is there: it hears of each transaction on the same connection.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mailwire::address::Mailbox;
use mailwire::clock;
use mailwire::net::TlsDetails;
use mailwire::smtp::Hello;

use super::super::link::LinkError;
use super::super::{Facts, ScannerConfig};
use super::answer::{Answer, Change, MilterError};
use super::decide::{MilterWord, Stage};
use super::header::LeadingBlanks;
use super::letter::{Letter, Text};
use super::link::Link;
use super::macros::{Moment, To, macros};
use super::options::Told;
use super::question::{self, PIECE_OCTETS_MAX};
use crate::replies;

/// Most changes that a milter may make to one message, and most octets of them but for another text.
const CHANGES_MAX: usize = 1000;
const CHANGES_OCTETS_MAX: usize = 256 << 10;
/// Octets of a field beyond which milters do not see it: libmilter takes no larger packet.
const FIELD_OCTETS_MAX: usize = 60 << 10;
/// Refused recipients that are told of in the trace of a message.
const REFUSED_MAX: usize = 3;

/// One milter and one client.
#[derive(Default)]
pub(super) struct Filter {
    link: Option<Link>,
    /// Whom it was told of.
    client: Option<Client>,
    /// What it has said of everything that this client brings.
    standing: Option<MilterWord>,
    transaction: Option<Transaction>,
    /// It has heard of MAIL, and of no end.
    in_message: bool,
}

/// What a milter is told when a client comes.
#[derive(Clone, PartialEq, Eq)]
struct Client {
    hello: Hello,
    login: Option<Mailbox>,
    tls: Option<TlsDetails>,
}

/// What everything that is asked now has in common.
struct Asking<'a> {
    facts: &'a Facts,
    /// The recipient, where it is about one.
    to: Option<To<'a>>,
    /// When it must have come to its end.
    until: Instant,
}

/// One transaction.
struct Transaction {
    number: u32,
    /// What it has said of all of it.
    word: Option<MilterWord>,
    /// The rows of refused recipients.
    refused: Vec<String>,
}

impl Filter {
    /// What it says of a recipient.
    pub(super) async fn rcpt(
        &mut self,
        config: &ScannerConfig,
        facts: &Facts,
        mailbox: &Mailbox,
    ) -> MilterWord {
        if let Some(word) = self.begin(config, facts).await {
            return word;
        }
        match self.ask_rcpt(config, facts, mailbox).await {
            Ok(word) => word,
            Err(error) => self.away(&error),
        }
    }

    /// What it says of the content.
    pub(super) async fn letter(
        &mut self,
        config: &ScannerConfig,
        facts: &Facts,
        letter: &mut Letter,
    ) -> MilterWord {
        if let Some(word) = self.begin(config, facts).await {
            return word;
        }
        let word = match self.ask_content(config, facts, letter).await {
            Ok(word) => word,
            Err(error) => self.away(&error),
        };
        self.conclude(word)
    }

    /// What it has said of all of this transaction already.
    pub(super) fn word(&self, number: u32) -> Option<&MilterWord> {
        self.transaction.as_ref().filter(|transaction| transaction.number == number)?.word.as_ref()
    }

    /// Keeps for the trace that it has refused a recipient.
    pub(super) fn note_refused(&mut self, row: String) {
        if let Some(transaction) = &mut self.transaction
            && transaction.refused.len() < REFUSED_MAX
        {
            transaction.refused.push(row);
        }
    }

    /// The rows of recipients that it has refused.
    pub(super) fn take_refused(&mut self) -> Vec<String> {
        self.transaction
            .as_mut()
            .map(|transaction| std::mem::take(&mut transaction.refused))
            .unwrap_or_default()
    }

    /// The client has gone.
    pub(super) async fn end(&mut self) {
        if let Some(link) = self.link.take() {
            link.quit().await;
        }
    }

    /// Tells it of a transaction that it has not heard of, and of the client if need be; gives what it has said of all of it.
    async fn begin(&mut self, config: &ScannerConfig, facts: &Facts) -> Option<MilterWord> {
        if self.transaction.as_ref().is_none_or(|transaction| transaction.number != facts.number) {
            self.transaction = Some(Transaction { number: facts.number, word: None, refused: Vec::new() });
            let word = match self.tell_envelope(config, facts).await {
                Ok(word) => word,
                Err(error) => Some(self.away(&error)),
            };
            if let Some(word) = word {
                self.conclude(word);
            }
        }
        self.word(facts.number).cloned()
    }

    fn conclude(&mut self, word: MilterWord) -> MilterWord {
        if let Some(transaction) = &mut self.transaction {
            transaction.word = Some(word.clone());
        }
        word
    }

    /// There is nothing more to be said on this connection.
    fn away(&mut self, error: &LinkError) -> MilterWord {
        (self.link, self.in_message) = (None, false);
        self.conclude(MilterWord::Away(error.to_string()))
    }

    async fn tell_envelope(
        &mut self,
        config: &ScannerConfig,
        facts: &Facts,
    ) -> Result<Option<MilterWord>, LinkError> {
        let asking = &Asking { facts, to: None, until: soon(config) };
        let Facts { hello, login, tls, .. } = facts;
        let client = Client { hello: hello.clone(), login: login.clone(), tls: tls.clone() };
        if self.client.as_ref() != Some(&client) {
            self.end().await;
            (self.client, self.standing, self.in_message) = (Some(client), None, false);
        }
        if self.standing.is_none() && self.link.is_none() {
            self.link = Some(Link::open(config).await?);
            self.in_message = false;
            self.standing = self.tell_client(asking).await?;
        }
        if let Some(word) = &self.standing {
            let word = word.clone();
            self.end().await;
            return Ok(Some(word));
        }
        if self.in_message {
            self.in_message = false;
            self.link()?.say(&question::abort(), asking.until).await?;
        }
        self.in_message = true;
        let path = facts.reverse_path.to_string();
        let parameters = facts.parameters.iter().map(String::as_str);
        let packet = question::mail(&path, parameters);
        self.tell((Told::Mail, Some(Moment::Mail)), &packet, asking).await.and_then(said(Stage::Mail))
    }

    /// What it has to say of the client for good.
    async fn tell_client(&mut self, asking: &Asking<'_>) -> Result<Option<MilterWord>, LinkError> {
        let facts = asking.facts;
        let connect = question::connect(facts.address, facts.port.unwrap_or(0));
        let moment = (Told::Connect, Some(Moment::Connect));
        let word = self.tell(moment, &connect, asking).await.and_then(said(Stage::Connect))?;
        if word.is_some() {
            return Ok(word);
        }
        let hello = match &facts.hello {
            Hello::Domain(domain) => domain.to_string(),
            Hello::Other(name) => name.clone(),
        };
        let moment = (Told::Hello, Some(Moment::Hello));
        self.tell(moment, &question::hello(&hello), asking).await.and_then(said(Stage::Hello))
    }

    async fn ask_rcpt(
        &mut self,
        config: &ScannerConfig,
        facts: &Facts,
        mailbox: &Mailbox,
    ) -> Result<MilterWord, LinkError> {
        let (text, domain) = (mailbox.to_string(), mailbox.domain().to_string());
        let to = Some(To { mailbox: &text, domain: &domain });
        let asking = Asking { facts, to, until: soon(config) };
        let packet = question::rcpt(&format!("<{text}>"));
        let moment = (Told::Rcpt, Some(Moment::Rcpt));
        let word = self.tell(moment, &packet, &asking).await.and_then(said(Stage::Recipient))?;
        Ok(match word {
            None => MilterWord::Passed { at: Stage::Recipient, changes: String::new() },
            // These are about this recipient alone.
            Some(word @ (MilterWord::Refused { .. } | MilterWord::PutOff { .. })) => word,
            Some(word) => self.conclude(word),
        })
    }

    async fn ask_content(
        &mut self,
        config: &ScannerConfig,
        facts: &Facts,
        letter: &mut Letter,
    ) -> Result<MilterWord, LinkError> {
        let asking = &Asking { facts, to: None, until: soon(config) };
        let data = (Told::Data, Some(Moment::Data));
        let said_to_data = self.tell(data, &question::data(), asking).await;
        if let Some(word) = said_to_data.and_then(said(Stage::Data))? {
            return Ok(word);
        }
        if let Some(word) = self.show_header(asking, letter).await? {
            return Ok(word);
        }
        if let Some(word) = self.show_text(asking, letter).await? {
            return Ok(word);
        }
        self.ask_end(config, asking, letter).await
    }

    async fn show_header(
        &mut self,
        asking: &Asking<'_>,
        letter: &Letter,
    ) -> Result<Option<MilterWord>, LinkError> {
        let keeps_leading_blanks = self.link()?.agreed().keeps_leading_blanks();
        for (name, value) in letter.header().shown() {
            let mut value: Vec<u8> = value.iter().copied().filter(|octet| *octet != b'\r').collect();
            value.truncate(FIELD_OCTETS_MAX);
            let begins_at = if keeps_leading_blanks {
                0
            } else {
                value.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count()
            };
            let packet = question::header(name, value.get(begins_at..).unwrap_or_default());
            let answer = self.tell((Told::Header, None), &packet, asking).await;
            if let Some(word) = answer.and_then(said(Stage::Header))? {
                return Ok(Some(word));
            }
        }
        let moment = (Told::EndOfHeader, Some(Moment::EndOfHeader));
        let answer = self.tell(moment, &question::end_of_header(), asking).await;
        answer.and_then(said(Stage::Header))
    }

    async fn show_text(
        &mut self,
        asking: &Asking<'_>,
        letter: &mut Letter,
    ) -> Result<Option<MilterWord>, LinkError> {
        if !self.link()?.agreed().hears(Told::Body) {
            return Ok(None);
        }
        letter.rewind().await?;
        loop {
            let text = letter.piece().await?;
            if text.is_empty() {
                return Ok(None);
            }
            for piece in text.chunks(PIECE_OCTETS_MAX) {
                let answer = self.tell((Told::Body, None), &question::body(piece), asking).await?;
                if answer == Answer::Skip && self.link()?.agreed().may_skip() {
                    return Ok(None);
                }
                if let Some(word) = said(Stage::Text)(answer)? {
                    return Ok(Some(word));
                }
            }
        }
    }

    /// The end of the content: now it may change what it wants, and says what it has to say.
    async fn ask_end(
        &mut self,
        config: &ScannerConfig,
        asking: &Asking<'_>,
        letter: &mut Letter,
    ) -> Result<MilterWord, LinkError> {
        let (mut changes, mut octets, mut text, mut quarantine) = (Vec::new(), 0_usize, None::<Text>, None);
        let (link, until) = (self.link()?, asking.until);
        let told = macros(link.agreed(), Moment::End, asking.facts, None);
        link.say(&question::macros(Moment::End, &told), until).await?;
        link.say(&question::end(), until).await?;
        let word = loop {
            match link.answer(until).await? {
                Answer::Change(Change::Text(piece)) => {
                    let text = text.get_or_insert_with(|| Text::new(config.octets_max));
                    if !text.write(piece).await? {
                        return Err(MilterError::TooMuch.into());
                    }
                }
                Answer::Change(Change::Quarantine(reason)) => quarantine = Some(reason),
                Answer::Change(change) => {
                    octets = octets.saturating_add(change.octets());
                    changes.push(change);
                    if changes.len() > CHANGES_MAX || octets > CHANGES_OCTETS_MAX {
                        return Err(MilterError::TooMuch.into());
                    }
                }
                answer @ (Answer::Continue
                | Answer::Accept
                | Answer::Reject
                | Answer::PutOff
                | Answer::Discard
                | Answer::Skip
                | Answer::Progress
                | Answer::Shutdown
                | Answer::Reply(_)) => break said(Stage::End)(answer)?,
            }
        };
        let leading_blanks =
            if link.agreed().keeps_leading_blanks() { LeadingBlanks::Given } else { LeadingBlanks::Added };
        self.in_message = false;
        // Whoever accepts the message lets it pass as well as who says nothing against it.
        if let Some(word) = word.filter(|word| !matches!(word, MilterWord::Passed { .. })) {
            return Ok(word);
        }
        let told = told_of(&changes, text.as_ref());
        letter.revise(&changes, text, leading_blanks)?;
        Ok(match quarantine {
            Some(reason) => MilterWord::Quarantined { reason, leaves: letter.leaves },
            None => MilterWord::Passed { at: Stage::End, changes: told },
        })
    }

    /// Tells it something, and gives its answer; where it does not want to hear of it or does not answer, it is to go on.
    async fn tell(
        &mut self,
        (told, moment): (Told, Option<Moment>),
        packet: &[u8],
        Asking { facts, to, until }: &Asking<'_>,
    ) -> Result<Answer, LinkError> {
        let (link, until) = (self.link()?, *until);
        if let Some(moment) = moment {
            let told = macros(link.agreed(), moment, facts, *to);
            if !told.is_empty() {
                link.say(&question::macros(moment, &told), until).await?;
            }
        }
        if !link.agreed().hears(told) {
            return Ok(Answer::Continue);
        }
        link.say(packet, until).await?;
        if link.agreed().answers(told) { link.answer(until).await } else { Ok(Answer::Continue) }
    }

    fn link(&mut self) -> Result<&mut Link, LinkError> {
        self.link.as_mut().ok_or(LinkError::Closed)
    }
}

/// When everything that is asked now must have come to its end.
fn soon(config: &ScannerConfig) -> Instant {
    let now = clock::instant();
    now.checked_add(Duration::from_secs(config.content_seconds)).unwrap_or(now)
}

/// What an answer comes to at such a stage; `None`: go on.
fn said(at: Stage) -> impl Fn(Answer) -> Result<Option<MilterWord>, LinkError> {
    move |answer| {
        Ok(Some(match answer {
            Answer::Continue => return Ok(None),
            Answer::Accept => MilterWord::Passed { at, changes: String::new() },
            Answer::Reject => MilterWord::Refused { at, reply: None },
            Answer::PutOff => MilterWord::PutOff { at, reply: None },
            Answer::Discard => MilterWord::Discarded { at },
            Answer::Shutdown => MilterWord::PutOff { at, reply: Some(replies::milter_sends_away()) },
            Answer::Reply(reply) if reply.code() >= 500 => MilterWord::Refused { at, reply: Some(reply) },
            Answer::Reply(reply) => MilterWord::PutOff { at, reply: Some(reply) },
            Answer::Skip => return Err(MilterError::Unexpected(b's').into()),
            Answer::Progress => return Err(MilterError::Unexpected(b'p').into()),
            // Only at the end.
            Answer::Change(_) => return Err(MilterError::NotOffered.into()),
        }))
    }
}

/// What is changed, in words.
fn told_of(changes: &[Change], text: Option<&Text>) -> String {
    let mut told = String::new();
    let mut tell = |what: &str, whom: &str| {
        let between = if told.is_empty() { "" } else { ", " };
        let _ = write!(told, "{between}{what} {whom}");
    };
    for change in changes {
        match change {
            Change::Add(field) | Change::Insert(_, field) => tell("adds", &field.name),
            Change::Alter(_, field) if field.is_empty() => tell("takes out", &field.name),
            Change::Alter(_, field) => tell("changes", &field.name),
            Change::AddRecipient(mailbox) => tell("adds recipient", mailbox),
            Change::RemoveRecipient(mailbox) => tell("takes out recipient", mailbox),
            Change::Sender(path) => tell("changes sender to", path),
            Change::Text(_) | Change::Quarantine(_) => {}
        }
    }
    if text.is_some() {
        tell("writes", "another text");
    }
    told
}
