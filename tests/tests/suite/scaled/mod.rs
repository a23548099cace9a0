//! The clinic as several processes over RabbitMQ: each can die, freeze or be cut off, and so can the broker.

mod alarm;
mod broker_down;
mod detour;
mod duplicates;
mod frozen;
mod garbage;
mod healthy;
mod kills;
mod network;
mod outage;
mod parity;
mod privacy;
mod scaling;
mod told;
mod wiped;

use std::time::Duration;

use clinic_tests::{
    answers::Answers,
    checker::Expected,
    cluster::{Cluster, Part},
    eventually::eventually,
    load::Load,
    size::{figure, sized},
};
use tokio::task::JoinHandle;

use crate::number;

/// How long a clinic may take to settle what is left; a busy machine is slow, and nothing here measures.
const SETTLES_WITHIN: Duration = Duration::from_secs(180);

/// Bookings of a test at a steady rate.
fn bookings() -> usize {
    sized(2_000, 10_000)
}

/// Insists on `bookings` at a steady rate; no patient may end up with two.
fn steady(cluster: &Cluster, name: &str, bookings: usize, rate: f64) -> JoinHandle<Answers> {
    let (http, load) = (cluster.http(), Load::steady(name, rate, bookings).insisting());
    load.patients().for_each(|patient| cluster.observed().once(&patient));
    tokio::spawn(async move { load.run(&http).await })
}

/// Waits for the end, and holds everything against the promises: all accepted, nothing lost, all decided, all told.
#[track_caller]
fn settled(cluster: Cluster, what: &str, answers: Answers, bookings: usize) -> impl Future<Output = ()> {
    settled_as(Expected::finished().kills_only(), cluster, what, answers, bookings)
}

/// The same, where something else is expected.
#[track_caller]
fn settled_as(expected: Expected, cluster: Cluster, what: &str, answers: Answers, bookings: usize) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        assert_eq!((answers.accepted, answers.taken, answers.errors.len()), (bookings, 0, 0), "{caller}: {answers:?}");
        cluster.at_rest(SETTLES_WITHIN).await;
        let report = cluster.finish(&expected);
        figure(&format!("{what}: {report}; {answers:?}"));
        report.assert_clean();
        assert_eq!(report.accepted_seen, bookings, "{caller}");
    }
}

/// The longest time from acceptance to decision so far, of the bookings of this load.
fn longest_wait(cluster: &Cluster, load: &str) -> Duration {
    let sql = format!(
        "SELECT coalesce(max(timeline.at - booking.created_at), 0) FROM booking JOIN timeline ON timeline.booking = booking.id \
         WHERE timeline.kind IN ('confirmed', 'rejected') AND booking.patient_id LIKE '{load}-%'"
    );
    Duration::from_millis(number(cluster.setup(), &sql).try_into().unwrap())
}

/// The longest time from decision to notice so far, of the same.
fn longest_silence(cluster: &Cluster, load: &str) -> Duration {
    let sql = format!(
        "SELECT coalesce(max(notice.settled_at - timeline.at), 0) FROM notice JOIN booking ON booking.id = notice.booking \
         JOIN timeline ON timeline.booking = notice.booking AND timeline.seq = notice.event_seq \
         WHERE notice.state = 'sent' AND booking.patient_id LIKE '{load}-%'"
    );
    Duration::from_millis(number(cluster.setup(), &sql).try_into().unwrap())
}

/// Claims so far, by the broker or by the sweep, of all workers that run.
async fn claims(cluster: &Cluster, path: &str) -> f64 {
    let mut sum = 0.0;
    for part in cluster.running().into_iter().filter(|part| matches!(part, Part::Worker(_))) {
        sum += cluster.metric_of(part, "clinic_claims_total", path).await;
    }
    sum
}

/// The value below which the share `of` of all lies.
fn percentile(values: &mut [Duration], of: f64) -> Duration {
    values.sort_unstable();
    let rank = (values.len() as f64 * of).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or_default()
}

/// Waits until `seen` bookings were accepted in all.
async fn accepted(cluster: &Cluster, seen: usize) {
    let what = format!("{seen} bookings accepted");
    eventually(&what, Duration::from_secs(300), || async { (cluster.observed().accepted_so_far() >= seen).then_some(()) }).await;
}

/// Cancels every so many-th of the bookings that are accepted as soon as it is confirmed; gives how many that were.
async fn cancel_every(cluster: &Cluster, nth: usize, bookings: usize) -> usize {
    let (http, mut cancelled) = (cluster.http(), 0);
    for seen in (nth..=bookings).step_by(nth) {
        accepted(cluster, seen).await;
        let booking = cluster.observed().snapshot().accepted[seen - 1].id;
        if http.decided(booking).await.text("status") == "confirmed" {
            http.cancel(booking).await.expect(200);
            cancelled += 1;
        }
    }
    cancelled
}
