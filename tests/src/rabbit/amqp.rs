//! Speaking AMQP past the clinic: as a stranger, an operator, or garbage.

use std::time::Duration;

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Result,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;

/// A broker that takes longer to welcome somebody does not answer.
const WELCOME_WITHIN: Duration = Duration::from_secs(5);

/// A connection with one channel, with publisher confirms.
#[derive(Debug)]
pub struct Amqp {
    connection: Connection,
    channel: Channel,
}

/// A message that was parked.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Its bytes.
    pub body: Vec<u8>,
    /// Its id.
    pub id: Option<String>,
    /// Why it was dead-lettered (`x-death`), `None` when it was not.
    pub reason: Option<String>,
    /// Where it was dead-lettered from.
    pub queue: Option<String>,
}

impl Amqp {
    /// Connects to a URL.
    ///
    /// # Errors
    /// What is wrong with the broker.
    pub async fn connect(url: &str) -> Result<Self> {
        let connecting = async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { connection, channel })
        };
        timeout(WELCOME_WITHIN, connecting).await.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    /// The channel, for what has no method here.
    #[must_use]
    pub const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Declares a durable queue with no arguments.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn declare(&self, queue: &str) {
        let declared = self.channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), FieldTable::default()).await;
        declared.unwrap_or_else(|error| panic!("{queue} cannot be declared: {error}"));
    }

    /// Publishes a persistent message and waits until the broker has it.
    ///
    /// # Panics
    /// When it does not take it.
    pub async fn publish(&self, exchange: &str, key: &str, body: &[u8], properties: BasicProperties) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = properties.with_delivery_mode(2);
        let confirmed = async { self.channel.basic_publish(exchange.into(), key.into(), options, body, properties).await?.await };
        match confirmed.await {
            Ok(Confirmation::Ack(None)) => {}
            other => panic!("not published to {exchange:?} {key:?}: {other:?}"),
        }
    }

    /// Messages that wait in a queue; `None` when there is no such queue.
    pub async fn depth(&self, queue: &str) -> Option<u64> {
        // On a channel of its own: asking for what is not there closes it.
        let channel = self.connection.create_channel().await.ok()?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await.ok()?;
        Some(queue.message_count().into())
    }

    /// Throws away what waits in a queue and says how much that was.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn purge(&self, queue: &str) -> u32 {
        let purged = self.channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await;
        purged.unwrap_or_else(|error| panic!("{queue} cannot be purged: {error}"))
    }

    /// Takes everything out of a queue.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn take(&self, queue: &str) -> Vec<Parked> {
        let mut all = Vec::new();
        loop {
            let got = self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await;
            match got.unwrap_or_else(|error| panic!("{queue} cannot be read: {error}")) {
                Some(message) => all.push(parked(&message.delivery)),
                None => return all,
            }
        }
    }
}

fn parked(message: &lapin::message::Delivery) -> Parked {
    let death = message.properties.headers().as_ref().and_then(|headers| match headers.inner().get("x-death") {
        Some(AMQPValue::FieldArray(deaths)) => deaths.as_slice().first(),
        _ => None,
    });
    let text = |field: &str| match death {
        Some(AMQPValue::FieldTable(death)) => match death.inner().get(field) {
            Some(AMQPValue::LongString(text)) => Some(text.to_string()),
            _ => None,
        },
        _ => None,
    };
    Parked {
        body: message.data.clone(),
        id: message.properties.message_id().as_ref().map(ToString::to_string),
        reason: text("reason"),
        queue: text("queue"),
    }
}
