//! What a worker or a notifier serves: health and metrics.

use std::sync::atomic::Ordering;

use super::*;

const KEY: (&str, &str) = ("authorization", "Bearer 0123456789abcdef");

#[tokio::test]
async fn it_is_ready_when_both_store_and_broker_are() {
    let desk = Desk::monitor(None);
    let ready = async |mood, broker: bool| {
        desk.store.be(mood);
        desk.broker.well.store(broker, Ordering::SeqCst);
        let (ready, health) = (desk.get("/health/ready").await, desk.get("/health").await);
        assert_eq!(health.status, 200);
        (ready.status.as_u16(), ready.json()["status"].clone(), health.json()["status"].clone(), ready.json()["broker"] == "ok")
    };
    assert_eq!(ready(Mood::Well, true).await, (200, "ok".into(), "ok".into(), true));
    assert_eq!(ready(Mood::Well, false).await, (503, "down".into(), "degraded".into(), false));
    assert_eq!(ready(Mood::Gone, true).await, (503, "down".into(), "degraded".into(), true));
}

#[tokio::test]
async fn it_serves_health_and_metrics_alone() {
    let desk = Desk::monitor(None);
    let metrics = String::from_utf8(desk.get("/metrics").await.body).unwrap();
    assert!(metrics.contains("process_resident_memory_bytes"), "{metrics}");
    for uri in ["/", "/docs/", "/bookings", "/openapi.json"] {
        let answer = desk.get(uri).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"), "{uri}");
    }
    assert_eq!(desk.book(24, &[]).await.status, 404);
}

#[tokio::test]
async fn keys_guard_its_metrics_and_leave_its_health_open() {
    let desk = Desk::monitor(Some(Keys::parse("desk:0123456789abcdef").unwrap()));
    assert_eq!(desk.get("/health/live").await.status, 200);
    assert_eq!(desk.get("/health/ready").await.status, 503);
    assert_eq!(desk.get("/metrics").await.status, 401);
    let request = Request::get("/metrics").header(KEY.0, KEY.1).body(Body::empty()).unwrap();
    assert_eq!(desk.ask(request).await.status, 200);
}
