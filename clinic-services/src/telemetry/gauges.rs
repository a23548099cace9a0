//! Gauges that are read when somebody looks.

use clinic_core::{
    ports::{Clock, StoreStats, SystemClock},
    topology::Queue,
};
use metrics::gauge;

/// The store's figures.
#[allow(clippy::cast_precision_loss, reason = "gauges are floats; nobody minds the 53rd bit")]
pub(crate) fn set_store(store: &StoreStats) {
    let waited = store.oldest_undecided.map_or(0, |since| (SystemClock.now() - since).num_milliseconds().max(0));
    gauge!("clinic_store_up").set(1.0);
    gauge!("clinic_oldest_undecided_seconds").set(waited as f64 / 1_000.0);
    gauge!("clinic_store_overdue").set(store.overdue as f64);
    gauge!("clinic_store_wal_bytes").set(store.wal_bytes as f64);
    gauge!("clinic_store_writer_queue").set(store.writer_queue as f64);
}

/// The broker's figures; no number rather than an old one where it does not say.
#[allow(clippy::cast_precision_loss, reason = "as above")]
pub(crate) fn set_broker(depths: &[(Queue, Option<u64>)]) {
    for (queue, depth) in depths {
        gauge!("clinic_queue_depth", "queue" => queue.spec().name).set(depth.map_or(f64::NAN, |depth| depth as f64));
    }
}

/// The store's figures could not be read: no number rather than an old one.
pub(crate) fn store_missing() {
    gauge!("clinic_store_up").set(0.0);
    gauge!("clinic_oldest_undecided_seconds").set(f64::NAN);
    gauge!("clinic_store_overdue").set(f64::NAN);
    gauge!("clinic_store_wal_bytes").set(f64::NAN);
    gauge!("clinic_store_writer_queue").set(f64::NAN);
}

/// The process's own figures.
#[allow(clippy::cast_precision_loss, reason = "as above")]
pub(crate) fn set_process() {
    if let Some(bytes) = resident_bytes() {
        gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
}

/// Memory in use, as Linux counts it; a read of procfs never touches a disk.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn a_process_takes_some_memory() {
        assert!(super::resident_bytes().unwrap() > 100_000);
    }
}
