//! `mailstack config check`: the configuration read as the server would, with all that is wrong with it.

use std::error::Error;
use std::path::Path;

use mailstore::GuardOptions;
use mailwire::daemon::config::{ConfigFile, Log, Server, TABLES, Tls};
use mailwire::daemon::oauth::{Checker, OAuth};
use mailwire::net::Certificates;
use smtpd::checks::Checks;
use smtpd::dkim::{Dkim, Folder};
use smtpd::gate::{Dnsbl, GateTables, GreylistConfig, ScanConfig};
use smtpd::relay::names::{Dns, Itself, MtaStsConfig, Names};
use smtpd::relay::{RelayConfig, RelayTables};
use smtpd::reports::ReportsConfig;
use smtpd::session::Policy;
use thiserror::Error;

use crate::arguments::ConfigCommand;
use crate::output::Output;

/// Why a configuration is not fit to serve.
#[derive(Debug, Error)]
pub(crate) enum CheckError {
    #[error("{path} cannot be used: {problems} found")]
    Problems { path: String, problems: String },
}

/// Everything that a configuration says.
pub(crate) struct Configuration {
    pub(crate) server: Server,
    pub(crate) tls: Tls,
    pub(crate) log: Log,
    pub(crate) store: mailstore::Options,
    pub(crate) oauth: OAuth,
    pub(crate) smtp: smtpd::Config,
    pub(crate) pop3: pop3d::Config,
    pub(crate) relay: RelayTables,
    pub(crate) gate: GateTables,
    pub(crate) checks: Checks,
}

impl Configuration {
    /// Reads every table.
    pub(crate) fn read(path: &Path) -> Result<Self, mailwire::daemon::config::ConfigError> {
        let file = ConfigFile::read(path, &TABLES)?;
        let server: Server = file.table("server")?;
        let store = file.table::<mailstore::Options>("store")?.of_domains(&server.domains);
        Ok(Self {
            server,
            tls: file.table("tls")?,
            log: file.table("log")?,
            store: mailstore::Options { guard: file.table("guard")?, ..store },
            oauth: file.table("oauth")?,
            smtp: file.table("smtp")?,
            pop3: file.table("pop3")?,
            relay: RelayTables::read(&file)?,
            gate: GateTables::read(&file)?,
            checks: file.table("checks")?,
        })
    }
}

/// Does what `command` says.
pub(crate) fn run(command: &ConfigCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    match command {
        ConfigCommand::Check { config } => check(config, output),
    }
}

fn check(path: &Path, output: &Output) -> Result<(), Box<dyn Error>> {
    let file = ConfigFile::read(path, &TABLES)?;
    let mut problems: Vec<Box<dyn Error>> = Vec::new();
    let server = note(file.table::<Server>("server"), &mut problems);
    note(file.table::<Log>("log"), &mut problems);
    note(file.table::<mailstore::Options>("store"), &mut problems);
    note(file.table::<GuardOptions>("guard"), &mut problems);
    if let Some(oauth) = note(file.table::<OAuth>("oauth"), &mut problems) {
        note(Checker::new(&oauth), &mut problems);
    }
    let smtp = note(file.table::<smtpd::Config>("smtp"), &mut problems);
    note(file.table::<Dnsbl>("dnsbl"), &mut problems);
    note(file.table::<GreylistConfig>("greylist"), &mut problems);
    note(file.table::<ScanConfig>("scan"), &mut problems);
    let relay = note(file.table::<RelayConfig>("relay"), &mut problems);
    if let Some(relay) = &relay {
        note(relay.check(), &mut problems);
    }
    if let (Some(server), Some(smtp), Some(relay)) = (server, smtp, relay) {
        note(Policy::new(&smtp, &relay, &server), &mut problems);
    }
    let policies = note(file.table::<MtaStsConfig>("mta_sts"), &mut problems).unwrap_or_default();
    if let Some(dns) = note(file.table::<Dns>("dns"), &mut problems) {
        let names = Names::new(&dns, Itself::default());
        note(names.and_then(|names| names.with_policies(&policies, None)), &mut problems);
    }
    note(file.table::<ReportsConfig>("reports"), &mut problems);
    note(file.table::<Checks>("checks"), &mut problems);
    if let Some(dkim) = note(file.table::<Dkim>("dkim"), &mut problems) {
        note(Folder::new(dkim.keys).check(), &mut problems);
    }
    note(file.table::<pop3d::Config>("pop3"), &mut problems);
    if let Some(tls) = note(file.table::<Tls>("tls"), &mut problems)
        && let Some(certificates) = note(Certificates::load(&tls.certificate, &tls.key), &mut problems)
    {
        note(tls.server(&certificates), &mut problems);
    }
    for problem in &problems {
        output.failure(&**problem);
    }
    let shown = path.display().to_string();
    match problems.len() {
        0 => output.line(&format!("{shown} is in order")),
        1 => return Err(CheckError::Problems { path: shown, problems: "1 problem".to_owned() }.into()),
        count => {
            return Err(CheckError::Problems { path: shown, problems: format!("{count} problems") }.into());
        }
    }
    Ok(())
}

/// The value, or one problem more.
fn note<T, E: Error + 'static>(found: Result<T, E>, problems: &mut Vec<Box<dyn Error>>) -> Option<T> {
    match found {
        Ok(value) => Some(value),
        Err(problem) => {
            problems.push(Box::new(problem));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::output::tests::Printed;

    #[test]
    fn every_problem_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mailstack.toml");
        fs::write(
            &path,
            "version = 1\n[server]\nhostnam = \"a\"\n[pop3]\npop3 = 110\n[tls]\nkey = \"/nonexistent\"\n",
        )
        .unwrap();
        let printed = Printed::default();
        let failure = check(&path, &printed.output()).unwrap_err();
        assert!(failure.to_string().ends_with("cannot be used: 3 problems found"), "{failure}");
        let text = printed.text();
        assert!(text.contains("did you mean `hostname`?"), "{text}");
        assert!(text.contains("line 5, `pop3 = 110` in [pop3]"), "{text}");
        assert!(text.contains("reading /etc/mailstack/certificate.pem failed"), "{text}");
    }

    /// The file that administrators begin with.
    const SHIPPED: &str = include_str!("../../conf/mailstack.toml");

    fn shipped(text: String) -> ConfigFile {
        ConfigFile::parse(Path::new("conf/mailstack.toml"), text, &TABLES).unwrap()
    }

    /// `# key = value`, with which a default is shown.
    fn default_line(line: &str) -> Option<&str> {
        let line = line.strip_prefix("# ")?;
        let (key, _) = line.split_once(" = ")?;
        key.bytes()
            .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_')
            .then_some(line)
    }

    #[test]
    fn the_shipped_file_is_in_order() {
        let file = shipped(SHIPPED.to_owned());
        let server: Server = file.table("server").unwrap();
        assert_eq!(server.hostname, "mail.example.org");
        assert_eq!(file.table::<smtpd::Config>("smtp").unwrap(), smtpd::Config::default());
    }

    #[test]
    fn no_configured_login_delay_is_longer_than_a_day() {
        let options =
            |seconds: u32| toml::from_str::<mailstore::Options>(&format!("login_delay_seconds = {seconds}"));
        assert_eq!(options(86_400).unwrap().rules().login_delay_seconds, 86_400);
        assert!(options(86_401).unwrap_err().message().contains("at most 86400"));
    }

    #[test]
    fn each_default_in_the_shipped_file_is_the_real_one() {
        let lines: Vec<_> = SHIPPED.lines().map(|line| default_line(line).unwrap_or(line)).collect();
        let text = lines.join("\n");
        assert!(text.contains("\nlease_wait_seconds = "));
        let file = shipped(text);
        assert_eq!(file.table::<Tls>("tls").unwrap(), Tls::default());
        assert_eq!(file.table::<Log>("log").unwrap(), Log::default());
        assert_eq!(file.table::<mailstore::Options>("store").unwrap(), mailstore::Options::default());
        assert_eq!(file.table::<GuardOptions>("guard").unwrap(), GuardOptions::default());
        assert_eq!(file.table::<OAuth>("oauth").unwrap(), OAuth::default());
        assert_eq!(file.table::<smtpd::Config>("smtp").unwrap(), smtpd::Config::default());
        assert_eq!(file.table::<Dnsbl>("dnsbl").unwrap(), Dnsbl::default());
        assert_eq!(file.table::<GreylistConfig>("greylist").unwrap(), GreylistConfig::default());
        assert_eq!(file.table::<ScanConfig>("scan").unwrap(), ScanConfig::default());
        assert_eq!(file.table::<RelayConfig>("relay").unwrap(), RelayConfig::default());
        assert_eq!(file.table::<Dns>("dns").unwrap(), Dns::default());
        assert_eq!(file.table::<MtaStsConfig>("mta_sts").unwrap(), MtaStsConfig::default());
        assert_eq!(file.table::<Dkim>("dkim").unwrap(), Dkim::default());
        assert_eq!(file.table::<ReportsConfig>("reports").unwrap(), ReportsConfig::default());
        assert_eq!(file.table::<Checks>("checks").unwrap(), Checks::default());
        assert_eq!(file.table::<pop3d::Config>("pop3").unwrap(), pop3d::Config::default());
    }

    /// The keys that `T` knows, out of the error for one that it does not.
    fn keys<T: serde::de::DeserializeOwned>() -> Vec<String> {
        let Err(error) = toml::from_str::<T>("unknown = 0") else { return Vec::new() };
        error.message().split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_shipped_file_has_every_key_of_every_table() {
        let tables = [
            ("server", keys::<Server>()),
            ("tls", keys::<Tls>()),
            ("store", keys::<mailstore::Options>()),
            ("log", keys::<Log>()),
            ("guard", keys::<GuardOptions>()),
            ("oauth", keys::<OAuth>()),
            ("smtp", keys::<smtpd::Config>()),
            ("dnsbl", keys::<Dnsbl>()),
            ("greylist", keys::<GreylistConfig>()),
            ("scan", keys::<ScanConfig>()),
            ("relay", keys::<RelayConfig>()),
            ("dns", keys::<Dns>()),
            ("mta_sts", keys::<MtaStsConfig>()),
            ("dkim", keys::<Dkim>()),
            ("reports", keys::<ReportsConfig>()),
            ("checks", keys::<Checks>()),
            ("pop3", keys::<pop3d::Config>()),
        ];
        assert_eq!(tables.each_ref().map(|(table, _)| *table), TABLES);
        for (table, keys) in tables {
            assert!(!keys.is_empty(), "{table}");
            let (_, section) = SHIPPED.split_once(&format!("\n[{table}]\n")).unwrap();
            let section = section.split("\n[").next().unwrap();
            for key in keys {
                let shown = section
                    .lines()
                    .any(|line| default_line(line).unwrap_or(line).starts_with(&format!("{key} = ")));
                assert!(shown, "[{table}] {key}");
            }
        }
    }
}
