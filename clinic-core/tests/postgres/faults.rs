//! Sessions that are ended under the store, and servers that silently do nothing.

use std::{sync::Arc, time::Duration};

use clinic_core::{
    ports::{Acceptance, Store, StoreError},
    store::postgres::{PostgresOpenError, PostgresOptions, PostgresStore},
    testing::appointment,
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    open,
    place::{Place, connect, server},
};

/// What is to come comes by then, on a busy machine as well.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn sessions_ended_at_any_moment_make_nobody_told_wrong() {
    let place = Place::new().await;
    let store = Arc::new(open(&place).await);
    let stop = CancellationToken::new();
    let killer = tokio::spawn({
        let (client, stop, name) = (connect(&server()).await, stop.clone(), place.name.clone());
        async move {
            let (mut ended, mut pace) = (0, tokio::time::interval(Duration::from_millis(20)));
            while !stop.is_cancelled() {
                pace.tick().await;
                let sql = "SELECT count(pg_terminate_backend(pid)) FROM \
                           (SELECT pid FROM pg_stat_activity WHERE datname = $1 ORDER BY random() LIMIT 1) AS one";
                ended += client.query_one(sql, &[&name]).await.unwrap().get::<_, i64>(0);
            }
            ended
        }
    });
    let mut tasks = Vec::new();
    for task in 0..8_i64 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let mut answers = Vec::new();
            for n in 0..60 {
                let new = appointment().patient(&format!("P{task}")).doctor(&format!("D{task}")).later_by(30 * n).new_booking();
                answers.push((new.id, store.accept(&new).await));
            }
            answers
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.extend(task.await.unwrap());
    }
    stop.cancel();
    assert!(killer.await.unwrap() > 0, "nothing was ended");
    let mut accepted = 0;
    for (id, answer) in answers {
        let there = store.recall(id).await.unwrap().is_some();
        match answer {
            Ok(Acceptance::Accepted(_)) => {
                accepted += 1;
                assert!(there, "an accepted booking is gone");
            }
            Err(StoreError::Unavailable(_) | StoreError::Busy) => assert!(!there, "one that was surely not booked is there"),
            Err(StoreError::Unknown(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(accepted > 0, "it never came back");
    store.probe().await.unwrap();
}

#[tokio::test]
async fn a_session_that_was_ended_while_idle_costs_no_call() {
    let place = Place::new().await;
    let store = open(&place).await;
    store.probe().await.unwrap();
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1";
    connect(&server()).await.query_one(sql, &[&place.name]).await.unwrap();
    store.probe().await.unwrap();
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://clinic:secret@{}/clinic", listener.local_addr().unwrap());
    let opened = timeout(PATIENCE, PostgresStore::open(&url, PostgresOptions::default())).await.expect("it is given up");
    let Err(error @ PostgresOpenError::Connection { .. }) = opened else { panic!("{opened:?}") };
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test]
async fn a_booking_in_somebodys_hand_is_waited_for_within_bounds() {
    let place = Place::new().await;
    let store = open(&place).await;
    let new = appointment().new_booking();
    assert!(matches!(store.accept(&new).await, Ok(Acceptance::Accepted(_))));
    let client = connect(&place.url).await;
    client.batch_execute("BEGIN; SELECT 1 FROM booking FOR UPDATE").await.unwrap();
    assert!(matches!(timeout(PATIENCE, store.cancel(new.id)).await.unwrap(), Err(StoreError::Unavailable(_))));
    client.batch_execute("ROLLBACK").await.unwrap();
    assert!(store.cancel(new.id).await.is_ok());
}
