//! Binary content over real sockets: every octet that goes in by BDAT is what others decode from what POP3 gives.

use mailstack_tests::clients::{available, run};
use mailstack_tests::server::Server;

/// Sends, fetches and compares; its head says what its arguments are.
const BINARY: &str = include_str!("binary.py");

#[test]
fn binary_content_is_fetched_as_python_decodes_it() {
    if !available("python3").unwrap() {
        return;
    }
    let server = Server::usual().unwrap();
    let addresses = server.addresses().unwrap();
    let (smtp, pop3) = (addresses.reception.port().to_string(), addresses.pop3.port().to_string());
    let arguments = ["-c", BINARY, &smtp, &pop3, "bob@example.test", "pw-bob"];
    let said = run("python3", &arguments, b"").unwrap().well().unwrap();
    assert_eq!(said.text().trim(), "14 messages are the same");
    assert!(server.log().contains("parts_converted=13"), "{}", server.log());
}
