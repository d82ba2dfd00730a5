//! Guesses at logins: who has to wait for a turn, and who is put off whatever they try.
//!
//! Three counts are kept. *One login from one address*: the first guesses are free, the next ones wait longer and longer,
//! then this login is put off from there. *One address* (and its neighbourhood), for a dictionary of logins: the same for
//! all logins that are not known there. *One login from everywhere*, for guesses from many addresses: an address that the
//! login is not known at has two guesses left, so whoever owns it gets in from anywhere with the right secret.
//!
//! A login is *known* at an address where it was right lately. There it is never put off for what others did, and for its
//! own guesses it only waits its turn.

use std::time::Duration;

use mailwire::net::Network;

use super::fingerprints::{Fingerprint, LoginKey};
use super::generations::Generations;
use super::standing::{Guesses, Origin, Target, Terms, Weight};
use crate::{Admission, GuardOptions, Measure, Reason, Turn, Verdict};

/// Guesses that an unknown address gets at a login that is guessed at from many.
const ATTACKED_GUESSES_MAX: u32 = 2;
/// A right login is written down again after so long.
const KNOWN_AGAIN: Duration = Duration::from_hours(1);

/// All guesses that count.
#[derive(Debug)]
pub(super) struct Logins {
    terms: Terms,
    guesses: Generations<(LoginKey, Network), Guesses>,
    origins: Generations<Network, Origin>,
    targets: Generations<LoginKey, Target>,
    /// When a login was right at an address for the last time.
    known: Generations<(LoginKey, Network), Option<Duration>>,
}

/// Who logs in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor<'a> {
    pub(super) key: LoginKey,
    /// For the log.
    pub(super) login: &'a str,
    pub(super) address: Network,
    pub(super) neighbourhood: Network,
    pub(super) trust: Trust,
}

/// Whether many people may share the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Stranger,
    Trusted,
}

/// What a login came to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tried {
    Right,
    Wrong(Option<Fingerprint>),
}

/// Somebody who is throttled; its end is a moment of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Throttle {
    pub(super) network: Option<Network>,
    pub(super) login: Option<Box<str>>,
    pub(super) reason: Reason,
    pub(super) count: u32,
    pub(super) measure: Measure,
    pub(super) until: Duration,
}

/// What is to be done about somebody.
enum Standing {
    PutOff,
    /// After these intervals: that of the login, and that of the address.
    After(Duration, Duration),
}

impl Logins {
    pub(super) fn new(options: &GuardOptions) -> Self {
        Self {
            terms: Terms::new(options),
            guesses: Generations::new(options.entries_max),
            origins: Generations::new(options.entries_max),
            targets: Generations::new(options.entries_max),
            known: Generations::new(options.entries_max),
        }
    }

    /// Whether the login may be looked at, and when.
    pub(super) fn admit(&mut self, visitor: &Visitor<'_>, now: Duration) -> Admission {
        let (own, shared) = match self.standing(visitor, now) {
            Standing::PutOff => return Admission::PutOff,
            Standing::After(own, shared) => (own, shared),
        };
        let pair = (visitor.key, visitor.address);
        let turns = self.guesses.get(&pair).map(|guesses| guesses.turns).unwrap_or_default();
        let of_address = self.origins.get(&visitor.address).map(|origin| origin.turns).unwrap_or_default();
        let (own_delay, shared_delay) = (turns.delay(own, now), of_address.delay(shared, now));
        let delay = own_delay.max(shared_delay);
        if delay > self.terms.turn_max {
            return Admission::PutOff;
        }
        if !own.is_zero() {
            self.guesses.entry(pair).turns.take(delay, now);
        }
        if !shared.is_zero() {
            self.origins.entry(visitor.address).turns.take(delay, now);
        }
        Admission::Admitted(Turn { delay })
    }

    /// What a login came to is counted. Where too many guesses came meanwhile, it is not told: who sends them all at one
    /// time learns no more than who sends them one by one.
    pub(super) fn settle(
        &mut self,
        visitor: &Visitor<'_>,
        tried: Tried,
        turn: Turn,
        now: Duration,
    ) -> (Verdict, Vec<Throttle>) {
        let (verdict, counts) = match self.standing(visitor, now) {
            Standing::PutOff => (Verdict::PutOff, false),
            Standing::After(own, shared) => {
                let skipped_its_turn = turn.delay.is_zero() && !own.max(shared).is_zero();
                (if skipped_its_turn { Verdict::PutOff } else { Verdict::Stands }, true)
            }
        };
        match tried {
            Tried::Right if verdict == Verdict::Stands => {
                self.remember(visitor, now);
                (verdict, Vec::new())
            }
            Tried::Wrong(secret) if counts => (verdict, self.count(visitor, secret, now)),
            Tried::Right | Tried::Wrong(_) => (verdict, Vec::new()),
        }
    }

    fn standing(&self, visitor: &Visitor<'_>, now: Duration) -> Standing {
        let terms = &self.terms;
        let guesses = self.guesses.get(&(visitor.key, visitor.address));
        let count = guesses.map_or(0, |guesses| guesses.count(terms, now));
        let is_known = self.is_known(visitor, now);
        let is_attacked =
            !is_known && self.targets.get(&visitor.key).is_some_and(|target| target.is_attacked(terms, now));
        let mut own = Guesses::interval(count, terms);
        if is_attacked {
            own = own.max(Target::interval(terms));
        }
        if is_known || visitor.trust == Trust::Trusted {
            return Standing::After(own, Duration::ZERO);
        }
        let is_refused = guesses.is_some_and(|guesses| guesses.refusal.holds(now));
        let [address, neighbourhood] =
            [visitor.address, visitor.neighbourhood].map(|network| self.origins.get(&network).copied());
        let is_closed = |origin: Option<Origin>| origin.is_some_and(|origin| origin.refusal.holds(now));
        if is_refused
            || is_closed(address)
            || is_closed(neighbourhood)
            || (is_attacked && count >= ATTACKED_GUESSES_MAX)
        {
            return Standing::PutOff;
        }
        Standing::After(own, address.map_or(Duration::ZERO, |origin| origin.interval(terms, now)))
    }

    fn is_known(&self, visitor: &Visitor<'_>, now: Duration) -> bool {
        let known = self.known.get(&(visitor.key, visitor.address)).copied().flatten();
        known.is_some_and(|at| at.saturating_add(self.terms.known) > now)
    }

    fn remember(&mut self, visitor: &Visitor<'_>, now: Duration) {
        let pair = (visitor.key, visitor.address);
        let known = self.known.get(&pair).copied().flatten();
        if known.is_none_or(|at| at.saturating_add(KNOWN_AGAIN) <= now) {
            *self.known.entry(pair) = Some(now);
        }
    }

    /// One more failure; returns what begins with it.
    fn count(&mut self, visitor: &Visitor<'_>, secret: Option<Fingerprint>, now: Duration) -> Vec<Throttle> {
        let terms = &self.terms;
        let is_bound = !self.is_known(visitor, now) && visitor.trust == Trust::Stranger;
        let guesses = self.guesses.entry((visitor.key, visitor.address));
        if guesses.login.is_empty() {
            guesses.login = visitor.login.into();
        }
        let weight = guesses.add(secret, terms, now);
        let count = guesses.count(terms, now);
        let mut begun = Vec::new();
        if is_bound && terms.guesses_max > 0 && count >= terms.guesses_max {
            guesses.refuse(terms, count, now);
            begun.push(put_off(Some(visitor.address), Some(visitor.login), count, guesses.refusal.until));
        }
        if weight == Weight::Nothing {
            return begun;
        }
        let target = self.targets.entry(visitor.key);
        let was_attacked = target.is_attacked(terms, now);
        weight.add_to(&mut target.count, terms.account, now);
        if target.login.is_empty() {
            target.login = visitor.login.into();
        }
        if !was_attacked && target.is_attacked(terms, now) {
            begun.push(attacked(target, terms, now));
        }
        if visitor.trust == Trust::Stranger {
            let places = [(visitor.address, terms.network), (visitor.neighbourhood, terms.neighbourhood)];
            for (network, rate) in places {
                let origin = self.origins.entry(network);
                weight.add_to(&mut origin.count, rate, now);
                let count = origin.count.level(rate, now);
                if rate.most > 0 && count >= rate.most && !origin.refusal.holds(now) {
                    origin.refuse(terms, count, now);
                    begun.push(put_off(Some(network), None, count, origin.refusal.until));
                }
            }
        }
        begun
    }

    /// Everybody who is throttled now.
    pub(super) fn throttles(&self, now: Duration) -> impl Iterator<Item = Throttle> {
        let terms = &self.terms;
        let guesses = self.guesses.iter().filter_map(move |((_, network), guesses)| {
            let count = guesses.count(terms, now);
            if guesses.refusal.holds(now) {
                let Guesses { login, refusal, .. } = guesses;
                return Some(put_off(Some(*network), Some(login), refusal.guesses, refusal.until));
            }
            let login = Some(guesses.login.clone());
            (count >= terms.free).then(|| slowed(Some(*network), login, count, guesses.run_out(terms)))
        });
        let origins = self.origins.iter().filter_map(move |(network, origin)| {
            if origin.refusal.holds(now) {
                return Some(put_off(Some(*network), None, origin.refusal.guesses, origin.refusal.until));
            }
            let count = origin.count.level(terms.network, now);
            let is_address = Network::subscriber(network.first()) == *network;
            (is_address && count >= terms.free).then(|| {
                let until = origin.count.falls_to(terms.network, terms.free.saturating_sub(1));
                slowed(Some(*network), None, count, until)
            })
        });
        let targets = self.targets.iter().filter(move |(_, target)| target.is_attacked(terms, now));
        let targets = targets.map(move |(_, target)| attacked(target, terms, now));
        guesses.chain(origins).chain(targets)
    }

    /// Forgets the guesses of all addresses within.
    pub(super) fn forgive_network(&mut self, within: &Network) {
        self.guesses.retain(|(_, network)| !within.covers(network));
        self.origins.retain(|network| !within.covers(network));
    }

    /// Forgets the guesses at one login.
    pub(super) fn forgive_login(&mut self, login: LoginKey) {
        self.guesses.retain(|(key, _)| *key != login);
        self.targets.retain(|key| *key != login);
    }

    /// Forgets all guesses.
    pub(super) fn forgive_all(&mut self) {
        self.guesses.retain(|_| false);
        self.origins.retain(|_| false);
        self.targets.retain(|_| false);
    }
}

fn put_off(network: Option<Network>, login: Option<&str>, count: u32, until: Duration) -> Throttle {
    let (login, measure) = (login.map(Into::into), Measure::PutOff);
    Throttle { network, login, reason: Reason::Guesses, count, measure, until }
}

fn slowed(network: Option<Network>, login: Option<Box<str>>, count: u32, until: Duration) -> Throttle {
    Throttle { network, login, reason: Reason::Guesses, count, measure: Measure::Slowed, until }
}

fn attacked(target: &Target, terms: &Terms, now: Duration) -> Throttle {
    let until = target.count.falls_to(terms.account, terms.account.most.saturating_sub(1));
    slowed(None, Some(target.login.clone()), target.count.level(terms.account, now), until)
}

#[cfg(test)]
mod tests {
    use mailwire::secret::Secret;
    use proptest::prelude::*;

    use super::super::fingerprints::Fingerprints;
    use super::*;

    const START: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_mins(1);
    const HERE: &str = "192.0.2.1";
    const ELSEWHERE: &str = "198.51.100.9";

    /// Nobody waits, so that only the limits decide.
    fn options() -> GuardOptions {
        GuardOptions { turn_seconds_max: 0, ..GuardOptions::default() }
    }

    /// The guard with a clock that stands still until it is moved.
    struct Gate {
        logins: Logins,
        made: Fingerprints,
        trusted: Option<Network>,
        now: Duration,
    }

    impl Gate {
        fn new(options: &GuardOptions) -> Self {
            let trusted = options.trusted.first().copied();
            Self { logins: Logins::new(options), made: Fingerprints::new().unwrap(), trusted, now: START }
        }

        fn visitor<'a>(&self, login: &'a str, address: &str) -> Visitor<'a> {
            let peer = address.parse().unwrap();
            let trusted = self.trusted.is_some_and(|network| network.contains(peer));
            Visitor {
                key: self.made.login(login),
                login,
                address: Network::subscriber(peer),
                neighbourhood: Network::around(peer, if peer.is_ipv4() { 24 } else { 48 }),
                trust: if trusted { Trust::Trusted } else { Trust::Stranger },
            }
        }

        /// What somebody hears who tries `secret`; "right" is right, and "?" is a proof without one.
        fn try_in(&mut self, login: &str, address: &str, secret: &str) -> &'static str {
            let visitor = self.visitor(login, address);
            match self.logins.admit(&visitor, self.now) {
                Admission::PutOff => "later",
                Admission::Admitted(turn) => self.settle(login, address, secret, turn),
            }
        }

        fn settle(&mut self, login: &str, address: &str, secret: &str, turn: Turn) -> &'static str {
            let tried = match secret {
                "right" => Tried::Right,
                "?" => Tried::Wrong(None),
                _ => Tried::Wrong(Some(self.made.secret(login, &Secret::new(secret.to_owned())))),
            };
            let visitor = self.visitor(login, address);
            match (self.logins.settle(&visitor, tried, turn, self.now).0, secret) {
                (Verdict::PutOff, _) => "later",
                (Verdict::Stands, "right") => "in",
                (Verdict::Stands, _) => "wrong",
            }
        }

        /// Tries `count` words and says how many of them were answered.
        fn dictionary(&mut self, login: &str, address: &str, count: u32) -> u32 {
            let words = (0..count).map(|word| format!("word-{word}"));
            let answers = words.map(|word| self.try_in(login, address, &word));
            answers.map(|answer| u32::from(answer == "wrong")).sum()
        }
    }

    #[test]
    fn a_dictionary_is_stopped_after_a_few_tries_and_the_right_word_with_it() {
        let mut gate = Gate::new(&options());
        assert_eq!(gate.dictionary("alice", HERE, 1000), 10);
        assert_eq!(gate.try_in("alice", HERE, "right"), "later");
        assert_eq!(gate.try_in("ALICE", HERE, "right"), "later");
        assert_eq!(gate.try_in("bob", HERE, "right"), "in");
        assert_eq!(gate.try_in("alice", ELSEWHERE, "right"), "in");
    }

    #[test]
    fn one_stale_password_blocks_nobody_however_often_it_is_tried() {
        let mut gate = Gate::new(&GuardOptions::default());
        for minute in 0..10_000 {
            gate.now = START + MINUTE * minute;
            for _four_mechanisms in 0..4 {
                assert_eq!(gate.try_in("alice", HERE, "stale"), "wrong");
            }
        }
        for login in ["alice", "bob"] {
            assert_eq!(gate.logins.admit(&gate.visitor(login, HERE), gate.now), admitted(0));
        }
    }

    fn admitted(milliseconds: u64) -> Admission {
        Admission::Admitted(Turn { delay: Duration::from_millis(milliseconds) })
    }

    #[test]
    fn scram_with_a_stale_password_every_five_minutes_blocks_nobody() {
        let mut gate = Gate::new(&GuardOptions::default());
        for time in 0..1000 {
            gate.now = START + MINUTE * 5 * time;
            let visitor = gate.visitor("alice", HERE);
            let Admission::Admitted(turn) = gate.logins.admit(&visitor, gate.now) else { panic!("{time}") };
            assert_eq!(gate.settle("alice", HERE, "?", turn), "wrong");
        }
        assert_eq!(gate.logins.admit(&gate.visitor("bob", HERE), gate.now), admitted(0));
    }

    #[test]
    fn guesses_by_scram_are_stopped_as_well() {
        let mut gate = Gate::new(&options());
        let answers = (0..1000).map(|_| gate.try_in("alice", HERE, "?"));
        assert_eq!(answers.filter(|answer| *answer == "wrong").count(), 30);
    }

    #[test]
    fn an_address_that_tries_one_word_at_many_logins_is_put_off_for_all_that_are_not_known_there() {
        let mut gate = Gate::new(&options());
        assert_eq!(gate.try_in("known", HERE, "right"), "in");
        let logins: Vec<String> = (0..200).map(|number| format!("login-{number}")).collect();
        let answers = logins.iter().map(|login| gate.try_in(login, HERE, "summer"));
        assert_eq!(answers.filter(|answer| *answer == "wrong").count(), 50);
        assert_eq!(gate.try_in("new", HERE, "right"), "later");
        assert_eq!(gate.try_in("known", HERE, "right"), "in");
        assert_eq!(gate.try_in("new", "192.0.2.2", "right"), "in");
    }

    #[test]
    fn a_neighbourhood_is_put_off_when_four_of_its_addresses_would_be() {
        for (prefix, beside) in [("192.0.2.", "192.0.3.1"), ("2001:db8:7:", "2001:db8:8::1")] {
            let mut gate = Gate::new(&options());
            let suffix = if prefix.contains(':') { "::1" } else { "" };
            let mut answered = 0;
            for host in 1..100 {
                let address = format!("{prefix}{host}{suffix}");
                answered += gate.dictionary(&format!("login-{host}"), &address, 10);
            }
            assert_eq!(answered, 200);
            assert_eq!(gate.try_in("owner", &format!("{prefix}200{suffix}"), "right"), "later");
            assert_eq!(gate.try_in("owner", beside, "right"), "in");
        }
    }

    #[test]
    fn an_attack_from_everywhere_leaves_its_victim_in_from_anywhere() {
        let mut gate = Gate::new(&options());
        assert_eq!(gate.try_in("alice", HERE, "right"), "in");
        let mut answered = 0;
        for number in 0..1000 {
            answered += gate.dictionary("alice", &format!("10.{}.{}.1", number / 250, number % 250), 10);
        }
        // Ten each, up to the limit of the account, and then two each.
        assert_eq!(answered, 5 * 10 + 995 * 2);
        assert_eq!(gate.try_in("alice", HERE, "right"), "in");
        assert_eq!(gate.try_in("alice", ELSEWHERE, "stale"), "wrong");
        assert_eq!(gate.try_in("alice", ELSEWHERE, "right"), "in");
        assert_eq!(gate.try_in("bob", "10.0.0.2", "right"), "in");
    }

    #[test]
    fn where_a_login_is_known_it_only_waits_its_turn() {
        let mut gate = Gate::new(&GuardOptions::default());
        assert_eq!(gate.try_in("alice", HERE, "right"), "in");
        let visitor = gate.visitor("alice", HERE);
        for word in 0..100 {
            gate.now += Duration::from_secs(10);
            let Admission::Admitted(turn) = gate.logins.admit(&visitor, gate.now) else { panic!("{word}") };
            assert_eq!(gate.settle("alice", HERE, &format!("word-{word}"), turn), "wrong");
        }
        gate.now += Duration::from_secs(10);
        assert_eq!(gate.logins.admit(&visitor, gate.now), admitted(10_000));
        assert_eq!(gate.logins.admit(&visitor, gate.now), Admission::PutOff, "one after the other");
        gate.now += MINUTE * 60 * 24 * 31;
        assert!(!gate.logins.is_known(&visitor, gate.now));
    }

    #[test]
    fn the_wait_for_a_turn_doubles_with_each_guess_that_is_not_free() {
        let mut gate = Gate::new(&GuardOptions::default());
        let mut delays = Vec::new();
        for word in 0..10 {
            gate.now += MINUTE;
            let Admission::Admitted(turn) = gate.logins.admit(&gate.visitor("alice", HERE), gate.now) else {
                panic!("{word}")
            };
            delays.push(turn.delay.as_secs());
            gate.settle("alice", HERE, &format!("word-{word}"), turn);
        }
        assert_eq!(delays, [0, 0, 0, 0, 0, 1, 2, 4, 8, 10]);
    }

    #[test]
    fn after_five_errors_an_address_has_five_guesses_a_second_at_most() {
        let mut gate = Gate::new(&GuardOptions::default());
        for login in ["a", "b", "c", "d", "e"] {
            assert_eq!(gate.try_in(login, HERE, "x"), "wrong");
        }
        let logins: Vec<String> = (0..60).map(|number| format!("login-{number}")).collect();
        let mut delays = logins.iter().map(|login| gate.logins.admit(&gate.visitor(login, HERE), gate.now));
        for turn in 1..=50 {
            assert_eq!(delays.next(), Some(admitted(200 * turn)));
        }
        assert!(
            delays.all(|admission| admission == Admission::PutOff),
            "nobody waits for more than ten seconds"
        );
    }

    #[test]
    fn guesses_sent_at_one_time_tell_no_more_than_guesses_sent_one_by_one() {
        let mut gate = Gate::new(&GuardOptions::default());
        for word in 0..200 {
            let turn = Turn { delay: Duration::ZERO };
            let answer = gate.settle("alice", HERE, &format!("word-{word}"), turn);
            assert_eq!(answer, if word < 5 { "wrong" } else { "later" });
        }
        assert_eq!(gate.settle("alice", HERE, "right", Turn { delay: Duration::ZERO }), "later");
        assert_eq!(gate.try_in("alice", HERE, "right"), "later");
    }

    #[test]
    fn a_refusal_ends_by_itself_and_is_longer_the_next_time() {
        let mut gate = Gate::new(&options());
        for minutes in [15, 30, 60, 120, 240, 240] {
            assert_eq!(gate.dictionary("alice", HERE, 1000), 10);
            let end = gate.now + MINUTE * minutes;
            gate.now += Duration::from_secs(60 * u64::from(minutes) - 1);
            assert_eq!(gate.try_in("alice", HERE, "right"), "later", "{minutes}");
            gate.now = end;
        }
        gate.now += MINUTE * 241;
        assert_eq!(gate.dictionary("alice", HERE, 1000), 10);
        gate.now += MINUTE * 15;
        assert_eq!(gate.try_in("alice", HERE, "right"), "in");
    }

    #[test]
    fn a_trusted_address_stands_for_many_people() {
        let trusted = vec!["192.0.2.0/24".parse().unwrap()];
        let mut gate = Gate::new(&GuardOptions { trusted, ..options() });
        assert_eq!(gate.dictionary("alice", HERE, 100), 100);
        assert_eq!(gate.try_in("alice", HERE, "right"), "in");
        assert_eq!(gate.logins.throttles(gate.now).filter(|throttle| throttle.login.is_none()).count(), 0);
    }

    #[test]
    fn a_limit_of_nought_is_none() {
        let none =
            GuardOptions { guesses_max: 0, network_guesses_max: 0, account_guesses_max: 0, ..options() };
        let mut gate = Gate::new(&none);
        assert_eq!(gate.dictionary("alice", HERE, 1000), 1000);
        assert_eq!(gate.try_in("alice", HERE, "right"), "in");
    }

    #[test]
    fn who_is_throttled_is_shown_and_can_be_forgiven() {
        let mut gate = Gate::new(&options());
        gate.dictionary("alice", HERE, 10);
        gate.dictionary("bob", "2001:db8::1", 5);
        let mut shown: Vec<_> = gate
            .logins
            .throttles(gate.now)
            .map(|throttle| {
                let network = throttle.network.map(|network| network.to_string()).unwrap_or_default();
                let login = throttle.login.unwrap_or_default();
                format!("{network} {login} {} {:?}", throttle.count, throttle.measure)
            })
            .collect();
        shown.sort();
        let expected = [
            "192.0.2.1  10 Slowed",
            "192.0.2.1 alice 10 PutOff",
            "2001:db8::/64  5 Slowed",
            "2001:db8::/64 bob 5 Slowed",
        ];
        assert_eq!(shown, expected);
        gate.logins.forgive_login(gate.made.login("alice"));
        assert_eq!(gate.try_in("alice", HERE, "right"), "in");
        gate.logins.forgive_network(&"2001:db8::/32".parse().unwrap());
        assert_eq!(gate.logins.throttles(gate.now).count(), 1);
        gate.logins.forgive_all();
        assert_eq!(gate.logins.throttles(gate.now).count(), 0);
    }

    proptest! {
        /// Whatever is tried in whatever order: an address never hears of more guesses than its limits allow, and
        /// memory is bounded.
        #[test]
        fn no_order_of_tries_gets_more_answers_than_the_limits_allow(
            tries in proptest::collection::vec((0_u8..6, 0_u8..4, 0_u8..30, 0_u64..30), 1..400),
        ) {
            let few = GuardOptions {
                guesses_max: 3,
                network_guesses_max: 8,
                entries_max: 5,
                guess_seconds: 1_000_000,
                refusal_seconds: 1_000_000,
                refusal_seconds_max: 1_000_000,
                account_guesses_max: 0,
                ..options()
            };
            let few_entries = Gate::new(&few);
            let mut gate = Gate::new(&GuardOptions { entries_max: 1000, ..few });
            let mut bounded = few_entries;
            let mut answered = std::collections::HashMap::new();
            for (login, host, word, seconds) in tries {
                gate.now += Duration::from_secs(seconds);
                let (login, address) = (format!("login-{login}"), format!("192.0.2.{host}"));
                bounded.try_in(&login, &address, &format!("word-{word}"));
                if gate.try_in(&login, &address, &format!("word-{word}")) == "wrong" {
                    let words: &mut std::collections::HashSet<_> = answered.entry((login, host)).or_default();
                    words.insert(word);
                    prop_assert!(words.len() <= 3);
                }
            }
            for host in 0..4 {
                let words = answered.iter().filter(|((_, at), _)| *at == host).map(|(_, words)| words.len());
                prop_assert!(words.sum::<usize>() <= 8);
            }
            prop_assert!(bounded.logins.guesses.iter().count() <= 10);
            prop_assert!(bounded.logins.origins.iter().count() <= 10);
            prop_assert!(bounded.logins.targets.iter().count() <= 10);
        }
    }
}
