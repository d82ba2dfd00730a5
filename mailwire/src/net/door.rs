//! Who is let in at all: asked once for each connection, before anything else is done for it.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

/// Knows who has come too often.
pub trait Doorkeeper: Send + Sync {
    /// Whether a connection from `peer` is served; it counts as one.
    fn knock(&self, peer: IpAddr) -> Pin<Box<dyn Future<Output = Admittance> + Send + '_>>;
}

/// What a doorkeeper says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admittance {
    /// It is served.
    Granted,
    /// It gets the listener's refusal.
    Refused,
}

/// A listener's door.
#[derive(Clone)]
pub struct Door(Option<Arc<dyn Doorkeeper>>);

impl Door {
    /// Nobody keeps it.
    #[must_use]
    pub const fn open() -> Self {
        Self(None)
    }

    /// `keeper` is asked.
    #[must_use]
    pub fn kept_by(keeper: Arc<dyn Doorkeeper>) -> Self {
        Self(Some(keeper))
    }

    /// Who has no address is on this machine, and let in.
    pub(super) async fn knock(&self, peer: Option<IpAddr>) -> Admittance {
        match (&self.0, peer) {
            (Some(keeper), Some(peer)) => keeper.knock(peer).await,
            (None, _) | (_, None) => Admittance::Granted,
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Door(kept)" } else { "Door(open)" })
    }
}
