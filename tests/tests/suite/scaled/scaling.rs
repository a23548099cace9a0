//! Workers scale: at a fixed concurrency each, twice the workers decide nearly twice as much.

use std::time::{Duration, Instant};

use clinic_tests::{
    cluster::{Cluster, Part},
    load::Load,
    rabbit::Rabbit,
    size::{figure, is_full, sized},
};

use super::settled;
use crate::count;

struct Shape {
    concurrency: usize,
    delay: &'static str,
    /// What one worker at its limit decides a second.
    pace: f64,
    /// How long it runs before anything is counted, and how long is counted.
    warm_up: Duration,
    counted: Duration,
}

fn shape() -> Shape {
    let seconds = Duration::from_secs;
    let short = Shape { concurrency: 40, delay: "1s..2s", pace: 40.0 / 1.5, warm_up: seconds(3), counted: seconds(6) };
    let full = Shape { concurrency: 500, delay: "2s..5s", pace: 500.0 / 3.5, warm_up: seconds(8), counted: seconds(30) };
    sized(short, full)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twice_the_workers_decide_twice_as_much() {
    let rabbit = Rabbit::shared().await;
    let one = decided_per_second(&rabbit, 1).await;
    let four = decided_per_second(&rabbit, 4).await;
    figure(&format!("scaling: {one:.0} decided a second by one worker, {:.2} times that by four", four / one));
    // In short form other tests run beside this one.
    if is_full() {
        let two = decided_per_second(&rabbit, 2).await;
        figure(&format!("scaling: {:.2} times that by two", two / one));
        assert!(two >= 1.9 * one, "{two} by two, {one} by one");
        assert!(four >= 3.6 * one, "{four} by four, {one} by one");
    }
}

/// The rate of decisions while every worker has as much in hand as it may.
async fn decided_per_second(rabbit: &Rabbit, workers: usize) -> f64 {
    let Shape { concurrency, delay, pace, warm_up, counted } = shape();
    // Half as much again as can be decided, so that nobody runs out of work; the sweep finds none of it by itself.
    let bookings = (pace * workers as f64 * (warm_up + counted).as_secs_f64() * 1.5) as usize;
    let plan = Cluster::over(rabbit).workers(workers).set("CLINIC_CONCURRENCY", &concurrency.to_string());
    let cluster = plan.set("CLINIC_SIM_DELAY", delay).set("CLINIC_GRACE", "10m").start().await;
    let answers = Load::closed("scaling", 64, bookings).insisting().run(&cluster.http()).await;
    let decided = || count(cluster.setup(), "booking WHERE status <> 'pending'");
    tokio::time::sleep(warm_up).await;
    let (before, began) = (decided(), Instant::now());
    tokio::time::sleep(counted).await;
    let (after, took) = (decided(), began.elapsed());
    let left = count(cluster.setup(), "booking WHERE status = 'pending'");
    assert!(left as usize >= concurrency * workers / 2, "the workers ran out of work: {left} left");
    cluster.at_rest(super::SETTLES_WITHIN).await;
    // Each has its share.
    for worker in 0..workers {
        let part = Part::Worker(worker);
        let claims = cluster.metric_of(part, "clinic_claims_total", "broker").await;
        assert!(claims >= bookings as f64 / workers as f64 / 2.0, "{part:?} claimed {claims} of {bookings}");
    }
    settled(cluster, &format!("scaling to {workers}"), answers, bookings).await;
    (after - before) as f64 / took.as_secs_f64()
}
