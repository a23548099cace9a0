//! Jobs: durable units of work in the store.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    booking::Booking,
    codes::codes,
    id::{JobId, Token},
};

codes! {
    /// What a job asks for.
    pub enum JobKind {
        /// Decide a booking.
        Decide = "decide",
        /// Tell one event of a booking on every channel.
        Tell = "tell",
        /// Give back what an availability check may have reserved.
        Release = "release",
    }
}

/// A job taken by a worker: it alone may settle it, as long as the token is the job's current one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Decide or release.
    pub kind: JobKind,
    /// The fence of this attempt.
    pub token: Token,
    /// The attempt's number, from 1. Losses don't raise it.
    pub attempt: u32,
    /// Until when the worker may keep it before others may take it over, on the store's clock.
    pub until: DateTime<Utc>,
    /// The booking as it stood when claimed.
    pub booking: Booking,
}

impl Lease {
    /// A lease, as store adapters make them.
    #[must_use]
    pub const fn new(job: JobId, kind: JobKind, token: Token, attempt: u32, until: DateTime<Utc>, booking: Booking) -> Self {
        Self { job, kind, token, attempt, until, booking }
    }
}
