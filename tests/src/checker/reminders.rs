//! Reminders are of visits that take place, and come before those begin.

use super::{Breach, Facts};

pub(super) fn in_time(facts: &Facts, breaches: &mut Vec<Breach>) {
    for (id, booking) in &facts.bookings {
        let mut confirmed = false;
        for entry in facts.timeline.get(id).into_iter().flatten() {
            match entry.kind.as_str() {
                "confirmed" => confirmed = true,
                "cancelled" => confirmed = false,
                "reminder" if !confirmed => breaches.push(Breach::RemindedAmiss(*id, "of a visit that does not take place".into())),
                "reminder" if entry.at >= booking.start => breaches.push(Breach::RemindedAmiss(*id, "after the start".into())),
                _ => {}
            }
        }
    }
}
