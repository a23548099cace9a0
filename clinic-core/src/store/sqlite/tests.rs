mod followed;
mod migrated;

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::*;
use crate::{
    booking::{Appointment, Contact, Language},
    job::JobKind,
    ports::SystemClock,
    retry::MAX_LOSSES,
    slot::Slot,
    store::sqlite::turn::Turn,
};

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clinic.db");
        Self { _folder: folder, path }
    }

    fn open(&self) -> SqliteStore {
        self.open_with(SqliteOptions::default())
    }

    fn open_with(&self, options: SqliteOptions) -> SqliteStore {
        SqliteStore::open(&self.path, Arc::new(SystemClock), options).unwrap()
    }
}

fn at(minute: i64) -> DateTime<Utc> {
    Utc::now() + chrono::Duration::days(2) + chrono::Duration::minutes(minute)
}

fn booking(minute: i64) -> NewBooking {
    let appointment = Appointment {
        patient_id: None,
        patient_name: Some("Ana".into()),
        doctor_id: None,
        slot: Slot::new(at(minute), 30).unwrap(),
        contact: Contact::default(),
        language: Language::English,
        timezone: chrono_tz::UTC,
    };
    NewBooking::new(appointment, None, Duration::from_secs(3600), 20, Duration::ZERO)
}

async fn accepted(store: &SqliteStore, new: &NewBooking) -> bool {
    matches!(store.accept(new).await, Ok(Acceptance::Accepted(_)))
}

fn claimant() -> Claimant {
    Claimant::new("w".into(), Duration::from_secs(30), false)
}

#[tokio::test]
async fn a_full_disk_refuses_whole_bookings_and_service_resumes() {
    let place = Place::new();
    let store = place.open();
    let limit = |pages: i64| store.work(move |tx| tx.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())));
    limit(1).await.unwrap();
    let mut refused = 0;
    for minute in 0..400 {
        let new = booking(minute);
        match store.accept(&new).await {
            Ok(Acceptance::Accepted(_)) => {}
            Err(StoreError::Unavailable(_)) => {
                refused += 1;
                assert!(store.bookings(&[new.id]).await.unwrap().is_empty(), "a refused booking is half there");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0, "the disk was never full");
    limit(1_000_000).await.unwrap();
    assert!(accepted(&store, &booking(1_000)).await);
    store.probe().await.unwrap();
}

#[tokio::test]
async fn a_store_locked_by_another_writer_refuses_and_resumes() {
    let place = Place::new();
    let store = place.open();
    let other = file::connect(&place.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(store.accept(&booking(0)).await, Err(StoreError::Unavailable(_))));
    assert!(store.timeline(booking(0).id).await.unwrap().is_none(), "readers go on");
    other.execute_batch("COMMIT").unwrap();
    assert!(accepted(&store, &booking(0)).await);
}

#[tokio::test]
async fn a_failing_command_takes_nobody_with_it() {
    let place = Place::new();
    let store = place.open();
    let turn = Turn::open(&place.path).unwrap();
    let held = turn.take().unwrap();
    let (one, two) = (booking(0), booking(60));
    let failing = store.work(|tx| {
        touch_twice(tx)?;
        tx.connection.execute("INSERT INTO probe VALUES (2, 0)", [])
    });
    let free = async {
        // All three wait for the turn by now, so they share a transaction.
        while store.stats().await.unwrap().writer_queue < 3 {
            tokio::task::yield_now().await;
        }
        drop(held);
    };
    let (first, failed, second, ()) = tokio::join!(store.accept(&one), failing, store.accept(&two), free);
    assert!(matches!(first, Ok(Acceptance::Accepted(_))) && matches!(second, Ok(Acceptance::Accepted(_))));
    assert!(failed.is_err());
    let at: i64 = file::connect(&place.path).unwrap().query_row("SELECT at FROM probe", [], |row| row.get(0)).unwrap();
    assert_eq!(at, 0, "what the failing command had written is undone");
}

#[tokio::test]
async fn a_command_that_panics_is_undone_and_the_writer_goes_on() {
    let place = Place::new();
    let store = place.open();
    let panicking = store.work(|tx| {
        tx::touch(tx)?;
        if true { panic!("a fault") } else { Ok(()) }
    });
    assert!(matches!(panicking.await, Err(StoreError::Corrupt(_))));
    let at: i64 = file::connect(&place.path).unwrap().query_row("SELECT at FROM probe", [], |row| row.get(0)).unwrap();
    assert_eq!(at, 0, "what it had written is undone");
    assert!(accepted(&store, &booking(0)).await);
}

#[tokio::test]
async fn reads_that_panic_leave_their_connections_to_others() {
    let place = Place::new();
    let store = place.open();
    for _ in 0..8 {
        let panicking = store.readers.read(|_| if true { panic!("a fault") } else { Ok(()) });
        assert!(matches!(panicking.await, Err(StoreError::Corrupt(_))));
    }
    assert!(store.bookings(&[booking(0).id]).await.unwrap().is_empty());
}

fn touch_twice(tx: &tx::Tx<'_>) -> rusqlite::Result<()> {
    tx::touch(tx)?;
    tx::touch(tx)
}

#[tokio::test]
async fn a_command_that_waited_too_long_is_surely_not_done() {
    let place = Place::new();
    let store = place.open_with(SqliteOptions { patience: Duration::from_millis(100), ..SqliteOptions::default() });
    let turn = Turn::open(&place.path).unwrap();
    let held = turn.take().unwrap();
    let new = booking(0);
    assert!(matches!(store.accept(&new).await, Err(StoreError::Busy)));
    drop(held);
    store.probe().await.unwrap();
    assert!(store.bookings(&[new.id]).await.unwrap().is_empty());
}

#[tokio::test]
async fn requests_are_shed_while_work_still_has_room() {
    let place = Place::new();
    let store = place.open_with(SqliteOptions { waiting_accepts: 1, ..SqliteOptions::default() });
    let turn = Turn::open(&place.path).unwrap();
    let held = turn.take().unwrap();
    let (one, two) = (booking(0), booking(60));
    let shed = async {
        while store.stats().await.unwrap().writer_queue < 1 {
            tokio::task::yield_now().await;
        }
        let second = store.accept(&two).await;
        drop(held);
        second
    };
    let claimant = claimant();
    let (first, second, claimed) = tokio::join!(store.accept(&one), shed, store.claim_overdue(&claimant, 10));
    assert!(matches!(first, Ok(Acceptance::Accepted(_))));
    assert!(matches!(second, Err(StoreError::Busy)));
    claimed.unwrap();
}

#[tokio::test]
async fn four_on_one_file_take_turns() {
    let place = Place::new();
    let stores: Vec<_> = (0..3).map(|_| place.open()).collect();
    let stop = tokio_util::sync::CancellationToken::new();
    let hammer = std::thread::spawn({
        let (path, stop) = (place.path.clone(), stop.clone());
        move || {
            let (connection, turn) = (file::connect(&path).unwrap(), Turn::open(&path).unwrap());
            let mut commits = 0;
            while !stop.is_cancelled() {
                let _held = turn.take().unwrap();
                connection.execute_batch("BEGIN IMMEDIATE; UPDATE probe SET at = at + 1; COMMIT").unwrap();
                commits += 1;
            }
            commits
        }
    });
    for store in &stores {
        for _ in 0..30 {
            store.probe().await.unwrap();
        }
    }
    stop.cancel();
    let commits: u32 = hammer.join().unwrap();
    // Between two commits of another there is one of the hammer, or two; a queue that is not fair gives it far more.
    assert!(commits < 90 * 4, "one that never pauses took {commits} turns while the others took 90");
}

#[tokio::test]
async fn only_a_process_that_is_alone_voids_leases() {
    let place = Place::new();
    let first = place.open();
    assert!(accepted(&first, &booking(0)).await);
    let lease = first.claim_overdue(&claimant(), 1).await.unwrap().leases.pop().unwrap();
    let second = place.open();
    assert!(second.claim_overdue(&claimant(), 1).await.unwrap().leases.is_empty(), "the first still lives");
    first.close().await;
    second.close().await;
    let third = place.open();
    let again = third.claim_overdue(&claimant(), 1).await.unwrap().leases.pop().unwrap();
    assert_eq!((again.job, again.attempt, again.kind), (lease.job, 1, JobKind::Decide));
    assert_ne!(again.token, lease.token);
    let timeline = third.timeline(lease.booking.id).await.unwrap().unwrap();
    assert_eq!(timeline.last().unwrap().kind.as_str(), "attempt_lost");
}

#[tokio::test]
async fn a_notice_that_ends_the_only_process_again_and_again_fails_in_the_end() {
    let place = Place::new();
    let new = booking(0);
    let store = place.open();
    assert!(accepted(&store, &new).await);
    assert!(matches!(store.cancel(new.id).await, Ok(Cancellation::Done(..))));
    store.close().await;
    let notifier = NoticeClaimant::new("n".into(), Duration::from_secs(30), vec![("log".into(), 1)]);
    for life in 0..=MAX_LOSSES {
        let store = place.open();
        // Its pause, if any, is over.
        store.work(|tx| tx.connection.execute("UPDATE notice SET due_at = 0, next_look = 0 WHERE state = 'pending'", [])).await.unwrap();
        assert_eq!(store.claim_overdue_notices(&notifier, 10).await.unwrap().notices.len(), 1, "life {life}");
        store.close().await;
    }
    let store = place.open();
    let notice = store.bookings(&[new.id]).await.unwrap().pop().unwrap().notices.pop().unwrap();
    assert_eq!((notice.state.as_str(), notice.code.as_deref()), ("failed", Some("processing_failed")));
    assert!(store.claim_overdue_notices(&notifier, 10).await.unwrap().notices.is_empty());
}

#[tokio::test]
async fn one_that_comes_by_a_link_is_not_alone() {
    let place = Place::new();
    let first = place.open();
    assert!(accepted(&first, &booking(0)).await);
    assert_eq!(first.claim_overdue(&claimant(), 1).await.unwrap().leases.len(), 1);
    let link = place.path.with_file_name("link.db");
    std::os::unix::fs::symlink(&place.path, &link).unwrap();
    let second = SqliteStore::open(&link, Arc::new(SystemClock), SqliteOptions::default()).unwrap();
    assert!(second.claim_overdue(&claimant(), 1).await.unwrap().leases.is_empty(), "the first still lives");
}

#[test]
fn several_may_start_on_a_new_file_at_once() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| drop(place.open()));
        }
    });
}

#[test]
fn two_that_start_at_once_never_wait_for_each_other() {
    let place = Place::new();
    let stop = tokio_util::sync::CancellationToken::new();
    // Takes the exclusive lock the moment it is let go and then wants the turn, as another start does.
    std::thread::spawn({
        let (lock, turn) = (std::fs::File::create(file::beside(&place.path, ".lock")).unwrap(), Turn::open(&place.path).unwrap());
        let stop = stop.clone();
        move || {
            while !stop.is_cancelled() {
                if lock.try_lock().is_ok() {
                    drop(turn.take().unwrap());
                    lock.unlock().unwrap();
                }
            }
        }
    });
    let (opened, answer) = std::sync::mpsc::channel();
    let path = place.path.clone();
    std::thread::spawn(move || {
        for _ in 0..20 {
            let _ = opened.send(SqliteStore::open(&path, Arc::new(SystemClock), SqliteOptions::default()).map(drop));
        }
    });
    for start in 0..20 {
        let opened = answer.recv_timeout(Duration::from_secs(20));
        assert!(matches!(opened, Ok(Ok(()))), "start {start}: {opened:?}");
    }
    stop.cancel();
}

#[test]
fn a_file_of_a_newer_release_and_a_foreign_file_are_refused() {
    let place = Place::new();
    drop(place.open());
    file::connect(&place.path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let open = |path: &Path| SqliteStore::open(path, Arc::new(SystemClock), SqliteOptions::default());
    assert!(matches!(open(&place.path), Err(OpenError::NewerSchema { found: 99, .. })));
    let foreign = place.path.with_file_name("letter.txt");
    std::fs::write(&foreign, "Dear doctor, this is no database at all, and it is longer than a header.".repeat(20)).unwrap();
    assert!(matches!(open(&foreign), Err(OpenError::Sqlite { .. })));
    assert!(matches!(open(Path::new("/nowhere/at/all.db")), Err(OpenError::File { .. })));
}

#[tokio::test]
async fn one_row_that_cannot_be_read_holds_up_no_other() {
    let place = Place::new();
    let store = place.open();
    let (broken, strange, whole) = (booking(0), booking(60), booking(120));
    for new in [&broken, &strange, &whole] {
        assert!(accepted(&store, new).await);
    }
    let (broken_id, strange_id) = (broken.id, strange.id);
    store
        .work(move |tx| {
            tx.connection.execute("UPDATE booking SET language = 'xx' WHERE id = ?1", [broken_id])?;
            tx.connection.execute("UPDATE booking SET timezone = 'Mars/Base' WHERE id = ?1", [strange_id])
        })
        .await
        .unwrap();
    let requests: Vec<_> = [&broken, &whole].map(|new| ClaimRequest::new(new.job, new.id, false)).into();
    let claims = store.claim(&claimant(), &requests).await.unwrap();
    assert!(matches!(claims[..], [Claim::Held, Claim::Won(_)]), "{claims:?}");
    let leases = store.claim_overdue(&claimant(), 10).await.unwrap().leases;
    assert_eq!(leases.iter().map(|lease| lease.booking.id).collect::<Vec<_>>(), [strange_id], "the sweep passes it over too");
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_won_again_by_the_same_request() {
    let place = Place::new();
    let store = place.open();
    let new = booking(0);
    assert!(accepted(&store, &new).await);
    let request = ClaimRequest::new(new.job, new.id, false);
    for _ in 0..2 {
        let claim = store.claim(&claimant(), &[request]).await.unwrap().pop();
        let Some(Claim::Won(lease)) = claim else { panic!("{claim:?}") };
        assert_eq!((lease.attempt, lease.token), (1, request.token));
    }
    assert_eq!(store.timeline(new.id).await.unwrap().unwrap().len(), 1, "nothing was lost");
}
