//! Ways to ask whether a visit can take place.

#[cfg(feature = "http-availability")]
mod http;
#[cfg(feature = "simulated")]
mod simulated;

#[cfg(feature = "http-availability")]
pub use http::{HttpAvailability, HttpAvailabilityError};
#[cfg(feature = "simulated")]
pub use simulated::Simulated;
