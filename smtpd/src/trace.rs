//! The fields that this server puts in front of content: Return-Path, Received, who has the sender in a list, and From,
//! Date and Message-ID where missing.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;

use mail_parser::DateTime;
use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::net::TlsDetails;
use mailwire::smtp::Hello;

use crate::gate::Mark;

/// Most octets of the client's own name that are shown: those of a domain (RFC 5321 §4.5.3.1.2).
const NAME_OCTETS_MAX: usize = mailwire::address::DOMAIN_OCTETS_MAX;
/// Room for a usual Received field, taken at once.
const FIELD_OCTETS: usize = 384;

/// Which of the hellos was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// HELO.
    Smtp,
    /// EHLO.
    Esmtp,
    /// LHLO.
    Lmtp,
}

/// What one Received field tells (RFC 5321 §4.4).
#[derive(Debug)]
pub(crate) struct Hop<'a> {
    pub(crate) hello: &'a Hello,
    pub(crate) dialect: Dialect,
    /// `None` for a program of this machine at a Unix socket.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) hostname: &'a str,
    pub(crate) tls: Option<&'a TlsDetails>,
    pub(crate) authenticated: bool,
    /// Who has logged in, where that is to be told.
    pub(crate) login: Option<&'a Mailbox>,
    pub(crate) smtputf8: bool,
    pub(crate) id: &'a str,
    pub(crate) recipients: &'a [Mailbox],
    /// As the client has asked.
    pub(crate) priority: Option<i8>,
    pub(crate) unix_seconds: u64,
}

/// `Return-path-line`, RFC 5321 §4.4; only where delivery is final.
pub(crate) fn return_path(reverse_path: &ReversePath) -> String {
    format!("Return-Path: {reverse_path}\r\n")
}

/// One list that has the sender. Whoever forges it speaks against their own mail.
pub(crate) fn listed(Mark { subject, list, answer }: &Mark) -> String {
    format!("X-DNSBL-Listed: {subject}\r\n\tin {list} ({answer})\r\n")
}

/// `Time-stamp-line`, RFC 5321 §4.4, folded so that no line comes near 998 octets (RFC 5322 §2.1.1).
pub(crate) fn received(hop: &Hop<'_>) -> String {
    let mut field = String::with_capacity(FIELD_OCTETS);
    // A string takes whatever is written to it.
    let _ = write!(field, "Received: from {}", name(hop.hello, hop.peer));
    // `TCP-info` may be left out, as it is where there is no address.
    if let Some(peer) = hop.peer {
        let _ = write!(field, " ({})", Domain::Address(peer));
    }
    let _ = write!(field, "\r\n\tby {} (mailstack) with {}", hop.hostname, protocol(hop));
    if let Some(tls) = hop.tls {
        let _ = write!(field, "\r\n\t({} {})", tls.version, tls.cipher);
    }
    if let Some(login) = hop.login.map(Mailbox::text).filter(|login| is_comment(login)) {
        let _ = write!(field, "\r\n\t(login {login})");
    }
    let _ = write!(field, "\r\n\tid {}", hop.id);
    // With several recipients the field would tell each of them of the others (RFC 5321 §7.2).
    if let [recipient] = hop.recipients {
        let _ = write!(field, "\r\n\tfor <{recipient}>");
    }
    // `Pri = CFWS "PRIORITY" FWS priority-value`, RFC 6710 §7; §4.1 asks for it.
    if let Some(priority) = hop.priority {
        let _ = write!(field, "\r\n\tPRIORITY {priority}");
    }
    let _ = write!(field, ";\r\n\t{}\r\n", date_time(hop.unix_seconds));
    field
}

/// `from`, RFC 5322 §3.6.2, for a submission without one (RFC 6409 §8.1).
pub(crate) fn from(author: &Mailbox) -> String {
    format!("From: <{author}>\r\n")
}

/// `orig-date`, RFC 5322 §3.6.1, for a submission without one (RFC 6409 §8.2).
pub(crate) fn date(unix_seconds: u64) -> String {
    format!("Date: {}\r\n", date_time(unix_seconds))
}

/// `message-id`, RFC 5322 §3.6.4, for a submission without one (RFC 6409 §8.3). `id` is unique within the second.
pub(crate) fn message_id(id: &str, hostname: &str, unix_seconds: u64) -> String {
    format!("Message-ID: <{unix_seconds}.{id}@{hostname}>\r\n")
}

/// `max-future-release-date-time = date-time`, RFC 4865 §3, as RFC 3339 §5.6 writes it.
pub(crate) fn internet_date_time(unix_seconds: u64) -> String {
    at(unix_seconds).to_rfc3339()
}

/// `date-time`, RFC 5322 §3.3.
pub(crate) fn date_time(unix_seconds: u64) -> String {
    at(unix_seconds).to_rfc822()
}

fn at(unix_seconds: u64) -> DateTime {
    DateTime::from_timestamp(i64::try_from(unix_seconds).unwrap_or(i64::MAX))
}

/// True for what may stand in a comment as it is: `ctext`, RFC 5322 §3.2.2.
fn is_comment(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_graphic() && !b"()\\".contains(&octet))
}

/// The registered `with` keyword (RFC 3848 §1; RFC 6531 §4.3 for SMTPUTF8).
fn protocol(hop: &Hop<'_>) -> &'static str {
    match (hop.dialect, hop.smtputf8, hop.tls.is_some(), hop.authenticated) {
        (Dialect::Smtp, ..) => "SMTP",
        (Dialect::Esmtp, false, false, false) => "ESMTP",
        (Dialect::Esmtp, false, false, true) => "ESMTPA",
        (Dialect::Esmtp, false, true, false) => "ESMTPS",
        (Dialect::Esmtp, false, true, true) => "ESMTPSA",
        (Dialect::Esmtp, true, false, false) => "UTF8SMTP",
        (Dialect::Esmtp, true, false, true) => "UTF8SMTPA",
        (Dialect::Esmtp, true, true, false) => "UTF8SMTPS",
        (Dialect::Esmtp, true, true, true) => "UTF8SMTPSA",
        (Dialect::Lmtp, false, false, false) => "LMTP",
        (Dialect::Lmtp, false, false, true) => "LMTPA",
        (Dialect::Lmtp, false, true, false) => "LMTPS",
        (Dialect::Lmtp, false, true, true) => "LMTPSA",
        (Dialect::Lmtp, true, false, false) => "UTF8LMTP",
        (Dialect::Lmtp, true, false, true) => "UTF8LMTPA",
        (Dialect::Lmtp, true, true, false) => "UTF8LMTPS",
        (Dialect::Lmtp, true, true, true) => "UTF8LMTPSA",
    }
}

/// What the client calls itself, as long as it can stand in a field; its address where it cannot.
fn name(hello: &Hello, peer: Option<IpAddr>) -> Cow<'_, str> {
    let name = match hello {
        Hello::Domain(Domain::Address(address)) => return Domain::Address(*address).to_string().into(),
        Hello::Domain(Domain::Name(name)) | Hello::Other(name) => name,
    };
    let is_safe = !name.is_empty()
        && name.len() <= NAME_OCTETS_MAX
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._:".contains(&octet));
    match peer {
        _ if is_safe => name.into(),
        Some(peer) => Domain::Address(peer).to_string().into(),
        None => "localhost".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 1_763_764_020;

    fn hop<'a>(hello: &'a Hello, recipients: &'a [Mailbox]) -> Hop<'a> {
        Hop {
            hello,
            dialect: Dialect::Esmtp,
            peer: Some("192.0.2.1".parse().unwrap()),
            hostname: "mail.example.test",
            tls: None,
            authenticated: false,
            login: None,
            smtputf8: false,
            id: "abc.1",
            recipients,
            priority: None,
            unix_seconds: AT,
        }
    }

    fn other(name: &str) -> Hello {
        Hello::Other(name.to_owned())
    }

    #[test]
    fn a_received_field_tells_the_hop() {
        let recipients = [Mailbox::parse("bob@example.test").unwrap()];
        let tls = TlsDetails { version: "TLS1.3", cipher: "TLS_AES_256_GCM_SHA384".to_owned() };
        let hello = other("client.example.org");
        let hop = Hop { tls: Some(&tls), authenticated: true, ..hop(&hello, &recipients) };
        assert_eq!(
            received(&hop),
            "Received: from client.example.org ([192.0.2.1])\r\n\
             \tby mail.example.test (mailstack) with ESMTPSA\r\n\
             \t(TLS1.3 TLS_AES_256_GCM_SHA384)\r\n\
             \tid abc.1\r\n\
             \tfor <bob@example.test>;\r\n\
             \tFri, 21 Nov 2025 22:27:00 +0000\r\n"
        );
    }

    #[test]
    fn a_login_is_told_where_that_is_wanted_and_it_can_stand_in_a_comment() {
        let hello = other("x");
        for (login, told) in [("alice@example.test", true), ("\"a)b\"@example.test", false)] {
            let login = Mailbox::parse(login).unwrap();
            let field = received(&Hop { login: Some(&login), ..hop(&hello, &[]) });
            assert_eq!(field.contains(&format!("\r\n\t(login {login})\r\n\tid ")), told, "{field}");
        }
    }

    #[test]
    fn a_program_of_this_machine_has_no_address_to_show() {
        let field =
            received(&Hop { peer: None, dialect: Dialect::Lmtp, ..hop(&other("mta.example.org"), &[]) });
        assert!(field.starts_with("Received: from mta.example.org\r\n\tby mail.example.test"), "{field}");
    }

    #[test]
    fn a_priority_that_was_asked_for_is_told_last() {
        let hello = other("x");
        let field = received(&Hop { priority: Some(-3), ..hop(&hello, &[]) });
        assert!(field.contains("\r\n\tid abc.1\r\n\tPRIORITY -3;\r\n\tFri, "), "{field}");
    }

    #[test]
    fn several_recipients_are_not_told_of_each_other() {
        let recipients = ["a@example.test", "b@example.test"].map(|text| Mailbox::parse(text).unwrap());
        assert!(!received(&hop(&other("x"), &recipients)).contains("for"));
    }

    #[test]
    fn the_protocol_is_one_of_the_registered_words() {
        let hello = other("x");
        let tls = TlsDetails { version: "TLS1.2", cipher: "X".to_owned() };
        let with = |dialect, tls, authenticated, smtputf8| {
            protocol(&Hop { dialect, tls, authenticated, smtputf8, ..hop(&hello, &[]) })
        };
        assert_eq!(with(Dialect::Smtp, None, false, false), "SMTP");
        assert_eq!(with(Dialect::Esmtp, None, false, false), "ESMTP");
        assert_eq!(with(Dialect::Esmtp, None, true, false), "ESMTPA");
        assert_eq!(with(Dialect::Esmtp, Some(&tls), false, false), "ESMTPS");
        assert_eq!(with(Dialect::Esmtp, Some(&tls), true, true), "UTF8SMTPSA");
        assert_eq!(with(Dialect::Lmtp, None, false, false), "LMTP");
        assert_eq!(with(Dialect::Lmtp, Some(&tls), false, false), "LMTPS");
        assert_eq!(with(Dialect::Lmtp, None, false, true), "UTF8LMTP");
    }

    #[test]
    fn a_name_that_could_break_the_field_gives_way_to_the_address() {
        let peer = Some("2001:db8::1".parse().unwrap());
        for bad in ["", "a b", "a\r\nX: y", "(comment", "b\u{fc}cher", &"x".repeat(256)] {
            assert_eq!(name(&other(bad), peer), "[IPv6:2001:db8::1]", "{bad:?}");
        }
        assert_eq!(name(&other("my_pc"), peer), "my_pc");
        assert_eq!(name(&other("a b"), None), "localhost");
    }

    #[test]
    fn lines_stay_short_whatever_the_client_says() {
        let hello = other(&"x".repeat(255));
        let long = format!("{}@{}test", "l".repeat(64), "d.".repeat(90));
        let recipients = [Mailbox::parse(&long).unwrap()];
        let field = received(&hop(&hello, &recipients));
        assert!(field.lines().all(|line| line.len() < 400), "{field}");
    }

    #[test]
    fn return_path_from_date_and_message_id_are_whole_lines() {
        assert_eq!(from(&Mailbox::parse("a@example.test").unwrap()), "From: <a@example.test>\r\n");
        assert_eq!(return_path(&ReversePath::Null), "Return-Path: <>\r\n");
        assert_eq!(internet_date_time(AT), "2025-11-21T22:27:00Z");
        assert_eq!(date(AT), "Date: Fri, 21 Nov 2025 22:27:00 +0000\r\n");
        assert_eq!(
            message_id("s.1", "mail.example.test", AT),
            "Message-ID: <1763764020.s.1@mail.example.test>\r\n"
        );
    }
}
