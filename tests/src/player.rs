//! Plays a dialogue against whatever answers: a bare session, or a process behind TCP and TLS.
//!
//! A daemon's own test implements [`Peer`] for its session (`send` feeds octets, carries out what the session asks for
//! and queues what it says; `receive_line` takes the next line from that queue) and [`World`] for the state that the
//! connections of one dialogue share, then plays all scripts with [`play_all`]:
//!
//! ```no_run
//! # use std::io; use mailstack_tests::{chopping::*, dialogue::*, player::*};
//! # struct Session; struct Accounts;
//! # impl Peer for Session {
//! #     fn send(&mut self, _: &[u8]) -> io::Result<()> { Ok(()) }
//! #     fn receive_line(&mut self) -> io::Result<Received> { Ok(Received::Closed) }
//! #     fn start_tls(&mut self) -> io::Result<()> { Ok(()) }
//! #     fn close(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # impl Accounts { fn new(_: &Setting) -> Self { Self } }
//! impl World for Accounts {
//!     type Peer = Session;
//!     fn connect(&mut self, _security: Security) -> io::Result<Session> {
//!         Ok(Session)
//!     }
//! }
//! // in a #[test]:
//! play_all(Protocol::Smtp, Chopping::Whole, |setting, _transport| Accounts::new(setting));
//! play_all(Protocol::Smtp, Chopping::Octets, |setting, _transport| Accounts::new(setting));
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io;

use crate::chopping::Chopping;
use crate::dialogue::{Begin, Dialogue, Port, Protocol, Setting, Step, Transport};
use crate::pattern::{Captures, Pattern};
use crate::stream::is_end;
use crate::text;
use crate::variations::{cuts, pipelined};

/// The server's end of one connection.
pub trait Peer {
    /// Says `octets` to the server.
    ///
    /// # Errors
    /// Where the connection does not take them.
    fn send(&mut self, octets: &[u8]) -> io::Result<()>;

    /// The next line that the server said.
    ///
    /// # Errors
    /// Where the connection fails otherwise than by its end.
    fn receive_line(&mut self) -> io::Result<Received>;

    /// Makes the TLS handshake after STARTTLS or STLS; in a bare session, tells it that TLS has begun.
    ///
    /// # Errors
    /// Where the handshake fails.
    fn start_tls(&mut self) -> io::Result<()>;

    /// Ends the client's side. What the server has already said can still be received, then [`Received::Closed`].
    ///
    /// # Errors
    /// Where the connection fails otherwise than by being closed already.
    fn close(&mut self) -> io::Result<()>;
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Everything up to and including the next LF.
    Line(Vec<u8>),
    /// The server has closed the connection.
    Closed,
    /// Nothing, where something was waited for.
    Nothing,
}

/// What a connection is protected by from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Nothing yet.
    Clear,
    /// TLS from the first octet.
    Tls,
}

/// What the connections of one dialogue share.
pub trait World {
    /// A connection.
    type Peer: Peer;

    /// Opens a connection to the service of the dialogue's setting.
    ///
    /// # Errors
    /// Where it cannot be opened.
    fn connect(&mut self, security: Security) -> io::Result<Self::Peer>;
}

/// What went otherwise than the script says, with the dialogue up to there.
#[derive(Debug)]
pub struct Failure {
    place: String,
    problem: String,
    transcript: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.place, self.problem)?;
        f.write_str(&self.transcript)
    }
}

impl std::error::Error for Failure {}

/// Plays every script of a protocol over every transport of its setting, in a new world each.
///
/// # Panics
/// With all failures, where a script cannot be read or goes wrong.
pub fn play_all<W: World>(
    protocol: Protocol,
    chopping: Chopping,
    mut world: impl FnMut(&Setting, Transport) -> W,
) {
    each(protocol, |dialogue, transport| {
        play(dialogue, transport, chopping, &mut world(&dialogue.setting, transport)).map(drop)
    });
}

/// Plays every script of a protocol cut in two at every place, and asks that the server says the same each time.
///
/// # Panics
/// With all failures, where a script cannot be read or goes wrong.
pub fn play_all_cut<W: World>(protocol: Protocol, mut world: impl FnMut(&Setting, Transport) -> W) {
    each(protocol, |dialogue, transport| {
        let mut played =
            |chopping| play(dialogue, transport, chopping, &mut world(&dialogue.setting, transport));
        let whole = played(Chopping::Whole)?;
        for at in cuts(&dialogue.steps) {
            let said = played(Chopping::At(at))?;
            if said != whole {
                let place = format!("{} over {transport:?}, cut at {at}", dialogue.file.display());
                let problem = format!("the server says something else than to the whole:\n{whole}");
                return Err(Failure { place, problem, transcript: said });
            }
        }
        Ok(())
    });
}

/// Does something with every script of a protocol over every transport of its setting.
fn each(protocol: Protocol, mut done: impl FnMut(&Dialogue, Transport) -> Result<(), Failure>) {
    let dialogues = Dialogue::all(protocol).unwrap_or_else(|error| fail(&error.to_string()));
    let mut failures = String::new();
    for dialogue in &dialogues {
        for &transport in &dialogue.setting.transports {
            if let Err(failure) = done(dialogue, transport) {
                let _ = writeln!(failures, "{failure}");
            }
        }
    }
    if !failures.is_empty() {
        fail(&failures);
    }
}

#[expect(clippy::panic, reason = "a dialogue that goes wrong fails the test that plays it")]
fn fail(problem: &str) -> ! {
    panic!("{problem}")
}

/// Plays one script over one transport, and gives all that the server said.
///
/// # Errors
/// With what went otherwise than the script says.
pub fn play<W: World>(
    dialogue: &Dialogue,
    transport: Transport,
    chopping: Chopping,
    world: &mut W,
) -> Result<String, Failure> {
    let mut play = Play {
        setting: &dialogue.setting,
        transport,
        chopping,
        world,
        connections: BTreeMap::new(),
        captures: Captures::new(),
        script_octets: 0,
        transcript: String::new(),
        said: String::new(),
    };
    let mut line = 0;
    let mut played = play.connection(1).map(drop);
    let steps = match chopping {
        Chopping::Pipelined => Cow::Owned(pipelined(&dialogue.steps)),
        Chopping::Whole | Chopping::Octets | Chopping::Pieces | Chopping::At(_) => {
            Cow::Borrowed(&dialogue.steps)
        }
    };
    let mut steps = steps.iter().peekable();
    while let (Ok(()), Some((at, step))) = (&played, steps.next()) {
        line = *at;
        played = play.step(step, steps.peek().map(|(_, next)| next));
    }
    let played = played.and_then(|()| play.finish());
    match played {
        Ok(()) => Ok(play.said),
        Err(problem) => Err(Failure {
            place: format!("{}:{line} over {transport:?}, {chopping:?}", dialogue.file.display()),
            problem,
            transcript: play.transcript,
        }),
    }
}

/// One dialogue being played.
struct Play<'a, W: World> {
    setting: &'a Setting,
    transport: Transport,
    chopping: Chopping,
    world: &'a mut W,
    connections: BTreeMap<u8, Open<W::Peer>>,
    captures: Captures,
    /// Octets of the script that were sent.
    script_octets: usize,
    transcript: String,
    /// The server's part of the transcript.
    said: String,
}

/// A connection.
struct Open<P> {
    peer: P,
    /// A line that was read for the script already.
    greeting: Option<Vec<u8>>,
    /// Why the server takes nothing any more. One that ends the connection may do so while the client still talks, so that
    /// is told only where the script does not say that the connection ends.
    ended: Option<io::Error>,
}

impl<W: World> Play<'_, W> {
    fn step(&mut self, step: &Step, next: Option<&Step>) -> Result<(), String> {
        match step {
            Step::Send { connection, octets } => self.script(*connection, octets),
            Step::Expect { connection, pattern, text, times } => {
                (0..*times).try_for_each(|_| self.expect(*connection, pattern, text))
            }
            Step::Skip { connection, forbidden, text } => match next {
                Some(Step::Expect { connection: same, pattern, .. }) if same == connection => {
                    self.skip(*connection, pattern, forbidden.as_ref(), text)
                }
                _ => Err("`S: ...` needs a line after it that ends it".to_owned()),
            },
            Step::StartTls { connection } => {
                let _ = writeln!(self.transcript, "C{connection}! tls");
                self.connection(*connection)?.peer.start_tls().map_err(|error| format!("TLS failed: {error}"))
            }
            Step::Close { connection } => {
                let _ = writeln!(self.transcript, "C{connection}! close");
                self.connection(*connection)?.peer.close().map_err(|error| format!("closing failed: {error}"))
            }
            Step::Closed { connection } => match self.receive(*connection)? {
                Received::Closed => {
                    self.connection(*connection)?.ended = None;
                    Ok(())
                }
                other @ (Received::Line(_) | Received::Nothing) => {
                    Err(format!("expected the end of the connection, got {}", shown(&other)))
                }
            },
        }
    }

    /// Nothing may be left that the script does not mention.
    fn finish(&mut self) -> Result<(), String> {
        for connection in self.connections.keys().copied().collect::<Vec<_>>() {
            if let Some(error) = self.connection(connection)?.ended.take() {
                return Err(format!("sending failed: {error}"));
            }
            self.connection(connection)?.peer.close().map_err(|error| format!("closing failed: {error}"))?;
            match self.receive(connection)? {
                Received::Closed => {}
                other @ (Received::Line(_) | Received::Nothing) => {
                    return Err(format!("the script has ended, but the server said {}", shown(&other)));
                }
            }
        }
        Ok(())
    }

    /// Says what the script says, chopped.
    fn script(&mut self, connection: u8, octets: &[u8]) -> Result<(), String> {
        let sizes = self.chopping.sizes(self.script_octets, octets.len());
        self.script_octets += octets.len();
        self.send(connection, octets, &sizes)
    }

    /// Says octets in pieces of these sizes.
    fn send(&mut self, connection: u8, octets: &[u8], sizes: &[usize]) -> Result<(), String> {
        for line in octets.split_inclusive(|&octet| octet == b'\n') {
            let _ = writeln!(self.transcript, "C{connection}: {}", excerpt(line));
        }
        let open = self.connection(connection)?;
        let mut rest = octets;
        for size in sizes {
            let (piece, behind) = rest.split_at_checked(*size).unwrap_or((rest, b""));
            match open.peer.send(piece) {
                Ok(()) => rest = behind,
                Err(error) if is_end(&error) => {
                    open.ended = Some(error);
                    break;
                }
                Err(error) => return Err(format!("sending failed: {error}")),
            }
        }
        Ok(())
    }

    fn receive(&mut self, connection: u8) -> Result<Received, String> {
        let open = self.connection(connection)?;
        let received = match open.greeting.take() {
            Some(greeting) => Received::Line(greeting),
            None => open.peer.receive_line().map_err(|error| format!("receiving failed: {error}"))?,
        };
        let line = format!("S{connection}: {}", shown(&received));
        let _ = writeln!(self.transcript, "{line}");
        let _ = writeln!(self.said, "{line}");
        Ok(received)
    }

    /// The next line without its CRLF, where there is one.
    fn line(&mut self, connection: u8, expected: &str) -> Result<Vec<u8>, String> {
        let received = self.receive(connection)?;
        let Received::Line(line) = &received else {
            return Err(format!("expected {expected}, got {}", shown(&received)));
        };
        let line = line.strip_suffix(b"\r\n").ok_or_else(|| format!("no CRLF ends {}", shown(&received)))?;
        Ok(line.to_vec())
    }

    fn expect(&mut self, connection: u8, pattern: &Pattern, text: &str) -> Result<(), String> {
        let line = self.line(connection, text)?;
        if pattern.matches(&line, &mut self.captures) {
            return Ok(());
        }
        Err(format!("expected {text}, got {}", excerpt(&line)))
    }

    /// Reads lines up to the first that `end` matches, and keeps that one for the next step.
    fn skip(
        &mut self,
        connection: u8,
        end: &Pattern,
        forbidden: Option<&Pattern>,
        text: &str,
    ) -> Result<(), String> {
        loop {
            let mut line = self.line(connection, text)?;
            if forbidden.is_some_and(|pattern| pattern.matches(&line, &mut self.captures.clone())) {
                return Err(format!("expected {text}, got {}", excerpt(&line)));
            }
            if end.matches(&line, &mut self.captures.clone()) {
                line.extend_from_slice(b"\r\n");
                self.connection(connection)?.greeting = Some(line);
                return Ok(());
            }
        }
    }

    /// The connection of that number, opened where it is new, up to where the script takes over.
    fn connection(&mut self, number: u8) -> Result<&mut Open<W::Peer>, String> {
        if !self.connections.contains_key(&number) {
            let security = match self.transport {
                Transport::Plain | Transport::StartTls | Transport::Unix => Security::Clear,
                Transport::Tls => Security::Tls,
            };
            let peer = self.world.connect(security).map_err(|error| format!("connecting failed: {error}"))?;
            self.connections.insert(number, Open { peer, greeting: None, ended: None });
            self.prologue(number)?;
        }
        self.connections.get_mut(&number).ok_or_else(|| "no such connection".to_owned())
    }

    fn prologue(&mut self, number: u8) -> Result<(), String> {
        let Setting { port, begin, .. } = self.setting;
        if self.transport == Transport::StartTls {
            let mut greeting = self.line(number, "a greeting")?;
            self.switch_to_tls(number, *port)?;
            greeting.extend_from_slice(b"\r\n");
            self.connection(number)?.greeting = Some(greeting);
        }
        match begin {
            Begin::Connect => Ok(()),
            Begin::Hello => {
                self.line(number, "a greeting")?;
                self.hello(number, *port)
            }
            Begin::Login(account) => {
                self.line(number, "a greeting")?;
                self.login(number, *port, account)
            }
        }
    }

    fn switch_to_tls(&mut self, number: u8, port: Port) -> Result<(), String> {
        match port {
            Port::Reception | Port::Submission | Port::Lmtp => {
                self.hello(number, port)?;
                self.ask(number, "STARTTLS", "220")?;
            }
            Port::Pop3 => self.ask(number, "STLS", "+OK")?,
        }
        self.connection(number)?.peer.start_tls().map_err(|error| format!("TLS failed: {error}"))
    }

    fn login(&mut self, number: u8, port: Port, account: &str) -> Result<(), String> {
        match port {
            Port::Reception | Port::Submission | Port::Lmtp => {
                self.hello(number, port)?;
                let token = text::octets(&format!(r"\b(\0{account}@example.test\0pw-{account})"))?;
                self.ask(number, &format!("AUTH PLAIN {}", String::from_utf8_lossy(&token)), "235")
            }
            Port::Pop3 => {
                self.ask(number, &format!("USER {account}@example.test"), "+OK")?;
                self.ask(number, &format!("PASS pw-{account}"), "+OK")
            }
        }
    }

    fn hello(&mut self, number: u8, port: Port) -> Result<(), String> {
        match port {
            Port::Reception | Port::Submission => self.ask(number, "EHLO client.example.test", "250"),
            Port::Lmtp => self.ask(number, "LHLO client.example.test", "250"),
            Port::Pop3 => Err("POP3 has no hello".to_owned()),
        }
    }

    /// Says `command` and reads an answer that begins with `status`, up to its last line.
    fn ask(&mut self, number: u8, command: &str, status: &str) -> Result<(), String> {
        let line = format!("{command}\r\n");
        self.send(number, line.as_bytes(), &[line.len()])?;
        loop {
            let line = self.line(number, status)?;
            let Some(rest) = line.strip_prefix(status.as_bytes()) else {
                return Err(format!("expected {status} to {command}, got {}", excerpt(&line)));
            };
            if !rest.starts_with(b"-") {
                return Ok(());
            }
        }
    }
}

fn shown(received: &Received) -> String {
    match received {
        Received::Line(line) => excerpt(line),
        Received::Closed => "the end of the connection".to_owned(),
        Received::Nothing => "nothing".to_owned(),
    }
}

/// Enough of a line to recognise it.
fn excerpt(line: &[u8]) -> String {
    const OCTETS_MAX: usize = 400;
    match line.split_at_checked(OCTETS_MAX) {
        Some((front, rest)) if !rest.is_empty() => {
            format!("{}... and {} octets more", text::shown(front), rest.len())
        }
        _ => text::shown(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::path::Path;

    /// Answers each line with `250 ` and the line, and closes at `QUIT`, whatever else comes.
    #[derive(Default)]
    struct Echo {
        quit: bool,
        input: Vec<u8>,
        output: VecDeque<Received>,
    }

    impl Echo {
        fn says(&mut self, line: &[u8]) {
            self.output.push_back(Received::Line(line.to_vec()));
        }
    }

    impl Peer for Echo {
        fn send(&mut self, octets: &[u8]) -> io::Result<()> {
            for &octet in octets {
                if self.quit {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                self.input.push(octet);
                if self.input.ends_with(b"\r\n") {
                    let line = std::mem::take(&mut self.input);
                    match line.as_slice() {
                        b"QUIT\r\n" => {
                            self.quit = true;
                            self.output.push_back(Received::Closed);
                        }
                        b"STARTTLS\r\n" => self.says(b"220 go\r\n"),
                        b"EHLO client.example.test\r\n" => {
                            self.says(b"250-mail\r\n");
                            self.says(b"250 HELP\r\n");
                        }
                        _ => self.says(&[b"250 ", line.as_slice()].concat()),
                    }
                }
            }
            Ok(())
        }

        fn receive_line(&mut self) -> io::Result<Received> {
            Ok(self.output.pop_front().unwrap_or(Received::Nothing))
        }

        fn start_tls(&mut self) -> io::Result<()> {
            self.says(b"250 under TLS\r\n");
            Ok(())
        }

        fn close(&mut self) -> io::Result<()> {
            self.output.push_back(Received::Closed);
            Ok(())
        }
    }

    struct Echoes;

    impl World for Echoes {
        type Peer = Echo;

        fn connect(&mut self, security: Security) -> io::Result<Echo> {
            let mut echo = Echo::default();
            echo.says(match security {
                Security::Clear => b"220 hello\r\n",
                Security::Tls => b"220 hello, secret\r\n",
            });
            Ok(echo)
        }
    }

    fn played(transport: Transport, chopping: Chopping, script: &str) -> Result<String, Failure> {
        let text = format!("@ port: submission\n{script}");
        let dialogue = Dialogue::parse(Path::new("a-test.txt"), Protocol::Smtp, &text).unwrap();
        play(&dialogue, transport, chopping, &mut Echoes)
    }

    #[test]
    fn a_dialogue_as_it_should_be_passes_whole_and_chopped() {
        for chopping in
            [Chopping::Whole, Chopping::Octets, Chopping::Pieces, Chopping::At(3), Chopping::Pipelined]
        {
            let script = "S: 220 hello\nC: a\nC: b\nS: 250 a\nS*1: 250 {word}\nC: b\nS: 250 {word}\n\
                          C2: x\nS2: ... not y\nS2: 250 x\nC: QUIT\nS! closed\n";
            played(Transport::Plain, chopping, script).unwrap();
        }
    }

    #[test]
    fn the_player_begins_where_the_setting_says() {
        played(Transport::Plain, Chopping::Whole, "@ begin: hello\nC: a\nS: 250 a\n").unwrap();
        played(Transport::Tls, Chopping::Whole, "S: 220 hello, secret\n").unwrap();
        played(Transport::StartTls, Chopping::Whole, "S: 220 hello\nS: 250 under TLS\n").unwrap();
        played(Transport::Plain, Chopping::Whole, "S: *\nC! tls\nS: 250 under TLS\n").unwrap();
    }

    #[test]
    fn what_the_script_does_not_say_fails() {
        let scripts = [
            "S: 220 hell\n",
            "S: *\nC: a\n",
            "S: *\nS: 250 a\n",
            "S: *\nC: a\nS! closed\n",
            "S: *\nC: QUIT\nS: 250 a\n",
            "S: ... not 220*\nS: 250 x\n",
            "S: *\nC: a\nC: b\nS: 250 {x}\nS: 250 {x}\n",
        ];
        for script in scripts {
            let failure = played(Transport::Plain, Chopping::Whole, script).unwrap_err();
            assert!(failure.to_string().contains("S1: 220 hello"), "{failure}");
        }
    }

    #[test]
    fn a_server_may_end_the_connection_while_the_client_still_talks() {
        for chopping in [Chopping::Whole, Chopping::Octets, Chopping::Pieces] {
            played(Transport::Plain, chopping, "S: *\nC: QUIT\nC: a\nS! closed\n").unwrap();
            let failure = played(Transport::Plain, chopping, "S: *\nC: QUIT\nC: a\n").unwrap_err();
            assert!(failure.to_string().contains("sending failed"), "{failure}");
        }
    }

    struct Bare;

    impl World for Bare {
        type Peer = Echo;

        fn connect(&mut self, _: Security) -> io::Result<Echo> {
            let mut echo = Echo::default();
            echo.says(b"+OK\n");
            Ok(echo)
        }
    }

    #[test]
    fn a_line_must_end_in_crlf() {
        let mut world = Bare;
        let dialogue = Dialogue::parse(Path::new("a.txt"), Protocol::Pop3, "S: *\n").unwrap();
        let failure = play(&dialogue, Transport::Plain, Chopping::Whole, &mut world).unwrap_err();
        assert!(failure.to_string().contains("no CRLF"), "{failure}");
    }
}
