//! What `mailstack up` shows of a server that made itself: where it listens, how to log in, three lines to paste.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::trial::{DOMAIN, Login};

/// Stands where the password has been changed, so that only its owner knows it.
const UNKNOWN_PASSWORD: &str = "PASSWORD";

/// Everything on the screen.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) folder: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) fingerprint: String,
    pub(crate) logins: Vec<Login>,
    pub(crate) reception: SocketAddr,
    pub(crate) submission: SocketAddr,
    pub(crate) submissions: SocketAddr,
    pub(crate) pop3: SocketAddr,
    pub(crate) pop3s: SocketAddr,
    /// Ports that were taken, and what is used for them.
    pub(crate) moved: Vec<Moved>,
}

/// A port that was not free.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) from: u16,
    pub(crate) to: u16,
}

impl Screen {
    /// The text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        let (alice, bob) = (self.login("alice"), self.login("bob"));
        writeln!(to, "mailstack serves {DOMAIN} on this machine. Ctrl-C ends it; the mail stays in")?;
        writeln!(to, "{}\n", self.folder.display())?;
        writeln!(to, "  reception    smtp://{}", self.reception)?;
        writeln!(to, "  submission   {}   STARTTLS", alice.url("smtp", self.submission))?;
        writeln!(to, "  submissions  {}", alice.url("smtps", self.submissions))?;
        writeln!(to, "  POP3         {}   STLS", bob.url("pop3", self.pop3))?;
        writeln!(to, "  POP3S        {}", bob.url("pop3s", self.pop3s))?;
        writeln!(to, "  certificate  {}", self.certificate.display())?;
        writeln!(to, "               SHA-256 {}", self.fingerprint)?;
        for Moved { from, to: free } in &self.moved {
            writeln!(to, "  note         port {from} is taken, {free} is used instead")?;
        }
        writeln!(
            to,
            "\nTo send from {} to {}, to fetch that, and to talk by hand, paste:\n",
            alice.address, bob.address
        )?;
        self.lines(to, &alice, &bob)?;
        writeln!(to, "`mua send` and `mua fetch` take the URLs above as their --server.\n")
    }

    fn lines(&self, to: &mut String, alice: &Shown, bob: &Shown) -> std::fmt::Result {
        let certificate = quoted(&self.certificate.display().to_string());
        writeln!(
            to,
            "printf 'From: {a}\\r\\nTo: {b}\\r\\nSubject: Hello\\r\\n\\r\\nIt works.\\r\\n' | curl -sS --cacert {certificate} \
             -u {a}:{password} --mail-from {a} --mail-rcpt {b} -T - smtps://{submissions} && echo sent\n",
            a = alice.address,
            b = bob.address,
            password = alice.password,
            submissions = self.submissions,
        )?;
        writeln!(
            to,
            "curl -sS --cacert {certificate} -u {}:{} pop3s://{}/1\n",
            bob.address, bob.password, self.pop3s
        )?;
        writeln!(to, "openssl s_client -quiet -crlf -CAfile {certificate} -connect {}\n", self.pop3s)
    }

    fn login(&self, name: &str) -> Shown<'_> {
        let address = format!("{name}@{DOMAIN}");
        let known = self.logins.iter().find(|login| login.address == address);
        let password = known.map_or(UNKNOWN_PASSWORD, |login| login.password.expose());
        Shown { address, password }
    }
}

/// A login as the screen shows it. Made-up passwords need no quoting, neither in a URL nor in a shell.
struct Shown<'a> {
    address: String,
    password: &'a str,
}

impl Shown<'_> {
    /// RFC 3986 §3.2.1: the `@` of the account is not the one before the host.
    fn url(&self, scheme: &str, at: SocketAddr) -> String {
        format!("{scheme}://{}:{}@{at}", self.address.replace('@', "%40"), self.password)
    }
}

/// `path` as a shell takes it for one word.
fn quoted(path: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%".contains(letter);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mailwire::secret::Secret;

    use super::*;

    fn screen() -> Screen {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let login = |address: &str, password: &str| Login {
            address: address.to_owned(),
            password: Secret::new(password.to_owned()),
        };
        Screen {
            folder: PathBuf::from("/home/u/.local/share/mailstack"),
            certificate: PathBuf::from("/home/u/.local/share/mailstack/tls/certificate.pem"),
            fingerprint: "AB:CD".to_owned(),
            logins: vec![login("alice@example.test", "ba-ba"), login("bob@example.test", "bo-bo")],
            reception: at(2525),
            submission: at(2587),
            submissions: at(2465),
            pop3: at(2110),
            pop3s: at(2995),
            moved: Vec::new(),
        }
    }

    #[test]
    fn the_screen_shows_services_certificate_and_three_lines() {
        let expected = "\
mailstack serves example.test on this machine. Ctrl-C ends it; the mail stays in
/home/u/.local/share/mailstack

  reception    smtp://127.0.0.1:2525
  submission   smtp://alice%40example.test:ba-ba@127.0.0.1:2587   STARTTLS
  submissions  smtps://alice%40example.test:ba-ba@127.0.0.1:2465
  POP3         pop3://bob%40example.test:bo-bo@127.0.0.1:2110   STLS
  POP3S        pop3s://bob%40example.test:bo-bo@127.0.0.1:2995
  certificate  /home/u/.local/share/mailstack/tls/certificate.pem
               SHA-256 AB:CD

To send from alice@example.test to bob@example.test, to fetch that, and to talk by hand, paste:

printf 'From: alice@example.test\\r\\nTo: bob@example.test\\r\\nSubject: Hello\\r\\n\\r\\nIt works.\\r\\n' | \
curl -sS --cacert /home/u/.local/share/mailstack/tls/certificate.pem -u alice@example.test:ba-ba \
--mail-from alice@example.test --mail-rcpt bob@example.test -T - smtps://127.0.0.1:2465 && echo sent

curl -sS --cacert /home/u/.local/share/mailstack/tls/certificate.pem -u bob@example.test:bo-bo pop3s://127.0.0.1:2995/1

openssl s_client -quiet -crlf -CAfile /home/u/.local/share/mailstack/tls/certificate.pem -connect 127.0.0.1:2995

`mua send` and `mua fetch` take the URLs above as their --server.

";
        assert_eq!(screen().text(), expected);
    }

    #[test]
    fn a_password_that_was_changed_is_left_for_its_owner_to_fill_in() {
        let mut screen = screen();
        screen.logins.remove(0);
        assert!(screen.text().contains("smtps://alice%40example.test:PASSWORD@127.0.0.1:2465"));
    }

    #[test]
    fn a_port_that_was_taken_is_said() {
        let mut screen = screen();
        screen.moved.push(Moved { from: 2525, to: 41_000 });
        assert!(screen.text().contains("  note         port 2525 is taken, 41000 is used instead\n"));
    }

    #[test]
    fn a_path_is_one_word_for_the_shell() {
        assert_eq!(quoted("/home/u/a.pem"), "/home/u/a.pem");
        assert_eq!(quoted("/home/it's mine/a.pem"), "'/home/it'\\''s mine/a.pem'");
        let mut screen = screen();
        screen.certificate = Path::new("/my home/a.pem").to_owned();
        assert!(screen.text().contains("--cacert '/my home/a.pem' "));
    }
}
