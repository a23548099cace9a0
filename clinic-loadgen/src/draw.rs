//! Who asks for what: drawn from a seed, so that a run can be made again.

use chrono::{DateTime, Days, NaiveTime, SecondsFormat, TimeDelta, Utc};
use clinic_client::BookRequest;
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Minutes of a drawn visit, and of the grid it starts on.
const MINUTES: u32 = 30;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Visit {
    /// The doctor.
    pub doctor: String,
    /// When it starts.
    pub start: DateTime<Utc>,
    /// When it ends.
    pub end: DateTime<Utc>,
}

/// Draws requests. Number `n` of a seed is the same in every run of a day, whoever sends it and when.
#[derive(Clone, Debug)]
pub struct Draw {
    seed: u64,
    doctors: u32,
    slots: u32,
    first: DateTime<Utc>,
}

impl Draw {
    /// Requests for `doctors` doctors with `slots` slots each, from the day after `now` on (UTC). The fewer there are,
    /// the more requests meet.
    #[must_use]
    pub fn new(seed: u64, doctors: u32, slots: u32, now: DateTime<Utc>) -> Self {
        let first = (now.date_naive() + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
        Self { seed, doctors: doctors.max(1), slots: slots.max(1), first }
    }

    /// What request number `index` asks for.
    #[must_use]
    pub fn visit(&self, index: u64) -> Visit {
        // The golden ratio's bits keep the streams of neighbouring numbers apart.
        let mut chance = StdRng::seed_from_u64(self.seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let doctor = chance.random_range(0..self.doctors);
        let start = self.start(chance.random_range(0..self.slots));
        Visit { doctor: format!("D{doctor:05}"), start, end: start + TimeDelta::minutes(MINUTES.into()) }
    }

    /// Request number `index`. Every patient is another one, so that no patient's limit is met.
    #[must_use]
    pub fn request(&self, index: u64) -> BookRequest {
        let visit = self.visit(index);
        BookRequest {
            patient_id: Some(format!("load-{:x}-{index}", self.seed)),
            doctor_id: Some(visit.doctor),
            datetime: Some(visit.start.to_rfc3339_opts(SecondsFormat::Secs, true)),
            duration_minutes: Some(MINUTES.into()),
            ..BookRequest::default()
        }
    }

    /// The span in which all drawn visits start: `[from, to)`.
    #[must_use]
    pub fn span(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.first, self.start(self.slots))
    }

    fn start(&self, slot: u32) -> DateTime<Utc> {
        self.first + TimeDelta::minutes(i64::from(slot) * i64::from(MINUTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again_and_another_draws_other() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let draw = |seed, index| Draw::new(seed, 1000, 1000, now).request(index);
        assert!((0..100).all(|index| draw(1, index) == draw(1, index)));
        assert!(draw(1, 7) != draw(2, 7) && draw(1, 7) != draw(1, 8));
    }

    #[test]
    fn every_visit_starts_within_the_span() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let draw = Draw::new(3, 2, 10, now);
        let (from, to) = draw.span();
        assert!(from > now);
        for index in 0..200 {
            let start: DateTime<Utc> = draw.request(index).datetime.unwrap().parse().unwrap();
            assert!((from..to).contains(&start));
        }
    }
}
