use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};

use crate::ports::Clock;

/// A clock that stands still until it is turned.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that says `now`, cut to whole milliseconds.
    #[must_use]
    pub const fn at(now: DateTime<Utc>) -> Self {
        Self(AtomicI64::new(now.timestamp_millis()))
    }

    /// Turns it on. What is below a millisecond is cut off.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).expect("nobody turns a clock by more than millions of years");
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    /// Sets it, forwards or back.
    pub fn set(&self, now: DateTime<Utc>) {
        self.0.store(now.timestamp_millis(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// A Monday morning, weeks before the visits that [`super::appointment`] asks for.
    fn default() -> Self {
        Self::at(DateTime::from_timestamp(1_803_888_000, 0).expect("a date of this century"))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::SeqCst)).expect("the clock was set to a date")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_only_by_hand() {
        let clock = ManualClock::default();
        let begun = clock.now();
        assert_eq!(begun.to_rfc3339(), "2027-03-01T08:00:00+00:00");
        clock.advance(Duration::from_micros(1500));
        assert_eq!((clock.now() - begun).num_microseconds(), Some(1000));
        clock.set(begun);
        assert_eq!(clock.now(), begun);
    }
}
