//! What client and server said to each other, line by line, for the trace of a message.

use std::fmt::Write;

use mailwire::escape::escaped;

/// Octets after which the beginning is left out.
const OCTETS_MAX: usize = 4096;

/// The last lines that were said.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    text: String,
}

impl Dialogue {
    /// The client said this, in one line or several.
    pub(super) fn client(&mut self, octets: &[u8]) {
        let lines = octets.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end);
        lines.filter(|line| !line.is_empty()).for_each(|line| self.line('C', line));
    }

    /// The same where a login may be among it: nothing of that is shown but its mechanism.
    pub(super) fn client_who_may_log_in(&mut self, octets: &[u8]) {
        let mut words = octets.trim_ascii_end().split(|octet| *octet == b' ');
        match words.next() {
            Some(b"EHLO" | b"HELO" | b"STARTTLS") => self.client(octets),
            Some(b"AUTH") => {
                let mechanism = words.next().unwrap_or_default();
                self.client(&[b"AUTH ", mechanism, b" (not shown)"].concat());
            }
            Some(_) | None => self.client(b"(not shown)"),
        }
    }

    /// The server said this.
    pub(super) fn server(&mut self, line: &[u8]) {
        self.line('S', line);
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    fn line(&mut self, who: char, line: &[u8]) {
        let shown = escaped(line.get(..OCTETS_MAX / 4).unwrap_or(line));
        // A string takes whatever is written to it.
        let _ = writeln!(self.text, "{who}: {shown}");
        while self.text.len() > OCTETS_MAX {
            let Some((_, rest)) = self.text.split_once('\n') else { break };
            self.text = rest.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_who_said_it_and_stays_one_line() {
        let mut dialogue = Dialogue::default();
        dialogue.client(b"MAIL FROM:<>\r\nDATA\r\n");
        dialogue.server(b"250 \x1b[2J ok");
        assert_eq!(dialogue.text(), "C: MAIL FROM:<>\nC: DATA\nS: 250 \\x1b[2J ok\n");
    }

    #[test]
    fn a_login_is_not_shown() {
        let mut dialogue = Dialogue::default();
        for said in ["EHLO a.test\r\n", "STARTTLS\r\n", "AUTH PLAIN c2VjcmV0\r\n", "c2VjcmV0\r\n"] {
            dialogue.client_who_may_log_in(said.as_bytes());
        }
        let shown = "C: EHLO a.test\nC: STARTTLS\nC: AUTH PLAIN (not shown)\nC: (not shown)\n";
        assert_eq!(dialogue.text(), shown);
    }

    #[test]
    fn the_last_lines_are_kept() {
        let mut dialogue = Dialogue::default();
        for number in 0..1000 {
            dialogue.server(format!("250 {number}").as_bytes());
        }
        let text = dialogue.text();
        assert!(text.len() <= OCTETS_MAX && text.starts_with("S: 250 ") && text.ends_with("S: 250 999\n"));
    }
}
