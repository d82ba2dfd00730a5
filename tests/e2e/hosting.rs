//! Daemons as processes of their own on one store: whoever hosts it may be killed at any time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mailstack_tests::apart::{Apart, Layout, Part};
use mailstack_tests::deadline::{now, wait_for};
use mailstack_tests::smtp::Smtp;

/// Sends one message and gives the last reply's code, or that of the first refusal.
fn send(smtp: &mut Smtp, name: &str) -> io::Result<u16> {
    for line in ["MAIL FROM:<a@example.org>", "RCPT TO:<bob@example.test>", "DATA"] {
        let reply = smtp.ask(line)?;
        if reply.code >= 400 {
            smtp.ask("RSET")?;
            return Ok(reply.code);
        }
    }
    smtp.say(format!("Subject: {name}\r\n\r\n{name}\r\n.\r\n").as_bytes())?;
    Ok(smtp.reply()?.code)
}

/// The names of all messages that bob has.
fn names(apart: &Apart) -> Vec<String> {
    let mut maildrop = apart.maildrop("bob").unwrap();
    let count = maildrop.count().unwrap();
    (1..=count)
        .map(|number| {
            let message = String::from_utf8(maildrop.retrieve(number).unwrap()).unwrap();
            let (_, text) = message.split_once("\r\n\r\n").unwrap();
            assert!(message.contains(&format!("\r\nSubject: {text}")), "{message} is torn");
            text.trim_end().to_owned()
        })
        .collect()
}

#[test]
fn a_store_that_is_served_apart_is_shared_by_daemons_that_cannot_read_it() {
    let apart = Apart::new(Layout::Hardened).unwrap();
    apart.start(Part::Store).unwrap();
    apart.add_account("bob").unwrap();
    apart.start(Part::Smtp).unwrap();
    apart.start(Part::Pop3).unwrap();
    if apart.keeps_daemons_out().unwrap() {
        assert!(!apart.daemons_can_read_the_store().unwrap());
    }
    let mut smtp = apart.reception().unwrap();
    assert_eq!(send(&mut smtp, "one").unwrap(), 250);
    assert_eq!(names(&apart), ["one"]);
    let mut maildrop = apart.maildrop("bob").unwrap();
    assert_eq!(maildrop.count().unwrap(), 1);
    assert_eq!(apart.host().unwrap(), Some(Part::Store));

    apart.kill(Part::Store).unwrap();
    let code = send(&mut smtp, "two").unwrap();
    assert!([421, 451].contains(&code), "{code}");
    let failure = maildrop.retrieve(1).unwrap_err().to_string();
    assert!(failure.contains("[SYS/TEMP]"), "{failure}");
    let failure = apart.maildrop("bob").err().unwrap().to_string();
    assert!(failure.contains("[SYS/TEMP]"), "{failure}");
    let failure = apart.add_account("carol").unwrap_err().to_string();
    assert!(failure.contains("`mailstack store serve`"), "{failure}");
    assert_eq!(apart.host().unwrap(), None);

    apart.start(Part::Store).unwrap();
    assert_eq!(send(&mut apart.reception().unwrap(), "three").unwrap(), 250);
    assert_eq!(names(&apart), ["one", "three"]);
    apart.terminate(Part::Store).unwrap();
    apart.start(Part::Store).unwrap();
    assert_eq!(names(&apart), ["one", "three"]);
}

#[test]
fn a_store_that_is_hosted_has_no_second_host() {
    let apart = Apart::new(Layout::Hardened).unwrap();
    apart.start(Part::Store).unwrap();
    let refused = apart.start(Part::Store).unwrap_err().to_string();
    assert!(refused.contains("is hosted by another process already"), "{refused}");
}

/// Sessions that send at a time.
const SENDERS: u64 = 4;

/// What is set from outside to measure for longer: `HOST_KILLS=20 HOST_KILL_SECONDS=3` is a minute.
struct Plan {
    kills: u64,
    /// Messages that are acknowledged, and the time that passes, between two kills.
    acknowledged: u64,
    pause: Duration,
}

impl Plan {
    fn new() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
        let pause = Duration::from_secs(number("HOST_KILL_SECONDS").unwrap_or(0));
        Self { kills: number("HOST_KILLS").unwrap_or(4), acknowledged: 50, pause }
    }
}

/// What the threads share.
struct Load<'a> {
    apart: &'a Apart,
    next: AtomicU64,
    acknowledged: Mutex<BTreeMap<String, Instant>>,
    refusals: AtomicU64,
    fetches: AtomicU64,
    ended: AtomicBool,
}

impl Load<'_> {
    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    /// Sends messages one after the other; each again until it is acknowledged.
    fn send(&self) {
        let mut smtp = None;
        while self.goes_on() {
            let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
            while self.goes_on() && !self.acknowledged.lock().unwrap().contains_key(&name) {
                smtp = self.attempt(smtp, &name).inspect_err(|_| thread::yield_now()).ok();
            }
        }
    }

    /// The connection, where it is still good.
    fn attempt(&self, smtp: Option<Smtp>, name: &str) -> io::Result<Smtp> {
        let mut smtp = match smtp {
            Some(smtp) => smtp,
            None => self.apart.reception()?,
        };
        let code = send(&mut smtp, name)?;
        if code == 250 {
            self.acknowledged.lock().unwrap().insert(name.to_owned(), now());
        } else {
            assert!((400..500).contains(&code), "message {name} was answered with {code}");
            self.refusals.fetch_add(1, Ordering::Relaxed);
        }
        Ok(smtp)
    }

    /// Looks into the maildrop again and again.
    fn fetch(&self) {
        while self.goes_on() {
            let looked = self.apart.maildrop("bob").and_then(|mut maildrop| {
                let count = maildrop.count()?;
                if count > 0 {
                    maildrop.retrieve(count)?;
                }
                maildrop.quit()
            });
            match looked {
                Ok(()) => _ = self.fetches.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    let refused = error.kind() == io::ErrorKind::Other;
                    let text = error.to_string();
                    assert!(!refused || text.contains("[SYS/TEMP]") || text.contains("[IN-USE]"), "{text}");
                }
            }
        }
    }

    /// Kills whoever hosts, and starts it again, as a supervisor does.
    fn kill_hosts(&self, plan: &Plan) -> BTreeMap<Part, u64> {
        let mut killed = BTreeMap::new();
        for _ in 0..plan.kills {
            let (begin, before) = (now(), self.acknowledged.lock().unwrap().len() as u64);
            wait_for("messages between two kills", || {
                let since = (self.acknowledged.lock().unwrap().len() as u64).saturating_sub(before);
                Ok((since >= plan.acknowledged && begin.elapsed() >= plan.pause).then_some(()))
            })
            .unwrap();
            let host = wait_for("a host", || self.apart.host()).unwrap();
            self.apart.kill(host).unwrap();
            self.apart.start(host).unwrap();
            *killed.entry(host).or_default() += 1;
        }
        let before = self.acknowledged.lock().unwrap().len() as u64;
        wait_for("messages after the last kill", || {
            let after = self.acknowledged.lock().unwrap().len() as u64;
            Ok((after >= before + plan.acknowledged).then_some(()))
        })
        .unwrap();
        killed
    }
}

#[test]
fn whichever_daemon_hosts_is_killed_again_and_again_and_nothing_acknowledged_is_lost() {
    let plan = Plan::new();
    let apart = Apart::new(Layout::Anyone).unwrap();
    apart.add_account("bob").unwrap();
    apart.start(Part::Smtp).unwrap();
    apart.start(Part::Pop3).unwrap();
    let load = Load {
        apart: &apart,
        next: AtomicU64::new(0),
        acknowledged: Mutex::default(),
        refusals: AtomicU64::new(0),
        fetches: AtomicU64::new(0),
        ended: AtomicBool::new(false),
    };
    let begin = now();
    let killed = thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| load.send());
        }
        scope.spawn(|| load.fetch());
        // However the kills end, the others must hear of it.
        let killed = scope.spawn(|| load.kill_hosts(&plan)).join();
        load.ended.store(true, Ordering::Relaxed);
        killed.unwrap()
    });
    let seconds = begin.elapsed().as_secs();
    let mut there: BTreeMap<String, u64> = BTreeMap::new();
    for name in names(&apart) {
        *there.entry(name).or_default() += 1;
    }
    let acknowledged = load.acknowledged.into_inner().unwrap();
    let lost: Vec<_> = acknowledged.keys().filter(|name| !there.contains_key(*name)).collect();
    let mut times: Vec<_> = acknowledged.values().copied().collect();
    times.sort();
    let longest = times.iter().zip(times.iter().skip(1)).map(|(one, other)| *other - *one).max().unwrap();
    let doubled = there.values().filter(|count| **count > 1).count();
    writeln!(
        io::stderr(),
        "{seconds} s, killed {killed:?}: {} acknowledged, {} lost, {doubled} doubled, {} refusals, {} fetches, longest \
         time without an accepted message {longest:?}",
        acknowledged.len(),
        lost.len(),
        load.refusals.into_inner(),
        load.fetches.into_inner(),
    )
    .unwrap();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(killed.values().sum::<u64>(), plan.kills);
}
