//! A broker that fails in ways of the test's choosing.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use clinic_core::{
    broker::EmbeddedBroker,
    ports::{Broker, BrokerError, Consumer, Listener, PublishError},
    topology::{Publication, Queue},
};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every queue is full.
    Full,
    /// It cannot be reached.
    Closed,
    /// It confirms every message and loses every second one.
    Losing,
    /// It delivers every message twice.
    Doubling,
}

/// The embedded broker with a fault, which can be changed at any time.
#[derive(Debug)]
pub struct FaultyBroker {
    fault: Mutex<Fault>,
    published: AtomicUsize,
    /// Replaced when it is closed, so that its consumers end.
    inner: Mutex<Arc<EmbeddedBroker>>,
}

impl FaultyBroker {
    /// A broker with a fault.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        let inner = EmbeddedBroker::default();
        let broker = Self { fault: Mutex::new(fault), published: AtomicUsize::new(0), inner: Mutex::new(Arc::new(inner)) };
        broker.set(fault);
        broker
    }

    /// Changes what is wrong with it. Closing ends every consumer; what waited is gone.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        if fault == Fault::Closed {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.close();
            *inner = Arc::default();
        }
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> Result<Arc<EmbeddedBroker>, BrokerError> {
        if self.fault() == Fault::Closed {
            return Err(BrokerError::Unreachable("closed by the test".into()));
        }
        Ok(self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

#[async_trait]
impl Broker for FaultyBroker {
    async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), PublishError>> {
        let Ok(inner) = self.inner() else {
            return publications.iter().map(|_| Err(PublishError::Unreachable)).collect();
        };
        match self.fault() {
            Fault::Full => publications.iter().map(|_| Err(PublishError::Full)).collect(),
            Fault::Losing => {
                let kept = |_: &&Publication| self.published.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
                let kept: Vec<Publication> = publications.iter().filter(kept).copied().collect();
                inner.publish(&kept).await;
                publications.iter().map(|_| Ok(())).collect()
            }
            Fault::Doubling => {
                inner.publish(publications).await;
                inner.publish(publications).await
            }
            Fault::None | Fault::Closed => inner.publish(publications).await,
        }
    }

    async fn consume(&self, queue: Queue, prefetch: usize) -> Result<Box<dyn Consumer>, BrokerError> {
        self.inner()?.consume(queue, prefetch).await
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, BrokerError> {
        self.inner()?.listen().await
    }

    fn health(&self) -> Result<(), BrokerError> {
        self.inner()?.health()
    }

    async fn depth(&self, queue: Queue) -> Option<u64> {
        self.inner().ok()?.depth(queue).await
    }
}
