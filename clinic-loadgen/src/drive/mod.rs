//! Sends the requests: by schedule or as fast as they are answered.

mod made;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use clinic_client::{BookingView, Client, Error};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::made::Made;
use crate::{
    draw::{Arrival, Draw, Operation},
    load::{Load, Pace, Schedule},
    log::{Line, Outcome},
    report::{Latency, is_saturated},
    series::{Phase, Progress},
    tally::{Moment, Tally},
};

/// No pacer sleeps longer without looking whether it is to stop.
const NAP: Duration = Duration::from_millis(100);
/// How often it is said how the run stands.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// Drives the clinic until the load is over, or until told to stop, and waits for the last answer. What came of each booking goes to
/// `log`, if there is one; how the run stands, to `progress`. Gives the tally and how long it took.
pub async fn drive(
    client: &Client,
    draw: &Draw,
    load: &Load,
    seed: u64,
    log: Option<mpsc::Sender<Line>>,
    progress: &watch::Sender<Progress>,
    stop: &CancellationToken,
) -> (Tally, Duration) {
    let driver = Driver {
        client: client.clone(),
        draw: draw.clone(),
        warm_up: load.warm_up,
        begun: Instant::now(),
        tally: Arc::default(),
        made: Arc::default(),
        log,
        stop: stop.clone(),
    };
    let driving = async {
        match &load.pace {
            Pace::Open { in_flight, .. } => driver.open(Schedule::new(load, seed), *in_flight).await,
            Pace::Closed { connections, .. } => driver.closed(*connections, load).await,
        }
    };
    tokio::select! {
        () = driving => {}
        () = driver.tell(load, progress) => {}
    }
    let took = driver.begun.elapsed();
    driver.say(load, progress);
    let tally = std::mem::take(&mut *driver.tally.lock().unwrap_or_else(PoisonError::into_inner));
    (tally, took)
}

#[derive(Clone)]
struct Driver {
    client: Client,
    draw: Draw,
    warm_up: Duration,
    begun: Instant,
    tally: Arc<Mutex<Tally>>,
    made: Arc<Mutex<Made>>,
    log: Option<mpsc::Sender<Line>>,
    stop: CancellationToken,
}

impl Driver {
    async fn open(&self, schedule: Schedule, in_flight: usize) {
        let (driver, requests, room) = (self.clone(), TaskTracker::new(), Arc::new(Semaphore::new(in_flight)));
        let (runtime, tracker) = (Handle::current(), requests.clone());
        // A thread of its own keeps time: the runtime's timer knows whole milliseconds only.
        let pacing = tokio::task::spawn_blocking(move || {
            for (index, due) in (0..).zip(schedule) {
                if !driver.sleep_until(driver.begun + due) {
                    break;
                }
                let Ok(permit) = room.clone().try_acquire_owned() else {
                    driver.with_tally(|tally| tally.unsent(driver.moment(due)));
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

    async fn closed(&self, connections: usize, load: &Load) {
        let (duration, requests) = (load.planned(), load.requests.unwrap_or(u64::MAX));
        let (callers, next) = (TaskTracker::new(), Arc::new(AtomicU64::new(0)));
        for _ in 0..connections {
            let (driver, next) = (self.clone(), next.clone());
            callers.spawn(async move {
                loop {
                    let now = driver.begun.elapsed();
                    if now >= duration || driver.stop.is_cancelled() {
                        break;
                    }
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= requests {
                        break;
                    }
                    driver.send(index, now).await;
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

    async fn send(&self, index: u64, due: Duration) {
        let arrival = self.draw.arrival(index);
        self.with_tally(|tally| tally.sent(self.moment(due)));
        // What is to be read or cancelled must have been booked: until something was, bookings are made instead.
        match (arrival.operation, self.target(&arrival)) {
            (Operation::List, _) => {
                let list = self.client.bookings().list().doctor(&*arrival.visit.doctor).limit(50).send().await;
                self.count(Operation::List, list.as_ref().map(|_| None), due);
            }
            (Operation::Get, Some(id)) => {
                let answer = self.client.bookings().get(id).await;
                self.count(Operation::Get, answer.as_ref().map(|_| None), due);
            }
            (Operation::Cancel, Some(id)) => {
                let answer = self.client.bookings().cancel(id).await;
                self.count(Operation::Cancel, answer.as_ref().map(|_| None), due);
            }
            _ => self.book(index, &arrival, due).await,
        }
    }

    async fn book(&self, index: u64, arrival: &Arrival, due: Duration) {
        let answer: Result<BookingView, Error> = self.client.bookings().request(arrival.request()).send().await;
        let latency = self.count(Operation::Book, answer.as_ref().map(|booking| Some(booking.id)), due);
        if let Ok(booking) = &answer {
            self.with_made(|made| made.add(booking.id));
        }
        if let Some(log) = &self.log {
            let due = Utc::now() - TimeDelta::from_std(latency).unwrap_or_default();
            // A log that failed has said so and stops the run.
            let _ = log.send(Line::new(index, due, arrival.visit.clone(), Outcome::of(&answer, &arrival.visit))).await;
        }
    }

    /// The booking that an arrival is about.
    fn target(&self, arrival: &Arrival) -> Option<Uuid> {
        match arrival.operation {
            Operation::Get => self.with_made(|made| made.any(arrival.which)),
            Operation::Cancel => self.with_made(|made| made.take(arrival.which)),
            _ => None,
        }
    }

    /// Counts an answer; gives its latency.
    fn count(&self, operation: Operation, answer: Result<Option<Uuid>, &Error>, due: Duration) -> Duration {
        let moment = self.moment(due);
        self.with_tally(|tally| tally.answered(operation, answer, moment));
        moment.latency()
    }

    fn moment(&self, due: Duration) -> Moment {
        Moment { due, now: self.begun.elapsed(), is_measured: due >= self.warm_up }
    }

    /// Says again and again how the run stands.
    async fn tell(&self, load: &Load, progress: &watch::Sender<Progress>) {
        let mut ticks = interval(TOLD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.say(load, progress);
        }
    }

    fn say(&self, load: &Load, progress: &watch::Sender<Progress>) {
        let elapsed = self.begun.elapsed();
        let now = self.with_tally(|tally| {
            tally.series.close_before(elapsed);
            let of = |count: fn(&crate::tally::Count) -> u64| count(&tally.warm_up) + count(&tally.measured);
            Progress {
                phase: if elapsed < load.warm_up { Phase::WarmUp } else { Phase::Sending },
                elapsed,
                planned: load.planned(),
                target: load.target(elapsed),
                last: tally.series.last().unwrap_or_default(),
                sent: of(|count| count.sent) + tally.series.in_flight(),
                unsent: of(|count| count.unsent),
                accepted: of(|count| count.accepted),
                conflicts: of(|count| count.conflicts),
                errors: tally.errors.clone(),
                latency_ms: Latency::of(&tally.latency),
                in_flight: tally.series.in_flight(),
                saturated: is_saturated(tally.measured.unsent, &tally.lag),
                settled: 0,
            }
        });
        progress.send_replace(now);
    }

    fn with_tally<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_made<T>(&self, change: impl FnOnce(&mut Made) -> T) -> T {
        change(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
