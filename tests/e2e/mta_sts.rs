//! Mail goes to domains with an MTA-STS policy (RFC 8461) as that says, or waits, also after a restart.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use mailstack_tests::certificate::Certificate;
use mailstack_tests::deadline::wait_for;
use mailstack_tests::name_server::{NameServer, Zone};
use mailstack_tests::policy_host::PolicyHost;
use mailstack_tests::postfix::{self, Postfix, Tls};
use mailstack_tests::server::{Configuration, Server};
use tempfile::TempDir;

/// Where Postfix takes mail: the server under test has 127.0.0.1, and sends nothing to itself.
const POSTFIX: &str = "127.0.0.2";
const DOMAIN: &str = "elsewhere.test";
const RIGHT: &str = "mx.elsewhere.test";
const POLICY: &str = "version: STSv1\nmode: enforce\nmx: mx.elsewhere.test\nmax_age: 604800\n";

/// A domain, its host of policies, its mail server, and the server under test.
struct World {
    server: Server,
    configuration: Configuration,
    policies: PolicyHost,
    names: NameServer,
    postfix: Postfix,
    _folder: TempDir,
}

/// A certificate for this host that is its own authority.
fn certificate(folder: &Path, host: &str, trust: Certificate) -> Certificate {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let (chain, key) = (folder.join("mx.pem"), folder.join("mx-key.pem"));
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Certificate { authority: chain.clone(), chain, key, ..trust }
}

fn world(policy: &str, host: &str, tls: Tls) -> World {
    let port = TcpListener::bind((POSTFIX, 0)).unwrap().local_addr().unwrap().port();
    let folder = TempDir::new().unwrap();
    let certificate = certificate(folder.path(), host, Certificate::make(folder.path()).unwrap());
    let zone = format!("@ MX 10 mx\nmx A {POSTFIX}\nmta-sts A 127.0.0.1\n_mta-sts TXT \"v=STSv1; id=1;\"");
    let names = NameServer::start(&[Zone::unsigned(DOMAIN, &zone)]).unwrap();
    let policies = PolicyHost::start(&[DOMAIN]).unwrap();
    policies.set(DOMAIN, policy);
    let authority = certificate.authority.display();
    let configuration = Configuration {
        relay: format!("retry_seconds = 1\nretry_seconds_max = 1\nport = {port}\nca_file = \"{authority}\""),
        tables: names.table(folder.path()).unwrap()
            + &policies.table(folder.path(), "pause_seconds = 0").unwrap(),
        ..Configuration::default()
    };
    let server = Server::start(&configuration).unwrap();
    let transport = format!("lmtp:inet:{}", server.addresses().unwrap().lmtp);
    let postfix = Postfix::elsewhere((POSTFIX, port), &transport, tls, &certificate).unwrap();
    World { server, configuration, policies, names, postfix, _folder: folder }
}

impl World {
    fn send(&self) {
        self.send_with("", "Subject: hello\r\n");
    }

    /// With these parameters of MAIL and these fields.
    fn send_with(&self, parameters: &str, fields: &str) {
        let mut smtp = self.server.submission("alice").unwrap();
        smtp.ask(&format!("MAIL FROM:<alice@example.test>{parameters}")).unwrap().positive().unwrap();
        smtp.ask("RCPT TO:<bob@elsewhere.test>").unwrap().positive().unwrap();
        smtp.data(format!("{fields}\r\ntext\r\n").as_bytes()).unwrap().positive().unwrap();
        smtp.quit().unwrap();
    }

    fn arrives(&self) {
        let arrived = wait_for("mail to arrive", || {
            Ok(Some(self.server.maildrop("bob")?.count()?).filter(|count| *count > 0))
        });
        assert!(arrived.is_ok(), "{}\n{}", self.postfix.log(), self.server.log());
    }

    fn waits_for(&self, reason: &str) {
        let said = wait_for("the reason", || {
            let said = self.server.mailstack(&["queue", "list", "--json"], "")?;
            Ok(said.contains(reason).then_some(said))
        });
        assert!(said.is_ok(), "{reason}: {}\n{}", self.postfix.log(), self.server.log());
        assert_eq!(self.server.maildrop("bob").unwrap().count().unwrap(), 0);
    }
}

#[test]
fn a_policy_that_is_enforced_stops_mail_to_whoever_does_not_fulfil_it() {
    if !postfix::available().unwrap() {
        return;
    }
    let right = world(POLICY, RIGHT, Tls::Offered);
    right.send();
    right.arrives();
    assert_eq!(right.policies.times_asked(DOMAIN), 1);
    for (policy, host, tls, reason) in [
        (POLICY.to_owned(), "other.elsewhere.test", Tls::Offered, "certificate"),
        // Somebody between takes the offer of STARTTLS away.
        (POLICY.to_owned(), RIGHT, Tls::Missing, "does not offer STARTTLS"),
        (POLICY.replace("mx: mx", "mx: other"), RIGHT, Tls::Offered, "does not name that host"),
    ] {
        let world = world(&policy, host, tls);
        world.send();
        world.waits_for(reason);
    }
}

/// RFC 8689 §4.2.2, and §4.1 for the one that asks for both.
#[test]
fn mail_that_says_that_it_needs_no_tls_is_stopped_by_no_policy() {
    if !postfix::available().unwrap() {
        return;
    }
    let world = world(POLICY, "other.elsewhere.test", Tls::Offered);
    world.send();
    world.waits_for("certificate");
    world.send_with(" REQUIRETLS", "TLS-Required: No\r\nMessage-ID: <both@example.test>\r\n");
    world.send_with("", "TLS-Required: No\r\nMessage-ID: <open@example.test>\r\n");
    world.arrives();
    for (id, expected) in [
        ("open@example.test", "what domains promise about TLS holds nothing up"),
        ("both@example.test", "No, which does not count beside REQUIRETLS"),
    ] {
        let told = world.server.mailstack(&["explain", id], "").unwrap();
        assert!(told.contains(expected) && told.contains("tls-required"), "{told}");
    }
    let queue = world.server.mailstack(&["queue", "list", "--to", "bob@elsewhere.test"], "").unwrap();
    assert_eq!(
        (queue.lines().count(), world.server.maildrop("bob").unwrap().count().unwrap()),
        (2, 1),
        "{queue}"
    );
}

#[test]
fn a_policy_that_is_tested_stops_nothing() {
    if !postfix::available().unwrap() {
        return;
    }
    let world = world(&POLICY.replace("enforce", "testing"), "other.elsewhere.test", Tls::Offered);
    world.send();
    world.arrives();
}

#[test]
fn a_policy_holds_after_a_restart_though_it_is_hidden_then() {
    if !postfix::available().unwrap() {
        return;
    }
    let mut world = world(POLICY, "other.elsewhere.test", Tls::Offered);
    world.send();
    world.waits_for("certificate");
    // Whoever could show that certificate hides the policy as well.
    world.policies.answer(DOMAIN, 503, "text/plain", "");
    let hidden = format!("@ MX 10 mx\nmx A {POSTFIX}");
    world.names.set(Zone::unsigned(DOMAIN, &hidden)).unwrap();
    world.server.terminate().unwrap();
    world.server.ended().unwrap();
    world.server.run(&world.configuration).unwrap();
    world.server.mailstack(&["queue", "retry", "--all"], "").unwrap();
    world.send();
    let tried = wait_for("another attempt", || {
        Ok(world
            .server
            .log()
            .rsplit("serving reception")
            .next()
            .unwrap_or_default()
            .contains("certificate")
            .then_some(()))
    });
    assert!(tried.is_ok(), "{}", world.server.log());
    world.waits_for("certificate");
}
