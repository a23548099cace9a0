//! When what is done: drawn from a seed before the run, and to be replayed.

use std::{fmt, fs::File, io, path::Path, time::Duration};

use rand::RngExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::fault::{Fault, Kind};
use crate::chance::stream;

/// Two faults of a kind and target are apart by this share of their cadence at least, and by as much more than it at most.
const JITTER: f64 = 0.5;

/// A fault that is to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Planned {
    /// When, in milliseconds from the run's start.
    pub at_ms: u64,
    /// What.
    pub fault: Kind,
    /// To which target.
    pub target: String,
    /// For how long, in milliseconds; 0 for what does not last.
    #[serde(default)]
    pub lasts_ms: u64,
    /// Which of a scaled service's containers: this number modulo how many there are.
    #[serde(default)]
    pub pick: u32,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.3} s  {:<7} {}", self.at_ms as f64 / 1000.0, self.fault, self.target)?;
        if self.lasts_ms > 0 {
            write!(f, " for {} s", self.lasts_ms as f64 / 1000.0)?;
        }
        Ok(())
    }
}

/// All faults of a run, the earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Schedule {
    /// The seed it was drawn from.
    #[serde(default)]
    pub seed: u64,
    /// The faults.
    pub faults: Vec<Planned>,
}

/// Why a schedule cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The file cannot be read.
    #[error("the schedule cannot be read")]
    Read(#[from] io::Error),
    /// It is none.
    #[error("the schedule cannot be understood: it is what `loadgen chaos --json` prints, or its field `schedule`")]
    Form(#[from] serde_json::Error),
}

impl Schedule {
    /// Draws when each fault comes in a run of this length: each about as often as its cadence says, by chances of its own, so that another
    /// fault beside it changes nothing of it. What lasts is over before the run is.
    #[must_use]
    pub fn draw(faults: &[(Fault, Duration)], run: Duration, seed: u64) -> Self {
        let mut planned: Vec<Planned> =
            faults.iter().enumerate().flat_map(|(place, (fault, every))| one(fault, *every, run, seed, place)).collect();
        planned.sort_by_key(|planned| planned.at_ms);
        Self { seed, faults: planned }
    }

    /// Reads a schedule, or the report that has one.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn read(path: &Path) -> Result<Self, ScheduleError> {
        let mut value: Value = serde_json::from_reader(io::BufReader::new(File::open(path)?))?;
        let inner = value.get_mut("schedule").map(Value::take);
        let mut schedule: Self = serde_json::from_value(inner.unwrap_or(value))?;
        schedule.faults.sort_by_key(|planned| planned.at_ms);
        Ok(schedule)
    }
}

fn one(fault: &Fault, every: Duration, run: Duration, seed: u64, place: usize) -> Vec<Planned> {
    let mut chance = stream(seed, place as u64 + 1);
    let (every, lasts) = (every.as_secs_f64().max(0.001), fault.lasts.as_secs_f64());
    let (mut at, mut planned) = (0.0, Vec::new());
    loop {
        at += every * chance.random_range(1.0 - JITTER..=1.0 + JITTER);
        let pick = chance.random();
        if at + lasts >= run.as_secs_f64() {
            return planned;
        }
        planned.push(Planned {
            at_ms: (at * 1000.0) as u64,
            fault: fault.kind,
            target: fault.target.clone(),
            lasts_ms: (lasts * 1000.0) as u64,
            pick,
        });
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} faults, seed {}", self.faults.len(), self.seed)?;
        self.faults.iter().try_for_each(|planned| write!(f, "\n{planned}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Duration = Duration::from_secs(600);

    fn fault(text: &str, every: u64) -> (Fault, Duration) {
        (text.parse().unwrap(), Duration::from_secs(every))
    }

    #[test]
    fn a_seed_draws_the_same_again_and_another_draws_other() {
        let faults = [fault("kill:worker", 5), fault("pause:api:3s", 20)];
        assert_eq!(Schedule::draw(&faults, RUN, 7), Schedule::draw(&faults, RUN, 7));
        assert_ne!(Schedule::draw(&faults, RUN, 7).faults, Schedule::draw(&faults, RUN, 8).faults);
    }

    #[test]
    fn a_fault_comes_about_as_often_as_its_cadence_says_and_never_in_step() {
        let planned = Schedule::draw(&[fault("kill:worker", 5)], RUN, 7).faults;
        assert!((100..=140).contains(&planned.len()), "{} in ten minutes", planned.len());
        let gaps: Vec<u64> = planned.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).collect();
        assert!(gaps.iter().all(|gap| (2_499..=7_501).contains(gap)), "{gaps:?}");
        assert!(gaps.iter().any(|gap| *gap < 4_000) && gaps.iter().any(|gap| *gap > 6_000));
    }

    #[test]
    fn faults_come_in_order_and_end_before_the_run_does() {
        let planned = Schedule::draw(&[fault("pause:worker:9s", 10), fault("kill:api", 3)], RUN, 1).faults;
        assert!(planned.is_sorted_by_key(|planned| planned.at_ms));
        assert!(planned.iter().all(|planned| planned.at_ms + planned.lasts_ms < 600_000));
        assert!(planned.iter().filter(|planned| planned.fault == Kind::Pause).all(|planned| planned.lasts_ms == 9000));
    }

    #[test]
    fn another_fault_beside_it_changes_nothing_of_a_fault() {
        let alone = Schedule::draw(&[fault("kill:worker", 5)], RUN, 7).faults;
        let beside = Schedule::draw(&[fault("kill:worker", 5), fault("cut:api", 9)], RUN, 7).faults;
        assert_eq!(alone, beside.into_iter().filter(|planned| planned.target == "worker").collect::<Vec<_>>());
    }

    #[test]
    fn a_schedule_is_read_back_by_itself_and_out_of_a_report() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("schedule.json");
        let schedule = Schedule::draw(&[fault("wipe:rabbitmq", 60)], RUN, u64::MAX);
        for text in [serde_json::to_string(&schedule).unwrap(), serde_json::json!({"sent": 5, "schedule": schedule}).to_string()] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(Schedule::read(&file).unwrap(), schedule);
        }
        std::fs::write(&file, r#"{"faults": [{"at_ms": 1, "fault": "drown", "target": "api"}]}"#).unwrap();
        assert!(matches!(Schedule::read(&file), Err(ScheduleError::Form(_))));
        assert!(matches!(Schedule::read(&folder.path().join("none")), Err(ScheduleError::Read(_))));
    }
}
