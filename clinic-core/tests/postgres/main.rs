//! The PostgreSQL store against a real server: `CLINIC_TEST_POSTGRES` names one where databases may be made.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod batches;
mod doubts;
mod faults;
mod opening;
mod place;
mod relay;
mod rules;

use std::sync::Arc;

use clinic_core::{
    ports::{Clock, Store},
    store::postgres::{PostgresOptions, PostgresStore},
    testing::exercise_store,
};

use tokio::sync::Mutex;

use self::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn the_postgres_store_keeps_its_contract() {
    // One store at a time, so one database.
    let last = Mutex::new(None);
    exercise_store(async |clock: Arc<dyn Clock>| {
        let mut last = last.lock().await;
        if let Some(place) = last.take() {
            Place::remove(place).await;
        }
        let place = Place::new().await;
        let options = PostgresOptions::default().with_clock(clock).with_connections(4);
        let store = PostgresStore::open(&place.url, options).await.unwrap();
        *last = Some(place);
        Arc::new(store) as Arc<dyn Store>
    })
    .await;
}

/// A store on a database of a test's own, by the server's clock.
async fn open(place: &Place) -> PostgresStore {
    PostgresStore::open(&place.url, PostgresOptions::default()).await.unwrap()
}
