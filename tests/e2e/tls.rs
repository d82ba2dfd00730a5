//! TLS from outside: what is too old or too weak is refused, what does not go on is dropped, and a certificate can be changed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use mailstack_tests::certificate::Certificate;
use mailstack_tests::clients::{available, run};
use mailstack_tests::deadline::{PATIENCE, wait_for};
use mailstack_tests::senders::Way;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;
use tempfile::TempDir;

/// Alerts of TLS (RFC 8446 §6): `handshake_failure`, `protocol_version`.
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

/// Suites of TLS 1.2 as they are numbered (RFC 5246 §A.5, RFC 5289): one that is good, and some that are too weak.
const ECDHE_GCM: [u8; 2] = [0xc0, 0x2b];
const WEAK: [(&str, [u8; 2]); 6] = [
    ("RSA key exchange", [0x00, 0x9c]),
    ("CBC", [0xc0, 0x09]),
    ("3DES", [0x00, 0x0a]),
    ("RC4", [0x00, 0x05]),
    ("no encryption", [0x00, 0x02]),
    ("DHE", [0x00, 0x9e]),
];

/// A `ClientHello` without `supported_versions`, as clients before TLS 1.3 send it (RFC 5246 §7.4.1.2).
fn client_hello(version: [u8; 2], suite: [u8; 2]) -> Vec<u8> {
    let extensions = [
        // supported_groups: x25519, secp256r1.
        &[0, 10, 0, 6, 0, 4, 0, 29, 0, 23][..],
        // ec_point_formats: uncompressed.
        &[0, 11, 0, 2, 1, 0],
        // signature_algorithms: ECDSA and RSA with SHA-256.
        &[0, 13, 0, 6, 0, 4, 4, 3, 4, 1],
    ]
    .concat();
    let body = [
        &version[..],
        &[7; 32],
        // No session, one suite, no compression.
        &[0, 0, 2],
        &suite,
        &[1, 0],
        &[0, u8::try_from(extensions.len()).unwrap()],
        &extensions,
    ]
    .concat();
    let handshake = [&[1, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat();
    [&[22, 3, 1, 0, u8::try_from(handshake.len()).unwrap()][..], &handshake].concat()
}

/// What the server answers in the first record: its type, and behind the length the octets.
fn answer(address: SocketAddr, way: Way, hello: &[u8]) -> (u8, Vec<u8>) {
    let mut socket = connected(address, way);
    socket.write_all(hello).unwrap();
    let mut head = [0; 5];
    socket.read_exact(&mut head).unwrap();
    let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    socket.read_exact(&mut record).unwrap();
    (head[0], record)
}

/// A connection on which the handshake may begin.
fn connected(address: SocketAddr, way: Way) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    if way == Way::StartTls {
        let mut said = Vec::new();
        (&socket).write_all(b"EHLO x\r\nSTARTTLS\r\n").unwrap();
        while !said.windows(6).any(|octets| octets == b"\n220 2") || !said.ends_with(b"\r\n") {
            let mut octet = [0];
            (&socket).read_exact(&mut octet).unwrap();
            said.push(octet[0]);
        }
    }
    socket
}

#[test]
fn old_versions_and_weak_suites_are_refused_and_the_log_says_why() {
    let server = Server::usual().unwrap();
    let addresses = server.addresses().unwrap();
    let places = [
        (addresses.submissions, Way::Tls),
        (addresses.reception, Way::StartTls),
        (addresses.pop3s, Way::Tls),
    ];
    for (address, way) in places {
        // The same greeting with what is good gets a ServerHello, so it is not refused for its form.
        let (kind, record) = answer(address, way, &client_hello([3, 3], ECDHE_GCM));
        assert_eq!((kind, record[0]), (22, 2), "{address}");
        for version in [[3, 0], [3, 1], [3, 2]] {
            let refused = answer(address, way, &client_hello(version, ECDHE_GCM));
            assert_eq!(refused, (21, vec![2, PROTOCOL_VERSION]), "{version:?} at {address}");
        }
        for (what, suite) in WEAK {
            let refused = answer(address, way, &client_hello([3, 3], suite));
            assert_eq!(refused, (21, vec![2, HANDSHAKE_FAILURE]), "{what} at {address}");
        }
    }
    for (what, times) in [("TLS version", 3), ("cipher suite", WEAK.len())] {
        let reason = format!("reason=\"the peer offers no {what} that is still safe\"");
        let enough = times * places.len();
        wait_for("the log", || Ok((server.log().matches(&reason).count() == enough).then_some(()))).unwrap();
    }
}

#[test]
fn a_handshake_that_is_never_finished_is_dropped() {
    let limits = "handshake_seconds = 1";
    let server =
        Server::start(&Configuration { smtp: limits, pop3: limits, ..Configuration::default() }).unwrap();
    let addresses = server.addresses().unwrap();
    let hello = client_hello([3, 3], ECDHE_GCM);
    let mut sockets = Vec::new();
    for (address, way) in [
        (addresses.submissions, Way::Tls),
        (addresses.submission, Way::StartTls),
        (addresses.pop3s, Way::Tls),
    ] {
        // Nothing, half a greeting, a whole one without what must follow.
        for octets in [&hello[..0], &hello[..9], &hello] {
            let mut socket = connected(address, way);
            socket.write_all(octets).unwrap();
            sockets.push(socket);
        }
    }
    for mut socket in sockets {
        // The server's part of the handshake, where there is one, and then the end.
        wait_for("the end", || {
            let read = socket.read(&mut [0; 4096])?;
            Ok((read == 0).then_some(()))
        })
        .unwrap();
    }
}

#[test]
fn nobody_renegotiates() {
    if !available("openssl").unwrap() {
        return;
    }
    let server = Server::usual().unwrap();
    let addresses = server.addresses().unwrap();
    for (protocol, address) in [("smtp", addresses.submission), ("pop3", addresses.pop3)] {
        let address = address.to_string();
        // After STARTTLS no greeting comes, which openssl could not take while it renegotiates.
        let arguments = ["s_client", "-starttls", protocol, "-tls1_2", "-connect", &address];
        // RFC 5746 §5, RFC 9325 §3.5: a line `R` makes openssl ask for it.
        let said = run("openssl", &arguments, b"R\n").unwrap().text();
        assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    }
}

/// Whether a client that trusts this certificate's authority gets a greeting.
fn greets(server: &Server, certificate: &Certificate) -> bool {
    let address = server.addresses().unwrap().submissions;
    Stream::tls(address, &certificate.trust).and_then(Smtp::new).is_ok()
}

#[test]
fn a_new_certificate_is_taken_up_while_the_server_runs_and_a_broken_one_is_not() {
    let server = Server::usual().unwrap();
    let old = server.certificate();
    let folder = TempDir::new().unwrap();
    let new = Certificate::make(folder.path()).unwrap();
    let chain = fs::read(&old.chain).unwrap();
    for broken in [
        &b""[..],
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        &chain[..chain.len() / 3],
    ] {
        let told = server.log().matches("stays in use").count();
        fs::write(&old.chain, broken).unwrap();
        server.hang_up().unwrap();
        wait_for("the log", || Ok((server.log().matches("stays in use").count() > told).then_some(())))
            .unwrap();
        assert!(greets(&server, old));
    }
    let mut before =
        Smtp::new(Stream::tls(server.addresses().unwrap().submissions, server.trust()).unwrap()).unwrap();
    fs::copy(&new.key, &old.key).unwrap();
    fs::copy(&new.chain, &old.chain).unwrap();
    wait_for("the new certificate", || Ok(greets(&server, &new).then_some(()))).unwrap();
    assert!(!greets(&server, old));
    // Who was there goes on.
    assert_eq!(before.ask("NOOP").unwrap().code, 250);
}
