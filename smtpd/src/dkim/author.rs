//! Whose mail a message is: the domain that readers see (RFC 5322 §3.6.2), and that a signature should be of.

use mail_parser::MessageParser;
use mailwire::address::Mailbox;

use mailwire::address::Domain;

/// The domain of the first address in From; `None` where there is none.
#[must_use]
pub fn author(header: &[u8]) -> Option<Domain> {
    let message = MessageParser::new().with_address_headers().parse_headers(header)?;
    let address = message.from()?.first()?.address()?;
    Mailbox::parse(address).ok().map(|mailbox| mailbox.domain().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_is_the_first_in_from() {
        let author = |header: &str| author(header.as_bytes()).map(|domain| domain.to_string());
        for header in [
            "From: alice@example.org\r\n\r\n",
            "Sender: x@example.net\r\nFrom: A <alice@example.org>, b@example.com\r\n\r\n",
            "FROM:\r\n\t\"a, b\" <\"x y\"@example.org>\r\n\r\nFrom: c@example.net\r\n",
        ] {
            assert_eq!(author(header).as_deref(), Some("example.org"), "{header}");
        }
        for header in ["", "\r\n", "Subject: x\r\n\r\n", "From: alice\r\n\r\n", "From: group:;\r\n\r\n"] {
            assert_eq!(author(header), None, "{header}");
        }
    }
}
