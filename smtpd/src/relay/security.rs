//! How the connection to a host is protected, and by whom its certificate must be signed.

use std::sync::Arc;

use mailwire::net::{
    HttpsSetupError, Roots, Watched, client_config, client_name, trusting, trusting_anyone, trusting_dane,
    trusting_watched,
};
use mailwire::tls_policy::TlsPolicy;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

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
    /// The same.
    roots: Option<Arc<RootCertStore>>,
}

/// What a session with a host needs.
#[derive(Debug)]
pub(super) struct Protection {
    pub(super) policy: TlsPolicy,
    pub(super) tls: Option<Tls>,
    /// The certificate says who is there.
    pub(super) is_verified: bool,
    /// What a client would say of it that went by a policy that is being tested.
    pub(super) watched: Option<Watched>,
}

impl Protection {
    fn new(policy: TlsPolicy, tls: Option<Tls>) -> Self {
        Self { policy, tls, is_verified: false, watched: None }
    }

    /// By somebody who has to be the right one.
    pub(super) fn verified(policy: TlsPolicy, tls: Option<Tls>) -> Self {
        Self { is_verified: true, ..Self::new(policy, tls) }
    }
}

impl Trust {
    /// With `roots` for certificates that must be right. A system without any can do without them.
    pub(super) fn new(roots: &Roots) -> Result<Self, HttpsSetupError> {
        let roots = match (trusting(roots), roots) {
            (Ok(roots), _) => Some(roots),
            (Err(_), Roots::System) => None,
            (Err(error), Roots::File(_)) => return Err(error),
        };
        let known = roots.clone().map(client_config);
        Ok(Self { anyone: trusting_anyone(), known, roots: roots.map(Arc::new) })
    }

    /// What a session with `host` needs. Where nobody is trusted, no certificate is good: there is no session then.
    pub(super) fn protection(&self, security: Security<'_>, host: &str) -> Protection {
        let anyone = client_name(host).map(|name| (Arc::clone(&self.anyone), name));
        let known = self.known.clone().zip(client_name(host));
        match security {
            Security::Clear => Protection::new(TlsPolicy::Never, None),
            Security::Opportunistic | Security::Promised(Promise::Nothing, _) => opportunistic(anyone),
            Security::Promised(Promise::Testing, _) => {
                self.watching(host).unwrap_or_else(|| opportunistic(anyone))
            }
            Security::Promised(Promise::Encryption, _) => Protection::new(TlsPolicy::Required, anyone),
            Security::Promised(Promise::Dane(dane), addresses) => {
                // RFC 7672 §8.1: the server is asked for the name under which its records stand.
                let base = addresses.tlsa_bases.first().map_or(host, String::as_str);
                let tls = client_name(base).map(|name| (trusting_dane(dane.clone()), name));
                Protection::verified(TlsPolicy::Required, tls)
            }
            Security::Verified | Security::Promised(Promise::MtaSts, _) => {
                Protection::verified(TlsPolicy::Required, known)
            }
        }
    }

    /// Any certificate is taken, and looked at all the same.
    fn watching(&self, host: &str) -> Option<Protection> {
        let (config, watched) = trusting_watched(self.roots.clone()?).ok()?;
        let tls = Some((config, client_name(host)?));
        Some(Protection { watched: Some(watched), ..Protection::new(TlsPolicy::WhenOffered, tls) })
    }
}

fn opportunistic(anyone: Option<Tls>) -> Protection {
    let policy = if anyone.is_some() { TlsPolicy::WhenOffered } else { TlsPolicy::Never };
    Protection::new(policy, anyone)
}
