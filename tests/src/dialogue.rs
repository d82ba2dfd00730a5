//! Scripts of what client and server say, as the RFCs write them; `tests/dialogues/README.md` describes the form.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::pattern::Pattern;
use crate::text;

/// One script.
#[derive(Clone, Debug)]
pub struct Dialogue {
    /// Where it was read.
    pub file: PathBuf,
    /// What the script says about its world.
    pub setting: Setting,
    pub(crate) steps: Vec<(usize, Step)>,
}

/// What a script needs before its first line; the world besides is the same for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Which service is spoken to.
    pub port: Port,
    /// Over what it is played.
    pub transports: Vec<Transport>,
    /// Whether the service takes a login without TLS.
    pub clear_login: ClearLogin,
    /// Where the script takes over from the player.
    pub begin: Begin,
    /// What lies in maildrops before the connection is made: account and content, in order.
    /// Over real processes the trace fields of delivery stand in front of each content.
    pub messages: Vec<(String, Vec<u8>)>,
    /// What holds for maildrops: account and rules.
    pub rules: Vec<(String, Rules)>,
    /// What the guard lets nobody do at the moment.
    pub puts_off: Option<PutsOff>,
    /// Whether the server takes tokens.
    pub tokens: Tokens,
}

/// What holds for the use of a maildrop; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Seconds between two logins; 0: none.
    pub login_delay_seconds: u32,
    /// Days after which mail goes.
    pub expire_days: Option<u16>,
    /// Whether a login ends the session that has the maildrop.
    pub takeover: bool,
}

/// Whether the server takes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// It has been told nobody who knows about them.
    Unknown,
    /// `alices-token` is alice's, `nobodys-token` that of an address without an account, and no other is good.
    Checked,
}

/// What somebody has done too much of before the script begins. Over real processes the client comes through a proxy from
/// another machine, so it logs in under TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutsOff {
    /// Guesses, at alice's password.
    Logins,
    /// Messages.
    Messages,
    /// Recipients: there is room for one more only.
    Recipients,
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// SMTP on port 25.
    Reception,
    /// SMTP on ports 587 and 465.
    Submission,
    /// LMTP on a port of its own and on a Unix socket; its scripts lie among those of SMTP.
    Lmtp,
    /// POP3 on ports 110 and 995.
    Pop3,
}

/// The protocol of a folder of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Scripts in `dialogues/smtp`.
    Smtp,
    /// Scripts in `dialogues/pop3`.
    Pop3,
}

/// What carries the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP without TLS.
    Plain,
    /// The player switches to TLS by STARTTLS or STLS before the script begins.
    StartTls,
    /// TLS from the first octet.
    Tls,
    /// A Unix socket.
    Unix,
}

/// The two configurations that scripts are played against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClearLogin {
    /// Login without TLS is allowed, as on loopback.
    Allowed,
    /// Login needs TLS.
    Never,
}

/// Where a script takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the greeting.
    Connect,
    /// After EHLO and its answer.
    Hello,
    /// After the login of this account (SMTP: EHLO comes before).
    Login(String),
}

/// One thing that happens on one of the script's connections, the first of which is 1.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send { connection: u8, octets: Vec<u8> },
    Expect { connection: u8, pattern: Pattern, text: String, times: usize },
    Skip { connection: u8, forbidden: Option<Pattern>, text: String },
    StartTls { connection: u8 },
    Close { connection: u8 },
    Closed { connection: u8 },
}

/// A script that cannot be read.
#[derive(Debug, Error)]
#[error("{file}:{line}: {problem}")]
pub struct ScriptError {
    file: String,
    line: usize,
    problem: String,
}

impl Dialogue {
    /// Reads a script's text; its folder says the protocol.
    ///
    /// # Errors
    /// Where a line has no form of those described, or a setting is unknown.
    pub fn parse(file: &Path, protocol: Protocol, text: &str) -> Result<Self, ScriptError> {
        let mut reader = Reader::new(protocol);
        for (line, number) in text.lines().zip(1..) {
            reader.line(number, line).map_err(|problem| script_error(file, number, problem))?;
        }
        reader.finish(file).map_err(|problem| script_error(file, 0, problem))
    }

    /// All scripts of one protocol, by name.
    ///
    /// # Errors
    /// Where a file cannot be read, or not understood.
    pub fn all(protocol: Protocol) -> Result<Vec<Self>, ScriptError> {
        let folder = folder(protocol);
        let failed = |file: &Path, error: std::io::Error| script_error(file, 0, error.to_string());
        let entries = std::fs::read_dir(&folder).map_err(|error| failed(&folder, error))?;
        let mut files = Vec::new();
        for entry in entries {
            files.push(entry.map_err(|error| failed(&folder, error))?.path());
        }
        files.sort();
        let read = |file: &PathBuf| {
            let text = std::fs::read_to_string(file).map_err(|error| failed(file, error))?;
            Self::parse(file, protocol, &text)
        };
        files.iter().map(read).collect()
    }

    /// The script's name: what it shows, as a sentence in kebab case.
    #[must_use]
    pub fn name(&self) -> String {
        self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Where the scripts of a protocol lie.
#[must_use]
pub fn folder(protocol: Protocol) -> PathBuf {
    let name = match protocol {
        Protocol::Smtp => "smtp",
        Protocol::Pop3 => "pop3",
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues").join(name)
}

fn script_error(file: &Path, line: usize, problem: String) -> ScriptError {
    ScriptError { file: file.display().to_string(), line, problem }
}

/// Reads a script line by line.
struct Reader {
    protocol: Protocol,
    port: Option<Port>,
    transports: Option<Vec<Transport>>,
    clear_login: ClearLogin,
    begin: Begin,
    messages: Vec<(String, Vec<u8>)>,
    rules: Vec<(String, Rules)>,
    puts_off: Option<PutsOff>,
    tokens: Tokens,
    steps: Vec<(usize, Step)>,
}

impl Reader {
    fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            port: None,
            transports: None,
            clear_login: ClearLogin::Allowed,
            begin: Begin::Connect,
            messages: Vec::new(),
            rules: Vec::new(),
            puts_off: None,
            tokens: Tokens::Unknown,
            steps: Vec::new(),
        }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(setting) = line.strip_prefix("@ ") {
            if !self.steps.is_empty() {
                return Err("settings stand before the first line of the dialogue".to_owned());
            }
            return self.setting(setting);
        }
        let step = step(line)?;
        self.push(number, step);
        Ok(())
    }

    /// Lines of a client one after the other are one write.
    fn push(&mut self, number: usize, step: Step) {
        if let Step::Send { connection, octets } = &step
            && let Some((_, Step::Send { connection: before, octets: sent })) = self.steps.last_mut()
            && before == connection
        {
            sent.extend_from_slice(octets);
            return;
        }
        self.steps.push((number, step));
    }

    fn setting(&mut self, setting: &str) -> Result<(), String> {
        let (name, value) = setting.split_once(": ").ok_or("a setting is written `@ name: value`")?;
        match name.split_once(' ') {
            None => match name {
                "port" => self.port = Some(port(value)?),
                "transport" => {
                    self.transports = Some(value.split(' ').map(transport).collect::<Result<_, _>>()?);
                }
                "clear-login" => self.clear_login = clear_login(value)?,
                "begin" => self.begin = begin(value)?,
                "puts-off" => self.puts_off = Some(puts_off(value)?),
                "tokens" => self.tokens = tokens(value)?,
                _ => return Err(format!("no setting is called {name}")),
            },
            Some(("rules", account)) => self.rules.push((account.to_owned(), rules(value)?)),
            Some(("message", account)) => self.messages.push((account.to_owned(), text::octets(value)?)),
            Some(_) => return Err(format!("no setting is called {name}")),
        }
        Ok(())
    }

    fn finish(self, file: &Path) -> Result<Dialogue, String> {
        let port = match (self.protocol, self.port) {
            (Protocol::Pop3, None | Some(Port::Pop3)) => Port::Pop3,
            (Protocol::Smtp, Some(port @ (Port::Reception | Port::Submission | Port::Lmtp))) => port,
            (Protocol::Smtp, None) => return Err("`@ port:` is missing".to_owned()),
            (Protocol::Pop3, Some(_)) | (Protocol::Smtp, Some(Port::Pop3)) => {
                return Err("the port belongs to another protocol".to_owned());
            }
        };
        if self.steps.is_empty() {
            return Err("nobody says anything".to_owned());
        }
        let transports = self.transports.unwrap_or_else(|| usual_transports(port));
        if matches!(port, Port::Reception | Port::Lmtp) && transports.contains(&Transport::Tls) {
            return Err("the service has no port with implicit TLS".to_owned());
        }
        if port != Port::Lmtp && transports.contains(&Transport::Unix) {
            return Err("the service has no Unix socket".to_owned());
        }
        let setting = Setting {
            port,
            transports,
            clear_login: self.clear_login,
            begin: self.begin,
            messages: self.messages,
            rules: self.rules,
            puts_off: self.puts_off,
            tokens: self.tokens,
        };
        Ok(Dialogue { file: file.to_owned(), setting, steps: self.steps })
    }
}

fn usual_transports(port: Port) -> Vec<Transport> {
    match port {
        Port::Reception => vec![Transport::Plain, Transport::StartTls],
        Port::Lmtp => vec![Transport::Plain, Transport::StartTls, Transport::Unix],
        Port::Submission | Port::Pop3 => vec![Transport::Plain, Transport::StartTls, Transport::Tls],
    }
}

fn port(value: &str) -> Result<Port, String> {
    match value {
        "reception" => Ok(Port::Reception),
        "submission" => Ok(Port::Submission),
        "lmtp" => Ok(Port::Lmtp),
        "pop3" => Ok(Port::Pop3),
        _ => Err(format!("no port is called {value}")),
    }
}

fn transport(value: &str) -> Result<Transport, String> {
    match value {
        "plain" => Ok(Transport::Plain),
        "starttls" => Ok(Transport::StartTls),
        "tls" => Ok(Transport::Tls),
        "unix" => Ok(Transport::Unix),
        _ => Err(format!("no transport is called {value}")),
    }
}

fn clear_login(value: &str) -> Result<ClearLogin, String> {
    match value {
        "allowed" => Ok(ClearLogin::Allowed),
        "never" => Ok(ClearLogin::Never),
        _ => Err(format!("clear-login is allowed or never, not {value}")),
    }
}

fn begin(value: &str) -> Result<Begin, String> {
    match value.split_once(' ') {
        None if value == "connect" => Ok(Begin::Connect),
        None if value == "hello" => Ok(Begin::Hello),
        Some(("login", account)) => Ok(Begin::Login(account.to_owned())),
        _ => Err(format!("a dialogue does not begin at {value}")),
    }
}

fn puts_off(value: &str) -> Result<PutsOff, String> {
    match value {
        "logins" => Ok(PutsOff::Logins),
        "messages" => Ok(PutsOff::Messages),
        "recipients" => Ok(PutsOff::Recipients),
        _ => Err(format!("nobody is put off for {value}")),
    }
}

/// `login-delay 60, expire 30, takeover`, or some of these.
fn rules(value: &str) -> Result<Rules, String> {
    let mut rules = Rules::default();
    for rule in value.split(", ") {
        let unknown = |_| format!("no rule is written {rule}");
        match rule.split_once(' ') {
            None if rule == "takeover" => rules.takeover = true,
            Some(("login-delay", seconds)) => rules.login_delay_seconds = seconds.parse().map_err(unknown)?,
            Some(("expire", days)) => rules.expire_days = Some(days.parse().map_err(unknown)?),
            _ => return Err(format!("no rule is called {rule}")),
        }
    }
    Ok(rules)
}

fn tokens(value: &str) -> Result<Tokens, String> {
    match value {
        "checked" => Ok(Tokens::Checked),
        _ => Err(format!("tokens are not {value}")),
    }
}

/// `C: text`, `C- text`, `C! close`, `C! tls`, `S: text`, `S*3: text`, `S! closed`, each with a connection's digit.
fn step(line: &str) -> Result<Step, String> {
    let unknown = || format!("nobody says {line:?}");
    let (head, text) = line.split_once(' ').unwrap_or((line, ""));
    let mut head = head.chars();
    let who = head.next().ok_or_else(unknown)?;
    let how = head.next_back().ok_or_else(unknown)?;
    let (connection, times) = connection_and_times(head.as_str()).ok_or_else(unknown)?;
    match (who, how) {
        ('C', ':') => {
            let mut octets = text::octets(text)?;
            octets.extend_from_slice(b"\r\n");
            Ok(Step::Send { connection, octets })
        }
        ('C', '-') => Ok(Step::Send { connection, octets: text::octets(text)? }),
        ('C', '!') if text == "tls" => Ok(Step::StartTls { connection }),
        ('C', '!') if text == "close" => Ok(Step::Close { connection }),
        ('S', '!') if text == "closed" => Ok(Step::Closed { connection }),
        ('S', ':') => match text.strip_prefix("...") {
            Some("") => Ok(Step::Skip { connection, forbidden: None, text: text.to_owned() }),
            Some(rest) => {
                let forbidden = Some(Pattern::parse(rest.strip_prefix(" not ").ok_or_else(unknown)?)?);
                Ok(Step::Skip { connection, forbidden, text: text.to_owned() })
            }
            None => {
                Ok(Step::Expect { connection, pattern: Pattern::parse(text)?, text: text.to_owned(), times })
            }
        },
        _ => Err(unknown()),
    }
}

fn connection_and_times(head: &str) -> Option<(u8, usize)> {
    let (connection, times) = head.split_once('*').unwrap_or((head, "1"));
    let connection = if connection.is_empty() { 1 } else { connection.parse().ok()? };
    Some((connection, times.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dialogue, ScriptError> {
        Dialogue::parse(Path::new("a-test.txt"), Protocol::Smtp, text)
    }

    #[test]
    fn settings_stand_before_the_dialogue() {
        let text = "# x\n@ port: submission\n@ transport: plain tls\n@ clear-login: never\n\
                    @ begin: login alice\n@ message bob: a\\r\\n\n@ puts-off: messages\n\
                    @ rules bob: login-delay 60, expire 7, takeover\n@ tokens: checked\n\nC: QUIT\n";
        let dialogue = parse(text).unwrap();
        let rules = Rules { login_delay_seconds: 60, expire_days: Some(7), takeover: true };
        assert_eq!(dialogue.name(), "a-test");
        assert_eq!(
            dialogue.setting,
            Setting {
                port: Port::Submission,
                transports: vec![Transport::Plain, Transport::Tls],
                clear_login: ClearLogin::Never,
                begin: Begin::Login("alice".to_owned()),
                messages: vec![("bob".to_owned(), b"a\r\n".to_vec())],
                rules: vec![("bob".to_owned(), rules)],
                puts_off: Some(PutsOff::Messages),
                tokens: Tokens::Checked,
            }
        );
    }

    #[test]
    fn lines_of_the_client_in_a_row_are_one_write() {
        let dialogue = parse("@ port: reception\nC: NOOP\nC- x\nC2: y\nS: 250 *\n").unwrap();
        let sent: Vec<_> = dialogue
            .steps
            .iter()
            .filter_map(|(_, step)| {
                if let Step::Send { connection, octets } = step {
                    Some((*connection, octets.as_slice()))
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(sent, [(1, b"NOOP\r\nx".as_slice()), (2, b"y\r\n".as_slice())]);
    }

    #[test]
    fn what_has_no_known_form_is_refused_with_its_line() {
        for line in [
            "@ puts-off: all",
            "@ tokens: good",
            "X: a",
            "C? a",
            "S! open",
            "@ port: imap",
            "@ colour: red",
            "S: ... but x",
            "Cx: a",
            "C: \\q",
        ] {
            let text = format!("@ port: reception\n{line}\nC: QUIT\n");
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.starts_with("a-test.txt:2: "), "{error}");
        }
        parse("C: QUIT\n").unwrap_err();
        parse("@ port: reception\n").unwrap_err();
        parse("@ port: reception\nC: QUIT\n@ begin: hello\n").unwrap_err();
    }

    #[test]
    fn every_script_can_be_read_and_cites_its_rfc() {
        for protocol in [Protocol::Smtp, Protocol::Pop3] {
            let dialogues = Dialogue::all(protocol).unwrap();
            assert!(dialogues.len() >= 60, "{protocol:?} has {} scripts only", dialogues.len());
            for dialogue in dialogues {
                let name = dialogue.name();
                let kebab = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
                assert!(name.bytes().all(kebab) && name.contains('-'), "{name} is no sentence in kebab case");
                assert!(dialogue.file.extension().is_some_and(|extension| extension == "txt"), "{name}");
                let text = std::fs::read_to_string(&dialogue.file).unwrap();
                let first = text.lines().next().unwrap_or_default();
                assert!(first.starts_with("# ") && first.contains("RFC "), "{name} begins without its RFC");
                assert!(first.contains('§') || first.contains("Appendix"), "{name} cites no section");
            }
        }
    }
}
