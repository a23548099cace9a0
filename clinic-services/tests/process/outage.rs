//! Parts whose broker is not there: they start, say so, and wait for it.

use super::{
    parts::{API, NOTIFIER, WORKER},
    *,
};

/// Nothing listens there.
const NO_BROKER: &str = "amqp://127.0.0.1:1";

/// A part that waits for its broker.
fn waiting(binary: &str, listen: Option<&str>) -> Running {
    let mut command = program(binary, &[]);
    command.env("CLINIC_BROKER", NO_BROKER).envs(listen.map(|listen| ("CLINIC_LISTEN", listen)));
    Running::ready(command)
}

#[test]
fn an_api_without_its_broker_is_ready_and_accepts() {
    let api = waiting(API, Some("127.0.0.1:0"));
    let ready = api.ask("GET /health/ready", "");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(r#""status":"degraded","store":"ok","broker":"the broker"#), "{ready}");
    let tomorrow = (chrono::Utc::now() + chrono::Duration::days(1)).format("%Y-%m-%dT15:00:00Z");
    let accepted = api.ask("POST /book", &format!(r#"{{"patient_id":"PAC001","datetime":"{tomorrow}"}}"#));
    assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
    assert!(api.ask("GET /metrics", "").contains("clinic_bookings_accepted_total 1"));
    // Whoever waits is answered at once when it ends.
    let location = accepted.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let mut waiting = api.connect();
    write!(waiting, "GET {location}?wait=60 HTTP/1.1\r\nhost: clinic\r\nconnection: close\r\n\r\n").unwrap();
    assert!(api.ask("GET /health/live", "").starts_with("HTTP/1.1 200"));
    api.signal("-TERM");
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("pending"), "{answer}");
    let (code, log) = api.end(Duration::from_secs(12));
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn worker_and_notifier_without_their_broker_are_not_ready_and_serve_health_and_metrics_alone() {
    for binary in [WORKER, NOTIFIER] {
        let part = waiting(binary, Some("127.0.0.1:0"));
        let ready = part.ask("GET /health/ready", "");
        assert!(ready.starts_with("HTTP/1.1 503") && ready.contains(r#""status":"down","store":"ok","broker":"the broker"#), "{ready}");
        let health = part.ask("GET /health", "");
        assert!(health.starts_with("HTTP/1.1 200") && health.contains(r#""status":"degraded""#), "{health}");
        assert!(part.ask("GET /metrics", "").contains("clinic_store_up 1"));
        for request in ["GET /", "GET /bookings", "POST /book", "GET /docs/", "GET /openapi.json"] {
            let answer = part.ask(request, "{}");
            assert!(answer.starts_with("HTTP/1.1 404") && answer.contains(r#""code":"not_found""#), "{answer}");
        }
        part.signal("-TERM");
        let (code, log) = part.end(Duration::from_secs(12));
        assert_eq!(code, Some(0), "{log}");
    }
}

#[test]
fn worker_and_notifier_do_not_listen_unasked() {
    for (binary, name) in [(WORKER, "clinic-worker"), (NOTIFIER, "clinic-notifier")] {
        let parts = [waiting(binary, None), waiting(binary, None)];
        for part in parts {
            assert!(part.said.contains(name) && part.said.contains("started") && part.said.contains("amqp://127.0.0.1:1"), "{}", part.said);
            assert_eq!(part.address, "");
            part.signal("-TERM");
            let (code, log) = part.end(Duration::from_secs(12));
            assert!(code == Some(0) && log.contains("stopped"), "{log}");
        }
    }
}
