//! Internationalized mail over real sockets: clients that say UTF8 get it as it was sent, and what all others get is read alike by Python's email package.

use mailstack_tests::clients::{available, run};
use mailstack_tests::server::Server;

/// Sends, fetches and compares; its head says what its arguments are.
const INTERNATIONALIZED: &str = include_str!("internationalized.py");

/// RFC 6856 §2.1, RFC 6857 §3 and §4.1.
#[test]
fn internationalized_mail_is_read_alike_with_utf8_and_without() {
    if !available("python3").unwrap() {
        return;
    }
    let server = Server::usual().unwrap();
    let addresses = server.addresses().unwrap();
    let (smtp, pop3) = (addresses.reception.port().to_string(), addresses.pop3.port().to_string());
    let arguments = ["-c", INTERNATIONALIZED, &smtp, &pop3, "bob@example.test", "pw-bob"];
    let said = run("python3", &arguments, b"").unwrap().well().unwrap();
    assert_eq!(said.text().trim(), "60 messages are the same in 60 other forms");
}
