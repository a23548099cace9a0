use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use futures_util::{FutureExt, Stream, future::join_all};
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions},
    types::{FieldTable, ShortString},
};
use tokio::{task::coop, time::timeout};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    error::{LinkError, within},
    intake::Going,
    session::{STEP, Session},
};
use crate::ports::{Acker, Consumer, Delivery};

/// AMQP counts a channel's prefetch in 16 bits, and takes 0 for no bound at all.
const MOST: usize = u16::MAX as usize;

/// A consumer of one queue, spread over as many channels as its prefetch needs.
pub(super) struct RabbitConsumer {
    session: Arc<Session>,
    going: Going,
    seats: Vec<Seat>,
    /// Whose turn it is to be asked first.
    turn: usize,
    cancelled: bool,
    over: bool,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

struct Seat {
    channel: Arc<SeatChannel>,
    deliveries: lapin::Consumer,
    ended: bool,
}

impl RabbitConsumer {
    pub(super) async fn open(session: &Arc<Session>, going: Going, queue: ShortString, prefetch: usize) -> Result<Self, LinkError> {
        let mut consumer = Self {
            session: Arc::clone(session),
            going,
            seats: Vec::new(),
            turn: 0,
            cancelled: false,
            over: false,
            end: Box::pin(session.end()),
        };
        for share in shares(prefetch) {
            let channel = session.channel().await?;
            within(STEP, "setting the prefetch", channel.basic_qos(share, BasicQosOptions::default())).await?;
            let consuming = channel.basic_consume(queue.clone(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
            let deliveries = within(STEP, "consuming", consuming).await?;
            consumer.seats.push(Seat { channel: Arc::new(SeatChannel::new(channel)), deliveries, ended: false });
        }
        Ok(consumer)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.over || self.session.is_over() {
            self.over = true;
            return Poll::Ready(None);
        }
        self.turn = (self.turn + 1) % self.seats.len();
        for place in 0..self.seats.len() {
            let place = (self.turn + place) % self.seats.len();
            let seat = &mut self.seats[place];
            if seat.ended {
                continue;
            }
            match Pin::new(&mut seat.deliveries).poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(delivery))) => return Poll::Ready(Some(seat.delivery(delivery))),
                Poll::Ready(None) if self.cancelled => seat.ended = true,
                Poll::Ready(ended) => {
                    self.over = true;
                    let why = ended.and_then(Result::err).map_or_else(String::new, |error| format!(": {error}"));
                    self.session.fail(format!("the broker ended a consumer{why}"));
                    return Poll::Ready(None);
                }
            }
        }
        if self.seats.iter().all(|seat| seat.ended) || self.end.poll_unpin(cx).is_ready() {
            self.over = true;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}

impl Seat {
    fn delivery(&self, delivery: lapin::message::Delivery) -> Delivery {
        let acker = SeatAcker { channel: Arc::clone(&self.channel), tag: delivery.delivery_tag };
        Delivery::new(delivery.data.into(), delivery.redelivered, Box::new(acker))
    }
}

/// A prefetch in shares that AMQP can count.
fn shares(prefetch: usize) -> Vec<u16> {
    let prefetch = prefetch.max(1);
    let seats = prefetch.div_ceil(MOST);
    let share = |seat| u16::try_from(prefetch / seats + usize::from(seat < prefetch % seats)).unwrap_or(u16::MAX);
    (0..seats).map(share).collect()
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        poll_fn(|cx| {
            // A queue that is never empty would keep its consumer's task running for ever.
            let turn = ready!(coop::poll_proceed(cx));
            let next = ready!(self.poll_next(cx));
            turn.made_progress();
            Poll::Ready(next)
        })
        .await
    }

    async fn cancel(&mut self) {
        self.cancelled = true;
        let cancelling = self.seats.iter().map(|seat| {
            let tag = seat.deliveries.tag();
            seat.channel.channel.basic_cancel(tag, BasicCancelOptions::default())
        });
        match timeout(STEP, join_all(cancelling)).await {
            Ok(answers) if answers.iter().all(Result::is_ok) => {}
            _ => self.over = true,
        }
    }
}

impl Drop for RabbitConsumer {
    fn drop(&mut self) {
        for seat in &self.seats {
            if let Some(closing) = seat.channel.close() {
                let gone = self.going.begin();
                self.session.spawn(async move {
                    let _ = timeout(STEP, closing).await;
                    drop(gone);
                });
            }
        }
    }
}

/// A channel with one consumer. Acknowledgements and the channel's end are sent one at a time: a frame after the end would be an
/// error that costs the whole connection.
struct SeatChannel {
    channel: Channel,
    open: Mutex<bool>,
}

type Closing = Pin<Box<dyn Future<Output = lapin::Result<()>> + Send>>;

impl SeatChannel {
    fn new(channel: Channel) -> Self {
        Self { channel, open: Mutex::new(true) }
    }

    /// Sends the channel's end at once; what is left is to wait for the broker's answer.
    fn close(&self) -> Option<Closing> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *open, false) {
            return None;
        }
        let channel = self.channel.clone();
        let mut closing: Closing = Box::pin(async move { channel.close(200, "done".into()).await });
        closing.as_mut().now_or_never().is_none().then_some(closing)
    }

    /// Queues a frame: the first poll does, what follows would wait for the socket. There is at most one for each delivery, so the
    /// prefetch bounds them. Those of a channel that is gone are nobody's any more.
    fn send(&self, frame: impl Future<Output = lapin::Result<()>>) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if *open {
            let _ = frame.now_or_never();
        }
    }
}

struct SeatAcker {
    channel: Arc<SeatChannel>,
    tag: u64,
}

impl Acker for SeatAcker {
    fn ack(self: Box<Self>) {
        self.channel.send(self.channel.channel.basic_ack(self.tag, BasicAckOptions::default()));
    }

    fn reject(self: Box<Self>) {
        self.channel.send(self.channel.channel.basic_reject(self.tag, BasicRejectOptions { requeue: false }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefetch_is_spread_over_channels_that_can_count_it() {
        assert_eq!(shares(0), [1]);
        assert_eq!(shares(1), [1]);
        assert_eq!(shares(65_535), [65_535]);
        assert_eq!(shares(65_536), [32_768, 32_768]);
        assert_eq!(shares(200_001), [50_001, 50_000, 50_000, 50_000]);
    }
}
