//! A reply held back for a while, so that whoever guesses passwords is slow at it.

use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;

use super::Connection;
use crate::clock;
use crate::net::ReadError;

/// So many octets of a peer that is kept waiting are read ahead; then its own system holds the rest.
pub(super) const AHEAD_OCTETS_MAX: usize = 4 << 10;

impl Connection {
    /// Sends what is queued, then lets `duration` pass before the peer is answered. What comes meanwhile is kept for the
    /// next read.
    ///
    /// # Errors
    /// At once where the peer closes or the drain begins.
    pub async fn pause(&mut self, duration: Duration) -> Result<(), ReadError> {
        if duration.is_zero() {
            return Ok(());
        }
        self.flush().await?;
        let end = clock::instant().checked_add(duration);
        poll_fn(|context| {
            while self.state.received.unread().len() < AHEAD_OCTETS_MAX {
                match self.poll_receive(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            if self.poll_drain(context).is_ready() {
                return Poll::Ready(Err(ReadError::Shutdown));
            }
            let Some(end) = end else { return Poll::Pending };
            ready!(self.state.alarm.poll(context, end));
            Poll::Ready(Ok(()))
        })
        .await
    }
}
