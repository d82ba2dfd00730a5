//! Log output: one line an event on standard error, everything outside 0x20-0x7e escaped.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use tracing::warn;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The filter where none can be used.
const FALLBACK: &str = "info";
/// The library for DNS warns of what strangers send, with all of it. What matters of that we say ourselves; a filter that
/// names one of these hears it all the same.
const SILENT: &str = "hickory_net=off,hickory_proto=off,hickory_resolver=off";

/// Starts logging; `filter` is as in `RUST_LOG` (`info`, `smtpd=debug`), which wins where it is set.
/// A second call in one process changes nothing.
///
/// A panic becomes an event as well: its text can hold what came from outside.
pub fn start(filter: &str) {
    let chosen = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| filter.to_owned());
    let parsed = EnvFilter::try_new(with_silent(&chosen));
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let colours = if io::stderr().is_terminal() { Colours::Kept } else { Colours::Escaped };
    let started = tracing_subscriber::fmt()
        .compact()
        .with_env_filter(parsed.unwrap_or_else(|_| EnvFilter::new(with_silent(FALLBACK))))
        .with_ansi(matches!(colours, Colours::Kept))
        .with_writer(StandardError { colours })
        .try_init();
    if started.is_err() {
        return;
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a fault of this program")));
    if let Some(problem) = problem {
        warn!(filter = chosen, problem, "the log filter cannot be used, logging at info");
    }
}

/// Checks a filter before it is used.
///
/// # Errors
/// What is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(drop).map_err(|error| error.to_string())
}

/// `filter` without those of whom nothing is heard, unless it names them: what comes later counts.
fn with_silent(filter: &str) -> String {
    format!("{SILENT},{filter}")
}

/// What becomes of the sequences that colour a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    Kept,
    Escaped,
}

/// Where events go. tracing-subscriber hands each over whole, with its line end.
struct StandardError {
    colours: Colours,
}

impl<'a> MakeWriter<'a> for StandardError {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event { colours: self.colours }
    }
}

/// Writes one event as one line.
struct Event {
    colours: Colours,
}

impl Write for Event {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(&one_line(text, self.colours))?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// `text` with everything outside 0x20-0x7e escaped but its last line end.
fn one_line(text: &[u8], colours: Colours) -> Cow<'_, [u8]> {
    let whole = text;
    let (text, end) = text.strip_suffix(b"\n").map_or((text, &b""[..]), |text| (text, &b"\n"[..]));
    // Nearly every line is as it must be.
    if text.iter().all(|octet| matches!(octet, b' '..=b'~')) {
        return Cow::Borrowed(whole);
    }
    let mut line = Vec::with_capacity(whole.len());
    let mut rest = text;
    while let Some((octet, behind)) = rest.split_first() {
        let kept = match colours {
            Colours::Kept => colour_octets(rest),
            Colours::Escaped => 0,
        };
        if let Some((colour, after)) = rest.split_at_checked(kept)
            && kept > 0
        {
            line.extend_from_slice(colour);
            rest = after;
            continue;
        }
        if matches!(octet, b' '..=b'~') {
            line.push(*octet);
        } else {
            line.extend(octet.escape_ascii());
        }
        rest = behind;
    }
    line.extend_from_slice(end);
    Cow::Owned(line)
}

/// How many octets a colour at the front takes: `ESC [ digits and semicolons m`. tracing-subscriber writes them; in
/// values it has escaped ESC already.
fn colour_octets(text: &[u8]) -> usize {
    let Some(arguments) = text.strip_prefix(b"\x1b[") else { return 0 };
    let digits = arguments.iter().take_while(|octet| octet.is_ascii_digit() || **octet == b';').count();
    if arguments.get(digits) == Some(&b'm') { digits + 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_for_dns_is_silent_unless_it_is_named() {
        let shown = |filter: &str| EnvFilter::try_new(with_silent(filter)).unwrap().to_string();
        let info = shown("info");
        assert!(info.contains("hickory_net=off") && info.contains("info"), "{info}");
        let named = shown("info,hickory_net=debug");
        assert!(named.contains("hickory_net=debug") && !named.contains("hickory_net=off"), "{named}");
        assert!(EnvFilter::try_new(with_silent("")).is_ok());
    }

    #[test]
    fn an_event_cannot_forge_a_second_line() {
        let text = "login failed login=\"a\r\n2025 INFO all is well\" \u{e9}\n";
        assert_eq!(
            *one_line(text.as_bytes(), Colours::Escaped),
            *b"login failed login=\"a\\r\\n2025 INFO all is well\" \\xc3\\xa9\n"
        );
    }

    #[test]
    fn colours_are_kept_for_a_terminal_and_nothing_else_is() {
        let text = b"\x1b[32m INFO\x1b[0m \x1b[2J\x1b]0;title\x07\n";
        assert_eq!(*one_line(text, Colours::Kept), *b"\x1b[32m INFO\x1b[0m \\x1b[2J\\x1b]0;title\\x07\n");
        assert_eq!(*one_line(b"\x1b[1m", Colours::Escaped), *b"\\x1b[1m");
        assert_eq!(*one_line(b"\x1b[1", Colours::Kept), *b"\\x1b[1");
    }

    #[test]
    fn a_filter_is_checked() {
        assert_eq!(check_filter("info,smtpd=debug"), Ok(()));
        assert!(check_filter("smtpd=loud").is_err());
    }
}
