use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency told apart, in microseconds: ten minutes.
const LONGEST: u64 = 600_000_000;

/// Digits of what is judged.
pub(crate) const FINE: u8 = 3;
/// Digits of what is looked at.
pub(crate) const COARSE: u8 = 2;

/// A histogram of latencies in microseconds, to so many digits.
pub(crate) fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, digits).expect("the bounds and digits are within what a histogram takes")
}

/// Adds a latency to a histogram.
pub(crate) fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(micros(latency).into());
}

pub(crate) fn micros(latency: Duration) -> u32 {
    latency.as_micros().try_into().unwrap_or(u32::MAX)
}
