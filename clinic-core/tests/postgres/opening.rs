//! What refuses to open, and why.

use clinic_core::{
    ports::Store,
    store::postgres::{PostgresOpenError, PostgresOptions, PostgresStore},
};
use futures_util::future::join_all;

use super::{
    open,
    place::{Place, connect, server, with_database},
};

async fn refusal(url: &str) -> PostgresOpenError {
    PostgresStore::open(url, PostgresOptions::default()).await.expect_err("it is no server that a clinic can use")
}

#[tokio::test]
async fn who_is_turned_away_is_told_without_secrets() {
    let place = Place::new().await;
    let (_, rest) = place.url.split_once('@').unwrap();
    for url in [with_database(&server(), "nowhere_at_all"), format!("postgres://nobody_at_all:secret@{rest}")] {
        let error = refusal(&url).await;
        assert!(matches!(error, PostgresOpenError::Connection { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_committed_is_refused() {
    let place = Place::new().await;
    let client = connect(&server()).await;
    client.batch_execute(&format!("ALTER DATABASE {} SET synchronous_commit = off", place.name)).await.unwrap();
    assert!(matches!(refusal(&place.url).await, PostgresOpenError::Unsafe { setting: "synchronous_commit", .. }));
    client.batch_execute(&format!("ALTER DATABASE {} SET synchronous_commit = local", place.name)).await.unwrap();
    open(&place).await;
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_refused() {
    let place = Place::new().await;
    let sql = format!("ALTER DATABASE {} SET default_transaction_read_only = on", place.name);
    connect(&server()).await.batch_execute(&sql).await.unwrap();
    assert!(matches!(refusal(&place.url).await, PostgresOpenError::Connection { .. }));
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let place = Place::new().await;
    let name = format!("{}_ascii", place.name);
    let sql = format!("CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    connect(&server()).await.batch_execute(&sql).await.unwrap();
    let refused = refusal(&with_database(&server(), &name)).await;
    assert!(matches!(refused, PostgresOpenError::Unsafe { setting: "server_encoding", .. }), "{refused:?}");
}

#[tokio::test]
async fn a_schema_that_asks_for_a_newer_release_is_refused_and_one_that_only_added_is_not() {
    let place = Place::new().await;
    open(&place).await.close().await;
    let client = connect(&place.url).await;
    client.batch_execute("INSERT INTO schema_migrations (version, minimum) VALUES (98, 1)").await.unwrap();
    open(&place).await.probe().await.unwrap();
    client.batch_execute("INSERT INTO schema_migrations (version, minimum) VALUES (99, 99)").await.unwrap();
    assert!(matches!(refusal(&place.url).await, PostgresOpenError::NewerSchema { minimum: 99, .. }));
}

#[tokio::test]
async fn several_may_start_on_a_new_database_at_once() {
    let place = Place::new().await;
    for opened in join_all((0..6).map(|_| PostgresStore::open(&place.url, PostgresOptions::default()))).await {
        opened.unwrap().probe().await.unwrap();
    }
}
