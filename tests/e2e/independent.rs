//! SPF and DMARC: what is found here is what programs of others find, pyspf and authheaders, also over the published suite.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use mailstack_tests::clients::{run, skipped};
use mailstack_tests::name_server::{NameServer, Zone};
use mailstack_tests::server::{Configuration, Server};
use serde_json::Value;
use tempfile::TempDir;

const ASKED: &str = include_str!("independent.py");
/// Where Debian's packages of Python modules are, whichever Python is the first in PATH.
const PYTHON: &str = "/usr/bin/python3";
/// Where mail comes from.
const HOST: &str = "198.51.100.1";

/// What the others say, line by line; `None` where they are not there.
fn said() -> Option<Vec<Value>> {
    if !run(PYTHON, &["-c", "import spf, authheaders"], b"").unwrap().success {
        skipped("python3-spf and python3-authheaders are not installed").unwrap();
        return None;
    }
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../smtpd/tests/data/spf/rfc7208-tests.json");
    let said = run(PYTHON, &["-W", "ignore", "-c", ASKED, HOST, suite.to_str().unwrap()], b"").unwrap();
    Some(said.well().unwrap().text().lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What stands for a method in the field of results.
fn found<'a>(message: &'a str, begin: &str) -> Option<&'a str> {
    let field =
        message.lines().find_map(|line| line.strip_prefix("Authentication-Results: mail.example.test;"))?;
    let result = field.split("; ").find_map(|result| result.trim().strip_prefix(begin))?;
    result.split(' ').next()
}

#[test]
fn spf_and_dmarc_come_to_the_same_here_and_in_independent_programs() {
    let Some(said) = said() else { return };
    let [zones, mail @ .., suite] = said.as_slice() else { panic!("nothing was said") };
    for (case, said) in suite.as_object().unwrap() {
        let expected = said["expected"].as_array().unwrap();
        assert!(expected.contains(&said["pyspf"]), "{case}: {said}");
    }
    assert_eq!(suite.as_object().unwrap().len(), 203);

    let zones: Vec<_> = zones.as_object().unwrap().iter().collect();
    let zones: Vec<_> =
        zones.iter().map(|(origin, text)| Zone::unsigned(origin, text.as_str().unwrap())).collect();
    let names = NameServer::start(&zones).unwrap();
    let folder = TempDir::new().unwrap();
    let tables = names.table(folder.path()).unwrap() + "\n[checks]\n";
    let configuration = Configuration {
        tables,
        smtp: "proxy_trusted = [\"127.0.0.1\"]",
        guard: "address_messages_per_minute = 0",
        ..Configuration::default()
    };
    let server = Server::start(&configuration).unwrap();
    let mut host = server.reception_of(HOST).unwrap();
    for case in mail {
        host.envelope(case["sender"].as_str().unwrap(), &["bob@example.test"]).unwrap();
        let content = format!("From: {}\r\n\r\ntext\r\n", case["author"].as_str().unwrap());
        host.data(content.as_bytes()).unwrap().positive().unwrap();
    }
    let mut maildrop = server.maildrop("bob").unwrap();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (number, case) in (1..).zip(mail) {
        let message = String::from_utf8(maildrop.retrieve(number).unwrap()).unwrap().replace("\r\n\t", " ");
        let sender = case["sender"].as_str().unwrap();
        let field = message.lines().find(|line| line.starts_with("Authentication-Results: ")).unwrap();
        let spf = field.split("; ").find(|part| part.contains(&format!("smtp.mailfrom={sender}"))).unwrap();
        let spf = spf.trim().strip_prefix("spf=").unwrap().split(' ').next();
        let here = (spf, found(&message, "dmarc="));
        if here != (case["spf"].as_str(), case["dmarc"].as_str()) {
            wrong.push(format!("{case}, but here {field}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
