//! The routes of webhooks.

use http::Method;
use serde_json::json;

use super::{
    desk::Desk,
    scripted::{Mood, endpoint},
};

fn one(rest: &str) -> String {
    format!("/webhooks/{}{rest}", endpoint().id)
}

#[tokio::test]
async fn an_endpoint_is_registered_and_its_secret_shown_once() {
    let desk = Desk::open();
    let made = desk.register(json!({ "url": "https://hooks.example.org/clinic" })).await;
    assert_eq!((made.status.as_u16(), made.header("location")), (201, format!("/webhooks/{}", made.id()).as_str()));
    assert_eq!(made.json()["url"], "https://hooks.example.org/clinic");
    assert!(made.json()["secret"].as_str().unwrap().starts_with("whsec_"));
    assert!(made.json()["former_until"].is_null() && made.json()["disabled_at"].is_null());
    for shown in [desk.get("/webhooks").await, desk.get(&one("")).await] {
        assert_eq!(shown.status, 200);
        assert!(!String::from_utf8(shown.body).unwrap().contains("whsec_"));
    }
    let renewed = desk.call(Method::POST, &one("/secret")).await;
    assert_eq!((renewed.status.as_u16(), renewed.id()), (200, endpoint().id.to_string()));
    assert!(renewed.json()["former_until"].is_string());
}

#[tokio::test]
async fn an_endpoint_in_doubt_is_asked_for_again_and_answered_as_made() {
    let desk = Desk::open();
    desk.store.be(Mood::Doubtful);
    assert_eq!(desk.register(json!({ "url": "https://hooks.example.org/clinic" })).await.status, 201);
    desk.store.be(Mood::Unknown);
    assert_eq!(desk.register(json!({ "url": "https://hooks.example.org/clinic" })).await.code(), "outcome_unknown");
}

#[tokio::test]
async fn what_cannot_be_posted_to_names_the_url() {
    let desk = Desk::open();
    for body in [json!({}), json!({ "url": 7 }), json!({ "url": "ftp://example.org" }), json!({ "url": "https://10.0.0.1/" })] {
        assert_eq!(desk.register(body).await.fields(), ["url"]);
    }
    assert_eq!(desk.register(json!({ "url": "https://example.org", "secret": "mine" })).await.fields(), ["secret"]);
    assert_eq!(desk.register(json!(["https://example.org"])).await.fields(), ["body"]);
}

#[tokio::test]
async fn what_stands_against_an_endpoint_has_its_code() {
    let desk = Desk::open();
    for (mood, code) in [(Mood::WebhookThere, "webhook_exists"), (Mood::ManyWebhooks, "too_many_webhooks")] {
        desk.store.be(mood);
        let refused = desk.register(json!({ "url": "https://example.org" })).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, code));
    }
    let desk = Desk::without_webhooks();
    assert_eq!(desk.register(json!({ "url": "https://example.org" })).await.code(), "webhooks_off");
    assert_eq!(desk.call(Method::POST, &one("/test")).await.code(), "webhooks_off");
    assert_eq!(desk.get("/webhooks").await.status, 200);
}

#[tokio::test]
async fn an_endpoint_is_tried_out_and_removed() {
    let desk = Desk::open();
    let tried = desk.call(Method::POST, &one("/test")).await;
    let said = tried.json();
    assert_eq!((tried.status.as_u16(), &said["delivered"], &said["status"]), (200, &json!(false), &json!(503)));
    assert!(said["code"] == "webhook_status_5xx" && said["millis"].is_u64());
    assert_eq!(desk.call(Method::POST, &one("/enable")).await.id(), endpoint().id.to_string());
    assert_eq!(desk.call(Method::DELETE, &one("")).await.status, 204);
    for (method, rest) in
        [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/test"), (Method::POST, "/enable"), (Method::POST, "/secret")]
    {
        for id in ["0190163d-8694-739b-aea5-966c26f8ad91", "7"] {
            assert_eq!(desk.call(method.clone(), &format!("/webhooks/{id}{rest}")).await.code(), "not_found");
        }
    }
}
