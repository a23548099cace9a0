use futures_util::future::join_all;

use super::{checks, practice::*};
use crate::{
    id::{BookingId, JobId, Token},
    job::JobKind,
    ports::{Claim, Claimant},
    timeline::EntryKind,
};

checks! {
    a_fresh_job_is_won_with_its_first_attempt_and_a_lease,
    a_held_job_is_held_until_its_lease_is_over,
    a_redelivered_message_takes_over_at_once_as_a_loss,
    a_redelivered_message_of_ones_own_job_is_no_loss,
    an_expired_lease_is_taken_over_as_a_loss,
    what_is_settled_or_was_never_there_is_gone,
    answers_come_in_the_order_of_the_questions,
    one_of_many_claimants_wins,
    claiming_nothing_answers_nothing,
}

async fn a_fresh_job_is_won_with_its_first_attempt_and_a_lease(p: &Practice) {
    let ticket = p.booked(0).await;
    p.advance(SECOND);
    let lease = p.won(ticket).await;
    assert_eq!((lease.job, lease.kind, lease.attempt), (ticket.job, JobKind::Decide, 1), "a fresh job is won with its first attempt");
    assert_eq!(lease.until, p.now() + LEASE, "a lease runs from the claim on the store's clock");
    assert_eq!(lease.booking, p.booking(ticket.booking).await, "a lease carries the booking as it stands");
    assert_eq!(p.kinds(ticket.booking).await, [EntryKind::Accepted], "a claim alone is no entry");
    assert_eq!(p.booking(ticket.booking).await.attempts, 0, "a claim spends no attempt");
}

async fn a_held_job_is_held_until_its_lease_is_over(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    assert!(matches!(p.claim(ticket).await, Claim::Held), "a second claim finds the job held");
    p.advance(LEASE - MILLI);
    assert!(matches!(p.claim(ticket).await, Claim::Held), "a job is held to the last millisecond of its lease");
    p.concluded(&lease, CONFIRM).await;
    assert_eq!(
        p.kinds(ticket.booking).await,
        [EntryKind::Accepted, EntryKind::Attempt, EntryKind::Confirmed],
        "a refused claim is no loss"
    );
}

async fn a_redelivered_message_takes_over_at_once_as_a_loss(p: &Practice) {
    let ticket = p.booked(0).await;
    let first = p.won(ticket).await;
    let second = won(p.reclaim(ticket).await);
    lost_once(p, ticket, (first.token, second.token), second.attempt).await;
    let fresh = p.booked(1).await;
    let lease = won(p.reclaim(fresh).await);
    assert_eq!(lease.attempt, 1, "a redelivered message of a job that nobody claimed is won");
    assert_eq!(p.kinds(fresh.booking).await, [EntryKind::Accepted], "where nobody held the job, nothing was lost");
}

async fn a_redelivered_message_of_ones_own_job_is_no_loss(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    let before = p.picture(ticket.booking).await;
    assert!(matches!(p.claim_holding(ticket, lease.token).await, Claim::Yours), "whoever holds a job is told so");
    p.advance(LEASE + MILLI);
    assert!(matches!(p.claim_holding(ticket, lease.token).await, Claim::Yours), "as long as nobody took it over");
    assert_eq!(p.picture(ticket.booking).await, before, "and nothing changes");
    let other = won(p.claim(ticket).await);
    let back = won(p.claim_holding(ticket, lease.token).await);
    assert!(back.token != other.token && back.token != lease.token, "one who is mistaken takes over like anybody else");
    p.concluded(&back, CONFIRM).await;
    assert!(matches!(p.claim_holding(ticket, back.token).await, Claim::Gone), "a settled job is nobody's");
}

async fn an_expired_lease_is_taken_over_as_a_loss(p: &Practice) {
    let ticket = p.booked(0).await;
    let first = p.won(ticket).await;
    p.advance(LEASE + MILLI);
    let second = won(p.claim_as(&Claimant::new("worker-2".into(), LEASE, false), ticket, false).await);
    lost_once(p, ticket, (first.token, second.token), second.attempt).await;
    assert_eq!(second.until, p.now() + LEASE, "the new holder has a whole lease");
}

async fn lost_once(p: &Practice, ticket: Ticket, (old, new): (Token, Token), attempt: u32) {
    assert_eq!(attempt, 1, "a loss spends no attempt: the same number is made again");
    assert_ne!(old, new, "a new holder has a new token");
    assert_eq!(p.kinds(ticket.booking).await, [EntryKind::Accepted, EntryKind::AttemptLost], "the timeline says that the attempt was lost");
    assert_eq!(p.booking(ticket.booking).await.attempts, 0, "a loss is not counted as an attempt");
}

async fn what_is_settled_or_was_never_there_is_gone(p: &Practice) {
    let never = Ticket { job: JobId::generate(), booking: BookingId::generate() };
    let decided = p.booked(0).await;
    let lease = p.won(decided).await;
    p.concluded(&lease, REJECT).await;
    let cancelled = p.booked(1).await;
    p.cancelled(cancelled.booking).await;
    let cancelled_in_hand = p.booked(2).await;
    p.won(cancelled_in_hand).await;
    p.cancelled(cancelled_in_hand.booking).await;
    let expired = p.accepted(visit(3).decide_within(SECOND)).await;
    p.advance(2 * SECOND);
    p.expire(10).await;
    for (ticket, what) in [
        (never, "a job that never was"),
        (decided, "a decided job"),
        (cancelled, "a cancelled booking's job"),
        (cancelled_in_hand, "the job of a booking cancelled while it was decided"),
        (expired, "an expired booking's job"),
    ] {
        assert!(matches!(p.claim(ticket).await, Claim::Gone), "{what} is gone");
        assert!(matches!(p.reclaim(ticket).await, Claim::Gone), "{what} is gone, redelivered or not");
    }
}

async fn answers_come_in_the_order_of_the_questions(p: &Practice) {
    let (held, retried, free) = (p.booked(0).await, p.booked(1).await, p.booked(2).await);
    p.won(held).await;
    let lease = p.won(retried).await;
    p.concluded(&lease, retry_in(SECOND)).await;
    let never = Ticket { job: JobId::generate(), booking: free.booking };
    let questions: Vec<_> = [free, never, held, retried, free].map(|ticket| ticket.request(false)).into();
    let claims = p.store.claim(&worker(), &questions).await.expect("claiming works while the store does");
    match &claims[..] {
        [Claim::Won(lease), Claim::Gone, Claim::Held, Claim::NotDue(due), Claim::Held] => {
            assert_eq!(lease.job, free.job, "the lease is the one asked for");
            assert_eq!(*due, p.now() + SECOND, "a job that is not due says when it is");
        }
        other => panic!("expected won, gone, held, not due and, for the job just won, held: {other:?}"),
    }
}

async fn one_of_many_claimants_wins(p: &Practice) {
    let ticket = p.booked(0).await;
    let claims = join_all((0..16).map(|_| p.claim(ticket))).await;
    let winners = claims.iter().filter(|claim| matches!(claim, Claim::Won(_))).count();
    let held = claims.iter().filter(|claim| matches!(claim, Claim::Held)).count();
    assert_eq!((winners, held), (1, 15), "sixteen claims at once: one wins, fifteen find the job held");
}

async fn claiming_nothing_answers_nothing(p: &Practice) {
    p.booked(0).await;
    assert!(p.store.claim(&worker(), &[]).await.is_ok_and(|claims| claims.is_empty()), "no question, no answer");
    assert!(p.store.conclude(&[]).await.is_ok_and(|concluded| concluded.is_empty()), "nothing to conclude, nothing concluded");
    p.advance(LONG);
    assert!(p.overdue(0).await.leases.is_empty(), "without room nothing is claimed");
}
