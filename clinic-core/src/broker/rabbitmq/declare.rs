//! The topology's data, applied to a broker.

use std::time::Duration;

use lapin::{
    Channel, ExchangeKind as AmqpKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
use tokio::time::timeout;

use super::{error::LinkError, names::Names};
use crate::topology::{DEAD_DELIVERY_LIMIT, DEAD_MAX_BYTES, DEAD_MAX_LENGTH, DELIVERY_LIMIT, Exchange, ExchangeKind, Queue};

/// For one declaration. A broker that has just started elects a leader for each queue.
const DECLARE: Duration = Duration::from_secs(5);

/// Declares what is missing: exchanges, queues, bindings. What is there already is left as it is.
pub(super) async fn declare(channel: &Channel, names: &Names) -> Result<(), LinkError> {
    for queue in Queue::ALL {
        let spec = queue.spec();
        exchange(channel, names, spec.exchange).await?;
        quorum_queue(channel, names.dead(queue), dead_arguments()).await?;
        quorum_queue(channel, names.queue(queue), arguments(names, queue)).await?;
        let (name, exchange) = (names.queue(queue), names.exchange(spec.exchange));
        let options = QueueBindOptions::default();
        let binding = channel.queue_bind(name.clone(), exchange, spec.binding.into(), options, FieldTable::default());
        step(&format!("the binding of {name}"), binding).await?;
    }
    Ok(())
}

async fn exchange(channel: &Channel, names: &Names, exchange: &Exchange) -> Result<(), LinkError> {
    let kind = match exchange.kind {
        ExchangeKind::Direct => AmqpKind::Direct,
        ExchangeKind::Topic => AmqpKind::Topic,
    };
    let name = names.exchange(exchange);
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let declaring = channel.exchange_declare(name.clone(), kind, options, FieldTable::default());
    step(&format!("the exchange {name}"), declaring).await
}

async fn quorum_queue(channel: &Channel, name: ShortString, arguments: FieldTable) -> Result<(), LinkError> {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let declaring = channel.queue_declare(name.clone(), options, arguments);
    step(&format!("the queue {name}"), declaring).await.map(drop)
}

/// Dead letters leave at least once, which RabbitMQ ties to `reject-publish`:
/// <https://www.rabbitmq.com/docs/quorum-queues#dead-lettering>.
fn arguments(names: &Names, queue: Queue) -> FieldTable {
    table(&[
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", number(DELIVERY_LIMIT)),
        ("x-max-length", number(queue.spec().max_length)),
        ("x-overflow", text("reject-publish")),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(names.dead(queue).as_str())),
        ("x-dead-letter-strategy", text("at-least-once")),
    ])
}

/// A full `.dead` queue lets its oldest poison go. Were it to refuse, poison would be kept in the queue it came from until that one
/// is full as well, and takes no more work.
fn dead_arguments() -> FieldTable {
    table(&[
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", number(DEAD_DELIVERY_LIMIT)),
        ("x-max-length", number(DEAD_MAX_LENGTH)),
        ("x-max-length-bytes", number(DEAD_MAX_BYTES)),
        ("x-overflow", text("drop-head")),
    ])
}

fn table(arguments: &[(&'static str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

fn number(value: u32) -> AMQPValue {
    AMQPValue::LongLongInt(value.into())
}

async fn step<T>(what: &str, declaring: impl Future<Output = lapin::Result<T>>) -> Result<T, LinkError> {
    match timeout(DECLARE, declaring).await {
        Ok(declared) => declared.map_err(|source| LinkError::declaring(what, source)),
        Err(_) => Err(LinkError::TimedOut { step: "declaring exchanges and queues", limit: DECLARE }),
    }
}
