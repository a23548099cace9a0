use super::{checks, practice::*};
use crate::{
    booking::Status,
    decision::Reason,
    notification::EventKind,
    ports::{Claim, Concluded, Ending},
    retry::{MAX_LOSSES, pause_after_loss},
    timeline::EntryKind,
    topology::Publication,
};

checks! {
    losses_are_spaced_by_a_growing_pause_and_the_one_too_many_rejects,
    losses_found_by_the_sweep_end_the_same_way,
    a_job_given_back_is_made_again_under_the_same_number,
    a_job_given_back_is_no_longer_its_former_holders,
    a_loss_keeps_the_number_of_a_later_attempt,
}

async fn losses_are_spaced_by_a_growing_pause_and_the_one_too_many_rejects(p: &Practice) {
    let ticket = p.accepted(visit(0).decide_within(24 * LONG)).await;
    p.won(ticket).await;
    for losses in 1..=MAX_LOSSES {
        let pause = pause_after_loss(losses);
        if !pause.is_zero() {
            let due = p.now() + pause;
            assert_not_due(p.reclaim(ticket).await, due, losses);
            p.advance(pause - MILLI);
            assert_not_due(p.reclaim(ticket).await, due, losses);
            assert_not_due(p.claim(ticket).await, due, losses);
            assert!(p.overdue(10).await.leases.is_empty(), "the sweep keeps the pause after loss {losses} too");
            p.advance(MILLI);
        }
        let lease = won(p.reclaim(ticket).await);
        assert_eq!(lease.attempt, 1, "a loss spends no attempt");
        let lost = p.kinds(ticket.booking).await.into_iter().filter(|kind| *kind == EntryKind::AttemptLost).count();
        assert_eq!(lost, losses as usize, "each loss is one entry, and a claim before the pause is over is none");
    }
    match p.reclaim(ticket).await {
        Claim::Ended(publications) => ended(p, ticket, &publications).await,
        other => panic!("loss {} is one too many and ends the job: {other:?}", MAX_LOSSES + 1),
    }
}

fn assert_not_due(claim: Claim, expected: chrono::DateTime<chrono::Utc>, losses: u32) {
    match claim {
        Claim::NotDue(due) => assert_eq!(due, expected, "after loss {losses} the job rests for its pause"),
        other => panic!("after loss {losses} a job rests before it is claimed again: {other:?}"),
    }
}

async fn ended(p: &Practice, ticket: Ticket, publications: &[Publication]) {
    let told = tell(publications, EventKind::Rejected);
    assert_eq!(told.booking, ticket.booking, "the rejection of this booking is told");
    let booking = p.booking(ticket.booking).await;
    assert_eq!((booking.status, booking.reason), (Status::Rejected, Some(Reason::ProcessingFailed)), "lost too often is rejected");
    assert_eq!(booking.attempts, 0, "losses are no attempts");
    assert_eq!(booking.decided_at, Some(p.now()), "the decision has its time");
    let entry = p.timeline(ticket.booking).await.pop().expect("a timeline is never empty");
    assert_eq!(
        (entry.kind, entry.code.as_deref()),
        (EntryKind::Rejected, Some("processing_failed")),
        "the timeline ends with the rejection"
    );
    assert!(matches!(p.reclaim(ticket).await, Claim::Gone), "an ended job is gone");
    let notice = p.notice(told).await;
    assert_eq!(notice.event.reason, Some(Reason::ProcessingFailed), "the patient is told why");
}

async fn losses_found_by_the_sweep_end_the_same_way(p: &Practice) {
    let ticket = p.accepted(visit(0).decide_within(24 * LONG)).await;
    let mut leases = 0;
    // Each takeover may need a round for the loss and one after its pause.
    for _ in 0..3 * (MAX_LOSSES + 1) {
        p.advance(LEASE + 2 * pause_after_loss(MAX_LOSSES));
        let overdue = p.overdue(10).await;
        leases += overdue.leases.len();
        if !overdue.publications.is_empty() {
            assert_eq!(leases, MAX_LOSSES as usize + 1, "a job is handed out once and again after each loss it survives");
            return ended(p, ticket, &overdue.publications).await;
        }
    }
    panic!("a job lost again and again was handed out {leases} times and did not end");
}

async fn a_job_given_back_is_made_again_under_the_same_number(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    p.concluded(&lease, Ending::Lost).await;
    assert_eq!(p.kinds(ticket.booking).await, [EntryKind::Accepted, EntryKind::AttemptLost], "shutdown's loss is on the timeline");
    let again = p.won(ticket).await;
    assert_eq!((again.attempt, again.booking.attempts), (1, 0), "and spends no attempt");
    p.concluded(&again, Ending::Lost).await;
    p.advance(LEASE + MILLI);
    let found = p.overdue(10).await.leases;
    assert_eq!(found.len(), 1, "a job given back is found by the sweep when its message is lost");
    p.concluded(&found[0], CONFIRM).await;
    assert_eq!(p.booking(ticket.booking).await.attempts, 1, "only the answer counts");
}

async fn a_job_given_back_is_no_longer_its_former_holders(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    p.concluded(&lease, Ending::Lost).await;
    let before = p.picture(ticket.booking).await;
    for ending in [CONFIRM, Ending::Lost, retry_in(SECOND)] {
        assert_eq!(p.conclude(&lease, ending).await, Concluded::Fenced, "what was given back is fenced ({ending:?})");
    }
    assert_eq!(p.picture(ticket.booking).await, before, "a fenced conclusion changes nothing");
}

async fn a_loss_keeps_the_number_of_a_later_attempt(p: &Practice) {
    let ticket = p.booked(0).await;
    let first = p.won(ticket).await;
    p.concluded(&first, retry_in(SECOND)).await;
    p.advance(SECOND);
    let second = p.won(ticket).await;
    let again = won(p.reclaim(ticket).await);
    assert_eq!((second.attempt, again.attempt), (2, 2), "a lost second attempt is made again as the second");
    p.concluded(&again, CONFIRM).await;
    assert_eq!(p.booking(ticket.booking).await.attempts, 2, "two attempts were spent");
    let numbers: Vec<_> =
        p.timeline(ticket.booking).await.into_iter().filter(|entry| entry.kind == EntryKind::Attempt).map(|entry| entry.attempt).collect();
    assert_eq!(numbers, [Some(1), Some(2)], "attempts are numbered without gaps");
}
