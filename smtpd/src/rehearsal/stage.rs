//! The client's part, played to a session that asks the real store, DNS and programs.

use std::mem;
use std::sync::Arc;

use mailstore::{Arrival, Dry, GuardOptions, Store};
use mailwire::clock;
use mailwire::dot::Stuffer;
use mailwire::line::Line;
use mailwire::net::TlsDetails;
use mailwire::sasl::{Proven, Surroundings};
use mailwire::secret::Secret;
use mailwire::smtp::Command;

use super::mail::{Content, Mail, Protection, filling};
use super::outcome::{End, Rehearsed, Said, Verdict};
use crate::config::Config;
use crate::connection::Common;
use crate::gate::Consent;
use crate::inquiry::{Inquiry, write};
use crate::replies;
use crate::service::{BindError, Shared, resolver};
use crate::session::{Incoming, Kind, Peer, Session, Step, Tls};

/// What the log and trace fields would call the session: as long as a real one's name, since the octets of a message count.
const SESSION: &str = "why-12345678";
/// Octets of content that come at a time.
const PIECE_OCTETS: usize = 64 << 10;
/// RFC 5321 §4.2.3: the server says goodbye.
const CLOSING: u16 = 421;

/// A server by its configuration, on a store that keeps nothing.
pub struct Rehearsal {
    dry: Dry,
    common: Arc<Common>,
}

/// One session of it.
struct Play<'a> {
    mail: &'a Mail,
    inquiry: Inquiry,
    head: Vec<u8>,
    fillings: u64,
}

impl Rehearsal {
    /// The server that these tables describe; `guard` are the options of the store's guard.
    ///
    /// # Errors
    /// Where it could not serve for what is in them; its addresses are not bound.
    pub fn new(config: &Config, shared: &Shared, guard: &GuardOptions) -> Result<Self, BindError> {
        let dry = Dry::of(&shared.store, guard);
        let shared = Shared { store: dry.store().clone(), ..shared.clone() };
        let resolver = resolver(&shared)?;
        Ok(Self { dry, common: Arc::new(Common::new(config, &shared, resolver.as_ref())?) })
    }

    /// The store that is asked.
    #[must_use]
    pub const fn store(&self) -> &Store {
        self.dry.store()
    }

    /// Plays one session. Limits of the guard count as they stand, those of connections and memory not at all.
    pub async fn rehearse(&mut self, mail: &Mail) -> Rehearsed {
        drop(self.dry.take());
        let mut rehearsed = Rehearsed::default();
        if let Some(said) = self.door(mail).await {
            rehearsed.opening.push(said);
            return rehearsed;
        }
        let mut play = self.begin(mail);
        for command in play.opening() {
            let is_accepted = play.say(&command, &mut rehearsed.opening).await;
            if !is_accepted {
                return rehearsed;
            }
        }
        for to in &mail.to {
            play.say(&Mail::rcpt(to), &mut rehearsed.recipients).await;
            if rehearsed.recipients.last().is_some_and(|said| said.reply.code() == CLOSING) {
                return rehearsed;
            }
        }
        if rehearsed.recipients.iter().any(|said| said.verdict() == Verdict::Accepted) {
            play.say(&Command::Data, &mut rehearsed.content).await;
            let is_taken = rehearsed.content.last().is_some_and(|said| said.reply.is_positive());
            rehearsed.end = match self.dry.take() {
                Some(committed) if is_taken => End::Committed(Box::new(committed)),
                None if is_taken => End::Discarded,
                Some(_) | None => End::NotTaken,
            };
        }
        rehearsed
    }

    /// What is said to a client that comes too often, before any session.
    async fn door(&self, mail: &Mail) -> Option<Said> {
        match mail.kind {
            Kind::Reception | Kind::Submission => {}
            Kind::Lmtp => return None,
        }
        match self.store().guard.arrive(mail.address).await {
            Ok(Arrival::PutOff) => Some(Said {
                command: "(connection)".to_owned(),
                reply: replies::too_many_connections(),
                because: Some("[guard] address_connections_per_minute or address_errors_per_hour".to_owned()),
            }),
            Ok(Arrival::Welcome) | Err(_) => None,
        }
    }

    fn begin<'a>(&self, mail: &'a Mail) -> Play<'a> {
        let tls = match mail.protection {
            Protection::Tls => {
                Tls::Running(TlsDetails { version: "TLS1.3", cipher: "TLS_AES_256_GCM_SHA384".to_owned() })
            }
            Protection::Clear => Tls::Available,
        };
        let address = Some(mail.address);
        let peer = Peer { address, local: None, session: SESSION.to_owned(), tls };
        let mut session = Session::new(mail.kind, Arc::clone(&self.common.policy), peer);
        let certificate_logins = mail.login.iter().cloned().collect();
        session.surrounded_by(Surroundings { certificate_logins, ..Surroundings::default() });
        let mut inquiry = Inquiry::new(session, &self.common, address);
        inquiry.begin();
        let _greeting = inquiry.session.greeting();
        let (head, fillings) = mail.content(clock::unix_seconds());
        Play { mail, inquiry, head, fillings }
    }
}

impl Play<'_> {
    /// What the client says before it names a recipient. It logs in as if it had a certificate (RFC 4422 Appendix A), so that
    /// nobody needs a password.
    fn opening(&self) -> Vec<Command> {
        let login = self.mail.login.iter().map(|_| Command::Auth {
            mechanism: "EXTERNAL".to_owned(),
            initial: Some(Secret::new("=".to_owned())),
        });
        let octets = (filling().len() as u64).saturating_mul(self.fillings);
        let octets = octets.saturating_add(self.head.len() as u64);
        let mail = self.mail.mail(&self.head, octets);
        [self.mail.ehlo()].into_iter().chain(login).chain([mail]).collect()
    }

    /// Says a command, and keeps its answer; false where it is no good one.
    async fn say(&mut self, command: &Command, said: &mut Vec<Said>) -> bool {
        let mut octets = command.encode();
        octets.truncate(octets.len().saturating_sub(b"\r\n".len()));
        let mut command = match &self.mail.login {
            Some(login) if matches!(command, Command::Auth { .. }) => format!("(login as {login})"),
            Some(_) | None => String::from_utf8_lossy(&octets).into_owned(),
        };
        let session = &mut self.inquiry.session;
        session.at(clock::unix_seconds());
        let mut step = session.line(&Line::Complete(octets));
        let reply = loop {
            step = match step {
                Step::Reply(reply) | Step::Close(reply) => break reply,
                Step::Verdicts(replies, _) => {
                    // LMTP only, which is not rehearsed.
                    match replies.into_iter().next() {
                        Some(reply) => break reply,
                        None => Step::Reply(replies::done()),
                    }
                }
                Step::Receive(reply, incoming) => {
                    let before = mem::replace(&mut command, "(message)".to_owned());
                    said.extend(reply.map(|reply| Said { command: before, reply, because: None }));
                    self.receive(incoming).await
                }
                Step::Account(proven) => self.account(&proven).await,
                Step::LoginRefused(_)
                | Step::Authenticate(_)
                | Step::ScramKeys(_)
                | Step::ScramProof(_)
                | Step::Token(_) => self.inquiry.session.login_failed(),
                Step::StartTls(reply) | Step::Discard(_, reply) => Step::Reply(reply),
                // As in `receive`: milters hear of what is given, and not of what is made.
                Step::Consult(question) if matches!(self.mail.content, Content::Made(_)) => {
                    self.inquiry.session.consulted(*question, Consent::Given)
                }
                question @ (Step::Sender(_)
                | Step::Recipient(_)
                | Step::Gate(_)
                | Step::Consult(_)
                | Step::Expand(_)
                | Step::Draft(_)
                | Step::Originator(_)
                | Step::Judge(_)
                | Step::Scan(_)
                | Step::File(_)
                | Step::Commit(_)) => self.inquiry.answer(question).await,
            };
        };
        let because = self.inquiry.session.take_reason();
        said.push(Said { command, reply, because });
        said.last().is_some_and(|said| said.verdict() == Verdict::Accepted)
    }

    /// The login is taken for proven, as long as the guard lets it be looked at.
    async fn account(&mut self, proven: &Proven) -> Step {
        let login = &proven.login;
        let answer = match self.inquiry.logins.admit(login).await {
            Ok(_) => self.inquiry.logins.account(proven).await,
            Err(why) => Err(why),
        };
        self.inquiry.logged_in(login, answer)
    }

    /// The content comes, in pieces.
    async fn receive(&mut self, mut incoming: Box<Incoming>) -> Step {
        match self.mail.content {
            Content::Given(_) => self.inquiry.begin_content(&mut incoming),
            // Other programs are not asked about what is made here.
            Content::Made(_) => {}
        }
        let (mut stuffer, mut sent) = (Stuffer::new(), Vec::new());
        for piece in self.head.chunks(PIECE_OCTETS) {
            sent.clear();
            stuffer.stuff(piece, &mut sent);
            if pass(&mut incoming, &sent).await {
                return self.inquiry.session.received(incoming, clock::unix_seconds());
            }
        }
        let filling = filling();
        for _ in 0..self.fillings {
            sent.clear();
            stuffer.stuff(&filling, &mut sent);
            if pass(&mut incoming, &sent).await {
                return self.inquiry.session.received(incoming, clock::unix_seconds());
            }
        }
        sent.clear();
        stuffer.finish(&mut sent);
        pass(&mut incoming, &sent).await;
        self.inquiry.session.received(incoming, clock::unix_seconds())
    }
}

/// Some octets of it; true where it has come to its end.
async fn pass(incoming: &mut Incoming, mut octets: &[u8]) -> bool {
    loop {
        let progress = incoming.receive(octets);
        if progress.write {
            write(incoming).await;
        }
        octets = octets.get(progress.consumed..).unwrap_or_default();
        if progress.ended || octets.is_empty() {
            return progress.ended;
        }
    }
}
