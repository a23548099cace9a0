use crate::{id::BookingId, timeline::Entry};

/// The most entries of one booking that come at once, so that a client who does not read costs no more, however long the timeline.
pub const PROGRESS_PAGE: usize = 100;

/// How far somebody has followed a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Followed {
    /// The booking.
    pub booking: BookingId,
    /// The place of the last timeline entry that they have; 0 for none.
    pub after: u32,
}

impl Followed {
    /// Somebody who has a booking's entries up to `after`.
    #[must_use]
    pub const fn new(booking: BookingId, after: u32) -> Self {
        Self { booking, after }
    }
}

/// What happened to a booking since.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The booking.
    pub booking: BookingId,
    /// The timeline's further entries, oldest first, [`PROGRESS_PAGE`] at most.
    pub entries: Vec<Entry>,
    /// Whether these are all, the booking is decided, and each notice of it, on every channel, was tried once or settled.
    pub told: bool,
}

impl Progress {
    /// What happened to a booking.
    #[must_use]
    pub const fn new(booking: BookingId, entries: Vec<Entry>, told: bool) -> Self {
        Self { booking, entries, told }
    }
}
