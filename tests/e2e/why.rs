//! `mailstack why` agrees with the server that runs on a thousand mails: in each reply, and in where the mail is afterwards.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailstack_tests::dialogue::ClearLogin;
use mailstack_tests::name_server::{Fault, NameServer, Zone};
use mailstack_tests::programs::program;
use mailstack_tests::random::Random;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::{Reply, Smtp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Cases for each of the configurations.
const CASES: u64 = 200;
const CONFIGURATIONS: [fn() -> Configuration; 5] = [marking, refusing, greylisting, closed, strict];

/// What is in DNS of those who send.
const SENDERS: &str = "sender TXT \"v=spf1 ip4:198.51.100.1 -all\"\n\
    strict TXT \"v=spf1 ip4:198.51.100.1 -all\"\n_dmarc.strict TXT \"v=DMARC1; p=reject\"\n\
    quarantine TXT \"v=spf1 -all\"\n_dmarc.quarantine TXT \"v=DMARC1; p=quarantine\"\n\
    broken TXT \"v=spf1 -all\"\nplain A 198.51.100.1\nmx A 198.51.100.1";
const NAMES: &str = "1 PTR mx.test.\n2 PTR mx.test.";
const LISTS: &str = "1.2.0.192.bl A 127.0.0.2\n2.2.0.192.junk A 127.0.0.2\n3.2.0.192.wl A 127.0.0.2\n\
    4.2.0.192.bl A 127.0.0.2\n4.2.0.192.wl A 127.0.0.2\nplain.test.dbl A 127.0.1.2";
const DNSBL: &str = "[[dnsbl.lists]]\nzone = \"bl.lists.test\"\naction = \"refuse\"\n\
    [[dnsbl.lists]]\nzone = \"junk.lists.test\"\naction = \"junk\"\n\
    [[dnsbl.lists]]\nzone = \"wl.lists.test\"\naction = \"allow\"\n\
    [[dnsbl.lists]]\nzone = \"dbl.lists.test\"\nabout = \"domain\"\naction = \"mark\"\n";
const GREYLIST: &str = "[greylist]\nenabled = true\nwait_seconds = 100000\n";
const RELAY: &str = "trusted = [\"203.0.113.0/24\", \"127.0.0.1\"]\n\
    routes = [{ domains = [\"far.test\"], host = \"127.0.0.1\", port = 9, tls = \"never\" }, { host = \"127.0.0.1\", port = 9, tls = \"never\" }]";

const ADDRESSES: [&str; 11] = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "192.0.2.4",
    "192.0.2.9",
    "198.51.100.1",
    "198.51.100.2",
    "203.0.113.5",
    "10.0.0.5",
    "127.0.0.1",
    "2001:db8::7",
];
const FROM: [&str; 14] = [
    "",
    "ann@sender.test",
    "ann@strict.test",
    "ann@quarantine.test",
    "ann@broken.test",
    "ann@plain.test",
    "ann@unknown.test",
    "alice@example.test",
    "alice+shop@example.test",
    "bob@example.test",
    "team@example.test",
    "j\u{f6}rg@example.test",
    "\u{e9}ve@plain.test",
    "nobody@second.test",
];
const TO: [&str; 23] = [
    "alice@example.test",
    "Alice+list@example.test",
    "alice+nothing@example.test",
    "bob@example.test",
    "bob@second.test",
    "nobody@example.test",
    "team@example.test",
    "team+list@example.test",
    "anybody@caught.test",
    "postmaster@example.test",
    "postmaster@second.test",
    "dora@example.test",
    "erin@example.test",
    "erin@example.test",
    "fred@example.test",
    "gina@example.test",
    "hugo@example.test",
    "j\u{f6}rg@example.test",
    "c@far.test",
    "c@else.test",
    "\u{fc}@far.test",
    "c@[192.0.2.77]",
    "SRS0=aaaa=bb=far.test=c@example.test",
];
const SUBJECTS: [&str; 5] = ["hello", "spam for you", "drop this", "no thanks", "list"];
/// Where mail can be.
const MAILDROPS: &str = "alice alice+junk alice+list bob carol dora erin erin+junk fred gina hugo hugo+list";

fn plain(tables: &str) -> Configuration {
    Configuration {
        smtp: "proxy_trusted = [\"127.0.0.1\"]\ncontent_octets_max = 40000\nreceived_max = 100\n\
               [smtp.domains.\"second.test\"]\ncontent_octets_max = 10000",
        // Nobody is put off for asking a thousand times.
        guard: "trusted = [\"0.0.0.0/0\", \"::/0\"]",
        relay: RELAY.to_owned(),
        tables: tables.to_owned(),
        accounts: vec!["dora", "erin", "fred", "gina", "hugo"],
        ..Configuration::default()
    }
}

fn marking() -> Configuration {
    plain("[checks]\nseconds = 5\n")
}

fn refusing() -> Configuration {
    plain(&format!("[checks]\nspf = \"refuse\"\ndmarc = \"refuse\"\n{DNSBL}"))
}

fn greylisting() -> Configuration {
    plain(&format!("[checks]\nspf = \"junk\"\ndmarc = \"junk\"\n{GREYLIST}"))
}

fn closed() -> Configuration {
    Configuration {
        clear_login: ClearLogin::Never,
        relay: "enabled = false".to_owned(),
        ..plain("[checks]\niprev = \"refuse\"\n")
    }
}

fn strict() -> Configuration {
    plain(&format!("[checks]\nspf = \"refuse\"\ndkim = \"junk\"\ntemporary = \"put-off\"\n{DNSBL}{GREYLIST}"))
}

/// One mail.
#[derive(Debug)]
struct Case {
    id: String,
    address: &'static str,
    from: &'static str,
    to: Vec<&'static str>,
    login: Option<&'static str>,
    is_submission: bool,
    is_tls: bool,
    message: String,
}

fn one<T: Copy>(random: &mut Random, of: &[T]) -> T {
    *of.get(usize::try_from(random.below(of.len() as u64)).unwrap()).unwrap()
}

impl Case {
    fn generate(id: String, random: &mut Random) -> Self {
        let is_submission = random.below(3) == 0;
        let address = one(random, if is_submission { &["127.0.0.1", "192.0.2.9"] } else { &ADDRESSES });
        let login = match random.below(20) {
            _ if !is_submission => None,
            0 => None,
            1 => Some("nobody"),
            2..=12 => Some("alice"),
            _ => Some("bob"),
        };
        // Who has logged in mostly sends as themselves.
        let own = match login {
            Some("alice") if random.below(2) == 0 => Some("alice@example.test"),
            Some("bob") if random.below(2) == 0 => Some("bob@example.test"),
            _ => None,
        };
        let from = own.unwrap_or_else(|| one(random, &FROM));
        let to = (0..=random.below(3)).map(|_| one(random, &TO)).collect();
        let author = if random.below(4) == 0 { one(random, &FROM) } else { from };
        let message = message(&id, author, random);
        Self {
            id,
            address,
            from,
            to,
            login,
            is_submission,
            is_tls: is_submission && random.below(4) != 0,
            message,
        }
    }

    /// As `mailstack why --cases` reads it.
    fn line(&self) -> String {
        let Self { address, from, to, login, is_submission, is_tls, message, .. } = self;
        let port = if *is_submission { "submission" } else { "reception" };
        let case = json!({
            "from": from, "to": to, "ip": address, "login": login, "helo": "mx.test", "port": port, "tls": is_tls,
            "message": message,
        });
        case.to_string()
    }
}

/// A message, which may be wrong, or large.
fn message(id: &str, author: &str, random: &mut Random) -> String {
    let from = if author.is_empty() { "MAILER-DAEMON@mx.test" } else { author };
    let fields = format!("Message-ID: <{id}@cases.test>\r\nSubject: {}\r\n", one(random, &SUBJECTS));
    let own = format!("From: {from}\r\n");
    let fields = match random.below(30) {
        0 => fields,
        1 => fields + &own + &own,
        2 => fields + "From: ann@strict.test, bob@example.test\r\n",
        3 => fields + &own + "Sender: bob@example.test\r\n",
        4 => fields + &own + "X-Spam-Flag: YES\r\n",
        5 => fields + &own + "no field\r\n",
        6 => "Received: from a by b; Sun, 22 Nov 2026 10:00:00 +0000\r\n".repeat(101) + &fields + &own,
        _ => fields + &own,
    };
    let body = match random.below(12) {
        0 => "x".repeat(70) + "\r\n",
        1 => ("x".repeat(998) + "\r\n").repeat(11),
        2 => ("x".repeat(998) + "\r\n").repeat(42),
        3 => "a bare\nline end\r\n".to_owned(),
        4 => "gr\u{fc}\u{df}e\r\n".to_owned(),
        5 => ".\r\n..\r\n.x\r\n".to_owned(),
        _ => "text\r\n".to_owned(),
    };
    format!("{fields}\r\n{body}")
}

/// A server with people in it, and who tells what it would do.
struct World {
    server: Server,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    _names: NameServer,
    _folder: TempDir,
}

impl World {
    fn new(configuration: &Configuration) -> Self {
        let folder = TempDir::new().unwrap();
        let zones = [
            Zone::unsigned("test", SENDERS),
            Zone::unsigned("lists.test", LISTS),
            Zone::unsigned("100.51.198.in-addr.arpa", NAMES),
        ];
        let names = NameServer::start(&zones).unwrap();
        for (name, record_type) in [("broken.test", "TXT"), ("_dmarc.broken.test", "TXT")] {
            names.fail(name, record_type, Fault::ServerFailure);
        }
        let tables = names.table(folder.path()).unwrap() + "\n" + &configuration.tables;
        let server = Server::start(&Configuration {
            tables,
            relay: configuration.relay.clone(),
            accounts: configuration.accounts.clone(),
            store: None,
            client_authority: None,
            wrapper: Vec::new(),
            ..*configuration
        });
        let server = server.unwrap();
        people(&server);
        let mut child = Command::new(program("mailstack").unwrap())
            .args(["why", "--cases", "-", "--config"])
            .arg(server.folder().join("mailstack.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { server, child, questions, answers, _names: names, _folder: folder }
    }

    /// What the server would do.
    fn why(&mut self, case: &Case) -> Value {
        writeln!(self.questions, "{}", case.line()).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(line.starts_with('{'), "{line:?} for {}", case.line());
        serde_json::from_str(&line).unwrap()
    }

    /// What it does: every reply, from EHLO on.
    fn live(&self, case: &Case) -> Vec<Reply> {
        let addresses = self.server.addresses().unwrap();
        let at = if case.is_submission { addresses.submission } else { addresses.reception };
        let mut smtp = Smtp::before_greeting(self.server.connection_of(case.address, at).unwrap());
        smtp.reply().unwrap().positive().unwrap();
        if case.is_tls {
            smtp.ask("EHLO mx.test").unwrap().positive().unwrap();
            smtp.start_tls().unwrap();
        }
        let mut replies = vec![smtp.ask("EHLO mx.test").unwrap()];
        let mut commands = Vec::new();
        if let Some(login) = case.login {
            let token = STANDARD.encode(format!("\0{login}@example.test\0pw-{login}"));
            commands.push(format!("AUTH PLAIN {token}"));
        }
        let Case { from, to, message, .. } = case;
        let body = if message.is_ascii() { "" } else { " BODY=8BITMIME" };
        let is_ascii = from.is_ascii() && to.iter().all(|to| to.is_ascii());
        let smtputf8 = if is_ascii { "" } else { " SMTPUTF8" };
        commands.push(format!("MAIL FROM:<{from}> SIZE={}{body}{smtputf8}", message.len()));
        for command in commands {
            replies.push(smtp.ask(&command).unwrap());
            if replies.last().unwrap().code >= 400 {
                return replies;
            }
        }
        let before = replies.len();
        replies.extend(to.iter().map(|to| smtp.ask(&format!("RCPT TO:<{to}>")).unwrap()));
        if replies.iter().skip(before).all(|reply| reply.code >= 400) {
            return replies;
        }
        let data = smtp.ask("DATA").unwrap();
        let is_asked = data.code == 354;
        replies.push(data);
        if is_asked {
            let stuffed = format!("\r\n{message}").replace("\r\n.", "\r\n..");
            smtp.say(format!("{}.\r\n", stuffed.strip_prefix("\r\n").unwrap()).as_bytes()).unwrap();
            replies.push(smtp.reply().unwrap());
        }
        replies
    }

    /// Where each case's message is: its maildrops, with a mark where it is marked as junk.
    fn maildrops(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in MAILDROPS.split(' ') {
            let mut pop3 = self.server.maildrop(name).unwrap();
            for number in 1..=pop3.count().unwrap() {
                let header = String::from_utf8_lossy(&pop3.top(number, 0).unwrap()).into_owned();
                let id = header.split("Message-ID: <").nth(1).and_then(|rest| rest.split('@').next());
                let marked = if header.contains("X-Spam-Flag: YES") { " marked" } else { "" };
                let id = id.unwrap_or_default().to_owned();
                places.entry(id).or_default().insert(format!("{name}@example.test{marked}"));
            }
            pop3.quit().unwrap();
        }
        places
    }

    /// Whom each message waits for, by its number.
    fn queue(&self) -> BTreeMap<u64, BTreeSet<String>> {
        let mut waits: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for line in self.server.mailstack(&["queue", "list", "--json"], "").unwrap().lines() {
            let entry: Value = serde_json::from_str(line).unwrap();
            let to = at(&entry, "/to").as_str().unwrap().to_owned();
            // What rules reject is on its way back already, or will be in a moment.
            if to.ends_with("@example.test") {
                continue;
            }
            waits.entry(at(&entry, "/message").as_u64().unwrap()).or_default().insert(to);
        }
        waits
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Aliases, subaddresses, quotas and rules.
fn people(server: &Server) {
    let say = |arguments: &[&str], input: &str| {
        server.mailstack(arguments, input).unwrap();
    };
    say(&["alias", "add", "team@example.test", "alice@example.test", "bob@example.test"], "");
    say(&["alias", "add", "j\u{f6}rg@example.test", "carol@example.test"], "");
    say(&["alias", "add", "bob@second.test", "bob@example.test"], "");
    say(&["alias", "add", "@caught.test", "carol@example.test"], "");
    for (account, name) in [("alice", "junk"), ("alice", "list"), ("erin", "junk"), ("hugo", "list")] {
        say(&["account", "subaddress", "add", &format!("{account}@example.test"), name], "");
    }
    say(&["account", "quota", "dora@example.test", "--octets", "12000", "--messages", "4"], "");
    let rules = "if header \"Subject\" contains \"spam\" then junk\nif header \"Subject\" contains \"drop\" then discard\n\
        if header \"Subject\" contains \"thanks\" then reject \"Not now\"\nif junk then discard\n";
    say(&["rules", "set", "erin@example.test", "-"], rules);
    say(&["rules", "set", "fred@example.test", "-"], "always forward \"f@else.test\"\n");
    say(&["rules", "set", "gina@example.test", "-"], "always forward \"bob@example.test\" and keep\n");
    let rules = "if header \"Subject\" contains \"list\" or size over 9K then maildrop \"list\"\n\
        if from domain \"strict.test\" then junk\n";
    say(&["rules", "set", "hugo@example.test", "-"], rules);
    say(&["greylist", "pass", "198.51.100.0/24", "sender.test"], "");
    say(&["greylist", "pass", "192.0.2.0/24", "plain.test"], "");
}

/// What a case should come to afterwards.
struct Expected {
    line: String,
    /// The number of the message, where it was accepted.
    number: Option<u64>,
    id: String,
    /// The last reply.
    end: String,
    maildrops: BTreeSet<String>,
    relayed: BTreeSet<String>,
}

/// What is there in JSON; null where there is nothing.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

/// Code and enhanced code of each reply.
fn codes(replies: &[Reply]) -> Vec<String> {
    let code = |reply: &Reply| {
        let mut words = reply.text.split([' ', '-', '\n']);
        let (code, enhanced) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_enhanced =
            enhanced.split('.').count() == 3 && enhanced.split('.').all(|part| part.parse::<u16>().is_ok());
        if is_enhanced { format!("{code} {enhanced}") } else { code.to_owned() }
    };
    replies.iter().map(code).collect()
}

fn told_codes(told: &Value) -> Vec<String> {
    let code = |answer: &Value| match at(answer, "/enhanced").as_str() {
        Some(enhanced) => format!("{} {enhanced}", at(answer, "/code")),
        None => at(answer, "/code").to_string(),
    };
    at(told, "/dialogue").as_array().unwrap().iter().map(code).collect()
}

/// Where `why` says that it goes.
fn told_places(told: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut maildrops, mut relayed) = (BTreeSet::new(), BTreeSet::new());
    let marked = if *at(told, "/marked_as_junk") == true { " marked" } else { "" };
    let recipients = at(told, "/recipients").as_array().unwrap();
    for place in recipients.iter().flat_map(|recipient| at(recipient, "/goes_to").as_array().unwrap()) {
        if let Some(address) = at(place, "/maildrop").as_str() {
            maildrops.insert(format!("{address}{marked}"));
        }
        if let Some(to) = at(place, "/relay/to").as_str() {
            relayed.insert(to.to_owned());
        }
    }
    for address in at(told, "/also_into").as_array().unwrap() {
        maildrops.insert(format!("{}{marked}", address.as_str().unwrap()));
    }
    (maildrops, relayed)
}

/// Asks about a mail, sends it, and compares what was said.
fn compare(world: &mut World, case: &Case) -> Expected {
    let told = world.why(case);
    let replies = world.live(case);
    let (codes, told_codes) = (codes(&replies), told_codes(&told));
    assert_eq!(
        codes,
        told_codes,
        "the server differs from what is told about {}\n{told}\n{replies:?}",
        case.line()
    );
    for answer in
        at(&told, "/dialogue").as_array().unwrap().iter().filter(|answer| at(answer, "/because").is_null())
    {
        let is_by_standard =
            ["5.6.0", "5.6.7"].contains(&at(answer, "/enhanced").as_str().unwrap_or_default());
        assert!(at(answer, "/code").as_u64().unwrap() < 400 || is_by_standard, "nothing is named: {answer}");
    }
    let last = replies.last().unwrap();
    let number =
        last.text.strip_prefix("250 2.0.0 Message accepted as ").and_then(|number| number.parse().ok());
    let (maildrops, relayed) = told_places(&told);
    let (line, end) = (format!("{}\n{told}", case.line()), codes.last().unwrap().clone());
    Expected { line, number, id: case.id.clone(), end, maildrops, relayed }
}

#[test]
fn why_and_the_server_agree_on_a_thousand_mails() {
    let seed = env::var("WHY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("WHY_SEED={seed} repeats this");
    let mut random = Random::new(seed);
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for (number, configuration) in CONFIGURATIONS.iter().enumerate() {
        let mut world = World::new(&configuration());
        let mut all = Vec::new();
        for case in 0..CASES {
            let case = Case::generate(format!("c{number}-{case}"), &mut random);
            let expected = compare(&mut world, &case);
            *ends.entry(expected.end.clone()).or_default() += 1;
            all.push(expected);
        }
        let (maildrops, queue) = (world.maildrops(), world.queue());
        for Expected { line, number, id, maildrops: told, relayed, .. } in &all {
            let found = maildrops.get(id).cloned().unwrap_or_default();
            assert_eq!(found, *told, "the mail is elsewhere than told: {line}");
            let waits = number.and_then(|number| queue.get(&number)).cloned().unwrap_or_default();
            assert_eq!(waits, *relayed, "the mail goes elsewhere than told: {line}");
        }
    }
    println!("{ends:?}");
    assert!(ends["250 2.0.0"] > 200 && ends.len() >= 12, "the cases are too much alike: {ends:?}");
}
