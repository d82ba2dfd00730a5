//! Domains that ask for it are told how TLS with their hosts went (RFC 8460), whatever is wrong with it, in signed messages
//! that another program reads.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use mailstack_tests::certificate::Certificate;
use mailstack_tests::clients::{available, run, skipped};
use mailstack_tests::deadline::wait_for;
use mailstack_tests::name_server::{NameServer, Zone};
use mailstack_tests::policy_host::PolicyHost;
use mailstack_tests::postfix::{self, Postfix, Tls};
use mailstack_tests::server::{Configuration, Server};
use serde_json::Value;
use tempfile::TempDir;

/// Reads a report; its head says how.
const READER: &str = include_str!("reports.py");
/// Checks signatures.
const CHECKER: &str = include_str!("dkim.py");
/// Where Debian's packages of Python modules are, whichever Python is the first in PATH.
const PYTHON: &str = "/usr/bin/python3";
/// Where Postfix takes mail: the server under test has 127.0.0.1, and sends nothing to itself.
const POSTFIX: &str = "127.0.0.2";
const DOMAIN: &str = "elsewhere.test";
const DOMAIN_HERE: &str = "example.test";
const POLICY: &str = "version: STSv1\nmode: enforce\nmx: mx.elsewhere.test\nmax_age: 604800\n";

/// A domain that asks for reports, its host of policies, its mail server, and the server under test.
struct World {
    server: Server,
    configuration: Configuration,
    postfix: Postfix,
    _policies: PolicyHost,
    _names: NameServer,
    folder: TempDir,
}

/// A certificate for this host that is its own authority.
fn certificate(folder: &Path, host: &str, trust: Certificate) -> Certificate {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let (chain, key) = (folder.join("mx.pem"), folder.join("mx-key.pem"));
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Certificate { authority: chain.clone(), chain, key, ..trust }
}

fn world(policy: &str, host: &str) -> World {
    let port = TcpListener::bind((POSTFIX, 0)).unwrap().local_addr().unwrap().port();
    let folder = TempDir::new().unwrap();
    let certificate = certificate(folder.path(), host, Certificate::make(folder.path()).unwrap());
    let zone = format!(
        "@ MX 10 mx\nmx A {POSTFIX}\nmta-sts A 127.0.0.1\n_mta-sts TXT \"v=STSv1; id=1;\"\n\
         _smtp._tls TXT \"v=TLSRPTv1; rua=mailto:bob@elsewhere.test\""
    );
    let names = NameServer::start(&[Zone::unsigned(DOMAIN, &zone)]).unwrap();
    let policies = PolicyHost::start(&[DOMAIN]).unwrap();
    policies.set(DOMAIN, policy);
    let (authority, keys) = (certificate.authority.display(), folder.path().join("dkim"));
    let configuration = Configuration {
        relay: format!("retry_seconds = 1\nretry_seconds_max = 1\nport = {port}\nca_file = \"{authority}\""),
        tables: names.table(folder.path()).unwrap()
            + &policies.table(folder.path(), "pause_seconds = 0").unwrap()
            + &format!(
                "\n[dkim]\nkeys = \"{}\"\n[reports]\ntls = true\norganization = \"Example\"\n",
                keys.display()
            ),
        ..Configuration::default()
    };
    let server = Server::start(&configuration).unwrap();
    let transport = format!("lmtp:inet:{}", server.addresses().unwrap().lmtp);
    let postfix = Postfix::elsewhere((POSTFIX, port), &transport, Tls::Offered, &certificate).unwrap();
    World { server, configuration, postfix, _policies: policies, _names: names, folder }
}

impl World {
    fn send(&self) {
        let mut smtp = self.server.submission("alice").unwrap();
        smtp.envelope("alice@example.test", &["bob@elsewhere.test"]).unwrap();
        smtp.data(b"Subject: hello\r\n\r\ntext\r\n").unwrap().positive().unwrap();
        smtp.quit().unwrap();
    }

    /// The message in bob's maildrop.
    fn arrived(&self) -> String {
        let arrived = wait_for("mail to arrive", || {
            let mut maildrop = self.server.maildrop("bob")?;
            Ok(if maildrop.count()? > 0 { Some(maildrop.retrieve(1)?) } else { None })
        });
        assert!(arrived.is_ok(), "{}\n{}", self.postfix.log(), self.server.log());
        String::from_utf8(arrived.unwrap()).unwrap()
    }

    /// What is collected, as soon as there is anything.
    fn listed(&self) -> Value {
        let listed = wait_for("sessions to be counted", || {
            let said = self.server.mailstack(&["reports", "list", "--json"], "")?;
            Ok(said.lines().next().map(str::to_owned))
        });
        serde_json::from_str(&listed.unwrap()).unwrap()
    }

    /// Signs from now on; gives the file with the record of the key.
    fn signs(&self) -> String {
        let make = ["dkim", "make", DOMAIN_HERE, "--kind", "ed25519", "--selector", "one"];
        self.server.mailstack(&make, "").unwrap();
        self.server.mailstack(&["dkim", "use", DOMAIN_HERE, "--unchecked", "one"], "").unwrap();
        let zone = self.server.mailstack(&["dkim", "show", DOMAIN_HERE], "").unwrap();
        let file = self.folder.path().join("zone");
        fs::write(&file, zone).unwrap();
        file.display().to_string()
    }
}

fn python(arguments: &[&str], message: &str) -> String {
    String::from_utf8(run(PYTHON, arguments, message.as_bytes()).unwrap().well().unwrap().output).unwrap()
}

#[test]
fn a_domain_hears_that_its_policy_keeps_mail_back_though_that_keeps_mail_back() {
    if !postfix::available().unwrap() || !available("dkimverify").unwrap() {
        return;
    }
    if !run(PYTHON, &["-c", "import nacl"], b"").unwrap().success {
        return skipped("python3-nacl is not installed").unwrap();
    }
    let world = world(POLICY, "other.elsewhere.test");
    let zone = world.signs();
    world.send();
    let listed = world.listed();
    assert!(
        listed["domain"] == DOMAIN && listed["kind"] == "tls" && listed["count"].as_u64().unwrap() >= 1,
        "{listed}"
    );
    let shown = world.server.mailstack(&["reports", "show", DOMAIN], "").unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["policies"][0]["failure-details"][0]["result-type"], "certificate-host-mismatch");

    let said = world.server.mailstack(&["reports", "send"], "").unwrap();
    assert_eq!(said, "there is nothing to send\n", "the day is not over");
    let said = world.server.mailstack(&["reports", "send", DOMAIN, "--unfinished"], "").unwrap();
    assert!(said.ends_with("elsewhere.test: sent to bob@elsewhere.test\n"), "{said}");
    let message = world.arrived();
    assert_eq!(python(&["-c", CHECKER, &zone], &message).trim(), "1", "{message}");
    let told: Value = serde_json::from_str(&python(&["-c", READER], &message)).unwrap();
    for (name, value) in [
        ("media type", "multipart/report"),
        ("report-type", "tlsrpt"),
        ("attachment", "application/tlsrpt+gzip"),
        ("tls-report-domain", DOMAIN),
        ("tls-report-submitter", "mail.example.test"),
        ("from", "Example <postmaster@example.test>"),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    let report = &told["report"];
    let subject = format!(
        "Report Domain: elsewhere.test Submitter: mail.example.test Report-ID: <{}>",
        report["report-id"].as_str().unwrap()
    );
    assert_eq!(told["subject"], subject);
    assert!(told["file name"].as_str().unwrap().starts_with("mail.example.test!elsewhere.test!"), "{told}");
    let policy = &report["policies"][0];
    assert_eq!(policy["policy"]["policy-type"], "sts");
    assert_eq!(policy["policy"]["policy-string"][1], "mode: enforce");
    assert_eq!(policy["policy"]["mx-host"][0], "mx.elsewhere.test");
    assert_eq!(policy["summary"]["total-successful-session-count"], 0);
    let failure = &policy["failure-details"][0];
    assert_eq!(failure["receiving-mx-hostname"], "mx.elsewhere.test");
    assert_eq!(failure["receiving-ip"], POSTFIX);
    assert_eq!(failure["sending-mta-ip"], "127.0.0.1");
    // How the report itself was sent is not counted; the message still waits.
    assert_eq!(world.server.maildrop("bob").unwrap().count().unwrap(), 1);
}

#[test]
fn sessions_that_go_well_are_counted_over_a_restart_and_a_policy_that_is_tested_tells_what_it_would_keep_back()
 {
    if !postfix::available().unwrap() {
        return;
    }
    let testing = POLICY.replace("enforce", "testing");
    for (policy, host, expected) in [
        (POLICY, "mx.elsewhere.test", (1, 0, Value::Null)),
        (&testing, "other.elsewhere.test", (0, 1, "certificate-host-mismatch".into())),
        (&testing, "mx.elsewhere.test", (1, 0, Value::Null)),
    ] {
        let mut world = world(policy, host);
        world.send();
        world.arrived();
        world.listed();
        // What was counted survives.
        world.server.terminate().unwrap();
        world.server.ended().unwrap();
        world.server.run(&world.configuration).unwrap();
        let shown = world.server.mailstack(&["reports", "show", DOMAIN, "--kind", "tls"], "").unwrap();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let policy = &shown["policies"][0];
        let summary = &policy["summary"];
        assert_eq!(
            (
                summary["total-successful-session-count"].as_u64().unwrap(),
                summary["total-failure-session-count"].as_u64().unwrap(),
                policy["failure-details"][0]["result-type"].clone(),
            ),
            expected,
            "{shown}\n{}",
            world.server.log()
        );
    }
}
