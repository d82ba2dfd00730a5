//! Passwords are guessed at, and too much is sent: whoever does it is stopped, and nobody else notices.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{Ipv4Addr, SocketAddr};

use mailstack_tests::player::{Peer as _, Received};
use mailstack_tests::pop3::Pop3;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;
const OFFICE: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 66, 6, 6);
/// Nobody waits for a turn, so that no test has to.
const NO_TURNS: &str = "turn_seconds_max = 0\nguesses_max = 10\nnetwork_guesses_max = 20";

fn server() -> Server {
    let roomy = "login_failures_max = 1000";
    let configuration =
        Configuration { guard: NO_TURNS, smtp: roomy, pop3: roomy, ..Configuration::default() };
    Server::start(&configuration).unwrap()
}

fn submission(server: &Server, source: Ipv4Addr) -> Smtp {
    let address = server.addresses().unwrap().submission;
    Smtp::new(Stream::clear_from(source, address, server.trust()).unwrap()).unwrap()
}

fn pop3(server: &Server, source: Ipv4Addr) -> Pop3 {
    let address = server.addresses().unwrap().pop3;
    Pop3::new(Stream::clear_from(source, address, server.trust()).unwrap()).unwrap()
}

/// What SMTP says to a login: empty where it is right.
fn by_smtp(smtp: &mut Smtp, account: &str, password: &str) -> String {
    let told = smtp.login(&format!("{account}@example.test"), password);
    told.err().map(|error| error.to_string()).unwrap_or_default()
}

fn by_pop3(pop3: &mut Pop3, account: &str, password: &str) -> String {
    let told = pop3.login(&format!("{account}@example.test"), password);
    told.err().map(|error| error.to_string()).unwrap_or_default()
}

/// How many words of a dictionary are answered, half of them by each protocol, in turn.
fn dictionary(server: &Server, source: Ipv4Addr, account: &str, words: u32) -> u32 {
    let (mut smtp, mut pop3) = (submission(server, source), pop3(server, source));
    let mut answered = 0;
    for word in 0..words {
        let word = format!("word-{word}");
        answered += u32::from(by_smtp(&mut smtp, account, &word).starts_with("535 5.7.8 "));
        let word = format!("{word}-again");
        answered += u32::from(by_pop3(&mut pop3, account, &word).starts_with("-ERR [AUTH] "));
    }
    answered
}

#[test]
fn a_dictionary_is_stopped_and_the_owner_elsewhere_is_not() {
    let server = server();
    assert_eq!(dictionary(&server, ATTACKER, "alice", 20), 10);
    // Not even the right one tells now that it is right.
    let told = by_smtp(&mut submission(&server, ATTACKER), "alice", "pw-alice");
    assert!(told.starts_with("454 4.7.0 "), "{told}");
    let told = by_pop3(&mut pop3(&server, ATTACKER), "alice", "pw-alice");
    assert!(told.starts_with("-ERR [SYS/TEMP] "), "{told}");
    // The same words and the same end for a login that nobody has.
    assert_eq!(dictionary(&server, ATTACKER, "nobody", 20), 10);
    assert_eq!(dictionary(&server, ATTACKER, "bob", 20), 0, "the whole address is put off");
    for source in [HOME, OFFICE] {
        assert_eq!(by_smtp(&mut submission(&server, source), "alice", "pw-alice"), "");
        assert_eq!(by_pop3(&mut pop3(&server, source), "alice", "pw-alice"), "");
    }
    let log = server.log();
    let begun = log.lines().filter(|line| line.contains("guessing: logins are put off")).count();
    assert_eq!(begun, 3, "a line for each login and one for the address");
    assert!(!log.contains("word-"), "no password is in the log");
}

/// SCRAM answers a right proof with the server's own (RFC 5802 §3), so it must not get that far.
#[test]
fn by_scram_who_is_put_off_is_told_nothing_either() {
    let server = server();
    dictionary(&server, ATTACKER, "alice", 20);
    let auth = "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=";
    let mut smtp = submission(&server, ATTACKER);
    let told = smtp.ask(auth).unwrap().positive().unwrap_err().to_string();
    assert!(told.starts_with("454 4.7.0 "), "{told}");
    smtp.ask("NOOP").unwrap().positive().unwrap();
    let mut pop3 = pop3(&server, ATTACKER);
    let told = pop3.ask(auth).unwrap_err().to_string();
    assert!(told.starts_with("-ERR [SYS/TEMP] "), "{told}");
    pop3.ask("USER alice").unwrap();
}

#[test]
fn a_stale_password_in_an_old_telephone_blocks_nobody_at_home() {
    let server = server();
    let (mut telephone, mut by_turns) = (pop3(&server, HOME), submission(&server, HOME));
    for _ in 0..40 {
        assert!(by_pop3(&mut telephone, "alice", "stale").starts_with("-ERR [AUTH] "));
        assert!(by_smtp(&mut by_turns, "alice", "stale").starts_with("535 5.7.8 "));
    }
    for account in ["alice", "bob"] {
        let password = format!("pw-{account}");
        assert_eq!(by_pop3(&mut pop3(&server, HOME), account, &password), "");
    }
    assert_eq!(server.mailstack(&["guard", "list"], "").unwrap(), "nobody is slowed or put off\n");
}

#[test]
fn who_is_put_off_is_listed_and_cleared_by_command() {
    let mut server = server();
    assert_eq!(dictionary(&server, ATTACKER, "alice", 10), 10);
    let listed = server.mailstack(&["guard", "list", "--plain"], "").unwrap();
    assert!(listed.contains("127.66.6.6\talice@example.test\tguesses\tput-off\t10\t"), "{listed}");
    let shown = server.mailstack(&["guard", "list"], "").unwrap();
    assert!(shown.contains("127.66.6.6  alice@example.test  10 guesses, put off until 20"), "{shown}");
    let mut waiting = submission(&server, ATTACKER);
    assert!(by_smtp(&mut waiting, "alice", "pw-alice").starts_with("454 "));
    let cleared = server.mailstack(&["guard", "clear", "Alice"], "").unwrap();
    assert!(cleared.ends_with("is let in again\n"), "{cleared}");
    assert_eq!(by_smtp(&mut waiting, "alice", "pw-alice"), "");
    dictionary(&server, ATTACKER, "bob", 10);
    server.mailstack(&["guard", "clear", "127.66.0.0/16"], "").unwrap();
    assert_eq!(server.mailstack(&["guard", "list", "--plain"], "").unwrap(), "");
    server.terminate().unwrap();
    server.ended().unwrap();
    let alone = server.mailstack(&["guard", "list"], "").unwrap();
    assert!(alone.starts_with("no server runs"), "{alone}");
}

#[test]
fn a_client_that_goes_on_is_let_go_with_a_reply() {
    let server = Server::start(&Configuration { guard: NO_TURNS, ..Configuration::default() }).unwrap();
    for words in 0..2 {
        let mut smtp = submission(&server, ATTACKER);
        for word in 0..5 {
            assert!(by_smtp(&mut smtp, "alice", &format!("{words}-{word}")).starts_with("535 "));
        }
        assert!(by_smtp(&mut smtp, "alice", "x").starts_with("421 4.7.0 "));
    }
    let mut smtp = submission(&server, ATTACKER);
    for _ in 0..5 {
        assert!(by_smtp(&mut smtp, "alice", "pw-alice").starts_with("454 4.7.0 "));
    }
    assert!(by_smtp(&mut smtp, "alice", "pw-alice").starts_with("421 4.7.0 "));
}

/// A server whose clients come through a proxy, so that they count, and are answered at once.
fn behind_a_proxy(guard: &'static str, smtp: &'static str) -> Server {
    let pop3 = "proxy_trusted = [\"127.0.0.1\"]\nerror_delay_seconds = 0";
    Server::start(&Configuration { guard, smtp, pop3, ..Configuration::default() }).unwrap()
}

const AT_ONCE: &str = "proxy_trusted = [\"127.0.0.1\"]\nerror_delay_seconds = 0";

/// The first line of such a connection.
fn greeting(server: &Server, address: SocketAddr, client: &str) -> String {
    String::from_utf8(server.connection_of(client, address).unwrap().line().unwrap()).unwrap()
}

#[test]
fn who_comes_too_often_is_refused_at_the_door_of_every_service_listed_and_cleared() {
    let server = behind_a_proxy("address_connections_per_minute = 2", AT_ONCE);
    let addresses = server.addresses().unwrap();
    assert!(greeting(&server, addresses.reception, "192.0.2.7").starts_with("220 "));
    assert!(greeting(&server, addresses.pop3, "192.0.2.7").starts_with("+OK "));
    assert!(greeting(&server, addresses.submission, "192.0.2.7").starts_with("421 "));
    assert!(greeting(&server, addresses.pop3, "192.0.2.7").starts_with("-ERR [SYS/TEMP] "));
    let mut tls = server.connection_of("192.0.2.7", addresses.submissions).unwrap();
    tls.start_tls().unwrap_err();
    assert!(greeting(&server, addresses.reception, "192.0.2.8").starts_with("220 "));
    let listed = server.mailstack(&["guard", "list", "--plain"], "").unwrap();
    assert!(listed.starts_with("192.0.2.7\tall\tconnections\tput-off\t2\t"), "{listed}");
    let shown = server.mailstack(&["guard", "list"], "").unwrap();
    assert!(shown.contains("192.0.2.7  all  2 connections, put off until 20"), "{shown}");
    let told = server.log();
    assert_eq!(told.lines().filter(|line| line.contains("connections are put off")).count(), 1);
    server.mailstack(&["guard", "clear", "192.0.2.7"], "").unwrap();
    assert!(greeting(&server, addresses.reception, "192.0.2.7").starts_with("220 "));
}

#[test]
fn who_says_too_much_that_is_wrong_is_refused_at_the_door() {
    let server = behind_a_proxy("address_errors_per_hour = 10", AT_ONCE);
    let addresses = server.addresses().unwrap();
    for (address, errors) in [(addresses.reception, 6), (addresses.pop3, 4)] {
        let mut stream = server.connection_of("192.0.2.7", address).unwrap();
        stream.send(format!("{}QUIT\r\n", "XYZZY\r\n".repeat(errors)).as_bytes()).unwrap();
        while stream.receive_line().unwrap() != Received::Closed {}
    }
    assert!(greeting(&server, addresses.reception, "192.0.2.7").starts_with("421 "));
    assert!(greeting(&server, addresses.reception, "192.0.2.8").starts_with("220 "));
    let listed = server.mailstack(&["guard", "list", "--plain"], "").unwrap();
    assert!(listed.starts_with("192.0.2.7\tall\terrors\tput-off\t10\t"), "{listed}");
}

/// An hour, so that whoever is answered within the test was answered at once.
#[test]
fn the_answer_to_an_error_waits_once_a_session_has_made_half_of_what_it_may() {
    let slow = "proxy_trusted = [\"127.0.0.1\"]\nerrors_max = 4\nerror_delay_seconds = 3600";
    let server = behind_a_proxy("", slow);
    let mut stream = server.connection_of("192.0.2.7", server.addresses().unwrap().reception).unwrap();
    stream.send(&b"XYZZY\r\n".repeat(3)).unwrap();
    for code in ["220 ", "500 ", "500 "] {
        assert!(stream.line().unwrap().starts_with(code.as_bytes()));
    }
    server.terminate().unwrap();
    assert!(stream.line().unwrap().starts_with(b"421 4.3.2 "), "the third is not answered any more");
}
