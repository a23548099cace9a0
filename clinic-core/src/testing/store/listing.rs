use super::{checks, practice::*};
use crate::{
    booking::Status,
    id::BookingId,
    page::{Cursor, Filter},
    ports::{NoticeEnding, Record},
};

checks! {
    pages_are_complete_and_in_order_also_among_equal_starts,
    every_filter_holds_and_all_together,
    bounds_include_the_start_and_exclude_the_end,
    a_list_shows_each_booking_as_reading_it_does,
    an_empty_store_lists_nothing,
}

async fn list(p: &Practice, filter: &Filter) -> Vec<Record> {
    p.store.list(filter).await.expect("listing works while the store does")
}

fn filter() -> Filter {
    Filter { limit: 200, ..Filter::default() }
}

async fn ids(p: &Practice, filter: Filter) -> Vec<BookingId> {
    list(p, &filter).await.into_iter().map(|record| record.booking.id).collect()
}

async fn pages_are_complete_and_in_order_also_among_equal_starts(p: &Practice) {
    let mut expected = Vec::new();
    for n in 0..40 {
        // Thirty start together, ten around them; accepted in no order.
        let at = if n % 4 == 0 { (n * 7) % 40 } else { 20 };
        let new = visit(at).without_doctor().new_booking();
        p.accepted_as(&new).await;
        expected.push((new.appointment.slot.start(), new.id));
    }
    expected.sort_unstable();
    for limit in [1, 7, 39, 40, 200] {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = list(p, &Filter { limit, after, ..Filter::default() }).await;
            assert!(page.len() <= limit as usize, "a page of {limit} has {} items", page.len());
            let Some(last) = page.last() else { break };
            after = Cursor::decode(&Cursor::after(&last.booking).encode());
            found.extend(page.iter().map(|record| (record.booking.appointment.slot.start(), record.booking.id)));
            assert!(found.len() <= expected.len(), "pages of {limit} repeat bookings");
        }
        assert_eq!(found, expected, "pages of {limit} are complete and in the order of (start, id)");
    }
}

async fn every_filter_holds_and_all_together(p: &Practice) {
    let wished = p.accepted(visit(0).doctor("D1").patient("P1")).await.booking;
    let other_doctor = p.accepted(visit(1).doctor("D2").patient("P1")).await.booking;
    let other_patient = p.accepted(visit(2).doctor("D1").patient("P2")).await.booking;
    let nobody = p.accepted(visit(3).without_doctor().named("P1")).await.booking;
    let cancelled = p.accepted(visit(4).doctor("D1").patient("P1")).await.booking;
    p.cancelled(cancelled).await;
    let far = p.accepted(visit(100).doctor("D1").patient("P1")).await.booking;
    let doctor = Some("D1".to_owned());
    let patient = Some("P1".to_owned());
    assert_eq!(
        ids(p, filter()).await,
        [wished, other_doctor, other_patient, nobody, cancelled, far],
        "without filter everything is listed"
    );
    let found = ids(p, Filter { doctor_id: doctor.clone(), ..filter() }).await;
    assert_eq!(found, [wished, other_patient, cancelled, far], "of one doctor");
    let found = ids(p, Filter { patient_id: patient.clone(), ..filter() }).await;
    assert_eq!(found, [wished, other_doctor, cancelled, far], "of one patient's id, not of a name");
    let found = ids(p, Filter { status: Some(Status::Cancelled), ..filter() }).await;
    assert_eq!(found, [cancelled], "in one status");
    let to = Some(visit(50).build().slot.start());
    let all = Filter { doctor_id: doctor, patient_id: patient, status: Some(Status::Pending), to, ..filter() };
    assert_eq!(ids(p, all.clone()).await, [wished], "all filters at once");
    let after = Some(Cursor::after(&p.booking(wished).await));
    assert_eq!(ids(p, Filter { after, ..all }).await, [], "and behind the last there is nothing");
    assert_eq!(ids(p, Filter { doctor_id: Some("d1".into()), ..filter() }).await, [], "doctors are compared exactly");
}

async fn bounds_include_the_start_and_exclude_the_end(p: &Practice) {
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(p.booked(n).await.booking);
    }
    let start = |n| Some(visit(n).build().slot.start());
    assert_eq!(ids(p, Filter { from: start(1), to: start(3), ..filter() }).await, all[1..3], "from is at or after, to is before");
    let just_after = start(1).map(|at| at + chrono::Duration::milliseconds(1));
    assert_eq!(ids(p, Filter { from: just_after, ..filter() }).await, all[2..], "to the millisecond");
    assert_eq!(ids(p, Filter { from: start(3), to: start(3), ..filter() }).await, [], "an empty span holds nothing");
    assert_eq!(ids(p, Filter { from: start(4), to: start(1), ..filter() }).await, [], "nor does one turned round");
}

async fn a_list_shows_each_booking_as_reading_it_does(p: &Practice) {
    let (id, told) = p.rejected(0).await;
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Sent(Some("ref".into()))).await;
    assert_eq!(list(p, &filter()).await, p.records(&[id]).await, "with its decision and its notices");
}

async fn an_empty_store_lists_nothing(p: &Practice) {
    assert_eq!(ids(p, filter()).await, [], "there is nothing to list");
}
