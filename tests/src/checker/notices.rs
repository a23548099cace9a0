//! P5 and P6: every decision is told, under one id and in order.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Breach, Expected, Facts, NoticeLine, Seen};

pub(super) fn all_told(facts: &Facts, seen: &Seen, expected: &Expected, breaches: &mut Vec<Breach>) {
    if !expected.finished {
        return;
    }
    let arrived: BTreeSet<Uuid> = seen.lines.iter().map(|line| line.id).collect();
    for id in facts.bookings.keys() {
        let ledger = facts.notices.get(id).map_or(&[][..], Vec::as_slice);
        for event in facts.events(*id) {
            for channel in &expected.channels {
                let row = ledger.iter().find(|row| row.event == event.seq && row.channel == *channel);
                let why = match row {
                    None => "has no row in the ledger",
                    Some(row) => match row.state.as_str() {
                        "sent" if expected.received.as_ref() == Some(channel) && !arrived.contains(&row.id) => {
                            "was called sent and never arrived"
                        }
                        "sent" | "failed" => continue,
                        "skipped" if row.code.is_some() => continue,
                        "skipped" => "was skipped without a reason",
                        _ => "is not settled",
                    },
                };
                breaches.push(Breach::Untold(*id, format!("{} on {channel} {why}", event.kind)));
            }
        }
        for row in ledger.iter().filter(|row| row.state == "failed") {
            let kept = facts.dead_letters.get(id).into_iter().flatten();
            if !kept.into_iter().any(|letter| letter.kind == "notice" && letter.notice == Some(row.id)) {
                breaches.push(Breach::DeadLetterMissing(*id, format!("notice {}", row.id)));
            }
        }
    }
}

pub(super) fn told_under_one_id_in_order(facts: &Facts, seen: &Seen, breaches: &mut Vec<Breach>) {
    let mut content: BTreeMap<Uuid, &NoticeLine> = BTreeMap::new();
    let mut ids: BTreeMap<(Uuid, i64), Uuid> = BTreeMap::new();
    // Of each booking: the latest event told so far.
    let mut told: BTreeMap<Uuid, (i64, &str)> = BTreeMap::new();
    let mut twice = BTreeSet::new();
    for line in &seen.lines {
        let first = *content.entry(line.id).or_insert(line);
        if first.content != line.content && twice.insert(line.id) {
            breaches.push(Breach::ToldTwice(line.booking, format!("{} came with two contents", line.id)));
            continue;
        }
        let id = *ids.entry((line.booking, line.seq)).or_insert(line.id);
        if id != line.id && twice.insert(line.id) {
            breaches.push(Breach::ToldTwice(line.booking, format!("event {} came as {id} and as {}", line.seq, line.id)));
            continue;
        }
        let (latest, event) = *told.entry(line.booking).or_insert((line.seq, line.event.as_str()));
        let is_first = std::ptr::eq(first, line);
        if line.seq < latest && (is_first || event == "cancelled") {
            breaches.push(Breach::OutOfOrder(line.booking, format!("{} came after {event}", line.event)));
        } else if line.seq > latest {
            told.insert(line.booking, (line.seq, &line.event));
        }
        if is_first && let Some(what) = stray(facts, line) {
            breaches.push(Breach::StrayNotice(line.booking, what));
        }
    }
}

/// What the store has against a line, if anything.
fn stray(facts: &Facts, line: &NoticeLine) -> Option<String> {
    let Some(row) = facts.notices.get(&line.booking).into_iter().flatten().find(|row| row.id == line.id) else {
        return Some(format!("{} {} is not in the ledger", line.event, line.id));
    };
    let event = facts.timeline.get(&line.booking).into_iter().flatten().find(|entry| entry.seq == row.event);
    let Some(event) = event else {
        return Some(format!("{} {} tells an event that is not in the timeline", line.event, line.id));
    };
    let same_reason = event.kind != "rejected" || event.code == line.reason;
    if event.kind != line.event || row.event != line.seq || !same_reason {
        return Some(format!("{} {} tells what the timeline does not say", line.event, line.id));
    }
    None
}
