//! `/health`, `/health/live`, `/health/ready`: for people and for whatever restarts or routes to the process.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use clinic_core::api::{Alive, Health, HealthStatus};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use super::{App, answer::json};

/// Whether the process answers at all
#[utoipa::path(get, path = "/health/live", operation_id = "live", tag = "health", responses((status = 200, description = "alive", body = Alive)))]
pub(super) async fn live() -> Response {
    json(StatusCode::OK, &Alive::new())
}

impl App {
    /// How well this process is: down when it lacks what it cannot serve without.
    async fn health(&self) -> Health {
        let mut health = self.reception.health().await;
        if self.needs_broker && health.status == HealthStatus::Degraded {
            health.status = HealthStatus::Down.into();
        }
        health
    }
}

/// Whether bookings can be accepted now
///
/// The store alone decides: with the broker down bookings are accepted and decided, more slowly. A worker or a notifier, which serves
/// health and metrics alone, is ready when its broker is, too.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "ready", tag = "health",
    responses(
        (status = 200, description = "able to serve", body = Health),
        (status = 503, description = "not able to serve; says which part fails", body = Health, headers(("Retry-After" = u64, description = "seconds"))),
    ),
)]
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let health = app.health().await;
    if health.status != HealthStatus::Down {
        return json(StatusCode::OK, &health);
    }
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &health);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// How well the clinic is
#[utoipa::path(get, path = "/health", operation_id = "health", tag = "health", responses((status = 200, description = "ok or degraded, part by part", body = Health)))]
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let mut health = app.health().await;
    if health.status == HealthStatus::Down {
        health.status = HealthStatus::Degraded.into();
    }
    json(StatusCode::OK, &health)
}
