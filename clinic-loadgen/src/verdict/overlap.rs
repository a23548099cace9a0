use std::collections::HashMap;

use chrono::{DateTime, Utc};
use clinic_client::{BookingView, Status};
use uuid::Uuid;

/// Finds bookings of one doctor that overlap, in a list by start. It keeps one booking a doctor.
#[derive(Clone, Debug, Default)]
pub struct Overlaps(HashMap<String, (Uuid, DateTime<Utc>)>);

impl Overlaps {
    /// Takes the next booking of the list; gives an earlier one that was active, too, when listed, and that it overlaps.
    pub fn next(&mut self, booking: &BookingView) -> Option<Uuid> {
        let doctor = booking.doctor_id.as_ref().filter(|_| booking.status.known().is_some_and(Status::is_active))?;
        let Some((holder, until)) = self.0.get_mut(doctor) else {
            self.0.insert(doctor.clone(), (booking.id, booking.end));
            return None;
        };
        // The one that ends last is kept: a later start overlaps it if it overlaps any.
        let overlapped = (booking.datetime < *until).then_some(*holder);
        if booking.end > *until {
            (*holder, *until) = (booking.id, booking.end);
        }
        overlapped
    }
}
