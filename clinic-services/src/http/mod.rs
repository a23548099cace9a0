//! The REST API over a running clinic's handle.
//!
//! [`router`] is an axum router to mount in an app of your own; [`serve()`] is the server around it.

mod answer;
mod body;
mod book;
mod booking;
mod bookings;
mod dead_letters;
mod entry;
mod events;
mod health;
mod home;
mod id;
mod metrics;
mod openapi;
mod query;
mod refusal;
mod serve;
mod webhooks;

pub mod keys;

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state, response::IntoResponse, routing::get};
use clinic_core::reception::Reception;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::SwaggerUi;

pub use self::{body::MAX_BODY, refusal::PROBLEM_JSON, serve::serve};
use self::{
    entry::{Caller, Warnings},
    keys::Keys,
};

/// What a router may be given beside the clinic's handle.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RouterOptions {
    /// Who may call; everybody when absent.
    pub keys: Option<Keys>,
    /// Ends waits for decisions, and streams of events, at once.
    pub shutdown: CancellationToken,
    /// What `/metrics` shows; it is not there when absent.
    pub metrics: Option<PrometheusHandle>,
}

impl std::fmt::Debug for RouterOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouterOptions").field("keys", &self.keys).field("metrics", &self.metrics.is_some()).finish_non_exhaustive()
    }
}

/// What the routes share.
struct App {
    reception: Reception,
    keys: Option<Keys>,
    shutdown: CancellationToken,
    metrics: Option<PrometheusHandle>,
    warnings: Warnings,
    /// Whether it can serve without the broker.
    needs_broker: bool,
}

impl App {
    fn new(reception: Reception, options: RouterOptions, needs_broker: bool) -> Arc<Self> {
        let RouterOptions { keys, shutdown, metrics } = options;
        Arc::new(Self { reception, keys, shutdown, metrics, warnings: Warnings::new(), needs_broker })
    }
}

/// The API: open to everybody, with `/metrics` where [`crate::telemetry::install_metrics`] was called before.
pub fn router(handle: Reception) -> Router {
    router_with(handle, RouterOptions { metrics: crate::telemetry::metrics_handle(), ..RouterOptions::default() })
}

/// The API with options of its own.
pub fn router_with(handle: Reception, options: RouterOptions) -> Router {
    let app = App::new(handle, options, false);
    let (routes, document) = documented();
    let document = document.to_pretty_json().map_or_else(|_| bytes::Bytes::new(), Into::into);
    let docs = utoipa_swagger_ui::Config::from("../openapi.json").validator_url("none");
    routes
        .route("/openapi.json", get(move || std::future::ready(([(CONTENT_TYPE, "application/json")], document.clone()).into_response())))
        .merge(SwaggerUi::new("/docs").config(docs))
        .fallback(entry::no_route)
        .method_not_allowed_fallback(entry::no_method)
        .layer(from_fn_with_state(Arc::clone(&app), entry::entry))
        .with_state(app)
}

/// Health and metrics alone: what a worker or a notifier serves. Ready when both store and broker are.
pub fn monitor(handle: Reception, options: RouterOptions) -> Router {
    let app = App::new(handle, options, true);
    Router::new()
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .fallback(entry::no_route_here)
        .method_not_allowed_fallback(entry::no_method)
        .layer(from_fn_with_state(Arc::clone(&app), entry::entry))
        .with_state(app)
}

/// The OpenAPI 3.1 document of the API.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    documented().1
}

fn documented() -> (Router<Arc<App>>, utoipa::openapi::OpenApi) {
    let (routes, mut document) = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(home::home))
        .routes(routes!(book::book))
        .routes(routes!(bookings::bookings))
        .routes(routes!(booking::booking, booking::cancel))
        .routes(routes!(booking::timeline))
        .routes(routes!(events::events))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::one))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(webhooks::list, webhooks::register))
        .routes(routes!(webhooks::one, webhooks::remove))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::enable))
        .routes(routes!(webhooks::renew_secret))
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .split_for_parts();
    openapi::complete(&mut document);
    (routes, document)
}
