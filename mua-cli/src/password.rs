//! Where the password comes from: never an argument of its own, never shown.

use std::io::{self, Read};

use mailwire::secret::Secret;

use crate::failure::{Exit, Failure};
use crate::options::Connect;
use crate::server::Server;

/// The environment variable that may hold the password.
const VARIABLE: &str = "MUA_PASSWORD";
/// Octets of a password that are read; more than any protocol here can carry.
const PASSWORD_OCTETS_MAX: usize = 4096;

/// The password for `login`: from standard input where told so, the URL, the environment, or a prompt.
pub(crate) fn password(connect: &Connect, server: &Server, login: &str) -> Result<Secret<String>, Failure> {
    if connect.password_stdin {
        return first_line(&mut io::stdin().lock());
    }
    if let Some(password) = &server.password {
        return Ok(password.clone());
    }
    if let Ok(password) = std::env::var(VARIABLE) {
        return Ok(Secret::new(password));
    }
    let prompt = format!("Password of {login} at {}: ", server.name());
    rpassword::prompt_password(prompt).map(Secret::new).map_err(|error| {
        Failure::caused(Exit::Usage, "there is no password, and no terminal to ask for it", &error)
            .advise("Give it by --password-stdin or in the environment variable MUA_PASSWORD.")
    })
}

/// The first line, octet by octet, so that what follows it is left for whoever reads on.
fn first_line(input: &mut impl Read) -> Result<Secret<String>, Failure> {
    let mut octets = Vec::new();
    let mut octet = [0_u8];
    loop {
        let count = input
            .read(&mut octet)
            .map_err(|error| Failure::caused(Exit::Io, "reading the password failed", &error))?;
        if count == 0 || octet == *b"\n" {
            break;
        }
        if octets.len() == PASSWORD_OCTETS_MAX {
            return Err(Failure::new(
                Exit::Usage,
                "the first line of standard input is too long for a password",
            ));
        }
        octets.extend_from_slice(&octet);
    }
    if octets.last() == Some(&b'\r') {
        octets.pop();
    }
    String::from_utf8(octets).ok().filter(|password| !password.is_empty()).map(Secret::new).ok_or_else(|| {
        Failure::new(Exit::Usage, "the first line of standard input holds no password in UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> (Option<String>, Vec<u8>) {
        let mut rest = input;
        let password = first_line(&mut rest).ok().map(|password| password.expose().clone());
        (password, rest.to_vec())
    }

    #[test]
    fn the_first_line_is_the_password_and_the_rest_is_left() {
        assert_eq!(read(b"p w\r\nbody\n"), (Some("p w".to_owned()), b"body\n".to_vec()));
        assert_eq!(read(b"pw"), (Some("pw".to_owned()), Vec::new()));
    }

    #[test]
    fn an_empty_or_endless_line_is_no_password() {
        assert_eq!(read(b"").0, None);
        assert_eq!(read(b"\nx").0, None);
        assert_eq!(read(b"\xff\n").0, None);
        assert_eq!(read(&vec![b'x'; PASSWORD_OCTETS_MAX + 1]).0, None);
        assert!(read(&vec![b'x'; PASSWORD_OCTETS_MAX]).0.is_some());
    }
}
