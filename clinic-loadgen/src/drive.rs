//! Sends the requests: by schedule or as fast as they are answered.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use clinic_client::Client;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    draw::Draw,
    load::Load,
    log::{Line, Outcome},
    tally::Tally,
};

/// No pacer sleeps longer without looking whether it is to stop.
const NAP: Duration = Duration::from_millis(100);

/// Drives the clinic for `duration`, or until told to stop, and waits for the last answer. What came of each request goes to `log`,
/// if there is one. Gives the tally and how long it took.
pub async fn drive(
    client: &Client,
    draw: &Draw,
    load: Load,
    duration: Duration,
    log: Option<mpsc::Sender<Line>>,
    stop: &CancellationToken,
) -> (Tally, Duration) {
    let driver = Driver { client: client.clone(), draw: draw.clone(), tally: Arc::default(), log, stop: stop.clone() };
    let begun = Instant::now();
    match load {
        Load::Open { rate, in_flight } => driver.open(rate, in_flight, duration).await,
        Load::Closed { connections } => driver.closed(connections, duration).await,
    }
    let took = begun.elapsed();
    let tally = std::mem::take(&mut *driver.tally.lock().unwrap_or_else(PoisonError::into_inner));
    (tally, took)
}

#[derive(Clone)]
struct Driver {
    client: Client,
    draw: Draw,
    tally: Arc<Mutex<Tally>>,
    log: Option<mpsc::Sender<Line>>,
    stop: CancellationToken,
}

impl Driver {
    async fn open(&self, rate: f64, in_flight: usize, duration: Duration) {
        let (driver, requests, room) = (self.clone(), TaskTracker::new(), Arc::new(Semaphore::new(in_flight)));
        let (runtime, tracker) = (Handle::current(), requests.clone());
        // A thread of its own keeps time: the runtime's timer knows whole milliseconds only.
        let pacing = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            for index in 0..Load::arrivals(rate, duration) {
                let due = begun + Load::due(rate, index);
                if !driver.sleep_until(due) {
                    break;
                }
                let Ok(permit) = room.clone().try_acquire_owned() else {
                    driver.with_tally(|tally| tally.unsent += 1);
                    continue;
                };
                let driver = driver.clone();
                let request = async move {
                    driver.send(index, due).await;
                    drop(permit);
                };
                tracker.spawn_on(request, &runtime);
            }
        });
        // A pacer that panicked has nothing left to wait for; its panic was printed.
        let _ = pacing.await;
        requests.close();
        requests.wait().await;
    }

    async fn closed(&self, connections: usize, duration: Duration) {
        let (callers, next) = (TaskTracker::new(), Arc::new(AtomicU64::new(0)));
        let until = Instant::now() + duration;
        for _ in 0..connections {
            let (driver, next) = (self.clone(), next.clone());
            callers.spawn(async move {
                while Instant::now() < until && !driver.stop.is_cancelled() {
                    driver.send(next.fetch_add(1, Ordering::Relaxed), Instant::now()).await;
                }
            });
        }
        callers.close();
        callers.wait().await;
    }

    /// Blocks the thread; `false` when it is to stop instead.
    fn sleep_until(&self, due: Instant) -> bool {
        while !self.stop.is_cancelled() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(NAP));
        }
        false
    }

    async fn send(&self, index: u64, due: Instant) {
        let answer = self.client.bookings().request(self.draw.request(index)).send().await;
        let latency = due.elapsed();
        self.with_tally(|tally| tally.count(&answer, latency));
        if let Some(log) = &self.log {
            let due = Utc::now() - TimeDelta::from_std(latency).unwrap_or_default();
            // A log that failed has said so and stops the run.
            let _ = log.send(Line::new(index, due, self.draw.visit(index), Outcome::of(&answer))).await;
        }
    }

    fn with_tally(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
