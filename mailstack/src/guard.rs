//! `mailstack guard`: who is slowed or put off is listed, and let in again.

use std::error::Error;

use mailstore::{Forgiven, Measure, Reason, Store, Throttled};
use mailwire::escape::without_controls;
use mailwire::net::{Network, NetworkError};

use crate::arguments::{ClearOptions, GuardCommand};
use crate::maildrop::moment;
use crate::output::Output;
use crate::place::Place;

/// What stands for all networks, and for all logins.
const EVERYWHERE: &str = "everywhere";
const ALL: &str = "all";

/// Does what `command` says.
pub(crate) async fn run(command: &GuardCommand, output: &Output) -> Result<(), Box<dyn Error>> {
    match command {
        GuardCommand::List { plain, whereabouts } => {
            let store = Place::find(whereabouts)?.open().await?;
            let (throttled, is_alone) = (store.guard.throttled().await, store.is_host());
            store.close().await;
            let throttled = throttled?;
            match (plain, is_alone) {
                (true, _) => output.text(&self::plain(&throttled)),
                (false, true) => output.line(NOBODY_COUNTS),
                (false, false) => output.lines(&table(&throttled)),
            }
        }
        GuardCommand::Clear(options) => {
            let place = Place::find(&options.whereabouts)?;
            let whose = whose(options, &place)?;
            let store = place.open().await?;
            let cleared = clear(&store, &whose).await;
            store.close().await;
            output.line(&cleared?);
        }
    }
    Ok(())
}

/// What is counted lies in the memory of the server.
const NOBODY_COUNTS: &str = "no server runs, so nobody is slowed or put off: what it counts ends with it";

/// Whose counts are meant.
fn whose(options: &ClearOptions, place: &Place) -> Result<Forgiven, NetworkError> {
    let Some(whom) = options.whom.as_deref().filter(|_| !options.all) else {
        return Ok(Forgiven::Everything);
    };
    match whom.parse::<Network>() {
        // What counts as one address is let in as one.
        Ok(network) if whom.contains('/') => Ok(Forgiven::Network(network)),
        Ok(address) => Ok(Forgiven::Network(Network::subscriber(address.first()))),
        Err(error @ NetworkError::NotFirst { .. }) => Err(error),
        Err(NetworkError::Form(_)) if whom.contains('@') => Ok(Forgiven::Login(whom.to_owned())),
        Err(NetworkError::Form(_)) => {
            let domain = place.server.domains.first().map_or("", String::as_str);
            Ok(Forgiven::Login(format!("{whom}@{domain}")))
        }
    }
}

async fn clear(store: &Store, whose: &Forgiven) -> Result<String, mailstore::Unavailable> {
    let count = store.guard.forgive(whose).await?;
    if store.is_host() {
        return Ok(NOBODY_COUNTS.to_owned());
    }
    let whom = match whose {
        Forgiven::Network(network) => network.to_string(),
        Forgiven::Login(login) => login.clone(),
        Forgiven::Everything => "everybody".to_owned(),
    };
    Ok(match count {
        0 => format!("{whom} was neither slowed nor put off; what was counted is forgotten"),
        1 => format!("{whom} is let in again"),
        _ => format!("{whom} is let in again: {count} entries of the list are gone"),
    })
}

/// Lines for people.
fn table(all: &[Throttled]) -> Vec<String> {
    if all.is_empty() {
        return vec!["nobody is slowed or put off".to_owned()];
    }
    let row = |throttled: &Throttled| {
        let until = moment::shown(throttled.until);
        let measure = match throttled.measure {
            Measure::PutOff => "put off",
            Measure::Slowed => "slowed",
        };
        format!(
            "{}  {}  {} {measure} until {until}",
            network(throttled),
            login(throttled),
            counted(throttled)
        )
    };
    all.iter().map(row).collect()
}

/// Lines for programs: exact, with a tab between the columns.
fn plain(all: &[Throttled]) -> String {
    let row = |throttled: &Throttled| {
        let measure = match throttled.measure {
            Measure::PutOff => "put-off",
            Measure::Slowed => "slowed",
        };
        let columns = [
            network(throttled),
            without_controls(login(throttled)).into_owned(),
            word(throttled.reason).to_owned(),
            measure.to_owned(),
            throttled.count.to_string(),
            throttled.until.to_string(),
        ];
        columns.join("\t") + "\n"
    };
    all.iter().map(row).collect()
}

fn network(throttled: &Throttled) -> String {
    throttled.network.map_or_else(|| EVERYWHERE.to_owned(), |network| network.to_string())
}

fn login(throttled: &Throttled) -> &str {
    throttled.login.as_deref().unwrap_or(ALL)
}

fn counted(throttled: &Throttled) -> String {
    let word = word(throttled.reason);
    let word = if throttled.count == 1 { word.trim_end_matches('s') } else { word };
    let word = if throttled.count == 1 && throttled.reason == Reason::Guesses { "guess" } else { word };
    format!("{} {word},", throttled.count)
}

const fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Guesses => "guesses",
        Reason::Messages => "messages",
        Reason::Recipients => "recipients",
        Reason::Connections => "connections",
        Reason::Errors => "errors",
    }
}

#[cfg(test)]
mod tests {
    use mailstore::Options;
    use smtpd::dkim::Dkim;
    use smtpd::relay::RelayConfig;

    use super::*;
    use crate::trial::Trial;

    fn throttled() -> [Throttled; 3] {
        let network = |text: &str| Some(text.parse().unwrap());
        [
            Throttled {
                network: network("192.0.2.1"),
                login: Some("alice\t@example.test".to_owned()),
                reason: Reason::Guesses,
                count: 10,
                measure: Measure::PutOff,
                until: 1_000_000_000,
            },
            Throttled {
                network: network("2001:db8::/64"),
                login: None,
                reason: Reason::Guesses,
                count: 1,
                measure: Measure::Slowed,
                until: 1_000_000_001,
            },
            Throttled {
                network: None,
                login: Some("bob@example.test".to_owned()),
                reason: Reason::Messages,
                count: 1000,
                measure: Measure::PutOff,
                until: 1_000_000_002,
            },
        ]
    }

    #[test]
    fn programs_get_tabs_and_exact_numbers() {
        let expected = "192.0.2.1\talice?@example.test\tguesses\tput-off\t10\t1000000000\n\
                        2001:db8::/64\tall\tguesses\tslowed\t1\t1000000001\n\
                        everywhere\tbob@example.test\tmessages\tput-off\t1000\t1000000002\n";
        assert_eq!(plain(&throttled()), expected);
    }

    #[test]
    fn people_get_a_sentence_each() {
        let lines = table(&throttled());
        assert!(lines[0].contains("10 guesses, put off until 2001-09-09"), "{}", lines[0]);
        assert!(lines[1].starts_with("2001:db8::/64  all  1 guess, slowed until "), "{}", lines[1]);
        assert!(lines[2].contains("everywhere  bob@example.test  1000 messages, put off"), "{}", lines[2]);
        assert_eq!(table(&[]), ["nobody is slowed or put off"]);
    }

    #[test]
    fn whoever_is_let_in_is_an_address_a_network_or_a_login() {
        let place = Place {
            server: Trial::server(),
            store: Options::default(),
            dkim: Dkim::default(),
            relay: RelayConfig::default(),
            trial: None,
        };
        let options = |whom: &str| ClearOptions {
            whom: Some(whom.to_owned()),
            all: false,
            whereabouts: crate::arguments::Whereabouts { config: None, dir: None },
        };
        for (whom, network) in
            [("192.0.2.1", "192.0.2.1"), ("192.0.2.0/24", "192.0.2.0/24"), ("2001:db8::1", "2001:db8::/64")]
        {
            let network = network.parse().unwrap();
            assert_eq!(whose(&options(whom), &place).unwrap(), Forgiven::Network(network));
        }
        for (whom, login) in [("alice", "alice@example.test"), ("bob@example.org", "bob@example.org")] {
            assert_eq!(whose(&options(whom), &place).unwrap(), Forgiven::Login(login.to_owned()));
        }
        assert!(whose(&options("192.0.2.1/24"), &place).is_err());
        let all = ClearOptions { whom: None, all: true, ..options("") };
        assert_eq!(whose(&all, &place).unwrap(), Forgiven::Everything);
    }
}
