//! The relay: hands jobs from the store to the broker, never making anybody wait.
//!
//! Losing a message here is no error: its job stays in the store, and the sweep finds it.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::counter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    id::JobId,
    ports::{Broker, Store},
    topology::Publication,
};

/// Publications that wait for the broker; beyond that jobs are left to the sweep.
const WAITING: usize = 16_384;
/// Publications handed to the broker at once.
const BATCH: usize = 512;
/// Publications that wait for their time; beyond that jobs are left to the sweep.
const TIMERS: usize = 200_000;

/// The handle: cheap to clone, never waits.
#[derive(Clone, Debug)]
pub struct Relay {
    waiting: mpsc::Sender<Publication>,
    timed: mpsc::Sender<(Instant, Publication)>,
    refused: mpsc::Sender<JobId>,
}

/// Room for one publication, taken before the commit that calls for it.
#[derive(Debug)]
pub struct Room<'a>(mpsc::Permit<'a, Publication>);

impl Room<'_> {
    /// Hands the publication on, after the commit.
    pub fn send(self, publication: Publication) {
        self.0.send(publication);
    }
}

impl Relay {
    /// Takes room for one publication; `None` means that the job should be due at once, for the sweep.
    #[must_use]
    pub fn room(&self) -> Option<Room<'_>> {
        self.waiting.try_reserve().ok().map(Room)
    }

    /// Hands publications on. What finds no room is marked due at once in the store.
    pub fn send(&self, publications: &[Publication]) {
        for publication in publications {
            if self.waiting.try_send(*publication).is_err() {
                counter!("clinic_relay_refused_total").increment(1);
                let _ = self.refused.try_send(publication.message.job);
            }
        }
    }

    /// Hands a publication on after a pause. What finds no room is left to the sweep, which knows the job's time.
    pub fn send_after(&self, pause: Duration, publication: Publication) {
        if self.timed.try_send((Instant::now() + pause, publication)).is_err() {
            counter!("clinic_relay_refused_total").increment(1);
        }
    }
}

/// The relay's running half.
#[derive(Debug)]
pub struct RelayRun {
    relay: Relay,
    waiting: mpsc::Receiver<Publication>,
    timed: mpsc::Receiver<(Instant, Publication)>,
    refused: mpsc::Receiver<JobId>,
}

/// A relay and its running half.
#[must_use]
pub fn relay() -> (Relay, RelayRun) {
    let (waiting, waiting_end) = mpsc::channel(WAITING);
    let (timed, timed_end) = mpsc::channel(WAITING);
    let (refused, refused_end) = mpsc::channel(WAITING);
    let relay = Relay { waiting, timed, refused };
    (relay.clone(), RelayRun { relay, waiting: waiting_end, timed: timed_end, refused: refused_end })
}

/// Publishes what comes until shutdown, then what is left.
pub async fn run(run: RelayRun, store: Arc<dyn Store>, broker: Arc<dyn Broker>, shutdown: CancellationToken) {
    let RelayRun { relay, waiting, timed, refused } = run;
    tokio::join!(
        publish(waiting, relay.refused.clone(), broker, shutdown.clone()),
        tick(timed, relay, shutdown.clone()),
        hasten(refused, store, shutdown),
    );
}

async fn publish(
    mut waiting: mpsc::Receiver<Publication>,
    refused: mpsc::Sender<JobId>,
    broker: Arc<dyn Broker>,
    shutdown: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            taken = waiting.recv_many(&mut batch, BATCH) => if taken == 0 { return },
            () = shutdown.cancelled() => return,
        }
        for (publication, result) in batch.iter().zip(broker.publish(&batch).await) {
            if result.is_err() {
                counter!("clinic_relay_refused_total").increment(1);
                let _ = refused.try_send(publication.message.job);
            }
        }
        batch.clear();
    }
}

/// Keeps publications until their time. One heap and one sleep, however many wait.
async fn tick(mut timed: mpsc::Receiver<(Instant, Publication)>, relay: Relay, shutdown: CancellationToken) {
    let mut heap: BinaryHeap<Reverse<Due>> = BinaryHeap::new();
    loop {
        let next = heap.peek().map(|Reverse(due)| due.at);
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            received = timed.recv(), if heap.len() < TIMERS => match received {
                Some((at, publication)) => heap.push(Reverse(Due { at, publication })),
                None => return,
            },
            () = sleep => while let Some(Reverse(due)) = heap.peek() {
                if due.at > Instant::now() {
                    break;
                }
                relay.send(&[due.publication]);
                heap.pop();
            },
        }
    }
}

async fn hasten(mut refused: mpsc::Receiver<JobId>, store: Arc<dyn Store>, shutdown: CancellationToken) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            taken = refused.recv_many(&mut batch, BATCH) => if taken == 0 { return },
        }
        // When the store cannot do it either, the jobs are found after their grace.
        if let Err(error) = store.hasten(&batch).await {
            tracing::debug!(jobs = batch.len(), %error, "jobs without a message wait for the end of their grace");
        }
        batch.clear();
    }
}

#[derive(Debug)]
struct Due {
    at: Instant,
    publication: Publication,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
