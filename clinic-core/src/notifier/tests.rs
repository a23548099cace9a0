use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::*;
use crate::{
    broker::EmbeddedBroker,
    ports::{Acceptance, Cancellation, Channel, ChannelError, Receipt, SystemClock},
    store::sqlite::{SqliteOptions, SqliteStore},
    testing::{FaultyBroker, appointment},
    topology::Publication,
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

/// Has little room, and takes a little time.
struct Narrow(AtomicUsize);

#[async_trait]
impl Channel for Arc<Narrow> {
    fn name(&self) -> &str {
        "narrow"
    }

    async fn send(&self, _: &Notice) -> Result<Receipt, ChannelError> {
        sleep(Duration::from_millis(1)).await;
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Receipt::none())
    }

    fn concurrency(&self) -> usize {
        8
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_worked_off_however_little_room_there_is_and_whenever_it_becomes_free() {
    const LEFT: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { patience: Duration::from_secs(60), ..SqliteOptions::default() };
    let store = Arc::new(SqliteStore::open(&folder.path().join("clinic.db"), Arc::new(SystemClock), options).unwrap());
    let broker = Arc::new(EmbeddedBroker::default());
    let narrow = Arc::new(Narrow(AtomicUsize::new(0)));
    let notifier = Notifier {
        store: Arc::clone(&store) as Arc<dyn Store>,
        broker: Arc::clone(&broker) as Arc<dyn Broker>,
        outlets: Arc::new(Outlets::new(vec![Arc::new(Arc::clone(&narrow))])),
        // No tick comes to the rescue.
        settings: Arc::new(Settings { sweep: Duration::from_secs(3600), ..Settings::default() }),
    };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(run(notifier, shutdown.clone()));
    for hour in 0..LEFT {
        broker.publish(&cancelled(&store, hour as i64).await).await;
    }
    until("all are told", async || narrow.0.load(Ordering::SeqCst) == LEFT).await;
    shutdown.cancel();
    running.await.unwrap();
}

/// Takes a notice once it is let.
struct Held {
    asked: AtomicUsize,
    let_go: tokio::sync::Semaphore,
}

#[async_trait]
impl Channel for Arc<Held> {
    fn name(&self) -> &str {
        "held"
    }

    async fn send(&self, _: &Notice) -> Result<Receipt, ChannelError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _permit = self.let_go.acquire().await;
        Ok(Receipt::none())
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(Duration::from_secs(20), waiting).await.is_ok(), "{what}");
}

async fn cancelled(store: &SqliteStore, hour: i64) -> Vec<Publication> {
    let at = chrono::Utc::now() + chrono::Duration::days(1) + chrono::Duration::hours(hour);
    let new = appointment().at(at).new_booking();
    assert!(matches!(store.accept(&new).await, Ok(Acceptance::Accepted(_))));
    match store.cancel(new.id).await {
        Ok(Cancellation::Done(_, publications)) => publications,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_cut_off_for_a_moment_keeps_the_messages_of_what_it_sends() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::default();
    let store = Arc::new(SqliteStore::open(&folder.path().join("clinic.db"), Arc::new(SystemClock), options).unwrap());
    let queue = Arc::new(EmbeddedBroker::default());
    let broker = Arc::new(FaultyBroker::new(Arc::clone(&queue) as Arc<dyn Broker>));
    let held = Arc::new(Held { asked: AtomicUsize::new(0), let_go: tokio::sync::Semaphore::new(0) });
    let notifier = Notifier {
        store: Arc::clone(&store) as Arc<dyn Store>,
        broker: Arc::clone(&broker) as Arc<dyn Broker>,
        outlets: Arc::new(Outlets::new(vec![Arc::new(Arc::clone(&held))])),
        settings: Arc::new(Settings { sweep: Duration::from_secs(3600), ..Settings::default() }),
    };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(run(notifier, shutdown.clone()));
    let asked = |times| {
        let held = Arc::clone(&held);
        async move || held.asked.load(Ordering::SeqCst) == times
    };
    let waiting = |messages| {
        let queue = Arc::clone(&queue);
        async move || queue.depth(Queue::Notifications).await == Some(messages)
    };

    broker.publish(&cancelled(&store, 0).await).await;
    until("the first is being sent", asked(1)).await;
    broker.set_closed(true);
    until("its message is back in the queue", waiting(1)).await;
    broker.set_closed(false);
    until("it came again", waiting(0)).await;
    // Behind it: once this is being sent, that one was dealt with.
    broker.publish(&cancelled(&store, 1).await).await;
    until("the second is being sent", asked(2)).await;
    broker.set_closed(true);
    until("both messages are still unacknowledged", waiting(2)).await;
    broker.set_closed(false);
    until("they came again", waiting(0)).await;
    held.let_go.add_permits(100);
    broker.publish(&cancelled(&store, 2).await).await;
    until("the third is sent", asked(3)).await;
    shutdown.cancel();
    running.await.unwrap();
    assert!(waiting(0)().await, "everything was acknowledged");
    assert_eq!(held.asked.load(Ordering::SeqCst), 3, "each was sent once");
}
