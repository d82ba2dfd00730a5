//! All that `mua` prints goes through here: text from outside is made harmless for a terminal.

use std::io::{self, IsTerminal, Write};

/// Octets of a line that are held back before it is shown in pieces.
const HELD_OCTETS_MAX: usize = 64 << 10;

/// Where output and messages to the user go.
pub(crate) struct Output {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// A terminal obeys what it is sent; a file or another program gets it as it is.
    out_is: Sink,
    /// The last line of content, which may go on.
    held: Vec<u8>,
}

/// What stands behind the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sink {
    Terminal,
    File,
}

impl Output {
    /// Standard output and standard error.
    pub(crate) fn standard() -> Self {
        let stdout = io::stdout();
        let out_is = if stdout.is_terminal() { Sink::Terminal } else { Sink::File };
        Self {
            out: Box::new(io::BufWriter::new(stdout)),
            err: Box::new(io::stderr()),
            out_is,
            held: Vec::new(),
        }
    }

    /// Nowhere, for tests.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self { out: Box::new(io::sink()), err: Box::new(io::sink()), out_is: Sink::File, held: Vec::new() }
    }

    /// One line of output.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", harmless(text, Lines::One))
    }

    /// A piece of a message: as it is into a file, line by line and harmless onto a terminal.
    pub(crate) fn content(&mut self, octets: &[u8]) -> io::Result<()> {
        match self.out_is {
            Sink::File => self.out.write_all(octets),
            Sink::Terminal => {
                self.held.extend_from_slice(octets);
                let complete = self.held.iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
                let rest = self.held.split_off(complete);
                self.content_end()?;
                self.held = rest;
                // A line without end is not waited for.
                if self.held.len() > HELD_OCTETS_MAX { self.content_end() } else { Ok(()) }
            }
        }
    }

    /// The message is complete.
    pub(crate) fn content_end(&mut self) -> io::Result<()> {
        let octets = std::mem::take(&mut self.held);
        let text = String::from_utf8_lossy(&octets).replace("\r\n", "\n");
        write!(self.out, "{}", harmless(&text, Lines::Many))
    }

    /// A line to the user, beside the output.
    pub(crate) fn note(&mut self, text: &str) {
        // Where not even this can be printed, nobody is there to be told.
        let _ = writeln!(self.err, "mua: {}", harmless(text, Lines::Many));
    }

    /// Text of our own, as it is.
    pub(crate) fn help(&mut self, text: &str) -> io::Result<()> {
        write!(self.out, "{text}")
    }

    /// Sends what is buffered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether a line feed belongs to the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Many,
}

/// Without what a terminal obeys: control characters, and those that turn the direction of writing, which can make a
/// text look like another.
fn harmless(text: &str, lines: Lines) -> String {
    let harmful = |c: char| match c {
        '\n' => lines == Lines::One,
        '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => true,
        _ => c.is_control(),
    };
    text.chars().map(|c| if harmful(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(out_is: Sink, print: impl FnOnce(&mut Output)) -> String {
        let shared = Shared::default();
        let mut output =
            Output { out: Box::new(shared.clone()), err: Box::new(shared.clone()), out_is, held: Vec::new() };
        print(&mut output);
        String::from_utf8(shared.0.borrow().clone()).unwrap()
    }

    #[test]
    fn a_terminal_gets_nothing_that_it_would_obey() {
        let content = "a\r\n\u{1b}[2J\u{9b}31m\u{7}\tb\u{202e}\r\n".as_bytes();
        for size in 1..content.len() {
            let text = printed(Sink::Terminal, |output| {
                content.chunks(size).for_each(|chunk| output.content(chunk).unwrap());
                output.content_end().unwrap();
            });
            assert_eq!(text, "a\n?[2J?31m?\tb?\n");
        }
    }

    #[test]
    fn a_file_gets_content_octet_for_octet() {
        let text = printed(Sink::File, |output| output.content(b"a\r\n\x1b[2J\r\n").unwrap());
        assert_eq!(text, "a\r\n\u{1b}[2J\r\n");
    }

    #[test]
    fn a_line_stays_one_line_wherever_it_goes() {
        let text = printed(Sink::File, |output| output.line("a\nb\u{1b}").unwrap());
        assert_eq!(text, "a?b?\n");
    }
}
