//! How well a clinic is.

use serde::{Deserialize, Serialize};

use super::Code;
use crate::codes::codes;

codes! {
    /// How well the clinic is.
    pub enum HealthStatus {
        /// All is well.
        Ok = "ok",
        /// It serves, slower or less than it should.
        Degraded = "degraded",
        /// It cannot serve.
        Down = "down",
    }
}

/// Answer of `GET /health/live`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Alive {
    /// `ok`.
    #[cfg_attr(feature = "openapi", schema(value_type = HealthStatus))]
    pub status: Code<HealthStatus>,
}

impl Alive {
    /// It answers.
    #[must_use]
    pub const fn new() -> Self {
        Self { status: Code::Known(HealthStatus::Ok) }
    }
}

impl Default for Alive {
    fn default() -> Self {
        Self::new()
    }
}

/// Answer of `GET /health` and `/health/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Health {
    /// `ok` or `degraded`; `down` from `/health/ready` alone.
    #[cfg_attr(feature = "openapi", schema(value_type = HealthStatus))]
    pub status: Code<HealthStatus>,
    /// The store: `ok` or what is wrong.
    pub store: String,
    /// The broker: `ok` or what is wrong.
    pub broker: String,
}

impl Health {
    /// How well it is.
    #[must_use]
    pub const fn new(status: HealthStatus, store: String, broker: String) -> Self {
        Self { status: Code::Known(status), store, broker }
    }
}
