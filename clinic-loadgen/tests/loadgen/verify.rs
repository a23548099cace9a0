//! Runs that are logged and read back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use clinic_client::RetryPolicy;
use clinic_loadgen::{
    draw::Visit,
    log::{self, Header, Line, Log, Outcome},
    verdict::Kind,
    verify::{Claims, verify},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wiremock::MockServer;

use crate::scripted::{LONG, Scripted, client};

/// A clinic, and the log of a run against it.
struct Ran {
    clinic: Scripted,
    server: MockServer,
    folder: TempDir,
}

impl Ran {
    async fn new() -> Self {
        let clinic = Scripted::default();
        let ran = Self { server: clinic.start(Duration::ZERO).await, clinic, folder: TempDir::new().unwrap() };
        let log = ran.log();
        let run = ["run", "--rate", "400", "--duration", "500ms", "--doctors", "5", "--slots", "20", "--seed", "1", "--url"];
        let output = loadgen(run.into_iter().map(str::to_owned).chain([ran.server.uri(), "--log".into(), log.to_str().unwrap().into()]));
        let output = output.await;
        assert!(output.status.success(), "{output:?}");
        ran
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("run.log")
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        log::read(&self.log(), |line| lines.push(line)).unwrap();
        lines
    }

    fn accepted(&self) -> Vec<Uuid> {
        let id = |line: Line| if let Outcome::Accepted { booking, .. } = line.outcome { Some(booking) } else { None };
        self.lines().into_iter().filter_map(id).collect()
    }

    async fn verify(&self) -> (Option<i32>, Value) {
        let output = loadgen(["verify", "--json", "--within", "1s", "--log", self.log().to_str().unwrap()].map(str::to_owned)).await;
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}")))
    }
}

pub(crate) async fn loadgen(arguments: impl IntoIterator<Item = String>) -> Output {
    let mut loadgen = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    loadgen.args(arguments).env_remove("CLINIC_TOKEN");
    spawn_blocking(move || loadgen.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_run_is_logged_request_by_request_and_a_sound_one_passes() {
    let ran = Ran::new().await;
    let (lines, accepted) = (ran.lines(), ran.accepted());
    assert_eq!(lines.len(), 200);
    let refused = lines.iter().filter(|line| line.outcome == Outcome::Refused { code: "slot_taken".into() }).count();
    assert_eq!((accepted.len(), refused), (100, 100), "100 slots, each asked for twice");
    let sound =
        json!({"accepted": accepted.len(), "refused": refused, "unknown": 0, "listed": accepted.len(), "pending": 0, "breaches": []});
    assert_eq!(ran.verify().await, (Some(0), sound));
}

#[tokio::test]
async fn a_lost_booking_is_named() {
    let ran = Ran::new().await;
    let lost = ran.accepted()[3];
    ran.clinic.forget(lost);
    let (code, verdict) = ran.verify().await;
    assert_eq!(code, Some(1));
    assert_eq!(verdict["breaches"], json!([{"kind": "lost", "bookings": [lost], "detail": "accepted, and not there"}]));
}

#[tokio::test]
async fn pending_past_the_deadline_is_a_breach_and_pending_before_it_cannot_be_judged() {
    let ran = Ran::new().await;
    let booking = ran.accepted()[0];
    ran.clinic.hold(booking, Utc::now() + TimeDelta::hours(1));
    let (code, verdict) = ran.verify().await;
    assert_eq!((code, &verdict["pending"], &verdict["breaches"]), (Some(2), &json!(1), &json!([])));
    ran.clinic.hold(booking, Utc::now() - TimeDelta::hours(1));
    let (code, verdict) = ran.verify().await;
    assert_eq!((code, &verdict["pending"]), (Some(1), &json!(0)));
    assert_eq!((&verdict["breaches"][0]["kind"], &verdict["breaches"][0]["bookings"]), (&json!("undecided"), &json!([booking])));
}

#[tokio::test]
async fn an_overlap_with_a_booking_that_is_not_in_the_log_is_found() {
    let ran = Ran::new().await;
    let held = ran.accepted()[0];
    let double = ran.clinic.double(held);
    let (code, verdict) = ran.verify().await;
    assert_eq!(code, Some(1));
    assert_eq!(verdict["breaches"][0]["kind"], "overlapped");
    assert_eq!(verdict["breaches"][0]["bookings"], json!([held, double]));
    assert_eq!(verdict["breaches"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_single_booking_is_found_over_the_api() {
    let ran = Ran::new().await;
    let accepted = ran.accepted();
    let mut planted = vec![];
    let mut plant = |kind: &str, plant: fn(&mut Value, &mut Vec<Value>)| {
        let id = accepted[planted.len()];
        ran.clinic.plant(id, plant);
        planted.push((kind.to_owned(), id));
    };
    plant("flipped", |booking, events| {
        booking["status"] = json!("rejected");
        let decision = events[2].clone();
        events.push(decision);
        events[4]["kind"] = json!("rejected");
    });
    plant("overtried", |booking, _| booking["attempts"] = json!(5));
    plant("untold", |booking, events| {
        booking["notices"] = json!([]);
        events.truncate(3);
    });
    plant("out_of_order", |booking, events| {
        booking["status"] = json!("cancelled");
        let mut notice = booking["notices"][0].clone();
        (notice["id"], notice["event"]) = (json!(Uuid::nil()), json!("cancelled"));
        booking["notices"].as_array_mut().unwrap().push(notice);
        let (mut cancelled, mut told) = (events[2].clone(), events[3].clone());
        (cancelled["kind"], told["notice"]) = (json!("cancelled"), json!(Uuid::nil()));
        // Told of the cancellation first.
        events.splice(3..3, [cancelled, told]);
    });
    let (code, verdict) = ran.verify().await;
    assert_eq!(code, Some(1));
    let breaches = verdict["breaches"].as_array().unwrap();
    let named = |kind: &str, id: Uuid| breaches.iter().any(|breach| breach["kind"] == kind && breach["bookings"] == json!([id]));
    for (kind, id) in &planted {
        assert!(named(kind, *id), "{kind}: {breaches:?}");
    }
}

#[tokio::test]
async fn one_booking_for_two_requests_is_a_duplicate_and_another_visit_is_a_loss() {
    let ran = Ran::new().await;
    let mut lines = ran.lines().into_iter().filter(|line| matches!(line.outcome, Outcome::Accepted { .. }));
    let (first, mut second) = (lines.next().unwrap(), lines.next().unwrap());
    second.outcome = first.outcome.clone();
    let mut claims = Claims::default();
    [first, second].into_iter().for_each(|line| claims.take(line));
    let verdict = verify(&client(&ran.server), claims, 4, LONG).await.unwrap();
    let kinds: Vec<_> = verdict.breaches.iter().map(|breach| breach.kind).collect();
    assert_eq!(kinds, [Kind::Lost, Kind::Duplicated]);
}

#[tokio::test]
async fn a_booking_that_was_accepted_as_another_visit_is_named() {
    let ran = Ran::new().await;
    let mut lines = ran.lines().into_iter().filter(|line| matches!(line.outcome, Outcome::Accepted { .. }));
    let (mut line, other) = (lines.next().unwrap(), lines.next().unwrap());
    let Outcome::Accepted { booking, otherwise } = &mut line.outcome else { unreachable!() };
    *otherwise = Some(Box::new(Visit::new(other.doctor, other.start, other.end)));
    let (booking, mut claims) = (*booking, Claims::default());
    // As the file keeps it.
    claims.take(serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap());
    let verdict = verify(&client(&ran.server), claims, 4, LONG).await.unwrap();
    let breaches: Vec<_> = verdict.breaches.iter().map(|breach| (breach.kind, &*breach.bookings)).collect();
    assert_eq!(breaches, [(Kind::Lost, &[booking][..])]);
}

#[tokio::test]
async fn a_run_that_is_interrupted_has_every_answer_in_its_log() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("run.log");
    let mut loadgen = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    loadgen.args(["run", "--json", "--duration", "60s", "--url", &server.uri(), "--log"]).arg(&log).stdout(Stdio::piped());
    let run = loadgen.spawn().unwrap();
    let begun = async {
        while fs::read_to_string(&log).unwrap_or_default().lines().count() < 10 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, begun).await.unwrap();
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    let output = timeout(LONG, spawn_blocking(move || run.wait_with_output().unwrap())).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut lines = 0;
    log::read(&log, |_| lines += 1).unwrap();
    assert_eq!(report["sent"], lines);
}

#[tokio::test]
async fn a_clinic_that_is_away_cannot_be_judged() {
    let ran = Ran::new().await;
    let (_, claims) = Claims::read(&ran.log()).unwrap();
    let away = clinic_client::Client::builder("http://127.0.0.1:1").retry(RetryPolicy::never()).build().unwrap();
    assert!(verify(&away, claims, 4, Duration::ZERO).await.unwrap_err().is_retryable());
    let log = ran.log().to_str().unwrap().to_owned();
    let output = loadgen(["verify", "--within", "0s", "--url", "http://127.0.0.1:1", "--log", &log].map(str::to_owned)).await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn a_log_that_was_cut_off_is_read_up_to_there_and_a_broken_one_is_refused() {
    let ran = Ran::new().await;
    let text = fs::read_to_string(ran.log()).unwrap();
    fs::write(ran.log(), &text[..text.len() - 5]).unwrap();
    assert_eq!(ran.lines().len(), 199);
    fs::write(ran.log(), text.replacen("\"outcome\"", "\"out\"", 1)).unwrap();
    let error = log::read(&ran.log(), drop).unwrap_err();
    assert_eq!(error.to_string(), "line 2 of the log cannot be understood");
}

#[tokio::test]
async fn a_log_that_cannot_be_begun_says_so() {
    let ran = Ran::new().await;
    let stop = CancellationToken::new();
    let header = Header::new("http://clinic.example", 1);
    assert!(Log::create(ran.folder.path(), &header, stop.clone()).is_err(), "a folder is no file");
    let failing = Log::create(Path::new("/dev/full"), &header, stop).unwrap_err();
    assert_eq!(failing.kind(), std::io::ErrorKind::StorageFull);
    let run = ["run", "--log", "/dev/full", "--url"].map(str::to_owned);
    let output = loadgen(run.into_iter().chain([ran.server.uri()])).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("the log could not be written"));
}
