//! P2: many clients, few slots.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use clinic_tests::{
    checker::Expected,
    process::Setup,
    size::{figure, sized},
};
use futures_util::{StreamExt, stream};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::{day, visit};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_a_hundred_clients_gets_the_slot() {
    let rounds = sized(30, 1_000);
    let setup = Setup::new();
    let mut clinic = setup.start();
    let barrier = Arc::new(Barrier::new(100));
    let clients = (0..100).map(|client| {
        let (http, barrier) = (clinic.http(), barrier.clone());
        tokio::spawn(async move {
            let mut won = Vec::new();
            for round in 0..rounds {
                barrier.wait().await;
                let start = day(2) + TimeDelta::minutes(30) * round;
                let answer = http.book(&visit(&format!("PAC-{client}"), "DOC001", start)).await;
                match answer.status {
                    202 => won.push(round),
                    409 => assert_eq!(answer.text("code"), "slot_taken"),
                    _ => panic!("{answer}"),
                }
            }
            won
        })
    });
    let mut won = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        won.extend(client.await.unwrap());
    }
    won.sort_unstable();
    assert!(won.iter().copied().eq(0..rounds), "exactly one each: {won:?}");
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    let report = setup.check(&Expected::finished().kills_only());
    figure(&format!("contention: {rounds} rounds of 100 clients: {report}"));
    report.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_overlapping_requests_never_overlap() {
    let requests = sized(3_000, 50_000);
    let setup = Setup::new().set("CLINIC_SIM_APPROVE", "0.5").set("CLINIC_SIM_DELAY", "0ms..50ms");
    let mut clinic = setup.start();
    let http = clinic.http();
    let asking = http.clone();
    let asked = stream::iter(0..requests).map(move |number| {
        let http = asking.clone();
        async move { http.book_keyed(&overlapping(number), &format!("overlap-{number}")).await.status }
    });
    let driving = tokio::spawn(asked.buffer_unordered(64).collect::<Vec<_>>());
    // Now and then a booking is cancelled, so that slots are taken again.
    let mut cancelled = 0;
    while !driving.is_finished() {
        let seen = setup.observed().snapshot().accepted;
        if !seen.is_empty() {
            let id = seen[rand::rng().random_range(0..seen.len())].id;
            cancelled += usize::from(http.cancel(id).await.status == 200);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answers = driving.await.unwrap();
    let of = |status| answers.iter().filter(|answer| **answer == status).count();
    let (accepted, taken) = (of(202), of(409));
    assert_eq!((accepted + taken) as u64, requests);
    assert!(taken as u64 > requests / 4 && accepted > 100, "too little contention: {accepted} accepted, {taken} taken");
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    let report = setup.check(&Expected::finished().kills_only());
    figure(&format!("overlap: {accepted} accepted, {taken} taken, {cancelled} cancellations: {report}"));
    report.assert_clean();
}

/// One of 20 doctors, in a week, for 5 to 480 minutes: most requests meet another.
fn overlapping(number: u64) -> Value {
    let mut random = StdRng::seed_from_u64(number);
    let start = day(3) + TimeDelta::minutes(random.random_range(0..7 * 24 * 60));
    json!({
        "patient_id": format!("PAC-{number}"),
        "doctor_id": format!("DOC-{}", random.random_range(0..20)),
        "datetime": start.to_rfc3339(),
        "duration_minutes": random.random_range(5..=480),
    })
}
