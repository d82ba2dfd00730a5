//! Messages that another program, dkimpy, has signed and sealed are found as right or wrong here as they are there.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mailstack_tests::clients::{available, run, skipped};
use mailstack_tests::name_server::{NameServer, Zone};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::{Reply, Smtp};
use serde_json::Value;
use tempfile::TempDir;

const SIGNER: &str = include_str!("signed.py");
/// Where Debian's packages of Python modules are, whichever Python is the first in PATH.
const PYTHON: &str = "/usr/bin/python3";
/// Where mail comes from; no SPF record knows it.
const HOST: &str = "198.51.100.1";

/// What dkimpy has made; `None` where it is not there.
fn made() -> Option<(Value, Vec<Value>)> {
    if !available("dkimverify").unwrap() || !available("openssl").unwrap() {
        return None;
    }
    if !run(PYTHON, &["-c", "import nacl"], b"").unwrap().success {
        skipped("python3-nacl is not installed").unwrap();
        return None;
    }
    let said = run(PYTHON, &["-c", SIGNER], b"").unwrap().well().unwrap().text();
    let mut lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
    Some((lines.next().unwrap(), lines.collect()))
}

struct World {
    server: Server,
    _names: NameServer,
    _folder: TempDir,
}

fn world(records: &Value, checks: &str) -> World {
    let zone = |origin: &str, begin: &str| {
        let mut zone = begin.to_owned();
        for (name, text) in records["records"].as_object().unwrap() {
            let Some(name) = name.strip_suffix(&format!(".{origin}")) else { continue };
            let (begin, end) = text.as_str().unwrap().split_at(text.as_str().unwrap().len().min(200));
            writeln!(zone, "{name} TXT \"{begin}\" \"{end}\"").unwrap();
        }
        Zone::unsigned(origin, &zone)
    };
    let zones = [
        zone("sender.test", "_dmarc TXT \"v=DMARC1; p=reject\"\n"),
        zone("lists.test", ""),
        Zone::unsigned("example.test", "client A 198.51.100.1"),
        Zone::unsigned("100.51.198.in-addr.arpa", "1 PTR client.example.test."),
        Zone::unsigned("test", "nothing A 192.0.2.1"),
    ];
    let names = NameServer::start(&zones).unwrap();
    let folder = TempDir::new().unwrap();
    let tables = names.table(folder.path()).unwrap() + "\n[checks]\n" + checks + "\n";
    let smtp = "proxy_trusted = [\"127.0.0.1\"]";
    let guard = "address_messages_per_minute = 0";
    let server = Server::start(&Configuration { tables, smtp, guard, ..Configuration::default() }).unwrap();
    World { server, _names: names, _folder: folder }
}

impl World {
    fn host(&self) -> Smtp {
        self.server.reception_of(HOST).unwrap()
    }
}

fn sends(host: &mut Smtp, message: &Value) -> Reply {
    host.envelope("ann@sender.test", &["bob@example.test"]).unwrap();
    host.data(&BASE64_STANDARD.decode(message["message"].as_str().unwrap()).unwrap()).unwrap()
}

/// What stands for a method in the only field of results.
fn results<'a>(message: &'a str, method: &str) -> Vec<&'a str> {
    let field = message
        .lines()
        .find_map(|line| line.strip_prefix("Authentication-Results: mail.example.test;"))
        .unwrap();
    field.split("; ").filter_map(|result| result.trim().strip_prefix(method)?.strip_prefix('=')).collect()
}

#[test]
fn what_dkimpy_finds_right_is_right_and_nothing_else_is() {
    let Some((records, messages)) = made() else { return };
    let world = world(&records, "");
    let mut host = world.host();
    for message in &messages {
        sends(&mut host, message).positive().unwrap();
    }
    let mut maildrop = world.server.maildrop("bob").unwrap();
    let (mut right, mut chains) = (0, 0);
    for (number, message) in (1..).zip(&messages) {
        let what = message["what"].as_str().unwrap();
        let arrived = String::from_utf8(maildrop.retrieve(number).unwrap()).unwrap().replace("\r\n\t", " ");
        let dkim = results(&arrived, "dkim");
        let is_right = dkim.first().unwrap().starts_with("pass");
        match message["right"].as_bool() {
            None => assert_eq!(dkim, ["none"], "{what}"),
            // RFC 6376 §3.6.1: keys that are for something else. dkimpy does not look at it.
            Some(_) if what == "the key web" || what == "the key old" => {
                assert!(dkim[0].starts_with("policy"), "{what}: {dkim:?}");
            }
            Some(expected) => assert_eq!(is_right, expected, "{what}: {dkim:?}"),
        }
        let dmarc = results(&arrived, "dmarc");
        assert_eq!(dmarc.first().unwrap().starts_with("pass"), is_right, "{what}: {dmarc:?}");
        let arc = results(&arrived, "arc");
        assert_eq!(arc.first().unwrap().split(' ').next(), message["chain"].as_str(), "{what}: {arc:?}");
        right += usize::from(is_right);
        chains += usize::from(arc[0].starts_with("pass"));
    }
    assert!(right > 50 && chains >= 3, "{right} are right, {chains} chains hold, of {}", messages.len());
}

#[test]
fn what_the_owner_of_a_domain_wants_refused_is_refused_unless_who_is_trusted_has_sealed_it() {
    let Some((records, messages)) = made() else { return };
    let find = |what: &str| messages.iter().find(|message| message["what"] == what).unwrap();
    let refusing = world(&records, "dmarc = \"refuse\"");
    let mut host = refusing.host();
    sends(&mut host, find("sealed")).positive().unwrap();
    for what in ["another body", "changed, then sealed", "no signature"] {
        let reply = sends(&mut host, find(what));
        assert!(reply.text.starts_with("550 5.7.26 "), "{what}: {}", reply.text);
    }
    let trusting = world(&records, "dmarc = \"refuse\"\ntrusted_sealers = [\"lists.test\"]");
    let mut host = trusting.host();
    sends(&mut host, find("changed, then sealed")).positive().unwrap();
    assert!(sends(&mut host, find("sealed, then changed")).text.starts_with("550 5.7.26 "));
    let strict = world(&records, "dkim = \"refuse\"\narc = \"refuse\"");
    let mut host = strict.host();
    assert!(sends(&mut host, find("another body")).text.starts_with("550 5.7.20 "));
    let reply = sends(&mut host, find("other results"));
    assert!(reply.text.starts_with("550 5.7.29 "), "{}", reply.text);
}
