//! Store adapters.

#[cfg(feature = "sqlite")]
pub mod sqlite;
