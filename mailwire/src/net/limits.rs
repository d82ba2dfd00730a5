//! What a peer may cost: every deadline and bound of a connection and a listener, with its default.

use std::time::Duration;

/// Deadlines of one connection. They are totals: a peer that sends an octet now and then does not move them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// TLS handshake, whole (20 s).
    pub handshake: Duration,
    /// Waiting for the first octet of the next command (SMTP 5 min, RFC 5321 §4.5.3.2.7; POP3 10 min, RFC 1939 §3).
    pub idle: Duration,
    /// From the first octet of a command line to its CRLF (60 s).
    pub command: Duration,
    /// Waiting for the next octet of content (3 min, RFC 5321 §4.5.3.2.5).
    pub content_idle: Duration,
    /// Octets a second that content must reach on average, measured after `content_idle` has passed once (1,000).
    pub content_octets_per_second_min: u64,
    /// A peer that takes nothing of what we write for this long is let go (2 min).
    pub write: Duration,
    /// How long a line or content that has begun may take from when the drain begins (4 s).
    pub drain: Duration,
}

/// Bounds of one listener, and of all listeners that share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections at one time over all addresses.
    pub connections_max: usize,
    /// Connections at one time from one address (an IPv6 peer counts by its /64).
    pub connections_per_address_max: usize,
}
