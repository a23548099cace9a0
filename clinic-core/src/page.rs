//! Pages of bookings: filters and the opaque cursor.

use chrono::{DateTime, Utc};

use crate::{
    booking::{Booking, Status},
    id::BookingId,
};

/// The most items of a page.
pub const MAX_LIMIT: u32 = 200;
/// The items of a page when nothing is said.
pub const DEFAULT_LIMIT: u32 = 50;

/// Which bookings to list. All parts that are present must hold.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Filter {
    /// Of this doctor.
    pub doctor_id: Option<String>,
    /// Of this patient.
    pub patient_id: Option<String>,
    /// In this status.
    pub status: Option<Status>,
    /// Starting at or after.
    pub from: Option<DateTime<Utc>>,
    /// Starting before.
    pub to: Option<DateTime<Utc>>,
    /// Behind this place.
    pub after: Option<Cursor>,
    /// At most so many (1-200).
    pub limit: u32,
}

/// A place in the order of (start, id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cursor {
    /// Start of the last booking seen.
    pub start: DateTime<Utc>,
    /// Its id.
    pub id: BookingId,
}

impl Cursor {
    /// The place just behind a booking.
    #[must_use]
    pub const fn after(booking: &Booking) -> Self {
        Self { start: booking.appointment.slot.start(), id: booking.id }
    }

    /// The cursor as clients hand it back: opaque, safe in a URL.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{}.{}", self.start.timestamp_millis(), self.id.uuid().simple())
    }

    /// Reads a cursor; `None` when it is none of ours.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let (start, id) = text.split_once('.')?;
        let start = DateTime::from_timestamp_millis(start.parse().ok()?)?;
        Some(Self { start, id: id.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_back(millis in -1_000_000_000i64..4_102_444_800_000) {
            let cursor = Cursor { start: DateTime::from_timestamp_millis(millis).unwrap(), id: BookingId::generate() };
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = Cursor::decode(&text);
        }
    }
}
