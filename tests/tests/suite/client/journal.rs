//! A journalled call whose process is killed in the middle of it, resumed by the next one.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use clinic_client::{Client, Journal};
use clinic_tests::{
    cutter::{Cut, Cutter, Point},
    disk,
    process::Setup,
};
use tokio::time::timeout;

use super::request;
use crate::count;

/// Names the journal of the process that is killed.
const JOURNAL: &str = "TEST_JOURNAL";
const NUMBER: &str = "TEST_NUMBER";
const PATIENCE: Duration = Duration::from_secs(30);

/// By itself, a journalled call against a clinic; otherwise the process that is killed while it makes one.
#[tokio::test(flavor = "multi_thread")]
async fn a_journalled_call_is_made_once_and_forgotten() {
    if let (Ok(path), Ok(number)) = (std::env::var(JOURNAL), std::env::var(NUMBER)) {
        let client = Client::from_env().unwrap();
        let journal = Journal::open(&path).await.unwrap();
        let entry = journal.begin(request(number.parse().unwrap())).await.unwrap();
        client.bookings().resume(&entry).send().await.unwrap();
        entry.finish().await.unwrap();
        return;
    }
    let (clinic, folder) = (Setup::new().start(), disk::folder());
    let path = folder.path().join("journal");
    let mut call = calling(&format!("http://{}", clinic.http().address()), &path, 0);
    assert!(tokio::task::spawn_blocking(move || call.wait().unwrap()).await.unwrap().success());
    assert!(Journal::open(&path).await.unwrap().unfinished().is_empty());
    assert_eq!(count(clinic.setup(), "booking"), 1);
}

fn calling(url: &str, path: &Path, number: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["client::journal::a_journalled_call_is_made_once_and_forgotten", "--exact", "--nocapture"])
        .env("CLINIC_URL", url)
        .env(JOURNAL, path)
        .env(NUMBER, number.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_anywhere_in_a_journalled_call_is_resumed_to_one_booking() {
    let (setup, folder) = (Setup::new(), disk::folder());
    let mut clinic = setup.start();
    // Nothing sent, a part of the head, the head and a part of the body, all; nothing answered, a part of the head, of the body.
    let points = [0, 1, 200, 350].map(Point::ToServer).into_iter().chain([0, 1, 100, 400, 700].map(Point::ToClient));
    for (number, point) in points.enumerate() {
        let cutter = Cutter::to(&clinic.http().address()).await.unwrap();
        cutter.plan(point, Cut::Freeze);
        let path = folder.path().join(number.to_string());
        let mut call = calling(&format!("http://{}", cutter.address()), &path, number);
        timeout(PATIENCE, cutter.frozen()).await.unwrap_or_else(|_| panic!("{point:?} was not reached"));
        call.kill().unwrap();
        assert!(!call.wait().unwrap().success());
        // The clinic dies as well, every other time.
        if number % 2 == 0 {
            drop(clinic);
            clinic = setup.start();
        }
        let client = Client::builder(&format!("http://{}", clinic.http().address())).build().unwrap();
        for round in 0..2 {
            let journal = Journal::open(&path).await.unwrap();
            let entries = journal.unfinished();
            assert_eq!(entries.len(), 1 - round, "{point:?}");
            for entry in entries {
                client.bookings().resume(&entry).send().await.unwrap();
                entry.finish().await.unwrap();
            }
            assert_eq!(count(&setup, "booking"), number as i64 + 1, "{point:?}");
        }
    }
}
