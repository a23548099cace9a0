//! The adapters of this crate, held against the contracts of their ports.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use clinic_core::{
    broker::EmbeddedBroker,
    ports::{Broker, Clock, Store},
    store::sqlite::{SqliteOptions, SqliteStore},
    testing::{FaultyBroker, exercise_broker, exercise_store},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_sqlite_store_keeps_its_contract() {
    let folder = tempfile::tempdir().unwrap();
    let stores = AtomicU32::new(0);
    exercise_store(async |clock: Arc<dyn Clock>| {
        let path = folder.path().join(format!("{}.db", stores.fetch_add(1, Ordering::Relaxed)));
        let open = tokio::task::spawn_blocking(move || SqliteStore::open(&path, clock, SqliteOptions::default()));
        Arc::new(open.await.unwrap().unwrap()) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_broker_keeps_its_contract() {
    exercise_broker(async || Arc::new(EmbeddedBroker::default()) as Arc<dyn Broker>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_faults_is_the_broker_it_wraps() {
    exercise_broker(async || Arc::new(FaultyBroker::new(Arc::new(EmbeddedBroker::default()))) as Arc<dyn Broker>).await;
}
