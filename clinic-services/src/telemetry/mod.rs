//! What the process says about itself: logs on standard error, metrics for Prometheus.

pub(crate) mod gauges;
mod logs;
mod recorder;

pub use self::{
    logs::install_logs,
    recorder::{DESCRIBED, Described, Kind, MetricsError, install_metrics, metrics_handle, upkeep},
};
