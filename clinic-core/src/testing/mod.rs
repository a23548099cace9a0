//! For your own tests: a clock turned by hand, builders of valid bookings, a broker with faults, and the conformance suites.
//!
//! [`exercise_store`] and [`exercise_broker`] are what the ports' documentation means, as code. An adapter is right when its
//! suite passes: run it from a test of yours against a real store or broker.

mod booking;
mod broker;
mod clock;
mod faulty;
mod findings;
mod store;

pub use booking::{BookingBuilder, appointment};
pub use broker::exercise_broker;
pub use clock::ManualClock;
pub use faulty::FaultyBroker;
pub use store::exercise_store;
