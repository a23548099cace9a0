//! Calls that share a transaction: each is answered as if it had been alone.

use std::{sync::Arc, time::Duration};

use clinic_core::{
    decision::{AttemptOutcome, Decision},
    id::BookingId,
    job::Lease,
    notification::Notice,
    ports::{
        Acceptance, Claim, ClaimRequest, Claimant, Concluded, Conclusion, Ending, NewBooking, NoticeClaimant, NoticeEnding, NoticeResult,
        NoticeSettled, Store, StoreError,
    },
    store::postgres::{PostgresOptions, PostgresStore},
    testing::appointment,
};
use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::Client;

use super::{
    open,
    place::{Place, connect},
};

/// What is to come comes by then, on a busy machine as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keeps a store's only batch of requests waiting, so that whoever asks meanwhile becomes one batch.
struct Gate {
    client: Client,
    held: JoinHandle<Result<Acceptance, StoreError>>,
}

impl Gate {
    /// A store that accepts one batch at a time, and its gate, closed.
    async fn before(place: &Place, options: PostgresOptions) -> (Arc<PostgresStore>, Self) {
        let store = Arc::new(PostgresStore::open(&place.url, options.with_connections(2)).await.unwrap());
        let client = connect(&place.url).await;
        // The lock of a patient, as every request for one takes it.
        client.batch_execute("SELECT pg_advisory_lock(25453, hashtext('GATE'))").await.unwrap();
        let held = tokio::spawn({
            let (store, new) = (Arc::clone(&store), appointment().patient("GATE").doctor("GATE").new_booking());
            async move { store.accept(&new).await }
        });
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        eventually(async || client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) > 0).await;
        (store, Self { client, held })
    }

    /// Asks for all of them, and opens once they wait.
    async fn ask(self, store: &Arc<PostgresStore>, news: Vec<NewBooking>) -> Vec<Result<Acceptance, StoreError>> {
        let count = news.len() as u64;
        let asking: Vec<_> = news
            .into_iter()
            .map(|new| {
                let store = Arc::clone(store);
                tokio::spawn(async move { store.accept(&new).await })
            })
            .collect();
        // The gate itself has no patience for long, on a busy machine as well.
        eventually(async || store.stats().await.unwrap().writer_queue > count || asking.iter().any(JoinHandle::is_finished)).await;
        self.open().await;
        join_all(asking).await.into_iter().map(|answer| answer.unwrap()).collect()
    }

    async fn open(self) {
        self.client.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
        let _ = self.held.await.unwrap();
    }
}

async fn eventually(condition: impl AsyncFn() -> bool) {
    let whole = async {
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        while !condition().await {
            pace.tick().await;
        }
    };
    timeout(PATIENCE, whole).await.expect("it comes about");
}

fn count(answers: &[Result<Acceptance, StoreError>], of: impl Fn(&Acceptance) -> bool) -> usize {
    answers.iter().filter(|answer| answer.as_ref().is_ok_and(&of)).count()
}

fn is_accepted(acceptance: &Acceptance) -> bool {
    matches!(acceptance, Acceptance::Accepted(_))
}

/// Accepts and claims, for a test of what comes after.
async fn leases(store: &Arc<PostgresStore>, many: i64) -> Vec<Lease> {
    let news: Vec<_> = (0..many).map(|n| appointment().patient(&format!("P{n}")).later_by(30 * n).new_booking()).collect();
    let accepted = join_all(news.iter().map(|new| store.accept(new))).await;
    assert_eq!(count(&accepted, is_accepted), news.len(), "{accepted:?}");
    let requests: Vec<_> = news.iter().map(|new| ClaimRequest::new(new.job, new.id, false)).collect();
    let claims = store.claim(&Claimant::new("W".into(), Duration::from_secs(60), false), &requests).await.unwrap();
    let won = claims.into_iter().map(|claim| match claim {
        Claim::Won(lease) => *lease,
        other => panic!("{other:?}"),
    });
    won.collect()
}

fn confirmation(lease: Lease, worker: &str) -> Vec<Conclusion> {
    vec![Conclusion::new(lease, worker.into(), Ending::Decided(Decision::Confirmed, AttemptOutcome::Available))]
}

async fn notices(store: &Arc<PostgresStore>, leases: Vec<Lease>) -> Vec<Notice> {
    let mut requests = Vec::new();
    for concluded in join_all(leases.into_iter().map(async |lease| store.conclude(&confirmation(lease, "W")).await)).await {
        let [Concluded::Done(publications)] = &concluded.unwrap()[..] else { panic!("fenced off") };
        requests.extend(publications.iter().map(|news| ClaimRequest::new(news.message.job, news.message.booking, false)));
    }
    let claimant = NoticeClaimant::new("N".into(), Duration::from_secs(60), vec![("log".into(), 1_000), ("email".into(), 1_000)]);
    store.claim_notices(&claimant, &requests).await.unwrap().into_iter().flatten().collect()
}

#[tokio::test]
async fn two_rows_of_one_statement_that_overlap_are_one_row_and_no_error() {
    let place = Place::new().await;
    open(&place).await;
    let sql = "INSERT INTO booking (id, status, patient_name, doctor_id, start_at, end_at, timezone, language, created_at, decide_by, job) \
               SELECT gen_random_uuid(), 'pending', 'Ana', 'D', at, at + 3, 'UTC', 'es', 0, 0, gen_random_uuid() \
               FROM unnest(ARRAY[10, 12]) AS at ON CONFLICT DO NOTHING";
    assert_eq!(connect(&place.url).await.execute(sql, &[]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_overlapping_requests_in_one_batch_the_first_is_accepted() {
    let place = Place::new().await;
    let (store, gate) = Gate::before(&place, PostgresOptions::default()).await;
    // The later slot is asked for first.
    let news: Vec<_> = [15, 0, 10, 60].into_iter().map(|at| appointment().patient(&format!("P{at}")).later_by(at).new_booking()).collect();
    let first = tokio::spawn({
        let (store, new) = (Arc::clone(&store), news[0].clone());
        async move { store.accept(&new).await }
    });
    eventually(async || store.stats().await.unwrap().writer_queue > 1).await;
    let answers = gate.ask(&store, news[1..].to_vec()).await;
    assert!(matches!(first.await.unwrap(), Ok(Acceptance::Accepted(_))));
    assert!(matches!(&answers[..], [Ok(Acceptance::SlotTaken), Ok(Acceptance::SlotTaken), Ok(Acceptance::Accepted(_))]), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_equal_keys_in_one_batch_one_books_and_the_others_replay_it() {
    let place = Place::new().await;
    let (store, gate) = Gate::before(&place, PostgresOptions::default()).await;
    let answers = gate.ask(&store, (0..64).map(|_| appointment().key("api", "k").new_booking()).collect()).await;
    assert_eq!(count(&answers, is_accepted), 1, "{answers:?}");
    assert_eq!(count(&answers, |answer| matches!(answer, Acceptance::Replayed(_))), 63, "{answers:?}");
    let bookings = answers.iter().map(|answer| match answer {
        Ok(Acceptance::Accepted(booking) | Acceptance::Replayed(booking)) => booking,
        other => panic!("{other:?}"),
    });
    let ids: std::collections::HashSet<BookingId> = bookings.map(|booking| booking.id).collect();
    assert_eq!(ids.len(), 1, "all are answered with the one booking");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patients_limit_holds_within_one_batch() {
    let place = Place::new().await;
    let (store, gate) = Gate::before(&place, PostgresOptions::default()).await;
    let asked = |n: i64| appointment().patient("P").later_by(30 * n).pending_per_patient(3).new_booking();
    let answers = gate.ask(&store, (0..12).map(asked).collect()).await;
    assert_eq!(count(&answers, is_accepted), 3, "{answers:?}");
    assert_eq!(count(&answers, |answer| *answer == Acceptance::TooManyPending), 9, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_counts_not_against_its_patients_next_in_the_batch() {
    let place = Place::new().await;
    let (store, gate) = Gate::before(&place, PostgresOptions::default()).await;
    // The first two overlap; together with the third they would be one too many.
    let asked = |at: i64| appointment().patient("P").later_by(at).pending_per_patient(2).new_booking();
    let answers = gate.ask(&store, [0, 10, 60].into_iter().map(asked).collect()).await;
    assert_eq!(count(&answers, is_accepted), 2, "{answers:?}");
    assert_eq!(count(&answers, |answer| matches!(answer, Acceptance::SlotTaken | Acceptance::TooManyPending)), 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_stored_fails_alone() {
    let place = Place::new().await;
    let (store, gate) = Gate::before(&place, PostgresOptions::default()).await;
    connect(&place.url).await.batch_execute("ALTER TABLE booking ADD CHECK (patient_id <> 'POISON')").await.unwrap();
    let patient = |n| if n == 17 { "POISON".to_owned() } else { format!("P{n}") };
    let news = (0..40).map(|n| appointment().patient(&patient(n)).later_by(30 * n).new_booking()).collect();
    for (n, answer) in gate.ask(&store, news).await.into_iter().enumerate() {
        match (n, answer) {
            (17, Err(StoreError::Unavailable(error))) => assert!(!error.to_string().contains("POISON"), "no patient in an error"),
            (0..=16 | 18.., Ok(Acceptance::Accepted(_))) => {}
            (n, other) => panic!("{n}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_or_a_receipt_that_cannot_be_stored_fails_alone() {
    let place = Place::new().await;
    let store = Arc::new(open(&place).await);
    let client = connect(&place.url).await;
    client.batch_execute("ALTER TABLE timeline ADD CHECK (worker <> 'POISON')").await.unwrap();
    client.batch_execute("ALTER TABLE notice ADD CHECK (receipt <> 'POISON')").await.unwrap();
    let mut all = leases(&store, 20).await;
    let poisoned = all.pop().unwrap();
    let concluding = all.iter().map(|lease| confirmation(lease.clone(), "W")).chain([confirmation(poisoned, "POISON")]);
    let concluded = join_all(concluding.map(async |conclusion| store.conclude(&conclusion).await)).await;
    let done = concluded.iter().filter(|done| matches!(done.as_deref(), Ok([Concluded::Done(news)]) if news.len() == 1)).count();
    assert_eq!(done, 19, "{concluded:?}");
    assert!(matches!(concluded[19], Err(StoreError::Unavailable(_))), "{:?}", concluded[19]);

    let told = notices(&store, leases_of_another_day(&store).await).await;
    assert_eq!(told.len(), 20, "two channels each");
    let receipt = |n: usize| Some(if n == 3 { "POISON" } else { "R" }.to_owned());
    let results: Vec<_> =
        told.into_iter().enumerate().map(|(n, notice)| vec![NoticeResult::new(notice, NoticeEnding::Sent(receipt(n)))]).collect();
    let settled = join_all(results.iter().map(|result| store.settle_notices(result))).await;
    for (n, settled) in settled.iter().enumerate() {
        match (n, settled.as_deref()) {
            (3, Err(StoreError::Unavailable(_))) => {}
            (0..=2 | 4.., Ok([NoticeSettled::Done(woken)])) => assert!(woken.is_empty()),
            (n, other) => panic!("{n}: {other:?}"),
        }
    }
    let sql = "SELECT booking FROM notice WHERE seq IS NOT NULL GROUP BY booking, seq HAVING count(*) > 1";
    assert!(client.query(sql, &[]).await.unwrap().is_empty(), "each has a place of its own in the timeline");
}

async fn leases_of_another_day(store: &Arc<PostgresStore>) -> Vec<Lease> {
    let news: Vec<_> = (0..10).map(|n| appointment().patient(&format!("Q{n}")).doctor("Q").later_by(30 * n).new_booking()).collect();
    join_all(news.iter().map(|new| store.accept(new))).await;
    let requests: Vec<_> = news.iter().map(|new| ClaimRequest::new(new.job, new.id, false)).collect();
    let claims = store.claim(&Claimant::new("W".into(), Duration::from_secs(60), false), &requests).await.unwrap();
    let won = claims.into_iter().filter_map(|claim| match claim {
        Claim::Won(lease) => Some(*lease),
        _ => None,
    });
    won.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_claimed_or_concluded_twice_in_one_batch_is_so_once() {
    let place = Place::new().await;
    let store = Arc::new(open(&place).await);
    let lease = leases(&store, 1).await.remove(0);
    let twice = [confirmation(lease.clone(), "W"), confirmation(lease, "W")].concat();
    assert!(matches!(&store.conclude(&twice).await.unwrap()[..], [Concluded::Done(_), Concluded::Fenced]));
    let new = appointment().doctor("another").new_booking();
    store.accept(&new).await.unwrap();
    let requests = [ClaimRequest::new(new.job, new.id, false), ClaimRequest::new(new.job, new.id, false)];
    let claims = store.claim(&Claimant::new("W".into(), Duration::from_secs(60), false), &requests).await.unwrap();
    assert!(matches!(&claims[..], [Claim::Won(_), Claim::Held]), "{claims:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_in_somebodys_hand_holds_up_no_other() {
    let place = Place::new().await;
    let store = Arc::new(open(&place).await);
    let all = leases(&store, 10).await;
    let client = connect(&place.url).await;
    let stuck = all[4].booking.id;
    client.batch_execute(&format!("BEGIN; SELECT 1 FROM booking WHERE id = '{stuck}' FOR UPDATE")).await.unwrap();
    let mut concluding: FuturesUnordered<_> =
        all.iter().map(async |lease| (lease.booking.id, store.conclude(&confirmation(lease.clone(), "W")).await)).collect();
    for _ in 0..9 {
        let (id, concluded) = concluding.next().await.unwrap();
        assert!(id != stuck && matches!(concluded.as_deref(), Ok([Concluded::Done(_)])), "{concluded:?}");
    }
    let (id, concluded) = concluding.next().await.unwrap();
    assert!(id == stuck && matches!(concluded, Err(StoreError::Unavailable(_))), "{concluded:?}");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert!(matches!(store.conclude(&confirmation(all[4].clone(), "W")).await.as_deref(), Ok([Concluded::Done(_)])));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_fight_for_the_same_slots_never_deadlock() {
    let place = Place::new().await;
    let stores = [Arc::new(open(&place).await), Arc::new(open(&place).await)];
    let mut tasks = Vec::new();
    for task in 0..32_i64 {
        let store = Arc::clone(&stores[task as usize % 2]);
        tasks.push(tokio::spawn(async move {
            // Each in an order of its own, all at once.
            let news: Vec<_> = (0..24)
                .map(|n| {
                    let slot = (n * 7 + task * 5) % 24;
                    let wish = appointment().patient(&format!("P{task}-{n}")).doctor(&format!("D{}", slot % 3)).later_by(20 * slot);
                    wish.key("api", &format!("{task}-{n}")).new_booking()
                })
                .collect();
            join_all(news.iter().map(|new| store.accept(new))).await
        }));
    }
    let answers: Vec<_> = join_all(tasks).await.into_iter().flat_map(|answers| answers.unwrap()).collect();
    assert_eq!(count(&answers, is_accepted) + count(&answers, |answer| *answer == Acceptance::SlotTaken), 32 * 24, "{answers:?}");
    let client = connect(&place.url).await;
    let overlapping = "SELECT count(*) FROM booking AS one JOIN booking AS two ON one.doctor_id = two.doctor_id AND one.id < two.id \
                       AND one.start_at < two.end_at AND two.start_at < one.end_at";
    assert_eq!(client.query_one(overlapping, &[]).await.unwrap().get::<_, i64>(0), 0);
    let whole = "SELECT count(*) FROM booking LEFT JOIN job ON job.booking = booking.id AND job.id = booking.job WHERE job.id IS NULL";
    assert_eq!(client.query_one(whole, &[]).await.unwrap().get::<_, i64>(0), 0, "a booking without its job");
    drop(stores);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(client.query_one(deadlocks, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_shed_first_and_work_goes_on() {
    let place = Place::new().await;
    let before = Arc::new(open(&place).await);
    let all = leases(&before, 3).await;
    let mut options = PostgresOptions::default();
    options.waiting_accepts = 1;
    let (store, gate) = Gate::before(&place, options).await;
    let waiting = tokio::spawn({
        let (store, new) = (Arc::clone(&store), appointment().patient("WAITS").doctor("W").new_booking());
        async move { store.accept(&new).await }
    });
    eventually(async || store.stats().await.unwrap().writer_queue > 1).await;
    let shed = store.accept(&appointment().patient("SHED").doctor("S").new_booking()).await;
    assert!(matches!(shed, Err(StoreError::Busy)), "{shed:?}");
    for lease in all {
        assert!(matches!(store.conclude(&confirmation(lease, "W")).await.as_deref(), Ok([Concluded::Done(_)])), "work has room");
    }
    gate.open().await;
    assert!(matches!(waiting.await.unwrap(), Ok(Acceptance::Accepted(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_leaves_all_or_nothing() {
    let place = Place::new().await;
    let (store, gate) = Gate::before(&place, PostgresOptions::default()).await;
    let leaving: Vec<_> = (0..20)
        .map(|n| {
            let (store, new) = (Arc::clone(&store), appointment().patient(&format!("P{n}")).later_by(30 * n).new_booking());
            tokio::spawn(async move { store.accept(&new).await })
        })
        .collect();
    eventually(async || store.stats().await.unwrap().writer_queue > 20).await;
    for (n, caller) in leaving.into_iter().enumerate() {
        if n % 2 == 0 {
            caller.abort();
        }
    }
    gate.open().await;
    store.close().await;
    let client = connect(&place.url).await;
    let row = client.query_one("SELECT (SELECT count(*) FROM booking), (SELECT count(*) FROM job)", &[]).await.unwrap();
    let (bookings, jobs): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(bookings, jobs);
    assert!((10..=21).contains(&bookings), "{bookings}: those that stayed are there");
}
