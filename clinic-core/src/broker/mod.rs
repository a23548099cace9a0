//! Brokers: what carries the news that a job is there.

#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;

#[cfg(feature = "embedded")]
pub use embedded::EmbeddedBroker;
#[cfg(feature = "rabbitmq")]
pub use rabbitmq::{RabbitBroker, RabbitOptions, RabbitUrl, RabbitUrlError};
