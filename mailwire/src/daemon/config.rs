//! The frame of the configuration file: one TOML file with a schema version, tables that belong to one crate each,
//! unknown keys refused with the nearest known one.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::log;
use super::nearest::nearest;
use crate::address::{Domain, Mailbox};
use crate::escape::{escaped, without_controls};
use crate::net::{CertificateError, Certificates, ClientAuthorities, ServerTls};

/// The schema version that this release reads; the file says `version = 1`.
pub const VERSION: i64 = 1;
/// The tables of mailstack's configuration, whichever program reads it.
pub const TABLES: [&str; 17] = [
    "server", "tls", "store", "log", "guard", "oauth", "smtp", "dnsbl", "greylist", "scan", "relay", "dns",
    "mta_sts", "dkim", "reports", "checks", "pop3",
];
/// Most octets of a configuration file.
const FILE_OCTETS_MAX: u64 = 1 << 20;
/// Most characters of a line that an error shows.
const EXCERPT_CHARACTERS_MAX: usize = 80;

/// Why a configuration cannot be used. The text names file, line where known, key, and what to do.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading the configuration {path} failed")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, a wrong type, a missing or unknown key, a bad value: all of it in the text.
    #[error("{path}: {problem}")]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with line and nearest known key.
        problem: String,
    },
}

/// A limit or a time that must not be nought, for `#[serde(deserialize_with)]`: with it nobody could be served.
///
/// # Errors
/// Where it is nought, or no `T`.
pub fn positive<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialEq,
{
    let number = T::deserialize(deserializer)?;
    if number == T::default() {
        return Err(serde::de::Error::custom("it must be at least 1"));
    }
    Ok(number)
}

/// The table `[server]`: who this server is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "UncheckedServer")]
pub struct Server {
    /// The name it gives itself in greetings and Received fields, and that its certificate is for.
    pub hostname: String,
    /// The domains whose mail it keeps, in lower case; the first is the primary one. Never empty.
    pub domains: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self { hostname: "localhost".to_owned(), domains: vec!["localhost".to_owned()] }
    }
}

/// [`Server`] as it is written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UncheckedServer {
    hostname: String,
    domains: Vec<String>,
}

impl Default for UncheckedServer {
    fn default() -> Self {
        let Server { hostname, domains } = Server::default();
        Self { hostname, domains }
    }
}

impl TryFrom<UncheckedServer> for Server {
    type Error = String;

    fn try_from(unchecked: UncheckedServer) -> Result<Self, String> {
        let hostname = domain_name(&unchecked.hostname, "hostname")?;
        // It stands in replies, which are ASCII (RFC 5321 §4.2).
        if !hostname.is_ascii() {
            return Err("`hostname` must be in its ASCII form, in which labels begin with xn--".to_owned());
        }
        let domains: Vec<_> = unchecked
            .domains
            .iter()
            .map(|domain| domain_name(domain, "domains"))
            .collect::<Result<_, _>>()?;
        if domains.is_empty() {
            return Err("`domains` is empty; name the domains whose mail is kept here".to_owned());
        }
        Ok(Self { hostname, domains })
    }
}

/// `name` in lower case, where it is the name of a domain.
fn domain_name(name: &str, key: &str) -> Result<String, String> {
    match Mailbox::parse(&format!("postmaster@{name}")).as_ref().map(Mailbox::domain) {
        Ok(Domain::Name(name)) => Ok(name.clone()),
        Ok(Domain::Address(_)) | Err(_) => {
            Err(format!("\"{}\" in `{key}` is not the name of a host or domain", escaped(name.as_bytes())))
        }
    }
}

/// The table `[tls]`: where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate with its chain, in PEM form.
    pub certificate: PathBuf,
    /// Its key, in PEM form.
    pub key: PathBuf,
    /// Who must have signed a certificate by which a client logs in, in PEM form; empty: nobody does.
    pub client_ca: PathBuf,
    /// Whether logins may be bound to their connection: SCRAM-SHA-256-PLUS is offered under TLS.
    pub channel_binding: bool,
}

impl Tls {
    /// TLS with these certificates, and with who signs the certificates of clients.
    ///
    /// # Errors
    /// Where the authorities cannot be used.
    pub fn server(&self, certificates: &Arc<Certificates>) -> Result<ServerTls, CertificateError> {
        let mut tls = ServerTls::new(Arc::clone(certificates));
        if !self.channel_binding {
            tls = tls.without_channel_binding();
        }
        if self.client_ca.as_os_str().is_empty() {
            return Ok(tls);
        }
        Ok(tls.with_client_authorities(&ClientAuthorities::load(&self.client_ca)?))
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: PathBuf::from("/etc/mailstack/certificate.pem"),
            key: PathBuf::from("/etc/mailstack/key.pem"),
            client_ca: PathBuf::new(),
            channel_binding: true,
        }
    }
}

/// The table `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is logged, as in `RUST_LOG`.
    #[serde(deserialize_with = "filter")]
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned() }
    }
}

fn filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let filter = String::deserialize(deserializer)?;
    match log::check_filter(&filter) {
        Ok(()) => Ok(filter),
        Err(problem) => Err(serde::de::Error::custom(format!("`filter` cannot be used: {problem}"))),
    }
}

/// A configuration file, read and checked for its version and its tables.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    text: String,
}

impl ConfigFile {
    /// Reads `path`; `tables` are the names of all the tables that any program of mailstack knows.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(path: &Path, tables: &[&str]) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        if fs::metadata(path).map_err(failed)?.len() > FILE_OCTETS_MAX {
            return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        Self::parse(path, text, tables)
    }

    /// As [`Self::read`], of `text` that was found at `path`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(path: &Path, text: String, tables: &[&str]) -> Result<Self, ConfigError> {
        let file = Self { path: path.to_owned(), text };
        let root = file.root()?;
        file.check_version(&root)?;
        for (key, value) in &root {
            let (name, line) = (key.get_ref().as_ref(), file.line(key.span().start));
            let shown = escaped(name.as_bytes());
            let is_table = matches!(value.get_ref(), DeValue::Table(_));
            if name == "version" || (tables.contains(&name) && is_table) {
                continue;
            }
            if tables.contains(&name) {
                return Err(file.wrong(format!("`{shown}` at line {line} must be a table: [{shown}]")));
            }
            if is_table {
                let hint = nearest(name, tables, |table| format!("[{table}]"));
                return Err(file.wrong(format!("unknown table [{shown}] at line {line}; {hint}")));
            }
            return Err(file.wrong(format!(
                "unknown key `{shown}` at line {line}; every key but `version` stands in a table such as [server]"
            )));
        }
        drop(root);
        Ok(file)
    }

    /// One table as a finished type (`#[serde(deny_unknown_fields, default)]`); an absent table gives the defaults.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn table<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, ConfigError> {
        let Some(value) = self.root()?.remove(name) else { return Ok(T::default()) };
        T::deserialize(ValueDeserializer::from(value)).map_err(|error| self.wrong_in_table(&error, name))
    }

    fn root(&self) -> Result<DeTable<'_>, ConfigError> {
        DeTable::parse(&self.text).map(Spanned::into_inner).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| format!("{}: ", self.place(&span)));
            self.wrong(format!("{place}this is not TOML: {}", one_line(error.message())))
        })
    }

    fn check_version(&self, root: &DeTable<'_>) -> Result<(), ConfigError> {
        let Some(value) = root.get("version") else {
            return Err(
                self.wrong(format!("the schema version is missing; write `version = {VERSION}` at the top"))
            );
        };
        let version = value.get_ref().as_integer();
        let version = version.and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        match version {
            Some(VERSION) => Ok(()),
            Some(version) if version > VERSION => Err(self.wrong(format!(
                "it is written for schema version {version}, this release knows {VERSION}; run the newer release"
            ))),
            Some(_) | None => Err(self.wrong(format!(
                "{}: the schema version must be {VERSION}",
                self.place(&value.span())
            ))),
        }
    }

    fn wrong_in_table(&self, error: &toml::de::Error, table: &str) -> ConfigError {
        let line = self.line(error.span().unwrap_or_default().start);
        let message = error.message();
        // The words of serde's `Error::unknown_field`; the tests hold them.
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
        if let Some((key, expected)) = unknown {
            let known: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
            let hint = nearest(key, &known, |key| format!("`{key}`"));
            let shown = escaped(key.as_bytes());
            return self.wrong(format!("unknown key `{shown}` in [{table}] at line {line}; {hint}"));
        }
        if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            return self.wrong(format!("the key `{key}` is missing in [{table}]"));
        }
        // What is checked of a table as a whole has no place of its own.
        let place = error.span().map_or_else(String::new, |span| format!("{} ", self.place(&span)));
        self.wrong(format!("{place}in [{table}]: {}", one_line(message)))
    }

    fn wrong(&self, problem: String) -> ConfigError {
        ConfigError::Wrong { path: self.path.clone(), problem }
    }

    /// The line that holds the octet at `offset`, from 1.
    fn line(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or_default();
        before.matches('\n').count().saturating_add(1)
    }

    /// The line's number and its beginning.
    fn place(&self, span: &Range<usize>) -> String {
        let line = self.line(span.start);
        let text = self.text.lines().nth(line - 1).unwrap_or_default().trim();
        let shown: String = text.chars().take(EXCERPT_CHARACTERS_MAX).collect();
        let shown = without_controls(&shown);
        format!("line {line}, `{shown}`")
    }
}

/// An error text of the TOML reader, which can have several lines.
fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, String> {
        ConfigFile::parse(Path::new("mailstack.toml"), text.to_owned(), &TABLES)
            .map_err(|error| error.to_string())
    }

    fn table<T: DeserializeOwned + Default>(text: &str, name: &str) -> Result<T, String> {
        parse(&format!("version = 1\n{text}"))?.table(name).map_err(|error| error.to_string())
    }

    fn server(text: &str) -> Result<Server, String> {
        table(text, "server")
    }

    #[test]
    fn a_table_is_read_and_an_absent_one_gives_the_defaults() {
        let read = server(
            "[server]\nhostname = \"Mail.Example.ORG\"\ndomains = [\"Example.org\", \"example.net\"]\n",
        );
        let expected = Server {
            hostname: "mail.example.org".into(),
            domains: vec!["example.org".into(), "example.net".into()],
        };
        assert_eq!(read.unwrap(), expected);
        assert_eq!(server("").unwrap(), Server::default());
        assert_eq!(table::<Tls>("", "tls").unwrap(), Tls::default());
        assert_eq!(table::<Log>("[log]\nfilter = \"debug\"", "log").unwrap().filter, "debug");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
        assert_eq!(
            server("[server]\nhostnam = \"x\"").unwrap_err(),
            "mailstack.toml: unknown key `hostnam` in [server] at line 3; did you mean `hostname`?"
        );
        assert_eq!(
            server("[server]\n\nquota = 3").unwrap_err(),
            "mailstack.toml: unknown key `quota` in [server] at line 4; known are `hostname`, `domains`"
        );
    }

    #[test]
    fn an_unknown_table_is_named_with_its_line_and_the_nearest_known_one() {
        assert_eq!(
            server("[smpt]\n").unwrap_err(),
            "mailstack.toml: unknown table [smpt] at line 2; did you mean [smtp]?"
        );
        assert_eq!(
            server("hostname = \"x\"").unwrap_err(),
            "mailstack.toml: unknown key `hostname` at line 2; every key but `version` stands in a table such as \
             [server]"
        );
        assert_eq!(
            server("tls = \"x\"").unwrap_err(),
            "mailstack.toml: `tls` at line 2 must be a table: [tls]"
        );
    }

    #[test]
    fn a_wrong_type_is_explained() {
        assert_eq!(
            server("[server]\nhostname = 3").unwrap_err(),
            "mailstack.toml: line 3, `hostname = 3` in [server]: invalid type: integer `3`, expected a string"
        );
        let error = table::<Log>("[log]\nfilter = \"smtpd=loud\"", "log").unwrap_err();
        assert!(
            error.starts_with("mailstack.toml: line 3, `filter = \"smtpd=loud\"` in [log]: `filter` cannot"),
            "{error}"
        );
    }

    #[test]
    fn a_bad_name_is_refused() {
        let error = server("[server]\nhostname = \"not a name\"").unwrap_err();
        assert_eq!(
            error,
            "mailstack.toml: in [server]: \"not a name\" in `hostname` is not the name of a host or domain"
        );
        let error = server("[server]\nhostname = \"m\u{e4}il.example\"").unwrap_err();
        assert!(error.contains("`hostname` must be in its ASCII form"), "{error}");
        let error = server("[server]\ndomains = []").unwrap_err();
        assert!(error.contains("`domains` is empty"), "{error}");
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_line() {
        let error = parse("version = 1\n[server\n").unwrap_err();
        assert!(error.starts_with("mailstack.toml: line 2, `[server`: this is not TOML: "), "{error}");
    }

    #[test]
    fn the_version_is_required_and_checked() {
        assert!(parse("[server]\n").unwrap_err().contains("write `version = 1` at the top"));
        assert!(
            parse("version = 2").unwrap_err().contains("written for schema version 2, this release knows 1")
        );
        assert!(
            parse("version = \"1\"")
                .unwrap_err()
                .contains("line 1, `version = \"1\"`: the schema version must be 1")
        );
        assert!(parse("version = 0x1").is_ok());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = ConfigFile::read(Path::new("/nonexistent/mailstack.toml"), &TABLES).unwrap_err();
        assert_eq!(error.to_string(), "reading the configuration /nonexistent/mailstack.toml failed");
    }
}
