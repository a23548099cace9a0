//! The RabbitMQ adapter against RabbitMQ: it keeps the port's contract, and every fault is over soon.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use clinic_core::{
    broker::{RabbitBroker, RabbitOptions},
    dead_letter::Poison,
    id::{BookingId, JobId},
    job::JobKind,
    message::Message,
    notification::EventKind,
    ports::{Broker, Consumer, Delivery, PublishError},
    testing::exercise_broker,
    topology::{Publication, Queue, Route},
};
use clinic_tests::{
    authority::{Authority, Certificate},
    eventually::eventually,
    rabbit::{Amqp, Rabbit},
};
use futures_util::FutureExt;
use lapin::{
    BasicProperties,
    options::{ExchangeDeleteOptions, QueueDeleteOptions},
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// What is to come comes by then, on a busy machine as well.
const SOON: Duration = Duration::from_secs(60);
/// Nobody who publishes waits longer.
const PUBLISHES_WITHIN: Duration = Duration::from_secs(5);

fn broker(url: impl Into<String>, prefix: &str) -> RabbitBroker {
    RabbitBroker::new(RabbitOptions::new(url).with_prefix(prefix).with_name("rabbit_contract")).unwrap()
}

async fn connected(url: impl Into<String>, prefix: &str) -> RabbitBroker {
    let broker = broker(url, prefix);
    is_back(&broker).await;
    broker
}

async fn is_back(broker: &RabbitBroker) {
    eventually("a broker in health", SOON, || async { broker.health().ok() }).await;
}

fn work() -> Publication {
    Publication::new(Message::new(JobId::generate(), JobKind::Decide, BookingId::generate()), Route::Work)
}

fn news() -> Publication {
    Publication::new(Message::new(JobId::generate(), JobKind::Tell, BookingId::generate()), Route::News(EventKind::Confirmed))
}

/// Publishes until it is taken; a message that was refused may still arrive.
async fn publish(broker: &RabbitBroker, publication: Publication) {
    eventually("a message taken", SOON, || async { broker.publish(&[publication]).await.remove(0).ok() }).await;
}

async fn consume(broker: &RabbitBroker, queue: Queue, prefetch: usize) -> Box<dyn Consumer> {
    eventually("a consumer", SOON, || async { broker.consume(queue, prefetch).await.ok() }).await
}

async fn next(consumer: &mut Box<dyn Consumer>) -> Option<Delivery> {
    timeout(SOON, consumer.next()).await.expect("a delivery, or the session's end")
}

fn message(delivery: &Delivery) -> Message {
    Message::parse(&delivery.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract_of_a_broker() {
    let rabbit = Rabbit::shared().await;
    exercise_broker(async || Arc::new(connected(rabbit.url(), &Rabbit::prefix()).await) as Arc<dyn Broker>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_somebody_declared_otherwise_is_waited_for() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let (amqp, queue) = (rabbit.amqp().await, format!("{prefix}booking_queue"));
    amqp.declare(&queue).await;
    let broker = broker(rabbit.url(), &prefix);
    // Exchanges and the other queues come first, so that by then the queue in question was tried.
    eventually("the queue before it", SOON, || async { amqp.depth(&format!("{queue}.dead")).await }).await;
    assert!(broker.health().is_err(), "a queue with other arguments is not ours to use");
    amqp.channel().queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    is_back(&broker).await;
    publish(&broker, work()).await;
    assert_eq!(amqp.depth(&queue).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_is_declared_anew_and_its_consumer_told() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let (broker, amqp) = (connected(rabbit.url(), &prefix).await, rabbit.amqp().await);
    let mut consumer = consume(&broker, Queue::Bookings, 10).await;
    amqp.channel().queue_delete(format!("{prefix}booking_queue").into(), QueueDeleteOptions::default()).await.unwrap();
    assert!(next(&mut consumer).await.is_none(), "the session is over");
    let sent = work();
    publish(&broker, sent).await;
    let mut again = consume(&broker, Queue::Bookings, 10).await;
    assert_eq!(message(&next(&mut again).await.unwrap()), sent.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_finds_no_queue_is_not_published_and_the_queue_declared_anew() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let (broker, amqp) = (connected(rabbit.url(), &prefix).await, rabbit.amqp().await);
    amqp.channel().queue_delete(format!("{prefix}booking_queue").into(), QueueDeleteOptions::default()).await.unwrap();
    let lost = broker.publish(&[work(), work(), work()]).await;
    assert!(lost.iter().all(|result| matches!(result, Err(PublishError::Unreachable))), "{lost:?}");
    publish(&broker, work()).await;
    assert_eq!(amqp.depth(&format!("{prefix}booking_queue")).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_deleted_is_declared_anew_and_listeners_hear_again() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let (broker, amqp) = (connected(rabbit.url(), &prefix).await, rabbit.amqp().await);
    let mut listener = broker.listen().await.unwrap();
    for exchange in ["clinic.bookings", "booking_notifications"] {
        amqp.channel().exchange_delete(format!("{prefix}{exchange}").into(), ExchangeDeleteOptions::default()).await.unwrap();
    }
    assert!(broker.publish(&[news()]).await[0].is_err(), "there is no exchange");
    publish(&broker, work()).await;
    let begun = Instant::now();
    let heard = loop {
        publish(&broker, news()).await;
        if let Ok(heard) = timeout(Duration::from_millis(200), listener.next()).await {
            break heard;
        }
        assert!(begun.elapsed() < SOON, "the listener is deaf");
    };
    assert!(heard.is_some(), "its session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_come_back_and_so_does_what_was_in_hand() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let relay = rabbit.relay().await;
    let broker = connected(rabbit.url_through(&relay), &prefix).await;
    let sent = work();
    publish(&broker, sent).await;
    let mut consumer = consume(&broker, Queue::Bookings, 10).await;
    let late = next(&mut consumer).await.unwrap();
    for _ in 0..3 {
        relay.cut();
        assert!(next(&mut consumer).await.is_none(), "the session is over");
        eventually("a broker that knows", SOON, || async { broker.health().err() }).await;
        assert!(matches!(broker.publish(&[work()]).await[..], [Err(PublishError::Unreachable)]));
        relay.restore();
        is_back(&broker).await;
        consumer = consume(&broker, Queue::Bookings, 10).await;
        let delivery = next(&mut consumer).await.unwrap();
        assert_eq!((message(&delivery), delivery.redelivered), (sent.message, true), "what was in hand comes back");
    }
    late.ack();
    drop(consumer);
    let mut heir = consume(&broker, Queue::Bookings, 10).await;
    assert!(next(&mut heir).await.unwrap().redelivered, "a word from a session that is over counts no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_freezes_holds_nobody_up() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let relay = rabbit.relay().await;
    let broker = connected(rabbit.url_through(&relay), &prefix).await;
    let mut consumer = consume(&broker, Queue::Notifications, 10).await;
    relay.freeze();
    assert_eq!(timeout(PUBLISHES_WITHIN, broker.poison()).await.expect("who asks for poison is answered"), None);
    let begun = Instant::now();
    let batch: Vec<_> = (0..3_000).map(|_| work()).collect();
    let results = broker.publish(&batch).await;
    assert!(begun.elapsed() < PUBLISHES_WITHIN, "publishing took {:?}", begun.elapsed());
    assert!(results.len() == batch.len() && results.iter().all(|result| matches!(result, Err(PublishError::Unreachable))));
    assert!(broker.health().is_err(), "what is not confirmed in time ends the session");
    let at_once = broker.publish(&batch).now_or_never().expect("without a session nobody waits at all");
    assert!(at_once.iter().all(Result::is_err));
    assert!(next(&mut consumer).await.is_none(), "a silent peer is given up");
    relay.restore();
    is_back(&broker).await;
    publish(&broker, work()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_so() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let broker = connected(rabbit.url(), &prefix).await;
    let (name, pattern) = (format!("full-{prefix}"), format!("^{}booking_queue$", prefix.replace('.', "\\.")));
    rabbit.ctl(&["set_policy", "--apply-to", "queues", &name, &pattern, r#"{"max-length": 5}"#]).await;
    // Quorum queues refuse a little late.
    eventually("a full queue", SOON, || async {
        broker.publish(&[work()]).await.iter().any(|result| matches!(result, Err(PublishError::Full))).then_some(())
    })
    .await;
    assert!(broker.health().is_ok() && broker.publish(&[news()]).await[0].is_ok(), "only that queue is full");
    rabbit.ctl(&["clear_policy", &name]).await;
    publish(&broker, work()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_is_parked_with_its_reason() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let (broker, amqp) = (connected(rabbit.url(), &prefix).await, rabbit.amqp().await);
    let sent = work();
    publish(&broker, sent).await;
    let mut consumer = consume(&broker, Queue::Bookings, 10).await;
    next(&mut consumer).await.unwrap().reject();
    let dead = format!("{prefix}booking_queue.dead");
    eventually("a parked message", SOON, || async { (amqp.depth(&dead).await == Some(1)).then_some(()) }).await;
    let parked = amqp.take(&dead).await.remove(0);
    assert_eq!((parked.id, parked.reason.as_deref()), (Some(sent.message.job.to_string()), Some("rejected")));
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_shown_more_often_than_rabbitmq_delivers_anything_and_stays() {
    const LOOKS: usize = 30;
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let (broker, amqp) = (connected(rabbit.url(), &prefix).await, rabbit.amqp().await);
    let dead = |queue: Queue| format!("{prefix}{}", queue.spec().dead);
    let id = Uuid::now_v7();
    for (queue, message_id, bytes) in
        [(Queue::Bookings, id.to_string(), 3), (Queue::Bookings, "Ana P".into(), 1 << 20), (Queue::Notifications, "not-an-id".into(), 0)]
    {
        amqp.publish("", &dead(queue), &vec![b'x'; bytes], BasicProperties::default().with_message_id(message_id.into())).await;
    }
    let all = [
        Poison::new(Queue::Bookings, Some(&id.to_string()), 3),
        Poison::new(Queue::Bookings, None, 1 << 20),
        Poison::new(Queue::Notifications, None, 0),
    ];
    for look in 0..LOOKS {
        // What the look before gave back may still be on its way.
        eventually(&format!("all poison at look {look}"), SOON, || async {
            broker.poison().await.filter(|shown| shown.len() == all.len() && all.iter().all(|poison| shown.contains(poison)))
        })
        .await;
    }
    for (queue, count) in [(Queue::Bookings, 2), (Queue::Notifications, 1)] {
        eventually("poison where it was", SOON, || async { (amqp.depth(&dead(queue)).await == Some(count)).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_much_poison_the_oldest_is_shown() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let (broker, amqp) = (connected(rabbit.url(), &prefix).await, rabbit.amqp().await);
    for bytes in 0..Poison::SHOWN + 20 {
        amqp.publish("", &format!("{prefix}booking_queue.dead"), &vec![b'x'; bytes], BasicProperties::default()).await;
    }
    for _ in 0..2 {
        let shown = eventually("poison", SOON, || async { broker.poison().await.filter(|shown| shown.len() == Poison::SHOWN) }).await;
        let sizes: BTreeSet<_> = shown.iter().map(|poison| poison.bytes as usize).collect();
        assert_eq!(sizes, (0..Poison::SHOWN).collect());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefetch_that_amqp_cannot_count_is_one_consumer_all_the_same() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let broker = connected(rabbit.url(), &prefix).await;
    let mut consumer = consume(&broker, Queue::Bookings, 70_000).await;
    let batch: Vec<_> = (0..100).map(|_| work()).collect();
    assert!(broker.publish(&batch).await.iter().all(Result::is_ok));
    let mut got = Vec::new();
    while got.len() < batch.len() {
        let delivery = next(&mut consumer).await.unwrap();
        got.push(message(&delivery));
        delivery.ack();
    }
    consumer.cancel().await;
    assert!(next(&mut consumer).await.is_none(), "cancelled, it ends");
    assert!(batch.iter().all(|sent| got.contains(&sent.message)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_dropped_leaves_no_connection() {
    let (rabbit, prefix) = (Rabbit::shared().await, Rabbit::prefix());
    let relay = rabbit.relay().await;
    let broker = connected(rabbit.url_through(&relay), &prefix).await;
    let _consumer = consume(&broker, Queue::Bookings, 10).await;
    assert_eq!(relay.connections(), 2, "one publishes, one consumes");
    drop(broker);
    eventually("no connection", SOON, || async { (relay.connections() == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_whom_the_certificates_vouch_for() {
    let (rabbit, authority) = (Rabbit::own().await, Authority::new());
    let Certificate { certificate, key, .. } = authority.issue("DNS:localhost,IP:127.0.0.1");
    for (path, inside) in [(&key, "/tmp/key.pem"), (&certificate, "/tmp/certificate.pem")] {
        let text = std::fs::read_to_string(path).unwrap();
        rabbit.exec(&["sh", "-c", &format!("cat > {inside} <<'PEM'\n{text}PEM")]).await;
    }
    // The one port that leads into the container speaks TLS from now on.
    rabbit.ctl(&["eval", "rabbit_networking:stop_tcp_listener(5672)."]).await;
    let start = r#"rabbit_networking:start_ssl_listener(5672, [{certfile, "/tmp/certificate.pem"}, {keyfile, "/tmp/key.pem"}], 10)."#;
    rabbit.ctl(&["eval", start]).await;

    let url = rabbit.url().replacen("amqp:", "amqps:", 1);
    let trusting = broker(format!("{url}?cacertfile={}", authority.certificate().display()), "");
    let wary = broker(&url, "");
    is_back(&trusting).await;
    publish(&trusting, work()).await;
    let mut consumer = consume(&trusting, Queue::Bookings, 10).await;
    next(&mut consumer).await.unwrap().ack();
    assert!(wary.health().is_err(), "nobody vouches for it");
    assert!(Amqp::connect(&rabbit.url()).await.is_err(), "it speaks nothing but TLS");
}
