//! The clinic as several processes over RabbitMQ: each can die, freeze or be cut off, and so can the broker.

mod alarm;
mod broker_down;
mod duplicates;
mod frozen;
mod garbage;
mod healthy;
mod kills;
mod network;
mod outage;
mod scaling;
mod wiped;

use std::time::{Duration, Instant};

use clinic_tests::{
    checker::Expected,
    cluster::{Cluster, Part},
    load::{Load, Tally},
    size::{figure, sized},
};
use rusqlite::{Connection, OpenFlags};
use tokio::task::JoinHandle;

/// How long a clinic may take to settle what is left; a busy machine is slow, and nothing here measures.
const SETTLES_WITHIN: Duration = Duration::from_secs(180);

/// Bookings of a test at a steady rate.
fn bookings() -> usize {
    sized(2_000, 10_000)
}

/// Insists on `bookings` at a steady rate; no patient may end up with two.
fn steady(cluster: &Cluster, keys: &str, bookings: usize, rate: f64) -> JoinHandle<Tally> {
    for number in 0..bookings {
        cluster.observed().once(&format!("PAC-{keys}-{number}"));
    }
    let (http, load) = (cluster.http(), Load::new(keys, 64, bookings).insisting().at_most_per_second(rate));
    tokio::spawn(async move { load.run(&http).await })
}

/// Waits for the end, and holds everything against the promises: all accepted, nothing lost, all decided, all told.
#[track_caller]
fn settled(cluster: Cluster, what: &str, tally: Tally, bookings: usize) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        assert_eq!((tally.accepted, tally.taken, tally.unclear, tally.other), (bookings, 0, 0, 0), "{caller}: {tally:?}");
        cluster.at_rest(SETTLES_WITHIN).await;
        let report = cluster.finish(&Expected::finished().kills_only());
        figure(&format!("{what}: {report}; {tally:?}"));
        report.assert_clean();
        assert_eq!(report.accepted_seen, bookings, "{caller}");
    }
}

/// A number out of the store.
fn number(cluster: &Cluster, sql: &str) -> i64 {
    let store = Connection::open_with_flags(cluster.setup().store(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    store.busy_timeout(Duration::from_secs(5)).unwrap();
    store.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The longest time from acceptance to decision so far, of the bookings whose key prefix this is.
fn longest_wait(cluster: &Cluster, keys: &str) -> Duration {
    let sql = format!(
        "SELECT coalesce(max(timeline.at - booking.created_at), 0) FROM booking JOIN timeline ON timeline.booking = booking.id \
         WHERE timeline.kind IN ('confirmed', 'rejected') AND booking.patient_id LIKE 'PAC-{keys}-%'"
    );
    Duration::from_millis(number(cluster, &sql).try_into().unwrap())
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
    let deadline = Instant::now() + Duration::from_secs(300);
    while cluster.observed().accepted_so_far() < seen {
        assert!(Instant::now() < deadline, "only {} accepted", cluster.observed().accepted_so_far());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
