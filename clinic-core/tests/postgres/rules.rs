//! The schema's own rules, and many at once.

use std::sync::Arc;

use clinic_core::{
    ports::{Acceptance, Store},
    testing::appointment,
};
use futures_util::future::join_all;

use super::{
    open,
    place::{Place, connect},
};

#[tokio::test]
async fn no_statement_passes_the_state_machine() {
    let place = Place::new().await;
    let store = open(&place).await;
    let new = appointment().new_booking();
    assert!(matches!(store.accept(&new).await, Ok(Acceptance::Accepted(_))));
    let client = connect(&place.url).await;
    let refused = async |sql: &str| {
        let error = client.batch_execute(sql).await.expect_err("it is no step of the state machine");
        assert_eq!(error.as_db_error().unwrap().message(), "illegal_transition", "{sql}");
    };
    refused(
        "INSERT INTO booking (id, status, patient_name, start_at, end_at, timezone, language, created_at, decide_by, job) \
         VALUES (gen_random_uuid(), 'confirmed', 'Ana', 0, 1, 'UTC', 'es', 0, 0, gen_random_uuid())",
    )
    .await;
    client.batch_execute("UPDATE booking SET status = 'confirmed'").await.unwrap();
    for to in ["status = 'pending'", "status = 'rejected', reason = 'unavailable'"] {
        refused(&format!("UPDATE booking SET {to}")).await;
    }
    client.batch_execute("UPDATE booking SET status = 'cancelled'").await.unwrap();
    for to in ["status = 'pending'", "status = 'confirmed'", "status = 'rejected', reason = 'unavailable'"] {
        refused(&format!("UPDATE booking SET {to}")).await;
    }
}

#[tokio::test]
async fn no_statement_books_twice_on_insert_or_update() {
    let place = Place::new().await;
    let store = open(&place).await;
    for minutes in [0, 30] {
        assert!(matches!(store.accept(&appointment().later_by(minutes).new_booking()).await, Ok(Acceptance::Accepted(_))));
    }
    let client = connect(&place.url).await;
    let moved = client.batch_execute("UPDATE booking SET start_at = start_at - 60000 WHERE start_at = (SELECT max(start_at) FROM booking)");
    assert_eq!(moved.await.unwrap_err().as_db_error().unwrap().constraint(), Some("booking_no_overlap"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_who_want_one_slot_one_has_it() {
    let place = Place::new().await;
    let store = Arc::new(open(&place).await);
    for round in 0..10 {
        let accepting = (0..32).map(|n| {
            let store = Arc::clone(&store);
            // Some ask for a part of it.
            let new = appointment().patient(&format!("P{n}")).later_by(60 * round + n % 3 * 5).new_booking();
            tokio::spawn(async move { store.accept(&new).await })
        });
        let answers: Vec<_> = join_all(accepting).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
        let accepted = answers.iter().filter(|answer| matches!(answer, Acceptance::Accepted(_))).count();
        let taken = answers.iter().filter(|answer| **answer == Acceptance::SlotTaken).count();
        assert_eq!((accepted, taken), (1, 31), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_asked_with_at_once_books_once() {
    let place = Place::new().await;
    let store = Arc::new(open(&place).await);
    let accepting = (0..16).map(|_| {
        let store = Arc::clone(&store);
        let new = appointment().key("api", "k").new_booking();
        tokio::spawn(async move { store.accept(&new).await })
    });
    let mut bookings = Vec::new();
    let mut accepted = 0;
    for answer in join_all(accepting).await {
        match answer.unwrap().unwrap() {
            Acceptance::Accepted(booking) => {
                accepted += 1;
                bookings.push(booking);
            }
            Acceptance::Replayed(booking) => bookings.push(booking),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(accepted, 1);
    assert!(bookings.iter().all(|booking| booking == &bookings[0]), "all are answered the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patients_limit_holds_for_requests_at_once() {
    let place = Place::new().await;
    let store = Arc::new(open(&place).await);
    let accepting = (0..12).map(|n| {
        let store = Arc::clone(&store);
        let new = appointment().later_by(30 * n).pending_per_patient(3).new_booking();
        tokio::spawn(async move { store.accept(&new).await })
    });
    let answers = join_all(accepting).await;
    let accepted = answers.into_iter().filter(|answer| matches!(answer, Ok(Ok(Acceptance::Accepted(_))))).count();
    assert_eq!(accepted, 3);
}
