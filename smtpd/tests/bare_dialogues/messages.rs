//! Messages in memory, behind the trait that the session hands its drafts to.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use mailstore::{Delivery, Draft, IntakeError, MessageId, Receipt};

use crate::quotas::Quotas;

/// One message as it was committed.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) delivery: Delivery,
    pub(crate) content: Vec<u8>,
    /// The largest piece in which the content came.
    pub(crate) write_octets_max: usize,
}

/// When the store fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailAt {
    Draft,
    Write,
    Commit,
}

/// What was committed, and what shall fail.
#[derive(Clone)]
pub(crate) struct Messages {
    committed: Arc<Mutex<Vec<Message>>>,
    quotas: Arc<Quotas>,
    pub(crate) failure: Option<(FailAt, IntakeError)>,
}

struct MemoryDraft {
    messages: Messages,
    content: Vec<u8>,
    write_octets_max: usize,
}

impl Messages {
    /// None so far; maildrops have these quotas.
    pub(crate) fn new(quotas: Arc<Quotas>) -> Self {
        Self { committed: Arc::default(), quotas, failure: None }
    }

    pub(crate) fn draft(&self) -> Result<Box<dyn Draft>, IntakeError> {
        self.fail(FailAt::Draft)?;
        Ok(Box::new(MemoryDraft { messages: self.clone(), content: Vec::new(), write_octets_max: 0 }))
    }

    /// Everything committed so far.
    pub(crate) fn committed(&self) -> Vec<Message> {
        self.committed.lock().unwrap().clone()
    }

    fn fail(&self, now: FailAt) -> Result<(), IntakeError> {
        match &self.failure {
            Some((at, error)) if *at == now => Err(error.clone()),
            Some(_) | None => Ok(()),
        }
    }
}

#[async_trait]
impl Draft for MemoryDraft {
    async fn write(&mut self, octets: &[u8]) -> Result<(), IntakeError> {
        self.messages.fail(FailAt::Write)?;
        self.content.extend_from_slice(octets);
        self.write_octets_max = self.write_octets_max.max(octets.len());
        Ok(())
    }

    async fn commit(self: Box<Self>, delivery: Delivery) -> Result<Receipt, IntakeError> {
        self.messages.fail(FailAt::Commit)?;
        let prefixes = delivery.delivery_prefix.len() + delivery.prefix.len();
        let octets = u64::try_from(prefixes + self.content.len()).unwrap();
        let verdicts = self.messages.quotas.take(&delivery.maildrops, &delivery.fate, octets)?;
        let mut committed = self.messages.committed.lock().unwrap();
        let Self { content, write_octets_max, .. } = *self;
        committed.push(Message { delivery, content, write_octets_max });
        Ok(Receipt { message: MessageId(u64::try_from(committed.len()).unwrap()), octets, verdicts })
    }
}

/// The result of a future that never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a draft in memory has nothing to wait for"),
    }
}
