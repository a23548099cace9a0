//! A clinic in parts: each does what its roles say, over one store and one broker.

use std::collections::BTreeSet;
use std::sync::Mutex;

use clinic_core::clinic::Roles;

use super::*;

/// Waits until a queue holds so many messages that nobody has taken.
async fn waiting(broker: &dyn Broker, queue: Queue, messages: u64) {
    let settled = async {
        while broker.depth(queue).await != Some(messages) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, settled).await.expect("published and left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_parts_over_one_store_and_one_broker_are_a_clinic() {
    let folder = tempfile::tempdir().unwrap();
    let broker: Arc<dyn Broker> = Arc::new(EmbeddedBroker::default());
    let part = |roles| builder(&folder).broker(Arc::clone(&broker)).roles(roles);

    // Its channel would refuse to start, if it were looked at; and there is no availability.
    let api = part(Roles::API).channel(Wild).start().await.unwrap();
    let id = book(&api).await;
    waiting(&*broker, Queue::Bookings, 1).await;
    let record = api.handle().find(id).await.unwrap().unwrap();
    assert_eq!((record.booking.status.as_str(), record.booking.attempts), ("pending", 0));

    let worker = part(Roles::WORKER).availability(Yes).channel(Wild).start().await.unwrap();
    let decided = api.wait_until_decided(id, SOON).await.unwrap().unwrap();
    assert_eq!((decided.booking.status.as_str(), decided.booking.attempts), ("confirmed", 1));
    waiting(&*broker, Queue::Notifications, 1).await;
    assert_eq!(api.handle().find(id).await.unwrap().unwrap().notices, []);

    let notifier = part(Roles::NOTIFIER).channel(Push).start().await.unwrap();
    assert_eq!(told(&api, id).await.notices[0].state, NoticeState::Sent);

    for clinic in [api, worker, notifier] {
        clinic.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_can_be_asked_too_and_hears_of_decisions_from_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let worker = builder(&folder).roles(Roles::WORKER).availability(Yes).start().await.unwrap();
    let id = book(&worker).await;
    let begun = Instant::now();
    let decided = worker.wait_until_decided(id, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(decided.booking.status.as_str(), "confirmed");
    assert!(begun.elapsed() < SOON, "who waits is woken by the store");
    worker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_followed_to_its_notice_across_parts() {
    let folder = tempfile::tempdir().unwrap();
    let broker: Arc<dyn Broker> = Arc::new(EmbeddedBroker::default());
    let part = |roles| builder(&folder).broker(Arc::clone(&broker)).roles(roles);
    let api = part(Roles::API).start().await.unwrap();
    let id = book(&api).await;
    let mut follower = api.handle().follow(id, 0).await.unwrap().unwrap();
    let worker = part(Roles::WORKER).availability(Yes).start().await.unwrap();
    let notifier = part(Roles::NOTIFIER).channel(Push).start().await.unwrap();

    let mut kinds = Vec::new();
    let followed = async {
        while let Some(entries) = follower.next().await {
            kinds.extend(entries.iter().map(|entry| entry.kind.as_str()));
        }
    };
    timeout(SOON, followed).await.expect("followed to the end");
    assert_eq!(kinds, ["accepted", "attempt", "confirmed", "notice_sent"]);
    assert!(follower.is_over());
    assert!(api.handle().follow(BookingId::generate(), 0).await.unwrap().is_none());
    for clinic in [api, worker, notifier] {
        clinic.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_asks_of_the_broker_what_its_roles_call_for() {
    for (roles, expected) in [
        (Roles::API, &["news"][..]),
        (Roles::WORKER, &["booking_queue"]),
        (Roles::NOTIFIER, &["notification_queue"]),
        (Roles::API | Roles::NOTIFIER, &["news", "notification_queue"]),
        (Roles::ALL, &["booking_queue", "news", "notification_queue"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let broker = Overheard(EmbeddedBroker::default(), {
            let asked = Arc::clone(&asked);
            move |what| {
                asked.lock().unwrap().insert(what);
            }
        });
        let broker: Arc<dyn Broker> = Arc::new(broker);
        let clinic = builder(&folder).broker(broker).roles(roles).availability(Yes).channel(Push).start().await.unwrap();
        // Every part has begun by the time a booking is accepted and read.
        book(&clinic).await;
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        let settled = async {
            while !asked.lock().unwrap().is_superset(&expected) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, settled).await.expect("asked");
        clinic.shutdown().await.unwrap();
        assert_eq!(*asked.lock().unwrap(), expected, "{roles:?}");
    }
}
