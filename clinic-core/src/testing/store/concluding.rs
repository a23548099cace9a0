use futures_util::future::join_all;

use super::{checks, practice::*};
use crate::{
    booking::Status,
    decision::{AttemptOutcome, Decision, Reason},
    id::Token,
    notification::EventKind,
    ports::{Claim, Concluded, Conclusion, Ending},
    timeline::EntryKind,
};

checks! {
    a_confirmation_is_stored_told_and_settled,
    a_rejection_keeps_its_reason,
    a_failed_attempt_rests_until_it_is_due_and_counts,
    four_attempts_are_counted_without_gaps,
    a_failure_for_good_is_a_rejection_with_its_reason,
    an_overtaken_worker_changes_nothing,
    a_worker_whose_booking_was_cancelled_changes_nothing,
    an_expired_lease_alone_revokes_nothing,
    nothing_is_concluded_twice,
    a_made_up_token_changes_nothing,
    one_fenced_conclusion_does_not_spoil_its_batch,
}

async fn a_confirmation_is_stored_told_and_settled(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    p.advance(SECOND);
    let publications = p.concluded(&lease, CONFIRM).await;
    let told = tell(&publications, EventKind::Confirmed);
    assert_eq!((publications.len(), told.booking), (1, ticket.booking), "one decision is one job to tell, and nothing else");
    assert_ne!(told.job, ticket.job, "telling is a job of its own");
    let booking = p.booking(ticket.booking).await;
    assert_eq!(
        (booking.status, booking.reason, booking.attempts),
        (Status::Confirmed, None, 1),
        "the booking is confirmed after one attempt"
    );
    assert_eq!(booking.decided_at, Some(p.now()), "a decision has its time");
    let timeline = p.timeline(ticket.booking).await;
    assert_eq!(kinds(&timeline), [EntryKind::Accepted, EntryKind::Attempt, EntryKind::Confirmed], "first the attempt, then the decision");
    let attempt = &timeline[1];
    assert_eq!(
        (attempt.attempt, attempt.worker.as_deref(), attempt.code.as_deref(), attempt.next_try),
        (Some(1), Some("worker-1"), Some("available"), None),
        "an attempt's entry says its number, its worker and its outcome"
    );
}

async fn a_rejection_keeps_its_reason(p: &Practice) {
    let (id, _) = p.rejected(0).await;
    let booking = p.booking(id).await;
    assert_eq!((booking.status, booking.reason, booking.attempts), (Status::Rejected, Some(Reason::Unavailable), 1), "rejected, and why");
    let timeline = p.timeline(id).await;
    let codes: Vec<_> = timeline[1..].iter().map(|entry| (entry.kind, entry.code.as_deref())).collect();
    let expected = [(EntryKind::Attempt, Some("unavailable")), (EntryKind::Rejected, Some("unavailable"))];
    assert_eq!(codes, expected, "the timeline gives the outcome and the reason");
}

async fn a_failed_attempt_rests_until_it_is_due_and_counts(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    let due = p.now() + 5 * SECOND;
    p.concluded(&lease, retry_in(5 * SECOND)).await;
    let booking = p.booking(ticket.booking).await;
    assert_eq!(
        (booking.status, booking.attempts, booking.decided_at),
        (Status::Pending, 1, None),
        "a failed attempt counts and decides nothing"
    );
    let timeline = p.timeline(ticket.booking).await;
    assert_eq!(kinds(&timeline), [EntryKind::Accepted, EntryKind::Attempt], "a failed attempt is one entry");
    assert_eq!(
        (timeline[1].code.as_deref(), timeline[1].next_try),
        (Some("transient"), Some(due)),
        "it says why and when it is tried again"
    );
    p.advance(5 * SECOND - MILLI);
    for claim in [p.claim(ticket).await, p.reclaim(ticket).await] {
        assert!(matches!(claim, Claim::NotDue(at) if at == due), "before its time a job is not due, redelivered or not: {claim:?}");
    }
    assert!(p.overdue(10).await.leases.is_empty(), "before its time the sweep leaves it alone");
    p.advance(MILLI);
    let again = p.won(ticket).await;
    assert_eq!((again.attempt, again.booking.attempts), (2, 1), "when it is due, the next attempt is made");
    assert_eq!(p.kinds(ticket.booking).await.len(), 2, "a rest is no loss");
}

async fn four_attempts_are_counted_without_gaps(p: &Practice) {
    let ticket = p.booked(0).await;
    for n in 1..=3 {
        let lease = p.won(ticket).await;
        assert_eq!(lease.attempt, n, "attempts are numbered from 1");
        let outcome = if n == 2 { AttemptOutcome::TimedOut } else { AttemptOutcome::Transient };
        p.concluded(&lease, Ending::Retry(outcome, SECOND)).await;
        p.advance(SECOND);
    }
    let found = p.overdue(10).await.leases;
    assert_eq!(found.len(), 1, "a job that is due is found by the sweep");
    p.concluded(&found[0], Ending::Decided(Decision::Rejected(Reason::AvailabilityUnreachable), AttemptOutcome::TimedOut)).await;
    let timeline = p.timeline(ticket.booking).await;
    let attempts: Vec<_> = timeline
        .iter()
        .filter(|entry| entry.kind == EntryKind::Attempt)
        .map(|entry| (entry.attempt.unwrap_or(0), entry.code.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(attempts, [(1, "transient"), (2, "timed_out"), (3, "transient"), (4, "timed_out")], "every attempt is on the timeline");
    assert_eq!(p.booking(ticket.booking).await.attempts, 4, "four were spent");
    assert!(!kinds(&timeline).contains(&EntryKind::AttemptLost), "none was lost");
}

async fn a_failure_for_good_is_a_rejection_with_its_reason(p: &Practice) {
    for (n, reason, outcome) in [
        (0, Reason::AvailabilityUnreachable, AttemptOutcome::TimedOut),
        (1, Reason::AvailabilityRefused, AttemptOutcome::Refused),
        (2, Reason::ProcessingFailed, AttemptOutcome::Transient),
    ] {
        let ticket = p.booked(n).await;
        let lease = p.won(ticket).await;
        let publications = p.concluded(&lease, Ending::Decided(Decision::Rejected(reason), outcome)).await;
        let notice = p.notice(tell(&publications, EventKind::Rejected)).await;
        assert_eq!(notice.event.reason, Some(reason), "the patient is told the reason");
        assert_eq!(p.booking(ticket.booking).await.reason, Some(reason), "the booking keeps it");
        let last = p.timeline(ticket.booking).await.pop().expect("a timeline is never empty");
        assert_eq!((last.kind, last.code.as_deref()), (EntryKind::Rejected, Some(reason.as_str())), "the timeline ends with it");
    }
}

async fn an_overtaken_worker_changes_nothing(p: &Practice) {
    let ticket = p.booked(0).await;
    let paused = p.won(ticket).await;
    let taken_over = won(p.reclaim(ticket).await);
    let before = p.picture(ticket.booking).await;
    for ending in [CONFIRM, REJECT, retry_in(SECOND), Ending::Lost] {
        assert_eq!(p.conclude(&paused, ending).await, Concluded::Fenced, "an overtaken worker is fenced ({ending:?})");
    }
    assert_eq!(p.picture(ticket.booking).await, before, "and changes nothing");
    assert!(matches!(p.claim(ticket).await, Claim::Held), "the new holder still holds the job");
    p.concluded(&taken_over, REJECT).await;
    let decided = p.picture(ticket.booking).await;
    assert_eq!(p.conclude(&paused, CONFIRM).await, Concluded::Fenced, "after the decision it is fenced too");
    assert_eq!(p.picture(ticket.booking).await, decided, "and a decision is never replaced");
}

async fn a_worker_whose_booking_was_cancelled_changes_nothing(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    p.cancelled(ticket.booking).await;
    let before = p.picture(ticket.booking).await;
    for ending in [CONFIRM, REJECT, retry_in(SECOND), Ending::Lost] {
        assert_eq!(p.conclude(&lease, ending).await, Concluded::Fenced, "a cancellation revokes the token ({ending:?})");
    }
    assert_eq!(p.picture(ticket.booking).await, before, "a cancelled booking stays as it is");
}

async fn an_expired_lease_alone_revokes_nothing(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    p.advance(LONG);
    p.concluded(&lease, CONFIRM).await;
    assert_eq!(p.booking(ticket.booking).await.status, Status::Confirmed, "late but unchallenged is in time");
    assert!(!p.kinds(ticket.booking).await.contains(&EntryKind::AttemptLost), "nothing was lost");
}

async fn nothing_is_concluded_twice(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    let answers = join_all((0..8).map(|n| p.conclude(&lease, if n % 2 == 0 { CONFIRM } else { REJECT }))).await;
    let done = answers.iter().filter(|answer| matches!(answer, Concluded::Done(_))).count();
    assert_eq!(done, 1, "of eight conclusions of one lease one is stored");
    let decisions =
        p.kinds(ticket.booking).await.into_iter().filter(|kind| matches!(kind, EntryKind::Confirmed | EntryKind::Rejected)).count();
    assert_eq!(decisions, 1, "one booking is decided once");
    let retried = p.booked(1).await;
    let lease = p.won(retried).await;
    p.concluded(&lease, retry_in(SECOND)).await;
    assert_eq!(p.conclude(&lease, retry_in(SECOND)).await, Concluded::Fenced, "a failed attempt is stored once");
    assert_eq!(p.conclude(&lease, CONFIRM).await, Concluded::Fenced, "and its token is used up");
    assert_eq!(p.booking(retried.booking).await.attempts, 1, "so that it counts once");
}

async fn a_made_up_token_changes_nothing(p: &Practice) {
    let (mine, other) = (p.booked(0).await, p.booked(1).await);
    let lease = p.won(mine).await;
    let mut forged = lease.clone();
    forged.token = Token::generate();
    assert_eq!(p.conclude(&forged, CONFIRM).await, Concluded::Fenced, "a token is not guessed");
    let mut crossed = p.won(other).await;
    crossed.token = lease.token;
    assert_eq!(p.conclude(&crossed, CONFIRM).await, Concluded::Fenced, "one job's token does not open another");
    p.concluded(&lease, CONFIRM).await;
}

async fn one_fenced_conclusion_does_not_spoil_its_batch(p: &Practice) {
    let (one, two, three) = (p.booked(0).await, p.booked(1).await, p.booked(2).await);
    let leases = [p.won(one).await, p.won(two).await, p.won(three).await];
    p.cancelled(two.booking).await;
    let conclusions: Vec<_> = leases.iter().map(|lease| Conclusion::new(lease.clone(), "worker-1".into(), CONFIRM)).collect();
    let answers = p.conclude_all(&conclusions).await;
    match &answers[..] {
        [Concluded::Done(first), Concluded::Fenced, Concluded::Done(third)] => {
            assert_eq!(tell(first, EventKind::Confirmed).booking, one.booking, "answers come in the order of the conclusions");
            assert_eq!(tell(third, EventKind::Confirmed).booking, three.booking, "answers come in the order of the conclusions");
        }
        other => panic!("expected done, fenced, done: {other:?}"),
    }
}
