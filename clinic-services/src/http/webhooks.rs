//! `/webhooks`: where the clinic's own systems hear of every event.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use clinic_core::{
    api::{WebhookList, WebhookRequest, WebhookSecretView, WebhookTestView, WebhookView},
    id::EndpointId,
};
use http::{HeaderValue, StatusCode, Uri, header::LOCATION};

use super::{App, answer::json, body, id::Id, query::Query, refusal::Refusal};

/// Register a webhook
///
/// From then on every event is posted to its URL, signed as the Standard Webhooks specification says. The secret is shown here and never
/// again. Names are resolved and judged at each delivery; only public addresses are posted to, unless `CLINIC_WEBHOOK_ALLOW` names them.
#[utoipa::path(
    post, path = "/webhooks", operation_id = "registerWebhook", tag = "webhooks",
    request_body(content = WebhookRequest, content_type = "application/json"),
    responses((status = 201, description = "registered", body = WebhookSecretView, headers(
        ("Location" = String, description = "where the webhook is"),
    ))),
)]
pub(super) async fn register(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    Query::none(&parts.uri)?;
    body::expect_json(&parts.headers)?;
    let request = WebhookRequest::from_json(&body::read(&parts.headers, body).await?)?;
    let endpoint = app.reception.register_webhook(&request.url).await?;
    let mut response = json(StatusCode::CREATED, &WebhookSecretView::from(&endpoint));
    let location = HeaderValue::try_from(format!("/webhooks/{}", endpoint.id)).expect("an id is letters, digits and hyphens");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// List webhooks
#[utoipa::path(
    get, path = "/webhooks", operation_id = "webhooks", tag = "webhooks",
    responses((status = 200, description = "all of them, oldest first", body = WebhookList)),
)]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    let endpoints = app.reception.webhooks().await?;
    Ok(json(StatusCode::OK, &WebhookList::new(endpoints.iter().map(WebhookView::from).collect())))
}

/// Show a webhook
#[utoipa::path(
    get, path = "/webhooks/{id}", operation_id = "webhook", tag = "webhooks",
    params(("id" = uuid::Uuid, Path, description = "the webhook's id")),
    responses((status = 200, description = "the webhook", body = WebhookView)),
)]
pub(super) async fn one(State(app): State<Arc<App>>, Id(id): Id<EndpointId>, uri: Uri) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    let endpoint = app.reception.webhook(id).await?.ok_or_else(Refusal::no_webhook)?;
    Ok(json(StatusCode::OK, &WebhookView::from(&endpoint)))
}

/// Remove a webhook
///
/// What waits to be sent there is skipped as `endpoint_removed`. Removing it again changes nothing.
#[utoipa::path(
    delete, path = "/webhooks/{id}", operation_id = "removeWebhook", tag = "webhooks",
    params(("id" = uuid::Uuid, Path, description = "the webhook's id")),
    responses((status = 204, description = "removed")),
)]
pub(super) async fn remove(State(app): State<Arc<App>>, Id(id): Id<EndpointId>, uri: Uri) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    app.reception.remove_webhook(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Try a webhook out
///
/// Posts one signed delivery of the type `webhook.test` and says what the receiver did. Nothing else follows from it.
#[utoipa::path(
    post, path = "/webhooks/{id}/test", operation_id = "testWebhook", tag = "webhooks",
    params(("id" = uuid::Uuid, Path, description = "the webhook's id")),
    responses((status = 200, description = "tried, whatever came of it", body = WebhookTestView)),
)]
pub(super) async fn test(State(app): State<Arc<App>>, Id(id): Id<EndpointId>, uri: Uri) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    let tried = app.reception.try_webhook(id).await?;
    Ok(json(StatusCode::OK, &WebhookTestView::new(tried.delivered.code, tried.delivered.status, tried.took)))
}

/// Switch a webhook on
///
/// One that was switched off hears of every event again; what it missed is on the dead-letter desk or was skipped.
#[utoipa::path(
    post, path = "/webhooks/{id}/enable", operation_id = "enableWebhook", tag = "webhooks",
    params(("id" = uuid::Uuid, Path, description = "the webhook's id")),
    responses((status = 200, description = "switched on", body = WebhookView)),
)]
pub(super) async fn enable(State(app): State<Arc<App>>, Id(id): Id<EndpointId>, uri: Uri) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    let endpoint = app.reception.enable_webhook(id).await?;
    Ok(json(StatusCode::OK, &WebhookView::from(&endpoint)))
}

/// Give a webhook a new secret
///
/// For a day the secret before signs too, so that no delivery is refused while the receiver learns the new one. Where the answer was lost,
/// ask again: that makes another one, and those before still sign.
#[utoipa::path(
    post, path = "/webhooks/{id}/secret", operation_id = "renewWebhookSecret", tag = "webhooks",
    params(("id" = uuid::Uuid, Path, description = "the webhook's id")),
    responses((status = 200, description = "the new secret, shown here and never again", body = WebhookSecretView)),
)]
pub(super) async fn renew_secret(State(app): State<Arc<App>>, Id(id): Id<EndpointId>, uri: Uri) -> Result<Response, Refusal> {
    Query::none(&uri)?;
    let endpoint = app.reception.renew_webhook_secret(id).await?;
    Ok(json(StatusCode::OK, &WebhookSecretView::from(&endpoint)))
}
