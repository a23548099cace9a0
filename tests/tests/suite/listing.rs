//! `GET /bookings`: filters, order, pages.

use chrono::TimeDelta;
use clinic_tests::{http::Http, process::Setup};

use crate::{day, visit};

async fn pages(http: &Http, query: &str, limit: usize) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = http.list(&format!("{query}&limit={limit}{cursor}")).await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
        assert!(ids.len() < 1000, "the pages do not end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_booking_once_in_order() {
    let clinic = Setup::new().start();
    let http = clinic.http();
    let mut booked = Vec::new();
    for number in 0..23i32 {
        // Several start at the same time: the id then decides.
        let start = day(30) + TimeDelta::hours(i64::from(number % 5));
        let body = visit(&format!("PAC{}", number % 2), &format!("DOC{number}"), start);
        let id = http.book(&body).await.expect(202).text("id");
        booked.push((start, id));
    }
    booked.sort();
    let ids: Vec<String> = booked.iter().map(|(_, id)| id.clone()).collect();
    for limit in [1, 4, 23, 24, 200] {
        assert_eq!(pages(&http, "", limit).await, ids, "limit {limit}");
    }
    let (from, to) = (day(30) + TimeDelta::hours(1), day(30) + TimeDelta::hours(3));
    let span = format!("from={}&to={}", from.format("%Y-%m-%dT%H:%M:%SZ"), to.format("%Y-%m-%dT%H:%M:%SZ"));
    let inside: Vec<String> = booked.iter().filter(|(start, _)| (from..to).contains(start)).map(|(_, id)| id.clone()).collect();
    assert_eq!(pages(&http, &span, 3).await, inside);
    assert_eq!(pages(&http, "doctor_id=DOC7", 3).await.len(), 1);
    assert_eq!(pages(&http, "patient_id=PAC1", 3).await.len(), 11);
    for (_, id) in &booked {
        http.decided(id.parse().unwrap()).await;
    }
    assert_eq!(pages(&http, "status=confirmed", 7).await, ids);
    assert_eq!(pages(&http, "status=pending", 7).await, [""; 0]);
    assert_eq!(http.list("").await.expect(200).field("items").as_array().unwrap().len(), 23);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_is_named() {
    let clinic = Setup::new().start();
    let http = clinic.http();
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("status=happy", "status"),
        ("from=yesterday", "from"),
        ("to=2027-02-30T00:00:00Z", "to"),
        ("cursor=xyz", "cursor"),
        ("colour=red", "colour"),
        ("limit=5&limit=6", "limit"),
    ] {
        let answer = http.list(query).await.expect_problem(422, "invalid_request");
        assert_eq!(answer.fields(), [field], "{query}");
    }
}
