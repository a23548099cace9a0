//! Waiters: callers that want to know of a decision. All of them share one batched re-read of the store.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, pending},
};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    batches::{BATCH, Batches},
    booking::Status,
    id::BookingId,
    ports::{Broker, Listener, Record, Store},
    watchers::Watchers,
};

/// How often waiting callers' bookings are read again, whatever the broker says.
const REREAD: Duration = Duration::from_secs(1);

/// Who waits for what.
#[derive(Debug, Default)]
pub struct Waiters {
    waiting: Mutex<HashMap<BookingId, Vec<oneshot::Sender<Record>>>>,
    watchers: Watchers,
}

impl Waiters {
    /// Waits for a booking to be decided or cancelled; dropping the receiver gives up.
    #[must_use]
    pub fn register(&self, id: BookingId) -> oneshot::Receiver<Record> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().push(sender);
        receiver
    }

    /// Forgets those who gave up; the bookings that are still waited for.
    fn waited_for(&self) -> Vec<BookingId> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        waiting.keys().copied().collect()
    }

    /// Those of some bookings that are waited for.
    fn waited_for_among(&self, ids: &[BookingId]) -> Vec<BookingId> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().copied().filter(|id| waiting.contains_key(id)).collect()
    }

    /// Those who want to know of more than the decision.
    pub(crate) const fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Tells everybody what became of all that is waited for.
    async fn look(&self, store: &dyn Store) {
        self.reread(store, &self.waited_for()).await;
        self.watchers.reread(store, &self.watchers.followed()).await;
    }

    /// Tells whoever waits for these.
    async fn look_at(&self, store: &dyn Store, ids: &[BookingId]) {
        self.reread(store, &self.waited_for_among(ids)).await;
        self.watchers.reread(store, &self.watchers.followed_among(ids)).await;
    }

    async fn reread(&self, store: &dyn Store, ids: &[BookingId]) {
        let mut batches = Batches::of(ids);
        while let Some(ids) = batches.next() {
            match store.bookings(ids).await {
                Ok(records) => self.tell(records),
                Err(error) => batches.failed(ids, &error),
            }
        }
    }

    fn tell(&self, records: Vec<Record>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            if record.booking.status != Status::Pending {
                for sender in waiting.remove(&record.booking.id).into_iter().flatten() {
                    let _ = sender.send(record.clone());
                }
            }
        }
    }
}

/// Wakes waiters from a broker's news, if there is one to listen to, and, whatever becomes of those, once a second, until shutdown.
pub async fn run(waiters: Arc<Waiters>, store: Arc<dyn Store>, news: Option<Arc<dyn Broker>>, shutdown: CancellationToken) {
    // A read that is cut short is nobody's loss.
    shutdown.run_until_cancelled(look_on(&waiters, &*store, news)).await;
}

async fn look_on(waiters: &Waiters, store: &dyn Store, news: Option<Arc<dyn Broker>>) -> Infallible {
    let mut ticks = interval(REREAD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut line = open(news.as_ref(), Duration::ZERO);
    loop {
        tokio::select! {
            _ = ticks.tick() => waiters.look(store).await,
            heard = line.next() => match heard {
                Heard::Of(ids) => waiters.look_at(store, &ids).await,
                // What was missed meanwhile is read at the next tick.
                Heard::Opened(listener) => line = Line::Open(listener),
                Heard::Nothing => line = open(news.as_ref(), REREAD),
            },
        }
    }
}

/// The way to the broker's news: opened beside the ticks, so that a broker that hangs holds up nobody.
enum Line {
    Opening(BoxFuture<'static, Option<Box<dyn Listener>>>),
    Open(Box<dyn Listener>),
}

/// What came over the line; nothing when it is to be opened anew.
enum Heard {
    Opened(Box<dyn Listener>),
    Of(Vec<BookingId>),
    Nothing,
}

impl Line {
    async fn next(&mut self) -> Heard {
        match self {
            Self::Opening(opening) => opening.await.map_or(Heard::Nothing, Heard::Opened),
            Self::Open(listener) => {
                let Some(first) = listener.next().await else { return Heard::Nothing };
                let mut heard = vec![first];
                // What came meanwhile is read along with it; the end of the line is met again by the next call.
                while heard.len() < BATCH
                    && let Some(Some(id)) = listener.next().now_or_never()
                {
                    heard.push(id);
                }
                Heard::Of(heard)
            }
        }
    }
}

fn open(news: Option<&Arc<dyn Broker>>, after: Duration) -> Line {
    let Some(broker) = news.map(Arc::clone) else { return Line::Opening(pending().boxed()) };
    let opening = async move {
        sleep(after).await;
        broker.listen().await.ok()
    };
    Line::Opening(opening.boxed())
}
