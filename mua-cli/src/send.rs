//! `mua send`: makes or takes a message and submits it.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::dot::Stuffer;
use mailwire::sasl::Credentials;
use mailwire::smtp::client::{
    Envelope, Failure as SessionFailure, Login, Reason, Requests, Session, Settings, Step, Verdict,
};
use mailwire::smtp::{Hello, Reply, ReplyReader};

use crate::compose::{self, Attachment, Draft, PARTS_OCTETS_MAX};
use crate::failure::{Exit, Failure};
use crate::header::{self, Address, HeaderError};
use crate::link::{self, Link};
use crate::options::Send;
use crate::output::Output;
use crate::password::password;
use crate::server::Protocol;
use crate::spool::{Bcc, Spool, Spooled};

/// Octets of content that are read and sent at a time.
const CHUNK_OCTETS: usize = 32 << 10;

/// Runs `mua send`.
pub(crate) async fn run(options: &Send, output: &mut Output) -> Result<(), Failure> {
    let server = link::server(&options.connect, Protocol::Smtp)?;
    let addresses = Addresses::read(options)?;
    // Before the text, which may follow it on standard input.
    let credentials = match &server.login {
        None if options.connect.password_stdin => {
            return Err(Failure::new(Exit::Usage, "there is a password but no login in the server's URL"));
        }
        None => None,
        Some(login) => {
            Some(Credentials { login: login.clone(), password: password(&options.connect, &server, login)? })
        }
    };
    let mut message = spooled(options, &addresses)?;
    let recipients = addresses.recipients();
    let envelope = Envelope {
        reverse_path: ReversePath::Mailbox(addresses.from.mailbox),
        recipients: recipients.iter().cloned().map(Into::into).collect(),
        content_octets: message.octets(),
        content: message.content(),
        requests: Requests::default(),
    };
    let tls = link::tls_policy(&options.connect, &server);
    let link = Link::open(&options.connect, server).await?;
    let verdicts = Submission { link, replies: ReplyReader::default() }
        .submit(
            envelope,
            |hello| Settings { hello, tls, login: credentials.map(Login::Password) },
            &mut message,
        )
        .await?;
    report(&recipients, &verdicts, output)
}

/// All addresses of the command line.
struct Addresses {
    from: Address,
    to: Vec<Address>,
    cc: Vec<Address>,
    bcc: Vec<Address>,
}

impl Addresses {
    fn read(options: &Send) -> Result<Self, Failure> {
        Ok(Self {
            from: Address::parse(&options.from).map_err(|error| wrong_address("--from", &error))?,
            to: address_list("--to", &options.to)?,
            cc: address_list("--cc", &options.cc)?,
            bcc: address_list("--bcc", &options.bcc)?,
        })
    }

    /// Each mailbox once.
    fn recipients(&self) -> Vec<Mailbox> {
        let mut recipients: Vec<Mailbox> = Vec::new();
        for address in self.to.iter().chain(&self.cc).chain(&self.bcc) {
            if !recipients.contains(&address.mailbox) {
                recipients.push(address.mailbox.clone());
            }
        }
        recipients
    }
}

fn address_list(option: &'static str, texts: &[String]) -> Result<Vec<Address>, Failure> {
    let lists: Result<Vec<_>, _> = texts.iter().map(|text| Address::parse_list(text)).collect();
    Ok(lists.map_err(|error| wrong_address(option, &error))?.concat())
}

fn wrong_address(option: &str, error: &HeaderError) -> Failure {
    Failure::caused(Exit::Usage, format!("{option} is wrong"), error)
}

/// The message in its file, taken as it is or made.
fn spooled(options: &Send, addresses: &Addresses) -> Result<Spooled, Failure> {
    let failed = |error: io::Error| {
        Failure::caused(Exit::Io, "keeping the message in a temporary file failed", &error)
    };
    let mut spool = Spool::create().map_err(failed)?;
    if options.raw {
        io::copy(&mut io::stdin().lock(), &mut spool).map_err(failed)?;
    } else {
        draft(options, addresses)?.write(&mut spool).map_err(failed)?;
    }
    let message = spool.finish().map_err(failed)?;
    match message.bcc() {
        Bcc::Present => {
            Err(Failure::new(Exit::Data, "the message has a Bcc field, which all recipients would see")
                .advise("Remove the field, and name its recipients by --bcc."))
        }
        Bcc::Absent if message.octets() == 0 => Err(Failure::new(Exit::Data, "the message is empty")),
        Bcc::Absent => Ok(message),
    }
}

fn draft(options: &Send, addresses: &Addresses) -> Result<Draft, Failure> {
    if let Some(subject) = &options.subject {
        header::without_controls(subject)
            .map_err(|error| Failure::caused(Exit::Usage, "--subject is wrong", &error))?;
    }
    let mut octets_left = PARTS_OCTETS_MAX;
    let text = match &options.body_file {
        Some(path) => file(path, &mut octets_left)?,
        None => read(io::stdin().lock(), "standard input", &mut octets_left)?,
    };
    let attachments: Result<_, Failure> =
        options.attach.iter().map(|path| Attachment::new(path, file(path, &mut octets_left)?)).collect();
    Ok(Draft {
        from: addresses.from.clone(),
        to: addresses.to.clone(),
        cc: addresses.cc.clone(),
        subject: options.subject.clone(),
        text: compose::text(text)?,
        attachments: attachments?,
    })
}

fn file(path: &Path, octets_left: &mut u64) -> Result<Vec<u8>, Failure> {
    let name = path.display().to_string();
    let file = File::open(path)
        .map_err(|error| Failure::caused(Exit::NoInput, format!("opening {name} failed"), &error))?;
    read(file, &name, octets_left)
}

fn read(input: impl Read, name: &str, octets_left: &mut u64) -> Result<Vec<u8>, Failure> {
    let mut octets = Vec::new();
    let count = input
        .take(*octets_left + 1)
        .read_to_end(&mut octets)
        .map_err(|error| Failure::caused(Exit::NoInput, format!("reading {name} failed"), &error))?;
    *octets_left = octets_left.checked_sub(count as u64).ok_or_else(|| {
        Failure::new(Exit::Data, format!("text and attachments have more than {PARTS_OCTETS_MAX} octets"))
    })?;
    Ok(octets)
}

/// A session with a server, and the connection that carries it.
struct Submission {
    link: Link,
    replies: ReplyReader,
}

impl Submission {
    /// Sends one message; gives a verdict for each recipient.
    async fn submit(
        mut self,
        envelope: Envelope,
        settings: impl FnOnce(Hello) -> Settings,
        message: &mut Spooled,
    ) -> Result<Vec<Verdict>, Failure> {
        // RFC 5321 §4.1.3: a client without a name of its own says its address.
        let address = self.link.connection().local().ip().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let hello = Hello::Domain(Domain::Address(address));
        let mut session = Session::new(settings(hello));
        use_scram(&self.link, &mut session);
        let mut envelope = Some(envelope);
        let mut step = Step::Wait;
        loop {
            step = match step {
                Step::Send(octets) => {
                    self.link.send(&octets);
                    session.reply(self.reply().await?)
                }
                Step::Wait => session.reply(self.reply().await?),
                Step::StartTls => {
                    self.link.start_tls().await?;
                    use_scram(&self.link, &mut session);
                    session.tls_started()
                }
                Step::Ready => match envelope.take() {
                    Some(envelope) => session.transaction(envelope),
                    None => session.quit(),
                },
                Step::Content => session.reply(self.content(message).await?),
                Step::Ended(verdicts) => {
                    self.quit(&mut session).await;
                    return Ok(verdicts);
                }
                Step::Closed => return Ok(Vec::new()),
                Step::Failed(failure) => {
                    self.quit(&mut session).await;
                    return Err(session_failure(&failure));
                }
            };
        }
    }

    /// The next whole reply.
    async fn reply(&mut self) -> Result<Reply, Failure> {
        loop {
            let line = self.link.line().await?;
            let reply =
                self.replies.line(&line).map_err(|error| Failure::new(Exit::Protocol, error.to_string()))?;
            if let Some(reply) = reply {
                return Ok(reply);
            }
        }
    }

    /// Sends the message; gives the final reply.
    async fn content(&mut self, message: &mut Spooled) -> Result<Reply, Failure> {
        let failed = |error: io::Error| Failure::caused(Exit::Io, "reading the message back failed", &error);
        let mut input = message.read().map_err(failed)?;
        let mut stuffer = Stuffer::new();
        let mut chunk = vec![0; CHUNK_OCTETS];
        loop {
            let count = input.read(&mut chunk).map_err(failed)?;
            if count == 0 {
                break;
            }
            stuffer.stuff(chunk.get(..count).unwrap_or_default(), self.link.connection().output());
            if !self.link.connection().wants_flush() {
                continue;
            }
            if let Err(error) = self.link.connection().flush().await {
                // A server that will not take it all has mostly said why before it closed.
                let broken = self.link.broken(&error);
                return self.reply().await.map_err(|_| broken);
            }
        }
        stuffer.finish(self.link.connection().output());
        self.reply().await
    }

    /// Says goodbye. The verdicts are known, so that nothing that goes wrong here matters.
    async fn quit(mut self, session: &mut Session) {
        if let Step::Send(octets) = session.quit() {
            self.link.send(&octets);
            let _ = self.reply().await;
        }
        self.link.close().await;
    }
}

fn session_failure(failure: &SessionFailure) -> Failure {
    let text = failure.to_string();
    match failure {
        SessionFailure::Refused { reply, .. } if reply.code() / 100 == 4 => {
            Failure::new(Exit::TryAgain, text)
        }
        SessionFailure::Login(reply) if reply.code() / 100 == 4 => Failure::new(Exit::TryAgain, text),
        SessionFailure::Login(_) => Failure::new(Exit::NoPermission, text)
            .advise("Check login and password; the login is often the whole address."),
        SessionFailure::NoTls => Failure::new(Exit::Unavailable, text)
            .advise("With --clear the mail goes without TLS, for everybody to read."),
        SessionFailure::Refused { .. } | SessionFailure::PasswordInClear => {
            Failure::new(Exit::Unavailable, text)
        }
        SessionFailure::NoTokens => Failure::new(Exit::Unavailable, text),
        SessionFailure::NoMechanism => Failure::new(Exit::Unavailable, text)
            .advise("Without a login in the URL, mua sends without one, which servers take on port 25 only."),
        SessionFailure::Unexpected { .. } => Failure::new(Exit::Protocol, text),
        SessionFailure::Impostor => {
            Failure::new(Exit::Protocol, text).advise("Somebody may be tampering with the connection.")
        }
    }
}

/// Tells what became of each recipient; fails where one did not get the message.
fn report(recipients: &[Mailbox], verdicts: &[Verdict], output: &mut Output) -> Result<(), Failure> {
    let mut worst = None;
    for (recipient, verdict) in recipients.iter().zip(verdicts) {
        match verdict {
            Verdict::Accepted(reply) => output.line(&format!("sent to {recipient}: {reply}"))?,
            Verdict::Deferred(reason) => {
                output.note(&format!("not sent to {recipient}: {reason}"));
                worst.get_or_insert(Exit::TryAgain);
            }
            Verdict::Refused(reason) => {
                output.note(&format!("not sent to {recipient}: {reason}"));
                worst = Some(refusal(reason));
            }
        }
    }
    let missing = verdicts.iter().filter(|verdict| !matches!(verdict, Verdict::Accepted(_))).count();
    let Some(exit) = worst else { return Ok(()) };
    let failure =
        Failure::new(exit, format!("{missing} of {} recipients did not get the message", recipients.len()));
    Err(if exit == Exit::TryAgain {
        failure.advise("The server says that trying again later may help.")
    } else {
        failure
    })
}

fn refusal(reason: &Reason) -> Exit {
    match reason {
        Reason::Reply { command: "RCPT", .. } => Exit::NoUser,
        Reason::Reply { .. } => Exit::Unavailable,
        Reason::NoSmtpUtf8 | Reason::NoEightBitMime | Reason::NoRequireTls | Reason::TooLarge { .. } => {
            Exit::Data
        }
        Reason::NotReady => Exit::TryAgain,
    }
}

/// Lets the login go by SCRAM, bound to TLS where it runs.
fn use_scram(link: &Link, session: &mut Session) {
    if let Some(means) = link.scram_means() {
        session.use_scram(means);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailwire::smtp::Enhanced;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    fn reason(command: &'static str) -> Reason {
        Reason::Reply { command, reply: Reply::new(550, Enhanced(5, 1, 1), "no") }
    }

    #[test]
    fn the_exit_status_tells_the_worst_that_happened() {
        let recipients = [mailbox("a@a.example"), mailbox("b@b.example")];
        let accepted = Verdict::Accepted(Reply::plain(250, "ok"));
        let exit = |verdicts: &[Verdict]| {
            report(&recipients, verdicts, &mut Output::nowhere()).map_err(|failure| failure.exit())
        };
        assert_eq!(exit(&[accepted.clone(), accepted.clone()]), Ok(()));
        assert_eq!(exit(&[accepted.clone(), Verdict::Deferred(reason("RCPT"))]), Err(Exit::TryAgain));
        let refused = Verdict::Refused(reason("RCPT"));
        assert_eq!(exit(&[refused, Verdict::Deferred(reason("RCPT"))]), Err(Exit::NoUser));
        assert_eq!(exit(&[accepted, Verdict::Refused(reason("MAIL"))]), Err(Exit::Unavailable));
    }

    #[test]
    fn each_recipient_is_named_once() {
        let addresses = Addresses {
            from: Address::parse("a@a.example").unwrap(),
            to: Address::parse_list("b@b.example, c@c.example").unwrap(),
            cc: Address::parse_list("B <b@b.example>").unwrap(),
            bcc: Address::parse_list("d@d.example").unwrap(),
        };
        let recipients = addresses.recipients();
        assert_eq!(recipients, [mailbox("b@b.example"), mailbox("c@c.example"), mailbox("d@d.example")]);
    }
}
