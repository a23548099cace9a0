//! `/`: what this is and where to go.

use super::answer;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use clinic_core::api::About;
use http::{
    HeaderMap, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, VARY},
};

const PAGE: &str = include_str!("home.html");
const LINKS: &[(&str, &str)] = &[
    ("book", "POST /book"),
    ("bookings", "/bookings"),
    ("documentation", "/docs"),
    ("openapi", "/openapi.json"),
    ("health", "/health"),
    ("metrics", "/metrics"),
];

/// What this is and where to go
///
/// A page for browsers, JSON for everybody else.
#[utoipa::path(
    get, path = "/", operation_id = "home", tag = "about",
    responses((status = 200, description = "what this is", content(
        (About = "application/json"),
        (String = "text/html"),
    ))),
)]
pub(super) async fn home(headers: HeaderMap) -> Response {
    let browser = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"));
    let mut response = if browser {
        (StatusCode::OK, [(CONTENT_TYPE, "text/html; charset=utf-8")], Body::from(PAGE)).into_response()
    } else {
        answer::json(StatusCode::OK, &About::new(env!("CARGO_PKG_VERSION"), LINKS))
    };
    response.headers_mut().insert(VARY, http::HeaderValue::from_static("accept"));
    response
}
