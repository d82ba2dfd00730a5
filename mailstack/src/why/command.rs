//! The server that is asked, and its answers.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mailstore::Options;
use mailwire::daemon::config::Server;
use smtpd::Shared;
use smtpd::checks::Checks;
use smtpd::gate::GateTables;
use smtpd::rehearsal::{Content, End, Mail, Rehearsal, Verdict};
use smtpd::relay::names::{Itself, Names};
use smtpd::relay::{RelayTables, Routes};
use thiserror::Error;

use super::arrival::Map;
use super::case::{self, CaseError};
use super::told::{Arrival, Told};
use crate::arguments::{Ports, Whereabouts, WhyOptions};
use crate::config::Configuration;
use crate::loopback::Loopback;
use crate::output::Output;
use crate::place::{self, PlaceError};
use crate::trial::Trial;

/// Most octets of a line with a mail to ask about.
const LINE_OCTETS_MAX: u64 = 64 << 20;

/// Why mails cannot be asked about.
#[derive(Debug, Error)]
enum CasesError {
    #[error("reading {path} failed")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("line {number}")]
    Line {
        number: u64,
        #[source]
        source: CaseError,
    },
    #[error("line {0} has more than {LINE_OCTETS_MAX} octets")]
    TooLong(u64),
}

/// A server that says what it would do.
struct Oracle {
    rehearsal: Rehearsal,
    names: Names,
    routes: Routes,
    is_scanned: bool,
}

/// What decides, whoever has written it down.
struct Tables {
    server: Server,
    store: Options,
    smtp: smtpd::Config,
    relay: RelayTables,
    gate: GateTables,
    checks: Checks,
}

impl Tables {
    fn find(whereabouts: &Whereabouts) -> Result<Self, Box<dyn Error>> {
        if let Some(path) = &whereabouts.config {
            let Configuration { server, store, smtp, relay, gate, checks, .. } = Configuration::read(path)?;
            return Ok(Self { server, store, smtp, relay, gate, checks });
        }
        let trial = place::trial(whereabouts)?;
        if !trial.has_store() {
            return Err(PlaceError::NoServer(trial.folder().to_owned()).into());
        }
        Ok(Self {
            server: Trial::server(),
            store: trial.store(),
            smtp: Loopback::new(Ports::default()).smtp(),
            relay: Trial::relay(),
            gate: GateTables::default(),
            checks: Checks::off(),
        })
    }
}

/// Does what the options say. The status is 0, 4 or 5: what replies would begin with.
pub(crate) async fn run(options: &WhyOptions, output: &Output) -> Result<ExitCode, Box<dyn Error>> {
    let Tables { server, store, smtp, relay, gate, checks } = Tables::find(&options.whereabouts)?;
    let guard = store.guard.clone();
    let store = mailstore::open(store).await?;
    let itself = Itself { names: [server.hostname.clone()].into(), ..Itself::default() };
    let names = Names::new(&relay.dns, itself)?.with_policies(&relay.mta_sts, None)?;
    let routes = Routes::new(&relay.relay)?;
    let is_scanned = !gate.scan.scanners.is_empty();
    let shared = Shared { server, tls: None, store: store.clone(), tokens: None, relay, gate, checks };
    let rehearsal = Rehearsal::new(&smtp, &shared, &guard)?;
    drop(shared);
    let mut oracle = Oracle { rehearsal, names, routes, is_scanned };
    let answered = match &options.cases {
        Some(path) => oracle.all(path, output).await,
        None => oracle.one(options, output).await,
    };
    drop(oracle);
    store.close().await;
    answered.map(ExitCode::from)
}

impl Oracle {
    async fn one(&mut self, options: &WhyOptions, output: &Output) -> Result<u8, Box<dyn Error>> {
        let told = self.tell(&case::of_options(options)?).await?;
        if options.json {
            output.line(&serde_json::to_string(&told)?);
        } else {
            output.lines(&told.lines());
        }
        Ok(told.status())
    }

    /// Each mail is answered before the next one is read, so that whoever asks can act meanwhile.
    async fn all(&mut self, path: &Path, output: &Output) -> Result<u8, Box<dyn Error>> {
        let failed = |source| CasesError::Read { path: path.to_owned(), source };
        let mut input: Box<dyn BufRead + Send> = if path == Path::new("-") {
            Box::new(BufReader::new(io::stdin()))
        } else {
            Box::new(BufReader::new(File::open(path).map_err(failed)?))
        };
        for number in 1.. {
            let read = tokio::task::spawn_blocking(move || {
                let mut line = Vec::new();
                let read = input.by_ref().take(LINE_OCTETS_MAX).read_until(b'\n', &mut line);
                (input, read.map(|_| line))
            });
            let (rest, line) = read.await?;
            input = rest;
            let line = line.map_err(failed)?;
            if line.is_empty() {
                break;
            }
            if line.last() != Some(&b'\n') && line.len() as u64 == LINE_OCTETS_MAX {
                return Err(CasesError::TooLong(number).into());
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let mail = case::of_json(&line).map_err(|source| CasesError::Line { number, source })?;
            let told = self.tell(&mail).await?;
            output.line(&serde_json::to_string(&told)?);
        }
        Ok(0)
    }

    async fn tell(&mut self, mail: &Mail) -> Result<Told, Box<dyn Error>> {
        let rehearsed = Box::pin(self.rehearsal.rehearse(mail)).await;
        let store = self.rehearsal.store();
        let mut arrivals: Vec<Arrival> = mail.to.iter().map(|_| Arrival::default()).collect();
        let (mut also_into, mut notes) = (Vec::new(), Vec::new());
        if let End::Committed(committed) = &rehearsed.end {
            let map = Map::draw(store).await?;
            let directory = &*store.directory;
            let accepted = |number| rehearsed.verdict(number) == Verdict::Accepted;
            for (number, (to, arrival)) in mail.to.iter().zip(&mut arrivals).enumerate() {
                if accepted(number) {
                    *arrival = map.arrival(directory, (&self.names, &self.routes), committed, to).await;
                }
            }
            let named = mail.to.iter().enumerate().filter(|(number, _)| accepted(*number));
            let named: Vec<_> = named.map(|(_, to)| to.clone()).collect();
            also_into = map.elsewhere(directory, committed, &named).await;
        }
        match &mail.content {
            Content::Given(_) => {}
            Content::Made(_) => {
                notes.push("the message was made for this; --message FILE tells of one of yours".to_owned());
                if self.is_scanned {
                    notes.push("the programs in [scan] were not asked about it".to_owned());
                }
            }
        }
        let to: Vec<String> = mail.to.iter().map(ToString::to_string).collect();
        Ok(Told::new(&rehearsed, &to, (arrivals, also_into), notes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;
    use mailstack_tests::name_server::{NameServer, Zone};
    use mailstore::{Alias, RuleFile};
    use mailwire::address::Mailbox;
    use mailwire::secret::Secret;
    use tempfile::TempDir;

    use super::*;
    use crate::arguments::{Arguments, Command};
    use crate::output::tests::Printed;

    const ZONE: &str = "
@     MX 10 mx
mx    A  192.0.2.25
";

    /// A configured server for here.test with alice and bob, of whom bob's rules forward.
    struct House {
        folder: TempDir,
        _names: NameServer,
    }

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    async fn house() -> House {
        let names = NameServer::start(&[Zone::signed("there.test", ZONE)]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let text = format!(
            "version = 1\n[server]\nhostname = \"mail.here.test\"\ndomains = [\"here.test\"]\n[store]\npath = \
             \"{}\"\nreserve_octets = 0\n[smtp]\nrecipients_max = 100\n[checks]\nenabled = false\n[greylist]\nenabled = \
             true\ntrusted = [\"192.0.2.0/24\"]\n[[relay.routes]]\ndomains = [\"smart.test\"]\nhost = \
             \"192.0.2.99\"\ntls = \"never\"\n{}",
            store.display(),
            names.table(folder.path()).unwrap()
        );
        fs::write(folder.path().join("mailstack.toml"), text).unwrap();
        let options = Options { path: store, reserve_octets: 0, ..Options::default() };
        let store = mailstore::open(options).await.unwrap();
        for name in ["alice@here.test", "bob@here.test"] {
            let password = Secret::new("x".to_owned());
            store.administration.add_account(&mailbox(name), &password).await.unwrap();
        }
        let targets = vec![mailbox("alice@here.test")];
        let team = Alias { address: mailbox("team@here.test").into(), targets };
        store.administration.add_alias(&team).await.unwrap();
        let rules = RuleFile::new("always forward \"b@smart.test\"").unwrap();
        store.rule_files.set_rule_file(&mailbox("bob@here.test"), Some(rules)).await.unwrap();
        store.close().await;
        House { folder, _names: names }
    }

    impl House {
        /// What `mailstack why` with these arguments says, and its status.
        async fn why(&self, arguments: &str) -> (String, String) {
            let config = self.folder.path().join("mailstack.toml");
            let given = ["mailstack", "why", "--config", config.to_str().unwrap()];
            let arguments = Arguments::try_parse_from(given.into_iter().chain(arguments.split(' '))).unwrap();
            let Command::Why(options) = arguments.command else { panic!("another command") };
            let printed = Printed::default();
            let status = match Box::pin(run(&options, &printed.output())).await {
                Ok(status) => format!("{status:?}"),
                Err(failure) => failure.to_string(),
            };
            (printed.text(), status)
        }
    }

    #[tokio::test]
    async fn it_ends_with_where_the_mail_would_go() {
        let house = house().await;
        let from = "--from x@far.test --ip 192.0.2.7";
        let (text, status) = house.why(&format!("{from} --to team@here.test --to bob@here.test")).await;
        assert_eq!(status, format!("{:?}", ExitCode::from(0)), "{text}");
        let end = "team@here.test: accepted\n    by the alias team@here.test -> alice@here.test\n    into the maildrop \
                   alice@here.test\nbob@here.test: accepted\n    to b@smart.test, forwarded for bob@here.test: \
                   [[relay.routes]] no. 1\n        192.0.2.99:25\nnote: the message was made for this";
        assert!(
            text.contains(end) && text.contains("check: bob@here.test: line 1: forwarded to b@smart.test"),
            "{text}"
        );
        let login = "--from alice@here.test --login alice --ip 198.51.100.7 --to c@there.test";
        let (text, status) = house.why(login).await;
        assert_eq!(status, format!("{:?}", ExitCode::from(0)), "{text}");
        let end = "c@there.test: accepted\n    to c@there.test: no route in [relay] fits\n        10 mx.there.test (DNSSEC): \
                   192.0.2.25; TLS where it is offered\n";
        assert!(text.contains(end), "{text}");
    }

    #[tokio::test]
    async fn the_status_is_the_first_digit_of_the_worst_reply() {
        let house = house().await;
        let stranger = "--from x@far.test --ip 198.51.100.7 --to alice@here.test";
        for (arguments, status, line) in [
            (stranger.to_owned(), 4, "alice@here.test: put off: greylist=wait by [greylist] wait_seconds"),
            (
                format!("{stranger} --to nobody@here.test"),
                5,
                "nobody@here.test: refused: no account, alias or",
            ),
            (
                "--from <> --ip 127.0.0.1 --to a@far.test".to_owned(),
                5,
                "a@far.test: refused: [server] domains",
            ),
        ] {
            let (text, code) = house.why(&arguments).await;
            assert_eq!(code, format!("{:?}", ExitCode::from(status)), "{text}");
            assert!(text.lines().any(|told| told.starts_with(line)), "{text}");
            let (json, _) = house.why(&format!("{arguments} --json")).await;
            let told: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(told["verdict"], if status == 4 { "put off" } else { "refused" });
        }
    }

    #[tokio::test]
    async fn many_mails_are_answered_in_their_order() {
        let house = house().await;
        let cases = house.folder.path().join("cases");
        let case = |to: &str| format!("{{\"from\": \"\", \"to\": [\"{to}\"], \"ip\": \"192.0.2.7\"}}\n");
        fs::write(&cases, format!("{}\n{}", case("alice@here.test"), case("nobody@here.test"))).unwrap();
        let (text, status) = house.why(&format!("--cases {}", cases.display())).await;
        assert_eq!(status, format!("{:?}", ExitCode::from(0)), "{text}");
        let answers: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let verdicts: Vec<_> = answers.iter().map(|told| told["recipients"][0]["verdict"].clone()).collect();
        assert_eq!(verdicts, ["accepted", "refused"]);
        assert_eq!(answers[0]["recipients"][0]["goes_to"][0]["maildrop"], "alice@here.test");
        fs::write(&cases, format!("{}{{}}", case("alice@here.test"))).unwrap();
        assert_eq!(house.why(&format!("--cases {}", cases.display())).await.1, "line 2");
    }
}
