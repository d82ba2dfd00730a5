//! `mailstack route`: where mail for a domain goes to, asked of DNS now, as the relay asks.

use std::error::Error;
use std::net::IpAddr;

use mailwire::address::{AddressError, Domain, Mailbox};
use smtpd::relay::names::{Exchanger, Names, NoRoute, Promise};
use thiserror::Error;

use crate::arguments::RouteOptions;
use crate::names::names;
use crate::output::Output;

/// Where servers take mail from each other.
const SMTP_PORT: u16 = 25;

/// Why the exit status is not 0.
#[derive(Debug, Error)]
#[error("mail for {0} has nowhere to go")]
struct Nowhere(String);

/// Does what the options say.
pub(crate) async fn run(options: &RouteOptions, output: &Output) -> Result<(), Box<dyn Error>> {
    let names = names(options.config.as_deref())?;
    let mut nowhere = Vec::new();
    for text in &options.domains {
        let domain = domain(text)?;
        output.line(&domain.to_string());
        let hosts = hosts(&names, &domain).await;
        if !hosts.iter().any(Result::is_ok) {
            nowhere.push(domain.to_string());
        }
        for Ok(host) | Err(host) in hosts {
            output.line(&format!("  {host}"));
        }
    }
    if nowhere.is_empty() { Ok(()) } else { Err(Nowhere(nowhere.join(", ")).into()) }
}

/// A line for each host that mail for a domain goes to, in the order in which they are tried: wrong where mail cannot go there.
pub(crate) async fn hosts(names: &Names, domain: &Domain) -> Vec<Result<String, String>> {
    let exchangers = match names.exchangers(domain).await {
        Ok(exchangers) => exchangers,
        Err(no_route) => return vec![Err(why(&no_route))],
    };
    let mut hosts = Vec::new();
    for exchanger in &exchangers {
        hosts.push(line(exchanger, reach(names, domain, exchanger).await));
    }
    hosts
}

fn domain(text: &str) -> Result<Domain, AddressError> {
    if text.contains('@') {
        Mailbox::parse(text).map(|mailbox| mailbox.domain().clone())
    } else {
        Domain::parse(text)
    }
}

/// A host's addresses, and what its domain promises about TLS with it.
async fn reach(
    names: &Names,
    domain: &Domain,
    exchanger: &Exchanger,
) -> Result<(Vec<IpAddr>, Promise), NoRoute> {
    let addresses = names.addresses(&exchanger.host).await?;
    let promise = names.promise(domain, exchanger, &addresses, SMTP_PORT).await?;
    Ok((addresses.addresses, promise))
}

fn line(exchanger: &Exchanger, found: Result<(Vec<IpAddr>, Promise), NoRoute>) -> Result<String, String> {
    let Exchanger { host, preference, secure, .. } = exchanger;
    let whether = if *secure { " (DNSSEC)" } else { "" };
    match found {
        Ok((addresses, promise)) => {
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            let tls = match promise {
                Promise::Nothing => "TLS where it is offered".to_owned(),
                Promise::Testing => format!("TLS where it is offered ({})", promise.word()),
                Promise::Encryption | Promise::Dane(_) | Promise::MtaSts => {
                    format!("TLS is a must: {}", promise.word())
                }
            };
            Ok(format!("{preference} {host}{whether}: {}; {tls}", addresses.join(", ")))
        }
        Err(no_route) => Err(format!("{preference} {host}{whether}: {}", why(&no_route))),
    }
}

fn why(no_route: &NoRoute) -> String {
    let when = if no_route.is_permanent() { "" } else { "; mail for it waits" };
    format!("{} {no_route}{when}", no_route.enhanced())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mailstack_tests::name_server::{NameServer, Zone};

    use super::*;
    use crate::output::tests::Printed;

    const ZONE: &str = "
@     MX 20 second
@     MX 10 first
first A 192.0.2.1
_25._tcp.first TLSA 3 1 1 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
null  MX 0 .
self  MX 10 mail.here.test.
";

    #[tokio::test]
    async fn it_shows_where_mail_goes_to_and_where_not() {
        let server = NameServer::start(&[Zone::signed("there.test", ZONE)]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("mailstack.toml");
        let table = server.table(folder.path()).unwrap();
        let text = format!(
            "version = 1\n[server]\nhostname = \"mail.here.test\"\ndomains = [\"here.test\"]\n{table}"
        );
        fs::write(&config, text).unwrap();
        let show = async |domains: &[&str]| {
            let printed = Printed::default();
            let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
            let options = RouteOptions { domains, config: Some(config.clone()) };
            let outcome = run(&options, &printed.output()).await.map_err(|error| error.to_string());
            (outcome, printed.text())
        };

        let (outcome, text) = show(&["bob@there.test"]).await;
        outcome.unwrap();
        assert_eq!(
            text,
            "there.test\n  10 first.there.test (DNSSEC): 192.0.2.1; TLS is a must: DANE\n  20 second.there.test (DNSSEC): 5.1.2 \
             there is no domain or host second.there.test: check how it is spelt\n"
        );
        let (outcome, text) = show(&["null.there.test", "self.there.test", "[192.0.2.7]"]).await;
        assert_eq!(outcome.unwrap_err(), "mail for null.there.test, self.there.test has nowhere to go");
        for part in [
            "  5.1.10 null.there.test does not accept mail",
            "  5.4.6 ",
            "  0 [192.0.2.7]: 192.0.2.7; TLS where it is offered\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
