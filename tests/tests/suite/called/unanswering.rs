//! A receiver that never answers: its notices wait in the store, and the others' wait for nothing.

use std::time::Duration;

use clinic_tests::{
    checker::Expected,
    process::Setup,
    receiver::{Manner, Receiver},
};

use super::{Endpoint, calling, calling_one};
use crate::told::unanswering::{PATIENCE, all_but_one, book, bookings, is_small};

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_delays_nobody_else() {
    let setup = Setup::new().set_all(calling()).set("CLINIC_WEBHOOK_TIMEOUT", PATIENCE);
    let (clinic, receiver, endpoint) = calling_one(&setup, Manner::Hanging).await;
    let before = book(&clinic).await;
    all_but_one(&setup, &["log"], &endpoint.channel()).await;
    assert!((1..=16).contains(&receiver.connections().0), "{:?} connections", receiver.connections());
    is_small(&clinic, before, "a receiver");
    // What waited is told once it answers.
    let setup = clinic.kill9();
    receiver.turn(Manner::Healthy);
    let mut clinic = setup.start();
    setup.at_rest(Duration::from_secs(600)).await;
    assert!(clinic.terminate().success());
    setup.observed().told(receiver.told(endpoint.id));
    setup.check(&Expected::finished().kills_only().watching(&endpoint.channel())).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_delays_no_healthy_one() {
    let setup = Setup::new().set_all(calling()).set("CLINIC_WEBHOOK_TIMEOUT", PATIENCE);
    let (clinic, dead, dead_one) = calling_one(&setup, Manner::Hanging).await;
    let healthy = Receiver::start(Manner::Healthy).await;
    let healthy_one = Endpoint::register(&clinic.http(), &healthy).await;
    book(&clinic).await;
    all_but_one(&setup, &["log", &healthy_one.channel()], &dead_one.channel()).await;
    assert_eq!(healthy.taken().len(), bookings());
    assert!(dead.attempts_so_far() > 0);
    assert_eq!(healthy.verify_new(&healthy_one.secret), bookings());
}
