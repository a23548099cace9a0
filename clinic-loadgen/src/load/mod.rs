//! How much load, and by which clock.

mod schedule;
mod stage;

use std::time::Duration;

use clap::ValueEnum;
use serde::Deserialize;

pub(crate) use self::stage::RATES;
pub use self::{
    schedule::Schedule,
    stage::{DurationError, Stage, StageError, parse_duration},
};

/// How a clinic is driven.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// When requests are sent.
    pub pace: Pace,
    /// So long comes before, at the rate that the first stage begins with: what is sent then is followed and verified like all else,
    /// and counts in no figure.
    pub warm_up: Duration,
    /// Requests at most, the warm-up's too: with the last of them the run is over, whatever time it has left.
    pub requests: Option<u64>,
}

/// When requests are sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Pace {
    /// Open loop: arrivals by schedule, whatever the clinic does. Latency counts from the intended start, so a stall is seen by all who
    /// would have come meanwhile: there is no coordinated omission (G. Tene, "How NOT to Measure Latency").
    Open {
        /// One after the other.
        stages: Vec<Stage>,
        /// How arrivals are spread.
        arrivals: Arrivals,
        /// Requests under way at most; an arrival beyond that is counted as not sent.
        in_flight: usize,
    },
    /// Closed loop: so many callers, each asking again as soon as it is answered. Finds the ceiling, hides stalls.
    Closed {
        /// Callers.
        connections: usize,
        /// For how long.
        duration: Duration,
    },
}

/// How the arrivals of an open loop are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Arrivals {
    /// Evenly.
    #[default]
    Even,
    /// As independent patients come: the gaps are exponentially distributed, so that some come together.
    Poisson,
}

impl Load {
    /// An open loop at one rate, in requests a second, evenly spaced.
    #[must_use]
    pub fn steady(rate: f64, duration: Duration, in_flight: usize) -> Self {
        let stages = vec![Stage { length: duration, from: rate, to: rate }];
        Self { pace: Pace::Open { stages, arrivals: Arrivals::Even, in_flight }, warm_up: Duration::ZERO, requests: None }
    }

    /// A closed loop.
    #[must_use]
    pub const fn closed(connections: usize, duration: Duration) -> Self {
        Self { pace: Pace::Closed { connections, duration }, warm_up: Duration::ZERO, requests: None }
    }

    /// The same after a warm-up.
    #[must_use]
    pub const fn warmed_up(mut self, warm_up: Duration) -> Self {
        self.warm_up = warm_up;
        self
    }

    /// The same with so many requests at most, the warm-up's too.
    #[must_use]
    pub const fn at_most(mut self, requests: u64) -> Self {
        self.requests = Some(requests);
        self
    }

    /// How long is sent, the warm-up's time too, to the millisecond where a number of requests ends it; [`Duration::MAX`] where nobody knows: in a closed loop that a number of requests alone
    /// ends.
    #[must_use]
    pub fn planned(&self) -> Duration {
        if let Pace::Closed { duration, .. } = self.pace {
            return self.warm_up.saturating_add(duration);
        }
        let (mut planned, mut left) = (Duration::ZERO, self.requests.map_or(f64::INFINITY, |requests| requests as f64));
        for stage in self.stages() {
            if stage.arrivals() > left {
                let millis = planned.saturating_add(stage.reached(left)).as_millis();
                return Duration::from_millis(millis.try_into().unwrap_or(u64::MAX));
            }
            left -= stage.arrivals();
            planned = planned.saturating_add(stage.length);
        }
        planned
    }

    /// The rate aimed at then, in requests a second; none in a closed loop and when it is over.
    #[must_use]
    pub fn target(&self, at: Duration) -> Option<f64> {
        let mut left = at;
        self.stages().iter().find_map(|stage| {
            let rate = (left < stage.length).then(|| stage.rate(left));
            left = left.saturating_sub(stage.length);
            rate
        })
    }

    /// The stages of an open loop, the warm-up as the first; of a closed loop there are none.
    fn stages(&self) -> Vec<Stage> {
        let Pace::Open { stages, .. } = &self.pace else { return Vec::new() };
        let first = stages.first().map(|stage| stage.from).unwrap_or_default();
        let warm_up = Stage { length: self.warm_up, from: first, to: first };
        std::iter::once(warm_up).chain(stages.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_comes_before_the_stages_at_the_rate_of_the_first() {
        let mut load = Load::steady(500.0, Duration::from_secs(30), 10).warmed_up(Duration::from_secs(10));
        if let Pace::Open { stages, .. } = &mut load.pace {
            stages.push("20s@1000..2000".parse().unwrap());
        }
        assert_eq!(load.planned(), Duration::from_secs(60));
        let targets = [0, 5, 39, 40, 50, 60].map(|at| load.target(Duration::from_secs(at)));
        assert_eq!(targets, [Some(500.0), Some(500.0), Some(500.0), Some(1000.0), Some(1500.0), None]);
        assert_eq!(Load::closed(5, Duration::from_secs(1)).target(Duration::ZERO), None);
    }

    #[test]
    fn a_number_of_requests_ends_an_open_loop_early_and_nobody_knows_when_a_closed_one() {
        let load = Load::steady(500.0, Duration::from_secs(30), 10).warmed_up(Duration::from_secs(10));
        let planned = [4_000, 10_000, 20_000, 99_999].map(|requests| load.clone().at_most(requests).planned().as_secs());
        assert_eq!(planned, [8, 20, 40, 40]);
        assert_eq!(Load::steady(500.0, Duration::MAX, 10).at_most(100).planned(), Duration::from_millis(200));
        assert_eq!(Load::closed(5, Duration::MAX).warmed_up(Duration::from_secs(1)).at_most(9).planned(), Duration::MAX);
    }
}
