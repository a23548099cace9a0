//! Poison at the desk: seen by id and size, never by content, and no condition for seeing letters.

use std::time::Duration;

use clinic_tests::{cluster::Cluster, eventually::eventually, rabbit::Rabbit};
use lapin::BasicProperties;
use uuid::Uuid;

use super::desk;

const SOON: Duration = Duration::from_secs(60);
const SECRET: &str = "Nombre Secreto";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn poison_is_shown_without_its_content_and_letters_without_a_broker() {
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).start().await;
    let (http, amqp, id) = (cluster.http(), rabbit.amqp().await, Uuid::now_v7());
    let named = |id: &str| BasicProperties::default().with_message_id(id.into());
    amqp.publish("", &cluster.name("booking_queue"), SECRET.as_bytes(), named(&id.to_string())).await;
    amqp.publish("", &cluster.name("notification_queue"), b"{}", named(SECRET)).await;
    let listed = eventually("poison at the desk", SOON, || async {
        let page = http.get("/dead-letters").await.expect(200);
        (page.field("poison").as_array().map(Vec::len) == Some(2)).then_some(page)
    })
    .await;
    assert!(!listed.body.contains(SECRET), "{listed}");
    let said = eventually("poison by the command line", SOON, || async {
        let said = desk(&http, &["list"]).await;
        (said.lines.len() == 2).then_some(said)
    })
    .await;
    let expected = [
        format!("poison in booking_queue.dead: message {id}, {} bytes", SECRET.len()),
        "poison in notification_queue.dead: message without an id of ours, 2 bytes".into(),
    ];
    assert_eq!((said.status.code(), said.lines), (Some(0), expected.to_vec()));

    cluster.network().cut();
    eventually("letters alone", SOON, || async { http.get("/dead-letters").await.expect(200).field("poison").is_null().then_some(()) })
        .await;
    let said = desk(&http, &["list"]).await;
    assert!(said.status.success() && said.lines.is_empty() && said.complaint.contains("the broker cannot be asked now"), "{said:?}");
    cluster.network().restore();
    eventually("poison again", SOON, || async { http.get("/dead-letters").await.expect(200).field("poison").is_array().then_some(()) })
        .await;
}
