//! P3 at the desk: what is replayed stays rejected, and becomes one new booking of the same visit.

use uuid::Uuid;

use super::{BookingRow, Breach, Facts};

pub(super) fn one_to_one(facts: &Facts, breaches: &mut Vec<Breach>) {
    for row in facts.bookings.values() {
        let amiss = row.replay_of.and_then(|old| of_replay(facts, row, old)).or_else(|| of_replayed(facts, row));
        breaches.extend(amiss.map(|what| Breach::ReplayedAmiss(row.id, what)));
    }
}

/// What is wrong with a booking that tries an older one again.
fn of_replay(facts: &Facts, row: &BookingRow, old: Uuid) -> Option<String> {
    let Some(old) = facts.bookings.get(&old) else { return Some(format!("it replays {old}, which is not there")) };
    let visit = |row: &BookingRow| (row.patient_id.clone(), row.doctor.clone(), row.start, row.end);
    if old.replayed_as != Some(row.id) {
        Some(format!("it replays {}, which became {:?}", old.id, old.replayed_as))
    } else if visit(old) != visit(row) {
        Some(format!("it replays {}, which is another visit", old.id))
    } else if row.created < decided_at(facts, old.id) {
        Some(format!("it replays {}, which was not decided yet", old.id))
    } else {
        None
    }
}

/// What is wrong with a booking that was replayed, or is said to have been.
fn of_replayed(facts: &Facts, row: &BookingRow) -> Option<String> {
    let letters: Vec<_> = facts.dead_letters.get(&row.id).into_iter().flatten().filter(|letter| letter.replayed).collect();
    let decided_again = letters.iter().filter(|letter| letter.kind == "decide").count();
    let entries = facts.timeline.get(&row.id).into_iter().flatten().filter(|entry| entry.kind == "replayed").count();
    let expected = letters.len() + usize::from(row.replay_of.is_some());
    if decided_again != usize::from(row.replayed_as.is_some()) {
        return Some(format!("{decided_again} letters of its decision were replayed, it became {:?}", row.replayed_as));
    }
    if entries != expected {
        return Some(format!("its timeline tells {entries} replays, there were {expected}"));
    }
    let new = row.replayed_as?;
    if row.status != "rejected" {
        return Some(format!("it was replayed and is {}", row.status));
    }
    match facts.bookings.get(&new) {
        None => Some(format!("it was replayed as {new}, which is not there")),
        Some(found) if found.replay_of != Some(row.id) => Some(format!("it was replayed as {new}, which replays {:?}", found.replay_of)),
        Some(_) => None,
    }
}

/// When a booking's first end was.
fn decided_at(facts: &Facts, booking: Uuid) -> i64 {
    facts.ends(booking).next().map_or(i64::MAX, |end| end.at)
}
