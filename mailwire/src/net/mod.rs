//! Connections, listeners and TLS on tokio; knows lines and content, and no protocol.

mod anyone;
mod certificates;
mod channel;
mod connection;
mod counts;
mod dane;
mod deadline;
mod door;
mod end_point;
mod failure;
#[cfg(feature = "https")]
mod https;
mod judge;
mod limits;
mod listen_address;
mod listener;
mod login;
mod network;
mod proxied;
mod shutdown;
mod socket;
#[cfg(test)]
mod testing;
mod tickets;
mod tls;
mod unix_socket;
mod watched;

pub use anyone::trusting_anyone;
pub use certificates::{CertificateError, Certificates, ClientAuthorities};
pub use connection::Connection;
pub use dane::{Dane, DaneError, Tlsa, trusting_dane};
pub use door::{Admittance, Door, Doorkeeper};
pub use failure::{ReadError, TlsError};
#[cfg(all(test, feature = "https"))]
pub(crate) use https::testing as answering;
#[cfg(feature = "https")]
pub use https::{
    HttpsClient, HttpsError, HttpsSetupError, HttpsUrl, HttpsUrlError, KnownRoots, QuestionLimits, Roots,
    trusting,
};
pub use judge::{Judge, Shown, trusting_as};
pub use limits::{ConnectionLimits, ListenerLimits};
pub use listen_address::{ListenAddress, ListenAddressError};
pub use listener::{Listener, Security, Terms};
pub use login::LoginMeans;
pub use network::{Network, NetworkError};
pub use proxied::Proxies;
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use socket::{Endpoint, Socket};
pub use tls::{ServerTls, TlsDetails, client_config, client_name};
pub use watched::{Watched, trusting_watched};
