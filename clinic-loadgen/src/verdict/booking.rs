use chrono::{DateTime, TimeDelta, Utc};
use clinic_client::{BookingView, EntryKind, EventKind, NoticeState, NoticeView, Status, TimelineView};

use super::{Breach, Kind};

/// By so much the clinic's clock may differ, and a sweep come later, before a booking counts as undecided.
const ALLOWANCE: TimeDelta = TimeDelta::seconds(10);

/// The decisions of a timeline, in order, and the event that tells of each.
pub(super) fn decisions(timeline: &TimelineView) -> impl Iterator<Item = (Status, EventKind)> + '_ {
    timeline.events.iter().filter_map(|entry| match entry.kind.known()? {
        EntryKind::Confirmed => Some((Status::Confirmed, EventKind::Confirmed)),
        EntryKind::Rejected => Some((Status::Rejected, EventKind::Rejected)),
        EntryKind::Cancelled => Some((Status::Cancelled, EventKind::Cancelled)),
        _ => None,
    })
}

/// Whether it is decided, and all that was to be told about it is told or given up.
#[must_use]
pub fn is_settled(booking: &BookingView, timeline: &TimelineView) -> bool {
    booking.status != Status::Pending
        && booking.notices.iter().all(|notice| notice.state != NoticeState::Pending)
        && decisions(timeline).all(|(_, event)| booking.notices.iter().any(|notice| notice.event == event))
}

/// What is wrong with a booking at `now`, where nothing more is to be waited for.
#[must_use]
pub fn judge(booking: &BookingView, timeline: &TimelineView, most_attempts: u32, now: DateTime<Utc>) -> Vec<Breach> {
    let breach = |kind| move |detail| Breach::new(kind, [booking.id], detail);
    let mut breaches = Vec::new();
    breaches.extend(flipped(booking, timeline).map(breach(Kind::Flipped)));
    breaches.extend(overtried(booking, timeline, most_attempts).map(breach(Kind::Overtried)));
    breaches.extend(booking.notices.iter().filter_map(unsettled).map(breach(Kind::Untold)));
    breaches.extend(out_of_order(booking, timeline).map(breach(Kind::OutOfOrder)));
    if booking.status == Status::Pending && now > booking.decide_by + ALLOWANCE {
        breaches.push(breach(Kind::Undecided)(format!("pending, and to be decided by {}", booking.decide_by)));
    }
    breaches
}

fn flipped(booking: &BookingView, timeline: &TimelineView) -> Option<String> {
    let mut status = Status::Pending;
    for (next, _) in decisions(timeline) {
        if !status.may_become(next) {
            return Some(format!("{status}, then {next}"));
        }
        status = next;
    }
    (booking.status != status).then(|| format!("{}, and by its timeline {status}", booking.status))
}

fn overtried(booking: &BookingView, timeline: &TimelineView, most: u32) -> Option<String> {
    let attempts = || timeline.events.iter().filter(|entry| entry.kind == EntryKind::Attempt);
    let made = u32::try_from(attempts().count()).unwrap_or(u32::MAX);
    let number = attempts().filter_map(|entry| entry.attempt).max().unwrap_or_default();
    let spent = made.max(number).max(booking.attempts);
    (spent > most).then(|| format!("{spent} attempts"))
}

/// A notice that is neither told nor given up for a reason.
fn unsettled(notice: &NoticeView) -> Option<String> {
    let NoticeView { event, channel, state, .. } = notice;
    match state.known() {
        Some(NoticeState::Sent) => None,
        Some(NoticeState::Failed | NoticeState::Skipped) if notice.code.is_some() => None,
        Some(NoticeState::Failed | NoticeState::Skipped) => Some(format!("{event} on {channel}: {state} without a reason")),
        _ => Some(format!("{event} on {channel}: not settled")),
    }
}

/// The first notice that was sent after one of a later event, on one channel or endpoint.
fn out_of_order(booking: &BookingView, timeline: &TimelineView) -> Option<String> {
    let sent: Vec<&NoticeView> = timeline
        .events
        .iter()
        .filter(|entry| entry.kind == EntryKind::NoticeSent)
        .filter_map(|entry| booking.notices.iter().find(|notice| entry.notice.as_deref() == Some(&*notice.id.to_string())))
        .collect();
    sent.iter().enumerate().find_map(|(place, late)| {
        let same = |early: &&&NoticeView| (&early.channel, early.endpoint) == (&late.channel, late.endpoint);
        let early = sent[..place].iter().filter(same).find(|early| order(early.event.known()) > order(late.event.known()))?;
        Some(format!("{} told after {} on {}", late.event, early.event, late.channel))
    })
}

/// A booking's events come in this order.
const fn order(event: Option<EventKind>) -> u8 {
    match event {
        Some(EventKind::Reminder) => 1,
        Some(EventKind::Cancelled) => 2,
        _ => 0,
    }
}
