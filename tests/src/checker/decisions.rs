//! P1, P3 and P5: what was accepted is there, decided once and in time.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Breach, Expected, Facts, Seen};

pub(super) fn accepted_is_durable(facts: &Facts, seen: &Seen, breaches: &mut Vec<Breach>) {
    let mut told = BTreeSet::new();
    for accepted in &seen.accepted {
        match facts.bookings.get(&accepted.id) {
            None => {
                if told.insert(accepted.id) {
                    breaches.push(Breach::Lost(accepted.id));
                }
            }
            Some(row) if (&row.doctor, row.start, row.end) != (&accepted.doctor, accepted.start, accepted.end) => {
                breaches.push(Breach::Altered(accepted.id));
            }
            Some(_) => {}
        }
    }
}

pub(super) fn one_booking_a_key(facts: &Facts, seen: &Seen, breaches: &mut Vec<Breach>) {
    let mut by_key: BTreeMap<&str, Uuid> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for accepted in &seen.accepted {
        let Some(key) = &accepted.key else { continue };
        let first = *by_key.entry(key).or_insert(accepted.id);
        if first != accepted.id {
            found.insert((first.min(accepted.id), first.max(accepted.id)));
        }
    }
    // Also the one whose answer nobody saw. A replay is nobody's request.
    let once: BTreeSet<&str> = seen.once.iter().map(String::as_str).collect();
    let mut by_patient: BTreeMap<&str, Uuid> = BTreeMap::new();
    for row in facts.bookings.values().filter(|row| row.replay_of.is_none()) {
        let Some(patient) = row.patient_id.as_deref().filter(|patient| once.contains(patient)) else { continue };
        let first = *by_patient.entry(patient).or_insert(row.id);
        if first != row.id {
            found.insert((first.min(row.id), first.max(row.id)));
        }
    }
    breaches.extend(found.into_iter().map(|(one, other)| Breach::DuplicateBooking(one, other)));
}

pub(super) fn one_decision(facts: &Facts, seen: &Seen, breaches: &mut Vec<Breach>) {
    for row in facts.bookings.values() {
        let mut flip = |what: String| breaches.push(Breach::Flipped(row.id, what));
        let mut status = "pending";
        let mut reason = None;
        let mut decided = 0;
        for end in facts.ends(row.id) {
            decided += usize::from(end.kind != "cancelled");
            let legal = matches!((status, end.kind.as_str()), ("pending", _) | ("confirmed", "cancelled"));
            if !legal && decided < 2 {
                flip(format!("{status} became {}", end.kind));
            }
            status = &end.kind;
            reason = if end.kind == "rejected" { end.code.as_deref() } else { None };
        }
        if decided > 1 {
            breaches.push(Breach::DecidedTwice(row.id));
        } else if status != row.status {
            flip(format!("the timeline ends in {status}, the booking is {}", row.status));
        } else if reason != row.reason.as_deref() {
            flip(format!("the timeline says {reason:?}, the booking {:?}", row.reason));
        }
    }
    for entries in facts.timeline.keys().filter(|id| !facts.bookings.contains_key(id)) {
        breaches.push(Breach::Flipped(*entries, "a timeline without its booking".into()));
    }
    let cancelled = seen.cancelled.iter().map(|id| (*id, "cancelled"));
    let statuses = seen.statuses.iter().map(|(id, status)| (*id, status.as_str()));
    let all: BTreeSet<_> = cancelled.chain(statuses).collect();
    for (id, saw) in all {
        let Some(row) = facts.bookings.get(&id) else { continue };
        let reachable = match saw {
            "pending" => true,
            "confirmed" => matches!(row.status.as_str(), "confirmed" | "cancelled"),
            end => row.status == end,
        };
        if !reachable {
            breaches.push(Breach::Flipped(id, format!("it was seen {saw} and is {}", row.status)));
        }
    }
}

pub(super) fn all_decided(facts: &Facts, expected: &Expected, breaches: &mut Vec<Breach>) {
    for row in facts.bookings.values() {
        let late = expected.finished || row.decide_by + expected.slack_ms < expected.now_ms;
        if row.status == "pending" && late {
            breaches.push(Breach::Undecided(row.id));
        }
        let failed = row.reason.as_deref().filter(|reason| *reason != "unavailable");
        if let Some(reason) = failed {
            if expected.kills_only {
                breaches.push(Breach::RejectedByKills(row.id, reason.into()));
            }
            let kept = facts.dead_letters.get(&row.id).into_iter().flatten();
            if !kept.into_iter().any(|letter| letter.kind == "decide" && letter.code == reason) {
                breaches.push(Breach::DeadLetterMissing(row.id, reason.into()));
            }
        }
    }
    if expected.finished {
        for (booking, kind) in &facts.jobs {
            // An undecided booking is named once.
            let pending = facts.bookings.get(booking).is_some_and(|row| row.status == "pending");
            if !(kind == "decide" && pending) {
                breaches.push(Breach::LeftOver(*booking, format!("a {kind} job")));
            }
        }
    }
}
