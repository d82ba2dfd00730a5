//! Graceful drain: one trigger, any number of tasks that hear of it.

use tokio::sync::watch;

/// Starts the drain when [`Self::trigger`] is called or it is dropped.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Hears of the drain.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// A trigger and what hears of it.
    #[must_use]
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Returns once the drain has begun.
    pub async fn begun(&self) {
        let mut receiver = self.0.clone();
        // An error means that the trigger was dropped, which begins the drain as well.
        let _ = receiver.wait_for(|begun| *begun).await;
    }

    /// True once the drain has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl ShutdownTrigger {
    /// Begins the drain.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }
}
