//! Store adapters. What they must agree on and is no SQL stands beside them, once: `bounds`, `millis`, `step`, `claiming`.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod bounds;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod claiming;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod millis;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod step;
