//! Whole runs.

use std::{process::Output, time::Duration};

use chrono::{TimeDelta, Utc};
use clinic_client::{BookRequest, Client, RetryPolicy, testing::FakeClinic};
use clinic_loadgen::{
    draw::Draw,
    load::{Load, Pace},
    report::Report,
    run::{Controls, run},
    scenario::{Scenario, Settings},
    series::Phase,
    settle::{Followed, settle},
    tally::Accepted,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    scripted::{LONG, Scripted, client},
    stalling::Stalling,
    verify::loadgen,
};

/// A scenario of doctors with 20 slots each.
fn scenario(load: Load, doctors: u32) -> Scenario {
    let mut settings = Settings::default();
    (settings.seed, settings.doctors, settings.slots) = (Some(1), Some(doctors), Some(20));
    let mut scenario = settings.scenario().unwrap();
    scenario.load = load;
    scenario
}

async fn ran(client: &Client, scenario: &Scenario) -> Report {
    run(client, scenario, Controls::default()).await.unwrap()
}

/// Follows bookings that were due at the start and accepted after 2 ms.
async fn follow(client: &Client, ids: &[Uuid]) -> Followed {
    let accepted = ids.iter().map(|id| Accepted::new(*id, Duration::ZERO, Duration::from_millis(2), true)).collect();
    let draw = Draw::new(1, 1, 1, Utc::now());
    settle(client, &draw, accepted, LONG, &CancellationToken::new(), |_| ()).await.unwrap()
}

#[tokio::test]
async fn an_open_loop_sends_what_the_schedule_says_and_counts_what_came_of_it() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let report = ran(&client(&server), &scenario(Load::steady(400.0, Duration::from_millis(500), 1000), 5)).await;
    // 100 slots, each asked for twice.
    assert_eq!((report.mode, report.sent, report.accepted, report.conflicts), ("open", 200, 100, 100));
    assert!(report.settled.is_complete() && report.is_good());
    assert_eq!((report.settled.confirmed, report.settled.told), (report.accepted, report.accepted));
    assert_eq!((report.latency_ms.count, report.lag_ms.count), (200, 200));
}

#[tokio::test]
async fn the_steps_of_a_run_add_up_to_it() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let report = ran(&client(&server), &scenario(Load::steady(200.0, Duration::from_millis(1500), 1000), 5)).await;
    let sum = |of: fn(&clinic_loadgen::series::Second) -> u64| report.series.iter().map(of).sum::<u64>();
    assert_eq!([sum(|s| s.sent), sum(|s| s.accepted), sum(|s| s.conflicts)], [report.sent, report.accepted, report.conflicts]);
    assert!(report.series.len() >= 2 && report.series[0].sent > 0 && report.series[1].sent > 0);
}

#[tokio::test]
async fn an_arrival_that_finds_no_room_is_counted_as_not_sent_and_the_tool_is_called_saturated() {
    let server = Scripted::default().start(Duration::from_millis(400)).await;
    let report = ran(&client(&server), &scenario(Load::steady(100.0, Duration::from_secs(1), 1), 1000)).await;
    assert!(report.unsent > 0 && report.saturated);
    assert_eq!(report.unsent + report.sent, 100);
}

#[tokio::test]
async fn a_number_of_requests_ends_both_loops_before_their_time_is_over() {
    let server = Scripted::default().start(Duration::ZERO).await;
    for load in [Load::closed(8, Duration::MAX), Load::steady(500.0, Duration::MAX, 1000)] {
        let report = ran(&client(&server), &scenario(load.at_most(70), 99_999)).await;
        assert_eq!((report.sent, report.unsent), (70, 0), "{}", report.mode);
    }
    let report = ran(&client(&server), &scenario(Load::steady(100.0, Duration::from_millis(200), 1000).at_most(70), 99_999)).await;
    assert_eq!(report.sent, 20);
}

#[tokio::test]
async fn no_two_requests_meet_without_hot_slots_and_runs_with_other_prefixes_do_not_either() {
    let server = Scripted::default().start(Duration::ZERO).await;
    for prefix in ["", "second-"] {
        let mut scenario = scenario(Load::closed(8, Duration::MAX).at_most(100), 5);
        scenario.prefix = prefix.parse().unwrap();
        let report = ran(&client(&server), &scenario).await;
        assert_eq!((report.accepted, report.conflicts), (100, 0), "{prefix}");
    }
    let report = ran(&client(&server), &scenario(Load::closed(8, Duration::MAX).at_most(100), 5)).await;
    assert_eq!((report.accepted, report.conflicts), (0, 100), "the same run once more");
}

#[tokio::test]
async fn flags_say_how_many_requests_there_are_and_who_makes_them() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let run = ["run", "--json", "--connections", "4", "--requests", "9", "--prefix", "second-", "--contacts", "--url", &server.uri()];
    let output = loadgen(run.map(str::to_owned)).await;
    assert!(output.status.success(), "{output:?}");
    let requests = server.received_requests().await.unwrap().into_iter().filter(|request| request.url.path() == "/book");
    let booked: Vec<BookRequest> = requests.map(|request| serde_json::from_slice(&request.body).unwrap()).collect();
    assert_eq!(booked.len(), 9);
    for request in booked {
        let patient = request.patient_id.unwrap();
        assert!(patient.starts_with("second-") && request.doctor_id.unwrap().starts_with("second-D"));
        assert_eq!(request.contact.unwrap().email, Some(format!("{patient}@patients.test")));
    }
    let endless = ["chaos", "--fault", "kill:x", "--process", "x=true", "--connections", "4", "--requests", "9", "--url", &server.uri()];
    let output = loadgen(endless.map(str::to_owned)).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("needs --duration"));
}

#[tokio::test]
async fn a_closed_loop_draws_each_request_once() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let report = ran(&client(&server), &scenario(Load::closed(4, Duration::from_millis(300)), 99_999)).await;
    let requests = server.received_requests().await.unwrap();
    let booked = requests.iter().filter(|request| request.url.path() == "/book");
    let mut names: Vec<_> = booked.map(|r| serde_json::from_slice::<BookRequest>(&r.body).unwrap().patient_id).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), report.sent, report.mode), (all, all as u64, "closed"));
}

/// A stall is seen by those who would have come meanwhile, though nobody was answered meanwhile: no coordinated omission.
#[tokio::test]
async fn a_server_that_stalls_shows_it_in_the_percentiles_of_an_open_loop() {
    let server = Stalling::start(50, Duration::from_secs(5)).await;
    let mut scenario = scenario(Load::steady(100.0, Duration::from_secs(7), 1000), 1000);
    // Nobody is told anything there.
    scenario.settle = Duration::ZERO;
    let report = ran(&server.client(), &scenario).await;
    assert_eq!((report.sent, report.errors.len()), (700, 0));
    // 500 of 700 are due within the stall's five seconds, one each 10 ms of it.
    assert!(report.latency_ms.p99 > 4800.0, "{}", report.latency_ms);
    assert!(report.latency_ms.p50 > 1000.0, "{}", report.latency_ms);
    assert!(report.series.iter().any(|second| second.in_flight > 300 && second.p99_ms == 0.0), "a second without an answer");
}

/// Latency counts from when a request was to be sent: what holds it back here is no merit of the server's.
#[tokio::test]
async fn a_request_that_the_tool_itself_sends_late_has_waited_since_it_was_due() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let controls = Controls::default();
    let mut progress = controls.progress.subscribe();
    let stalling = async {
        progress.wait_for(|progress| progress.accepted >= 20).await.unwrap();
        // Everything in this test runs on one thread, but for the pacer, which goes on.
        std::thread::sleep(Duration::from_secs(1));
    };
    let (client, scenario) = (client(&server), scenario(Load::steady(100.0, Duration::from_secs(2), 1000), 99_999));
    let (report, ()) = tokio::join!(run(&client, &scenario, controls), stalling);
    let report = report.unwrap();
    assert_eq!((report.sent, report.unsent), (200, 0));
    // A hundred are due within that second, one each 10 ms of it.
    assert!(report.latency_ms.p99 > 900.0 && report.latency_ms.p90 > 600.0, "{}", report.latency_ms);
    assert!(report.lag_ms.p99 > 900.0 && report.saturated, "{}", report.lag_ms);
}

#[tokio::test]
async fn the_warm_up_is_followed_and_in_no_figure() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let load = Load::steady(200.0, Duration::from_millis(500), 1000).warmed_up(Duration::from_millis(500));
    let report = ran(&client(&server), &scenario(load, 99_999)).await;
    assert_eq!((report.warm_up.sent, report.sent, report.latency_ms.count), (100, 100, 100));
    assert_eq!(report.settled.told, 200);
    assert!(report.to_string().contains("warm-up   0.5 s"));
}

#[tokio::test]
async fn a_mix_reads_cancels_and_lists_what_the_run_made() {
    let clinic = FakeClinic::start().await.unwrap();
    let client = clinic.client_builder().retry(RetryPolicy::never()).build().unwrap();
    // In a closed loop something was booked soon, however slow the machine is.
    let mut scenario = scenario(Load::closed(4, Duration::MAX).at_most(200), 1000);
    scenario.mix = "book=40,get=20,cancel=20,list=20".parse().unwrap();
    // Nobody is told anything there.
    scenario.settle = Duration::ZERO;
    let report = ran(&client, &scenario).await;
    assert_eq!(report.operations.values().map(|of| of.sent).sum::<u64>(), 200);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    for operation in ["book", "get", "cancel", "list"] {
        assert!((20..=110).contains(&report.operations[operation].sent), "{operation}");
    }
    let cancelled = clinic.bookings().iter().filter(|booking| booking.status == clinic_client::Status::Cancelled).count();
    assert_eq!(cancelled as u64, report.operations["cancel"].ok, "each is cancelled once");
    let calls = clinic.calls();
    let called = |method: &str, path: &str| calls.iter().filter(|call| call.method == method && call.path.starts_with(path)).count() as u64;
    assert_eq!(called("DELETE", "/booking/"), report.operations["cancel"].sent);
    assert_eq!(called("GET", "/bookings?doctor_id=D"), report.operations["list"].sent);
}

#[tokio::test]
async fn a_run_can_be_watched_and_stopped() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let controls = Controls::default();
    let (stop, mut progress) = (controls.stop.clone(), controls.progress.subscribe());
    let watching = async {
        let begun = progress.wait_for(|progress| progress.accepted >= 10).await.unwrap().clone();
        stop.cancel();
        progress.wait_for(|progress| progress.phase == Phase::Settling).await.unwrap();
        begun
    };
    let (client, scenario) = (client(&server), scenario(Load::steady(100.0, Duration::from_secs(600), 1000), 99_999));
    let (report, begun) = tokio::join!(run(&client, &scenario, controls), watching);
    let report = report.unwrap();
    assert_eq!((begun.phase, begun.target, begun.planned), (Phase::Sending, Some(100.0), Duration::from_secs(600)));
    assert!(report.sent < 60_000 && report.settled.told == report.accepted);
    assert_eq!(progress.borrow().phase, Phase::Over);
}

#[tokio::test]
async fn a_run_that_gives_up_following_is_reported_all_the_same() {
    let clinic = FakeClinic::builder().undecided().start().await.unwrap();
    let controls = Controls::default();
    controls.give_up.cancel();
    let report = run(&clinic.client(), &scenario(Load::steady(100.0, Duration::from_millis(200), 10), 99_999), controls).await.unwrap();
    assert_eq!((report.sent, report.settled.unsettled), (20, 20));
    assert!(!report.is_good());
}

#[tokio::test]
async fn a_failed_threshold_is_printed_with_what_was_seen_and_sets_the_exit_code() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let run = |conditions: &[&str]| {
        let fixed = ["run", "--rate", "100", "--duration", "200ms", "--url"].map(str::to_owned).into_iter().chain([server.uri()]);
        let conditions = conditions.iter().flat_map(|condition| ["--fail-if".to_owned(), (*condition).to_owned()]);
        loadgen(fixed.chain(conditions).collect::<Vec<_>>())
    };
    let said = |output: Output| (output.status.code(), String::from_utf8(output.stdout).unwrap());
    let (code, text) = said(run(&["unsent>0", "errors>0.1%"]).await);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("kept      unsent>0: 0") && text.contains("kept      errors>0.1%: 0.00 %"), "{text}");
    let (code, text) = said(run(&["conflicts>=0"]).await);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("FAILED    conflicts>=0: 0"), "{text}");
    let output = run(&["p98>5ms"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("p99>50ms"));
}

#[tokio::test]
async fn a_scenario_file_is_run_and_flags_come_before_it() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, "stage = [\"100ms@100\", \"100ms@200\"]\nseed = 7\nfail-if = [\"unsent>0\"]").unwrap();
    let run = ["run", "--json", "--scenario", file.to_str().unwrap(), "--url", &server.uri(), "--seed", "9"].map(str::to_owned);
    let output = loadgen(run).await;
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["sent"], &report["seed"], &report["thresholds"][0]["failed"]), (&30.into(), &9.into(), &false.into()));
    std::fs::write(&file, "rat = 5").unwrap();
    let output = loadgen(["run", "--scenario", file.to_str().unwrap()].map(str::to_owned)).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("`rat`"));
}

#[tokio::test]
async fn the_same_seed_sends_the_same_requests() {
    let sent = async || {
        let server = Scripted::default().start(Duration::ZERO).await;
        let mut scenario = scenario(Load::steady(200.0, Duration::from_millis(300), 100), 1000);
        if let Pace::Open { arrivals, .. } = &mut scenario.load.pace {
            *arrivals = clinic_loadgen::load::Arrivals::Poisson;
        }
        ran(&client(&server), &scenario).await;
        let requests = server.received_requests().await.unwrap();
        let mut bodies: Vec<_> = requests.into_iter().filter(|request| request.url.path() == "/book").map(|request| request.body).collect();
        bodies.sort();
        bodies
    };
    let first = sent().await;
    assert!(!first.is_empty());
    assert_eq!(first, sent().await);
}

#[tokio::test]
async fn the_time_to_decided_and_told_is_by_the_clinics_clock_behind_the_answer() {
    let clinic = Scripted::default();
    let server = clinic.start(Duration::ZERO).await;
    let id = Uuid::now_v7();
    clinic.keep(id, "D", "2027-03-21T15:30:00Z");
    // Years from the clock here.
    clinic.decided_after(TimeDelta::milliseconds(1500), TimeDelta::milliseconds(4500));
    let followed = follow(&client(&server), &[id]).await;
    assert!((1500..1510).contains(&(followed.decided.max() / 1000)), "{}", followed.decided.max());
    assert!((4500..4510).contains(&(followed.told.max() / 1000)), "{}", followed.told.max());
    assert_eq!((followed.decided_at.get(&1), followed.told_at.get(&4)), (Some(&1), Some(&1)));
}

#[tokio::test]
async fn many_bookings_are_read_by_the_page() {
    let clinic = Scripted::default();
    let server = clinic.start(Duration::ZERO).await;
    let ids: Vec<_> = (0..1000).map(|_| Uuid::now_v7()).collect();
    ids.iter().for_each(|id| clinic.keep(*id, &id.to_string(), "2027-03-21T15:30:00Z"));
    let settled = follow(&client(&server), &ids).await.settled;
    assert_eq!((settled.confirmed, settled.told), (1000, 1000));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_accepted_booking_that_is_gone_is_lost() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let settled = follow(&client(&server), &[Uuid::now_v7()]).await.settled;
    assert!(!settled.is_complete());
    assert_eq!(settled.lost, 1);
}
