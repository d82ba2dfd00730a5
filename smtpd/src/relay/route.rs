//! Where mail goes: the table of routes, and what a destination is.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use mailstore::QueueEntry;
use mailwire::address::{AddressError, Domain, Mailbox, ReversePath};
use mailwire::net::{HttpsSetupError, Roots, client_config, client_name, trusting};
use thiserror::Error;
use tokio_rustls::rustls::ClientConfig;

use super::config::{RelayConfig, RouteConfig, TlsMode};

/// Why a route cannot be used.
#[derive(Debug, Error)]
pub enum RouteError {
    /// Neither an address nor a domain.
    #[error("[[relay.routes]] has \"{name}\" among its {key}, which is neither {form}")]
    Pattern {
        /// `senders` or `domains`.
        key: &'static str,
        /// What the configuration says.
        name: String,
        /// What it may be.
        form: &'static str,
        /// Why.
        #[source]
        source: AddressError,
    },
    /// A host that no certificate can name.
    #[error("[[relay.routes]] has the host \"{0}\", which is neither the name of a host nor an address")]
    Host(String),
    /// Keys that contradict each other.
    #[error("[[relay.routes]]: {0}")]
    Contradiction(&'static str),
    /// Authorities that cannot be read.
    #[error("[[relay.routes]]: who signs the certificates of \"{host}\" is not known")]
    Trust {
        /// The route's.
        host: String,
        /// Why.
        #[source]
        source: Box<HttpsSetupError>,
    },
}

/// The table of routes.
#[derive(Debug)]
pub struct Routes {
    rules: Vec<Rule>,
}

/// Whose mail takes a route.
#[derive(Debug)]
struct Rule {
    senders: Vec<Sender>,
    domains: Vec<Pattern>,
    route: Route,
}

/// A sender, or all of a domain.
#[derive(Debug)]
enum Sender {
    Mailbox(String),
    Domain(Domain),
}

/// A domain, or all below it.
#[derive(Debug)]
enum Pattern {
    Domain(Domain),
    Below(String),
}

/// Where mail goes.
#[derive(Clone, Debug)]
pub(super) enum Route {
    /// To the exchangers of its recipients' domain.
    Exchangers(TlsMode),
    /// To one server.
    Host(Arc<Smarthost>),
}

/// A server that carries mail on for others.
#[derive(Debug)]
pub(super) struct Smarthost {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: TlsMode,
    pub(super) login: Option<Access>,
    /// Whom TLS trusts; `None` where anybody may be at the other end.
    pub(super) trust: Option<Arc<ClientConfig>>,
}

/// By what this server logs in there; the files are read for each session, since they may change.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) login: String,
    pub(super) secret: SecretFile,
}

/// Where a secret lies.
#[derive(Debug)]
pub(super) enum SecretFile {
    Password(PathBuf),
    Token(PathBuf),
}

/// What shares sessions, limits and luck.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Destination {
    /// The exchangers of a domain, by the route of this number, or none.
    Domain(Option<usize>, Domain),
    /// The same, for what is to arrive whatever is wrong with TLS there (RFC 8460 §5.3): nothing that the domain promises
    /// about it is asked for.
    Relaxed(Option<usize>, Domain),
    /// The server of the route of this number.
    Host(usize),
}

/// Where mail goes, and what has decided that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The route of the configuration, or that there is none.
    pub by: String,
    /// The server that all of it goes to, as `host:port`; `None`: to the exchangers of its domain.
    pub host: Option<String>,
}

impl Routes {
    /// Which way a message of this sender takes to this recipient.
    #[must_use]
    pub fn way(&self, reverse_path: &ReversePath, recipient: &Mailbox) -> Way {
        let destination = self.destination_of(reverse_path, recipient, Destination::Domain);
        let by = |number: &usize| format!("[[relay.routes]] no. {}", number.saturating_add(1));
        match &destination {
            Destination::Domain(None, _) | Destination::Relaxed(None, _) => {
                Way { by: "no route in [relay] fits".to_owned(), host: None }
            }
            Destination::Domain(Some(number), _) | Destination::Relaxed(Some(number), _) => {
                Way { by: by(number), host: None }
            }
            Destination::Host(number) => Way { by: by(number), host: Some(self.name(&destination)) },
        }
    }

    /// Routes by configuration.
    ///
    /// # Errors
    /// Where one of them makes no sense.
    pub fn new(config: &RelayConfig) -> Result<Self, RouteError> {
        let mut trusts = Trusts::default();
        let rules =
            config.routes.iter().map(|route| Rule::new(route, &mut trusts)).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Where `entry` goes.
    pub(super) fn destination(&self, entry: &QueueEntry) -> Destination {
        let is_relaxed = entry.recipient_terms.is_report() || entry.recipient_terms.is_relaxed();
        // RFC 8460 §5.3, RFC 8689 §4.2.2.
        let exchangers = if is_relaxed { Destination::Relaxed } else { Destination::Domain };
        self.destination_of(&entry.reverse_path, &entry.recipient, exchangers)
    }

    fn destination_of(
        &self,
        reverse_path: &ReversePath,
        recipient: &Mailbox,
        exchangers: fn(Option<usize>, Domain) -> Destination,
    ) -> Destination {
        let domain = recipient.domain();
        match self.rules.iter().enumerate().find(|(_, rule)| rule.fits(reverse_path, domain)) {
            None => exchangers(None, domain.clone()),
            Some((number, Rule { route: Route::Exchangers(_), .. })) => {
                exchangers(Some(number), domain.clone())
            }
            Some((number, Rule { route: Route::Host(_), .. })) => Destination::Host(number),
        }
    }

    /// How to get to `destination`.
    pub(super) fn route(&self, destination: &Destination) -> Route {
        let number = match destination {
            Destination::Domain(number, _) | Destination::Relaxed(number, _) => *number,
            Destination::Host(number) => Some(*number),
        };
        let rule = number.and_then(|number| self.rules.get(number));
        rule.map_or(Route::Exchangers(TlsMode::Opportunistic), |rule| rule.route.clone())
    }

    /// What the log calls `destination`.
    pub(super) fn name(&self, destination: &Destination) -> String {
        match (self.route(destination), destination) {
            (Route::Host(host), _) => host.to_string(),
            (Route::Exchangers(_), Destination::Domain(_, domain) | Destination::Relaxed(_, domain)) => {
                domain.to_string()
            }
            (Route::Exchangers(_), Destination::Host(number)) => format!("route {number}"),
        }
    }
}

impl fmt::Display for Smarthost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Rule {
    fn new(config: &RouteConfig, trusts: &mut Trusts) -> Result<Self, RouteError> {
        let route = if config.host.is_empty() { exchangers(config)? } else { smarthost(config, trusts)? };
        Ok(Self {
            senders: config.senders.iter().map(|text| Sender::new(text)).collect::<Result<_, _>>()?,
            domains: config.domains.iter().map(|text| Pattern::new(text)).collect::<Result<_, _>>()?,
            route,
        })
    }

    fn fits(&self, sender: &ReversePath, domain: &Domain) -> bool {
        (self.senders.is_empty() || self.senders.iter().any(|pattern| pattern.fits(sender)))
            && (self.domains.is_empty() || self.domains.iter().any(|pattern| pattern.fits(domain)))
    }
}

/// A route without a host: it can only say how mail is protected.
fn exchangers(config: &RouteConfig) -> Result<Route, RouteError> {
    let has_login = !config.login.is_empty();
    if has_login || config.port.is_some() || !config.ca_file.as_os_str().is_empty() {
        return Err(RouteError::Contradiction("login, port and ca_file are for a route with a host"));
    }
    match config.tls.unwrap_or(TlsMode::Opportunistic) {
        TlsMode::Implicit => Err(RouteError::Contradiction("tls = \"implicit\" is for a route with a host")),
        tls @ (TlsMode::Opportunistic | TlsMode::Required | TlsMode::Never) => Ok(Route::Exchangers(tls)),
    }
}

fn smarthost(config: &RouteConfig, trusts: &mut Trusts) -> Result<Route, RouteError> {
    client_name(&config.host).ok_or_else(|| RouteError::Host(config.host.clone()))?;
    let tls = config.tls.unwrap_or(TlsMode::Required);
    let (port, trust) = match tls {
        TlsMode::Implicit => (465, Some(trusts.of(config)?)),
        TlsMode::Required => (587, Some(trusts.of(config)?)),
        TlsMode::Opportunistic | TlsMode::Never => (25, None),
    };
    let login = access(config)?;
    if login.is_some() && trust.is_none() {
        return Err(RouteError::Contradiction(
            "a login needs tls = \"required\" or \"implicit\", or anybody could read the password",
        ));
    }
    let port = config.port.unwrap_or(port);
    Ok(Route::Host(Arc::new(Smarthost { host: config.host.clone(), port, tls, login, trust })))
}

fn access(config: &RouteConfig) -> Result<Option<Access>, RouteError> {
    let (password, token) = (&config.password_file, &config.token_file);
    let secret = match (password.as_os_str().is_empty(), token.as_os_str().is_empty()) {
        (false, true) => SecretFile::Password(password.clone()),
        (true, false) => SecretFile::Token(token.clone()),
        (true, true) if config.login.is_empty() => return Ok(None),
        (true, true) | (false, false) => {
            return Err(RouteError::Contradiction("a login needs either password_file or token_file"));
        }
    };
    if config.login.is_empty() {
        return Err(RouteError::Contradiction("password_file and token_file need a login"));
    }
    Ok(Some(Access { login: config.login.clone(), secret }))
}

/// Whom the routes trust: each file is read once.
#[derive(Default)]
struct Trusts(HashMap<PathBuf, Arc<ClientConfig>>);

impl Trusts {
    fn of(&mut self, config: &RouteConfig) -> Result<Arc<ClientConfig>, RouteError> {
        if let Some(known) = self.0.get(&config.ca_file) {
            return Ok(Arc::clone(known));
        }
        let is_system = config.ca_file.as_os_str().is_empty();
        let roots = if is_system { Roots::System } else { Roots::File(config.ca_file.clone()) };
        let roots = trusting(&roots);
        let wrong = |source| RouteError::Trust { host: config.host.clone(), source: Box::new(source) };
        let roots = roots.map_err(wrong)?;
        let trust = client_config(roots);
        self.0.insert(config.ca_file.clone(), Arc::clone(&trust));
        Ok(trust)
    }
}

impl Sender {
    fn new(text: &str) -> Result<Self, RouteError> {
        let wrong = |source| RouteError::Pattern {
            key: "senders",
            name: text.to_owned(),
            form: "an address nor a domain behind an @",
            source,
        };
        match text.strip_prefix('@') {
            Some(domain) => Domain::parse(domain).map(Self::Domain).map_err(wrong),
            None => {
                Mailbox::parse(text).map(|mailbox| Self::Mailbox(mailbox.key_in_a_labels())).map_err(wrong)
            }
        }
    }

    fn fits(&self, sender: &ReversePath) -> bool {
        match (self, sender) {
            (_, ReversePath::Null) => false,
            (Self::Mailbox(key), ReversePath::Mailbox(mailbox)) => *key == mailbox.key_in_a_labels(),
            (Self::Domain(domain), ReversePath::Mailbox(mailbox)) => domain == mailbox.domain(),
        }
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, RouteError> {
        let wrong = |source| RouteError::Pattern {
            key: "domains",
            name: text.to_owned(),
            form: "a domain nor one with a dot before it",
            source,
        };
        let (domain, is_below) = text.strip_prefix('.').map_or((text, false), |domain| (domain, true));
        let domain = Domain::parse(domain).map_err(wrong)?;
        Ok(if is_below { Self::Below(format!(".{}", in_a_labels(&domain))) } else { Self::Domain(domain) })
    }

    fn fits(&self, domain: &Domain) -> bool {
        match self {
            Self::Domain(one) => one == domain,
            Self::Below(end) => in_a_labels(domain).ends_with(end.as_str()),
        }
    }
}

/// One spelling for both that a domain may have.
fn in_a_labels(domain: &Domain) -> String {
    let text = domain.to_string();
    match domain.other_spelling() {
        Some(other) if !text.is_ascii() => other.to_string(),
        Some(_) | None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::entry;
    use super::*;

    fn routes(toml: &str) -> Result<Routes, RouteError> {
        Routes::new(&toml::from_str(toml).unwrap())
    }

    fn destination(routes: &Routes, sender: &str, recipient: &str) -> Destination {
        let mut entry = entry(1, 0, recipient);
        entry.reverse_path = match sender {
            "" => ReversePath::Null,
            sender => ReversePath::Mailbox(Mailbox::parse(sender).unwrap()),
        };
        routes.destination(&entry)
    }

    #[test]
    fn without_routes_mail_goes_to_the_domains_own_exchangers() {
        let routes = routes("").unwrap();
        let to = |recipient| destination(&routes, "a@a.example", recipient);
        assert_eq!(to("b@b.example"), to("c@B.example"));
        assert_eq!(to("b@bücher.example"), to("b@xn--bcher-kva.example"));
        assert_ne!(to("b@b.example"), to("b@c.example"));
        assert!(matches!(routes.route(&to("b@b.example")), Route::Exchangers(TlsMode::Opportunistic)));
        assert_eq!(routes.name(&to("b@b.example")), "b.example");
    }

    #[test]
    fn what_needs_no_tls_goes_apart_and_by_the_same_route() {
        let routes = routes("[[routes]]\ndomains = [\"b.example\"]\ntls = \"required\"\n").unwrap();
        for (recipient, number) in [("b@b.example", Some(0)), ("b@c.example", None)] {
            let mut entry = entry(1, 0, recipient);
            entry.recipient_terms = entry.recipient_terms.relaxed();
            let destination = routes.destination(&entry);
            assert_eq!(destination, Destination::Relaxed(number, entry.recipient.domain().clone()));
        }
    }

    #[test]
    fn the_first_route_that_fits_counts() {
        let routes = routes(
            "[[routes]]\nsenders = [\"@vip.example\", \"Boss@a.example\"]\ndomains = [\"b.example\"]\nhost = \"one\"\n\
             tls = \"never\"\n[[routes]]\ndomains = [\".b.example\"]\nhost = \"two\"\nport = 2525\n\
             tls = \"opportunistic\"\n[[routes]]\ndomains = [\"direct.example\"]\ntls = \"required\"\n\
             [[routes]]\nhost = \"three\"\ntls = \"never\"\n",
        )
        .unwrap();
        for (sender, recipient, expected) in [
            ("x@vip.example", "b@b.example", "one:25"),
            ("boss@A.example", "b@b.example", "one:25"),
            ("x@sub.vip.example", "b@b.example", "three:25"),
            ("x@vip.example", "b@sub.b.example", "two:2525"),
            ("x@vip.example", "b@xb.example", "three:25"),
            ("", "b@b.example", "three:25"),
            ("", "b@direct.example", "direct.example"),
        ] {
            let destination = destination(&routes, sender, recipient);
            assert_eq!(routes.name(&destination), expected, "{sender} {recipient}");
        }
        let way = |sender, recipient| {
            let sender = ReversePath::Mailbox(Mailbox::parse(sender).unwrap());
            let Way { by, host } = routes.way(&sender, &Mailbox::parse(recipient).unwrap());
            (by, host)
        };
        let two = ("[[relay.routes]] no. 2".to_owned(), Some("two:2525".to_owned()));
        assert_eq!(way("x@x.example", "b@sub.b.example"), two);
        assert_eq!(way("x@x.example", "b@direct.example"), ("[[relay.routes]] no. 3".to_owned(), None));
        let direct = destination(&routes, "", "b@direct.example");
        assert!(matches!(routes.route(&direct), Route::Exchangers(TlsMode::Required)));
    }

    #[test]
    fn routes_that_make_no_sense_are_refused() {
        for (route, expected) in [
            ("senders = [\"a b\"]", "neither an address nor a domain behind an @"),
            ("domains = [\"@b.example\"]", "neither a domain nor one with a dot before it"),
            ("host = \"a b\"", "neither the name of a host nor an address"),
            ("login = \"a\"", "for a route with a host"),
            ("tls = \"implicit\"", "for a route with a host"),
            ("host = \"x\"\ntls = \"never\"\nlogin = \"a\"\npassword_file = \"/p\"", "anybody could read"),
            ("host = \"x\"\ntls = \"never\"\nlogin = \"a\"", "either password_file or token_file"),
            ("host = \"x\"\ntls = \"never\"\npassword_file = \"/p\"", "need a login"),
        ] {
            let error = routes(&format!("[[routes]]\n{route}\n")).unwrap_err().to_string();
            assert!(error.contains(expected), "{route}: {error}");
        }
    }
}
