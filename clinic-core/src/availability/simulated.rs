use std::{ops::RangeInclusive, time::Duration};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    id::BookingId,
    ports::{Availability, AvailabilityError, Request, Verdict},
};

/// A calendar that takes its time and decides by lot: for trying things out and for load tests.
///
/// All chance is drawn from the seed, the booking's id and the attempt, never from a stream: the same booking gets the same
/// answer however often and in whatever order it is asked for.
#[derive(Clone, Debug)]
pub struct Simulated {
    delay: RangeInclusive<Duration>,
    approve: f64,
    fail: f64,
    seed: u64,
}

/// The failure of a simulated attempt.
#[derive(Clone, Copy, Debug, Error)]
#[error("the simulated calendar fails this attempt on purpose")]
struct OnPurpose;

/// What a lot decides over.
#[derive(Clone, Copy)]
enum Lot {
    Delay,
    Failure,
    Approval,
}

impl Simulated {
    /// A calendar that answers after a uniformly random `delay`, says yes with the chance `approve` and fails an attempt with
    /// the chance `fail` (both 0-1, else cut to that). Without a seed one is drawn, so that another process answers otherwise.
    #[must_use]
    pub fn new(delay: RangeInclusive<Duration>, approve: f64, fail: f64, seed: Option<u64>) -> Self {
        let delay = *delay.start()..=*delay.end().max(delay.start());
        Self { delay, approve, fail, seed: seed.unwrap_or_else(rand::random) }
    }

    /// A number in `[0, 1)`.
    fn draw(&self, lot: Lot, booking: BookingId, attempt: u32) -> f64 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update([lot as u8]);
        hash.update(booking.as_bytes());
        hash.update(attempt.to_be_bytes());
        let [a, b, c, d, e, f, g, ..] = <[u8; 32]>::from(hash.finalize());
        // 53 bits are what a f64 holds exactly.
        let bits = u64::from_be_bytes([0, a, b, c, d, e, f, g]) >> 3;
        bits as f64 / (1u64 << 53) as f64
    }

    fn delay(&self, request: &Request) -> Duration {
        let (shortest, longest) = (*self.delay.start(), *self.delay.end());
        shortest + (longest - shortest).mul_f64(self.draw(Lot::Delay, request.booking_id, request.attempt))
    }
}

impl Default for Simulated {
    /// 2-5 s, four in five approved, one attempt in twenty failing.
    fn default() -> Self {
        Self::new(Duration::from_secs(2)..=Duration::from_secs(5), 0.8, 0.05, None)
    }
}

#[async_trait]
impl Availability for Simulated {
    async fn check(&self, request: &Request) -> Result<Verdict, AvailabilityError> {
        let delay = self.delay(request);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if self.draw(Lot::Failure, request.booking_id, request.attempt) < self.fail {
            return Err(AvailabilityError::transient(OnPurpose));
        }
        // The attempt has no say in the answer: asking again must not change it.
        let approved = self.draw(Lot::Approval, request.booking_id, 0) < self.approve;
        Ok(if approved { Verdict::Available } else { Verdict::Unavailable })
    }

    fn reserves(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tokio::time::Instant;

    use super::*;
    use crate::{
        booking::{Appointment, Contact, Language},
        slot::Slot,
    };

    fn request(booking_id: BookingId, attempt: u32) -> Request {
        let appointment = Appointment {
            patient_id: Some("PAC001".into()),
            patient_name: None,
            doctor_id: None,
            slot: Slot::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap(), 30).unwrap(),
            contact: Contact::default(),
            language: Language::Spanish,
            timezone: chrono_tz::UTC,
        };
        Request::new(booking_id, attempt, appointment)
    }

    fn at_once(approve: f64, fail: f64, seed: Option<u64>) -> Simulated {
        Simulated::new(Duration::ZERO..=Duration::ZERO, approve, fail, seed)
    }

    async fn answer(simulated: &Simulated, booking: BookingId, attempt: u32) -> Option<Verdict> {
        simulated.check(&request(booking, attempt)).await.ok()
    }

    #[tokio::test]
    async fn a_seed_decides_everything_whatever_the_order() {
        let bookings: Vec<_> = (0..200).map(|_| BookingId::generate()).collect();
        let (one, same, other) = (at_once(0.5, 0.5, Some(7)), at_once(0.5, 0.5, Some(7)), at_once(0.5, 0.5, Some(8)));
        let (mut forth, mut back, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        for &booking in &bookings {
            forth.push(answer(&one, booking, 2).await);
            elsewhere.push(answer(&other, booking, 2).await);
        }
        for &booking in bookings.iter().rev() {
            back.insert(0, answer(&same, booking, 2).await);
        }
        assert_eq!(forth, back);
        assert_ne!(forth, elsewhere);
    }

    #[tokio::test]
    async fn asking_again_changes_no_answer_even_without_a_seed() {
        let simulated = at_once(0.5, 0.0, None);
        for _ in 0..100 {
            let booking = BookingId::generate();
            assert_eq!(answer(&simulated, booking, 1).await, answer(&simulated, booking, 2).await);
        }
    }

    #[tokio::test]
    async fn chances_are_kept() {
        let simulated = at_once(0.8, 0.25, Some(1));
        let (mut failed, mut approved) = (0, 0);
        for _ in 0..4000 {
            match answer(&simulated, BookingId::generate(), 1).await {
                None => failed += 1,
                Some(Verdict::Available) => approved += 1,
                Some(_) => {}
            }
        }
        // Six standard deviations either way.
        assert!((836..=1164).contains(&failed), "{failed} of 4000 failed");
        assert!((2210..=2590).contains(&approved), "{approved} of 4000 approved");
        for (approve, fail, expected) in [(1.0, 0.0, Some(Verdict::Available)), (0.0, 0.0, Some(Verdict::Unavailable)), (1.0, 1.0, None)] {
            assert_eq!(answer(&at_once(approve, fail, None), BookingId::generate(), 1).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn delays_spread_over_their_range() {
        let (shortest, longest) = (Duration::from_secs(2), Duration::from_secs(5));
        let simulated = Simulated::new(shortest..=longest, 1.0, 0.0, None);
        let mut sum = Duration::ZERO;
        for _ in 0..500 {
            let begun = Instant::now();
            answer(&simulated, BookingId::generate(), 1).await;
            // The timer counts whole milliseconds, rounded up.
            assert!((shortest..=longest + Duration::from_millis(2)).contains(&begun.elapsed()));
            sum += begun.elapsed();
        }
        let mean = sum / 500;
        assert!((Duration::from_millis(3250)..=Duration::from_millis(3750)).contains(&mean), "the mean is {mean:?}");
    }
}
