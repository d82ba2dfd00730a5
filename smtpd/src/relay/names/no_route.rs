//! Why mail for a domain has nowhere to go, for good or for the time being.

use mailwire::smtp::Enhanced;
use thiserror::Error;

use crate::dns::Failed;

/// Why there is no host that takes a domain's mail. The words are for the sender of a message.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoRoute {
    /// The domain says that it takes no mail (RFC 7505 §4.2).
    #[error("{domain} does not accept mail at all (null MX)")]
    NullMx {
        /// The recipient's.
        domain: String,
    },
    /// There is no such domain or host.
    #[error("there is no domain or host {name}: check how it is spelt")]
    NoSuchName {
        /// Which.
        name: String,
    },
    /// It exists, and has neither an exchanger nor an address.
    #[error("{name} exists, but DNS names no host that takes its mail, and no address")]
    NoAddress {
        /// Which.
        name: String,
    },
    /// DNS names this server, or only hosts that come after it (RFC 5321 §5.1).
    #[error(
        "mail for {domain} is sent to this server, which does not keep that domain's mail: it would go in circles"
    )]
    LoopToSelf {
        /// The recipient's.
        domain: String,
    },
    /// A host that the domain's policy does not name (RFC 8461 §5).
    #[error(
        "DNS says that {host} takes mail for {domain}, and the domain's own policy (MTA-STS) does not name that host"
    )]
    NotInPolicy {
        /// Which host.
        host: String,
        /// The recipient's.
        domain: String,
    },
    /// DNS has said nothing that counts.
    #[error(transparent)]
    Dns(#[from] Failed),
}

impl NoRoute {
    /// True where trying again would not help.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.enhanced().0 == 5
    }

    /// The code for a report (RFC 3463 §3, RFC 7505 §4.2).
    #[must_use]
    pub const fn enhanced(&self) -> Enhanced {
        match self {
            Self::NullMx { .. } => Enhanced(5, 1, 10),
            Self::NoSuchName { .. } | Self::Dns(Failed::NotAName { .. }) => Enhanced(5, 1, 2),
            Self::NoAddress { .. } => Enhanced(5, 4, 4),
            Self::LoopToSelf { .. } => Enhanced(5, 4, 6),
            Self::NotInPolicy { .. } => Enhanced(4, 7, 5),
            Self::Dns(Failed::NotAnswered { .. } | Failed::Bogus { .. }) => Enhanced(4, 4, 3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_may_mend_is_tried_again() {
        let name = || "example.test".to_owned();
        for (no_route, code) in [
            (NoRoute::NullMx { domain: name() }, "5.1.10"),
            (NoRoute::NoSuchName { name: name() }, "5.1.2"),
            (Failed::NotAName { name: name() }.into(), "5.1.2"),
            (NoRoute::NoAddress { name: name() }, "5.4.4"),
            (NoRoute::LoopToSelf { domain: name() }, "5.4.6"),
            (NoRoute::NotInPolicy { host: "mx.test".to_owned(), domain: name() }, "4.7.5"),
            (Failed::NotAnswered { name: name(), why: "nothing".to_owned() }.into(), "4.4.3"),
            (Failed::Bogus { name: name() }.into(), "4.4.3"),
        ] {
            assert_eq!(no_route.enhanced().to_string(), code);
            assert_eq!(no_route.is_permanent(), code.starts_with('5'), "{no_route}");
            assert!(no_route.to_string().contains("example.test"));
        }
    }
}
