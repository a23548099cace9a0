use chrono::SubsecRound as _;

use super::{checks, practice::*};
use crate::{
    booking::{Booking, Language, Status},
    id::BookingId,
    ports::{Acceptance, Claim},
    slot::{MAX_MINUTES, MIN_MINUTES},
    testing::appointment,
    timeline::EntryKind,
};

checks! {
    an_accepted_booking_is_pending_and_read_back_as_it_was_asked_for,
    the_deadline_is_the_earlier_of_the_start_and_the_limit,
    every_part_of_a_request_survives_the_store,
    recall_knows_what_was_accepted_and_nothing_else,
    bookings_that_are_not_there_are_left_out,
    a_patient_has_a_limited_number_of_undecided_bookings,
    a_refused_booking_leaves_no_trace,
    a_booking_may_try_a_rejected_one_again,
    an_acceptance_dropped_half_way_is_whole_or_not_there,
}

async fn an_accepted_booking_is_pending_and_read_back_as_it_was_asked_for(p: &Practice) {
    let new = visit(0).new_booking();
    let Acceptance::Accepted(answered) = p.accept(&new).await else { panic!("a first booking is accepted") };
    let expected = Booking::accepted(new.id, new.appointment.clone(), p.now(), new.decide_within, None);
    assert_eq!(answered, expected, "the answer is the booking as accepted");
    assert_eq!(p.booking(new.id).await, expected, "what is read is what was answered");
    assert!(p.ledger(new.id).await.is_empty(), "nothing is told of a booking that is not decided");
    assert_eq!(p.kinds(new.id).await, [EntryKind::Accepted], "a timeline begins with the acceptance and nothing else");
}

async fn the_deadline_is_the_earlier_of_the_start_and_the_limit(p: &Practice) {
    let near = p.accepted(visit(0).at(p.now() + chrono::Duration::minutes(10)).decide_within(LONG)).await;
    let far = p.accepted(visit(1).decide_within(LONG)).await;
    assert_eq!(p.booking(near.booking).await.decide_by, p.now() + chrono::Duration::minutes(10), "a visit is decided before it starts");
    assert_eq!(
        p.booking(far.booking).await.decide_by,
        p.now() + chrono::Duration::hours(1),
        "a visit far away is decided within the limit"
    );
}

async fn every_part_of_a_request_survives_the_store(p: &Practice) {
    let wishes = [
        visit(0).named("Ña Pérez 'O''Brien' 医者 \u{1f469}\u{200d}\u{2695}\u{fe0f}").contact("a@example.org", "+34 600 000 000"),
        visit(20).patient(&"p".repeat(64)).doctor(&"\u{e9}".repeat(64)).minutes(MAX_MINUTES),
        visit(60).without_doctor().minutes(MIN_MINUTES).language(Language::English),
        visit(80).at((p.now() + chrono::Duration::milliseconds(86_400_123)).trunc_subsecs(3)),
    ];
    for wish in wishes {
        let ticket = p.accepted(wish.clone()).await;
        // Compared whole but printed in part: an appointment's Debug hides the patient.
        assert!(p.booking(ticket.booking).await.appointment == wish.build(), "an appointment came back other than it was stored");
    }
}

async fn recall_knows_what_was_accepted_and_nothing_else(p: &Practice) {
    let ticket = p.booked(0).await;
    let recalled = p.store.recall(ticket.booking).await.expect("recalling works while the store does");
    assert_eq!(recalled, Some(p.booking(ticket.booking).await), "recall finds an accepted booking");
    let nobody = p.store.recall(BookingId::generate()).await.expect("recalling works while the store does");
    assert_eq!(nobody, None, "recall finds nothing where nothing was accepted");
}

async fn bookings_that_are_not_there_are_left_out(p: &Practice) {
    let (one, two) = (p.booked(0).await.booking, p.booked(1).await.booking);
    let mut found: Vec<_> = p.records(&[one, BookingId::generate(), two]).await.into_iter().map(|record| record.booking.id).collect();
    found.sort_unstable();
    assert_eq!(found, [one, two], "reading gives the bookings that exist");
    assert!(p.records(&[]).await.is_empty(), "reading nothing gives nothing");
    assert!(p.store.timeline(BookingId::generate()).await.is_ok_and(|entries| entries.is_none()), "no booking, no timeline");
}

async fn a_patient_has_a_limited_number_of_undecided_bookings(p: &Practice) {
    let limited = |n: i64| visit(n).pending_per_patient(2);
    let first = p.accepted(limited(0)).await;
    let second = p.accepted(limited(1)).await;
    assert_eq!(p.accept(&limited(2).new_booking()).await, Acceptance::TooManyPending, "the third of two is refused");
    p.accepted(limited(3).patient("PAC002")).await;
    for n in 4..8 {
        p.accepted(limited(n).named("Ana")).await;
    }
    let lease = p.won(first).await;
    p.concluded(&lease, CONFIRM).await;
    p.accepted(limited(10)).await;
    assert_eq!(p.accept(&limited(11).new_booking()).await, Acceptance::TooManyPending, "a decided booking makes room for one");
    p.cancelled(second.booking).await;
    p.accepted(limited(12)).await;
}

async fn a_refused_booking_leaves_no_trace(p: &Practice) {
    p.booked(0).await;
    let taken = visit(0).patient("PAC002").key("api", "k").new_booking();
    assert_eq!(p.accept(&taken).await, Acceptance::SlotTaken, "the slot is held");
    assert!(p.records(&[taken.id]).await.is_empty(), "a refused booking is not there");
    assert!(matches!(p.store.recall(taken.id).await, Ok(None)), "a refused booking cannot be recalled");
    let ticket = Ticket { job: taken.job, booking: taken.id };
    assert!(matches!(p.claim(ticket).await, Claim::Gone), "a refused booking has no job");
}

async fn a_booking_may_try_a_rejected_one_again(p: &Practice) {
    let (old, _) = p.rejected(0).await;
    let mut new = visit(0).new_booking();
    new.replay_of = Some(old);
    let again = p.accepted_as(&new).await;
    assert_eq!(p.booking(again.booking).await.replay_of, Some(old), "the new booking names the one it tries again");
    let old_booking = p.booking(old).await;
    assert_eq!(old_booking.replayed_as, Some(again.booking), "the old booking names the one that tries it again");
    assert_eq!(old_booking.status, Status::Rejected, "trying again reopens nothing");
    assert_eq!(p.kinds(old).await.last(), Some(&EntryKind::Replayed), "the old booking's timeline says that it is tried again");
}

async fn an_acceptance_dropped_half_way_is_whole_or_not_there(p: &Practice) {
    use futures_util::FutureExt as _;
    for n in 0..10 {
        let new = appointment().later_by(30 * n).new_booking();
        // Polled once, then dropped.
        let finished = p.store.accept(&new).now_or_never().is_some();
        let recalled = async || p.store.recall(new.id).await.expect("recalling works while the store does").is_some();
        // Dropped, it may still commit at any later time: what was seen once stays, and what is seen is whole.
        let before = recalled().await;
        assert!(before || !finished, "an acceptance that answered is there");
        let won = matches!(p.claim(Ticket { job: new.job, booking: new.id }).await, Claim::Won(_));
        assert!(won || !before, "a booking that is there has its job");
        assert!(recalled().await || !won, "a job that is there has its booking");
    }
}
