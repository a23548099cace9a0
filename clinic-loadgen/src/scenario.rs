//! What a run is to do: settings as flags or in a file, and what they come to.

use std::{fmt::Display, io, path::Path, str::FromStr, time::Duration};

use clap::Args;
use serde::{Deserialize, Deserializer, de::Error as _};
use thiserror::Error;

use crate::{
    draw::{Mix, Prefix, Share},
    load::{Arrivals, DurationError, Load, Pace, RATES, Stage, parse_duration},
    threshold::Threshold,
};

/// A length of time as it is written: `30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Length(Duration);

impl FromStr for Length {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse_duration(text).map(Self)
    }
}

/// The settings of a run, as flags and as the keys of a scenario file. What is not set has a default.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Settings {
    /// Open loop: requests a second, sent by schedule; 100 unless set.
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// For how long, such as 30s or 10m; 10s unless set, or as long as it takes where --requests is.
    #[arg(long, value_parser = parse_duration)]
    #[serde(deserialize_with = "length")]
    pub duration: Option<Duration>,
    /// Instead of these two, stages one after the other: a length and a rate (30s@500), or a ramp from one to another (1m@500..2000).
    #[arg(long, conflicts_with_all = ["rate", "duration"])]
    #[serde(deserialize_with = "written_each")]
    pub stage: Vec<Stage>,
    /// How the arrivals of an open loop are spread; evenly unless set.
    #[arg(long, value_enum)]
    pub arrivals: Option<Arrivals>,
    /// Open loop: requests under way at most, 10000 unless set; what comes beyond is counted as not sent.
    #[arg(long)]
    pub in_flight: Option<usize>,
    /// Closed loop instead: so many callers, each asking again when answered.
    #[arg(long, conflicts_with_all = ["rate", "stage", "arrivals", "in_flight"])]
    pub connections: Option<usize>,
    /// So many requests at most, the warm-up's too: with the last of them the run is over, whatever time it has left.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// So long before, at the first rate: what is sent then is followed and verified, and counts in no figure.
    #[arg(long, value_parser = parse_duration)]
    #[serde(deserialize_with = "length")]
    pub warm_up: Option<Duration>,
    /// Draws the same requests at the same times again; random unless set.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Before the names of all doctors and patients, such as second-: runs against one clinic with other prefixes do not meet.
    #[arg(long)]
    #[serde(deserialize_with = "written")]
    pub prefix: Option<Prefix>,
    /// Has each patient give a name and an e-mail address, at patients.test, where nobody is.
    #[arg(long)]
    pub contacts: bool,
    /// How many patients ask; unless set, each request is another one's.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub patients: Option<u64>,
    /// How many doctors are asked for, 1000 unless set.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99_999))]
    pub doctors: Option<u32>,
    /// How many half-hour slots each has, from tomorrow on; 15000 unless set. No two requests of a run ask for the same slot until all
    /// were asked for, but for the hot ones.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=17_000))]
    pub slots: Option<u32>,
    /// The dial of contention: this share of the requests asks for one of ten slots, and nearly all of those are in conflict. 0% unless
    /// set: then none is, unless another run books with the same prefix.
    #[arg(long)]
    #[serde(deserialize_with = "written")]
    pub hot_slots: Option<Share>,
    /// What is asked, by weight, such as book=80,get=10,cancel=5,list=5; bookings alone unless set. Read and cancelled are bookings that
    /// this run made.
    #[arg(long)]
    #[serde(deserialize_with = "written")]
    pub mix: Option<Mix>,
    /// How long to wait at the end until all is decided and told; 60s unless set.
    #[arg(long, value_parser = parse_duration)]
    #[serde(deserialize_with = "length")]
    pub settle: Option<Duration>,
    /// How long one try may take; 10s unless set.
    #[arg(long, value_parser = parse_duration)]
    #[serde(deserialize_with = "length")]
    pub timeout: Option<Duration>,
    /// How often a request is tried, always under the same idempotency key; once unless set.
    #[arg(long)]
    pub tries: Option<u32>,
    /// Fails the run, with exit code 1, if its figures are so, such as 'p99>50ms', 'errors>0.1%' or 'rate<1000'.
    #[arg(long, value_name = "CONDITION")]
    #[serde(deserialize_with = "written_each")]
    pub fail_if: Vec<Threshold>,
}

/// What a run does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Scenario {
    /// How much, and by which clock.
    pub load: Load,
    /// What draws its requests and its schedule.
    pub seed: u64,
    /// What the names of doctors and patients begin with.
    pub prefix: Prefix,
    /// Whether patients give a name and an e-mail address.
    pub contacts: bool,
    /// See [`Settings::patients`].
    pub patients: Option<u64>,
    /// Doctors.
    pub doctors: u32,
    /// Half-hour slots of each.
    pub slots: u32,
    /// The share of the requests that asks for a hot slot.
    pub hot_slots: Share,
    /// The operations.
    pub mix: Mix,
    /// How long to wait at the end.
    pub settle: Duration,
    /// How long one try may take.
    pub timeout: Duration,
    /// How often a request is tried.
    pub tries: u32,
    /// What its figures are held against.
    pub thresholds: Vec<Threshold>,
}

/// Why settings make no scenario.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("the scenario file cannot be read")]
    Read(#[from] io::Error),
    /// The file is none.
    #[error("the scenario file cannot be understood")]
    File(#[from] toml::de::Error),
    /// Two settings contradict each other.
    #[error("`{0}` and `{1}` exclude each other: leave one of them out")]
    Contradiction(&'static str, &'static str),
    /// A setting has a value out of its range.
    #[error("`{0}` must be {1}")]
    Range(&'static str, &'static str),
}

impl Settings {
    /// Reads a scenario file: TOML, whose keys are named as the flags.
    ///
    /// # Errors
    /// [`ScenarioError::Read`] and [`ScenarioError::File`], which names the key that is wrong.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        Ok(toml::from_str(&std::fs::read_to_string(path)?)?)
    }

    /// These, and where they say nothing, `others`. Whatever says when requests are sent goes together: who sets a rate here wants no
    /// stages from there.
    #[must_use]
    pub fn over(self, others: Self) -> Self {
        let others = others.without_pace_of(&self);
        Self {
            rate: self.rate.or(others.rate),
            duration: self.duration.or(others.duration),
            stage: if self.stage.is_empty() { others.stage } else { self.stage },
            arrivals: self.arrivals.or(others.arrivals),
            in_flight: self.in_flight.or(others.in_flight),
            connections: self.connections.or(others.connections),
            requests: self.requests.or(others.requests),
            warm_up: self.warm_up.or(others.warm_up),
            seed: self.seed.or(others.seed),
            prefix: self.prefix.or(others.prefix),
            contacts: self.contacts || others.contacts,
            patients: self.patients.or(others.patients),
            doctors: self.doctors.or(others.doctors),
            slots: self.slots.or(others.slots),
            hot_slots: self.hot_slots.or(others.hot_slots),
            mix: self.mix.or(others.mix),
            settle: self.settle.or(others.settle),
            timeout: self.timeout.or(others.timeout),
            tries: self.tries.or(others.tries),
            fail_if: if self.fail_if.is_empty() { others.fail_if } else { self.fail_if },
        }
    }

    /// Without what contradicts `over`.
    fn without_pace_of(mut self, over: &Self) -> Self {
        if over.connections.is_some() {
            (self.rate, self.arrivals, self.in_flight, self.stage) = (None, None, None, Vec::new());
        }
        if over.rate.is_some() || over.arrivals.is_some() || over.in_flight.is_some() || !over.stage.is_empty() {
            self.connections = None;
        }
        if over.rate.is_some() || over.duration.is_some() {
            self.stage = Vec::new();
        }
        if !over.stage.is_empty() {
            (self.rate, self.duration) = (None, None);
        }
        self
    }

    /// What they come to, with defaults for what is not set.
    ///
    /// # Errors
    /// [`ScenarioError::Contradiction`] and [`ScenarioError::Range`], which flags cannot cause, but files can.
    pub fn scenario(self) -> Result<Scenario, ScenarioError> {
        let load = self.load()?;
        let in_range = |name, range: std::ops::RangeInclusive<u32>, said, value: u32| {
            if range.contains(&value) { Ok(value) } else { Err(ScenarioError::Range(name, said)) }
        };
        if self.patients == Some(0) {
            return Err(ScenarioError::Range("patients", "at least 1"));
        }
        if self.requests == Some(0) {
            return Err(ScenarioError::Range("requests", "at least 1"));
        }
        Ok(Scenario {
            load,
            seed: self.seed.unwrap_or_else(rand::random),
            prefix: self.prefix.unwrap_or_default(),
            contacts: self.contacts,
            patients: self.patients,
            doctors: in_range("doctors", 1..=99_999, "from 1 to 99999", self.doctors.unwrap_or(1000))?,
            slots: in_range("slots", 1..=17_000, "from 1 to 17000", self.slots.unwrap_or(15_000))?,
            hot_slots: self.hot_slots.unwrap_or_default(),
            mix: self.mix.unwrap_or_default(),
            settle: self.settle.unwrap_or(Duration::from_secs(60)),
            timeout: self.timeout.unwrap_or(Duration::from_secs(10)),
            tries: self.tries.unwrap_or(1),
            thresholds: self.fail_if,
        })
    }

    fn load(&self) -> Result<Load, ScenarioError> {
        let is_open = [
            ("rate", self.rate.is_some()),
            ("stage", !self.stage.is_empty()),
            ("arrivals", self.arrivals.is_some()),
            ("in-flight", self.in_flight.is_some()),
        ];
        let warm_up = self.warm_up.unwrap_or_default();
        let duration = self.duration.unwrap_or(if self.requests.is_some() { Duration::MAX } else { Duration::from_secs(10) });
        if let Some(connections) = self.connections {
            if let Some((name, _)) = is_open.into_iter().find(|(_, is_set)| *is_set) {
                return Err(ScenarioError::Contradiction("connections", name));
            }
            return Ok(Load { requests: self.requests, ..Load::closed(connections, duration).warmed_up(warm_up) });
        }
        let stages = if self.stage.is_empty() {
            let rate = self.rate.unwrap_or(100.0);
            if !RATES.contains(&rate) {
                return Err(ScenarioError::Range("rate", "a number above zero"));
            }
            vec![Stage { length: duration, from: rate, to: rate }]
        } else if self.rate.is_some() || self.duration.is_some() {
            return Err(ScenarioError::Contradiction("stage", if self.rate.is_some() { "rate" } else { "duration" }));
        } else {
            self.stage.clone()
        };
        let arrivals = self.arrivals.unwrap_or_default();
        let pace = Pace::Open { stages, arrivals, in_flight: self.in_flight.unwrap_or(10_000) };
        Ok(Load { pace, warm_up, requests: self.requests })
    }
}

fn rate(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|rate| RATES.contains(rate)).ok_or("must be a number above zero")
}

/// Reads what is written as on the command line.
fn written<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<Option<T>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}

fn written_each<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<Vec<T>, D::Error> {
    Vec::<String>::deserialize(from)?.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

fn length<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    Ok(written::<D, Length>(from)?.map(|length| length.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Scenario, ScenarioError> {
        toml::from_str::<Settings>(text).map_err(ScenarioError::from)?.scenario()
    }

    #[test]
    fn a_file_sets_what_flags_set() {
        let scenario = file(
            r#"
            stage = ["30s@500", "1m@500..2000"]
            arrivals = "poisson"
            in-flight = 50
            warm-up = "10s"
            seed = 7
            doctors = 5
            requests = 70000
            prefix = "second-"
            contacts = true
            hot-slots = "5%"
            mix = "book=80,get=20"
            fail-if = ["p99>50ms", "errors>0.1%"]
            "#,
        )
        .unwrap();
        assert_eq!((scenario.load.planned().as_secs(), scenario.load.warm_up), (86, Duration::from_secs(10)));
        assert_eq!((scenario.load.requests, scenario.contacts, scenario.prefix), (Some(70_000), true, "second-".parse().unwrap()));
        assert!(matches!(scenario.load.pace, Pace::Open { arrivals: Arrivals::Poisson, in_flight: 50, ref stages } if stages.len() == 2));
        assert_eq!((scenario.seed, scenario.doctors, scenario.slots, scenario.thresholds.len()), (7, 5, 15_000, 2));
        assert_eq!((scenario.hot_slots, scenario.mix), ("5%".parse().unwrap(), "book=80,get=20".parse().unwrap()));
    }

    #[test]
    fn a_key_that_is_none_and_a_value_that_is_none_are_named() {
        let said = |text| {
            let error = file(text).unwrap_err();
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        };
        assert!(said("rat = 5").contains("`rat`"), "{}", said("rat = 5"));
        assert!(said("warm-up = 5").contains("warm-up"));
        assert!(said("mix = \"book\"").contains("book=80,get=10"));
        assert!(said("doctors = 0").contains("doctors"));
        assert!(said("rate = -1.0").contains("rate"));
        assert!(said("patients = 0").contains("patients"));
        assert!(said("requests = 0").contains("requests"));
        assert!(said("prefix = \"ñ\"").contains("prefix"));
        assert!(said("rate = 5.0\nconnections = 5").contains("`connections` and `rate`"));
        assert!(said("rate = 5.0\nstage = [\"1s@5\"]").contains("`stage` and `rate`"));
    }

    #[test]
    fn flags_come_before_the_file_and_take_what_contradicts_them_out_of_it() {
        let stages: Settings = toml::from_str("stage = [\"1s@5\"]\nseed = 1\ndoctors = 3").unwrap();
        let flags = Settings { rate: Some(9.0), seed: Some(2), ..Settings::default() };
        let scenario = flags.over(stages.clone()).scenario().unwrap();
        assert_eq!((scenario.seed, scenario.doctors), (2, 3));
        assert_eq!(scenario.load, Load::steady(9.0, Duration::from_secs(10), 10_000));
        let closed = Settings { connections: Some(4), ..Settings::default() };
        assert_eq!(closed.clone().over(stages.clone()).scenario().unwrap().load, Load::closed(4, Duration::from_secs(10)));
        assert!(matches!(stages.over(closed).scenario().unwrap().load.pace, Pace::Open { .. }));
    }

    #[test]
    fn a_number_of_requests_takes_as_long_as_it_takes_unless_there_is_a_duration() {
        let load = |text| file(text).unwrap().load;
        let second = Duration::from_secs(1);
        assert_eq!(load("requests = 5\nconnections = 2"), Load::closed(2, Duration::MAX).at_most(5));
        assert_eq!(load("requests = 5\nconnections = 2\nduration = \"1s\""), Load::closed(2, second).at_most(5));
        assert_eq!(load("requests = 50\nrate = 5.0").planned(), Duration::from_secs(10));
        assert_eq!(load("requests = 50\nrate = 5.0\nduration = \"1s\"").planned(), second);
        assert_eq!(load("requests = 50\nstage = [\"1s@5\"]").planned(), second);
    }

    #[test]
    fn what_is_not_set_has_a_default() {
        let scenario = Settings::default().scenario().unwrap();
        assert_eq!(scenario.load, Load::steady(100.0, Duration::from_secs(10), 10_000));
        assert_ne!(scenario.seed, Settings::default().scenario().unwrap().seed);
    }

    #[test]
    fn a_file_that_is_not_there_says_so() {
        assert!(matches!(Settings::read(Path::new("/nowhere/at/all.toml")), Err(ScenarioError::Read(_))));
    }
}
