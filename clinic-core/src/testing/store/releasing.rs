use super::{checks, practice::*};
use crate::{
    decision::AttemptOutcome,
    id::BookingId,
    job::JobKind,
    ports::{Claim, Concluded, Ending},
    retry::MAX_LOSSES,
    timeline::EntryKind,
    topology::Publication,
};

checks! {
    a_rejection_after_a_reserving_check_releases,
    a_confirmation_keeps_the_reservation_until_it_is_cancelled,
    a_cancellation_or_deadline_during_a_reserving_check_releases,
    a_booking_lost_too_often_is_released,
    where_nothing_was_reserved_nothing_is_released,
    a_failed_release_is_tried_again,
    a_release_that_fails_for_good_is_recorded,
    a_release_whose_message_is_lost_is_found,
    a_release_is_asked_for_only_when_the_booking_ended,
}

/// A booking in the n-th half hour, claimed by a worker whose check reserves, and its lease.
async fn reserving(p: &Practice, n: i64) -> crate::job::Lease {
    let ticket = p.accepted(visit(n).decide_within(24 * LONG)).await;
    won(p.claim_as(&reserving_worker(), ticket, false).await)
}

/// Claims and settles the release job among publications.
async fn released(p: &Practice, id: BookingId, publications: &[Publication]) {
    let ticket = release(publications).expect("what may have been reserved is to be released");
    assert_eq!(ticket.booking, id, "the release is this booking's");
    let lease = won(p.claim_as(&reserving_worker(), ticket, false).await);
    assert_eq!((lease.kind, lease.attempt, lease.booking.id), (JobKind::Release, 1, id), "a release is claimed like any job");
    assert!(p.concluded(&lease, Ending::Released).await.is_empty(), "a release is told to nobody");
    assert_eq!(p.kinds(id).await.last(), Some(&EntryKind::Released), "the timeline says that it was released");
    assert!(matches!(p.claim(ticket).await, Claim::Gone), "a settled release is gone");
    assert_eq!(p.conclude(&lease, Ending::Released).await, Concluded::Fenced, "and is settled once");
}

/// The same where somebody may still be asking: the release may then wait in the store until the lease is over.
async fn released_in_the_end(p: &Practice, id: BookingId, publications: &[Publication]) {
    if release(publications).is_some() {
        return released(p, id, publications).await;
    }
    p.advance(LEASE + MILLI);
    let found = p.overdue(10).await.leases;
    let lease = found.iter().find(|lease| lease.kind == JobKind::Release && lease.booking.id == id);
    p.concluded(lease.expect("what may have been reserved is released once nobody can be asking for it"), Ending::Released).await;
    assert_eq!(p.kinds(id).await.last(), Some(&EntryKind::Released), "the timeline says that it was released");
    assert!(p.overdue(10).await.leases.is_empty(), "a settled release is gone");
}

async fn a_rejection_after_a_reserving_check_releases(p: &Practice) {
    let lease = reserving(p, 0).await;
    let publications = p.concluded(&lease, REJECT).await;
    let attempts = p.booking(lease.booking.id).await.attempts;
    released(p, lease.booking.id, &publications).await;
    assert_eq!(p.booking(lease.booking.id).await.attempts, attempts, "a release is no attempt to decide");
}

async fn a_confirmation_keeps_the_reservation_until_it_is_cancelled(p: &Practice) {
    let lease = reserving(p, 0).await;
    assert_eq!(release(&p.concluded(&lease, CONFIRM).await), None, "a confirmed visit keeps what was reserved");
    p.advance(LONG);
    let publications = p.cancelled(lease.booking.id).await;
    released(p, lease.booking.id, &publications).await;
}

async fn a_cancellation_or_deadline_during_a_reserving_check_releases(p: &Practice) {
    let cancelled = reserving(p, 0).await;
    let publications = p.cancelled(cancelled.booking.id).await;
    released_in_the_end(p, cancelled.booking.id, &publications).await;
    let expired = p.accepted(visit(1).decide_within(LONG)).await;
    p.advance(LONG - SECOND);
    won(p.claim_as(&reserving_worker(), expired, false).await);
    p.advance(2 * SECOND);
    let publications = p.expire(10).await;
    released_in_the_end(p, expired.booking, &publications).await;
    let retried = reserving(p, 2).await;
    p.concluded(&retried, retry_in(SECOND)).await;
    let publications = p.cancelled(retried.booking.id).await;
    released(p, retried.booking.id, &publications).await;
}

async fn a_booking_lost_too_often_is_released(p: &Practice) {
    let ticket = p.accepted(visit(0).decide_within(24 * LONG)).await;
    for _ in 0..3 * (MAX_LOSSES + 1) {
        p.advance(LEASE + 90 * SECOND);
        if let Claim::Ended(publications) = p.claim_as(&reserving_worker(), ticket, true).await {
            return released(p, ticket.booking, &publications).await;
        }
    }
    panic!("a job lost again and again did not end");
}

async fn where_nothing_was_reserved_nothing_is_released(p: &Practice) {
    let unclaimed = p.booked(0).await;
    assert_eq!(release(&p.cancelled(unclaimed.booking).await), None, "nobody asked for this booking");
    let ticket = p.booked(1).await;
    let lease = p.won(ticket).await;
    assert_eq!(release(&p.concluded(&lease, REJECT).await), None, "this check reserves nothing");
    let (confirmed, _) = p.confirmed(2).await;
    assert_eq!(release(&p.cancelled(confirmed).await), None, "nor did this one");
}

async fn a_failed_release_is_tried_again(p: &Practice) {
    let lease = reserving(p, 0).await;
    let ticket = release(&p.concluded(&lease, REJECT).await).expect("there is something to release");
    let first = p.won(ticket).await;
    p.concluded(&first, retry_in(5 * SECOND)).await;
    let due = p.now() + 5 * SECOND;
    let claim = p.reclaim(ticket).await;
    assert!(matches!(claim, Claim::NotDue(at) if at == due), "a failed release rests: {claim:?}");
    p.advance(5 * SECOND);
    let second = p.won(ticket).await;
    assert_eq!(second.attempt, 2, "and is tried again");
    p.concluded(&second, Ending::Released).await;
    assert_eq!(p.booking(lease.booking.id).await.attempts, 1, "tries to release are no attempts to decide");
}

async fn a_release_that_fails_for_good_is_recorded(p: &Practice) {
    let lease = reserving(p, 0).await;
    let ticket = release(&p.concluded(&lease, REJECT).await).expect("there is something to release");
    let release = p.won(ticket).await;
    p.concluded(&release, Ending::ReleaseFailed(AttemptOutcome::Refused)).await;
    let last = p.timeline(ticket.booking).await.pop().expect("a timeline is never empty");
    assert_eq!(last.kind, EntryKind::ReleaseFailed, "the timeline says that it could not be released");
    p.advance(LONG);
    assert!(matches!(p.claim(ticket).await, Claim::Gone), "it is over");
    assert!(p.overdue(10).await.leases.is_empty(), "for the sweep too");
}

async fn a_release_whose_message_is_lost_is_found(p: &Practice) {
    let (one, two) = (reserving(p, 0).await, reserving(p, 1).await);
    let hastened = release(&p.concluded(&one, REJECT).await).expect("there is something to release");
    let lost = release(&p.concluded(&two, REJECT).await).expect("there is something to release");
    p.hasten(&[hastened.job]).await;
    let found = p.overdue(10).await.leases;
    assert!(found.iter().any(|lease| lease.job == hastened.job && lease.kind == JobKind::Release), "a hastened release is found at once");
    for lease in found {
        p.concluded(&lease, Ending::Released).await;
    }
    p.advance(LONG);
    for lease in p.overdue(10).await.leases {
        p.concluded(&lease, Ending::Released).await;
    }
    assert_eq!(p.kinds(lost.booking).await.last(), Some(&EntryKind::Released), "and one whose message was lost, after its grace");
}

async fn a_release_is_asked_for_only_when_the_booking_ended(p: &Practice) {
    let pending = p.booked(0).await;
    let (confirmed, _) = p.confirmed(1).await;
    for (id, what) in [(pending.booking, "pending"), (confirmed, "confirmed"), (BookingId::generate(), "unknown")] {
        assert!(p.release_if_ended(id).await.is_empty(), "a booking that is {what} is not released");
    }
    let (rejected, _) = p.rejected(2).await;
    p.cancelled(confirmed).await;
    for id in [rejected, confirmed] {
        let publications = p.release_if_ended(id).await;
        assert_eq!(publications.len(), 1, "an ended booking is released, and nothing else is published");
        released(p, id, &publications).await;
    }
}
