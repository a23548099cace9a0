//! `kill -9` of workers, notifiers and the API under a steady rate of bookings.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::Utc;
use clinic_tests::{
    cluster::{Cluster, Part, held_by},
    rabbit::Rabbit,
    size::{figure, sized},
};
use rand::RngExt;

use super::{accepted, bookings, percentile, settled, steady};

const LEASE: Duration = Duration::from_secs(30);
/// Others take over what a killed worker had in hand within this time, for 99 of 100 bookings: far less than a lease. In short
/// form other tests run beside this one.
fn taken_over_within() -> Duration {
    Duration::from_secs(sized(10, 3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_are_killed_and_others_take_over() {
    let (kills, workers) = (sized(5, 20), 4);
    let rabbit = Rabbit::shared().await;
    let plan = Cluster::over(&rabbit).workers(workers).set("CLINIC_SIM_DELAY", "300ms..900ms").set("CLINIC_SIM_APPROVE", "0.8");
    let mut cluster = plan.start().await;
    let driving = steady(&cluster, "workers", bookings(), 100.0);
    let mut waits = Vec::new();
    for kill in 0..kills {
        accepted(&cluster, bookings() * (kill + 1) / (kills + 1)).await;
        let worker = Part::Worker(rand::rng().random_range(0..workers));
        waits.extend(kill_and_watch(&mut cluster, worker).await);
        cluster.start(worker);
    }
    let tally = driving.await.unwrap();
    let (count, longest) = (waits.len(), waits.iter().max().copied().unwrap_or_default());
    let (median, p99) = (percentile(&mut waits, 0.5), percentile(&mut waits, 0.99));
    figure(&format!("kills of workers: {count} bookings in hand taken over, median {median:?}, p99 {p99:?}, longest {longest:?}"));
    assert!(count >= kills, "the killed workers had only {count} bookings in hand");
    assert!(p99 <= taken_over_within(), "taken over within {p99:?}");
    settled(cluster, "kills of workers", tally, bookings()).await;
}

/// Kills a worker; how long each booking it had in hand waited until somebody else had it.
async fn kill_and_watch(cluster: &mut Cluster, worker: Part) -> Vec<Duration> {
    let store = cluster.setup().store().to_owned();
    let had = held_by(&store, Some(cluster.process(worker).id()));
    let killed_at = Utc::now().timestamp_millis();
    cluster.kill9(worker);
    let mut taken = BTreeMap::new();
    let give_up = Instant::now() + LEASE + Duration::from_secs(10);
    loop {
        let now = held_by(&store, None);
        // A lease begins with its claim. What is gone was decided before the kill.
        for (job, (token, until)) in &now {
            if had.get(job).is_some_and(|(before, _)| before != token) {
                let claimed_at = until - i64::try_from(LEASE.as_millis()).unwrap();
                taken.entry(job.clone()).or_insert(claimed_at - killed_at);
            }
        }
        let left = had.iter().filter(|(job, (token, _))| now.get(*job).is_some_and(|(now, _)| now == token)).count();
        if left == 0 {
            break;
        }
        assert!(Instant::now() < give_up, "{left} bookings of a killed worker were left to it beyond their leases");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    taken.into_values().map(|wait| Duration::from_millis(wait.max(0).unsigned_abs())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn notifiers_are_killed_and_all_are_told() {
    kill_five_times("notifiers", |kill| Part::Notifier(kill % 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_api_is_killed_and_what_it_accepted_is_there() {
    kill_five_times("the API", |_| Part::Api).await;
}

async fn kill_five_times(what: &str, victim: impl Fn(usize) -> Part) {
    const KILLS: usize = 5;
    let rabbit = Rabbit::shared().await;
    let plan = Cluster::over(&rabbit).workers(2).notifiers(2).set("CLINIC_SIM_DELAY", "0ms..200ms").set("CLINIC_SIM_APPROVE", "0.8");
    let mut cluster = plan.start().await;
    let driving = steady(&cluster, "kills", bookings(), 150.0);
    for kill in 0..KILLS {
        accepted(&cluster, bookings() * (kill + 1) / (KILLS + 1)).await;
        cluster.kill9(victim(kill));
        cluster.start(victim(kill));
    }
    let tally = driving.await.unwrap();
    settled(cluster, &format!("kills of {what}"), tally, bookings()).await;
}
