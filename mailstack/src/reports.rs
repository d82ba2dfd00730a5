//! `mailstack reports`: what is collected for reports to other domains is listed, shown, and sent.

use std::error::Error;

use mailstore::{Store, Unavailable};
use mailwire::address::Domain;
use mailwire::clock;
use mailwire::daemon::config::{ConfigFile, TABLES};
use mailwire::escape::without_controls;
use serde_json::json;
use smtpd::relay::RelayTables;
use smtpd::reports::{Collected, Kind, Reports, Sent, collected};
use thiserror::Error;

use crate::arguments::{ReportsCommand, Whereabouts};
use crate::maildrop::moment;
use crate::names::names;
use crate::output::Output;
use crate::place::Place;

/// Why a command did not do what it should.
#[derive(Debug, Error)]
enum CommandError {
    #[error("nothing is collected about {0}")]
    Nothing(String),
    #[error("{failed} of {all} reports could not be sent")]
    Failed { failed: usize, all: usize },
}

/// Does what `command` says.
pub(crate) async fn run(command: &ReportsCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    let whereabouts = match command {
        ReportsCommand::List { whereabouts, .. } | ReportsCommand::Send { whereabouts, .. } => whereabouts,
        ReportsCommand::Show(selection) => &selection.whereabouts,
    };
    let place = Place::find(whereabouts)?;
    let tables = tables(whereabouts)?;
    let names = names(whereabouts.config.as_deref())?;
    let store = place.open().await?;
    let done = match Reports::new(&tables, &place.server, names, &store) {
        Ok(reports) => Work { store: &store, reports: &reports, output }.done(command).await,
        Err(error) => Err(error.into()),
    };
    store.close().await;
    done
}

fn tables(whereabouts: &Whereabouts) -> Result<RelayTables, Box<dyn Error>> {
    match &whereabouts.config {
        Some(path) => Ok(RelayTables::read(&ConfigFile::read(path, &TABLES)?)?),
        None => Ok(RelayTables::default()),
    }
}

struct Work<'a> {
    store: &'a Store,
    reports: &'a Reports,
    output: &'a Output,
}

impl Work<'_> {
    async fn done(&self, command: &ReportsCommand) -> Result<(), Box<dyn Error>> {
        let now = clock::unix_seconds();
        match command {
            ReportsCommand::List { json, .. } => {
                let all = self.collected(None, None, now).await?;
                let lines: Vec<_> =
                    all.iter().map(|one| if *json { self.object(one) } else { self.line(one) }).collect();
                if lines.is_empty() && !json {
                    self.output.line("nothing is collected; see the table [reports] of the configuration");
                }
                self.output.lines(&lines);
                Ok(())
            }
            ReportsCommand::Show(selection) => {
                let kind = selection.kind.map(Kind::from);
                let all = self.collected(Some(&selection.domain), kind, now).await?;
                if all.is_empty() {
                    return Err(CommandError::Nothing(selection.domain.to_string()).into());
                }
                for one in &all {
                    self.output.text(&self.reports.text(one, now));
                }
                Ok(())
            }
            ReportsCommand::Send { domain, unfinished, kind, .. } => {
                let mut all = self.collected(domain.as_ref(), kind.map(Kind::from), now).await?;
                all.retain(|one| *unfinished || one.day.end() <= now);
                self.send(&all, now).await
            }
        }
    }

    async fn collected(
        &self,
        domain: Option<&Domain>,
        kind: Option<Kind>,
        now: u64,
    ) -> Result<Vec<Collected>, Unavailable> {
        let domain = domain.map(|domain| domain.in_a_labels().to_string().to_lowercase());
        let mut all = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|one| kind.is_none_or(|kind| kind == *one)) {
            all.extend(collected(self.store, kind, now).await?);
        }
        all.retain(|one| domain.as_ref().is_none_or(|domain| *domain == one.domain));
        Ok(all)
    }

    async fn send(&self, all: &[Collected], now: u64) -> Result<(), Box<dyn Error>> {
        let mut failed = 0_usize;
        for one in all {
            let about = format!("{} {} {}", one.kind.word(), one.day, without_controls(&one.domain));
            match self.reports.send(one, now).await {
                Ok(Sent::To(to)) => {
                    self.output.line(&format!("{about}: sent to {}", without_controls(&to.join(", "))));
                }
                Ok(Sent::NotWanted) => {
                    self.output.line(&format!("{about}: the domain does not ask for reports"));
                }
                Err(error) => {
                    self.output.failure(&error);
                    failed = failed.saturating_add(1);
                }
            }
        }
        if all.is_empty() {
            self.output.line("there is nothing to send");
        }
        if failed > 0 { Err(CommandError::Failed { failed, all: all.len() }.into()) } else { Ok(()) }
    }

    fn line(&self, one: &Collected) -> String {
        let (kind, domain, count) = (one.kind.word(), without_controls(&one.domain), one.count());
        let due = moment::shown(self.reports.due(one.day));
        format!("{kind}  {}  {domain}  {count} {}  goes {due}", one.day, what(one.kind))
    }

    fn object(&self, one: &Collected) -> String {
        json!({
            "kind": one.kind.word(),
            "day": one.day.to_string(),
            "domain": one.domain,
            "count": one.count(),
            "due": self.reports.due(one.day),
        })
        .to_string()
    }
}

/// What is counted.
const fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Tls => "sessions",
    }
}
