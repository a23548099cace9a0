use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;

use super::*;
use crate::{
    broker::EmbeddedBroker,
    ports::{Acceptance, Cancellation, Channel, ChannelError, Receipt, SystemClock},
    store::sqlite::{SqliteOptions, SqliteStore},
    testing::appointment,
};

/// Takes whatever it is given, at once.
struct Counting(AtomicUsize);

#[async_trait]
impl Channel for Arc<Counting> {
    fn name(&self) -> &str {
        "counting"
    }

    async fn send(&self, _: &Notice) -> Result<Receipt, ChannelError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Receipt::none())
    }

    fn concurrency(&self) -> usize {
        // More than there is to tell: it is never full, so no room given back asks for another sweep.
        1_000_000
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_outage_left_untold_is_told_in_one_sweep_however_much_it_is() {
    const LEFT: usize = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clinic.db");
    // Thousands ask at once, and a busy machine may let them wait.
    let options = SqliteOptions { patience: Duration::from_secs(60), ..SqliteOptions::default().with_grace(Duration::ZERO) };
    let store = Arc::new(SqliteStore::open(&path, Arc::new(SystemClock), options).unwrap());
    let soon = chrono::Utc::now() + chrono::Duration::days(1);
    let cancelled = (0..LEFT).map(async |_| {
        let new = appointment().at(soon).without_doctor().pending_per_patient(u32::MAX).new_booking();
        assert!(matches!(store.accept(&new).await, Ok(Acceptance::Accepted(_))));
        // Nobody hears of it: its notice is found in the store or not at all.
        assert!(matches!(store.cancel(new.id).await, Ok(Cancellation::Done(..))));
    });
    join_all(cancelled).await;

    let counting = Arc::new(Counting(AtomicUsize::new(0)));
    let settings = Settings { sweep: Duration::from_secs(3600), ..Settings::default() };
    let notifier = Notifier {
        store,
        broker: Arc::new(EmbeddedBroker::default()),
        outlets: Arc::new(Outlets::new(vec![Arc::new(counting.clone())])),
        settings: Arc::new(settings),
    };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(run(notifier, shutdown.clone()));
    let told = async {
        while counting.0.load(Ordering::SeqCst) < LEFT {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let all = timeout(Duration::from_secs(30), told).await;
    assert!(all.is_ok(), "{} of {LEFT} were told", counting.0.load(Ordering::SeqCst));
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(counting.0.load(Ordering::SeqCst), LEFT, "each once");
}
