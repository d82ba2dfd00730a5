//! What happens to mail, of any kind that operators are asked about, and that one command tells it truly.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::certificate::Certificate;
use mailstack_tests::deadline::wait_for;
use mailstack_tests::name_server::{NameServer, Zone, tlsa};
use mailstack_tests::peer::{Does, Peer, Script};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::{Reply, Smtp};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A host that nobody has anything against.
const HOST: &str = "198.51.100.1";
/// One that no domain lets send.
const FORGER: &str = "198.51.100.66";
/// One that a list has.
const LISTED: &str = "192.0.2.1";
/// One that has not been here before.
const STRANGER: &str = "203.0.113.5";

const TABLES: &str = "[checks]\ndmarc = \"refuse\"\n\
    [dnsbl]\n[[dnsbl.lists]]\nzone = \"bl.lists.test\"\naction = \"refuse\"\n\
    [greylist]\nenabled = true\ntrusted = [\"198.51.100.0/24\", \"192.0.2.0/24\"]\n\
    [mta_sts]\nenabled = false\n";

/// Those to whose maildrops something happens; each incident has an address of its own.
const PEOPLE: [&str; 7] = ["full", "junk", "rules", "onward", "phone", "kept", "back"];

/// The server, the other ones, and the DNS in which they are found.
struct World {
    server: Server,
    _names: NameServer,
    _others: [Peer; 5],
    _runtime: Runtime,
    _folder: TempDir,
}

/// Something that happens, and what one command says of it.
struct Incident {
    what: &'static str,
    happens: fn(&World),
    /// What comes behind `mailstack explain`.
    asked: &'static str,
    /// What must be in the answer, in this order.
    told: &'static [&'static str],
}

impl World {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let folder = TempDir::new().unwrap();
        let certificate = Certificate::make(folder.path()).unwrap();
        let others = runtime.block_on(Peer::several([
            (
                "127.0.0.2",
                Script::default()
                    .with_tls(&certificate)
                    .says("EHLO", &["250-live.test\r\n250-STARTTLS\r\n250 8BITMIME"]),
            ),
            ("127.0.0.3", Script::default().says("RCPT", &["451 4.2.1 Mailbox busy, come again"])),
            ("127.0.0.4", Script::default().says("RCPT", &["550 5.1.1 No such person"])),
            ("127.0.0.5", Script::default().does("end", &[Does::Closes, Does::Usual])),
            ("127.0.0.6", Script::default()),
        ]));
        let port = others[0].address.port();
        let names = NameServer::start(&zones(port)).unwrap();
        let configuration = Configuration {
            smtp: "proxy_trusted = [\"127.0.0.1\"]\ncontent_octets_max = 100000",
            relay: format!("port = {port}"),
            tables: names.table(folder.path()).unwrap() + TABLES,
            accounts: PEOPLE.to_vec(),
            ..Configuration::default()
        };
        let server = Server::start(&configuration).unwrap();
        Self { server, _names: names, _others: others, _runtime: runtime, _folder: folder }
    }

    fn mailstack(&self, arguments: &str) -> String {
        let arguments: Vec<_> = arguments.split(' ').collect();
        self.server.mailstack(&arguments, "").unwrap()
    }

    /// A session of another server at this address.
    fn host(&self, address: &str) -> Smtp {
        self.server.reception_of(address).unwrap()
    }

    /// A session of somebody who has logged in.
    fn user(&self, account: &str) -> Smtp {
        let service = self.server.addresses().unwrap().submission;
        let mut smtp = Smtp::new(self.server.connection_of("127.0.0.1", service).unwrap()).unwrap();
        smtp.start_tls().unwrap();
        smtp.login(&format!("{account}@example.test"), &format!("pw-{account}")).unwrap();
        smtp
    }

    /// A message from outside comes to somebody here.
    fn comes(&self, to: &str) {
        let mut smtp = self.host(HOST);
        smtp.envelope("friend@far.test", &[&format!("{to}@example.test")]).unwrap();
        smtp.data(b"From: friend@far.test\r\nSubject: hello\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    }

    /// Carol writes to somebody elsewhere.
    fn leaves(&self, to: &str) {
        let mut smtp = self.user("carol");
        smtp.envelope("carol@example.test", &[to]).unwrap();
        smtp.data(b"From: carol@example.test\r\nSubject: hello\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    }

    /// What a host at this address hears when it names somebody here.
    fn named(&self, address: &str, to: &str) -> Reply {
        let mut smtp = self.host(address);
        smtp.ask("MAIL FROM:<friend@far.test>").unwrap().positive().unwrap();
        smtp.ask(&format!("RCPT TO:<{to}>")).unwrap()
    }
}

fn zones(port: u16) -> Vec<Zone> {
    let at = |name: &str, host: &str| Zone::unsigned(name, &format!("@ MX 10 mx\nmx A {host}"));
    vec![
        Zone::unsigned("far.test", ""),
        Zone::unsigned(
            "strict.test",
            "@ TXT \"v=spf1 ip4:198.51.100.1 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"",
        ),
        Zone::unsigned(
            "mild.test",
            "@ TXT \"v=spf1 ip4:198.51.100.1 -all\"\n_dmarc TXT \"v=DMARC1; p=quarantine\"",
        ),
        Zone::unsigned("lists.test", "1.2.0.192.bl A 127.0.0.2"),
        at("live.test", "127.0.0.2"),
        at("busy.test", "127.0.0.3"),
        at("never.test", "127.0.0.4"),
        at("drops.test", "127.0.0.5"),
        at("dead.test", "127.0.0.9"),
        Zone::unsigned("null.test", "@ MX 0 ."),
        Zone::unsigned("circle.test", "@ MX 10 mail.example.test."),
        Zone::signed(
            "dane.test",
            &format!("@ MX 10 mx\nmx A 127.0.0.6\n_{port}._tcp.mx TLSA {}", tlsa(3, 1, 1, b"another key")),
        ),
    ]
}

const INCIDENTS: [Incident; 27] = [
    Incident {
        what: "refused: nobody has this address",
        happens: |world| assert_eq!(world.named(HOST, "nobody@example.test").code, 550),
        asked: "--to nobody@example.test",
        told: &[
            "not taken  ",
            "from <friend@far.test> to nobody@example.test, client 198.51.100.1: 550 5.1.1 ",
        ],
    },
    Incident {
        what: "refused: a stranger wants to send to others through here",
        happens: |world| assert_eq!(world.named(HOST, "x@others.test").code, 550),
        asked: "--to x@others.test",
        told: &["not taken  ", "client 198.51.100.1: 550 5.7.1 "],
    },
    Incident {
        what: "refused: its author's domain wants what it has not sent refused (DMARC)",
        happens: |world| {
            let mut smtp = world.host(FORGER);
            smtp.envelope("boss@strict.test", &["bob+forged@example.test"]).unwrap();
            assert_eq!(smtp.data(b"From: boss@strict.test\r\n\r\npay\r\n").unwrap().code, 550);
        },
        asked: "--to bob+forged@example.test",
        told: &[
            "not taken  ",
            "from <boss@strict.test>",
            "client 198.51.100.66: 550 5.7.26 ",
            "why: [checks] dmarc = \"refuse\": dmarc=fail policy.dmarc=reject",
        ],
    },
    Incident {
        what: "refused: a list has the client",
        happens: |world| assert_eq!(world.named(LISTED, "bob+listed@example.test").code, 554),
        asked: "--to bob+listed@example.test",
        told: &[
            "not taken  ",
            "client 192.0.2.1: 554 5.7.1 ",
            "listed by bl.lists.test",
            "why: ",
            "[[dnsbl.lists]] bl.lists.test",
        ],
    },
    Incident {
        what: "put off: a stranger is to come again",
        happens: |world| assert_eq!(world.named(STRANGER, "bob+asked@example.test").code, 451),
        asked: "--to bob+asked@example.test",
        told: &[
            "not taken  ",
            "client 203.0.113.5: 451 4.7.1 You are not known here yet",
            "why: ",
            "greylist",
        ],
    },
    Incident {
        what: "refused: the maildrop is full",
        happens: |world| {
            world.mailstack("account quota full@example.test --octets 1000");
            let mut smtp = world.host(HOST);
            smtp.ask("MAIL FROM:<friend@far.test> SIZE=50000").unwrap().positive().unwrap();
            assert_eq!(smtp.ask("RCPT TO:<full@example.test>").unwrap().code, 552);
        },
        asked: "--to full@example.test",
        told: &["not taken  ", "552 5.2.2 ", "why: the quota of the account"],
    },
    Incident {
        what: "refused: too big",
        happens: |world| {
            let mut smtp = world.user("alice");
            assert_eq!(smtp.ask("MAIL FROM:<alice@example.test> SIZE=5000000").unwrap().code, 552);
        },
        asked: "--from alice@example.test",
        told: &["not taken  ", "552 5.3.4 ", "why: [smtp] content_octets_max = 100000"],
    },
    Incident {
        what: "refused: somebody else's address in From",
        happens: |world| {
            let mut smtp = world.user("bob");
            smtp.envelope("bob@example.test", &["carol@example.test"]).unwrap();
            assert_eq!(smtp.data(b"From: alice@example.test\r\n\r\nx\r\n").unwrap().code, 550);
        },
        asked: "--from bob@example.test",
        told: &["not taken  ", "550 5.7.1 ", "From"],
    },
    Incident {
        what: "refused: it goes in circles",
        happens: |world| {
            let mut smtp = world.host(HOST);
            smtp.envelope("friend@circle.test", &["bob@example.test"]).unwrap();
            let content = "Received: from a by b\r\n".repeat(101) + "\r\nx\r\n";
            assert_eq!(smtp.data(content.as_bytes()).unwrap().code, 554);
        },
        asked: "--from friend@circle.test",
        told: &["not taken  ", "554 5.4.6 ", "why: [smtp] received_max = 100"],
    },
    Incident {
        what: "relayed, under TLS",
        happens: |world| world.leaves("friend@live.test"),
        asked: "--to friend@live.test",
        told: &[
            "connected  ",
            "login  ",
            "submitted  ",
            "to friend@live.test",
            "attempt 1: mx.live.test [127.0.0.2]",
            "TLS",
            "250 2.0.0 ok",
            "  relayed",
        ],
    },
    Incident {
        what: "deferred: the other server is busy",
        happens: |world| world.leaves("friend@busy.test"),
        asked: "--to friend@busy.test",
        told: &["attempt 1: mx.busy.test [127.0.0.3]", "451 4.2.1 Mailbox busy", "the next attempt is due "],
    },
    Incident {
        what: "deferred: nobody answers there",
        happens: |world| world.leaves("friend@dead.test"),
        asked: "--to friend@dead.test",
        told: &["attempt 1: mx.dead.test [127.0.0.9]", "refused", "the next attempt is due "],
    },
    Incident {
        what: "deferred: the other server does not keep its promise of TLS (DANE)",
        happens: |world| world.leaves("friend@dane.test"),
        asked: "--to friend@dane.test",
        told: &["attempt 1: mx.dane.test [127.0.0.6]", "STARTTLS", "the next attempt is due "],
    },
    Incident {
        what: "bounced: the other server does not know the address",
        happens: |world| world.leaves("friend@never.test"),
        asked: "--to friend@never.test",
        told: &["attempt 1: mx.never.test [127.0.0.4]", "550 5.1.1 No such person", "  failed for good"],
    },
    Incident {
        what: "bounced: there is no such domain",
        happens: |world| world.leaves("friend@nowhere.test"),
        asked: "--to friend@nowhere.test",
        told: &["attempt 1: ", "nowhere.test", "  failed for good"],
    },
    Incident {
        what: "bounced: the domain takes no mail (null MX)",
        happens: |world| world.leaves("friend@null.test"),
        asked: "--to friend@null.test",
        told: &["attempt 1: ", "null.test", "does not accept mail", "  failed for good"],
    },
    Incident {
        what: "bounced: the domain's mail would come back to this server",
        happens: |world| world.leaves("friend@circle.test"),
        asked: "--to friend@circle.test",
        told: &["attempt 1: ", "this server", "  failed for good"],
    },
    Incident {
        what: "nobody knows: the other server was gone before it answered",
        happens: |world| world.leaves("friend@drops.test"),
        asked: "--to friend@drops.test",
        told: &[
            "attempt 1: mx.drops.test [127.0.0.5]",
            "closed",
            "nobody knows whether the message was taken",
            "the next attempt is due ",
        ],
    },
    Incident {
        what: "held by the postmaster",
        happens: |world| {
            world.leaves("held@busy.test");
            world.mailstack("queue hold --to held@busy.test");
        },
        asked: "--to held@busy.test",
        told: &["to held@busy.test", "held until it is released (`mailstack queue release "],
    },
    Incident {
        what: "removed by the postmaster",
        happens: |world| {
            world.leaves("removed@busy.test");
            world.waits_for("--to removed@busy.test", "attempt 1: ");
            world.mailstack("queue remove --yes --to removed@busy.test");
        },
        asked: "--to removed@busy.test",
        told: &["attempt 1: ", "  removed by the administrator"],
    },
    Incident {
        what: "junk, since its author's domain wants it put aside (DMARC)",
        happens: |world| {
            world.mailstack("account subaddress add junk@example.test junk");
            let mut smtp = world.host(FORGER);
            smtp.envelope("boss@mild.test", &["junk@example.test"]).unwrap();
            smtp.data(b"From: boss@mild.test\r\n\r\npay\r\n").unwrap().positive().unwrap();
        },
        asked: "--to junk@example.test",
        told: &[
            "connected  from 198.51.100.66",
            "check  ",
            "[checks] dmarc = \"refuse\"",
            "in the maildrop of junk+junk@example.test",
        ],
    },
    Incident {
        what: "put aside by a rule of the account",
        happens: |world| {
            world.mailstack("account subaddress add rules@example.test lists");
            let rules = "if header \"Subject\" contains \"hello\" then maildrop \"lists\"";
            world.server.mailstack(&["rules", "set", "rules@example.test", "-"], rules).unwrap();
            world.comes("rules");
        },
        asked: "--to rules@example.test",
        told: &["rule  rules@example.test: line 1: ", "in the maildrop of rules+lists@example.test"],
    },
    Incident {
        what: "forwarded by a rule of the account",
        happens: |world| {
            let rules = "always forward \"else@live.test\"";
            world.server.mailstack(&["rules", "set", "onward@example.test", "-"], rules).unwrap();
            world.comes("onward");
        },
        asked: "--to else@live.test",
        told: &[
            "rule  onward@example.test: line 1: ",
            "to else@live.test",
            "attempt 1: mx.live.test",
            "  relayed",
        ],
    },
    Incident {
        what: "to be seen later, as its sender wants",
        happens: |world| {
            let mut smtp = world.user("carol");
            smtp.ask("MAIL FROM:<carol@example.test> HOLDFOR=100000").unwrap().positive().unwrap();
            smtp.ask("RCPT TO:<late@live.test>").unwrap().positive().unwrap();
            smtp.data(b"From: carol@example.test\r\n\r\nlater\r\n").unwrap().positive().unwrap();
        },
        asked: "--to late@live.test",
        told: &["submitted  ", "to late@live.test", "the first attempt is due "],
    },
    Incident {
        what: "deleted by the user's telephone",
        happens: |world| {
            world.comes("phone");
            let mut maildrop = world.server.maildrop("phone").unwrap();
            maildrop.retrieve(1).unwrap();
            maildrop.delete(1).unwrap();
            maildrop.quit().unwrap();
        },
        asked: "--to phone@example.test",
        told: &[
            "received  ",
            "fetched from the maildrop of phone@example.test by POP3 session ",
            " from 127.0.0.1:",
            "deleted from the maildrop of phone@example.test by POP3 session ",
            "can be brought back (`mailstack maildrop undelete phone@example.test ",
        ],
    },
    Incident {
        what: "fetched, and left on the server",
        happens: |world| {
            world.comes("kept");
            let mut maildrop = world.server.maildrop("kept").unwrap();
            maildrop.retrieve(1).unwrap();
            maildrop.quit().unwrap();
        },
        asked: "--to kept@example.test",
        told: &[
            "fetched from the maildrop of kept@example.test by POP3 session ",
            "in the maildrop of kept@example.test, unique-id ",
        ],
    },
    Incident {
        what: "deleted, and brought back by the postmaster",
        happens: |world| {
            world.comes("back");
            let mut maildrop = world.server.maildrop("back").unwrap();
            maildrop.delete(1).unwrap();
            maildrop.quit().unwrap();
            world.mailstack("maildrop undelete back@example.test --all");
        },
        asked: "--to back@example.test",
        told: &[
            "deleted from the maildrop of back@example.test by POP3 session ",
            "in the maildrop of back@example.test, unique-id ",
        ],
    },
];

/// The place in `text` behind all of `parts` in their order, or the first one that is not there.
fn missing<'a>(text: &str, parts: &[&'a str]) -> Option<&'a str> {
    let mut rest = text;
    parts
        .iter()
        .find(|part| match rest.split_once(**part) {
            Some((_, behind)) => {
                rest = behind;
                false
            }
            None => true,
        })
        .copied()
}

impl World {
    /// What `explain` says, once it has this in it.
    fn waits_for(&self, asked: &str, part: &str) {
        wait_for("the attempt", || {
            let told = self.explained(asked)?;
            Ok(told.contains(part).then_some(()))
        })
        .unwrap();
    }

    fn explained(&self, asked: &str) -> std::io::Result<String> {
        let words: Vec<_> = ["explain"].into_iter().chain(asked.split(' ')).collect();
        self.server.mailstack(&words, "")
    }
}

#[test]
fn each_incident_is_told_by_one_command() {
    let world = World::new();
    for incident in &INCIDENTS {
        (incident.happens)(&world);
    }
    for Incident { what, asked, told, .. } in &INCIDENTS {
        let mut last = String::new();
        let found = wait_for(what, || {
            last = world.explained(asked)?;
            Ok(missing(&last, told).is_none().then_some(()))
        });
        assert!(found.is_ok(), "{what}: {:?} is not in\n{last}", missing(&last, told));
    }
}
