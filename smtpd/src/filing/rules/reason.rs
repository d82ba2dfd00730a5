//! The words of an account to senders whose mail it does not take.

use std::fmt;

/// Most octets of such words: they stand in one line of a log, and in a few lines of a reply.
pub(super) const REASON_OCTETS_MAX: usize = 800;
/// Most lines of them.
const LINES_MAX: usize = 8;
/// Most octets of a line as a reply has it (RFC 5321 §4.5.3.1.5 asks for less than 512 with its codes).
const LINE_OCTETS_MAX: usize = 400;

/// Words for people, without any control character but the ends of their lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Takes words as somebody has written them; blank lines at both ends go. `Err` says what is wrong with them.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let lines: Vec<_> =
            text.trim().lines().map(|line| line.replace('\t', " ").trim().to_owned()).collect();
        let text = lines.join("\n");
        if text.is_empty() {
            return Err("there are no words in it".to_owned());
        }
        if text.len() > REASON_OCTETS_MAX || lines.len() > LINES_MAX {
            return Err(format!(
                "it has more than {REASON_OCTETS_MAX} octets, or more than {LINES_MAX} lines"
            ));
        }
        Ok(Self(text))
    }

    /// True where every server understands it in a reply.
    pub(crate) fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// Lines that are short enough for a reply, broken at blanks where that goes.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for mut line in self.0.lines().filter(|line| !line.is_empty()) {
            while line.len() > LINE_OCTETS_MAX {
                let (most, _) = line.split_at(line.floor_char_boundary(LINE_OCTETS_MAX));
                let at = most.rfind(' ').filter(|at| *at > 0).unwrap_or(most.len());
                let (piece, rest) = line.split_at(at);
                lines.push(piece.to_owned());
                line = rest.trim_start();
            }
            lines.push(line.to_owned());
        }
        lines
    }
}

/// In one line.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.split_whitespace().collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_bounds() {
        assert!(Reason::new(&"x".repeat(REASON_OCTETS_MAX)).is_ok());
        for wrong in ["", " \n\t ", &"x".repeat(REASON_OCTETS_MAX + 1), &"x\n".repeat(LINES_MAX + 1)] {
            assert!(Reason::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lines_are_short_and_lose_no_word() {
        let words = "w\u{f6}rds ".repeat(100);
        let reason = Reason::new(&format!("\nOne\tline.\r\n\n{words}")).unwrap();
        let lines = reason.lines();
        assert_eq!(lines[0], "One line.");
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= LINE_OCTETS_MAX), "{lines:?}");
        assert_eq!(lines.join(" "), reason.to_string());
        assert_eq!(reason.to_string(), format!("One line. {}", words.trim()));
        let endless = Reason::new(&"\u{e4}".repeat(REASON_OCTETS_MAX / 2)).unwrap();
        assert_eq!(endless.lines().concat(), endless.to_string());
    }
}
