use std::collections::HashSet;

use super::{checks, practice::*};
use crate::{
    booking::Status,
    decision::Reason,
    notification::EventKind,
    ports::{Claim, Concluded, Ending},
    testing::appointment,
    timeline::EntryKind,
    topology::Publication,
};

checks! {
    a_pending_booking_past_its_deadline_is_rejected_and_told,
    nothing_is_rejected_before_its_deadline,
    a_visit_is_decided_before_it_starts,
    nobody_is_asked_about_a_booking_past_its_deadline,
    the_deadline_revokes_a_live_lease,
    decided_and_cancelled_bookings_have_no_deadline,
    deadlines_are_applied_in_bounded_batches,
}

async fn a_pending_booking_past_its_deadline_is_rejected_and_told(p: &Practice) {
    let ticket = p.accepted(visit(0).decide_within(LONG)).await;
    p.advance(LONG + MILLI);
    let publications = p.expire(100).await;
    assert_eq!(tell(&publications, EventKind::Rejected).booking, ticket.booking, "the patient is told");
    assert_eq!(publications.len(), 1, "and nothing else is to be published");
    let booking = p.booking(ticket.booking).await;
    assert_eq!(
        (booking.status, booking.reason),
        (Status::Rejected, Some(Reason::DeadlinePassed)),
        "rejected, since nobody decided in time"
    );
    assert_eq!((booking.attempts, booking.decided_at), (0, Some(p.now())), "no attempt was spent");
    let last = p.timeline(ticket.booking).await.pop().expect("a timeline is never empty");
    assert_eq!((last.kind, last.code.as_deref()), (EntryKind::Rejected, Some("deadline_passed")), "the timeline says why");
    let before = p.picture(ticket.booking).await;
    assert!(p.expire(100).await.is_empty(), "a deadline is applied once");
    assert_eq!(p.picture(ticket.booking).await, before, "and then changes nothing");
    assert!(matches!(p.claim(ticket).await, Claim::Gone), "its job is settled");
}

async fn nothing_is_rejected_before_its_deadline(p: &Practice) {
    let ticket = p.accepted(visit(0).decide_within(LONG)).await;
    p.advance(LONG - MILLI);
    assert!(p.expire(100).await.is_empty(), "a millisecond before, nothing is late");
    let lease = p.won(ticket).await;
    p.concluded(&lease, CONFIRM).await;
}

async fn a_visit_is_decided_before_it_starts(p: &Practice) {
    let soon = p.accepted(appointment().at(p.now() + chrono::Duration::minutes(1))).await;
    p.booked(0).await;
    p.advance(60 * SECOND + MILLI);
    let publications = p.expire(100).await;
    assert_eq!(tell(&publications, EventKind::Rejected).booking, soon.booking, "only the visit that would have started is rejected");
}

async fn nobody_is_asked_about_a_booking_past_its_deadline(p: &Practice) {
    let heard_of = p.accepted(visit(0).decide_within(LONG)).await;
    let unheard_of = p.accepted(visit(1).decide_within(LONG)).await;
    p.advance(LONG);
    let publications = match p.claim(heard_of).await {
        Claim::Ended(publications) => publications,
        other => panic!("a claim that comes too late rejects the booking: {other:?}"),
    };
    assert_eq!(tell(&publications, EventKind::Rejected).booking, heard_of.booking, "and says so");
    let overdue = p.overdue(10).await;
    assert!(overdue.leases.is_empty(), "the sweep does not ask about it either: {:?}", overdue.leases);
    assert_eq!(tell(&overdue.publications, EventKind::Rejected).booking, unheard_of.booking, "it rejects it");
    for id in [heard_of.booking, unheard_of.booking] {
        assert_eq!(p.booking(id).await.reason, Some(Reason::DeadlinePassed));
    }
    assert!(p.expire(100).await.is_empty(), "and nothing is left to be late");
}

async fn the_deadline_revokes_a_live_lease(p: &Practice) {
    let ticket = p.accepted(visit(0).decide_within(SECOND)).await;
    let lease = p.won(ticket).await;
    p.advance(2 * SECOND);
    assert_eq!(p.expire(100).await.len(), 1, "a lease does not hold the deadline off");
    let before = p.picture(ticket.booking).await;
    for ending in [CONFIRM, REJECT, retry_in(SECOND), Ending::Lost] {
        assert_eq!(p.conclude(&lease, ending).await, Concluded::Fenced, "the deadline revokes the token ({ending:?})");
    }
    assert_eq!(p.picture(ticket.booking).await, before, "a fenced conclusion changes nothing");
}

async fn decided_and_cancelled_bookings_have_no_deadline(p: &Practice) {
    let (confirmed, rejected, cancelled) = (p.confirmed(0).await.0, p.rejected(1).await.0, p.booked(2).await.booking);
    p.cancelled(cancelled).await;
    p.advance(100 * 24 * LONG);
    let before = [p.picture(confirmed).await, p.picture(rejected).await, p.picture(cancelled).await];
    assert!(p.expire(100).await.is_empty(), "what is decided is never late");
    assert_eq!([p.picture(confirmed).await, p.picture(rejected).await, p.picture(cancelled).await], before, "and stays as it is");
}

async fn deadlines_are_applied_in_bounded_batches(p: &Practice) {
    let mut late = HashSet::new();
    for n in 0..5 {
        late.insert(p.accepted(visit(n).decide_within(LONG)).await.booking);
    }
    p.advance(2 * LONG);
    let mut told = Vec::new();
    for expected in [2, 2, 1, 0] {
        let publications: Vec<Publication> = p.expire(2).await;
        assert_eq!(publications.len(), expected, "as many as allowed, or are left");
        told.extend(publications.iter().map(|publication| publication.message.booking));
    }
    assert_eq!(told.into_iter().collect::<HashSet<_>>(), late, "in the end every late booking is rejected");
    for id in late {
        assert_eq!(p.kinds(id).await, [EntryKind::Accepted, EntryKind::Rejected], "once each");
    }
}
