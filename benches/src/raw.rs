//! The limit of the scaled shape: how fast the broker alone carries messages of ours, from publishing to acknowledgement.
//!
//! One publishing channel with a window of unconfirmed messages, one consumer on a connection of its own, a quorum queue
//! declared as the clinic's are; nothing is read, written or decided.

use std::{
    io,
    time::{Duration, Instant},
};

use clinic_core::{
    id::{BookingId, JobId},
    job::JobKind,
    message::Message,
    topology::{DELIVERY_LIMIT, Queue},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable, LongString},
};
use tokio::time::timeout;

/// For taking leave of the broker.
const FAREWELL: Duration = Duration::from_secs(1);
/// Messages published and not yet confirmed.
const WINDOW: usize = 1024;
/// Messages delivered and not yet acknowledged.
const PREFETCH: u16 = 2000;

/// Messages a second, published, confirmed, consumed and acknowledged, in a queue that is there for this alone.
///
/// # Errors
/// When the broker cannot be reached or refuses.
pub async fn rate(broker: &str, messages: u64) -> io::Result<f64> {
    run(broker, messages).await.map_err(io::Error::other)
}

async fn run(broker: &str, messages: u64) -> lapin::Result<f64> {
    let (publishing, consuming) = (connect(broker).await?, connect(broker).await?);
    let (publisher, consumer) = (publishing.create_channel().await?, consuming.create_channel().await?);
    let queue = format!("limits.{}", JobId::generate());
    declare(&publisher, &queue).await?;
    publisher.confirm_select(ConfirmSelectOptions::default()).await?;
    consumer.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let begun = Instant::now();
    let done = tokio::try_join!(publish(&publisher, &queue, messages), consume(&consumer, &queue, messages));
    let took = begun.elapsed();
    publisher.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    done?;
    // Taking leave is no part of the measurement, and lapin may wait for ever for the end of a consumer whose queue is gone.
    for connection in [consuming, publishing] {
        let _ = timeout(FAREWELL, connection.close(200, "done".into())).await;
    }
    Ok(messages as f64 / took.as_secs_f64())
}

async fn connect(broker: &str) -> lapin::Result<Connection> {
    Connection::connect(broker, ConnectionProperties::default().with_connection_name("limits".into())).await
}

async fn declare(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    let dead = format!("{queue}.dead");
    for (name, value) in [
        ("x-queue-type", "quorum"),
        ("x-overflow", "reject-publish"),
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", &dead),
        ("x-dead-letter-strategy", "at-least-once"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
    }
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongUInt(DELIVERY_LIMIT));
    arguments.insert("x-max-length".into(), AMQPValue::LongUInt(Queue::Bookings.spec().max_length));
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await.map(drop)
}

async fn publish(channel: &Channel, queue: &str, messages: u64) -> lapin::Result<()> {
    let mut unconfirmed = FuturesUnordered::new();
    for _ in 0..messages {
        let body = Message::new(JobId::generate(), JobKind::Decide, BookingId::generate()).to_bytes();
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        unconfirmed.push(channel.basic_publish("".into(), queue.into(), options, &body, properties).await?);
        if unconfirmed.len() >= WINDOW
            && let Some(confirmed) = unconfirmed.next().await
        {
            assert!(matches!(confirmed?, Confirmation::Ack(None)), "the broker took every message");
        }
    }
    while let Some(confirmed) = unconfirmed.next().await {
        assert!(matches!(confirmed?, Confirmation::Ack(None)), "the broker took every message");
    }
    Ok(())
}

async fn consume(channel: &Channel, queue: &str, messages: u64) -> lapin::Result<()> {
    let options = BasicConsumeOptions::default();
    let mut deliveries = channel.basic_consume(queue.into(), "limits".into(), options, FieldTable::default()).await?;
    for _ in 0..messages {
        let delivery = deliveries.next().await.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the deliveries ended early"))?;
        delivery?.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
