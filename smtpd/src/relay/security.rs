//! How the connection to a host is protected, and by whom its certificate must be signed.

use std::sync::Arc;

use mailwire::net::{
    HttpsSetupError, Roots, client_config, client_name, trusting, trusting_anyone, trusting_dane,
};
use mailwire::tls_policy::TlsPolicy;
use tokio_rustls::rustls::ClientConfig;

use super::link::Tls;
use super::names::{Addresses, Promise};

/// What protects the connection to a host.
#[derive(Clone, Copy, Debug)]
pub(super) enum Security<'a> {
    /// Nothing.
    Clear,
    /// TLS where it can be had, with anybody (RFC 7435), or what the domain has promised.
    Promised(&'a Promise, &'a Addresses),
    /// The same, of a host of which nothing is promised.
    Opportunistic,
    /// TLS with a certificate of the host, or no connection.
    Verified,
}

/// What TLS trusts, made once.
#[derive(Debug)]
pub(super) struct Trust {
    anyone: Arc<ClientConfig>,
    /// Whom the configuration or the system trusts; `None` where that is nobody.
    known: Option<Arc<ClientConfig>>,
}

/// What a session with a host needs.
#[derive(Debug)]
pub(super) struct Protection {
    pub(super) policy: TlsPolicy,
    pub(super) tls: Option<Tls>,
    /// The certificate says who is there.
    pub(super) is_verified: bool,
}

impl Trust {
    /// With `roots` for certificates that must be right. A system without any can do without them.
    pub(super) fn new(roots: &Roots) -> Result<Self, HttpsSetupError> {
        let known = match (trusting(roots), roots) {
            (Ok(known), _) => Some(client_config(known)),
            (Err(_), Roots::System) => None,
            (Err(error), Roots::File(_)) => return Err(error),
        };
        Ok(Self { anyone: trusting_anyone(), known })
    }

    /// What a session with `host` needs. Where nobody is trusted, no certificate is good: there is no session then.
    pub(super) fn protection(&self, security: Security<'_>, host: &str) -> Protection {
        let anyone = client_name(host).map(|name| (Arc::clone(&self.anyone), name));
        let known = self.known.clone().zip(client_name(host));
        match security {
            Security::Clear => Protection { policy: TlsPolicy::Never, tls: None, is_verified: false },
            Security::Opportunistic | Security::Promised(Promise::Nothing, _) => match anyone {
                Some(tls) => {
                    Protection { policy: TlsPolicy::WhenOffered, tls: Some(tls), is_verified: false }
                }
                None => Protection { policy: TlsPolicy::Never, tls: None, is_verified: false },
            },
            Security::Promised(Promise::Encryption, _) => {
                Protection { policy: TlsPolicy::Required, tls: anyone, is_verified: false }
            }
            Security::Promised(Promise::Dane(dane), addresses) => {
                // RFC 7672 §8.1: the server is asked for the name under which its records stand.
                let base = addresses.tlsa_bases.first().map_or(host, String::as_str);
                let tls = client_name(base).map(|name| (trusting_dane(dane.clone()), name));
                Protection { policy: TlsPolicy::Required, tls, is_verified: true }
            }
            Security::Verified | Security::Promised(Promise::MtaSts, _) => {
                Protection { policy: TlsPolicy::Required, tls: known, is_verified: true }
            }
        }
    }
}
