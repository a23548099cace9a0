use std::time::Duration;

use super::{checks, practice::*};
use crate::{
    booking::Status,
    dead_letter::{DeadLetter, DeadLetterId, DeadLetterKind, LetterCursor, LetterFilter, ReplayRefused},
    decision::{AttemptOutcome, Decision, Reason},
    id::BookingId,
    job::JobKind,
    notification::{EventKind, NoticeState},
    ports::{Ending, NoticeEnding, Replay, Replayed},
    timeline::EntryKind,
    topology::Publication,
};

checks! {
    a_failed_decision_is_on_the_desk,
    letters_are_listed_by_age_and_by_what_is_asked_for,
    a_replayed_decision_is_a_new_booking_and_the_old_one_stays_as_it_was,
    a_letter_is_replayed_once_however_many_ask_at_a_time,
    the_same_replay_asked_again_is_answered_as_the_first_time,
    a_replay_is_refused_when_the_slot_was_taken,
    a_replay_is_refused_when_the_visit_has_begun,
    a_try_changes_nothing,
    a_replayed_notice_is_sent_again_under_its_own_id,
    a_notice_that_something_later_follows_is_not_replayed,
    a_reminder_of_a_visit_that_has_begun_is_not_replayed,
    letters_of_one_instant_are_listed_once_each_page_by_page,
    a_replayed_release_is_a_job_again,
    a_letter_that_never_was_is_not_found,
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const FAIL: Ending = Ending::Decided(Decision::Rejected(Reason::AvailabilityUnreachable), AttemptOutcome::Transient);

async fn letters(p: &Practice, filter: &LetterFilter) -> Vec<DeadLetter> {
    p.store.dead_letters(filter).await.expect("listing dead letters works while the store does")
}

/// The one letter of a booking and kind.
async fn letter(p: &Practice, booking: BookingId, kind: DeadLetterKind) -> DeadLetter {
    let all = letters(p, &LetterFilter::default()).await;
    let own: Vec<_> = all.into_iter().filter(|letter| letter.booking == booking && letter.kind == kind).collect();
    assert_eq!(own.len(), 1, "one {kind} failed for good: one letter");
    own.into_iter().next().expect("there is one")
}

async fn undecided(p: &Practice, n: i64) -> DeadLetter {
    let (id, _) = p.decided(n, FAIL).await;
    letter(p, id, DeadLetterKind::Decide).await
}

fn request(letter: &DeadLetter) -> Replay {
    Replay::new(letter.id, DAY, Duration::ZERO)
}

async fn replay(p: &Practice, replay: &Replay) -> Replayed {
    p.store.replay(replay).await.expect("replaying works while the store does")
}

async fn replayed(p: &Practice, request: &Replay) -> (DeadLetter, Publication) {
    match replay(p, request).await {
        Replayed::Done(letter, publication) => (letter, publication),
        other => panic!("not replayed: {other:?}"),
    }
}

fn refusal(replayed: Replayed) -> ReplayRefused {
    match replayed {
        Replayed::Refused(_, refused) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

async fn a_failed_decision_is_on_the_desk(p: &Practice) {
    let letter = undecided(p, 0).await;
    assert_eq!(letter.code, "availability_unreachable", "with the reason of the rejection");
    assert_eq!((letter.attempts, letter.at), (1, p.now()), "with the attempts it took, and when");
    assert_eq!((letter.replayed_at, letter.replayed_as), (None, None), "not replayed yet");
    assert_eq!(p.store.dead_letter(letter.id).await.ok().flatten(), Some(letter), "it is found by its id");
}

async fn letters_are_listed_by_age_and_by_what_is_asked_for(p: &Practice) {
    let first = undecided(p, 0).await;
    p.advance(SECOND);
    let second = undecided(p, 1).await;
    replayed(p, &request(&first)).await;
    let first = p.store.dead_letter(first.id).await.ok().flatten().expect("a letter stays");
    let ask = |change: fn(&mut LetterFilter)| {
        let mut filter = LetterFilter::default();
        change(&mut filter);
        filter
    };
    let both = vec![first.clone(), second.clone()];
    assert_eq!(letters(p, &ask(|_| {})).await, both, "oldest first");
    assert_eq!(letters(p, &ask(|filter| filter.code = Some("availability_unreachable".into()))).await, both, "by code");
    assert!(letters(p, &ask(|filter| filter.code = Some("other".into()))).await.is_empty(), "by code, and no other");
    assert_eq!(letters(p, &ask(|filter| filter.kind = Some(DeadLetterKind::Decide))).await, both, "by kind");
    assert!(letters(p, &ask(|filter| filter.kind = Some(DeadLetterKind::Notice))).await.is_empty(), "by kind, and no other");
    assert_eq!(letters(p, &ask(|filter| filter.replayed = Some(true))).await, std::slice::from_ref(&first), "those replayed");
    assert_eq!(letters(p, &ask(|filter| filter.replayed = Some(false))).await, std::slice::from_ref(&second), "those not replayed");
    let mut filter = LetterFilter { before: Some(second.at), ..LetterFilter::default() };
    assert_eq!(letters(p, &filter).await, std::slice::from_ref(&first), "failed before");
    filter = LetterFilter { since: Some(second.at), ..LetterFilter::default() };
    assert_eq!(letters(p, &filter).await, std::slice::from_ref(&second), "failed then or later");
    filter = LetterFilter { limit: 1, ..LetterFilter::default() };
    assert_eq!(letters(p, &filter).await, std::slice::from_ref(&first), "no more than asked for");
    filter.after = Some(LetterCursor::after(&first));
    assert_eq!(letters(p, &filter).await, [second], "and what comes behind it");
}

async fn a_replayed_decision_is_a_new_booking_and_the_old_one_stays_as_it_was(p: &Practice) {
    let letter = undecided(p, 0).await;
    let old = p.booking(letter.booking).await;
    p.advance(SECOND);
    let request = request(&letter);
    let (after, publication) = replayed(p, &request).await;
    assert_eq!((after.replayed_at, after.replayed_as), (Some(p.now()), Some(request.booking)), "the letter says what it became");
    let new = p.booking(request.booking).await;
    assert_eq!((new.status, new.replay_of), (Status::Pending, Some(old.id)), "a new booking, and of which");
    assert!(new.appointment == old.appointment, "for the same visit");
    assert_eq!((new.created_at, new.attempts), (p.now(), 0), "accepted now, with all its attempts ahead");
    let now_old = p.booking(old.id).await;
    assert_eq!((now_old.status, now_old.reason, now_old.decided_at), (old.status, old.reason, old.decided_at), "the old one is as it was");
    assert_eq!(now_old.replayed_as, Some(new.id), "but names the new one");
    assert_eq!(p.kinds(old.id).await.last(), Some(&EntryKind::Replayed), "its timeline says so");
    assert_eq!(p.kinds(new.id).await, [EntryKind::Accepted, EntryKind::Replayed], "the new one's too");
    assert_eq!(publication.message.kind, JobKind::Decide, "it is to be decided");
    let lease = p.won((&publication).into()).await;
    p.concluded(&lease, CONFIRM).await;
    assert_eq!(p.booking(new.id).await.status, Status::Confirmed, "and can be");
}

async fn a_letter_is_replayed_once_however_many_ask_at_a_time(p: &Practice) {
    let letter = undecided(p, 0).await;
    let requests: Vec<_> = (0..8).map(|_| request(&letter)).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| replay(p, request))).await;
    let done = answers.iter().filter(|answer| matches!(answer, Replayed::Done(..))).count();
    let already = answers.iter().filter(|answer| matches!(answer, Replayed::Refused(_, ReplayRefused::AlreadyReplayed))).count();
    assert_eq!((done, already), (1, 7), "one replays it, the others are told");
    let ids: Vec<_> = requests.iter().map(|request| request.booking).collect();
    assert_eq!(p.records(&ids).await.len(), 1, "and there is one new booking");
    assert!(
        answers.iter().all(|answer| match answer {
            Replayed::Done(letter, _) | Replayed::Refused(letter, _) => letter.replayed_as.is_some(),
            _ => false,
        }),
        "all are told what it became"
    );
}

async fn the_same_replay_asked_again_is_answered_as_the_first_time(p: &Practice) {
    let letter = undecided(p, 0).await;
    let request = request(&letter);
    let first = replayed(p, &request).await;
    p.advance(SECOND);
    assert_eq!(replayed(p, &request).await, first, "an outcome in doubt is cleared by asking again");
    assert_eq!(letters(p, &LetterFilter::default()).await.len(), 1, "no letter came of it");
}

async fn a_replay_is_refused_when_the_slot_was_taken(p: &Practice) {
    let letter = undecided(p, 0).await;
    p.booked(0).await;
    let before = p.picture(letter.booking).await;
    let request = request(&letter);
    assert_eq!(refusal(replay(p, &request).await), ReplayRefused::SlotTaken);
    assert!(p.records(&[request.booking]).await.is_empty(), "no booking is made");
    assert_eq!(p.picture(letter.booking).await, before, "the old one is as it was");
    assert_eq!(p.store.dead_letter(letter.id).await.ok().flatten(), Some(letter), "the letter can be replayed later");
}

async fn a_replay_is_refused_when_the_visit_has_begun(p: &Practice) {
    let letter = undecided(p, 0).await;
    let start = p.booking(letter.booking).await.appointment.slot.start();
    p.advance((start - p.now()).to_std().expect("the visit lies ahead"));
    assert_eq!(refusal(replay(p, &request(&letter)).await), ReplayRefused::AlreadyStarted);
}

async fn a_try_changes_nothing(p: &Practice) {
    let letter = undecided(p, 0).await;
    let before = p.picture(letter.booking).await;
    let tried = p.store.try_replay(letter.id).await.expect("trying works while the store does");
    assert_eq!(tried, Replayed::Possible(letter.clone()), "it could be replayed");
    assert_eq!(p.picture(letter.booking).await, before, "and was not");
    p.booked(0).await;
    let tried = p.store.try_replay(letter.id).await.expect("trying works while the store does");
    assert_eq!(tried, Replayed::Refused(letter, ReplayRefused::SlotTaken), "and says why not as a replay would");
}

async fn failed_notice(p: &Practice) -> DeadLetter {
    let (id, told) = p.confirmed(0).await;
    let notices = p.log_notices(told).await;
    p.settled(&notices[0], NoticeEnding::Failed("bad_address")).await;
    letter(p, id, DeadLetterKind::Notice).await
}

async fn a_replayed_notice_is_sent_again_under_its_own_id(p: &Practice) {
    let letter = failed_notice(p).await;
    assert_eq!((letter.code.as_str(), letter.channel.as_deref()), ("bad_address", Some("log")), "why, and where");
    let (after, publication) = replayed(p, &request(&letter)).await;
    assert_eq!((after.replayed_at, after.replayed_as), (Some(p.now()), None), "replayed, as itself");
    let notices = p.log_notices((&publication).into()).await;
    assert_eq!(notices.len(), 1, "it is due at once");
    assert_eq!((Some(notices[0].id), notices[0].tries), (letter.notice, 0), "under its id, with its tries ahead");
    p.settled(&notices[0], NoticeEnding::Sent(None)).await;
    assert_eq!(p.ledger(letter.booking).await[0].state, NoticeState::Sent, "and can be sent");
    let kinds = p.kinds(letter.booking).await;
    let told = [EntryKind::NoticeFailed, EntryKind::Replayed, EntryKind::NoticeSent];
    assert!(kinds.ends_with(&told), "its failure stays in the timeline: {kinds:?}");
    assert_eq!(refusal(replay(p, &request(&letter)).await), ReplayRefused::AlreadyReplayed);
}

async fn a_notice_that_something_later_follows_is_not_replayed(p: &Practice) {
    let letter = failed_notice(p).await;
    p.cancelled(letter.booking).await;
    assert_eq!(refusal(replay(p, &request(&letter)).await), ReplayRefused::Superseded, "who was told of the end is not told of before");
}

async fn a_reminder_of_a_visit_that_has_begun_is_not_replayed(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let notice = p.notice(confirmed).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    let start = p.booking(id).await.appointment.slot.start();
    p.clock.set(start - DAY);
    let notice = p.notice(tell(&p.remind(10).await, EventKind::Reminder)).await;
    p.settled(&notice, NoticeEnding::Failed("bad_address")).await;
    let letter = letter(p, id, DeadLetterKind::Notice).await;
    assert!(matches!(p.store.try_replay(letter.id).await, Ok(Replayed::Possible(_))), "there is time until it begins");
    p.clock.set(start);
    assert_eq!(refusal(replay(p, &request(&letter)).await), ReplayRefused::AlreadyStarted, "a reminder now would mislead");
}

async fn letters_of_one_instant_are_listed_once_each_page_by_page(p: &Practice) {
    let mut all = Vec::new();
    for n in 0..3 {
        all.push(undecided(p, n).await);
    }
    for filter in
        [LetterFilter::default(), LetterFilter { code: Some(all[0].code.clone()), since: Some(p.now()), ..LetterFilter::default() }]
    {
        let mut filter = LetterFilter { limit: 1, ..filter };
        let mut found = Vec::new();
        while let Some(letter) = letters(p, &filter).await.pop() {
            filter.after = Some(LetterCursor::after(&letter));
            found.push(letter);
        }
        assert_eq!(found, all, "each once, however many have one time");
    }
}

async fn a_replayed_release_is_a_job_again(p: &Practice) {
    let (id, _) = p.rejected(0).await;
    let job = release(&p.release_if_ended(id).await).expect("a release job");
    let lease = p.won(job).await;
    p.concluded(&lease, Ending::ReleaseFailed(AttemptOutcome::Refused)).await;
    let letter = letter(p, id, DeadLetterKind::Release).await;
    let (_, publication) = replayed(p, &request(&letter)).await;
    assert_eq!(publication.message.kind, JobKind::Release, "a job to release");
    let lease = p.won((&publication).into()).await;
    p.concluded(&lease, Ending::Released).await;
    assert_eq!(p.kinds(id).await.last(), Some(&EntryKind::Released), "which can succeed");
}

async fn a_letter_that_never_was_is_not_found(p: &Practice) {
    let never = DeadLetterId(4711);
    assert!(matches!(p.store.dead_letter(never).await, Ok(None)));
    assert!(matches!(p.store.try_replay(never).await, Ok(Replayed::NotFound)));
    assert_eq!(replay(p, &Replay::new(never, DAY, Duration::ZERO)).await, Replayed::NotFound);
}
