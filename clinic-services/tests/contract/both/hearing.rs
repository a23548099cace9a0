//! Webhooks: registered, shown, tried out, given another secret, removed.

use http::Method;
use serde_json::{Value, json};

use super::face::{Answer, Face};

/// Where nobody listens.
const URL: &str = "https://127.0.0.1:1/clinic";

async fn register(face: &Face, body: &Value) -> Answer {
    let request = face.request(Method::POST, "/webhooks").header("content-type", "application/json");
    face.ask(request.body(body.to_string())).await
}

pub(super) async fn a_webhook_is_registered_and_its_secret_shown_once(face: &Face) {
    let made = register(face, &json!({ "url": URL })).await;
    let path = format!("/webhooks/{}", made.id());
    assert_eq!((made.status, made.header("location"), made.header("cache-control")), (201, path.as_str(), "no-store"));
    assert_eq!((&made.json()["url"], &made.json()["former_until"], &made.json()["disabled_at"]), (&json!(URL), &Value::Null, &Value::Null));
    assert!(made.json()["secret"].as_str().unwrap().starts_with("whsec_"));
    let other = register(face, &json!({ "url": format!("{URL}/other") })).await;
    assert_ne!(other.json()["secret"], made.json()["secret"]);

    let list = face.get("/webhooks").await;
    let ids: Vec<_> = list.json()["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, [made.id(), other.id()]);
    let one = face.get(&path).await;
    assert_eq!((one.status, one.json()), (200, list.json()["items"][0].clone()));
    assert!(!list.body.contains("whsec_") && !one.body.contains("whsec_"));
}

pub(super) async fn a_url_has_one_webhook_and_must_be_one_to_post_to(face: &Face) {
    assert_eq!(register(face, &json!({ "url": URL })).await.status, 201);
    for again in [URL, "HTTPS://127.0.0.1:1/clinic"] {
        assert_eq!(register(face, &json!({ "url": again })).await.problem(), (409, "webhook_exists".to_owned()), "{again}");
    }
    for url in [
        json!(7),
        Value::Null,
        json!(""),
        json!("nonsense"),
        json!("ftp://127.0.0.1/"),
        json!("http://192.0.2.1/"),
        json!("https://"),
        json!("https://user@127.0.0.1/"),
        json!("https://user:word@127.0.0.1/"),
        json!("https://127.0.0.1/#part"),
        json!(format!("https://127.0.0.1/{}", "x".repeat(2048))),
    ] {
        assert_eq!(register(face, &json!({ "url": url })).await.fields(), ["url"], "{url}");
    }
    assert_eq!(register(face, &json!({})).await.fields(), ["url"]);
    assert_eq!(register(face, &json!({ "url": URL, "secret": "mine" })).await.fields(), ["secret"]);
    assert_eq!(register(face, &json!([URL])).await.fields(), ["body"]);
    assert_eq!(face.get("/webhooks").await.json()["items"].as_array().unwrap().len(), 1);
}

pub(super) async fn a_webhook_is_tried_out_switched_on_and_given_a_new_secret(face: &Face) {
    let made = register(face, &json!({ "url": URL })).await;
    let path = format!("/webhooks/{}", made.id());
    let tried = face.call(Method::POST, &format!("{path}/test")).await;
    assert_eq!(tried.status, 200);
    assert!(tried.json()["delivered"].is_boolean() && tried.json()["millis"].is_u64());
    let on = face.call(Method::POST, &format!("{path}/enable")).await;
    assert_eq!((on.status, on.json()), (200, face.get(&path).await.json()));
    let renewed = face.call(Method::POST, &format!("{path}/secret")).await;
    assert_eq!((renewed.status, renewed.id()), (200, made.id()));
    assert!(renewed.json()["former_until"].is_string() && renewed.json()["secret"] != made.json()["secret"]);
    assert_eq!(face.get(&path).await.json()["former_until"], renewed.json()["former_until"]);
}

pub(super) async fn what_is_removed_or_never_was_is_404_but_to_who_removes_it_again(face: &Face) {
    let removed = register(face, &json!({ "url": URL })).await.id();
    let gone = face.call(Method::DELETE, &format!("/webhooks/{removed}")).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    for id in [removed.as_str(), "0190163d-8694-739b-aea5-966c26f8ad91", "7"] {
        let routes =
            [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/test"), (Method::POST, "/enable"), (Method::POST, "/secret")];
        for (method, rest) in routes.into_iter().filter(|(method, _)| method != Method::DELETE || id != removed) {
            assert_eq!(face.call(method, &format!("/webhooks/{id}{rest}")).await.problem(), (404, "not_found".to_owned()), "{id}{rest}");
        }
    }
    assert_eq!(face.call(Method::DELETE, &format!("/webhooks/{removed}")).await.status, 204);
    assert_eq!(register(face, &json!({ "url": URL })).await.status, 201);
}
