//! `POST /book`.

use http::Method;
use serde_json::json;

use super::face::{Face, KEYS, SILENT, visit, visit_to};

pub(super) async fn a_request_is_accepted_and_found_under_its_location(face: &Face) {
    let accepted = face.book(&visit(24), &[]).await;
    assert_eq!(accepted.status, 202);
    assert_eq!(accepted.json()["status"], "pending");
    assert_eq!(accepted.header("location"), format!("/booking/{}", accepted.id()));
    assert_eq!((accepted.header("cache-control"), accepted.header("idempotency-replayed")), ("no-store", ""));
    let found = face.get(accepted.header("location")).await;
    assert_eq!((found.status, found.id()), (200, accepted.id()));
    let timeline = face.get(&format!("/booking/{}/timeline", accepted.id())).await;
    assert_eq!((&timeline.json()["events"][0]["kind"], &timeline.json()["events"][0]["seq"]), (&json!("accepted"), &json!(1)));
}

pub(super) async fn the_same_key_replays_and_another_body_is_refused(face: &Face) {
    let first = face.book(&visit(24), &[("idempotency-key", "one")]).await;
    face.get(&format!("/booking/{}?wait=10", first.id())).await;
    let again = face.book(&visit(24), &[("Idempotency-Key", "one")]).await;
    assert_eq!((again.status, again.header("idempotency-replayed"), &again.body), (202, "true", &first.body));
    let other = face.book(&visit(48), &[("idempotency-key", "one")]).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
    // Only what was accepted is kept: a refused request may be corrected under its key.
    assert_eq!(face.book(&visit(24), &[("idempotency-key", "two")]).await.code(), "slot_taken");
    assert_eq!(face.book(&visit(48), &[("idempotency-key", "two")]).await.status, 202);
}

pub(super) async fn a_bad_key_is_named(face: &Face) {
    let long = "k".repeat(256);
    for key in ["", "two words", "cl\u{e9}", &long] {
        let request = face.request(Method::POST, "/book").header("content-type", "application/json").body(visit(24).to_string());
        let answer = face.ask(request.header("idempotency-key", key.as_bytes())).await;
        assert_eq!(answer.fields(), ["Idempotency-Key"], "{key:?}");
    }
    let twice = face.book(&visit(24), &[("idempotency-key", "a"), ("idempotency-key", "b")]).await;
    assert_eq!(twice.fields(), ["Idempotency-Key"]);
}

pub(super) async fn what_is_no_json_is_400_and_what_is_no_request_is_422(face: &Face) {
    for body in ["", "{", "{\"patient_id\":}", "nonsense"] {
        assert_eq!(face.post(body, &[]).await.problem(), (400, "bad_request".to_owned()), "{body}");
    }
    assert_eq!(face.post("[]", &[]).await.fields(), ["body"]);
    assert_eq!(face.post("{}", &[]).await.fields(), ["patient_id", "datetime"]);
    assert_eq!(face.post(r#"{"patient":"x","duration_minutes":"5"}"#, &[]).await.fields(), ["duration_minutes", "patient"]);
    let past = face.book(&visit(-24), &[]).await;
    assert_eq!(past.fields(), ["datetime"]);
    assert!(past.json()["errors"][0]["message"].as_str().unwrap().contains("it is 20"));
}

pub(super) async fn the_media_type_must_be_json(face: &Face) {
    let send = |hours: i64, headers: &[(&str, &str)]| {
        let request = face.request(Method::POST, "/book").body(visit(hours).to_string());
        face.ask(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
    };
    let kinds = ["application/json", "Application/JSON; charset=utf-8", "application/vnd.clinic.v1+json", "application/json;"];
    for (hours, kind) in (24..).zip(kinds) {
        assert_eq!(send(hours, &[("content-type", kind)]).await.status, 202, "{kind}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/+json", "text/json", ""] {
        let answer = send(48, &[("content-type", kind)]).await;
        assert_eq!(answer.problem(), (415, "unsupported_media_type".to_owned()), "{kind}");
    }
    assert_eq!(send(48, &[]).await.status, 415);
    assert_eq!(send(48, &[("content-type", "application/json"), ("content-encoding", "gzip")]).await.status, 415);
}

pub(super) async fn a_body_over_64_kib_is_refused(face: &Face) {
    let large = format!("{{\"patient_id\":\"{}\"}}", "x".repeat(64 * 1024));
    assert_eq!(face.post(&large, &[]).await.problem(), (413, "body_too_large".to_owned()));
    let room = 64 * 1024 - r#"{"patient_id":""}"#.len();
    let full = format!("{{\"patient_id\":\"{}\"}}", "x".repeat(room));
    assert_eq!(face.post(&full, &[]).await.status, 422);
}

pub(super) async fn a_time_that_cannot_be_is_named_as_it_was_sent(face: &Face) {
    for field in ["datetime", "time_slot"] {
        for time in ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "yesterday"] {
            let body = json!({ "patient_id": "PAC001", field: time });
            assert_eq!(face.book(&body, &[]).await.fields(), [field]);
        }
    }
}

pub(super) async fn a_slot_is_held_until_it_is_given_back(face: &Face) {
    let first = face.book(&visit_to(SILENT, 24), &[]).await.id();
    assert_eq!(face.book(&visit_to(SILENT, 24), &[]).await.problem(), (409, "slot_taken".to_owned()));
    assert_eq!(face.book(&visit_to(SILENT, 25), &[]).await.status, 202, "back to back");
    assert_eq!(face.book(&visit(24), &[]).await.status, 202, "another doctor's");
    assert_eq!(face.call(Method::DELETE, &format!("/booking/{first}")).await.status, 200);
    assert_eq!(face.book(&visit_to(SILENT, 24), &[]).await.status, 202);
}

pub(super) async fn a_patient_has_a_limit_of_undecided_bookings(face: &Face) {
    for hours in 24..44 {
        assert_eq!(face.book(&visit_to(SILENT, hours), &[]).await.status, 202);
    }
    assert_eq!(face.book(&visit_to(SILENT, 44), &[]).await.problem(), (429, "too_many_pending".to_owned()));
    let mut other = visit_to(SILENT, 44);
    other["patient_id"] = "PAC002".into();
    assert_eq!(face.book(&other, &[]).await.status, 202);
}

pub(super) async fn keys_open_everything_but_health_and_scope_idempotency(face: &Face) {
    let face = face.locked().await;
    for path in ["/bookings", "/booking/7", "/booking/7/events", "/dead-letters", "/nowhere", "/healthy"] {
        for given in ["", "Basic 0123456789abcdef"] {
            let answer = face.ask(face.request(Method::GET, path).header("authorization", given)).await;
            assert_eq!((answer.problem(), answer.header("www-authenticate")), ((401, "unauthorized".to_owned()), "Bearer"), "{path}");
        }
        let wrong = face.ask(face.request(Method::GET, path).header("authorization", "Bearer 0123456789abcdeX")).await;
        assert_eq!(wrong.problem(), (403, "forbidden".to_owned()), "{path}");
    }
    assert_eq!(face.get("/health").await.status, 200);
    let [desk, kiosk] = [format!("Bearer {}", KEYS[0]), format!("bearer {}", KEYS[1])];
    let of_desk = face.book(&visit(24), &[("authorization", &desk), ("idempotency-key", "k")]).await.id();
    let of_kiosk = face.book(&visit(48), &[("authorization", &kiosk), ("idempotency-key", "k")]).await.id();
    let again = face.book(&visit(24), &[("authorization", &desk), ("idempotency-key", "k")]).await.id();
    assert!(of_desk == again && of_desk != of_kiosk);
}
