//! A RabbitMQ in a container, to be broken at will.
//!
//! [`Rabbit::own`] is a broker for one test, which may kill, wipe and starve it. [`Rabbit::shared`] is one for all tests of a
//! run, each with a prefix of its own ([`Rabbit::prefix`]). Both are gone at the end, also when a test is killed.

mod amqp;
mod container;
mod faults;
mod lifeline;

use std::net::SocketAddr;

use testcontainers::{ContainerAsync, GenericImage};
use uuid::Uuid;

pub use self::{
    amqp::{Amqp, Parked},
    container::RabbitFailed,
};
use self::{container::Access, lifeline::Lifeline};
use crate::relay::Relay;

/// A running RabbitMQ.
#[derive(Debug)]
pub struct Rabbit {
    // Before the lifeline: an own container is removed by this, and by the lifeline's keeper where nobody lives to do it.
    container: ContainerAsync<GenericImage>,
    access: Access,
    _lifeline: Lifeline,
}

impl Rabbit {
    /// A broker of one's own, removed when dropped.
    ///
    /// # Panics
    /// When it does not start: the text says what to do.
    pub async fn own() -> Self {
        container::own().await.unwrap_or_else(|error| give_up(&error))
    }

    /// The broker that all tests of a run share; started by the first, removed some time after the last.
    ///
    /// # Panics
    /// When it does not start: the text says what to do.
    pub async fn shared() -> Self {
        container::shared().await.unwrap_or_else(|error| give_up(&error))
    }

    /// A prefix that nobody else has, for `CLINIC_PREFIX`.
    #[must_use]
    pub fn prefix() -> String {
        format!("t{}.", &Uuid::now_v7().simple().to_string()[16..])
    }

    /// Where its AMQP port is, also after it was killed and started again.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.access.address()
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.access.url(self.address())
    }

    /// Its URL through a relay.
    #[must_use]
    pub fn url_through(&self, relay: &Relay) -> String {
        self.access.url(relay.address())
    }

    /// A relay in front of it.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn relay(&self) -> Relay {
        Relay::to(&self.address().to_string()).await.unwrap_or_else(|error| panic!("no port for a relay: {error}"))
    }

    /// A connection past all relays.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn amqp(&self) -> Amqp {
        Amqp::connect(&self.url()).await.unwrap_or_else(|error| panic!("RabbitMQ does not answer: {error}"))
    }
}

fn give_up(error: &RabbitFailed) -> ! {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    panic!("{text}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lapin::{
        BasicProperties,
        options::QueueDeclareOptions,
        types::{AMQPValue, FieldTable},
    };

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_published_survives_a_kill_and_no_wipe() {
        let rabbit = Rabbit::own().await;
        let amqp = rabbit.amqp().await;
        amqp.declare("kept").await;
        amqp.publish("", "kept", b"one", BasicProperties::default()).await;
        assert_eq!(rabbit.queues().await, [("kept".to_owned(), 1)]);
        let address = rabbit.address();
        rabbit.kill9().await;
        assert!(Amqp::connect(&rabbit.url()).await.is_err(), "it answers after its death");
        rabbit.start().await;
        assert_eq!(rabbit.address(), address);
        let amqp = rabbit.amqp().await;
        assert_eq!(amqp.depth("kept").await, Some(1));
        amqp.purge("kept").await;
        assert_eq!(amqp.depth("kept").await, Some(0));
        rabbit.wipe().await;
        assert_eq!(rabbit.amqp().await.depth("kept").await, None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_alarm_blocks_whoever_publishes_until_it_is_over() {
        let rabbit = Rabbit::own().await;
        let amqp = rabbit.amqp().await;
        amqp.declare("blocked").await;
        rabbit.memory_alarm(true).await;
        let publishing = amqp.publish("", "blocked", b"one", BasicProperties::default());
        let mut publishing = std::pin::pin!(publishing);
        assert!(tokio::time::timeout(Duration::from_millis(500), &mut publishing).await.is_err(), "nothing was blocked");
        rabbit.memory_alarm(false).await;
        tokio::time::timeout(Duration::from_secs(20), publishing).await.unwrap();
        assert_eq!(amqp.depth("blocked").await, Some(1));
        let parked = amqp.take("blocked").await;
        assert_eq!((parked.len(), parked[0].body.as_slice(), &parked[0].reason), (1, &b"one"[..], &None));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_depth_of_a_quorum_queue_is_told() {
        let rabbit = Rabbit::shared().await;
        let (amqp, queue) = (rabbit.amqp().await, format!("{}quorum", Rabbit::prefix()));
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        amqp.channel().queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
        amqp.publish("", &queue, b"one", BasicProperties::default()).await;
        assert_eq!(amqp.depth(&queue).await, Some(1));
        assert!(rabbit.queues().await.iter().any(|(name, _)| *name == queue));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_shared_one_is_one() {
        let (one, other) = (Rabbit::shared().await, Rabbit::shared().await);
        assert_eq!(one.url(), other.url());
        assert_ne!(Rabbit::prefix(), Rabbit::prefix());
    }
}
