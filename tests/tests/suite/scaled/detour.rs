//! The way from an exchange to a queue, led through a test: what the queue gets, and in which order, is the test's to say.

use clinic_tests::{
    cluster::Cluster,
    rabbit::{Amqp, Rabbit},
};
use lapin::{options::QueueBindOptions, types::FieldTable};

/// An exchange and a queue of the clinic's: `booking_queue` or `notification_queue`.
pub(super) struct Way {
    exchange: &'static str,
    key: &'static str,
    queue: &'static str,
}

pub(super) const WORK: Way = Way { exchange: "clinic.bookings", key: "booking_queue", queue: "booking_queue" };
pub(super) const NEWS: Way = Way { exchange: "booking_notifications", key: "booking.*", queue: "notification_queue" };

/// Everything for the queue ends in the tap instead.
pub(super) struct Detour {
    pub(super) amqp: Amqp,
    pub(super) tap: String,
    pub(super) queue: String,
}

/// Copies all that passes the exchange to a queue of the test's own, as an outsider may.
pub(super) async fn tap(rabbit: &Rabbit, cluster: &Cluster, way: &Way) -> Detour {
    let amqp = rabbit.amqp().await;
    let (tap, queue) = (cluster.name(&format!("tap.{}", way.queue)), cluster.name(way.queue));
    amqp.declare(&tap).await;
    let exchange = cluster.name(way.exchange);
    let binding =
        amqp.channel().queue_bind(tap.as_str().into(), exchange.into(), way.key.into(), QueueBindOptions::default(), FieldTable::default());
    binding.await.unwrap();
    Detour { amqp, tap, queue }
}

/// The same, and the clinic's queue gets nothing any more but what the test publishes to it.
pub(super) async fn detour(rabbit: &Rabbit, cluster: &Cluster, way: &Way) -> Detour {
    // In this order: a message that finds no queue at all would be complained of.
    let detour = tap(rabbit, cluster, way).await;
    let exchange = cluster.name(way.exchange);
    let unbinding =
        detour.amqp.channel().queue_unbind(detour.queue.as_str().into(), exchange.into(), way.key.into(), FieldTable::default());
    unbinding.await.unwrap();
    detour
}
