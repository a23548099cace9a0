use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Arrivals, Load, Pace, Stage};

/// Keeps the draws of the schedule apart from those of what is asked for.
const SCHEDULE: u64 = 0x5ced_01e5_5ced_01e5;
/// So little, in arrivals, is a fault of rounding.
const ROUNDING: f64 = 1e-6;

/// When the arrivals of an open loop are due, one after the other, from its start. The same seed gives the same again.
///
/// Arrivals are laid out on a line where one comes a unit, evenly or in exponential gaps, and each is due when the rate, summed up
/// over time, has reached its place: so a Poisson process of any rate is drawn (E. Çınlar, "Introduction to Stochastic Processes", 1975).
#[derive(Debug)]
pub struct Schedule {
    stages: std::vec::IntoIter<Stage>,
    stage: Option<Stage>,
    /// When the stage began, and how many arrivals were before it.
    begun: (Duration, f64),
    place: f64,
    /// Arrivals that may still come.
    left: u64,
    chance: Option<StdRng>,
}

impl Schedule {
    /// The schedule of a load; a closed loop has none.
    #[must_use]
    pub fn new(load: &Load, seed: u64) -> Self {
        let is_poisson = matches!(load.pace, Pace::Open { arrivals: Arrivals::Poisson, .. });
        let mut stages = load.stages().into_iter();
        let mut chance = is_poisson.then(|| StdRng::seed_from_u64(seed ^ SCHEDULE));
        let place = chance.as_mut().map(gap).unwrap_or_default();
        Self { stage: stages.next(), stages, begun: (Duration::ZERO, 0.0), place, left: load.requests.unwrap_or(u64::MAX), chance }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        loop {
            let stage = self.stage?;
            let (begun, before) = self.begun;
            let arrivals = stage.arrivals();
            if self.place < before + arrivals - ROUNDING {
                let due = begun + stage.reached((self.place - before).max(0.0));
                self.place += self.chance.as_mut().map_or(1.0, gap);
                return Some(due);
            }
            self.begun = (begun + stage.length, before + arrivals);
            self.stage = self.stages.next();
        }
    }
}

/// An exponential gap, one in the mean.
fn gap(chance: &mut StdRng) -> f64 {
    -(1.0 - chance.random::<f64>()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(arrivals: Arrivals, stages: &[&str]) -> Load {
        let stages = stages.iter().map(|stage| stage.parse().unwrap()).collect();
        Load { pace: Pace::Open { stages, arrivals, in_flight: 1 }, warm_up: Duration::ZERO, requests: None }
    }

    fn within(due: &[Duration], from: f64, to: f64) -> usize {
        due.iter().filter(|due| (from..to).contains(&due.as_secs_f64())).count()
    }

    #[test]
    fn even_arrivals_are_evenly_spaced_and_fill_the_time() {
        let due: Vec<_> = Schedule::new(&Load::steady(500.0, Duration::from_secs(30), 1), 1).collect();
        assert_eq!(due.len(), 15_000);
        assert_eq!((due[0], due[250]), (Duration::ZERO, Duration::from_millis(500)));
    }

    #[test]
    fn a_number_of_requests_or_the_end_of_the_stages_ends_it_whichever_comes_first() {
        for arrivals in [Arrivals::Even, Arrivals::Poisson] {
            let due = |requests| Schedule::new(&open(arrivals, &["1s@100", "1s@200"]).at_most(requests), 1).collect::<Vec<_>>();
            let all = due(u64::MAX);
            assert!((250..350).contains(&all.len()), "{}", all.len());
            assert_eq!(due(150), all[..150]);
            assert_eq!((due(0).len(), due(1_000)), (0, all));
        }
    }

    #[test]
    fn stages_follow_one_another_and_a_ramp_grows() {
        let due: Vec<_> = Schedule::new(&open(Arrivals::Even, &["10s@100", "10s@100..300", "10s@50"]), 1).collect();
        assert_eq!(due.len(), 1000 + 2000 + 500);
        assert!(due.is_sorted());
        assert_eq!([within(&due, 0.0, 10.0), within(&due, 10.0, 20.0), within(&due, 20.0, 30.0)], [1000, 2000, 500]);
        let quarters = [within(&due, 10.0, 15.0), within(&due, 15.0, 20.0)];
        assert!((748..=752).contains(&quarters[0]) && (1248..=1252).contains(&quarters[1]), "{quarters:?}");
    }

    #[test]
    fn poisson_arrivals_have_the_rate_for_their_mean_and_gaps_spread_as_much_as_their_mean() {
        let due: Vec<_> = Schedule::new(&open(Arrivals::Poisson, &["100s@1000"]), 7).collect();
        // A count's deviation is its root: 316 of 100,000. Five of them are met once in a million seeds, and the seed is fixed.
        assert!((100_000 - 1_580..=100_000 + 1_580).contains(&due.len()), "{}", due.len());
        let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((0.98..1.02).contains(&mean) && (0.97..1.03).contains(&deviation), "{mean} {deviation}");
        let longer = gaps.iter().filter(|gap| **gap > 1.0).count() as f64 / gaps.len() as f64;
        assert!((longer - (-1f64).exp()).abs() < 0.01, "{longer}");
    }

    #[test]
    fn poisson_arrivals_follow_the_stages() {
        let due: Vec<_> = Schedule::new(&open(Arrivals::Poisson, &["10s@100", "10s@1000"]), 3).collect();
        let counts = [within(&due, 0.0, 10.0), within(&due, 10.0, 20.0)];
        assert!((850..1150).contains(&counts[0]) && (9500..10_500).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn a_seed_gives_the_same_schedule_again_and_another_one_another() {
        let of = |seed| Schedule::new(&open(Arrivals::Poisson, &["1s@1000"]), seed).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_closed_loop_has_no_schedule() {
        assert_eq!(Schedule::new(&Load::closed(5, Duration::from_secs(1)), 1).count(), 0);
    }
}
