//! Logging in by a client's certificate (EXTERNAL, RFC 4422 appendix A): Python's TLS against real processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use mailstack_tests::client_authority::ClientAuthority;
use mailstack_tests::clients::{Said, available, run};
use mailstack_tests::senders::{WAYS, Way};
use mailstack_tests::server::{Configuration, Server};
use tempfile::TempDir;

const EXTERNAL: &str = include_str!("external.py");
const PROTOCOLS: [&str; 2] = ["smtp", "pop3"];
/// Nothing, in base64 as it stands in an initial response (RFC 4954 §4, RFC 5034 §4).
const NOBODY: &str = "=";
const ALICE: &str = "YWxpY2VAZXhhbXBsZS50ZXN0";
const BOB: &str = "Ym9iQGV4YW1wbGUudGVzdA==";
const ALICES_JUNK: &str = "YWxpY2UranVua0BleGFtcGxlLnRlc3Q=";
/// No initial response.
const NONE: &str = "-";

/// A server and the authority that it takes the word of.
struct World {
    server: Server,
    folder: TempDir,
    clients: ClientAuthority,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::with_prefix("mailstack-test-clients-").unwrap();
        let clients = ClientAuthority::make(folder.path(), "clients").unwrap();
        let client_authority = Some(clients.file());
        let server = Server::start(&Configuration { client_authority, ..Configuration::default() }).unwrap();
        Self { server, folder, clients }
    }

    /// What the script says with a certificate, a version of TLS and an initial response.
    fn log_in(
        &self,
        way: Way,
        protocol: &str,
        certificate: Option<&Path>,
        [version, initial]: [&str; 2],
    ) -> Said {
        let addresses = self.server.addresses().unwrap();
        let (way, address) = match (way, protocol) {
            (Way::StartTls, "smtp") => ("starttls", addresses.submission),
            (Way::Tls, "smtp") => ("tls", addresses.submissions),
            (Way::StartTls, _) => ("starttls", addresses.pop3),
            (Way::Tls, _) => ("tls", addresses.pop3s),
        };
        let authority = self.server.certificate().authority.display().to_string();
        let certificate = certificate.map(|path| path.display().to_string()).unwrap_or_default();
        let port = address.port().to_string();
        let arguments = ["-c", EXTERNAL, &port, way, &authority, protocol, &certificate, version, initial];
        run("python3", &arguments, b"").unwrap()
    }

    /// Asserts what it says over both protocols and in both ways.
    fn says(&self, certificate: Option<&Path>, initial: &str, offered: &str, [smtp, pop3]: [&str; 2]) {
        for way in WAYS {
            for (protocol, reply) in PROTOCOLS.iter().zip([smtp, pop3]) {
                let said = self.log_in(way, protocol, certificate, ["TLSv1_3", initial]).well().unwrap();
                let expected = format!("{offered}\n{reply}");
                assert!(said.text().starts_with(&expected), "{initial} {protocol}: {}", said.text());
            }
        }
    }
}

const IN: [&str; 2] = ["235 2.7.0 ", "+OK "];
const WRONG: [&str; 2] = ["535 5.7.8 ", "-ERR [AUTH] "];

#[test]
fn a_certificate_logs_in_to_its_account_with_an_initial_response_and_without() {
    if !available("python3").unwrap() {
        return;
    }
    let world = World::new();
    let alice = world.clients.sign(&["alice@example.test"]).unwrap();
    for initial in [NOBODY, NONE, ALICE] {
        world.says(Some(&alice), initial, "offered", IN);
    }
    for (protocol, reply) in PROTOCOLS.iter().zip(IN) {
        let said = world.log_in(Way::Tls, protocol, Some(&alice), ["TLSv1_2", NOBODY]).well().unwrap();
        assert!(said.text().starts_with(&format!("offered\n{reply}")), "{}", said.text());
    }
}

#[test]
fn a_certificate_logs_in_to_no_other_account() {
    if !available("python3").unwrap() {
        return;
    }
    let world = World::new();
    let alice = world.clients.sign(&["alice@example.test"]).unwrap();
    world.says(Some(&alice), BOB, "offered", WRONG);
    let both = world.clients.sign(&["alice@example.test", "bob@example.test"]).unwrap();
    world.says(Some(&both), BOB, "offered", IN);
    let nobody = world.clients.sign(&["nobody@example.test"]).unwrap();
    world.says(Some(&nobody), NOBODY, "offered", WRONG);
}

#[test]
fn a_certificate_opens_the_maildrops_of_its_account() {
    if !available("python3").unwrap() {
        return;
    }
    let world = World::new();
    let alice = world.clients.sign(&["alice@example.test"]).unwrap();
    world.says(Some(&alice), ALICES_JUNK, "offered", WRONG);
    world.server.mailstack(&["account", "subaddress", "add", "alice@example.test", "junk"], "").unwrap();
    world.says(Some(&alice), ALICES_JUNK, "offered", IN);
    // Whoever has signed this one may know of no alice.
    let junk = world.clients.sign(&["alice+junk@example.test"]).unwrap();
    world.says(Some(&junk), NOBODY, "offered", WRONG);
}

#[test]
fn whoever_has_no_certificate_with_a_mailbox_is_not_offered_the_mechanism() {
    if !available("python3").unwrap() {
        return;
    }
    let world = World::new();
    let unknown = ["504 5.5.4 ", "-ERR "];
    world.says(None, NOBODY, "not offered", unknown);
    let without_mailbox = world.clients.sign(&[]).unwrap();
    world.says(Some(&without_mailbox), NOBODY, "not offered", unknown);
}

#[test]
fn a_certificate_by_another_authority_is_refused_before_anything_is_said() {
    if !available("python3").unwrap() {
        return;
    }
    let world = World::new();
    let others = ClientAuthority::make(world.folder.path(), "others").unwrap();
    let alice = others.sign(&["alice@example.test"]).unwrap();
    for way in WAYS {
        for protocol in PROTOCOLS {
            let said = world.log_in(way, protocol, Some(&alice), ["TLSv1_3", NOBODY]);
            assert!(!said.success && !said.text().contains("offered\n"), "{}", said.text());
        }
    }
}
