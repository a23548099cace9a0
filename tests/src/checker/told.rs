//! P5 and P6 for channels that lead outside: what arrived there is what the ledger says, under one id and in order.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Breach, Expected, Facts, NoticeRow, Seen};

/// Something that arrived on a channel, in the words of whoever received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The channel, as the ledger names it: `email`, `webhook:ENDPOINT`.
    pub channel: String,
    /// The notice's id.
    pub id: Uuid,
    /// The booking that it names, if it names one.
    pub booking: Option<Uuid>,
    /// The event that it names, if it names one.
    pub event: Option<String>,
    /// The event's place in the timeline, if it says so.
    pub seq: Option<i64>,
    /// All of it, or a digest.
    pub content: String,
}

/// None twice under two ids, equal content for an id, in the order of events, and nothing that the ledger does not know.
pub(super) fn under_one_id_in_order(facts: &Facts, seen: &Seen, breaches: &mut Vec<Breach>) {
    let rows: BTreeMap<Uuid, (Uuid, &NoticeRow)> =
        facts.notices.iter().flat_map(|(booking, rows)| rows.iter().map(|row| (row.id, (*booking, row)))).collect();
    let mut content: BTreeMap<(&str, Uuid), &str> = BTreeMap::new();
    let mut latest: BTreeMap<(&str, Uuid), (i64, &str)> = BTreeMap::new();
    for told in &seen.told {
        let Some((booking, row)) = rows.get(&told.id).filter(|(_, row)| row.channel == told.channel) else {
            let booking = told.booking.unwrap_or_default();
            breaches.push(Breach::StrayNotice(booking, format!("{} on {} is not in the ledger", told.id, told.channel)));
            continue;
        };
        let place = (told.channel.as_str(), told.id);
        if content.get(&place).is_some_and(|first| *first != told.content) {
            breaches.push(Breach::ToldTwice(*booking, format!("{} came with two contents on {}", told.id, told.channel)));
        }
        let event = facts.timeline.get(booking).into_iter().flatten().find(|entry| entry.seq == row.event);
        let kind = event.map_or("nothing", |event| event.kind.as_str());
        let agrees = told.booking.is_none_or(|named| named == *booking)
            && told.event.as_ref().is_none_or(|named| named == kind)
            && told.seq.is_none_or(|named| named == row.event);
        if !agrees {
            breaches.push(Breach::StrayNotice(*booking, format!("{} on {} does not tell of {kind}", told.id, told.channel)));
        }
        // Whoever drops repeats of an id sees its first arrival only; but after a cancellation nobody hears an older event even again.
        let is_first = content.insert(place, &told.content).is_none();
        let (last, what) = *latest.entry((&told.channel, *booking)).or_insert((row.event, kind));
        if row.event < last && (is_first || what == "cancelled") {
            breaches.push(Breach::OutOfOrder(*booking, format!("{kind} came after {what} on {}", told.channel)));
        } else if row.event > last {
            latest.insert((&told.channel, *booking), (row.event, kind));
        }
    }
}

/// What the ledger calls sent arrived, on the channels whose arrivals were written down.
pub(super) fn sent_arrived(facts: &Facts, seen: &Seen, expected: &Expected, breaches: &mut Vec<Breach>) {
    let arrived: BTreeSet<(&str, Uuid)> = seen.told.iter().map(|told| (told.channel.as_str(), told.id)).collect();
    for (booking, row) in facts.notices.iter().flat_map(|(booking, rows)| rows.iter().map(move |row| (booking, row))) {
        let watched = expected.watched.contains(&row.channel);
        if watched && row.state == "sent" && !arrived.contains(&(row.channel.as_str(), row.id)) {
            breaches.push(Breach::Untold(*booking, format!("{} on {} was called sent and never arrived", row.id, row.channel)));
        }
    }
}
