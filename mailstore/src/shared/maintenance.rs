//! A sharer's hold on the store: a connection of its own, and ended with it.

use async_trait::async_trait;

use super::member::{Member, Way};
use super::objects::lost;
use super::pool::Connection;
use super::request::{MaintenanceRequest, Request};
use crate::{HeldState, Hold, Maintenance, Unavailable};

struct SharedHold {
    connection: Connection,
    state: HeldState,
}

#[async_trait]
impl Hold for SharedHold {
    fn state(&self) -> &HeldState {
        &self.state
    }

    async fn confirm(&mut self) -> Result<(), Unavailable> {
        let request = Request::Maintenance(MaintenanceRequest::Confirm);
        self.connection.ask(&request).await.map_err(|error| Unavailable(lost(&error)))?
    }
}

#[async_trait]
impl Maintenance for Member {
    async fn hold(&self) -> Result<Box<dyn Hold>, Unavailable> {
        let mut connection = match self.way().await? {
            Way::Here(core) => return Maintenance::hold(&core).await,
            Way::Host(connection) => connection,
        };
        let request = Request::Maintenance(MaintenanceRequest::Hold);
        let state: Result<HeldState, Unavailable> =
            connection.ask(&request).await.map_err(|error| Unavailable(lost(&error)))?;
        Ok(Box::new(SharedHold { connection, state: state? }))
    }
}
