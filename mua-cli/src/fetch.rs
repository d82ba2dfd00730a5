//! `mua fetch`: lists, shows or fetches the messages of a maildrop.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use mailwire::pop3::client::{Message, Request};
use mailwire::pop3::{MessageNumber, Reply};
use mailwire::sasl::Credentials;

use crate::deliver::Destination;
use crate::failure::{Exit, Failure};
use crate::fetched::{self, Fetched};
use crate::link;
use crate::options::Fetch;
use crate::output::Output;
use crate::password::password;
use crate::retrieve::{self, Receiver, Retrieval};
use crate::server::Protocol;
use crate::summary::{self, HEADER_OCTETS_MAX};

/// Runs `mua fetch`.
pub(crate) async fn run(options: &Fetch, output: &mut Output) -> Result<(), Failure> {
    let server = link::server(&options.connect, Protocol::Pop3)?;
    let login = server.login.clone().ok_or_else(|| {
        Failure::new(Exit::Usage, "the server's URL has no login in it")
            .advise("Example: pop3s://alice%40example.org@mail.example.org")
    })?;
    // Before anything is asked or sent: what cannot be kept need not be fetched.
    let destination = Destination::open(options)?;
    let state = match &destination {
        Some(destination) => Some(Fetched::open(fetched::path(&destination.beside(), &server, &login))?),
        None => None,
    };
    let credentials = Credentials { password: password(&options.connect, &server, &login)?, login };
    let retrieval = Retrieval::open(&options.connect, server, credentials).await?;
    match (destination, state, options.show) {
        (Some(destination), Some(state), _) => {
            let delete = if options.delete { Delete::Fetched } else { Delete::Nothing };
            store(retrieval, Store::new(destination, state, output), delete).await
        }
        (_, _, Some(number)) => show(retrieval, number, output).await,
        (_, _, None) => list(retrieval, output).await,
    }
}

/// What happens on the server to what has been fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delete {
    Nothing,
    Fetched,
}

/// Prints a line for each message.
async fn list(mut retrieval: Retrieval, output: &mut Output) -> Result<(), Failure> {
    let messages = retrieval.messages();
    let requests = messages.iter().map(|message| Request::Top(message.number, 0)).collect();
    let by_number = messages.iter().map(|message| (message.number.get(), message)).collect();
    let mut listing = Listing { by_number, number: None, header_section: Vec::new(), output };
    retrieval.carry_out(requests, &mut listing).await?;
    retrieval.quit().await
}

struct Listing<'a> {
    by_number: HashMap<u32, &'a Message>,
    number: Option<MessageNumber>,
    header_section: Vec<u8>,
    output: &'a mut Output,
}

impl Listing<'_> {
    fn print(&mut self, number: MessageNumber, summary: &str) -> Result<(), Failure> {
        let Some(message) = self.by_number.get(&number.get()) else { return Ok(()) };
        let unique_id = message.unique_id.as_deref().unwrap_or_default();
        Ok(self.output.line(&format!("{number}\t{}\t{unique_id}\t{summary}", message.octets))?)
    }
}

impl Receiver for Listing<'_> {
    fn begin(&mut self, number: MessageNumber) -> Result<(), Failure> {
        self.number = Some(number);
        self.header_section.clear();
        Ok(())
    }

    fn content(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let room = HEADER_OCTETS_MAX.saturating_sub(self.header_section.len());
        self.header_section.extend_from_slice(octets.get(..room.min(octets.len())).unwrap_or_default());
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        let summary = summary::summary(&self.header_section);
        self.number.take().map_or(Ok(()), |number| self.print(number, &summary))
    }

    /// A server without TOP, or a message that it cannot read: number and size are known all the same.
    fn refused(&mut self, request: Request, _: &Reply) -> Result<(), Failure> {
        self.print(number_of(request), &summary::summary(b""))
    }
}

/// Prints one message.
async fn show(mut retrieval: Retrieval, number: NonZeroU32, output: &mut Output) -> Result<(), Failure> {
    let messages = retrieval.messages();
    let number = MessageNumber::new(number);
    if !messages.iter().any(|message| message.number == number) {
        let count = messages.len();
        retrieval.quit().await?;
        return Err(Failure::new(
            Exit::Data,
            format!("there is no message {number}; the maildrop has {count}"),
        ));
    }
    retrieval.carry_out(vec![Request::Retrieve(number)], &mut Showing { output }).await?;
    retrieval.quit().await
}

struct Showing<'a> {
    output: &'a mut Output,
}

impl Receiver for Showing<'_> {
    fn begin(&mut self, _: MessageNumber) -> Result<(), Failure> {
        Ok(())
    }

    fn content(&mut self, octets: &[u8]) -> Result<(), Failure> {
        Ok(self.output.content(octets)?)
    }

    fn end(&mut self) -> Result<(), Failure> {
        Ok(self.output.content_end()?)
    }

    fn refused(&mut self, request: Request, reply: &Reply) -> Result<(), Failure> {
        let what = format!("the server did not give message {}: {}", number_of(request), reply.text());
        Err(Failure::new(retrieve::exit(reply, Exit::Unavailable), what))
    }
}

/// Fetches what is new, then deletes where told so, each only after the step before is on disk.
async fn store(mut retrieval: Retrieval, mut store: Store<'_>, delete: Delete) -> Result<(), Failure> {
    let messages = retrieval.messages();
    if delete == Delete::Nothing && messages.iter().any(|message| message.unique_id.is_none()) {
        store
            .output
            .note("the server has no unique-ids (UIDL), so that the same messages will be fetched again");
    }
    let (old, new): (Vec<_>, Vec<_>) = messages.iter().partition(|message| store.has(message));
    store.unique_ids =
        new.iter().filter_map(|message| Some((message.number.get(), message.unique_id.clone()?))).collect();
    let requests = new.iter().map(|message| Request::Retrieve(message.number)).collect();
    retrieval.carry_out(requests, &mut store).await?;
    store.fetched.sync()?;
    let mut deleted = 0;
    if delete == Delete::Fetched {
        let stored: Vec<MessageNumber> =
            old.iter().map(|message| message.number).chain(store.stored.iter().copied()).collect();
        deleted = stored.len();
        let requests = stored.into_iter().map(Request::Delete).collect();
        retrieval.carry_out(requests, &mut store).await?;
    }
    retrieval.quit().await?;
    let listed: HashSet<&str> = messages.iter().filter_map(|message| message.unique_id.as_deref()).collect();
    store.fetched.retain(&listed)?;
    store.report(old.len(), deleted)
}

/// Puts messages into a destination and remembers which.
struct Store<'a> {
    destination: Destination,
    fetched: Fetched,
    unique_ids: HashMap<u32, String>,
    number: Option<MessageNumber>,
    stored: Vec<MessageNumber>,
    refused: usize,
    exit: Option<Exit>,
    output: &'a mut Output,
}

impl<'a> Store<'a> {
    fn new(destination: Destination, fetched: Fetched, output: &'a mut Output) -> Self {
        Self {
            destination,
            fetched,
            unique_ids: HashMap::new(),
            number: None,
            stored: Vec::new(),
            refused: 0,
            exit: None,
            output,
        }
    }

    fn has(&self, message: &Message) -> bool {
        message.unique_id.as_deref().is_some_and(|unique_id| self.fetched.contains(unique_id))
    }

    fn report(self, old: usize, deleted: usize) -> Result<(), Failure> {
        let place = self.destination.place().display().to_string();
        let mut line = format!("{} fetched into {place}", self.stored.len());
        if old > 0 {
            line = format!("{line}, {old} fetched before");
        }
        if deleted > 0 {
            line = format!("{line}, {deleted} deleted on the server");
        }
        self.output.line(&line)?;
        match self.exit {
            None => Ok(()),
            Some(exit) => Err(Failure::new(exit, format!("the server refused {} requests", self.refused))),
        }
    }
}

impl Receiver for Store<'_> {
    fn begin(&mut self, number: MessageNumber) -> Result<(), Failure> {
        self.number = Some(number);
        self.destination.begin()
    }

    fn content(&mut self, octets: &[u8]) -> Result<(), Failure> {
        self.destination.content(octets)
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.destination.commit()?;
        let Some(number) = self.number.take() else { return Ok(()) };
        self.stored.push(number);
        match self.unique_ids.get(&number.get()) {
            Some(unique_id) => self.fetched.add(unique_id),
            None => Ok(()),
        }
    }

    /// The others are fetched all the same.
    fn refused(&mut self, request: Request, reply: &Reply) -> Result<(), Failure> {
        let what = match request {
            Request::Retrieve(_) | Request::Top(..) => "give",
            Request::Delete(_) => "delete",
        };
        self.output.note(&format!(
            "the server did not {what} message {}: {}",
            number_of(request),
            reply.text()
        ));
        self.refused += 1;
        self.exit.get_or_insert(retrieve::exit(reply, Exit::Unavailable));
        Ok(())
    }
}

const fn number_of(request: Request) -> MessageNumber {
    match request {
        Request::Retrieve(number) | Request::Top(number, _) | Request::Delete(number) => number,
    }
}
