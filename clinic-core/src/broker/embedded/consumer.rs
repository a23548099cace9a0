use std::{
    future::poll_fn,
    sync::Arc,
    task::{Poll, ready},
};

use async_trait::async_trait;
use tokio::task::coop;

use super::queue::QueueState;
use crate::ports::{Acker, Consumer, Delivery};

/// A consumer: a seat at its queue, left when dropped.
#[derive(Debug)]
pub(super) struct EmbeddedConsumer {
    queue: Arc<QueueState>,
    seat: u64,
}

impl EmbeddedConsumer {
    /// Takes a seat; `None` when the queue is closed.
    pub(super) fn new(queue: Arc<QueueState>, prefetch: usize) -> Option<Self> {
        let seat = queue.sit(prefetch)?;
        Some(Self { queue, seat })
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        self.queue.leave(self.seat);
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        let taken = poll_fn(|cx| {
            // A queue that is never empty would keep its consumer's task running for ever.
            let turn = ready!(coop::poll_proceed(cx));
            let taken = ready!(self.queue.poll_take(self.seat, cx));
            turn.made_progress();
            Poll::Ready(taken)
        })
        .await;
        // No await from here on: what is taken is returned.
        let (place, parked) = taken?;
        let acker = SeatAcker { queue: self.queue.clone(), seat: self.seat, place };
        Some(Delivery::new(parked.message.to_bytes().into(), parked.returns > 0, Box::new(acker)))
    }

    async fn cancel(&mut self) {
        self.queue.cancel(self.seat);
    }
}

#[derive(Debug)]
struct SeatAcker {
    queue: Arc<QueueState>,
    seat: u64,
    place: u64,
}

impl Acker for SeatAcker {
    fn ack(self: Box<Self>) {
        self.queue.settle(self.seat, self.place, false);
    }

    fn reject(self: Box<Self>) {
        self.queue.settle(self.seat, self.place, true);
    }
}
