//! P7 between processes: what is on its way, and what is said of it, names no patient.

use std::time::Duration;

use clinic_tests::{checker::leaks, cluster::Cluster, rabbit::Rabbit};
use lapin::options::BasicGetOptions;
use serde_json::json;

use super::detour::{Detour, NEWS, WORK, tap};
use crate::day;

#[tokio::test(flavor = "multi_thread")]
async fn no_patient_in_messages_or_in_any_log() {
    const BOOKINGS: usize = 20;
    let patients = ["PAC-SECRET", "Zenobia", "zenobia@example.org", "600123987", "KEY-SECRET"];
    let rabbit = Rabbit::shared().await;
    let plan = Cluster::over(&rabbit).set("CLINIC_LOG", "debug").set("CLINIC_SIM_APPROVE", "0.5").set("CLINIC_SIM_FAIL", "0.3");
    let cluster = plan.set("CLINIC_RETRY_BASE", "10ms").start().await;
    let taps = [tap(&rabbit, &cluster, &WORK).await, tap(&rabbit, &cluster, &NEWS).await];
    let http = cluster.http();
    for number in 0..BOOKINGS {
        let body = json!({
            "patient_id": format!("PAC-SECRET{number}"), "patient_name": "Zenobia Tal", "doctor_id": format!("D{number}"),
            "datetime": day(30).to_rfc3339(), "contact": {"email": "zenobia@example.org", "phone": "+34 600123987"},
        });
        let booking = http.book_keyed(&body, &format!("KEY-SECRET{number}")).await.expect(202).id();
        if http.decided(booking).await.text("status") == "confirmed" {
            http.cancel(booking).await.expect(200);
        }
    }
    cluster.at_rest(Duration::from_secs(60)).await;

    let mut texts = vec![("RabbitMQ's log".to_owned(), rabbit.log().await)];
    assert!(texts[0].1.contains("clinic"), "RabbitMQ says nothing of who connected");
    for tap in taps {
        let messages = messages(&tap).await;
        assert!(messages.len() >= BOOKINGS, "{} messages in {}", messages.len(), tap.tap);
        texts.push((tap.tap, messages.join("\n")));
    }
    for part in cluster.running() {
        let said = cluster.process(part).diagnostics();
        assert!(!said.is_empty(), "{part:?} says nothing");
        texts.push((format!("stderr of {part:?}"), said));
        texts.push((format!("metrics of {part:?}"), cluster.http_of(part).metrics().await.expect(200).body));
    }
    let seen = cluster.observed().snapshot();
    assert!(seen.lines.len() >= BOOKINGS);
    let told: Vec<_> = seen.lines.iter().map(|line| line.content.clone()).chain(seen.garbled).collect();
    texts.push(("stdout".to_owned(), told.join("\n")));
    // Where text is shown as numbers it is found as such.
    let numbers = patients.map(|patient| format!("{:?}", patient.as_bytes()).trim_matches(['[', ']']).to_owned());
    let sought: Vec<&str> = patients.into_iter().chain(numbers.iter().map(String::as_str)).collect();
    let texts: Vec<_> = texts.iter().map(|(place, text)| (place.as_str(), text.as_str())).collect();
    assert_eq!(leaks(&sought, &texts), []);
}

/// All of each message that was tapped: where it came by, its properties, its body.
async fn messages(tap: &Detour) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(got) = tap.amqp.channel().basic_get(tap.tap.as_str().into(), BasicGetOptions { no_ack: true }).await.unwrap() {
        let delivery = got.delivery;
        let body = String::from_utf8_lossy(&delivery.data);
        all.push(format!("{} {} {:?} {body}", delivery.exchange, delivery.routing_key, delivery.properties));
    }
    all
}
