//! A server as a user names it: `submission://alice%40example.org:secret@mail.example.org:587`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mailwire::secret::Secret;
use thiserror::Error;

/// Which protocol a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `smtp`, `submission`, `smtps`, `submissions`.
    Smtp,
    /// `pop3`, `pop3s`.
    Pop3,
}

/// Whether TLS runs from the first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// In clear, to be switched by STARTTLS or STLS.
    Clear,
    /// In TLS (RFC 8314 §3).
    Tls,
}

/// A server, and who logs in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// What it speaks.
    pub(crate) protocol: Protocol,
    /// How the connection begins.
    pub(crate) start: Start,
    /// Its name or address; an IPv6 address without brackets.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// Who logs in.
    pub(crate) login: Option<String>,
    /// The password, for trial use: others may see a command line.
    pub(crate) password: Option<Secret<String>>,
}

/// What is wrong with a URL. Never shows the URL, since a password may stand in it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ServerError {
    #[error("a server is written as {0}://name@host:port")]
    Form(&'static str),
    #[error("\"{0}\" is no scheme that fits here")]
    Scheme(String),
    #[error("the host in the server's URL is missing or not a name or an address")]
    Host,
    #[error("the port in the server's URL is not a number from 1 to 65535")]
    Port,
    #[error("the login or password in the server's URL is not written in %-encoded UTF-8 without controls")]
    Userinfo,
    #[error("a server's URL ends with the port, without a path")]
    Path,
}

impl Protocol {
    const fn example(self) -> &'static str {
        match self {
            Self::Smtp => "submission",
            Self::Pop3 => "pop3s",
        }
    }

    /// How a scheme starts, and its registered port.
    fn scheme(self, scheme: &str) -> Option<(Start, u16)> {
        match (self, scheme.to_ascii_lowercase().as_str()) {
            (Self::Smtp, "smtp") => Some((Start::Clear, 25)),
            (Self::Smtp, "submission") => Some((Start::Clear, 587)),
            (Self::Smtp, "smtps" | "submissions") => Some((Start::Tls, 465)),
            (Self::Pop3, "pop3" | "pop") => Some((Start::Clear, 110)),
            (Self::Pop3, "pop3s") => Some((Start::Tls, 995)),
            (Self::Smtp | Self::Pop3, _) => None,
        }
    }
}

impl Server {
    /// Reads a URL of the given protocol.
    pub(crate) fn parse(protocol: Protocol, url: &str) -> Result<Self, ServerError> {
        let (scheme, rest) = url.split_once("://").ok_or(ServerError::Form(protocol.example()))?;
        let Some((start, default_port)) = protocol.scheme(scheme) else {
            return Err(ServerError::Scheme(scheme.chars().take(20).collect()));
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        // The last `@`: a login is often an address, and not everybody encodes its `@`.
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, authority),
        };
        if host_port.contains(['/', '?', '#']) {
            return Err(ServerError::Path);
        }
        let (host, port) = host_and_port(host_port)?;
        let (login, password) =
            match userinfo.map(|userinfo| userinfo.split_once(':').unwrap_or((userinfo, ""))) {
                None => (None, None),
                Some((login, password)) => (Some(decoded(login)?), Some(decoded(password)?)),
            };
        Ok(Self {
            protocol,
            start,
            host,
            port: port.unwrap_or(default_port),
            login: login.filter(|login| !login.is_empty()),
            password: password.filter(|password| !password.is_empty()).map(Secret::new),
        })
    }

    /// True where the server is on this host, so that nobody is in between.
    pub(crate) fn is_local(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        address.is_ok_and(|address| address.is_loopback()) || self.host.eq_ignore_ascii_case("localhost")
    }

    /// `host:port`, for messages to the user.
    pub(crate) fn name(&self) -> String {
        let brackets = self.host.parse::<Ipv6Addr>().is_ok();
        if brackets {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// `host [ ":" port ]`, RFC 3986 §3.2.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), ServerError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(ServerError::Host)?;
            address.parse::<Ipv6Addr>().map_err(|_| ServerError::Host)?;
            (address, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or(ServerError::Port)?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let named = |host: &str| host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
    let known = host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok() || named(host);
    if host.is_empty() || !known {
        return Err(ServerError::Host);
    }
    let digits = port.bytes().all(|octet| octet.is_ascii_digit());
    let number = port.parse::<u16>().ok().filter(|number| *number > 0);
    match number {
        _ if port.is_empty() => Ok((host.to_owned(), None)),
        Some(number) if digits => Ok((host.to_owned(), Some(number))),
        Some(_) | None => Err(ServerError::Port),
    }
}

/// Text with `%XX` decoded (RFC 3986 §2.1), as UTF-8 without control characters.
fn decoded(text: &str) -> Result<String, ServerError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            octets.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or(ServerError::Userinfo)?;
        let digits =
            std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let octet =
            digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or(ServerError::Userinfo)?;
        octets.push(octet);
        rest = after;
    }
    let text = String::from_utf8(octets).map_err(|_| ServerError::Userinfo)?;
    if text.chars().any(char::is_control) { Err(ServerError::Userinfo) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(url: &str) -> Result<Server, ServerError> {
        Server::parse(Protocol::Smtp, url)
    }

    #[test]
    fn a_whole_url_is_taken_apart() {
        let server = smtp("submission://alice%40example.test:s%3Ae%20cret@127.0.0.1:2587").unwrap();
        assert_eq!(server.login.as_deref(), Some("alice@example.test"));
        assert_eq!(server.password.as_ref().map(Secret::expose).map(String::as_str), Some("s:e cret"));
        assert_eq!((server.host.as_str(), server.port, server.start), ("127.0.0.1", 2587, Start::Clear));
        assert_eq!(server.name(), "127.0.0.1:2587");
        assert!(server.is_local());
    }

    #[test]
    fn each_scheme_has_its_port_and_its_start() {
        for (protocol, url, start, port) in [
            (Protocol::Smtp, "smtp://h", Start::Clear, 25),
            (Protocol::Smtp, "submission://h/", Start::Clear, 587),
            (Protocol::Smtp, "SMTPS://h", Start::Tls, 465),
            (Protocol::Smtp, "submissions://h", Start::Tls, 465),
            (Protocol::Pop3, "pop3://h", Start::Clear, 110),
            (Protocol::Pop3, "pop3s://h:", Start::Tls, 995),
        ] {
            let server = Server::parse(protocol, url).unwrap();
            assert_eq!((server.start, server.port, server.login), (start, port, None), "{url}");
        }
    }

    #[test]
    fn an_at_sign_in_the_login_need_not_be_encoded() {
        let server = smtp("smtp://alice@example.test@mail.example.test").unwrap();
        assert_eq!(
            (server.login.as_deref(), server.host.as_str()),
            (Some("alice@example.test"), "mail.example.test")
        );
        assert_eq!(server.password, None);
        assert!(!server.is_local());
    }

    #[test]
    fn ipv6_addresses_stand_in_brackets() {
        let server = smtp("smtp://a@[::1]:2525").unwrap();
        assert_eq!((server.host.as_str(), server.port), ("::1", 2525));
        assert_eq!(server.name(), "[::1]:2525");
        assert!(server.is_local());
        assert_eq!(smtp("smtp://[::1]").unwrap().port, 25);
    }

    #[test]
    fn wrong_urls_are_refused_for_what_is_wrong() {
        let wrong = |url: &str| smtp(url).unwrap_err();
        assert!(matches!(wrong("mail.example.test"), ServerError::Form(_)));
        assert!(matches!(wrong("pop3://h"), ServerError::Scheme(_)));
        for host in
            ["smtp://", "smtp://a@", "smtp://:25", "smtp://a b", "smtp://[::1", "smtp://[x]", "smtp://h\r\nx"]
        {
            assert_eq!(wrong(host), ServerError::Host, "{host:?}");
        }
        for port in ["smtp://h:0", "smtp://h:65536", "smtp://h:+1", "smtp://h:x", "smtp://[::1]25"] {
            assert_eq!(wrong(port), ServerError::Port, "{port}");
        }
        assert_eq!(wrong("smtp://h/path"), ServerError::Path);
        for userinfo in
            ["smtp://%@h", "smtp://%4@h", "smtp://%+1@h", "smtp://%FF@h", "smtp://a:%0D%0A@h", "smtp://%00@h"]
        {
            assert_eq!(wrong(userinfo), ServerError::Userinfo, "{userinfo}");
        }
    }

    #[test]
    fn no_error_and_no_debug_output_shows_a_password() {
        for url in [
            "smtp://a:hunter2@h:x",
            "smtp://a:hunter2@",
            "smtp://a:hunter2@h/p",
            "xx://a:hunter2@h",
            "a:hunter2@h",
        ] {
            assert!(!smtp(url).unwrap_err().to_string().contains("hunter2"), "{url}");
        }
        assert!(!format!("{:?}", smtp("smtp://a:hunter2@h")).contains("hunter2"));
    }
}
