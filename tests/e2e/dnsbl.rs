//! Strangers whom lists in DNS have (RFC 5782) are refused, marked or let in, and a list that fails keeps nobody out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::name_server::{Fault, NameServer, Zone};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::{Reply, Smtp};
use tempfile::TempDir;

/// Lists of addresses and domains as their providers run them.
const ZONE: &str = "1.2.0.192.bl A 127.0.0.2\n1.2.0.192.bl TXT \"see https://bl.test/192.0.2.1\"\n\
    b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl A 127.0.0.2\n\
    3.2.0.192.bl A 127.0.0.9\n4.2.0.192.bl A 127.255.255.254\n5.2.0.192.bl A 127.0.0.2\n\
    5.2.0.192.wl A 127.0.10.3\nbad.example.dbl A 127.0.1.2\nhello.example.dbl A 127.0.1.2\n6.2.0.192.grey A 127.0.0.2";
const LISTS: &str = "[dnsbl]\nseconds = 2\ntrusted = [\"192.0.2.128/25\"]\n\
    [[dnsbl.lists]]\nzone = \"bl.lists.test\"\nname = \"bl.test\"\nanswers = [\"127.0.0.2-7\"]\naction = \"refuse\"\n\
    [[dnsbl.lists]]\nzone = \"wl.lists.test\"\nanswers = [\"127.0.*.1-3\"]\naction = \"allow\"\n\
    [[dnsbl.lists]]\nzone = \"grey.lists.test\"\naction = \"mark\"\n\
    [[dnsbl.lists]]\nzone = \"dbl.lists.test\"\nabout = \"domain\"\naction = \"refuse\"\n";

/// A server behind a proxy that says who its clients are, and its name server.
struct World {
    server: Server,
    names: NameServer,
    _folder: TempDir,
}

fn world() -> World {
    let folder = TempDir::new().unwrap();
    let names = NameServer::start(&[Zone::unsigned("lists.test", ZONE)]).unwrap();
    let tables = names.table(folder.path()).unwrap() + LISTS;
    let smtp = "proxy_trusted = [\"127.0.0.1\"]";
    let server = Server::start(&Configuration { smtp, tables, ..Configuration::default() }).unwrap();
    World { server, names, _folder: folder }
}

impl World {
    /// A session of a client at this address.
    fn client(&self, address: &str) -> Smtp {
        self.server.reception_of(address).unwrap()
    }

    /// What a client at this address hears when it names bob.
    fn named(&self, address: &str, reverse_path: &str) -> Reply {
        let mut smtp = self.client(address);
        smtp.ask(&format!("MAIL FROM:<{reverse_path}>")).unwrap().positive().unwrap();
        smtp.ask("RCPT TO:<bob@example.test>").unwrap()
    }

    /// Sends bob a message, and gives what is told of it.
    fn explained(&self, address: &str, id: &str) -> String {
        let mut smtp = self.client(address);
        smtp.envelope("a@good.example", &["bob@example.test"]).unwrap();
        let content = format!("Message-ID: <{id}@good.example>\r\n\r\ntext\r\n");
        smtp.data(content.as_bytes()).unwrap().positive().unwrap();
        smtp.quit().unwrap();
        self.server.mailstack(&["explain", &format!("{id}@good.example")], "").unwrap()
    }
}

#[test]
fn whom_a_list_has_is_refused_marked_or_let_in_as_the_configuration_says() {
    let world = world();
    refused_with_the_words_of_the_list(&world);
    domains_are_looked_up_as_mail_and_ehlo_name_them(&world);
    what_does_not_count_is_no_listing(&world);
    a_mark_stands_in_the_header(&world);
}

/// Whoever is refused may still write to the postmaster.
fn refused_with_the_words_of_the_list(world: &World) {
    let refusal = world.named("192.0.2.1", "a@good.example");
    assert_eq!(refusal.code, 554);
    assert!(
        refusal.text.contains("5.7.1 Mail from 192.0.2.1 is refused, it is listed by bl.test"),
        "{refusal:?}"
    );
    assert!(refusal.text.contains("see https://bl.test/192.0.2.1"), "{refusal:?}");
    assert!(!refusal.text.contains("lists.test"), "the zone stays our secret: {refusal:?}");
    let six = world.named("2001:db8:1:2:3:4:567:89ab", "a@good.example");
    assert!(six.text.contains("2001:db8:1:2:3:4:567:89ab"), "{six:?}");
    // RFC 5321 §4.5.1, in any case and for each domain.
    for postmaster in ["postmaster", "Postmaster@example.test"] {
        let mut smtp = world.client("192.0.2.1");
        smtp.ask("MAIL FROM:<a@good.example>").unwrap().positive().unwrap();
        smtp.ask(&format!("RCPT TO:<{postmaster}>")).unwrap().positive().unwrap();
        assert_eq!(smtp.ask("RCPT TO:<bob@example.test>").unwrap().code, 554);
    }
    assert!(world.server.log().contains("dnsbl=refuse by [[dnsbl.lists]] bl.test"), "{}", world.server.log());
    assert_eq!(world.names.times_asked("1.2.0.192.bl.lists.test", "A"), 1, "answers are remembered");
}

fn domains_are_looked_up_as_mail_and_ehlo_name_them(world: &World) {
    let refusal = world.named("192.0.2.9", "a@bad.example");
    assert!(
        refusal.text.contains("Mail from bad.example is refused, it is listed by dbl.lists.test"),
        "{refusal:?}"
    );
    let mut smtp = world.client("192.0.2.9");
    smtp.ask("EHLO Hello.Example").unwrap().positive().unwrap();
    smtp.ask("MAIL FROM:<>").unwrap().positive().unwrap();
    let refusal = smtp.ask("RCPT TO:<bob@example.test>").unwrap();
    assert!(refusal.text.contains("Mail from hello.example is refused"), "{refusal:?}");
}

fn what_does_not_count_is_no_listing(world: &World) {
    // An answer that does not count, a provider that does not answer us, a welcome guest, a trusted network, a user's own
    // machine at home.
    for address in ["192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.129", "10.0.0.1", "192.0.2.77"] {
        world.named(address, "a@good.example").positive().unwrap();
    }
    for not_asked in ["129.2.0.192.bl.lists.test", "1.0.0.10.bl.lists.test"] {
        assert_eq!(world.names.times_asked(not_asked, "A"), 0, "{not_asked}");
    }
    world.named("192.0.2.4", "a@good.example").positive().unwrap();
    let complaint = "a list in [dnsbl] is of no use at the moment";
    let log = world.server.log();
    assert_eq!(log.matches(complaint).count(), 1, "once in a while: {log}");
    assert!(log.contains("its answer is 127.255.255.254"), "{log}");
}

#[test]
fn a_list_that_fails_keeps_nobody_out() {
    let world = world();
    for (address, fault) in [
        ("192.0.2.1", Fault::ServerFailure),
        ("192.0.2.21", Fault::Refused),
        ("192.0.2.22", Fault::Silence),
        ("192.0.2.1", Fault::Silence),
    ] {
        let octets: Vec<_> = address.rsplit('.').collect();
        world.names.fail(&format!("{}.bl.lists.test", octets.join(".")), "A", fault);
        world.named(address, "a@good.example").positive().unwrap();
    }
    let told = world.explained("192.0.2.22", "silent");
    assert!(told.contains("dnsbl=none; bl.test has not answered about 192.0.2.22"), "{told}");
}

/// `explain` tells of it, as of everything that was found.
fn a_mark_stands_in_the_header(world: &World) {
    let told = world.explained("192.0.2.6", "marked");
    let row = "dnsbl=mark by [[dnsbl.lists]] grey.lists.test action = \"mark\"; 192.0.2.6 is in grey.lists.test (127.0.0.2)";
    assert!(told.contains(row), "{told}");
    let told = world.explained("192.0.2.5", "welcome");
    assert!(told.contains("dnsbl=allow by [[dnsbl.lists]] wl.lists.test"), "{told}");
    let told = world.explained("192.0.2.77", "unknown");
    assert!(told.contains("dnsbl=none"), "{told}");
    let mut maildrop = world.server.maildrop("bob").unwrap();
    let [marked, welcome, unknown] =
        [1, 2, 3].map(|number| String::from_utf8(maildrop.retrieve(number).unwrap()).unwrap());
    let mark = "\r\nX-DNSBL-Listed: 192.0.2.6\r\n\tin grey.lists.test (127.0.0.2)\r\n";
    assert!(marked.contains(mark), "{marked}");
    assert!(!welcome.contains("X-DNSBL") && !unknown.contains("X-DNSBL"), "{welcome}{unknown}");
}
