//! Who sends to whom from where: what must be the same when somebody comes again (RFC 6647 §2.4).

use std::net::IpAddr;

use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::net::Network;

use super::GreylistConfig;

/// A client's network, a reverse-path and a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triplet {
    /// All three, by which they are remembered.
    pub name: String,
    /// The network and the sender's domain; none for the null reverse-path, which is of no domain.
    pub client: Option<String>,
}

impl Triplet {
    /// Of what the client says.
    #[must_use]
    pub fn new(
        config: &GreylistConfig,
        address: IpAddr,
        reverse_path: &ReversePath,
        recipient: &Mailbox,
    ) -> Self {
        let network = config.network(address);
        // Letters are the same in either case, since nobody who comes again should fail by that.
        let name = format!("{network} {reverse_path} <{recipient}>").to_lowercase();
        let client = match reverse_path {
            ReversePath::Mailbox(mailbox) => Some(client(network, mailbox.domain())),
            ReversePath::Null => None,
        };
        Self { name, client }
    }

    /// The same, where the sender's domain has said that the host sends for it: then it stands in the place of the network.
    #[must_use]
    pub fn of_domain(sender: &Mailbox, recipient: &Mailbox) -> Self {
        let name = format!("spf <{sender}> <{recipient}>").to_lowercase();
        let client = format!("spf {}", sender.domain().in_a_labels()).to_lowercase();
        Self { name, client: Some(client) }
    }
}

/// The name of a network and a domain, in one spelling.
pub(super) fn client(network: Network, domain: &Domain) -> String {
    format!("{network} {}", domain.in_a_labels()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triplet(address: &str, sender: &str, recipient: &str) -> Triplet {
        let reverse_path = match sender {
            "" => ReversePath::Null,
            sender => ReversePath::Mailbox(Mailbox::parse(sender).unwrap()),
        };
        let recipient = Mailbox::parse(recipient).unwrap();
        Triplet::new(&GreylistConfig::default(), address.parse().unwrap(), &reverse_path, &recipient)
    }

    #[test]
    fn neighbours_are_the_same_and_others_are_not() {
        let first = triplet("192.0.2.7", "a@b.example", "c@d.example");
        assert_eq!(first.name, "192.0.2.0/24 <a@b.example> <c@d.example>");
        assert_eq!(first.client.as_deref(), Some("192.0.2.0/24 b.example"));
        assert_eq!(triplet("192.0.2.99", "A@B.example", "C@d.Example"), first);
        for other in [
            triplet("192.0.3.7", "a@b.example", "c@d.example"),
            triplet("192.0.2.7", "x@b.example", "c@d.example"),
            triplet("192.0.2.7", "a@b.example", "x@d.example"),
            triplet("192.0.2.7", "", "c@d.example"),
        ] {
            assert_ne!(other.name, first.name);
        }
        assert_eq!(triplet("192.0.2.7", "", "c@d.example").client, None);
    }

    #[test]
    fn one_domain_has_one_spelling() {
        let client = triplet("2001:db8::1", "a@b\u{fc}cher.example", "c@d.example").client;
        assert_eq!(client.as_deref(), Some("2001:db8::/64 xn--bcher-kva.example"));
    }
}
