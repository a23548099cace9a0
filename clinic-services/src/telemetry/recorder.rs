//! The metrics recorder and what every metric means.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// A process has one recorder, as the `metrics` crate says; this is its handle.
static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
/// How often samples of histograms are gathered while nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
/// From a fifth of a millisecond to a day: commits at one end, decisions at the other.
const SECONDS: [f64; 19] =
    [0.000_2, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 3_600.0, 86_400.0];
/// Counts: one to the most commands of a commit.
const COUNTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A metric, and what it says.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// What it says.
    pub help: &'static str,
}

const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Described {
    Described { name, kind: Kind::Counter, unit, help }
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Described {
    Described { name, kind: Kind::Gauge, unit, help }
}

const fn histogram(name: &'static str, unit: Unit, help: &'static str) -> Described {
    Described { name, kind: Kind::Histogram, unit, help }
}

/// Every metric of the clinic.
pub const DESCRIBED: &[Described] = &[
    counter("clinic_bookings_accepted_total", Unit::Count, "Bookings accepted: committed and answered 202"),
    counter("clinic_bookings_decided_total", Unit::Count, "Bookings decided, by outcome"),
    counter("clinic_bookings_cancelled_total", Unit::Count, "Bookings cancelled"),
    counter("clinic_reminders_total", Unit::Count, "Reminders that fell due and are to be told"),
    counter("clinic_dead_letters_replayed_total", Unit::Count, "Dead letters replayed, by kind"),
    counter("clinic_attempts_total", Unit::Count, "Attempts to decide, by outcome"),
    histogram("clinic_decision_seconds", Unit::Seconds, "From acceptance to decision"),
    gauge("clinic_in_flight", Unit::Count, "Bookings that this process is deciding"),
    counter(
        "clinic_claims_total",
        Unit::Count,
        "Decide jobs claimed, by path: broker is the usual one, sweep the cure; healthy is 99 % broker",
    ),
    counter("clinic_fenced_total", Unit::Count, "Late writes refused because the token was no longer the job's"),
    counter("clinic_poison_total", Unit::Count, "Messages that could not be understood, by queue"),
    counter("clinic_part_panics_total", Unit::Count, "Parts of the process that panicked and were begun anew, by part"),
    counter("clinic_notice_claims_total", Unit::Count, "Notices claimed, by path"),
    counter("clinic_notices_sent_total", Unit::Count, "Notices that a channel took, by channel"),
    counter("clinic_notices_unsent_total", Unit::Count, "Tries that sent nothing, by channel and outcome"),
    counter("clinic_published_total", Unit::Count, "Messages that RabbitMQ confirmed, by route: work or news"),
    counter("clinic_publish_failures_total", Unit::Count, "Messages that RabbitMQ did not confirm; their jobs are left to the sweep"),
    gauge("clinic_broker_connected", Unit::Count, "Whether RabbitMQ is connected, to publish and to consume"),
    gauge("clinic_broker_blocked", Unit::Count, "Whether RabbitMQ takes no messages for now, being short of memory or disk space"),
    counter("clinic_relay_refused_total", Unit::Count, "Messages that the broker did not take; their jobs are left to the sweep"),
    histogram("clinic_store_commit_commands", Unit::Count, "Commands that shared one commit"),
    counter("clinic_store_commits_failed_total", Unit::Count, "Commits that failed"),
    gauge("clinic_event_streams", Unit::Count, "Streams of a booking's events that are open"),
    counter("clinic_http_problems_total", Unit::Count, "Requests refused, by the problem's code"),
    gauge("clinic_queue_depth", Unit::Count, "Messages that wait in the broker, by queue"),
    gauge("clinic_oldest_undecided_seconds", Unit::Seconds, "Age of the oldest undecided booking"),
    gauge("clinic_store_up", Unit::Count, "Whether the store could be read at this scrape"),
    gauge("clinic_store_overdue", Unit::Count, "Jobs and notices that are overdue, counted to 10000"),
    gauge("clinic_store_wal_bytes", Unit::Bytes, "Write-ahead log not yet moved into the store's file"),
    gauge("clinic_store_writer_queue", Unit::Count, "Commands that wait for the store's writer"),
    gauge("process_resident_memory_bytes", Unit::Bytes, "Resident memory of the process"),
];

/// Why metrics are not recorded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Another library's recorder has the process: it keeps recording, `/metrics` has nothing to show.
    #[error("this process records its metrics elsewhere; /metrics stays empty")]
    Taken(#[source] BuildError),
}

/// Records metrics from now on. Called again it hands out the same recorder.
///
/// # Errors
/// [`MetricsError::Taken`].
pub fn install_metrics() -> Result<PrometheusHandle, MetricsError> {
    let mut installed = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .and_then(|builder| builder.set_buckets(&COUNTS))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(MetricsError::Taken)?;
    for Described { name, kind, unit, help } in DESCRIBED {
        match kind {
            Kind::Counter => describe_counter!(*name, *unit, *help),
            Kind::Gauge => describe_gauge!(*name, *unit, *help),
            Kind::Histogram => describe_histogram!(*name, *unit, *help),
        }
    }
    Ok(installed.insert(handle).clone())
}

/// The recorder's handle, if [`install_metrics`] was called.
#[must_use]
pub fn metrics_handle() -> Option<PrometheusHandle> {
    HANDLE.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Gathers samples now and then, so that a process that nobody scrapes does not pile them up.
pub async fn upkeep(handle: PrometheusHandle, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    /// Names in the first argument of `counter!`, `gauge!` and `histogram!`.
    fn recorded(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                recorded(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for call in ["counter!(", "gauge!(", "histogram!("] {
                    let literals = text.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
                    names.extend(literals.filter(|name| name.starts_with("clinic_")).map(str::to_owned));
                }
            }
        }
    }

    #[test]
    fn every_metric_that_is_recorded_is_described() {
        let mut names = BTreeSet::new();
        for package in ["clinic-core", "clinic-services"] {
            recorded(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src"), &mut names);
        }
        assert!(names.contains("clinic_bookings_accepted_total"));
        let described: BTreeSet<_> = DESCRIBED.iter().map(|metric| metric.name.to_owned()).collect();
        let missing: Vec<_> = names.difference(&described).collect();
        assert!(missing.is_empty(), "describe {missing:?}");
    }

    #[test]
    fn installing_again_hands_out_the_same_recorder() {
        let first = install_metrics().unwrap();
        metrics::counter!("clinic_bookings_accepted_total").increment(1);
        metrics::histogram!("clinic_decision_seconds").record(0.3);
        let text = install_metrics().unwrap().render();
        assert_eq!(first.render().lines().count(), text.lines().count());
        assert!(text.contains("# HELP clinic_bookings_accepted_total"));
        assert!(text.contains("clinic_decision_seconds_bucket{le=\"0.5\"} 1"), "{text}");
    }
}
