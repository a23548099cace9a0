use futures_util::future::join_all;

use super::{checks, practice::*};
use crate::{
    booking::Status,
    ports::{Acceptance, Keyed, NewBooking},
    request::IdempotencyKey,
};

checks! {
    the_same_key_and_request_replay_the_first_answer,
    a_replay_shows_the_booking_as_first_answered_whatever_became_of_it,
    the_same_key_with_another_request_is_refused,
    keys_are_scoped_to_their_caller,
    only_an_acceptance_uses_up_a_key,
    concurrent_duplicates_make_one_booking,
    concurrent_requests_under_one_key_make_one_booking,
    requests_without_key_are_never_duplicates,
}

fn key(new: &NewBooking) -> IdempotencyKey {
    new.key.expect("built with a key")
}

async fn keyed(p: &Practice, new: &NewBooking) -> Option<Keyed> {
    p.store.keyed(&key(new)).await.expect("looking a key up works while the store does")
}

async fn the_same_key_and_request_replay_the_first_answer(p: &Practice) {
    let wish = visit(0).key("api", "k1");
    let first = wish.new_booking();
    assert_eq!(keyed(p, &first).await, None, "an unused key was used for nothing");
    let Acceptance::Accepted(booking) = p.accept(&first).await else { panic!("a first booking is accepted") };
    p.advance(SECOND);
    let replayed = p.accept(&wish.new_booking()).await;
    assert_eq!(replayed, Acceptance::Replayed(booking.clone()), "the slot it holds itself stands not against a replay");
    assert_eq!(keyed(p, &first).await, Some(Keyed::Same(Box::new(booking))), "the key was used for this request");
}

async fn a_replay_shows_the_booking_as_first_answered_whatever_became_of_it(p: &Practice) {
    let wish = visit(0).key("api", "k1").pending_per_patient(1);
    let new = wish.new_booking();
    let Acceptance::Accepted(first) = p.accept(&new).await else { panic!("a first booking is accepted") };
    assert_eq!(p.accept(&wish.new_booking()).await, Acceptance::Replayed(first.clone()), "the patient's limit stands not against a replay");
    let lease = p.won(Ticket { job: new.job, booking: new.id }).await;
    p.concluded(&lease, CONFIRM).await;
    assert_eq!(p.accept(&wish.new_booking()).await, Acceptance::Replayed(first.clone()), "a confirmed booking is replayed as pending");
    p.cancelled(new.id).await;
    p.booked(0).await;
    p.advance(100 * 24 * LONG);
    assert_eq!(p.accept(&wish.new_booking()).await, Acceptance::Replayed(first.clone()), "a key is kept as long as its booking");
    assert_eq!(keyed(p, &new).await, Some(Keyed::Same(Box::new(first))), "and is looked up as first answered");
    assert_eq!(p.booking(new.id).await.status, Status::Cancelled, "a replay changes nothing");
}

async fn the_same_key_with_another_request_is_refused(p: &Practice) {
    p.accepted(visit(0).key("api", "k1")).await;
    let other = visit(5).key("api", "k1").new_booking();
    assert_eq!(p.accept(&other).await, Acceptance::KeyReused, "one key names one request");
    assert_eq!(keyed(p, &other).await, Some(Keyed::Other), "the key was used for another request");
    p.booked(5).await;
}

async fn keys_are_scoped_to_their_caller(p: &Practice) {
    p.accepted(visit(0).key("one", "k1")).await;
    p.accepted(visit(1).key("two", "k1")).await;
}

async fn only_an_acceptance_uses_up_a_key(p: &Practice) {
    let holder = p.booked(0).await;
    let wish = visit(0).patient("PAC002").key("api", "k1");
    assert_eq!(p.accept(&wish.new_booking()).await, Acceptance::SlotTaken, "the slot is held");
    assert_eq!(keyed(p, &wish.new_booking()).await, None, "a refusal is not recorded");
    p.cancelled(holder.booking).await;
    p.accepted(wish).await;
}

async fn concurrent_duplicates_make_one_booking(p: &Practice) {
    let wish = visit(0).key("api", "k1");
    let news: Vec<_> = (0..16).map(|_| wish.new_booking()).collect();
    let mut accepted = Vec::new();
    let mut replayed = Vec::new();
    for acceptance in join_all(news.iter().map(|new| p.accept(new))).await {
        match acceptance {
            Acceptance::Accepted(booking) => accepted.push(booking.id),
            Acceptance::Replayed(booking) => replayed.push(booking.id),
            other => panic!("a duplicate is accepted or replayed, not {other:?}"),
        }
    }
    assert_eq!((accepted.len(), replayed.len()), (1, 15), "sixteen equal requests at once: one is accepted, the rest replay it");
    assert!(replayed.iter().all(|id| *id == accepted[0]), "every replay shows the one booking");
}

async fn concurrent_requests_under_one_key_make_one_booking(p: &Practice) {
    let news: Vec<_> = (0..16).map(|n| visit(n).key("api", "k1").new_booking()).collect();
    let acceptances = join_all(news.iter().map(|new| p.accept(new))).await;
    let accepted = acceptances.iter().filter(|acceptance| matches!(acceptance, Acceptance::Accepted(_))).count();
    let reused = acceptances.iter().filter(|acceptance| matches!(acceptance, Acceptance::KeyReused)).count();
    assert_eq!((accepted, reused), (1, 15), "sixteen different requests under one key: one is accepted, the rest refused");
}

async fn requests_without_key_are_never_duplicates(p: &Practice) {
    let (one, two) = (p.accepted(visit(0).without_doctor()).await, p.accepted(visit(0).without_doctor()).await);
    assert_ne!(one.booking, two.booking, "without a key two equal requests are two bookings");
}
