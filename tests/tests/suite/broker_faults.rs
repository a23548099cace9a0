//! P5 with a broker that is full, gone, forgetful or talkative: the store is the truth, the sweep finds what was lost.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use clinic_core::{api::BookRequest, availability::Simulated, broker::EmbeddedBroker, ports::Broker, testing::FaultyBroker};
use clinic_tests::{checker::Expected, eventually::eventually, in_process::ClinicInProcess, load::day, size::sized};

/// What is wrong with the broker.
#[derive(Clone, Copy)]
enum Fault {
    None,
    Full,
    Closed,
    LosesEverySecond,
    DeliversTwice,
}

impl Fault {
    fn befall(self, broker: &FaultyBroker) {
        broker.set_full(matches!(self, Self::Full));
        broker.set_closed(matches!(self, Self::Closed));
        broker.lose_every(if matches!(self, Self::LosesEverySecond) { 2 } else { 0 });
        broker.repeat(u32::from(matches!(self, Self::DeliversTwice)));
    }
}

fn broker() -> Arc<FaultyBroker> {
    Arc::new(FaultyBroker::new(Arc::new(EmbeddedBroker::default())))
}

fn request(number: i32) -> BookRequest {
    BookRequest {
        patient_id: Some(format!("PAC{number}")),
        doctor_id: Some(format!("DOC{}", number % 50)),
        datetime: Some((day(3) + TimeDelta::minutes(30) * (number / 50)).to_rfc3339()),
        ..BookRequest::default()
    }
}

async fn decided_and_told_in_spite_of(faults: &[Fault]) {
    let (bookings, stage) = (sized(300, 5_000), sized(300, 5_000) / faults.len() as i32);
    let broker = broker();
    faults[0].befall(&broker);
    let simulated = Simulated::new(Duration::ZERO..=Duration::from_millis(20), 0.8, 0.0, None);
    let clinic = ClinicInProcess::start(|builder| builder.broker(Arc::clone(&broker) as Arc<dyn Broker>).availability(simulated)).await;
    for number in 0..bookings {
        if number % stage == 0
            && let Some(fault) = faults.get((number / stage) as usize)
        {
            fault.befall(&broker);
        }
        let booking = clinic.book(&request(number)).await;
        if number % 10 == 0 {
            clinic.cancel(booking.id).await;
        }
    }
    clinic.at_rest(Duration::from_secs(60)).await;
    let report = clinic.finish(&Expected::finished().kills_only()).await;
    report.assert_clean();
    assert_eq!(report.accepted_seen, bookings as usize);
    if matches!(faults, [Fault::LosesEverySecond]) {
        assert!(broker.lost() >= bookings as u64 / 2, "only {} messages were lost", broker.lost());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_queues_are_full() {
    decided_and_told_in_spite_of(&[Fault::Full]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_gone() {
    decided_and_told_in_spite_of(&[Fault::Closed]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_loses_every_second_message() {
    decided_and_told_in_spite_of(&[Fault::LosesEverySecond]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_delivers_twice() {
    decided_and_told_in_spite_of(&[Fault::DeliversTwice]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_and_goes() {
    decided_and_told_in_spite_of(&[
        Fault::None,
        Fault::Closed,
        Fault::None,
        Fault::Full,
        Fault::LosesEverySecond,
        Fault::Closed,
        Fault::None,
    ])
    .await;
}

/// Whoever waits for a decision hears of it from the store when the broker is silent.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_needs_no_broker() {
    let broker = broker();
    broker.set_closed(true);
    let broker: Arc<dyn Broker> = broker;
    let simulated = Simulated::new(Duration::ZERO..=Duration::ZERO, 1.0, 0.0, None);
    let clinic = ClinicInProcess::start(|builder| builder.broker(broker).availability(simulated)).await;
    let booking = clinic.book(&request(0)).await;
    let record = clinic.clinic().wait_until_decided(booking.id, Duration::from_secs(20)).await.unwrap().unwrap();
    assert_eq!(record.booking.status.as_str(), "confirmed");
    eventually("health", Duration::from_secs(5), || async {
        (clinic.clinic().handle().health().await.status.as_str() == "degraded").then_some(())
    })
    .await;
}
