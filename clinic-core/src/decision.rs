//! Decisions and their reasons.

use serde::{Deserialize, Serialize};

use crate::codes::codes;

codes! {
    /// Why a booking was rejected. Codes are stable; [`crate::notification`] says them to a person.
    pub enum Reason {
        /// The availability check said no.
        Unavailable = "unavailable",
        /// Every attempt failed or timed out.
        AvailabilityUnreachable = "availability_unreachable",
        /// The availability service refused the question for good.
        AvailabilityRefused = "availability_refused",
        /// Workers were lost again and again while deciding.
        ProcessingFailed = "processing_failed",
        /// Nothing was decided in time.
        DeadlinePassed = "deadline_passed",
    }
}

impl Reason {
    /// Whether the rejection is our failure rather than an answer, and is therefore kept on the dead-letter desk.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Unavailable)
    }
}

/// What becomes of a pending booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The visit takes place.
    Confirmed,
    /// It does not, and why.
    Rejected(Reason),
}

impl Decision {
    /// Why the visit does not take place, if it does not.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Confirmed => None,
            Self::Rejected(reason) => Some(reason),
        }
    }
}

codes! {
    /// How one attempt to decide ended.
    pub enum AttemptOutcome {
        /// Availability said yes.
        Available = "available",
        /// Availability said no.
        Unavailable = "unavailable",
        /// The call failed in a way that may pass.
        Transient = "transient",
        /// The call did not answer in time.
        TimedOut = "timed_out",
        /// The call was refused for good.
        Refused = "refused",
    }
}
