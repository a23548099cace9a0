//! P2: two active bookings of one doctor never overlap.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{BookingRow, Breach, Facts};

/// A booking's visit and the time during which it held its slot; both half-open, in milliseconds.
struct Hold {
    id: Uuid,
    visit: (i64, i64),
    active: (i64, i64),
}

/// Not only today's active bookings: also two that overlapped while both were active and of which one ended since.
pub(super) fn no_double_booking(facts: &Facts, breaches: &mut Vec<Breach>) {
    let mut doctors: BTreeMap<&str, Vec<Hold>> = BTreeMap::new();
    for booking in facts.bookings.values() {
        if let Some(doctor) = &booking.doctor {
            doctors.entry(doctor).or_default().push(hold(facts, booking));
        }
    }
    for mut holds in doctors.into_values() {
        holds.sort_by_key(|hold| (hold.visit, hold.id));
        let longest = holds.iter().map(|hold| hold.visit.1 - hold.visit.0).max().unwrap_or(0);
        for (place, hold) in holds.iter().enumerate() {
            // Whoever starts later than the longest visit could last cannot reach into this one.
            let near = holds[..place].iter().rev().take_while(|earlier| earlier.visit.0 + longest > hold.visit.0);
            for earlier in near.filter(|earlier| meet(earlier.visit, hold.visit) && meet(earlier.active, hold.active)) {
                breaches.push(Breach::Overlapping(earlier.id, hold.id));
            }
        }
    }
}

fn hold(facts: &Facts, booking: &BookingRow) -> Hold {
    let ended = facts.ends(booking.id).find(|end| end.kind != "confirmed").map(|end| end.at);
    // A row that says it is active is, whatever its timeline says.
    let until = if matches!(booking.status.as_str(), "pending" | "confirmed") { i64::MAX } else { ended.unwrap_or(booking.created) };
    Hold { id: booking.id, visit: (booking.start, booking.end), active: (booking.created, until) }
}

const fn meet(one: (i64, i64), other: (i64, i64)) -> bool {
    one.0 < other.1 && other.0 < one.1
}

#[cfg(test)]
mod tests {
    use super::meet;

    #[test]
    fn half_open_spans_that_touch_do_not_meet() {
        assert!(!meet((0, 10), (10, 20)) && !meet((10, 20), (0, 10)));
        assert!(meet((0, 10), (9, 20)) && meet((0, 100), (10, 20)) && meet((10, 20), (0, 100)) && meet((5, 6), (5, 6)));
    }
}
