//! A journalled call whose process dies at every step of it, and is resumed by the next process.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    future::Future,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use clinic_client::{
    BookRequest, BookingView, Client, Journal, JournalError,
    testing::{FakeClinic, Fault},
};
use tokio::net::TcpListener;

/// Tells a process that it is the one to die, and at which step.
const DIE_AT: &str = "CLINIC_CLIENT_TEST_DIE_AT";
const JOURNAL: &str = "CLINIC_CLIENT_TEST_JOURNAL";
const SOON: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(600);

/// The steps of a journalled call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Opened,
    Begun,
    Answered,
    Finished,
}

fn request() -> BookRequest {
    BookRequest::at(Utc::now() + TimeDelta::days(1)).patient("PAC001").doctor("DOC001")
}

/// A journalled call, whatever earlier processes left first.
async fn call(client: &Client, path: &Path, request: Option<BookRequest>, reached: impl Fn(Step)) -> Vec<BookingView> {
    let journal = Journal::open(path).await.unwrap();
    reached(Step::Opened);
    let mut entries = journal.unfinished();
    if let Some(request) = request {
        entries.push(journal.begin(request).await.unwrap());
    }
    reached(Step::Begun);
    let mut booked = Vec::new();
    for entry in entries {
        match client.bookings().resume(&entry).send().await {
            Ok(booking) => booked.push(booking),
            Err(error) if error.is_refusal() => {}
            Err(_) => continue,
        }
        reached(Step::Answered);
        entry.finish().await.unwrap();
        reached(Step::Finished);
    }
    booked
}

/// By itself, a journalled call from its beginning to its end; told to die, the process that does.
#[tokio::test]
async fn what_is_finished_is_forgotten() {
    if let (Ok(step), Ok(path)) = (std::env::var(DIE_AT), std::env::var(JOURNAL)) {
        let die = |reached: Step| {
            if format!("{reached:?}") == step {
                std::process::abort();
            }
        };
        let client = Client::from_env().unwrap();
        call(&client, Path::new(&path), Some(request()), die).await;
        return;
    }
    let (clinic, folder) = (FakeClinic::start().await.unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("journal");
    assert_eq!(call(&clinic.client(), &path, Some(request()), |_| {}).await.len(), 1);
    assert!(call(&clinic.client(), &path, None, |_| {}).await.is_empty());
    assert_eq!(clinic.bookings().len(), 1);
}

fn child(url: &str, path: &Path, step: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["what_is_finished_is_forgotten", "--exact", "--nocapture"])
        .env("CLINIC_URL", url)
        .env(JOURNAL, path)
        .env(DIE_AT, step)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for a condition.
async fn until<T>(what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ended(mut child: Child) {
    let deadline = Instant::now() + SOON;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "the process does not end"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(!status.success());
}

/// The next process finds so many calls and makes good on them: one booking each, and as many in all.
async fn resumed(clinic: &FakeClinic, path: &Path, found: usize, in_all: usize) {
    let booked = call(&clinic.client(), path, None, |_| {}).await;
    assert_eq!((booked.len(), clinic.bookings().len()), (found, in_all));
    for booking in booked {
        assert_eq!(booking.id, clinic.bookings()[0].id);
    }
    assert!(call(&clinic.client(), path, None, |_| {}).await.is_empty());
    assert_eq!(clinic.bookings().len(), in_all);
}

#[tokio::test]
async fn a_process_that_dies_between_its_steps_is_resumed_to_one_booking() {
    // The step, what the next process finds, what is booked before it comes, and after.
    for (step, found, before, after) in
        [(Step::Opened, 0, 0, 0), (Step::Begun, 1, 0, 1), (Step::Answered, 1, 1, 1), (Step::Finished, 0, 1, 1)]
    {
        let (clinic, folder) = (FakeClinic::start().await.unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("journal");
        ended(child(&clinic.url(), &path, &format!("{step:?}"))).await;
        assert_eq!(clinic.bookings().len(), before, "{step:?}");
        resumed(&clinic, &path, found, after).await;
    }
}

/// A process that is killed once `moment` has come, and that never dies by itself.
async fn killed(url: &str, path: &Path, moment: impl Future<Output = ()>) {
    let mut child = child(url, path, "never");
    moment.await;
    child.kill().unwrap();
    ended(child).await;
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_asks_is_resumed_to_one_booking() {
    // Nobody answers the connection; the request is there and not done; done and not answered; done later; failed once before.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unanswered");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    killed(&url, &path, async { drop(listener.accept().await.unwrap()) }).await;
    let clinic = FakeClinic::start().await.unwrap();
    resumed(&clinic, &path, 1, 1).await;

    for faults in [
        vec![Fault::Late(LONG)],
        vec![Fault::Slow(LONG)],
        vec![Fault::Late(Duration::from_millis(50))],
        vec![Fault::DropAfter, Fault::Slow(LONG)],
        vec![Fault::DropBefore, Fault::Late(LONG)],
        vec![Fault::CutAnswer, Fault::Late(LONG)],
    ] {
        let clinic = FakeClinic::start().await.unwrap();
        let path = folder.path().join(format!("{faults:?}"));
        clinic.plan(faults.iter().copied());
        killed(&clinic.url(), &path, until("the last planned request", async || (clinic.calls().len() >= faults.len()).then_some(())))
            .await;
        resumed(&clinic, &path, 1, 1).await;
    }
}

#[tokio::test]
async fn a_call_that_gets_no_answer_stays_until_it_gets_one() {
    let (clinic, folder) = (FakeClinic::start().await.unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("journal");
    ended(child(&clinic.url(), &path, "Begun")).await;
    for _ in 0..3 {
        let entries = Journal::open(&path).await.unwrap().unfinished();
        assert_eq!(entries.len(), 1);
        clinic.plan([Fault::DropAfter; 3]);
        assert_eq!(clinic.client().bookings().resume(&entries[0]).send().await.unwrap_err().attempts, 3);
    }
    resumed(&clinic, &path, 1, 1).await;
}

#[tokio::test]
async fn what_is_refused_is_forgotten_and_keeps_nothing_else_from_being_booked() {
    let (clinic, folder) = (FakeClinic::start().await.unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("journal");
    let client = clinic.client();
    client.bookings().request(request()).send().await.unwrap();
    let journal = Journal::open(&path).await.unwrap();
    let passed = BookRequest::at(Utc::now() - TimeDelta::days(1)).patient("PAC001").doctor("DOC001");
    let too_large = request().named("x".repeat(70_000));
    for begun in [request(), passed, too_large, request().doctor("DOC002"), request().doctor("DOC003")] {
        journal.begin(begun).await.unwrap();
    }
    drop(journal);
    // The slot went elsewhere; the time has passed; no clinic takes as much; nobody answers; booked.
    clinic.plan([Fault::None, Fault::None, Fault::None, Fault::DropBefore, Fault::DropBefore, Fault::DropBefore]);
    for doctor in ["DOC003", "DOC002"] {
        let booked = call(&client, &path, None, |_| {}).await;
        assert_eq!(booked.iter().map(|booking| booking.doctor_id.as_deref()).collect::<Vec<_>>(), [Some(doctor)]);
    }
    assert!(Journal::open(&path).await.unwrap().unfinished().is_empty());
}

#[tokio::test]
async fn an_entry_that_was_dropped_unfinished_is_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal")).await.unwrap();
    let (kept, dropped) = (journal.begin(request()).await.unwrap(), journal.begin(request()).await.unwrap());
    let (key, asked) = (dropped.key(), dropped.request().clone());
    drop(dropped);
    for _ in 0..2 {
        let again = journal.unfinished();
        assert_eq!(again.len(), 1);
        assert!(again[0].key() == key && *again[0].request() == asked);
        assert!(journal.unfinished().is_empty());
    }
    journal.unfinished().remove(0).finish().await.unwrap();
    kept.finish().await.unwrap();
    assert!(journal.unfinished().is_empty());
}

#[tokio::test]
async fn one_process_has_it_open_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).await.unwrap();
    assert!(matches!(Journal::open(&path).await, Err(JournalError::Locked)));
    let entry = journal.begin(request()).await.unwrap();
    // The entry alone keeps it open, and finishes it.
    drop(journal);
    assert!(matches!(Journal::open(&path).await, Err(JournalError::Locked)));
    entry.finish().await.unwrap();
    std::fs::write(&path, "nonsense\nmore\n").unwrap();
    assert!(matches!(Journal::open(&path).await, Err(JournalError::Corrupt(1))));
    assert!(matches!(Journal::open(folder.path().join("none/journal")).await, Err(JournalError::Io(_))));
}
