use std::{collections::HashSet, time::Duration};

use futures_util::future::join_all;

use super::{checks, practice::*};
use crate::{
    id::{BookingId, JobId},
    job::JobKind,
    ports::Claim,
    timeline::EntryKind,
};

checks! {
    a_job_is_left_to_its_message_for_its_grace,
    a_job_without_grace_is_found_at_once,
    the_oldest_come_first_and_no_more_than_there_is_room_for,
    decide_and_release_jobs_stand_in_one_line,
    a_hastened_job_is_found_at_once,
    hastening_does_not_shorten_a_rest,
    hastening_takes_nothing_from_its_holder,
    an_expired_lease_is_found_and_a_live_one_is_not,
    concurrent_sweeps_share_the_jobs_out,
    tell_jobs_are_not_the_workers_business,
}

async fn a_job_is_left_to_its_message_for_its_grace(p: &Practice) {
    let ticket = p.accepted(visit(0).look_after(30 * SECOND)).await;
    p.advance(30 * SECOND - MILLI);
    assert!(p.overdue(10).await.leases.is_empty(), "within its grace a job waits for its message");
    p.advance(MILLI);
    let found = p.overdue(10).await;
    assert_eq!(found.leases.len(), 1, "after its grace it is found");
    let lease = &found.leases[0];
    assert_eq!(
        (lease.job, lease.kind, lease.attempt, lease.until),
        (ticket.job, JobKind::Decide, 1, p.now() + LEASE),
        "as any other claim"
    );
    assert!(found.publications.is_empty(), "a claim alone has nothing to publish");
    assert!(matches!(p.claim(ticket).await, Claim::Held), "its late message finds it held");
    assert!(matches!(p.reclaim(ticket).await, Claim::Held), "redelivered too: whoever had the message, it is not who holds the job");
    p.concluded(lease, CONFIRM).await;
    assert!(!p.kinds(ticket.booking).await.contains(&EntryKind::AttemptLost), "a lost message is no lost attempt");
}

async fn a_job_without_grace_is_found_at_once(p: &Practice) {
    let ticket = p.accepted(visit(0).look_after(Duration::ZERO)).await;
    let found = p.overdue(10).await.leases;
    assert_eq!(found.iter().map(|lease| lease.job).collect::<Vec<_>>(), [ticket.job], "no message is to follow, so nobody waits for one");
}

async fn the_oldest_come_first_and_no_more_than_there_is_room_for(p: &Practice) {
    let mut jobs = Vec::new();
    for n in 0..6 {
        jobs.push(p.accepted(visit(i64::from(n)).look_after((60 - n) * SECOND)).await.job);
    }
    jobs.reverse();
    p.advance(LONG);
    let mut found = Vec::new();
    for (room, expected) in [(2, 2), (3, 3), (2, 1), (2, 0)] {
        let leases = p.overdue(room).await.leases;
        assert_eq!(leases.len(), expected, "as many as there is room for, or are left");
        found.extend(leases.into_iter().map(|lease| lease.job));
    }
    assert_eq!(found, jobs, "whoever was to be looked for first is found first");
}

async fn decide_and_release_jobs_stand_in_one_line(p: &Practice) {
    let ended = p.booked(0).await;
    let lease = won(p.claim_as(&reserving_worker(), ended, false).await);
    let release = release(&p.concluded(&lease, REJECT).await).expect("there is something to release");
    p.advance(LONG);
    let late = p.accepted(visit(1).look_after(Duration::ZERO)).await;
    p.advance(LONG);
    for expected in [release.job, late.job] {
        let found: Vec<_> = p.overdue(1).await.leases.into_iter().map(|lease| lease.job).collect();
        assert_eq!(found, [expected], "the oldest comes first, whatever it asks for: else a busy clinic releases nothing");
    }
}

async fn hastening_does_not_shorten_a_rest(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    p.concluded(&lease, retry_in(5 * SECOND)).await;
    p.hasten(&[ticket.job]).await;
    assert!(p.overdue(10).await.leases.is_empty(), "nobody may claim a job before it is due");
    assert!(matches!(p.claim(ticket).await, Claim::NotDue(_)), "hastened or not");
    p.advance(5 * SECOND);
    assert_eq!(p.overdue(10).await.leases.len(), 1, "when it is due, it is found");
}

async fn a_hastened_job_is_found_at_once(p: &Practice) {
    let (one, two, three) = (p.booked(0).await, p.booked(1).await, p.booked(2).await);
    p.hasten(&[one.job, three.job, JobId::generate()]).await;
    let found: HashSet<_> = p.overdue(10).await.leases.into_iter().map(|lease| lease.job).collect();
    assert_eq!(found, HashSet::from([one.job, three.job]), "what the broker did not take is due at once, the rest is not");
    p.hasten(&[]).await;
    p.won(two).await;
}

async fn hastening_takes_nothing_from_its_holder(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    // The broker said no, or nothing, and yet the message arrived.
    p.hasten(&[ticket.job]).await;
    assert!(p.overdue(10).await.leases.is_empty(), "a job in somebody's hand is not overdue");
    assert!(matches!(p.claim(ticket).await, Claim::Held), "and still held");
    p.concluded(&lease, CONFIRM).await;
    assert!(!p.kinds(ticket.booking).await.contains(&EntryKind::AttemptLost), "a late refusal of the broker is no loss");
}

async fn an_expired_lease_is_found_and_a_live_one_is_not(p: &Practice) {
    let (early, late) = (p.booked(0).await, p.booked(1).await);
    p.won(early).await;
    p.advance(LEASE - SECOND);
    p.won(late).await;
    assert!(p.overdue(10).await.leases.is_empty(), "both leases are alive");
    p.advance(SECOND + MILLI);
    let found = p.overdue(10).await.leases;
    assert_eq!(found.iter().map(|lease| lease.job).collect::<Vec<_>>(), [early.job], "only the expired one is taken over");
    assert_eq!(found[0].attempt, 1, "under the same number");
    assert_eq!(p.kinds(early.booking).await, [EntryKind::Accepted, EntryKind::AttemptLost], "as a loss");
}

async fn concurrent_sweeps_share_the_jobs_out(p: &Practice) {
    let mut jobs = HashSet::new();
    for n in 0..20 {
        jobs.insert(p.booked(n).await.job);
    }
    p.advance(LONG);
    let found: Vec<_> = join_all((0..4).map(|_| p.overdue(8))).await.into_iter().flat_map(|overdue| overdue.leases).collect();
    assert_eq!(found.len(), 20, "every job is found once");
    assert_eq!(found.into_iter().map(|lease| lease.job).collect::<HashSet<_>>(), jobs, "and none twice");
}

async fn tell_jobs_are_not_the_workers_business(p: &Practice) {
    let (_, told): (BookingId, Ticket) = p.confirmed(0).await;
    p.hasten(&[told.job]).await;
    p.advance(LONG);
    assert!(p.overdue(10).await.leases.is_empty(), "workers claim decide and release jobs only");
    assert_eq!(p.notices(told).await.len(), 2, "which leaves the news to the notifiers");
}
