//! How latencies are spread, up to the last of many.

use hdrhistogram::Histogram;
use serde::Serialize;

/// So many points are between one half of what is left and the next.
const POINTS: u32 = 5;

/// Latencies by the share that they are not below, as far as there are enough of them to tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Distribution {
    /// Of the answers.
    pub answered: Vec<Quantile>,
    /// Of the decisions.
    pub decided: Vec<Quantile>,
    /// Of the last notices.
    pub told: Vec<Quantile>,
}

/// A point of a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Quantile {
    /// This share of all, below 1, ...
    pub quantile: f64,
    /// ... took so many milliseconds at most.
    pub ms: f64,
}

/// The points of latencies in microseconds: denser and denser towards the slowest, as in the percentile plots of HdrHistogram. The
/// slowest itself stands where one of all is left.
#[must_use]
pub fn quantiles(micros: &Histogram<u64>) -> Vec<Quantile> {
    if micros.is_empty() {
        return Vec::new();
    }
    let last = 1.0 - 1.0 / micros.len() as f64;
    let point = |quantile, micros: u64| Quantile { quantile, ms: micros as f64 / 1000.0 };
    // Beyond that there is less than one, whose latency nobody measured.
    let before =
        micros.iter_quantiles(POINTS).map(|at| (at.quantile_iterated_to(), at.value_iterated_to())).take_while(|(at, _)| *at < last);
    let mut points: Vec<Quantile> = before.map(|(quantile, micros)| point(quantile, micros)).collect();
    points.push(point(last, micros.max()));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{FINE, histogram};

    fn of(values: impl IntoIterator<Item = u64>) -> Vec<Quantile> {
        let mut micros = histogram(FINE);
        values.into_iter().for_each(|value| micros.saturating_record(value));
        quantiles(&micros)
    }

    #[test]
    fn a_distribution_rises_to_the_slowest_and_is_denser_there() {
        let points = of((1..=10_000).map(|millis| millis * 1000));
        assert!(points.len() > 50, "{}", points.len());
        assert!(points.is_sorted_by(|one, next| one.quantile < next.quantile && one.ms <= next.ms), "{points:?}");
        let beyond = points.iter().filter(|point| point.quantile > 0.99).count();
        assert!(beyond > 20, "{beyond}");
        for point in &points {
            assert!((point.ms / 10_000.0 - point.quantile).abs() < 0.005, "{point:?}");
        }
        let slowest = points.last().unwrap();
        assert!((slowest.quantile - 0.9999).abs() < 1e-9 && (slowest.ms / 10_000.0 - 1.0).abs() < 0.002, "{slowest:?}");
    }

    #[test]
    fn few_latencies_have_few_points() {
        assert_eq!(of([]), []);
        assert_eq!(of([5]), [Quantile { quantile: 0.0, ms: 0.005 }]);
        let points = of([1000; 10]);
        assert!(points.iter().all(|point| point.quantile <= 0.9) && points.len() < 20, "{points:?}");
    }
}
