//! Exchanges, queues and bindings as data. Adapters apply it and decide nothing.

use crate::{message::Message, notification::EventKind};

/// What an exchange does with a routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeKind {
    /// Equal keys.
    Direct,
    /// Keys by pattern.
    Topic,
}

/// An exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// Its name, before `CLINIC_PREFIX`.
    pub name: &'static str,
    /// How it routes.
    pub kind: ExchangeKind,
}

/// A quorum queue and where its poison goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueSpec {
    /// Its name, before `CLINIC_PREFIX`.
    pub name: &'static str,
    /// The exchange it is bound to.
    pub exchange: &'static Exchange,
    /// The binding's key.
    pub binding: &'static str,
    /// The queue for what cannot be parsed.
    pub dead: &'static str,
    /// `x-max-length`, with overflow reject-publish.
    pub max_length: u32,
}

/// `x-delivery-limit` of every queue of work.
pub const DELIVERY_LIMIT: u32 = 20;
/// `x-delivery-limit` of every `.dead` queue: whoever looks at poison gives it back, which counts as a delivery and must not cost it.
/// RabbitMQ's own limit is 20 since 4.0; that there be none cannot be said to releases before.
pub const DEAD_DELIVERY_LIMIT: u32 = u32::MAX;
/// `x-max-length` of every `.dead` queue, with overflow drop-head: the oldest poison goes.
pub const DEAD_MAX_LENGTH: u32 = 100_000;
/// `x-max-length-bytes` of every `.dead` queue: poison may be large.
pub const DEAD_MAX_BYTES: u32 = 256 * 1024 * 1024;

/// Routes `booking_queue`.
pub const BOOKINGS: Exchange = Exchange { name: "clinic.bookings", kind: ExchangeKind::Direct };
/// Every decision once; outsiders may bind queues of their own.
pub const NOTIFICATIONS: Exchange = Exchange { name: "booking_notifications", kind: ExchangeKind::Topic };

/// The queues there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Queue {
    /// The single work queue: all booking logic behind it, workers scale on it.
    Bookings,
    /// What the notifiers consume.
    Notifications,
}

impl Queue {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Bookings, Self::Notifications];

    /// How to declare it.
    #[must_use]
    pub const fn spec(self) -> &'static QueueSpec {
        match self {
            Self::Bookings => &QueueSpec {
                name: "booking_queue",
                exchange: &BOOKINGS,
                binding: "booking_queue",
                dead: "booking_queue.dead",
                max_length: 1_000_000,
            },
            Self::Notifications => &QueueSpec {
                name: "notification_queue",
                exchange: &NOTIFICATIONS,
                binding: "booking.*",
                dead: "notification_queue.dead",
                max_length: 1_000_000,
            },
        }
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// To the workers.
    Work,
    /// To the notifiers and whoever else listens.
    News(EventKind),
}

impl Route {
    /// The exchange to publish to.
    #[must_use]
    pub const fn exchange(self) -> &'static Exchange {
        match self {
            Self::Work => &BOOKINGS,
            Self::News(_) => &NOTIFICATIONS,
        }
    }

    /// The routing key.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Work => "booking_queue",
            Self::News(EventKind::Confirmed) => "booking.confirmed",
            Self::News(EventKind::Rejected) => "booking.rejected",
            Self::News(EventKind::Cancelled) => "booking.cancelled",
            Self::News(EventKind::Reminder) => "booking.reminder",
        }
    }

    /// The queue of ours it ends in.
    #[must_use]
    pub const fn queue(self) -> Queue {
        match self {
            Self::Work => Queue::Bookings,
            Self::News(_) => Queue::Notifications,
        }
    }
}

/// A message and where it goes: what every write to the store hands back to be published after its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Publication {
    /// The news.
    pub message: Message,
    /// Its way.
    pub route: Route,
}

impl Publication {
    /// A message on its way.
    #[must_use]
    pub const fn new(message: Message, route: Route) -> Self {
        Self { message, route }
    }
}
