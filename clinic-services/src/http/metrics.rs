//! `GET /metrics`.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use clinic_core::api::ProblemCode;
use http::{HeaderValue, header::CONTENT_TYPE};
use tokio::time::timeout;

use super::{App, refusal::Refusal};
use crate::telemetry::gauges;

/// How long a scrape waits for the store's figures before it goes without them.
const STATS_WITHIN: Duration = Duration::from_secs(2);

/// Metrics, as Prometheus reads them
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "about",
    responses((status = 200, description = "metrics in the Prometheus text format", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let Some(handle) = &app.metrics else {
        return Err(Refusal::new(ProblemCode::NotFound, "this process records no metrics"));
    };
    // Each by itself: a broker that hangs says nothing of the store.
    let (stats, depths) = tokio::join!(timeout(STATS_WITHIN, app.reception.stats()), app.reception.depths());
    match stats {
        Ok(Ok(stats)) => gauges::set_store(&stats),
        // Counters are worth having all the more when the store fails.
        Ok(Err(_)) | Err(_) => gauges::store_missing(),
    }
    gauges::set_broker(&depths);
    gauges::set_process();
    let mut response = Response::new(handle.render().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    Ok(response)
}
