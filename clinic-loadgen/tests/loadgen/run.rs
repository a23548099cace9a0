//! Whole runs.

use std::time::Duration;

use chrono::Utc;
use clinic_client::BookRequest;
use clinic_loadgen::{draw::Draw, drive::drive, load::Load, report::Report, settle::settle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scripted::{LONG, Scripted, client};

#[tokio::test]
async fn an_open_loop_sends_what_the_schedule_says_and_counts_what_came_of_it() {
    let clinic = Scripted::default();
    let server = clinic.start(Duration::ZERO).await;
    let (client, draw) = (client(&server), Draw::new(1, 5, 20, Utc::now()));
    let load = Load::Open { rate: 400.0, in_flight: 1000 };
    let (tally, took) = drive(&client, &draw, load, Duration::from_millis(500), None, &CancellationToken::new()).await;
    assert_eq!(tally.sent(), 200);
    assert_eq!(tally.accepted.len() as u64 + tally.conflicts, 200);
    assert!(tally.conflicts > 0, "200 draws from 100 slots meet");
    let settled = settle(&client, &draw, &tally.accepted, LONG).await.unwrap();
    assert!(settled.is_complete());
    let report = Report::new(load, 1, &tally, took, settled);
    assert_eq!((report.settled.confirmed, report.settled.told), (report.accepted, report.accepted));
}

#[tokio::test]
async fn an_arrival_that_finds_no_room_is_counted_as_not_sent() {
    let server = Scripted::default().start(Duration::from_millis(400)).await;
    let draw = Draw::new(1, 1000, 1000, Utc::now());
    let (tally, _) =
        drive(&client(&server), &draw, Load::Open { rate: 100.0, in_flight: 1 }, Duration::from_secs(1), None, &CancellationToken::new())
            .await;
    assert!(tally.unsent > 0);
    assert_eq!(tally.unsent + tally.sent(), 100);
}

#[tokio::test]
async fn a_closed_loop_draws_each_request_once() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let draw = Draw::new(1, 99_999, 17_000, Utc::now());
    let (tally, _) =
        drive(&client(&server), &draw, Load::Closed { connections: 4 }, Duration::from_millis(300), None, &CancellationToken::new()).await;
    let patients: Vec<BookRequest> =
        server.received_requests().await.unwrap().iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect();
    let mut names: Vec<_> = patients.into_iter().map(|request| request.patient_id).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), tally.sent()), (all, all as u64));
}

#[tokio::test]
async fn many_bookings_are_read_by_the_page() {
    let clinic = Scripted::default();
    let server = clinic.start(Duration::ZERO).await;
    let ids: Vec<_> = (0..1000).map(|_| Uuid::now_v7()).collect();
    ids.iter().for_each(|id| clinic.keep(*id, &id.to_string(), "2027-03-21T15:30:00Z"));
    let settled = settle(&client(&server), &Draw::new(1, 1, 1, Utc::now()), &ids, LONG).await.unwrap();
    assert_eq!((settled.confirmed, settled.told), (1000, 1000));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_accepted_booking_that_is_gone_is_lost() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let settled = settle(&client(&server), &Draw::new(1, 1, 1, Utc::now()), &[Uuid::now_v7()], LONG).await.unwrap();
    assert!(!settled.is_complete());
    assert_eq!(settled.lost, 1);
}
