use async_trait::async_trait;
use thiserror::Error;

use super::Source;
use crate::{booking::Appointment, id::BookingId};

/// What is asked: can this visit take place?
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The booking. Answers must be idempotent by it, since an attempt may be repeated.
    pub booking_id: BookingId,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// What was asked for.
    pub appointment: Appointment,
}

impl Request {
    /// A question about a booking.
    #[must_use]
    pub const fn new(booking_id: BookingId, attempt: u32, appointment: Appointment) -> Self {
        Self { booking_id, attempt, appointment }
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The visit can take place.
    Available,
    /// It cannot.
    Unavailable,
}

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AvailabilityError {
    /// It may pass: the attempt is spent and tried again.
    #[error("the availability service did not answer; the attempt will be made again")]
    Transient(#[source] Source),
    /// It will not pass: the booking is rejected with `availability_refused`.
    #[error("the availability service refuses the request; look at its own log")]
    Permanent(#[source] Source),
}

impl AvailabilityError {
    /// A failure that may pass.
    pub fn transient(source: impl Into<Source>) -> Self {
        Self::Transient(source.into())
    }

    /// A failure that will not pass.
    pub fn permanent(source: impl Into<Source>) -> Self {
        Self::Permanent(source.into())
    }
}

/// A clinic's own knowledge of who is free when.
///
/// Both calls are idempotent by booking id: an attempt may be repeated after a crash. They must not block their thread, which
/// thousands of bookings share: use async calls, or `tokio::task::spawn_blocking`.
#[async_trait]
pub trait Availability: Send + Sync + 'static {
    /// Asks whether the visit can take place. Called with a time-out around it; the future may be dropped.
    ///
    /// # Errors
    /// [`AvailabilityError`], transient or permanent.
    async fn check(&self, request: &Request) -> Result<Verdict, AvailabilityError>;

    /// Gives back what [`check`](Self::check) may have reserved; follows every end other than confirmed, and the
    /// cancellation of a confirmed booking. Repeated until it succeeds, for about a day.
    ///
    /// # Errors
    /// [`AvailabilityError`], transient or permanent.
    async fn release(&self, booking_id: BookingId) -> Result<(), AvailabilityError> {
        let _ = booking_id;
        Ok(())
    }

    /// Whether [`check`](Self::check) reserves anything. `false` saves the release jobs.
    fn reserves(&self) -> bool {
        true
    }

    /// How many calls may run at once. A worker claims no more bookings than that, so waiting spends no attempt.
    fn concurrency(&self) -> usize {
        usize::MAX
    }
}
