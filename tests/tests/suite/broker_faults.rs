//! P5 with a broker that is full, gone, forgetful or talkative: the store is the truth, the sweep finds what was lost.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::TimeDelta;
use clinic_core::{
    api::{BookRequest, HealthStatus},
    availability::Simulated,
    broker::EmbeddedBroker,
    id::BookingId,
    ports::{Availability, AvailabilityError, Broker, Request, Verdict},
    testing::FaultyBroker,
    timeline::EntryKind,
    topology::Queue,
};
use clinic_tests::{checker::Expected, eventually::eventually, in_process::ClinicInProcess, size::sized};
use tokio::sync::Semaphore;

use crate::day;

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
        (clinic.clinic().handle().health().await.status == HealthStatus::Degraded).then_some(())
    })
    .await;
}

/// Counts how often it was asked about each booking, and answers when the gate is opened.
struct Gate {
    asked: Mutex<HashMap<BookingId, usize>>,
    open: Semaphore,
}

#[async_trait]
impl Availability for Gate {
    async fn check(&self, request: &Request) -> Result<Verdict, AvailabilityError> {
        *self.asked.lock().unwrap().entry(request.booking_id).or_default() += 1;
        let _permit = self.open.acquire().await;
        Ok(Verdict::Available)
    }

    async fn release(&self, _: BookingId) -> Result<(), AvailabilityError> {
        Ok(())
    }
}

/// A worker's own messages come again when its connection is back. It still holds their jobs: nothing was lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cut_off_for_a_moment_loses_nothing_that_it_holds() {
    const HELD: usize = 20;
    let queue = Arc::new(EmbeddedBroker::default());
    let (broker, gate) = (
        Arc::new(FaultyBroker::new(Arc::clone(&queue) as Arc<dyn Broker>)),
        Arc::new(Gate { asked: Mutex::default(), open: Semaphore::new(0) }),
    );
    let asked_about = |bookings: usize| {
        let gate = Arc::clone(&gate);
        eventually("every booking asked about", Duration::from_secs(20), move || {
            let asked = gate.asked.lock().unwrap().len();
            async move { (asked == bookings).then_some(()) }
        })
    };
    let clinic = ClinicInProcess::start(|builder| {
        let builder = builder.broker(Arc::clone(&broker) as Arc<dyn Broker>).availability_arc(Arc::clone(&gate) as Arc<dyn Availability>);
        let mut settings = clinic_tests::in_process::settings();
        // Everything here comes by the broker.
        settings.grace = Duration::from_secs(60);
        builder.settings(settings)
    })
    .await;
    let mut bookings = Vec::new();
    for number in 0..HELD {
        bookings.push(clinic.book(&request(number as i32)).await.id);
    }
    asked_about(HELD).await;
    broker.set_closed(true);
    eventually("the messages back in the queue", Duration::from_secs(10), || async {
        (queue.depth(Queue::Bookings).await == Some(HELD as u64)).then_some(())
    })
    .await;
    broker.set_closed(false);
    eventually("the worker back at the queue", Duration::from_secs(10), || async {
        (queue.depth(Queue::Bookings).await == Some(0)).then_some(())
    })
    .await;
    // Behind them in the queue: once it is asked about, they were dealt with.
    bookings.push(clinic.book(&request(HELD as i32)).await.id);
    asked_about(HELD + 1).await;
    gate.open.add_permits(1_000);
    clinic.at_rest(Duration::from_secs(20)).await;
    for booking in bookings {
        assert_eq!(gate.asked.lock().unwrap()[&booking], 1, "asked about once");
        let timeline = clinic.clinic().handle().timeline(booking).await.unwrap().unwrap();
        assert!(timeline.iter().all(|entry| entry.kind != EntryKind::AttemptLost), "{timeline:?}");
    }
    assert_eq!(queue.depth(Queue::Bookings).await, Some(0));
    let report = clinic.finish(&Expected::finished().kills_only()).await;
    report.assert_clean();
}
