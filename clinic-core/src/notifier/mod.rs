//! The notifier: tells every event on every channel, each notice on its own.

mod done;
mod outlet;
mod send;

use std::{future::ready, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use metrics::counter;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::outlet::Outlets;
use self::{done::Done, send::Sending};
use crate::{
    chance::chance,
    crash::crash_point,
    message::Message,
    notification::Notice,
    ports::{Broker, ClaimRequest, Consumer, Delivery, NoticeClaimant, Store},
    settings::Settings,
    topology::Queue,
    worker::drain_from,
};

/// Deliveries claimed in one write.
const BATCH: usize = 256;
/// Overdue notices claimed by one sweep, on each channel; also ledger rows made by it.
const SWEEP_BATCH: usize = 1_024;
/// Unacknowledged deliveries. A notice that finds no room waits in the store, not in the broker.
const PREFETCH: usize = 2_000;

/// What a notifier needs.
#[derive(Clone)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Notifier {
    pub store: Arc<dyn Store>,
    pub broker: Arc<dyn Broker>,
    pub outlets: Arc<Outlets>,
    pub settings: Arc<Settings>,
}

/// Tells until shutdown; then gives what is being sent [`DRAIN`](crate::worker::DRAIN) and the rest back to the store.
pub async fn run(notifier: Notifier, shutdown: CancellationToken) {
    let (woken, waking) = mpsc::channel(BATCH * 4);
    let sending = Arc::new(Sending::new(notifier, woken));
    let mut office = Office { sending, tasks: TaskTracker::new(), abandon: CancellationToken::new(), waking };
    // Should this be dropped on the way, what is being sent is left as well.
    let _abandoned = office.abandon.clone().drop_guard();
    let (consumer, drained) = tokio::join!(office.work(&shutdown), drain_from(&shutdown));
    office.tasks.close();
    if timeout_at(drained, office.tasks.wait()).await.is_err() {
        office.abandon.cancel();
        office.tasks.wait().await;
        office.sending.give_back().await;
    }
    drop(consumer);
}

/// One task claims, from the broker and from the store; so the room it sees on a channel is there when it starts to send.
struct Office {
    sending: Arc<Sending>,
    tasks: TaskTracker,
    abandon: CancellationToken,
    waking: mpsc::Receiver<ClaimRequest>,
}

/// The way to the broker: opened beside everything else, so that a broker that hangs holds up nobody.
enum Line {
    Opening(BoxFuture<'static, Option<Box<dyn Consumer>>>),
    Open(Box<dyn Consumer>),
}

/// What came over the line.
enum Heard {
    Opened(Option<Box<dyn Consumer>>),
    Delivery(Option<Delivery>),
}

impl Line {
    async fn next(&mut self) -> Heard {
        match self {
            Self::Opening(opening) => Heard::Opened(opening.await),
            Self::Open(consumer) => Heard::Delivery(consumer.next().await),
        }
    }
}

impl Office {
    fn open(&self, after: Duration) -> Line {
        let broker = Arc::clone(&self.sending.notifier.broker);
        let opening = async move {
            sleep(after).await;
            broker.consume(Queue::Notifications, PREFETCH).await.ok()
        };
        Line::Opening(opening.boxed())
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> Option<Box<dyn Consumer>> {
        let mut ticks = interval(self.sending.notifier.settings.sweep);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut line = self.open(Duration::ZERO);
        // Whether the last sweep left overdue notices behind.
        let mut more = false;
        loop {
            let outlets = Arc::clone(&self.sending.notifier.outlets);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => more = self.sweep().await,
                () = outlets.room_again() => more = self.sweep().await,
                Some(request) = self.waking.recv() => self.claim(vec![(request, None)], shutdown).await,
                heard = line.next() => match (heard, &mut line) {
                    (Heard::Opened(Some(consumer)), _) => line = Line::Open(consumer),
                    (Heard::Delivery(Some(first)), Line::Open(consumer)) => {
                        let batch = gather(first, &mut **consumer);
                        self.claim(batch, shutdown).await;
                    }
                    // Jittered, so that a fleet does not come back at once.
                    _ => line = self.open(Duration::from_millis(200).mul_f64(1.0 + chance())),
                },
                // Last, so that news is told between two batches of a backlog.
                () = ready(()), if more => more = self.sweep().await,
            }
        }
        match line {
            Line::Open(mut consumer) => {
                consumer.cancel().await;
                Some(consumer)
            }
            Line::Opening(_) => None,
        }
    }

    fn claimant(&self, rooms: Vec<(String, usize)>) -> NoticeClaimant {
        let Notifier { settings, outlets, .. } = &self.sending.notifier;
        NoticeClaimant::new(settings.worker.clone(), outlets.lease(settings.lease), rooms)
    }

    async fn claim(&self, batch: Vec<(ClaimRequest, Option<Delivery>)>, shutdown: &CancellationToken) {
        let batch: Vec<_> = batch.into_iter().filter_map(|(request, delivery)| self.sending.unless_sending(request, delivery)).collect();
        if batch.is_empty() {
            return;
        }
        let requests: Vec<_> = batch.iter().map(|(request, _)| *request).collect();
        let claimant = self.claimant(self.sending.notifier.outlets.rooms());
        let claimed = loop {
            match self.sending.notifier.store.claim_notices(&claimant, &requests).await {
                Ok(claimed) => break claimed,
                Err(error) => {
                    tracing::warn!(%error, "cannot claim notices; trying again");
                    tokio::select! {
                        () = sleep(Duration::from_millis(500)) => {}
                        () = shutdown.cancelled() => return,
                    }
                }
            }
        };
        crash_point!("notices_claimed");
        counter!("clinic_notice_claims_total", "path" => "broker").increment(claimed.iter().map(|notices| notices.len() as u64).sum());
        for ((_, delivery), notices) in batch.into_iter().zip(claimed) {
            self.start(notices, delivery);
        }
    }

    /// One batch; whether there may be more for those channels that have room.
    async fn sweep(&self) -> bool {
        let claimant = self.claimant(self.sending.notifier.outlets.rooms_of_sweep());
        match self.sending.notifier.store.claim_overdue_notices(&claimant, SWEEP_BATCH).await {
            Ok(overdue) => {
                crash_point!("notices_claimed");
                counter!("clinic_notice_claims_total", "path" => "sweep").increment(overdue.notices.len() as u64);
                self.start(overdue.notices, None);
                overdue.more
            }
            Err(error) => {
                tracing::debug!(%error, "cannot look for overdue notices");
                false
            }
        }
    }

    fn start(&self, notices: Vec<Notice>, delivery: Option<Delivery>) {
        let done = Arc::new(Done::new(delivery));
        for notice in notices {
            let Some(outlet) = self.sending.notifier.outlets.get(&notice.channel) else { continue };
            let Some(room) = outlet.take_room() else { continue };
            self.sending.enter(&notice, &done);
            let (sending, done, abandon, outlet) = (Arc::clone(&self.sending), Arc::clone(&done), self.abandon.clone(), outlet.clone());
            self.tasks.spawn(async move {
                tokio::select! {
                    () = sending.send(&notice, &outlet) => sending.leave(&notice),
                    () = abandon.cancelled() => {}
                }
                drop((room, done));
            });
        }
    }
}

fn gather(first: Delivery, consumer: &mut dyn Consumer) -> Vec<(ClaimRequest, Option<Delivery>)> {
    let mut batch = Vec::new();
    let mut next = Some(first);
    while let Some(delivery) = next {
        match Message::parse(&delivery.body) {
            Ok(message) => {
                let request = ClaimRequest::new(message.job, message.booking, delivery.redelivered);
                batch.push((request, Some(delivery)));
            }
            Err(error) => {
                counter!("clinic_poison_total", "queue" => "notification_queue").increment(1);
                tracing::warn!(%error, bytes = delivery.body.len(), "a message cannot be understood; it goes to notification_queue.dead");
                delivery.reject();
            }
        }
        next = if batch.len() < BATCH { consumer.next().now_or_never().flatten() } else { None };
    }
    batch
}

#[cfg(all(test, feature = "sqlite", feature = "embedded", feature = "testing"))]
mod tests;
