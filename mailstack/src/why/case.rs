//! The mail that is asked about, from options or from a line of JSON.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use mailwire::address::{AddressError, Mailbox, ReversePath};
use serde::Deserialize;
use smtpd::rehearsal::{Content, Mail, Protection};
use smtpd::session::Kind;
use thiserror::Error;

use crate::arguments::{PortName, WhyOptions};

/// Most octets of a message that is read from a file.
const MESSAGE_OCTETS_MAX: u64 = 256 << 20;

/// Why a mail cannot be asked about.
#[derive(Debug, Error)]
pub(crate) enum CaseError {
    #[error("reading {path} failed")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} has more than {MESSAGE_OCTETS_MAX} octets")]
    TooLarge(PathBuf),
    #[error("this is no mail to ask about: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{text} is no address")]
    Address {
        text: String,
        #[source]
        source: AddressError,
    },
    #[error("--from, --to and --ip are needed")]
    Incomplete,
}

/// A line of JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    from: String,
    to: Vec<String>,
    ip: IpAddr,
    login: Option<String>,
    helo: Option<String>,
    port: Option<PortName>,
    tls: Option<bool>,
    message: Option<String>,
    size: Option<u64>,
}

/// The mail of the options.
pub(super) fn of_options(options: &WhyOptions) -> Result<Mail, CaseError> {
    let WhyOptions { from, to, ip, login, helo, port, no_tls, message, size, .. } = options;
    let (Some(from), Some(ip)) = (from, ip) else { return Err(CaseError::Incomplete) };
    let content = match message {
        Some(path) => Content::Given(read(path)?),
        None => Content::Made(size.unwrap_or(0)),
    };
    Ok(Mail {
        from: from.clone(),
        to: to.clone(),
        address: *ip,
        kind: kind(*port, login.as_deref()),
        login: login.clone(),
        hello: helo.clone(),
        protection: if *no_tls { Protection::Clear } else { Protection::Tls },
        content,
    })
}

/// The mail of a line.
pub(super) fn of_json(line: &[u8]) -> Result<Mail, CaseError> {
    let Case { from, to, ip, login, helo, port, tls, message, size } = serde_json::from_slice(line)?;
    let from = match from.as_str() {
        "" | "<>" => ReversePath::Null,
        text => ReversePath::Mailbox(mailbox(text)?),
    };
    Ok(Mail {
        from,
        to: to.iter().map(|text| mailbox(text)).collect::<Result<_, _>>()?,
        address: ip,
        kind: kind(port, login.as_deref()),
        login,
        hello: helo,
        protection: match tls {
            Some(false) => Protection::Clear,
            Some(true) | None => Protection::Tls,
        },
        content: match message {
            Some(text) => Content::Given(text.into_bytes()),
            None => Content::Made(size.unwrap_or(0)),
        },
    })
}

fn mailbox(text: &str) -> Result<Mailbox, CaseError> {
    Mailbox::parse(text).map_err(|source| CaseError::Address { text: text.to_owned(), source })
}

/// Users log in at submission.
const fn kind(port: Option<PortName>, login: Option<&str>) -> Kind {
    match (port, login) {
        (Some(PortName::Submission), _) | (None, Some(_)) => Kind::Submission,
        (Some(PortName::Reception), _) | (None, None) => Kind::Reception,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CaseError> {
    let mut octets = Vec::new();
    let failed = |source| CaseError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let read = file.take(MESSAGE_OCTETS_MAX.saturating_add(1)).read_to_end(&mut octets).map_err(failed)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MESSAGE_OCTETS_MAX {
        return Err(CaseError::TooLarge(path.to_owned()));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_the_options_say() {
        let line = br#"{"from": "<>", "to": ["a@b.test"], "ip": "2001:db8::1", "tls": false, "size": 7}"#;
        let mail = of_json(line).unwrap();
        assert_eq!(
            (mail.from, mail.kind, mail.protection),
            (ReversePath::Null, Kind::Reception, Protection::Clear)
        );
        assert_eq!(mail.content, Content::Made(7));
        let line = br#"{"from": "a@b.test", "to": [], "ip": "192.0.2.1", "login": "a", "message": "x"}"#;
        let mail = of_json(line).unwrap();
        assert_eq!((mail.kind, mail.content), (Kind::Submission, Content::Given(b"x".to_vec())));
    }

    #[test]
    fn what_is_no_mail_is_not_asked_about() {
        for wrong in [
            "",
            "{}",
            r#"{"from": "a b", "to": [], "ip": "192.0.2.1"}"#,
            r#"{"from": "", "to": ["x"], "ip": "192.0.2.1"}"#,
            r#"{"from": "", "to": [], "ip": "localhost"}"#,
            r#"{"from": "", "to": [], "ip": "192.0.2.1", "port": "25"}"#,
            r#"{"from": "", "to": [], "ip": "192.0.2.1", "password": "x"}"#,
        ] {
            assert!(of_json(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(matches!(read(Path::new("/nonexistent/x")), Err(CaseError::Read { .. })));
    }
}
