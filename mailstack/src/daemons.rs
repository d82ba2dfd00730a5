//! Both daemons on one store, from binding to the end of the drain.

use std::io;
use std::sync::Arc;

use mailstore::Store;
use mailwire::daemon::config::Server;
use mailwire::daemon::oauth::Checker;
use mailwire::daemon::{process, serving};
use mailwire::net::{Certificates, ServerTls};
use thiserror::Error;
use tracing::info;

/// Why a daemon cannot listen.
#[derive(Debug, Error)]
pub(crate) enum BindError {
    #[error(transparent)]
    Smtp(#[from] smtpd::BindError),
    #[error(transparent)]
    Pop3(#[from] pop3d::BindError),
}

impl BindError {
    /// The service whose address another program listens on, where that is what is wrong.
    pub(crate) fn taken(&self) -> Option<&'static str> {
        match self {
            Self::Smtp(smtpd::BindError::Listen { service, source, .. })
            | Self::Pop3(pop3d::BindError::Listen { service, source, .. })
                if source.kind() == io::ErrorKind::AddrInUse =>
            {
                Some(service)
            }
            Self::Smtp(_) | Self::Pop3(_) => None,
        }
    }
}

/// Both daemons, bound.
pub(crate) struct Daemons {
    smtp: smtpd::Service,
    pop3: pop3d::Service,
    certificates: Arc<Certificates>,
    store: Store,
}

/// What the daemons share.
pub(crate) struct Common {
    pub(crate) server: Server,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) tls: ServerTls,
    pub(crate) store: Store,
    pub(crate) tokens: Option<Arc<Checker>>,
    pub(crate) relay: smtpd::relay::RelayTables,
    pub(crate) gate: smtpd::gate::GateTables,
    pub(crate) checks: smtpd::checks::Checks,
}

impl Daemons {
    /// Binds every address of both configurations.
    pub(crate) fn bind(
        smtp: &smtpd::Config,
        pop3: &pop3d::Config,
        common: &Common,
    ) -> Result<Self, BindError> {
        let Common { server, certificates, tls, store, tokens, relay, gate, checks } = common;
        let shared = smtpd::Shared {
            server: server.clone(),
            tls: Some(tls.clone()),
            store: store.clone(),
            tokens: tokens.clone(),
            relay: relay.clone(),
            gate: gate.clone(),
            checks: checks.clone(),
        };
        let smtp = smtpd::Service::bind(smtp, &shared)?;
        let smtpd::Shared { server, tls, store, tokens, .. } = shared;
        let pop3 = pop3d::Service::bind(pop3, &pop3d::Shared { server, tls, store: store.clone(), tokens })?;
        Ok(Self { smtp, pop3, certificates: Arc::clone(certificates), store })
    }

    /// Where SMTP listens.
    pub(crate) const fn smtp_addresses(&self) -> &smtpd::Addresses {
        self.smtp.addresses()
    }

    /// Where POP3 listens.
    pub(crate) const fn pop3_addresses(&self) -> &pop3d::Addresses {
        self.pop3.addresses()
    }

    /// Serves until told to stop and drained, then closes the store. `ready` is called once it serves.
    pub(crate) async fn serve(self, ready: impl FnOnce()) -> io::Result<()> {
        let Self { smtp, pop3, certificates, store } = self;
        serving::until_drained(&certificates, |shutdown| {
            announce(smtp.addresses(), pop3.addresses());
            ready();
            async { _ = tokio::join!(smtp.run(shutdown.clone()), pop3.run(shutdown)) }
        })
        .await?;
        store.close().await;
        info!("stopped");
        Ok(())
    }
}

/// One line with everything that is served.
fn announce(smtp: &smtpd::Addresses, pop3: &pop3d::Addresses) {
    let smtpd::Addresses { reception, submission, submissions, lmtp } = smtp;
    let pop3d::Addresses { pop3, pop3s } = pop3;
    let open_files_max = process::raise_open_files_limit();
    info!(?reception, ?submission, ?submissions, ?lmtp, ?pop3, ?pop3s, open_files_max, "serving");
}
