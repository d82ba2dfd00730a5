//! Speed and memory of the relay by what is in its queue: mail for live domains alone, and with a third of dead ones beside.
//!
//!     cargo bench -p smtpd --bench relay
//!     cargo bench -p smtpd --bench relay -- entries=100000 domains=10000 seconds_max=120 relay='connecting_max = 500'
//!
//! A queue of two thirds of `entries` (100,000) for two thirds of `domains` (10,000) is relayed first, all of them live; then
//! one with all of them, where one sixth of the domains refuses connections and another one does not answer them. Each
//! message is for one recipient, in the order of numbers that jump from domain to domain. Other processes serve DNS and
//! take the mail, all on loopback.
//!
//! `open` is milliseconds until the store has opened, `first` those from there to the first message that arrives. Each
//! second has a row then: the memory in MiB, the messages that have arrived in all, and in that second. `all` is seconds
//! until all mail for live domains was there, and how many messages a second that makes. `drain` is milliseconds that the
//! relay takes to end, `reopen` those for the store with what is left.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mailstack_tests::name_server::{NameServer, Zone};
use mailstore::{
    Body, Delivery, Fate, Options, QueueFilter, RecipientTerms, RelayRecipient, Store, Terms, TraceRow,
};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::clock;
use mailwire::daemon::config::Server;
use mailwire::net::Shutdown;
use smtpd::relay::names::{Itself, Names};
use smtpd::relay::{Relay, RelayTables};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const LIVE: &str = "127.0.0.2";
const REFUSES: &str = "127.0.0.3";
const DEAF: &str = "127.0.0.4";
/// How often is looked how many messages have arrived.
const LOOK: Duration = Duration::from_millis(20);
/// Connections that the live server may leave unanswered while it is busy. With fewer, the kernel forgets some of them, and
/// each of these waits for its greeting in vain.
const BACKLOG: u32 = 4096;
/// Writers that fill the queue.
const WRITERS: usize = 256;
const CONTENT: &[u8] = b"Subject: measured\r\nFrom: <a@example.test>\r\n\r\n";

#[tokio::main]
async fn main() {
    match argument("role").as_deref() {
        Some("servers") => servers().await,
        Some("fill") => fill().await,
        Some("relay") => relay().await,
        Some(_) | None => measure(),
    }
}

/// What stands behind `name=` on the command line.
fn argument(name: &str) -> Option<String> {
    std::env::args().find_map(|argument| Some(argument.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

fn number(name: &str, default: u64) -> u64 {
    argument(name).map_or(default, |text| text.parse().expect("an argument is a number"))
}

fn path(name: &str) -> PathBuf {
    argument(name).expect("the parent says where").into()
}

#[expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]
fn row(text: &str) {
    println!("{text}");
}

/// This program once more, in another role.
fn role(role: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(format!("role={role}")).args(std::env::args().skip(1)).args(arguments);
    command
}

fn measure() {
    let parent = argument("folder").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(parent).unwrap();
    let arrived = folder.path().join("arrived");
    fs::write(&arrived, "0").unwrap();
    let arrived = format!("arrived={}", arrived.display());
    let mut servers = role("servers", std::slice::from_ref(&arrived)).stdout(Stdio::piped()).spawn().unwrap();
    let said = servers.stdout.take().unwrap();
    let places = BufReader::new(said).lines().next().unwrap().unwrap();
    for mail in ["live", "mixed"] {
        let store = format!("store={}", folder.path().join(mail).display());
        let arguments: Vec<String> = [format!("mail={mail}"), store, arrived.clone()]
            .into_iter()
            .chain(places.split(' ').map(str::to_owned))
            .collect();
        run(role("fill", &arguments));
        run(role("relay", &arguments));
    }
    end(servers);
}

fn run(mut command: Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// DNS, a server that takes everything, one that answers no connection, and none at all, all at one port.
async fn servers() {
    let zone = |name: &str, address| Zone::unsigned(name, &format!("* MX 10 mx.{name}.\nmx A {address}"));
    let zones = [zone("live.test", LIVE), zone("refuses.test", REFUSES), zone("deaf.test", DEAF)];
    let names = NameServer::start(&zones).unwrap();
    let live = TcpSocket::new_v4().unwrap();
    live.bind(format!("{LIVE}:0").parse().unwrap()).unwrap();
    let listener = live.listen(BACKLOG).unwrap();
    let port = listener.local_addr().unwrap().port();
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind(format!("{DEAF}:{port}").parse().unwrap()).unwrap();
    let deaf = deaf.listen(1).unwrap();
    // Whoever is not accepted fills the backlog, and further ones get no answer.
    let mut fillers = Vec::new();
    for _ in 0..2 {
        fillers.push(TcpStream::connect((DEAF, port)).await.unwrap());
    }
    let arrived = Arc::new(AtomicU64::new(0));
    tokio::spawn(tell(Arc::clone(&arrived), path("arrived")));
    row(&format!("port={port} dns={}", names.address()));
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(take(stream, Arc::clone(&arrived)));
    }
    drop((deaf, fillers));
}

/// Writes down how many messages have arrived.
async fn tell(arrived: Arc<AtomicU64>, file: PathBuf) {
    let temporary = file.with_extension("new");
    loop {
        fs::write(&temporary, arrived.load(Ordering::Relaxed).to_string()).unwrap();
        fs::rename(&temporary, &file).unwrap();
        tokio::time::sleep(LOOK).await;
    }
}

/// Takes whatever comes.
async fn take(stream: TcpStream, arrived: Arc<AtomicU64>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = tokio::io::BufReader::new(stream);
    stream.write_all(b"220 sink\r\n").await?;
    let (mut line, mut is_content) = (String::new(), false);
    while stream.read_line(&mut line).await? > 0 {
        let reply: &[u8] = match (is_content, line.get(..4).unwrap_or(&line)) {
            (true, ".\r\n") => {
                arrived.fetch_add(1, Ordering::Relaxed);
                is_content = false;
                b"250 taken\r\n"
            }
            (true, _) => b"",
            (false, "EHLO") => b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            (false, "DATA") => {
                is_content = true;
                b"354 go on\r\n"
            }
            (false, "QUIT") => b"221 bye\r\n",
            (false, _) => b"250 ok\r\n",
        };
        stream.write_all(reply).await?;
        line.clear();
    }
    Ok(())
}

/// Where the recipient of this number is.
fn domain(number: u64, domains: u64) -> String {
    // Neighbours are far from each other.
    let domain = number.wrapping_mul(7919) % domains;
    match domain % 6 {
        0 => format!("d{domain}.refuses.test"),
        1 => format!("d{domain}.deaf.test"),
        _ => format!("d{domain}.live.test"),
    }
}

/// Numbers of the recipients in the queue.
fn recipients() -> Vec<u64> {
    let (entries, domains) = (number("entries", 100_000), number("domains", 10_000));
    let with_dead = argument("mail").as_deref() == Some("mixed");
    (0..entries).filter(|number| with_dead || domain(*number, domains).ends_with("live.test")).collect()
}

async fn open(folder: &Path) -> (Store, Duration) {
    let begun = clock::instant();
    let options = Options { path: folder.to_owned(), reserve_octets: 0, ..Options::default() };
    (mailstore::open(options).await.unwrap(), begun.elapsed())
}

async fn fill() {
    let (store, _) = open(&path("store")).await;
    let (recipients, domains) = (Arc::new(recipients()), number("domains", 10_000));
    let next = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (store, recipients, next) = (store.clone(), Arc::clone(&recipients), Arc::clone(&next));
            tokio::spawn(async move {
                while let Some(number) =
                    recipients.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap())
                {
                    accept(&store, &format!("b{number}@{}", domain(*number, domains))).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    store.close().await;
}

async fn accept(store: &Store, recipient: &str) {
    let now = clock::unix_seconds();
    let mut draft = store.intake.draft(0).await.unwrap();
    draft.write(CONTENT).await.unwrap();
    draft.write(&b"a line of no meaning at all, of which there are some\r\n".repeat(16)).await.unwrap();
    let delivery = Delivery {
        delivery_prefix: Vec::new(),
        prefix: Vec::new(),
        reverse_path: ReversePath::Mailbox(Mailbox::parse("a@example.test").unwrap()),
        maildrops: Vec::new(),
        fate: Fate::Shared,
        relay: vec![RelayRecipient {
            mailbox: Mailbox::parse(recipient).unwrap(),
            due: now,
            expires: now + 500_000,
            terms: RecipientTerms::default(),
        }],
        terms: Terms { body: Some(Body::SevenBit), ..Terms::default() },
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow::default(),
        carried: None,
        concludes: Vec::new(),
    };
    draft.commit(delivery).await.unwrap();
}

fn tables(folder: &Path) -> RelayTables {
    let (port, dns) = (number("port", 25), argument("dns").unwrap());
    let relay = argument("relay").unwrap_or_default();
    RelayTables {
        relay: toml::from_str(&format!("port = {port}\n{relay}")).unwrap(),
        dns: toml::from_str(&format!("name_servers = [\"{dns}\"]\ndnssec = \"off\"")).unwrap(),
        dkim: toml::from_str(&format!("keys = \"{}\"", folder.join("dkim").display())).unwrap(),
        ..RelayTables::default()
    }
}

async fn relay() {
    let folder = path("store");
    let (store, opened) = open(&folder).await;
    let server =
        Server { hostname: "mail.example.test".to_owned(), domains: vec!["example.test".to_owned()] };
    let itself =
        Itself { names: [server.hostname.clone()].into(), addresses: ["127.0.0.1".parse().unwrap()].into() };
    let tables = tables(&folder);
    let relay = Relay::new(&tables, &server, Names::new(&tables.dns, itself).unwrap(), &store).unwrap();
    let (trigger, shutdown) = Shutdown::new();
    let before = arrived();
    let begun = clock::instant();
    let relaying = tokio::spawn(relay.run(shutdown));
    let first = until(|| arrived() > before, begun).await;
    let domains = number("domains", 10_000);
    let live =
        recipients().into_iter().filter(|number| domain(*number, domains).ends_with("live.test")).count();
    let mail = argument("mail").unwrap();
    row(&format!("{mail}: open {} ms, first {} ms", opened.as_millis(), first.as_millis()));
    let all = u64::try_from(live).unwrap();
    let took = watch(before, all, begun).await;
    let rate = arrived().saturating_sub(before) * 1000 / u64::try_from(took.as_millis()).unwrap().max(1);
    row(&format!("{mail}: all {:.1} s, {rate} messages/s", took.as_secs_f64()));
    left(&store).await;
    let begun = clock::instant();
    trigger.trigger();
    relaying.await.unwrap();
    row(&format!("{mail}: drain {} ms", begun.elapsed().as_millis()));
    store.close().await;
    let (store, reopened) = open(&folder).await;
    row(&format!("{mail}: reopen {} ms", reopened.as_millis()));
    store.close().await;
}

/// What is left of the mail for live domains, where some is.
async fn left(store: &Store) {
    let (now, mut after, mut counts) = (clock::unix_seconds(), None, BTreeMap::<_, usize>::new());
    loop {
        let page = store.queue.list(&QueueFilter::default(), after, 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for entry in page.iter().filter(|entry| entry.recipient.text().ends_with("live.test")) {
            let when = match (entry.is_leased, entry.due > now) {
                (true, _) => "taken",
                (false, true) => "waiting for its time",
                (false, false) => "due",
            };
            *counts.entry((when, entry.attempts > 0, entry.last_result.clone())).or_default() += 1;
        }
    }
    for ((when, tried, said), count) in counts {
        row(&format!("left: {count} {when}, {}: {said}", if tried { "tried" } else { "not tried" }));
    }
}

/// A row each second, until all has arrived.
async fn watch(before: u64, all: u64, begun: Instant) -> Duration {
    let most = Duration::from_secs(number("seconds_max", 120));
    let (mut second, mut last) = (0, 0);
    loop {
        let here = arrived().saturating_sub(before);
        if here >= all || begun.elapsed() > most {
            row(&format!("{:>4} s {:>6} MiB {here:>8}", begun.elapsed().as_secs(), memory_mib()));
            return begun.elapsed();
        }
        if begun.elapsed().as_secs() > second {
            second = begun.elapsed().as_secs();
            row(&format!("{second:>4} s {:>6} MiB {here:>8} {:>6}/s", memory_mib(), here - last));
            last = here;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn until(condition: impl Fn() -> bool, begun: Instant) -> Duration {
    while !condition() && begun.elapsed() < Duration::from_mins(1) {
        tokio::time::sleep(LOOK).await;
    }
    begun.elapsed()
}

fn arrived() -> u64 {
    fs::read_to_string(path("arrived")).unwrap().parse().unwrap()
}

/// The memory that this process has.
fn memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}
