//! Routes, queries, lists.

use http::Method;
use serde_json::json;

use super::face::{Face, NEVER, visit, visit_to};

const NOBODY: &str = "/booking/0190163d-8694-739b-aea5-966c26f8ad91";

pub(super) async fn unknown_routes_and_ids_are_404(face: &Face) {
    let (timeline, events) = (format!("{NOBODY}/timeline"), format!("{NOBODY}/events"));
    for path in [
        "/nowhere",
        "/book/",
        "/booking/",
        "/booking/7",
        "/booking/%ff",
        NOBODY,
        &timeline,
        "/booking/x/timeline",
        &events,
        "/booking/x/events",
        "/dead-letters/x",
        "/dead-letters/99999999999999999999",
    ] {
        assert_eq!(face.get(path).await.problem(), (404, "not_found".to_owned()), "{path}");
    }
    for path in ["/booking/7", NOBODY] {
        assert_eq!(face.call(Method::DELETE, path).await.code(), "not_found");
    }
}

pub(super) async fn wrong_methods_are_405_with_allow_and_options_answers(face: &Face) {
    for (method, path, allow) in
        [(Method::GET, "/book", "POST"), (Method::POST, "/booking/7", "GET,HEAD,DELETE"), (Method::PUT, "/bookings", "GET,HEAD")]
    {
        let answer = face.call(method, path).await;
        assert_eq!((answer.problem(), answer.header("allow")), ((405, "method_not_allowed".to_owned()), allow));
        let options = face.call(Method::OPTIONS, path).await;
        assert_eq!((options.status, options.header("allow"), options.body.len()), (204, allow, 0));
    }
    let head = face.call(Method::HEAD, "/bookings").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

pub(super) async fn bad_query_parameters_are_named(face: &Face) {
    let booking = format!("/booking/{}", face.book(&visit(24), &[]).await.id());
    for (path, fields) in [
        ("/bookings?limit=0", &["limit"][..]),
        ("/bookings?limit=201&status=open", &["status", "limit"]),
        ("/bookings?from=yesterday&to=x", &["from", "to"]),
        ("/bookings?from=2027-01-02T00:00:00Z&to=2027-01-01T00:00:00Z", &["to"]),
        ("/bookings?cursor=abc", &["cursor"]),
        ("/bookings?doctor_id=", &["doctor_id"]),
        ("/bookings?patient_id=a%00b", &["patient_id"]),
        ("/bookings?doctor=D&doctor_id=D", &["doctor"]),
        ("/bookings?limit=1&limit=2", &["limit"]),
        (&format!("{booking}?wait=61"), &["wait"]),
        (&format!("{booking}?wait=-1"), &["wait"]),
        (&format!("{booking}?wait=1.5"), &["wait"]),
        (&format!("{booking}?wait="), &["wait"]),
        (&format!("{booking}?waits=1"), &["waits"]),
        (&format!("{booking}/timeline?x"), &["x"]),
        (&format!("{booking}/events?wait=1"), &["wait"]),
        ("/dead-letters?kind=tell", &["kind"]),
        ("/dead-letters?replayed=yes&limit=201", &["replayed", "limit"]),
    ] {
        assert_eq!(face.get(path).await.fields(), fields, "{path}");
    }
    assert_eq!(face.call(Method::DELETE, &format!("{booking}?force=1")).await.fields(), ["force"]);
    let posted = face.request(Method::POST, "/book?dry=1").header("content-type", "application/json").body(visit(48).to_string());
    assert_eq!(face.ask(posted).await.fields(), ["dry"]);
}

pub(super) async fn pages_follow_their_cursors_to_the_end(face: &Face) {
    for hours in [72, 24, 48] {
        face.book(&visit(hours), &[]).await;
    }
    let mut seen = Vec::new();
    let mut path = "/bookings?doctor_id=DOC001&limit=2&from=2020-01-01T00:00:00+01:00".to_owned();
    loop {
        let page = face.get(&path).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["datetime"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/bookings?doctor_id=DOC001&limit=2&cursor={cursor}");
    }
    assert!(seen.len() == 3 && seen.is_sorted(), "{seen:?}");
}

pub(super) async fn filters_add_up(face: &Face) {
    let start = visit(48)["datetime"].as_str().unwrap().to_owned();
    for visit in [visit(24), visit(48), visit_to(NEVER, 48)] {
        let id = face.book(&visit, &[]).await.id();
        face.get(&format!("/booking/{id}?wait=10")).await;
    }
    for (query, found) in [
        (String::new(), 3),
        ("doctor_id=DOC001".to_owned(), 2),
        (format!("from={start}"), 2),
        (format!("to={start}"), 1),
        ("status=rejected".to_owned(), 1),
        (format!("status=confirmed&patient_id=PAC001&from={start}"), 1),
        ("patient_id=PAC002".to_owned(), 0),
    ] {
        let page = face.get(&format!("/bookings?{query}")).await.json();
        assert_eq!((page["items"].as_array().unwrap().len(), &page["next_cursor"]), (found, &json!(null)), "{query}");
    }
}

pub(super) async fn a_plain_request_id_is_kept_and_any_other_replaced(face: &Face) {
    let ask = |id: &str| face.ask(face.request(Method::GET, "/health/live").header("x-request-id", id));
    assert_eq!(ask("abc-1.2_3").await.header("x-request-id"), "abc-1.2_3");
    for id in ["", "a b", "a\"b", &"x".repeat(65)] {
        assert_ne!(ask(id).await.header("x-request-id"), id);
    }
    assert_ne!(ask("").await.header("x-request-id"), ask("").await.header("x-request-id"));
}

pub(super) async fn health_is_told(face: &Face) {
    assert_eq!(face.get("/health/live").await.json(), json!({ "status": "ok" }));
    for path in ["/health", "/health/ready"] {
        assert_eq!(face.get(path).await.json(), json!({ "status": "ok", "store": "ok", "broker": "ok" }));
    }
    assert_eq!(face.get("/").await.json()["name"], "clinic");
}
