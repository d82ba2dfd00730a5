//! `mailstack greylist`: who must come again and who is known is listed, let in at once, and forgotten.

use std::error::Error;

use mailstore::{Note, Store, Unavailable};
use mailwire::address::{AddressError, Domain};
use mailwire::clock;
use mailwire::escape::without_controls;
use mailwire::net::Network;
use smtpd::gate::greylist::{CLIENTS, PASSED, WAITING, welcome};

use crate::arguments::GreylistCommand;
use crate::maildrop::moment;
use crate::output::Output;
use crate::place::Place;

/// Seconds for which somebody is known whom the administrator lets in, and anew with each of their messages for as long as the
/// configuration says.
const WELCOME_SECONDS: u64 = 365 * 24 * 60 * 60;
/// What is listed, with what it is called there.
const TOPICS: [(&str, &str); 3] = [(WAITING, "waits"), (PASSED, "known"), (CLIENTS, "known")];

/// Does what `command` says.
pub(crate) async fn run(command: &GreylistCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    let now = clock::unix_seconds();
    match command {
        GreylistCommand::List { whereabouts } => {
            let store = Place::find(whereabouts)?.open().await?;
            let listed = list(&store, now).await;
            store.close().await;
            output.lines(&listed?);
        }
        GreylistCommand::Pass { network, domain, whereabouts } => {
            let note = note(*network, domain, now)?;
            let store = Place::find(whereabouts)?.open().await?;
            let told = store.recollections.remember(vec![note]).await;
            store.close().await;
            told?;
            output.line(&format!("mail of {} from {network} passes", without_controls(domain)));
        }
        GreylistCommand::Forget { network, whereabouts } => {
            let store = Place::find(whereabouts)?.open().await?;
            let forgotten = forget(&store, *network, now).await;
            store.close().await;
            output.line(&format!("{} entries of {network} are forgotten", forgotten?));
        }
    }
    Ok(())
}

fn note(network: Network, domain: &str, now: u64) -> Result<Note, AddressError> {
    Ok(welcome(network, &Domain::parse(domain)?, now.saturating_add(WELCOME_SECONDS)))
}

/// A line for each that is remembered.
async fn list(store: &Store, now: u64) -> Result<Vec<String>, Unavailable> {
    let mut lines = Vec::new();
    for (topic, word) in TOPICS {
        for note in all(store, topic, now).await? {
            let (name, until) = (without_controls(&note.name), moment::shown(note.until));
            lines.push(format!("{word}  {name}  until {until}"));
        }
    }
    if lines.is_empty() {
        lines.push("nobody is greylisted or known".to_owned());
    }
    Ok(lines)
}

/// All that is remembered of a topic.
async fn all(store: &Store, topic: &str, now: u64) -> Result<Vec<Note>, Unavailable> {
    let mut notes: Vec<Note> = Vec::new();
    loop {
        let after = notes.last().map_or("", |note| note.name.as_str());
        let page = store.recollections.recollections(topic, after, now).await?;
        if page.is_empty() {
            return Ok(notes);
        }
        notes.extend(page);
    }
}

/// What is remembered of a network goes; says how much that was.
async fn forget(store: &Store, network: Network, now: u64) -> Result<usize, Unavailable> {
    let (mut count, beginning) = (0, format!("{network} "));
    for (topic, _) in TOPICS {
        let all = all(store, topic, now).await?;
        let meant = all.into_iter().filter(|note| note.name.starts_with(&beginning));
        let gone: Vec<_> = meant.map(|note| Note { until: 0, ..note }).collect();
        count += gone.len();
        for some in gone.chunks(1000) {
            store.recollections.remember(some.to_vec()).await?;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use mailstore::Options;

    use super::*;

    #[tokio::test]
    async fn who_is_let_in_is_listed_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { path: folder.path().join("store"), reserve_octets: 0, ..Options::default() };
        let store = mailstore::open(options).await.unwrap();
        assert_eq!(list(&store, 1000).await.unwrap(), ["nobody is greylisted or known"]);
        let [one, other] = ["192.0.2.0/24", "198.51.100.0/24"].map(|text| text.parse::<Network>().unwrap());
        let notes = [one, other].map(|network| note(network, "B\u{fc}cher.example", 1000).unwrap());
        store.recollections.remember(notes.to_vec()).await.unwrap();
        let listed = list(&store, 1000).await.unwrap();
        assert_eq!(listed.len(), 2);
        assert!(
            listed[0].starts_with("known  192.0.2.0/24 xn--bcher-kva.example  until 1971-01-01"),
            "{listed:?}"
        );
        assert_eq!(forget(&store, one, 1000).await.unwrap(), 1);
        assert_eq!(list(&store, 1000).await.unwrap().len(), 1);
        store.close().await;
    }
}
