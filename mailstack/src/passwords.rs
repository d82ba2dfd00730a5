//! Passwords: asked for without echo, read from standard input, or made up; never on a command line.

use std::io::{self, BufRead, IsTerminal};

use mailwire::address::Mailbox;
use mailwire::secret::Secret;
use thiserror::Error;

/// Most octets of a password.
const PASSWORD_OCTETS_MAX: usize = 1_000;
/// Most octets of standard input: some thousand passwords.
const INPUT_OCTETS_MAX: u64 = 8 << 20;
/// A made-up password has so many syllables of 70, which is 55 bits.
const SYLLABLES: usize = 9;
const SYLLABLES_PER_WORD: usize = 3;
const CONSONANTS: &[u8; 14] = b"bdfghklmnprstv";
const VOWELS: &[u8; 5] = b"aeiou";

/// Why there is no password.
#[derive(Debug, Error)]
pub(crate) enum PasswordError {
    #[error("the password for {0} is empty; give one that is not")]
    Empty(Mailbox),
    #[error("the password for {0} is longer than {PASSWORD_OCTETS_MAX} octets; give a shorter one")]
    TooLong(Mailbox),
    #[error("the password for {0} has a control character in it; give one without")]
    Control(Mailbox),
    #[error("the two passwords for {0} are not the same; try again")]
    Different(Mailbox),
    #[error("standard input ended before the password for {0}; give one line for each account")]
    Missing(Mailbox),
    #[error("standard input has more lines than there are accounts ({0}); give one line for each")]
    Surplus(usize),
    #[error("reading the password failed")]
    Read(#[source] io::Error),
    #[error("the system has no randomness to make a password from")]
    Randomness(#[source] getrandom::Error),
}

/// A new password for each of `addresses`: asked for twice on a terminal, else one line of standard input each.
pub(crate) fn ask(addresses: &[Mailbox]) -> Result<Vec<Secret<String>>, PasswordError> {
    let input = io::stdin();
    if input.is_terminal() { addresses.iter().map(prompt).collect() } else { read(addresses, input.lock()) }
}

fn prompt(address: &Mailbox) -> Result<Secret<String>, PasswordError> {
    let first = question(&format!("Password for {address}: "))?;
    let first = checked(address, first)?;
    let second = Secret::new(question("The same again: ")?);
    if first == second { Ok(first) } else { Err(PasswordError::Different(address.clone())) }
}

fn question(text: &str) -> Result<String, PasswordError> {
    rpassword::prompt_password(text).map_err(PasswordError::Read)
}

fn read(addresses: &[Mailbox], input: impl BufRead) -> Result<Vec<Secret<String>>, PasswordError> {
    let mut lines = input.take(INPUT_OCTETS_MAX).lines();
    let mut passwords = Vec::with_capacity(addresses.len());
    for address in addresses {
        let line = lines.next().ok_or_else(|| PasswordError::Missing(address.clone()))?;
        passwords.push(checked(address, line.map_err(PasswordError::Read)?)?);
    }
    if lines.next().is_some() {
        return Err(PasswordError::Surplus(addresses.len()));
    }
    Ok(passwords)
}

fn checked(address: &Mailbox, password: String) -> Result<Secret<String>, PasswordError> {
    if password.is_empty() {
        return Err(PasswordError::Empty(address.clone()));
    }
    if password.len() > PASSWORD_OCTETS_MAX {
        return Err(PasswordError::TooLong(address.clone()));
    }
    // No client can send one (RFC 4616 §2 excludes NUL, a PASS line CR and LF).
    if password.contains(char::is_control) {
        return Err(PasswordError::Control(address.clone()));
    }
    Ok(Secret::new(password))
}

/// A password that is easy to read and to type, such as `kesuto-bavime-rilano`.
pub(crate) fn made_up() -> Result<Secret<String>, PasswordError> {
    let mut password = String::with_capacity(SYLLABLES * 2 + SYLLABLES / SYLLABLES_PER_WORD);
    for syllable in 0..SYLLABLES {
        if syllable > 0 && syllable % SYLLABLES_PER_WORD == 0 {
            password.push('-');
        }
        password.push(letter(CONSONANTS)?);
        password.push(letter(VOWELS)?);
    }
    Ok(Secret::new(password))
}

/// One of `letters`, each as likely as the others.
fn letter(letters: &[u8]) -> Result<char, PasswordError> {
    // What is left of 2^64 after a whole number of rounds favours a letter by less than one in 2^59.
    let random = getrandom::u64().map_err(PasswordError::Randomness)?;
    let count = u64::try_from(letters.len()).unwrap_or(u64::MAX).max(1);
    let index = usize::try_from(random % count).unwrap_or(0);
    Ok(letters.get(index).copied().map_or('x', char::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> [Mailbox; 2] {
        ["alice@example.test", "bob@example.test"].map(|address| Mailbox::parse(address).unwrap())
    }

    fn passwords(input: &str) -> Result<Vec<String>, String> {
        match read(&two(), input.as_bytes()) {
            Ok(passwords) => Ok(passwords.iter().map(|password| password.expose().clone()).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn each_account_gets_its_line_of_standard_input() {
        assert_eq!(passwords("one two \nz\u{fc}ge \"'\\\n").unwrap(), ["one two ", "z\u{fc}ge \"'\\"]);
        assert_eq!(passwords("one\r\ntwo").unwrap(), ["one", "two"]);
    }

    #[test]
    fn too_few_or_too_many_lines_change_nothing() {
        assert!(passwords("one\n").unwrap_err().contains("ended before the password for bob@example.test"));
        assert!(
            passwords("one\ntwo\nthree\n").unwrap_err().contains("more lines than there are accounts (2)")
        );
    }

    #[test]
    fn a_password_that_no_client_can_send_is_refused() {
        assert!(passwords("one\n\n").unwrap_err().contains("password for bob@example.test is empty"));
        assert!(passwords("o\0ne\ntwo\n").unwrap_err().contains("control character"));
        let longest = "x".repeat(PASSWORD_OCTETS_MAX);
        assert!(passwords(&format!("{longest}\ntwo\n")).is_ok());
        assert!(passwords(&format!("{longest}x\ntwo\n")).unwrap_err().contains("longer than 1000 octets"));
    }

    #[test]
    fn a_made_up_password_is_readable_and_never_the_same() {
        let password = made_up().unwrap();
        let words: Vec<_> = password.expose().split('-').collect();
        assert_eq!(words.len(), 3);
        for word in words {
            assert_eq!(word.len(), 6);
            assert!(word.bytes().step_by(2).all(|letter| CONSONANTS.contains(&letter)), "{word}");
            assert!(word.bytes().skip(1).step_by(2).all(|letter| VOWELS.contains(&letter)), "{word}");
        }
        assert_ne!(made_up().unwrap(), password);
    }
}
