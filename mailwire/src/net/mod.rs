//! Connections, listeners and TLS on tokio; knows lines and content, and no protocol.

mod certificates;
mod channel;
mod connection;
mod counts;
mod deadline;
mod end_point;
mod failure;
mod limits;
mod listener;
mod login;
mod shutdown;
#[cfg(test)]
mod testing;
mod tickets;
mod tls;

pub use certificates::{CertificateError, Certificates, ClientAuthorities};
pub use connection::{Connection, TlsDetails};
pub use failure::{ReadError, TlsError};
pub use limits::{ConnectionLimits, ListenerLimits};
pub use listener::{Listener, Security, Terms};
pub use login::LoginMeans;
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use tls::{ServerTls, client_config, client_name};
