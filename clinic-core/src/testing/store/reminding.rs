use std::time::Duration;

use super::{checks, practice::*};
use crate::{
    id::BookingId,
    notification::{EventKind, NoticeState, SUPERSEDED, TOO_LATE},
    ports::{Cancellation, NoticeEnding},
    testing::appointment,
    timeline::EntryKind,
};

const HOUR: Duration = Duration::from_secs(3600);

checks! {
    a_confirmed_visit_is_reminded_of_once_a_day_before,
    nobody_is_reminded_of_a_visit_that_is_not_confirmed,
    a_cancellation_takes_the_reminder_with_it,
    a_reminder_that_was_missed_is_told_late_but_never_after_the_start,
    a_visit_that_is_confirmed_on_its_day_has_no_reminder,
    a_reminder_that_cannot_be_sent_in_time_is_skipped,
    a_reminder_that_came_to_nothing_overtakes_no_confirmation,
    a_reminder_of_a_booking_cancelled_meanwhile_is_superseded,
    reminders_are_made_in_bounded_batches,
}

async fn a_confirmed_visit_is_reminded_of_once_a_day_before(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let notice = p.notice(confirmed).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    until_before(p, id, 24 * HOUR + MILLI).await;
    assert!(p.remind(100).await.is_empty(), "a millisecond before, nobody is reminded");
    p.advance(MILLI);
    let due = tell(&p.remind(100).await, EventKind::Reminder);
    assert_eq!(due.booking, id);
    assert!(p.remind(100).await.is_empty(), "one reminder is made once");
    let notice = p.notice(due).await;
    assert_eq!((notice.event.kind, notice.event.at), (EventKind::Reminder, p.now()), "what is told is the reminder");
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    let told = [EventKind::Confirmed, EventKind::Reminder].map(|event| (event, "log".to_owned(), NoticeState::Sent));
    assert_eq!(p.states(id).await, told, "in the ledger beside the confirmation");
    assert!(p.kinds(id).await.contains(&EntryKind::Reminder), "and in the timeline");
    p.advance(23 * HOUR);
    assert!(p.remind(100).await.is_empty(), "and no other follows");
}

async fn nobody_is_reminded_of_a_visit_that_is_not_confirmed(p: &Practice) {
    let (rejected, _) = p.rejected(0).await;
    let pending = p.accepted(visit(1).decide_within(LONG * 24 * 365)).await.booking;
    until_before(p, rejected, 2 * HOUR).await;
    let before = [p.picture(rejected).await, p.picture(pending).await];
    assert!(p.remind(100).await.is_empty());
    assert_eq!([p.picture(rejected).await, p.picture(pending).await], before);
}

async fn a_cancellation_takes_the_reminder_with_it(p: &Practice) {
    let (id, _) = p.confirmed(0).await;
    p.cancelled(id).await;
    until_before(p, id, 2 * HOUR).await;
    assert!(p.remind(100).await.is_empty(), "nobody is reminded of a visit that was cancelled");
    assert!(!p.kinds(id).await.contains(&EntryKind::Reminder));
}

async fn a_reminder_that_was_missed_is_told_late_but_never_after_the_start(p: &Practice) {
    let (late, _) = p.confirmed(0).await;
    let (over, _) = p.confirmed(-2).await;
    until_before(p, late, 30 * 60 * SECOND).await;
    let told = p.remind(100).await;
    assert_eq!(tell(&told, EventKind::Reminder).booking, late, "half an hour before the visit is better than never");
    assert!(!p.kinds(over).await.contains(&EntryKind::Reminder), "but a visit that has begun needs none");
    assert!(p.remind(100).await.is_empty(), "and is not looked at again");
}

async fn a_visit_that_is_confirmed_on_its_day_has_no_reminder(p: &Practice) {
    let ticket = p.accepted(appointment().at(p.now() + chrono::Duration::hours(3))).await;
    let lease = p.won(ticket).await;
    p.concluded(&lease, CONFIRM).await;
    p.advance(2 * HOUR);
    assert!(p.remind(100).await.is_empty(), "the confirmation has just said it");
}

async fn a_reminder_that_cannot_be_sent_in_time_is_skipped(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let notice = p.notice(confirmed).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    until_before(p, id, HOUR).await;
    let due = tell(&p.remind(100).await, EventKind::Reminder);
    let notice = p.notice(due).await;
    p.settled(&notice, NoticeEnding::Retry("log_unwritable", 2 * HOUR)).await;
    p.advance(2 * HOUR + MILLI);
    assert!(p.overdue_notices(&[("log", 10)], 10).await.is_empty(), "the visit has begun");
    assert_eq!(last_row(p, id).await, (EventKind::Reminder, NoticeState::Skipped, Some(TOO_LATE.to_owned())));
    assert!(p.overdue_notices(&[("log", 10)], 10).await.is_empty(), "and that is the end of it");
}

async fn a_reminder_that_came_to_nothing_overtakes_no_confirmation(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let notice = p.notice(confirmed).await;
    p.settled(&notice, NoticeEnding::Retry("log_unwritable", Duration::from_secs(90 * 24 * 3600))).await;
    until_before(p, id, HOUR).await;
    let due = tell(&p.remind(100).await, EventKind::Reminder);
    p.advance(HOUR);
    assert!(p.log_notices(due).await.is_empty(), "the visit has begun");
    let states = p.states(id).await;
    assert_eq!(states[0].2, NoticeState::Pending, "but nobody was told yet that it takes place");
    p.advance(Duration::from_secs(90 * 24 * 3600));
    let found = p.overdue_notices(&[("log", 10)], 10).await;
    assert_eq!(found.len(), 1, "so that is tried to the end");
    p.settled(&found[0], NoticeEnding::Failed("log_unwritable")).await;
    assert_eq!(p.states(id).await[0].2, NoticeState::Failed, "and staff hear of it");
}

async fn a_reminder_of_a_booking_cancelled_meanwhile_is_superseded(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let notice = p.notice(confirmed).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    until_before(p, id, 2 * HOUR).await;
    let due = tell(&p.remind(100).await, EventKind::Reminder);
    let Cancellation::Done(_, publications) = p.cancel(id).await else { panic!("a visit that has not begun can be cancelled") };
    assert!(p.log_notices(due).await.is_empty(), "nobody is reminded of what is cancelled, though its news comes first");
    assert_eq!(last_row(p, id).await, (EventKind::Reminder, NoticeState::Skipped, Some(SUPERSEDED.to_owned())));
    let notice = p.notice(tell(&publications, EventKind::Cancelled)).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
}

async fn reminders_are_made_in_bounded_batches(p: &Practice) {
    let mut due = Vec::new();
    for n in 0..5 {
        due.push(p.confirmed(n).await.0);
    }
    until_before(p, due[0], HOUR).await;
    let mut told = Vec::new();
    for expected in [2, 2, 1, 0] {
        let publications = p.remind(2).await;
        assert_eq!(publications.len(), expected, "as many as allowed, or are left");
        told.extend(publications.iter().map(|publication| publication.message.booking));
    }
    assert_eq!(told, due, "the earliest first, once each");
}

/// Turns the clock to so long before a visit.
async fn until_before(p: &Practice, id: BookingId, before: Duration) {
    p.clock.set(p.booking(id).await.appointment.slot.start() - before);
}

async fn last_row(p: &Practice, id: BookingId) -> (EventKind, NoticeState, Option<String>) {
    let row = p.ledger(id).await.pop().expect("it has notices");
    (row.event, row.state, row.code)
}
