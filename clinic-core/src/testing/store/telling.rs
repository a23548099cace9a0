use std::collections::HashSet;

use super::{checks, practice::*};
use crate::{
    decision::Reason,
    id::{BookingId, JobId},
    notification::{EventKind, Notice, NoticeState},
    ports::{NoticeEnding, NoticeResult, NoticeSettled},
    timeline::EntryKind,
};

checks! {
    a_tell_job_becomes_one_notice_a_channel,
    a_claimed_notice_is_held_and_a_redelivered_message_takes_it_over,
    an_expired_lease_is_taken_over_and_until_then_revokes_nothing,
    a_sent_notice_is_recorded_with_its_receipt,
    a_failed_try_rests_and_is_made_again_under_the_same_id,
    a_notice_that_fails_for_good_is_recorded,
    a_notice_with_nothing_to_send_is_skipped_with_its_reason,
    a_notice_given_back_is_due_at_once_and_was_not_tried,
    an_overtaken_notifier_changes_nothing,
    nothing_is_settled_twice,
    channels_do_not_wait_for_each_other,
    a_channel_without_room_leaves_its_notices_in_the_store,
    a_batch_of_messages_gets_no_more_than_there_is_room_for,
    a_lost_message_is_made_good_by_the_sweep,
    the_sweep_takes_no_more_than_it_has_room_for,
    the_sweep_expands_no_more_than_allowed,
    answers_come_in_the_order_of_the_questions,
    jobs_that_are_done_or_never_were_give_no_notices,
    one_fenced_result_does_not_spoil_its_batch,
}

const BOTH: [(&str, usize); 2] = [("log", 100), ("email", 100)];

fn on<'a>(notices: &'a [Notice], channel: &str) -> &'a Notice {
    notices.iter().find(|notice| notice.channel == channel).unwrap_or_else(|| panic!("there is no notice on {channel}"))
}

async fn a_tell_job_becomes_one_notice_a_channel(p: &Practice) {
    let (id, told) = p.rejected(0).await;
    let entry = p.timeline(id).await.pop().expect("a timeline is never empty");
    p.advance(SECOND);
    let notices = p.notices(told).await;
    let channels: HashSet<_> = notices.iter().map(|notice| notice.channel.as_str()).collect();
    assert_eq!((notices.len(), channels), (2, HashSet::from(["log", "email"])), "one notice on each configured channel");
    for notice in &notices {
        assert_eq!((notice.job, notice.booking, notice.tries), (told.job, id, 0), "a fresh notice of this job");
        assert_eq!(notice.until, p.now() + LEASE, "leased on the store's clock");
        assert_eq!((notice.event.seq, notice.event.at), (entry.seq, entry.at), "it tells the timeline's entry");
        assert_eq!(notice.event.kind, EventKind::Rejected, "it tells what happened");
        assert_eq!(notice.event.reason.map(Reason::as_str), Some("unavailable"), "and why");
        assert!(notice.appointment == visit(0).build(), "with the visit as it was asked for");
    }
    let [one, two] = &notices[..] else { unreachable!("there are two") };
    assert!(one.id != two.id && one.token != two.token, "each notice has its own id and token");
    let ledger = p.ledger(id).await;
    let ids: HashSet<_> = ledger.iter().map(|row| row.id).collect();
    assert_eq!(ids, HashSet::from([one.id, two.id]), "the ledger has them under the same ids");
    assert!(ledger.iter().all(|row| row.state == NoticeState::Pending && row.tries == 0 && row.settled_at.is_none()), "and pending");
}

async fn a_claimed_notice_is_held_and_a_redelivered_message_takes_it_over(p: &Practice) {
    let (_, told) = p.confirmed(0).await;
    let first = p.notices(told).await;
    assert!(p.notices(told).await.is_empty(), "a notice in somebody's hand is not handed out again");
    let second = p.notices_as(&notifier(&BOTH), told, true).await;
    assert_eq!(second.len(), 2, "a redelivered message takes over at once");
    for channel in ["log", "email"] {
        let (old, new) = (on(&first, channel), on(&second, channel));
        assert!(old.id == new.id && old.token != new.token, "under the same id and a new token");
        assert_eq!((new.tries, new.event, new.text()), (0, old.event, old.text()), "with the same content, and no try spent");
    }
}

async fn an_expired_lease_is_taken_over_and_until_then_revokes_nothing(p: &Practice) {
    let (_, told) = p.confirmed(0).await;
    let notices = p.notices(told).await;
    p.advance(LEASE - MILLI);
    assert!(p.overdue_notices(&BOTH, 10).await.is_empty(), "a live lease is left alone");
    p.advance(2 * MILLI);
    p.settled(on(&notices, "log"), NoticeEnding::Sent(None)).await;
    let found = p.overdue_notices(&BOTH, 10).await;
    assert_eq!(found.len(), 1, "the other is taken over");
    assert_eq!((found[0].id, found[0].channel.as_str()), (on(&notices, "email").id, "email"), "under its id");
    assert_ne!(found[0].token, on(&notices, "email").token, "and a new token");
}

async fn a_sent_notice_is_recorded_with_its_receipt(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    let notice = p.notice(told).await;
    p.advance(SECOND);
    assert!(p.settled(&notice, NoticeEnding::Sent(Some("ref-1".into()))).await.is_empty(), "nothing waited for it");
    let row = p.ledger(id).await.pop().expect("the ledger has a row");
    assert_eq!((row.id, row.event, row.channel.as_str()), (notice.id, EventKind::Confirmed, "log"), "the row is this notice's");
    assert_eq!((row.state, row.tries, row.settled_at), (NoticeState::Sent, 1, Some(p.now())), "sent at the first try");
    assert_eq!((row.receipt.as_deref(), row.code), (Some("ref-1"), None), "with the provider's receipt");
    let entry = p.timeline(id).await.pop().expect("a timeline is never empty");
    assert_eq!((entry.kind, entry.at, entry.channel.as_deref()), (EntryKind::NoticeSent, p.now(), Some("log")), "the timeline says so");
    assert_eq!(entry.notice, Some(notice.id.to_string()), "and names the notice");
    assert_eq!(entry.receipt.as_deref(), Some("ref-1"), "and its receipt");
}

async fn a_failed_try_rests_and_is_made_again_under_the_same_id(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    let first = p.notice(told).await;
    let due = p.now() + 5 * SECOND;
    p.settled(&first, NoticeEnding::Retry("smtp_busy", 5 * SECOND)).await;
    let row = p.ledger(id).await.pop().expect("the ledger has a row");
    assert_eq!((row.state, row.tries, row.code.as_deref()), (NoticeState::Pending, 1, Some("smtp_busy")), "one try is spent");
    let entry = p.timeline(id).await.pop().expect("a timeline is never empty");
    assert_eq!(
        (entry.kind, entry.code.as_deref(), entry.next_try),
        (EntryKind::NoticeRetry, Some("smtp_busy"), Some(due)),
        "the timeline says so"
    );
    assert_eq!((entry.channel.as_deref(), entry.notice), (Some("log"), Some(first.id.to_string())), "of which notice");
    p.advance(5 * SECOND - MILLI);
    assert!(p.log_notices(told).await.is_empty(), "before its time it rests");
    assert!(p.notices_as(&notifier(&[("log", 1)]), told, true).await.is_empty(), "redelivered or not");
    assert!(p.overdue_notices(&BOTH, 10).await.is_empty(), "and the sweep leaves it alone");
    p.advance(MILLI);
    let again = p.overdue_notices(&[("log", 10)], 10).await;
    assert_eq!(again.len(), 1, "when it is due, the sweep finds it");
    assert_eq!((again[0].id, again[0].tries), (first.id, 1), "under the same id, with its failed try counted");
    assert!(again[0].token != first.token && again[0].text() == first.text(), "a new token, the same content");
    p.settled(&again[0], NoticeEnding::Sent(None)).await;
    let row = p.ledger(id).await.pop().expect("the ledger has a row");
    assert_eq!((row.state, row.tries), (NoticeState::Sent, 2), "sent at the second try");
}

async fn a_notice_that_fails_for_good_is_recorded(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Failed("address_refused")).await;
    let row = p.ledger(id).await.pop().expect("the ledger has a row");
    assert_eq!(
        (row.state, row.code.as_deref(), row.settled_at),
        (NoticeState::Failed, Some("address_refused"), Some(p.now())),
        "failed, and why"
    );
    let entry = p.timeline(id).await.pop().expect("a timeline is never empty");
    assert_eq!((entry.kind, entry.code.as_deref()), (EntryKind::NoticeFailed, Some("address_refused")), "the timeline says so");
    p.advance(LONG);
    assert!(p.overdue_notices(&[("log", 10)], 10).await.is_empty(), "it is not tried again");
}

async fn a_notice_with_nothing_to_send_is_skipped_with_its_reason(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Skipped("no_contact")).await;
    let row = p.ledger(id).await.pop().expect("the ledger has a row");
    assert_eq!((row.state, row.code.as_deref()), (NoticeState::Skipped, Some("no_contact")), "skipped, and why");
    let entry = p.timeline(id).await.pop().expect("a timeline is never empty");
    assert_eq!((entry.kind, entry.code.as_deref()), (EntryKind::NoticeSkipped, Some("no_contact")), "the timeline says so");
}

async fn a_notice_given_back_is_due_at_once_and_was_not_tried(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    let notice = p.notice(told).await;
    let before = p.kinds(id).await;
    p.settled(&notice, NoticeEnding::Returned).await;
    assert_eq!(p.kinds(id).await, before, "giving back is no entry");
    let again = p.overdue_notices(&[("log", 10)], 10).await;
    assert_eq!(again.len(), 1, "it is due at once");
    assert_eq!((again[0].id, again[0].tries), (notice.id, 0), "no try was spent");
    assert_eq!(p.settle(&notice, NoticeEnding::Sent(None)).await, NoticeSettled::Fenced, "and it is no longer its former holder's");
}

async fn an_overtaken_notifier_changes_nothing(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    let paused = p.notice(told).await;
    let taken_over = p.notices_as(&notifier(&[("log", 1)]), told, true).await;
    let before = p.picture(id).await;
    let endings = [
        NoticeEnding::Sent(Some("late".into())),
        NoticeEnding::Retry("late", SECOND),
        NoticeEnding::Failed("late"),
        NoticeEnding::Skipped("late"),
        NoticeEnding::Returned,
    ];
    for ending in endings {
        assert_eq!(p.settle(&paused, ending.clone()).await, NoticeSettled::Fenced, "an overtaken notifier is fenced ({ending:?})");
    }
    assert_eq!(p.picture(id).await, before, "and changes nothing");
    p.settled(&taken_over[0], NoticeEnding::Sent(None)).await;
}

async fn nothing_is_settled_twice(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    let before = p.picture(id).await;
    assert_eq!(p.settle(&notice, NoticeEnding::Failed("late")).await, NoticeSettled::Fenced, "a settled notice is settled");
    assert_eq!(p.picture(id).await, before, "and stays as it is");
}

async fn channels_do_not_wait_for_each_other(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    let notices = p.notices(told).await;
    p.settled(on(&notices, "email"), NoticeEnding::Retry("smtp_busy", LONG)).await;
    p.settled(on(&notices, "log"), NoticeEnding::Sent(None)).await;
    let states: HashSet<_> = p.states(id).await.into_iter().map(|(_, channel, state)| (channel, state)).collect();
    let expected = [("log".to_owned(), NoticeState::Sent), ("email".to_owned(), NoticeState::Pending)];
    assert_eq!(states, HashSet::from(expected), "each channel's notice stands for itself");
    p.advance(LONG);
    let found = p.overdue_notices(&BOTH, 10).await;
    assert_eq!(found.iter().map(|notice| notice.channel.as_str()).collect::<Vec<_>>(), ["email"], "only the failed one is tried again");
}

async fn a_channel_without_room_leaves_its_notices_in_the_store(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    let taken = p.notices_as(&notifier(&[("log", 10), ("email", 0)]), told, false).await;
    assert_eq!(
        taken.iter().map(|notice| notice.channel.as_str()).collect::<Vec<_>>(),
        ["log"],
        "only the channel with room is handed its notice"
    );
    assert_eq!(p.ledger(id).await.len(), 2, "the other has its row");
    assert!(p.overdue_notices(&[("log", 10), ("email", 0)], 10).await.is_empty(), "as long as there is no room nothing is handed out");
    let left = p.overdue_notices(&BOTH, 10).await;
    assert_eq!(left.len(), 1, "and when there is, it is due at once");
    assert_eq!((left[0].channel.as_str(), left[0].tries), ("email", 0), "waiting for room spends no try");
    p.settled(&left[0], NoticeEnding::Sent(None)).await;
    p.settled(&taken[0], NoticeEnding::Sent(None)).await;
}

async fn a_batch_of_messages_gets_no_more_than_there_is_room_for(p: &Practice) {
    let mut questions = Vec::new();
    for n in 0..3 {
        questions.push(p.confirmed(n).await.1.request(false));
    }
    let rooms = [("log", 2), ("email", 0)];
    let answers = p.store.claim_notices(&notifier(&rooms), &questions).await.expect("claiming notices works while the store does");
    assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 0], "room is given to the first in line and used up");
    let left = p.overdue_notices(&BOTH, 10).await;
    let count = |channel: &str| left.iter().filter(|notice| notice.channel == channel).count();
    assert_eq!((count("log"), count("email")), (1, 3), "what found no room is left due in the store");
}

async fn a_lost_message_is_made_good_by_the_sweep(p: &Practice) {
    let (hastened, told) = p.confirmed(0).await;
    let (lost, _) = p.confirmed(1).await;
    p.hasten(&[told.job]).await;
    let found = p.overdue_notices(&BOTH, 10).await;
    assert_eq!(found.iter().filter(|notice| notice.booking == hastened).count(), 2, "what the broker did not take is due at once");
    for notice in &found {
        p.settled(notice, NoticeEnding::Sent(None)).await;
    }
    p.advance(LONG);
    for notice in p.overdue_notices(&BOTH, 10).await {
        p.settled(&notice, NoticeEnding::Sent(None)).await;
    }
    assert!(
        p.ledger(lost).await.iter().filter(|row| row.state == NoticeState::Sent).count() == 2,
        "a lost message's notices go out after its grace"
    );
}

async fn the_sweep_takes_no_more_than_it_has_room_for(p: &Practice) {
    for n in 0..3 {
        let (_, told) = p.confirmed(n).await;
        p.notices_as(&notifier(&[("log", 0), ("email", 0)]), told, false).await;
    }
    let first = p.overdue_notices(&[("log", 1), ("email", 5)], 10).await;
    let count = |notices: &[Notice], channel: &str| notices.iter().filter(|notice| notice.channel == channel).count();
    assert_eq!((count(&first, "log"), count(&first, "email")), (1, 3), "each channel gets what it has room for");
    let second = p.overdue_notices(&[("log", 5), ("email", 5)], 10).await;
    assert_eq!((count(&second, "log"), count(&second, "email")), (2, 0), "and the rest later");
}

async fn the_sweep_expands_no_more_than_allowed(p: &Practice) {
    let (mut bookings, mut jobs) = (Vec::new(), Vec::new());
    for n in 0..3 {
        let (id, told) = p.confirmed(n).await;
        bookings.push(id);
        jobs.push(told.job);
    }
    p.hasten(&jobs).await;
    p.advance(LONG);
    let mut seen = HashSet::new();
    for round in 1..=3 {
        let found: HashSet<_> = p.overdue_notices(&BOTH, 1).await.into_iter().map(|notice| notice.booking).collect();
        assert!(found.len() <= 1, "one job at a time was allowed, {} were expanded", found.len());
        seen.extend(found);
        let expanded = p.records(&bookings).await.iter().filter(|record| !record.notices.is_empty()).count();
        assert!(expanded <= round, "in round {round}, {expanded} jobs have been expanded");
    }
    assert_eq!(seen.len(), 3, "in three rounds all are told");
}

async fn answers_come_in_the_order_of_the_questions(p: &Practice) {
    let ((first, one), (second, two)) = (p.confirmed(0).await, p.rejected(1).await);
    let never = Ticket { job: JobId::generate(), booking: BookingId::generate() };
    let questions = [two.request(false), never.request(false), one.request(false)];
    let answers = p.store.claim_notices(&notifier(&BOTH), &questions).await.expect("claiming notices works while the store does");
    assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 2], "one list each");
    assert!(answers[0].iter().all(|notice| notice.booking == second), "in the order of the questions");
    assert!(answers[2].iter().all(|notice| notice.booking == first), "in the order of the questions");
}

async fn jobs_that_are_done_or_never_were_give_no_notices(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    for notice in p.notices(told).await {
        p.settled(&notice, NoticeEnding::Sent(None)).await;
    }
    let before = p.picture(id).await;
    p.advance(LONG);
    for redelivered in [false, true] {
        assert!(p.notices_as(&notifier(&BOTH), told, redelivered).await.is_empty(), "what is told is not told again");
    }
    assert!(p.overdue_notices(&BOTH, 10).await.is_empty(), "nor found by the sweep");
    assert_eq!(p.picture(id).await, before, "and nothing changes");
    let pending = p.booked(5).await;
    assert!(p.notices(pending).await.is_empty(), "a decide job is nothing to tell");
}

async fn one_fenced_result_does_not_spoil_its_batch(p: &Practice) {
    let (_, told) = p.confirmed(0).await;
    let old = p.notices(told).await;
    let new = p.notices_as(&notifier(&[("log", 10)]), told, true).await;
    let results: Vec<_> = [on(&old, "log"), on(&old, "email"), on(&new, "log")]
        .map(|notice| NoticeResult::new(notice.clone(), NoticeEnding::Sent(None)))
        .into();
    let answers = p.store.settle_notices(&results).await.expect("settling works while the store does");
    let done = NoticeSettled::Done(Vec::new());
    // The redelivered message had no room on `email`: whether that took the notice from its old holder is not laid down.
    assert_eq!((&answers[0], &answers[2]), (&NoticeSettled::Fenced, &done), "each result is judged by itself, in order");
    assert_eq!(answers.len(), 3, "one answer each");
}
