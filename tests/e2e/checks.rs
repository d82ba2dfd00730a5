//! Mail from outside is checked, and comes in, is junk, or is refused, as the configuration says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::name_server::{Fault, NameServer, Zone};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::{Reply, Smtp};
use tempfile::TempDir;

/// Where other hosts are: the proxy in front of the server says so.
const RIGHT: &str = "198.51.100.1";
const WRONG: &str = "198.51.100.2";
const MESSAGE: &[u8] = b"Authentication-Results: mail.example.test; spf=pass smtp.mailfrom=forged\r\n\
    From: ann@sender.test\r\nSubject: hello\r\n\r\ntext\r\n";

struct World {
    server: Server,
    names: NameServer,
    _folder: TempDir,
}

fn world(checks: &str) -> World {
    let zones = [
        Zone::unsigned(
            "sender.test",
            "@ TXT \"v=spf1 ip4:198.51.100.1 -all exp=why.sender.test\"\nwhy TXT \"%{i} is not ours\"\nmx A 198.51.100.1",
        ),
        Zone::unsigned("example.test", "client A 198.51.100.1"),
        Zone::unsigned("silent.test", "@ MX 0 ."),
        Zone::unsigned("100.51.198.in-addr.arpa", "1 PTR mx.sender.test.\n2 PTR mx.sender.test."),
    ];
    let names = NameServer::start(&zones).unwrap();
    let folder = TempDir::new().unwrap();
    let tables = names.table(folder.path()).unwrap() + "\n[checks]\n" + checks + "\n";
    let smtp = "proxy_trusted = [\"127.0.0.1\"]";
    let server = Server::start(&Configuration { tables, smtp, ..Configuration::default() }).unwrap();
    World { server, names, _folder: folder }
}

impl World {
    /// A host at this address.
    fn host(&self, address: &str) -> Smtp {
        self.server.reception_of(address).unwrap()
    }

    fn sends(&self, address: &str, content: &[u8]) -> Reply {
        self.sends_as("ann@sender.test", address, content)
    }

    fn sends_as(&self, sender: &str, address: &str, content: &[u8]) -> Reply {
        let mut smtp = self.host(address);
        smtp.envelope(sender, &["bob@example.test"]).unwrap();
        smtp.data(content).unwrap()
    }

    /// What has come in first, without its unfolded lines.
    fn arrived(&self) -> String {
        let message = self.server.maildrop("bob").unwrap().retrieve(1).unwrap();
        String::from_utf8(message).unwrap().replace("\r\n\t", " ")
    }

    fn told(&self) -> String {
        self.server.mailstack(&["explain", "--to", "bob@example.test", "--since", "2h"], "").unwrap()
    }
}

#[test]
fn mail_is_marked_with_what_was_found_and_its_life_tells_it() {
    let world = world("");
    world.sends(RIGHT, MESSAGE).positive().unwrap();
    let message = world.arrived();
    let fields: Vec<_> = message.lines().filter(|line| line.contains("Authentication-Results:")).collect();
    let [field] = fields[..] else { panic!("{message}") };
    for part in [
        "iprev=pass reason=\"mx.sender.test\" policy.iprev=198.51.100.1",
        "spf=pass smtp.mailfrom=ann@sender.test",
    ] {
        assert!(field.contains(part), "{field}");
    }
    // RFC 8601 §4.1: above the Received field of the host that says so.
    assert!(
        message.find("Authentication-Results:").unwrap() < message.find("Received:").unwrap(),
        "{message}"
    );
    let told = world.told();
    assert!(told.contains("check  spf=pass smtp.mailfrom=ann@sender.test"), "{told}");
    assert!(world.server.log().contains("checked"), "{}", world.server.log());
}

#[test]
fn mail_that_fails_is_marked_only_unless_the_configuration_says_otherwise() {
    let world = world("");
    world.sends(WRONG, MESSAGE).positive().unwrap();
    let message = world.arrived();
    assert!(message.contains("iprev=fail policy.iprev=198.51.100.2"), "{message}");
    assert!(message.contains("spf=fail smtp.mailfrom=ann@sender.test"), "{message}");
}

#[test]
fn mail_that_fails_is_refused_or_junk_as_told() {
    let refusing = world("spf = \"refuse\"");
    let reply = refusing.sends(WRONG, MESSAGE);
    assert!(reply.text.starts_with("550-5.7.23 "), "{:?}", reply.text);
    assert!(
        reply.text.trim_end().ends_with("sender.test says: 198.51.100.2 is not ours"),
        "{:?}",
        reply.text
    );
    refusing.sends(RIGHT, MESSAGE).positive().unwrap();
    assert_eq!(refusing.server.maildrop("bob").unwrap().count().unwrap(), 1);

    let junking = world("iprev = \"junk\"");
    junking.sends(WRONG, MESSAGE).positive().unwrap();
    let message = junking.arrived();
    assert!(message.contains("X-Spam-Flag: YES"), "{message}");
    assert!(junking.told().contains("[checks] iprev = \"junk\": iprev=fail"), "{}", junking.told());

    let strict = world("iprev = \"refuse\"");
    let reply = strict.sends(WRONG, MESSAGE);
    assert!(reply.text.starts_with("550 5.7.25 "), "{:?}", reply.text);
}

#[test]
fn a_sender_whose_domain_takes_no_mail_is_marked_or_refused_as_told() {
    let marking = world("");
    marking.sends_as("ann@silent.test", RIGHT, MESSAGE).positive().unwrap();
    let message = marking.arrived();
    assert!(message.contains("x-null-mx=fail smtp.mailfrom=silent.test"), "{message}");
    assert!(marking.told().contains("check  x-null-mx=fail smtp.mailfrom=silent.test"), "{}", marking.told());

    let refusing = world("null_mx = \"refuse\"\ntemporary = \"put-off\"");
    let reply = refusing.sends_as("ann@silent.test", RIGHT, MESSAGE);
    assert!(reply.text.starts_with("550 5.7.27 "), "{:?}", reply.text);
    // Another domain takes mail, or says nothing of it, and reports are of no domain.
    refusing.sends(RIGHT, MESSAGE).positive().unwrap();
    refusing.sends_as("", RIGHT, MESSAGE).positive().unwrap();
    assert!(!refusing.arrived().contains("x-null-mx"), "{}", refusing.arrived());
    let later = world("null_mx = \"refuse\"\ntemporary = \"put-off\"");
    later.names.fail("silent.test", "MX", Fault::ServerFailure);
    let reply = later.sends_as("ann@silent.test", RIGHT, MESSAGE);
    assert!(reply.text.starts_with("451 4.4.3 "), "{:?}", reply.text);
}

#[test]
fn where_dns_does_not_answer_mail_comes_in_or_later() {
    let world = world("spf = \"refuse\"\ntemporary = \"put-off\"\nseconds = 2");
    world.names.fail("sender.test", "TXT", Fault::ServerFailure);
    let reply = world.sends(RIGHT, MESSAGE);
    assert!(reply.text.starts_with("451 4.7.24 "), "{:?}", reply.text);
    world.names.fail("sender.test", "TXT", Fault::Silence);
    let reply = world.sends(RIGHT, MESSAGE);
    assert!(reply.text.starts_with("451 4.7.24 "), "{:?}", reply.text);

    let lenient = self::world("spf = \"refuse\"");
    lenient.names.fail("sender.test", "TXT", Fault::ServerFailure);
    lenient.sends(RIGHT, MESSAGE).positive().unwrap();
    assert!(lenient.arrived().contains("spf=temperror"), "{}", lenient.arrived());
}

#[test]
fn nobody_at_home_is_checked() {
    let world = world("spf = \"refuse\"\niprev = \"refuse\"\nnetworks = [\"198.51.100.0/24\"]");
    world.sends(WRONG, MESSAGE).positive().unwrap();
    world.sends("127.0.0.1", MESSAGE).positive().unwrap();
    assert!(!world.arrived().contains("Authentication-Results"), "{}", world.arrived());
    assert_eq!(world.names.times_asked("sender.test", "TXT"), 0);
}
