//! Bad input: each kind is told from the others, names its field, and leaks nothing.

use chrono::{TimeDelta, Utc};
use clinic_tests::{
    http::{Answer, Http},
    process::Setup,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{day, visit};

async fn raw(http: &Http, content_type: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
    let mut request = http.request(Method::POST, "/book").body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    http.send(request).await.unwrap()
}

/// A good request with some fields replaced; null removes one.
fn with(changes: &Value) -> Value {
    let mut body = visit("PAC001", "DOC001", day(30));
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_is_named() {
    let clinic = Setup::new().set("CLINIC_TIMEZONE", "Europe/Madrid").start();
    let http = clinic.http();
    let long = |n| "x".repeat(n);
    let table = [
        (json!({"colour": "red"}), vec!["colour"]),
        (json!({"patient": "PAC001", "doctor": "DOC001"}), vec!["doctor", "patient"]),
        (json!({"contact": {"fax": "1"}}), vec!["contact.fax"]),
        (json!({"patient_id": null}), vec!["patient_id"]),
        (json!({"patient_id": ""}), vec!["patient_id"]),
        (json!({"patient_id": "  "}), vec!["patient_id"]),
        (json!({"patient_id": "a\u{0}b"}), vec!["patient_id"]),
        (json!({"patient_id": long(65)}), vec!["patient_id"]),
        (json!({"patient_id": 7}), vec!["patient_id"]),
        (json!({"patient_name": ""}), vec!["patient_name"]),
        (json!({"patient_name": long(201)}), vec!["patient_name"]),
        (json!({"patient_name": "a\nb"}), vec!["patient_name"]),
        (json!({"doctor_id": ""}), vec!["doctor_id"]),
        (json!({"doctor_id": long(65)}), vec!["doctor_id"]),
        (json!({"doctor_id": "\u{7f}"}), vec!["doctor_id"]),
        (json!({"datetime": null}), vec!["datetime"]),
        (json!({"datetime": "tomorrow"}), vec!["datetime"]),
        (json!({"datetime": "2027-02-30T10:00:00Z"}), vec!["datetime"]),
        (json!({"datetime": "2027-13-01T10:00:00Z"}), vec!["datetime"]),
        (json!({"datetime": 1_800_000_000}), vec!["datetime"]),
        (json!({"datetime": (Utc::now() - TimeDelta::minutes(1)).to_rfc3339()}), vec!["datetime"]),
        (json!({"datetime": (Utc::now() + TimeDelta::days(366)).to_rfc3339()}), vec!["datetime"]),
        (json!({"datetime": "9999-12-31T23:59:59Z"}), vec!["datetime"]),
        (json!({"time_slot": day(30).to_rfc3339()}), vec!["time_slot"]),
        (json!({"datetime": null, "time_slot": "soon"}), vec!["time_slot"]),
        (json!({"duration_minutes": 4}), vec!["duration_minutes"]),
        (json!({"duration_minutes": 481}), vec!["duration_minutes"]),
        (json!({"duration_minutes": -30}), vec!["duration_minutes"]),
        (json!({"duration_minutes": 30.5}), vec!["duration_minutes"]),
        (json!({"duration_minutes": "30"}), vec!["duration_minutes"]),
        (json!({"language": "fr"}), vec!["language"]),
        (json!({"contact": {"email": "nobody"}}), vec!["contact.email"]),
        (json!({"contact": {"phone": "call me"}}), vec!["contact.phone"]),
        (json!({"contact": "me@example.org"}), vec!["contact"]),
        (json!({"patient_id": "", "duration_minutes": 1, "language": "fr"}), vec!["patient_id", "language", "duration_minutes"]),
    ];
    for (changes, fields) in table {
        let answer = http.book(&with(&changes)).await.expect_problem(422, "invalid_request");
        assert_eq!(answer.fields(), fields, "{changes}: {answer}");
    }
    // The server's own time is said where it decides.
    let past = http.book(&with(&json!({"datetime": "2020-01-01T00:00:00Z"}))).await;
    assert!(past.body.contains(&Utc::now().format("%Y-%m-%d").to_string()), "{past}");
    for body in [json!([]), json!("x"), json!(7), Value::Null] {
        let answer = http.book(&body).await.expect_problem(422, "invalid_request");
        assert_eq!(answer.fields(), ["body"], "{answer}");
    }
    let twice = raw(&http, Some("application/json"), r#"{"patient_id":"a","patient_id":"b","datetime":"2027-03-21T15:30:00Z"}"#).await;
    assert_eq!(twice.expect_problem(422, "invalid_request").fields(), ["body"]);
    assert_eq!(http.list("limit=200").await.expect(200).field("items"), json!([]), "nothing was booked");
    // What is unusual and fine.
    for (number, changes) in [
        json!({"patient_id": "x".repeat(64), "patient_name": "ñ".repeat(200), "doctor_id": null}),
        json!({"duration_minutes": 5, "doctor_id": "a"}),
        json!({"duration_minutes": 480, "doctor_id": "b"}),
        json!({"patient_id": null, "patient_name": "🦷 María-José d'Ávila", "doctor_id": "c"}),
        json!({"contact": {"email": "ana@example.org", "phone": "+34 600 000 000"}, "doctor_id": "d"}),
        json!({"datetime": "2026-03-21T15:30:00+14:00", "doctor_id": "e"}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut changes = changes;
        if changes["datetime"].is_string() {
            changes["datetime"] = json!(day(40).format("%Y-%m-%dT10:00:00+14:00").to_string());
        }
        let answer = http.book(&with(&changes)).await;
        assert_eq!(answer.status, 202, "{number}: {answer}");
    }
}

/// The clocks of Madrid go forward at 01:00 UTC on the last Sunday of March and back on the last Sunday of October.
#[tokio::test(flavor = "multi_thread")]
async fn local_times_follow_the_clinics_clocks() {
    let clinic = Setup::new().set("CLINIC_TIMEZONE", "Europe/Madrid").start();
    let http = clinic.http();
    let last_sunday = |month: u32| {
        use chrono::Datelike;
        let sundays = (1..365).map(day).filter(|day| day.month() == month && day.weekday() == chrono::Weekday::Sun);
        sundays.into_iter().take_while(|_| true).filter(|day| day.day() > 24).last().unwrap().format("%Y-%m-%d").to_string()
    };
    let local = |date: &str, time: &str| json!({"patient_id": "PAC001", "datetime": format!("{date}T{time}")});
    let gap = http.book(&local(&last_sunday(3), "02:30:00")).await.expect_problem(422, "invalid_request");
    assert_eq!(gap.fields(), ["datetime"]);
    let october = last_sunday(10);
    let twice = http.book(&local(&october, "02:30:00")).await.expect(202);
    assert_eq!(twice.text("datetime"), format!("{october}T00:30:00Z"), "the earlier of the two");
    assert_eq!(twice.text("timezone"), "Europe/Madrid");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_no_booking_or_no_route_is_told_apart() {
    let clinic = Setup::new().start();
    let http = clinic.http();
    for body in ["", "{", "{\"patient_id\":", "not json", "{\"a\":1}x"] {
        raw(&http, Some("application/json"), body).await.expect_problem(400, "bad_request");
    }
    raw(&http, Some("application/json"), vec![0xff, 0xfe, b'{']).await.expect_problem(400, "bad_request");
    let good = visit("PAC001", "DOC001", day(30)).to_string();
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("nonsense")] {
        raw(&http, content_type, good.clone()).await.expect_problem(415, "unsupported_media_type");
    }
    let mut large = visit("PAC001", "DOC001", day(30));
    large["patient_name"] = json!("x".repeat(65 * 1024));
    raw(&http, Some("application/json"), large.to_string()).await.expect_problem(413, "body_too_large");
    // Nested so deeply that a naive reader would run out of stack.
    raw(&http, Some("application/json"), "[".repeat(60_000)).await.expect_problem(400, "bad_request");

    let nobody = uuid::Uuid::now_v7();
    for path in ["/nothing", "/book/x", "/booking", "/booking/", "/booking/x", "/bookings/x", &format!("/booking/{nobody}")] {
        http.get(path).await.expect_problem(404, "not_found");
    }
    http.get(&format!("/booking/{nobody}/timeline")).await.expect_problem(404, "not_found");
    http.cancel(nobody).await.expect_problem(404, "not_found");
    for (method, path) in [(Method::GET, "/book"), (Method::PUT, "/book"), (Method::POST, "/bookings"), (Method::DELETE, "/health")] {
        let answer = http.send(http.request(method, path)).await.unwrap().expect_problem(405, "method_not_allowed");
        assert!(answer.header("allow").is_some(), "{answer}");
    }
    for (method, path) in [(Method::GET, "/health?x=1"), (Method::GET, "/bookings?colour=red")] {
        let answer = http.send(http.request(method, path)).await.unwrap();
        assert!(answer.status == 200 || answer.fields() == ["colour"], "{answer}");
    }
    let booking = raw(&http, Some("application/json; charset=utf-8"), good).await.expect(202).id();
    let head = http.send(http.request(Method::HEAD, &format!("/booking/{booking}"))).await.unwrap().expect(200);
    assert_eq!(head.body, "");
    assert!(!clinic.diagnostics().contains("panicked"), "{}", clinic.diagnostics());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_may_have_twenty_undecided_bookings() {
    let clinic = Setup::new().set("CLINIC_SIM_DELAY", "9s..9s").start();
    let http = clinic.http();
    let ask = |number: i32| visit("PAC001", &format!("DOC{number}"), day(30));
    for number in 0..20 {
        http.book(&ask(number)).await.expect(202);
    }
    http.book(&ask(20)).await.expect_problem(429, "too_many_pending");
    http.book(&visit("PAC002", "DOC20", day(30))).await.expect(202);
}
