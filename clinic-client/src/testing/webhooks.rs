//! Webhooks: registered, shown, switched on, removed. Nothing is posted anywhere.

use std::time::Duration;

use clinic_core::{
    api::{ProblemCode, WebhookList, WebhookRequest, WebhookSecretView, WebhookTestView, WebhookView},
    id::EndpointId,
    webhook::{Endpoint, FORMER_SIGNS_FOR, FormerSecret, MAX_ENDPOINTS, Secret},
};
use hyper::{Method, StatusCode, header::LOCATION};

use super::{
    answer::Answer,
    query::Query,
    routes::{Request, body, expect_json},
    state::State,
    ward::now,
};

/// No URL is longer, in characters.
const MAX_URL: usize = 2048;

/// Answers a request to `/webhooks` and what is below it.
pub(super) fn answer(state: &State, request: &Request, path: &[&str]) -> Result<Answer, Answer> {
    let id = path.get(1).map(|id| id.parse::<EndpointId>().map_err(|_| no_webhook())).transpose()?;
    Query::none(request.query.as_deref())?;
    let mut ward = state.ward();
    let Some(id) = id else {
        return if request.method == Method::POST {
            register(&mut ward.webhooks, request)
        } else {
            Ok(Answer::ok(&WebhookList::new(ward.webhooks.iter().map(WebhookView::from).collect())))
        };
    };
    if request.method == Method::DELETE {
        // Removing it again changes nothing.
        if !ward.removed_webhooks.contains(&id) {
            one(&mut ward.webhooks, id)?;
            ward.webhooks.retain(|webhook| webhook.id != id);
            ward.removed_webhooks.push(id);
        }
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    let webhook = one(&mut ward.webhooks, id)?;
    Ok(match path.get(2) {
        Some(&"test") => Answer::ok(&WebhookTestView::new(None, Some(204), Duration::ZERO)),
        Some(&"secret") => {
            let until = now() + chrono::Duration::from_std(FORMER_SIGNS_FOR).unwrap_or_default();
            webhook.former.insert(0, FormerSecret::new(webhook.secret, until));
            webhook.secret = Secret::new(rand::random());
            Answer::ok(&WebhookSecretView::from(&*webhook))
        }
        enable => {
            if enable.is_some() {
                webhook.disabled = None;
            }
            Answer::ok(&WebhookView::from(&*webhook))
        }
    })
}

fn register(webhooks: &mut Vec<Endpoint>, request: &Request) -> Result<Answer, Answer> {
    expect_json(&request.headers)?;
    let url = admitted(&WebhookRequest::from_json(body(request)?)?.url)?;
    if webhooks.iter().any(|webhook| webhook.url == url) {
        return Err(Answer::problem(ProblemCode::WebhookExists, "this URL is registered"));
    }
    if webhooks.len() >= MAX_ENDPOINTS {
        return Err(Answer::problem(ProblemCode::TooManyWebhooks, "remove one first"));
    }
    let webhook = Endpoint::new(EndpointId::generate(), url, Secret::new(rand::random()), now());
    let answer = Answer::json(StatusCode::CREATED, &WebhookSecretView::from(&webhook));
    let answer = answer.header(LOCATION, &format!("/webhooks/{}", webhook.id));
    webhooks.push(webhook);
    Ok(answer)
}

/// The URL as it is kept, if it may be posted to. Which networks are forbidden is a server's own matter.
fn admitted(text: &str) -> Result<String, Answer> {
    let is_right = |url: &reqwest::Url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        url.scheme() == "https" && !has_user && url.fragment().is_none() && url.as_str().len() <= MAX_URL
    };
    let url = text.parse().ok().filter(is_right).filter(|_| text.chars().count() <= MAX_URL);
    let message = "must be an https URL of at most 2048 characters, without user, password or fragment";
    url.map(String::from).ok_or_else(|| Answer::wrong("url", message))
}

fn one(webhooks: &mut [Endpoint], id: EndpointId) -> Result<&mut Endpoint, Answer> {
    webhooks.iter_mut().find(|webhook| webhook.id == id).ok_or_else(no_webhook)
}

fn no_webhook() -> Answer {
    Answer::problem(ProblemCode::NotFound, "there is no webhook with this id")
}
