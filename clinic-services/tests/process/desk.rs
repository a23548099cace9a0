//! `clinic dead-letters` against a running clinic.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    time::{Duration, Instant},
};

use super::{Running, clinic, ended};

/// What the desk says: its exit code, its answer, its complaint.
fn desk(clinic_runs: &Running, arguments: &[&str]) -> (i32, String, String) {
    let mut command = clinic(&[&["dead-letters"], arguments].concat());
    command.env("CLINIC_URL", format!("http://{}", clinic_runs.address));
    ended(command)
}

#[test]
fn a_failed_decision_is_listed_explained_tried_and_replayed_once() {
    let running = Running::start(&["--sim-fail", "1", "--retries", "0"]);
    let start = (chrono::Utc::now() + chrono::Duration::days(2)).format("%Y-%m-%dT10:00:00Z");
    let booked = running.ask("POST /book", &format!(r#"{{"patient_id":"PAC001","doctor_id":"DOC001","datetime":"{start}"}}"#));
    assert!(booked.contains("202"), "{booked}");
    let until = Instant::now() + Duration::from_secs(20);
    let listed = loop {
        let (code, listed, complaint) = desk(&running, &["list", "--code", "availability_unreachable"]);
        assert_eq!(code, 0, "{complaint}");
        if !listed.is_empty() {
            break listed;
        }
        assert!(Instant::now() < until, "no letter came");
    };
    assert!(listed.starts_with("1 ") && listed.contains(" decide availability_unreachable booking "), "{listed}");
    assert!(!listed.contains("PAC001"), "{listed}");

    let (code, said, _) = desk(&running, &["explain", "1"]);
    assert!(code == 0 && said.contains("would make a new booking"), "{said}");
    let (code, said, _) = desk(&running, &["replay", "--kind", "decide", "--limit", "1", "--dry-run"]);
    assert_eq!((code, said.lines().last()), (0, Some("1 could be replayed, 0 already replayed, 0 refused, 0 failed")));
    let (code, said, _) = desk(&running, &["replay", "1"]);
    assert_eq!((code, said.lines().last()), (0, Some("1 replayed, 0 already replayed, 0 refused, 0 failed")));
    assert!(said.starts_with("1 replayed as booking "), "{said}");
    let (code, said, _) = desk(&running, &["replay", "1"]);
    assert_eq!((code, said.lines().last()), (0, Some("0 replayed, 1 already replayed, 0 refused, 0 failed")));
    let (code, said, _) = desk(&running, &["replay", "4711"]);
    assert_eq!((code, said.lines().last()), (1, Some("0 replayed, 0 already replayed, 1 refused, 0 failed")));
}

#[test]
fn replaying_everything_must_be_said() {
    for wrong in
        [&["dead-letters", "replay"][..], &["dead-letters", "replay", "--rate", "0/s", "--all"], &["dead-letters", "replay", "1", "--all"]]
    {
        let (code, _, complaint) = ended(clinic(wrong));
        assert_eq!(code, 2, "{wrong:?}: {complaint}");
    }
}

#[test]
fn a_clinic_that_is_gone_is_no_refusal() {
    const LETTER: &str = r#"{"id":1,"booking":"00000000-0000-0000-0000-000000000007","kind":"decide","code":"availability_unreachable",
        "attempts":4,"notice":null,"channel":null,"at":"2026-01-01T00:00:00Z","replayed_at":null,"replayed_as":null}"#;
    // Shows its letter, and hangs up on whoever would replay it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = clinic(&["dead-letters", "explain", "1"]);
    command.env("CLINIC_URL", format!("http://{}", listener.local_addr().unwrap()));
    std::thread::spawn(move || {
        for mut peer in listener.incoming().flatten() {
            let mut asked = String::new();
            BufReader::new(&peer).read_line(&mut asked).unwrap();
            if asked.starts_with("GET ") {
                write!(peer, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{LETTER}", LETTER.len()).unwrap();
            }
        }
    });
    let (code, said, complaint) = ended(command);
    assert!(code == 1 && complaint.contains("the connection to the clinic failed"), "{code}: {said}{complaint}");
    assert!(!said.contains("refused"), "{said}");
}
