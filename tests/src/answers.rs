//! How a load was answered.

use std::{collections::BTreeMap, ops::AddAssign, time::Duration};

use clinic_loadgen::tally::Tally;

/// How the bookings of a load were answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Asked for.
    pub asked: usize,
    /// 202.
    pub accepted: usize,
    /// 409.
    pub taken: usize,
    /// What else came of them, by code.
    pub errors: BTreeMap<String, u64>,
    /// How long it took.
    pub took: Duration,
    /// The longest that anyone waited for an answer.
    pub slowest: Duration,
}

impl Answers {
    pub(crate) fn of(tally: &Tally, took: Duration) -> Self {
        let (count, errors, slowest) = (tally.measured, tally.errors.clone(), Duration::from_micros(tally.latency.max()));
        let (asked, taken) = (count.sent + count.unsent, count.conflicts as usize);
        Self { asked: asked as usize, accepted: count.accepted as usize, taken, errors, took, slowest }
    }

    /// Demands that all were accepted, so many.
    ///
    /// # Panics
    /// When it was otherwise.
    #[track_caller]
    pub fn expect_all(&self, bookings: usize) {
        assert_eq!((self.asked, self.accepted), (bookings, bookings), "{self:?}");
    }
}

impl AddAssign for Answers {
    fn add_assign(&mut self, other: Self) {
        self.asked += other.asked;
        self.accepted += other.accepted;
        self.taken += other.taken;
        other.errors.into_iter().for_each(|(code, count)| *self.errors.entry(code).or_default() += count);
        self.took += other.took;
        self.slowest = self.slowest.max(other.slowest);
    }
}
