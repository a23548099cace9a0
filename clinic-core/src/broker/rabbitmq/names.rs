use lapin::types::ShortString;

use uuid::Uuid;

use crate::topology::{Exchange, Queue};

/// The names of exchanges and queues, with the prefix before each.
///
/// Routing keys have none: an exchange with a prefix is one tenant's own, and so is what is bound to it.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) const fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn exchange(&self, exchange: &Exchange) -> ShortString {
        self.prefixed(exchange.name)
    }

    pub(super) fn queue(&self, queue: Queue) -> ShortString {
        self.prefixed(queue.spec().name)
    }

    pub(super) fn dead(&self, queue: Queue) -> ShortString {
        self.prefixed(queue.spec().dead)
    }

    /// A queue for one listener.
    pub(super) fn news(&self) -> ShortString {
        self.prefixed(&format!("news.{}", Uuid::now_v7()))
    }

    fn prefixed(&self, name: &str) -> ShortString {
        format!("{}{name}", self.prefix).into()
    }
}
