use futures_util::future::{join, join_all};

use super::{checks, practice::*};
use crate::{
    booking::{CancelRefused, Status},
    id::BookingId,
    notification::EventKind,
    ports::{Cancellation, Claim, Concluded},
    timeline::EntryKind,
};

checks! {
    a_pending_booking_is_cancelled_and_told,
    a_confirmed_booking_is_cancelled_and_keeps_its_decision_time,
    a_rejected_booking_is_not_cancelled,
    a_visit_that_has_begun_is_not_cancelled,
    cancelling_again_is_fine_and_changes_nothing,
    what_is_not_there_is_not_found,
    of_many_cancellations_one_is_done,
    a_decision_and_a_cancellation_at_once_agree,
    a_resting_job_is_settled_by_the_cancellation,
}

async fn a_pending_booking_is_cancelled_and_told(p: &Practice) {
    let ticket = p.booked(0).await;
    p.advance(SECOND);
    let Cancellation::Done(answered, publications) = p.cancel(ticket.booking).await else { panic!("a pending booking is cancelled") };
    assert_eq!((answered.status, answered.reason), (Status::Cancelled, None), "the answer shows it cancelled");
    assert_eq!(answered.decided_at, Some(p.now()), "cancelled undecided: that is when it was settled");
    assert_eq!(p.booking(ticket.booking).await, answered, "what is read is what was answered");
    assert_eq!(tell(&publications, EventKind::Cancelled).booking, ticket.booking, "the patient is told");
    assert_eq!(publications.len(), 1, "and nothing else is to be published");
    assert_eq!(p.kinds(ticket.booking).await, [EntryKind::Accepted, EntryKind::Cancelled], "the timeline says so");
    p.advance(LONG);
    assert!(p.overdue(10).await.leases.is_empty(), "its job is settled");
}

async fn a_confirmed_booking_is_cancelled_and_keeps_its_decision_time(p: &Practice) {
    let (id, _) = p.confirmed(0).await;
    let decided_at = p.now();
    p.advance(LONG);
    tell(&p.cancelled(id).await, EventKind::Cancelled);
    let booking = p.booking(id).await;
    assert_eq!((booking.status, booking.decided_at, booking.attempts), (Status::Cancelled, Some(decided_at), 1), "its decision is history");
    assert_eq!(p.kinds(id).await.last(), Some(&EntryKind::Cancelled), "the timeline ends with the cancellation");
}

async fn a_rejected_booking_is_not_cancelled(p: &Practice) {
    let (id, _) = p.rejected(0).await;
    let before = p.picture(id).await;
    assert_eq!(p.cancel(id).await, Cancellation::Refused(CancelRefused::NotCancellable), "a rejected booking holds nothing to cancel");
    assert_eq!(p.picture(id).await, before, "a refusal changes nothing");
}

async fn a_visit_that_has_begun_is_not_cancelled(p: &Practice) {
    let start = p.now() + chrono::Duration::minutes(10);
    let ticket = p.accepted(visit(0).at(start)).await;
    let lease = p.won(ticket).await;
    p.concluded(&lease, CONFIRM).await;
    let later = p.accepted(visit(0).at(start + chrono::Duration::hours(1))).await;
    let lease = p.won(later).await;
    p.concluded(&lease, CONFIRM).await;
    p.clock.set(start);
    let before = p.picture(ticket.booking).await;
    assert_eq!(
        p.cancel(ticket.booking).await,
        Cancellation::Refused(CancelRefused::AlreadyStarted),
        "from its start on a visit takes place"
    );
    assert_eq!(p.picture(ticket.booking).await, before, "a refusal changes nothing");
    p.clock.set(start + chrono::Duration::milliseconds(3_599_999));
    p.cancelled(later.booking).await;
}

async fn cancelling_again_is_fine_and_changes_nothing(p: &Practice) {
    let (id, _) = p.confirmed(0).await;
    p.cancelled(id).await;
    let before = p.picture(id).await;
    p.advance(30 * 24 * LONG);
    match p.cancel(id).await {
        Cancellation::Already(booking) => assert_eq!(booking, p.booking(id).await, "the answer shows the booking"),
        other => panic!("cancelling again is fine at any time: {other:?}"),
    }
    assert_eq!(p.picture(id).await, before, "and changes nothing");
}

async fn what_is_not_there_is_not_found(p: &Practice) {
    assert_eq!(p.cancel(BookingId::generate()).await, Cancellation::NotFound, "no booking, nothing to cancel");
}

async fn of_many_cancellations_one_is_done(p: &Practice) {
    let ticket = p.booked(0).await;
    let answers = join_all((0..8).map(|_| p.cancel(ticket.booking))).await;
    let done = answers.iter().filter(|answer| matches!(answer, Cancellation::Done(..))).count();
    let already = answers.iter().filter(|answer| matches!(answer, Cancellation::Already(_))).count();
    assert_eq!((done, already), (1, 7), "eight at once: one cancels, seven find it cancelled");
    assert_eq!(p.kinds(ticket.booking).await, [EntryKind::Accepted, EntryKind::Cancelled], "one cancellation is one entry");
}

async fn a_decision_and_a_cancellation_at_once_agree(p: &Practice) {
    for n in 0..10 {
        let ticket = p.booked(n).await;
        let lease = p.won(ticket).await;
        let (concluded, cancellation) = join(p.conclude(&lease, CONFIRM), p.cancel(ticket.booking)).await;
        assert!(matches!(cancellation, Cancellation::Done(..)), "pending or confirmed, it is cancelled: {cancellation:?}");
        let confirmed = p.kinds(ticket.booking).await.contains(&EntryKind::Confirmed);
        assert_eq!(
            matches!(concluded, Concluded::Done(_)),
            confirmed,
            "a decision that was stored is on the timeline, a fenced one is not"
        );
        assert_eq!(p.booking(ticket.booking).await.status, Status::Cancelled, "in the end it is cancelled");
    }
}

async fn a_resting_job_is_settled_by_the_cancellation(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    p.concluded(&lease, retry_in(SECOND)).await;
    p.cancelled(ticket.booking).await;
    p.advance(LONG);
    assert!(matches!(p.claim(ticket).await, Claim::Gone), "its timer finds nothing to do");
    assert!(p.overdue(10).await.leases.is_empty(), "nor does the sweep");
}
