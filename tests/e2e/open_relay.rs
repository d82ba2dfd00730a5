//! No open relay: none of the classic forms of an address leads a stranger's mail elsewhere, on any port.
//!
//! The forms are those of the public relay testers (abuse.net's list and its kin): the address itself, the `%` hack,
//! bang paths, source routes, quotes, literals, and what careless parsers make of two addresses.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io;
use std::net::SocketAddr;

use mailstack_tests::server::{ACCOUNTS, Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

/// Whom a relay tester says it is. `HOST` stands for the server's name.
const SENDERS: [&str; 9] = [
    "<spamtest@victim.example>",
    "<>",
    "<spamtest>",
    "<spamtest@[127.0.0.1]>",
    "<spamtest@mail.example.test>",
    "<alice@example.test>",
    "<postmaster@example.test>",
    "<spamtest@localhost>",
    "spamtest@victim.example",
];

/// Addresses elsewhere, as they are.
const ELSEWHERE: [&str; 16] = [
    "<relaytest@victim.example>",
    "relaytest@victim.example",
    " <relaytest@victim.example>",
    "<relaytest@VICTIM.example>",
    "<relaytest@victim.example.>",
    "<relaytest@[192.0.2.1]>",
    "<relaytest@[IPv6:2001:db8::1]>",
    "<relaytest@localhost>",
    "<relaytest@mail.example.test>",
    "<relaytest@sub.example.test>",
    "<relaytest@example.test.victim.example>",
    "<postmaster@victim.example>",
    "<\"relaytest\"@victim.example>",
    "<\"relay test\"@victim.example>",
    "<relaytest@xn--bcher-kva.example>",
    "<bob@example.test@victim.example>",
];

/// Addresses elsewhere, in the form of one of ours.
const THROUGH_US: [&str; 34] = [
    "<relaytest%victim.example@example.test>",
    "<relaytest%victim.example@mail.example.test>",
    "<relaytest%victim.example@[127.0.0.1]>",
    "<relaytest%victim.example%example.test@example.test>",
    "<relaytest%victim.example>",
    "<\"relaytest%victim.example\"@example.test>",
    "<\"relaytest%victim.example\">",
    "<\"relaytest@victim.example\"@example.test>",
    "<\"relaytest@victim.example\"@[127.0.0.1]>",
    "<\"relaytest@victim.example\">",
    "<relaytest\\@victim.example@example.test>",
    "<relaytest%40victim.example@example.test>",
    "<relaytest=victim.example@example.test>",
    "<relaytest#victim.example@example.test>",
    "<relaytest@victim.example@example.test>",
    "<relaytest@victim.example@[127.0.0.1]>",
    "<victim.example!relaytest>",
    "<victim.example!relaytest@example.test>",
    "<victim.example!relaytest@[127.0.0.1]>",
    "<\"victim.example!relaytest\"@example.test>",
    "<example.test!victim.example!relaytest>",
    "<example.test!relaytest@victim.example>",
    "<@example.test:relaytest@victim.example>",
    "<@mail.example.test:relaytest@victim.example>",
    "<@[127.0.0.1]:relaytest@victim.example>",
    "<@example.test,@other.example:relaytest@victim.example>",
    "<@victim.example:relaytest%victim.example@example.test>",
    "<bob@example.test,relaytest@victim.example>",
    "<bob@example.test>,<relaytest@victim.example>",
    "<bob@example.test> <relaytest@victim.example>",
    "<bob@example.test\0@victim.example>",
    "<postmaster%victim.example@example.test>",
    "<Postmaster@victim.example@example.test>",
    "<+relaytest@victim.example+bob@example.test>",
];

/// Those of them that a user may write: what stands behind the last `@` is a domain elsewhere, and that is where they go.
const ELSEWHERE_BY_ITS_DOMAIN: [&str; 5] = [
    "<relaytest%victim.example@mail.example.test>",
    "<example.test!relaytest@victim.example>",
    "<@example.test:relaytest@victim.example>",
    "<@mail.example.test:relaytest@victim.example>",
    "<@example.test,@other.example:relaytest@victim.example>",
];

/// A connection on which EHLO was said and nobody has logged in.
type Connect = fn(&Server) -> io::Result<Smtp>;

/// Tries one form, and says whether it is taken. However it is answered, no content may be.
fn is_relayed(server: &Server, connect: Connect, sender: &str, recipient: &str) -> io::Result<bool> {
    let mut smtp = connect(server)?;
    let mail = smtp.ask(&format!("MAIL FROM:{sender}"))?.code;
    let rcpt = smtp.ask(&format!("RCPT TO:{recipient}"))?;
    let data = smtp.ask("DATA")?;
    assert!(mail < 300 || rcpt.code >= 500, "{sender} {recipient}: {mail}, then {rcpt:?}");
    assert!(
        rcpt.code >= 500 || rcpt.code == 250,
        "{sender} {recipient}: {rcpt:?} looks like a fault of ours"
    );
    if data.code == 354 {
        smtp.say(b"Subject: relayed\r\n\r\n.\r\n")?;
        smtp.reply()?;
    }
    Ok(rcpt.code < 300 || data.code < 400)
}

fn clear(address: SocketAddr, server: &Server) -> io::Result<Smtp> {
    Smtp::clear(address, server.trust())
}

/// Nobody has got anything.
fn nothing_has_come(server: &Server) {
    for account in ACCOUNTS {
        let mut pop3 = server.maildrop(account).unwrap();
        assert_eq!(pop3.count().unwrap(), 0, "{account} has got mail");
        pop3.quit().unwrap();
    }
}

#[test]
fn a_stranger_on_the_port_for_servers_reaches_nobody_elsewhere() {
    let server = Server::usual().unwrap();
    let connect: Connect = |server| clear(server.addresses()?.reception, server);
    for sender in SENDERS {
        for recipient in ELSEWHERE.into_iter().chain(THROUGH_US) {
            let relayed = is_relayed(&server, connect, sender, recipient).unwrap();
            assert!(!relayed, "MAIL FROM:{sender} RCPT TO:{recipient} was taken");
        }
    }
    nothing_has_come(&server);
}

#[test]
fn a_stranger_on_the_ports_for_users_reaches_nobody_at_all() {
    let server = Server::usual().unwrap();
    let start_tls: Connect = |server| {
        let mut smtp = clear(server.addresses()?.submission, server)?;
        smtp.start_tls()?;
        Ok(smtp)
    };
    let tls: Connect = |server| Smtp::new(Stream::tls(server.addresses()?.submissions, server.trust())?);
    for connect in [start_tls, tls] {
        for recipient in ELSEWHERE.into_iter().chain(THROUGH_US).chain(["<bob@example.test>", "<postmaster>"])
        {
            let relayed = is_relayed(&server, connect, "<alice@example.test>", recipient).unwrap();
            assert!(!relayed, "RCPT TO:{recipient} was taken");
        }
        for sender in SENDERS {
            let mut smtp = connect(&server).unwrap();
            let reply = smtp.ask(&format!("MAIL FROM:{sender}")).unwrap();
            assert!([530, 501].contains(&reply.code), "{sender}: {reply:?}");
        }
    }
    nothing_has_come(&server);
}

#[test]
fn a_user_reaches_elsewhere_by_the_domain_behind_the_last_at_only() {
    let server = Server::usual().unwrap();
    let login: Connect = |server| server.submission("alice");
    for recipient in THROUGH_US {
        let is_elsewhere = ELSEWHERE_BY_ITS_DOMAIN.contains(&recipient);
        let relayed = is_relayed(&server, login, "<alice@example.test>", recipient).unwrap();
        assert_eq!(relayed, is_elsewhere, "RCPT TO:{recipient}");
    }
    nothing_has_come(&server);
}

#[test]
fn whoever_is_not_trusted_reaches_nobody_elsewhere_where_others_are() {
    let relay = "trusted = [\"192.0.2.0/24\"]".to_owned();
    let server = Server::start(&Configuration { relay, ..Configuration::default() }).unwrap();
    let connect: Connect = |server| clear(server.addresses()?.reception, server);
    for recipient in ELSEWHERE.into_iter().chain(THROUGH_US) {
        let relayed = is_relayed(&server, connect, "<alice@example.test>", recipient).unwrap();
        assert!(!relayed, "RCPT TO:{recipient} was taken");
    }
}

#[test]
fn a_network_that_is_trusted_needs_no_login_at_the_port_for_servers_and_nowhere_else() {
    let usual = Configuration::default();
    let relay = format!("trusted = [\"127.0.0.0/8\"]\n{}", usual.relay);
    let server = Server::start(&Configuration { relay, ..usual }).unwrap();
    let connect: Connect = |server| clear(server.addresses()?.reception, server);
    assert!(is_relayed(&server, connect, "<a@b.example>", "<relaytest@victim.example>").unwrap());
    // Its own mailboxes are here all the same.
    assert!(
        !is_relayed(&server, connect, "<a@b.example>", "<relaytest%victim.example@example.test>").unwrap()
    );
    let submission: Connect = |server| clear(server.addresses()?.submission, server);
    let relayed = is_relayed(&server, submission, "<alice@example.test>", "<relaytest@victim.example>");
    assert!(!relayed.unwrap());
}

#[test]
fn where_relaying_is_off_users_hear_so_at_once() {
    let relay = "enabled = false".to_owned();
    let server = Server::start(&Configuration { relay, ..Configuration::default() }).unwrap();
    let mut smtp = server.submission("alice").unwrap();
    assert_eq!(smtp.ask("MAIL FROM:<alice@example.test>").unwrap().code, 250);
    let refused = smtp.ask("RCPT TO:<relaytest@victim.example>").unwrap();
    assert_eq!(refused.code, 550, "{refused:?}");
}
