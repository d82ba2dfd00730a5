//! Whether a client insists on TLS; SMTP's and POP3's client sessions share it.

/// How a client session comes to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPolicy {
    /// TLS runs already when the greeting comes (RFC 8314 §3).
    Implicit,
    /// STARTTLS or STLS, or nothing: a server that does not offer it, or an attacker who hides the offer, gets no mail
    /// and no password.
    Required,
    /// STARTTLS or STLS where it is offered; no password goes over a connection in clear (RFC 7435).
    WhenOffered,
    /// STARTTLS or STLS where it is offered, in clear otherwise, password and all: for a server on the same host.
    Local,
    /// In clear, password and all, for those who say so.
    Never,
}

/// What protects the connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Clear,
    Tls,
}

impl TlsPolicy {
    /// What protects a connection from its first octet.
    pub(crate) const fn first_channel(self) -> Channel {
        match self {
            Self::Implicit => Channel::Tls,
            Self::Required | Self::WhenOffered | Self::Local | Self::Never => Channel::Clear,
        }
    }

    /// True where a server's offer of TLS is taken up.
    pub(crate) const fn takes_offer(self) -> bool {
        match self {
            Self::Required | Self::WhenOffered | Self::Local => true,
            Self::Implicit | Self::Never => false,
        }
    }

    /// True where the session ends if there is no TLS.
    pub(crate) const fn requires_tls(self) -> bool {
        match self {
            Self::Implicit | Self::Required => true,
            Self::WhenOffered | Self::Local | Self::Never => false,
        }
    }

    /// True where a password may go over `channel`.
    pub(crate) const fn allows_password(self, channel: Channel) -> bool {
        match (self, channel) {
            (_, Channel::Tls) | (Self::Local | Self::Never, Channel::Clear) => true,
            (Self::Implicit | Self::Required | Self::WhenOffered, Channel::Clear) => false,
        }
    }
}
