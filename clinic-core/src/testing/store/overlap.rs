use futures_util::future::join_all;

use super::{checks, practice::*};
use crate::{
    ports::Acceptance,
    slot::{MAX_MINUTES, Slot},
    testing::appointment,
};

checks! {
    every_way_to_share_a_minute_is_refused_and_back_to_back_fits,
    doctors_are_told_apart_exactly,
    bookings_without_doctor_never_conflict,
    a_confirmed_booking_holds_its_slot_and_an_ended_one_frees_it,
    many_fight_for_one_slot_and_one_gets_it,
    random_requests_agree_with_plain_arithmetic,
}

async fn every_way_to_share_a_minute_is_refused_and_back_to_back_fits(p: &Practice) {
    // The holder takes [600, 660).
    p.accepted(appointment().later_by(600).minutes(60)).await;
    let cases = [
        (600, 60, "the very same"),
        (610, 5, "inside"),
        (590, 80, "around"),
        (570, 31, "over the start"),
        (659, 30, "over the end"),
        (600, 5, "from the same start"),
        (630, 30, "to the same end"),
        (655, 5, "the last minutes"),
        (121, MAX_MINUTES, "a long one from hours before, by a minute"),
    ];
    for (start, minutes, case) in cases {
        let new = appointment().patient("PAC002").later_by(start).minutes(minutes).new_booking();
        assert_eq!(p.accept(&new).await, Acceptance::SlotTaken, "{case}: [{start}, +{minutes}) overlaps [600, +60)");
    }
    for (start, minutes) in [(120, MAX_MINUTES), (660, MAX_MINUTES)] {
        p.accepted(appointment().patient("PAC002").later_by(start).minutes(minutes)).await;
    }
}

async fn doctors_are_told_apart_exactly(p: &Practice) {
    for doctor in ["DOC001", "doc001", "DOC001 ", "DOC00", "DOC001\u{200b}"] {
        p.accepted(visit(0).doctor(doctor)).await;
        let again = visit(0).patient("PAC002").doctor(doctor).new_booking();
        assert_eq!(p.accept(&again).await, Acceptance::SlotTaken, "each doctor has one such slot");
    }
}

async fn bookings_without_doctor_never_conflict(p: &Practice) {
    p.booked(0).await;
    for _ in 0..5 {
        p.accepted(visit(0).without_doctor()).await;
    }
}

async fn a_confirmed_booking_holds_its_slot_and_an_ended_one_frees_it(p: &Practice) {
    let taken = |n| visit(n).patient("PAC002").new_booking();
    let (confirmed, _) = p.confirmed(0).await;
    assert_eq!(p.accept(&taken(0)).await, Acceptance::SlotTaken, "a confirmed booking holds its slot");
    p.cancelled(confirmed).await;
    p.accepted_as(&taken(0)).await;
    p.rejected(1).await;
    p.accepted_as(&taken(1)).await;
    let pending = p.booked(2).await;
    p.cancelled(pending.booking).await;
    p.accepted_as(&taken(2)).await;
    p.accepted(visit(3).decide_within(SECOND)).await;
    p.advance(2 * SECOND);
    assert_eq!(p.expire(10).await.len(), 1, "the undecided booking expires");
    p.accepted_as(&taken(3)).await;
}

async fn many_fight_for_one_slot_and_one_gets_it(p: &Practice) {
    for round in 0..5 {
        // All overlap each other, none equals another.
        let news: Vec<_> =
            (0..32).map(|n| appointment().later_by(1000 * round + n).minutes(60).patient(&format!("PAC{n}")).new_booking()).collect();
        let acceptances = join_all(news.iter().map(|new| p.accept(new))).await;
        let accepted = acceptances.iter().filter(|acceptance| matches!(acceptance, Acceptance::Accepted(_))).count();
        let taken = acceptances.iter().filter(|acceptance| matches!(acceptance, Acceptance::SlotTaken)).count();
        assert_eq!((accepted, taken), (1, 31), "32 overlapping requests at once: one is accepted, 31 find the slot taken");
    }
}

async fn random_requests_agree_with_plain_arithmetic(p: &Practice) {
    // A linear congruential generator (Knuth, MMIX): the same requests in every run.
    let mut state = 42u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut active: Vec<(u64, Slot, crate::id::BookingId)> = Vec::new();
    for n in 0..200 {
        if random(5) == 0 && !active.is_empty() {
            let at = random(active.len() as u64) as usize;
            let (_, _, id) = active.swap_remove(at);
            p.cancelled(id).await;
            continue;
        }
        let (doctor, start, minutes) = (random(3), random(1440) as i64, 5 + random(476) as u16);
        let new = appointment().doctor(&format!("DOC{doctor}")).later_by(start).minutes(minutes).new_booking();
        let slot = new.appointment.slot;
        let free = !active.iter().any(|(other, held, _)| *other == doctor && held.overlaps(&slot));
        match p.accept(&new).await {
            Acceptance::Accepted(_) if free => active.push((doctor, slot, new.id)),
            Acceptance::SlotTaken if !free => {}
            other => panic!("request {n} for a slot that is {}: {other:?}", if free { "free" } else { "taken" }),
        }
    }
}
