//! Whoever sits at the terminal is asked before something goes for good.

use std::io::{self, BufRead, IsTerminal, Read};

use crate::output::Output;

/// Octets of an answer that are read.
const ANSWER_OCTETS_MAX: u64 = 1_000;

/// What came of the question; `None` where nobody is there to be asked.
pub(crate) fn given(output: &Output, question: &str) -> io::Result<Option<bool>> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Ok(None);
    }
    output.question(&format!("{question} [y/N] "));
    let mut answer = String::new();
    input.lock().take(ANSWER_OCTETS_MAX).read_line(&mut answer)?;
    Ok(Some(is_yes(&answer)))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for answer in ["y\n", "Yes\n", " y \r\n"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "no\n", "yy\n", "nyes\n"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }
}
