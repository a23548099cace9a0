//! Calls of one kind that share transactions.
//!
//! One task drains what waits into batches. A few are under way at once, so that the next one fills and starts while another waits for
//! the disk. Each kind has a queue and batches of its own: a rush of requests keeps no work from being done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::histogram;
use tokio::{
    sync::{
        Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::yield_now,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::ports::StoreError;

/// Calls that can be answered together.
pub(super) trait Together: Send + Sync + 'static {
    type Call: Send + 'static;
    type Answer: Send + 'static;

    /// How much a call adds to a batch.
    fn rows(call: &Self::Call) -> usize;

    /// Answers each of them as soon as that can be done.
    fn run(&self, calls: Vec<Self::Call>, callers: &mut Callers<Self::Answer>) -> impl Future<Output = ()> + Send;
}

/// Who is to be answered, by the places of their calls in a batch.
pub(super) struct Callers<A>(Vec<Option<Caller<A>>>);

type Caller<A> = (oneshot::Sender<Result<A, StoreError>>, Counted);

impl<A> Callers<A> {
    /// Answers one; the first answer is the one that counts.
    pub(super) fn answer(&mut self, place: usize, answer: Result<A, StoreError>) {
        if let Some((caller, _counted)) = self.0.get_mut(place).and_then(Option::take) {
            // A caller that gave up does not listen any more.
            let _ = caller.send(answer);
        }
    }
}

/// The measures of a queue.
#[derive(Clone, Copy)]
pub(super) struct Measures {
    /// Calls that may wait.
    pub(super) waiting: usize,
    /// Whether a call beyond those is refused at once, or waits for room as long as it has patience.
    pub(super) sheds: bool,
    /// Rows of one batch, about.
    pub(super) rows: usize,
    /// Batches under way at once.
    pub(super) under_way: usize,
    /// How long a call may wait to be begun.
    pub(super) patience: Duration,
}

/// A queue of calls, and the task that works it off.
pub(super) struct Batcher<T: Together> {
    queue: mpsc::Sender<Waiting<T>>,
    measures: Measures,
    writes: Arc<AtomicU64>,
    closing: CancellationToken,
}

struct Waiting<T: Together> {
    call: T::Call,
    begun: Begun,
    answer: oneshot::Sender<Result<T::Answer, StoreError>>,
    counted: Counted,
}

/// Whether a call was begun, or taken back by its caller: whoever sets it first decides.
#[derive(Clone, Default)]
struct Begun(Arc<AtomicBool>);

impl Begun {
    /// Sets it; `true` for the first.
    fn set(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

impl<T: Together> Batcher<T> {
    pub(super) fn start(work: T, measures: Measures, writes: &Arc<AtomicU64>) -> Self {
        let (queue, waiting) = mpsc::channel(measures.waiting.max(1));
        let closing = CancellationToken::new();
        let line = Line { waiting, work: Arc::new(work), measures, closing: closing.clone() };
        // It ends once this is closed or dropped, and what it has begun with it.
        tokio::spawn(line.run());
        Self { queue, measures, writes: Arc::clone(writes), closing }
    }

    /// Makes a call part of a batch and returns once that is committed.
    pub(super) async fn submit(&self, call: T::Call) -> Result<T::Answer, StoreError> {
        let (answer, mut answered) = oneshot::channel();
        let begun = Begun::default();
        let waiting = Waiting { call, begun: begun.clone(), answer, counted: Counted::new(&self.writes) };
        self.room().await?.send(waiting);
        // Only a fault of ours drops a call that was begun.
        let lost = || StoreError::Unknown("a batch ended without an answer".into());
        match timeout(self.measures.patience, &mut answered).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(lost())),
            // Not begun: taken back, surely not done. Begun: each of its steps is bounded.
            Err(_) if begun.set() => Err(StoreError::Busy),
            Err(_) => answered.await.unwrap_or_else(|_| Err(lost())),
        }
    }

    async fn room(&self) -> Result<mpsc::Permit<'_, Waiting<T>>, StoreError> {
        if self.closing.is_cancelled() {
            return Err(closed());
        }
        if self.measures.sheds {
            return self.queue.try_reserve().map_err(|error| match error {
                TrySendError::Full(()) => StoreError::Busy,
                TrySendError::Closed(()) => closed(),
            });
        }
        match timeout(self.measures.patience, self.queue.reserve()).await {
            Ok(room) => room.map_err(|_| closed()),
            Err(_) => Err(StoreError::Busy),
        }
    }

    /// Takes no more; what waits is worked off.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }
}

/// The queue's other end.
struct Line<T: Together> {
    waiting: mpsc::Receiver<Waiting<T>>,
    work: Arc<T>,
    measures: Measures,
    closing: CancellationToken,
}

impl<T: Together> Line<T> {
    async fn run(mut self) {
        let (room, under_way) = (Arc::new(Semaphore::new(self.measures.under_way)), TaskTracker::new());
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            let first = tokio::select! {
                first = self.waiting.recv() => first,
                () = self.closing.cancelled(), if !self.waiting.is_closed() => {
                    self.waiting.close();
                    continue;
                }
            };
            let Some(first) = first else { break };
            // Whoever the last batch has just answered may ask again at once: together, rather than one after the other.
            yield_now().await;
            let batch = self.fill(first);
            let work = Arc::clone(&self.work);
            under_way.spawn(async move {
                run(&*work, batch).await;
                drop(place);
            });
        }
        under_way.close();
        under_way.wait().await;
    }

    fn fill(&mut self, first: Waiting<T>) -> Vec<Waiting<T>> {
        let (mut rows, mut batch, mut next) = (0, Vec::new(), Some(first));
        while let Some(waiting) = next {
            // Nobody waits any more for what was taken back or dropped before it was begun.
            if !waiting.answer.is_closed() && waiting.begun.set() {
                rows += T::rows(&waiting.call);
                batch.push(waiting);
            }
            next = if rows < self.measures.rows { self.waiting.try_recv().ok() } else { None };
        }
        batch
    }
}

async fn run<T: Together>(work: &T, batch: Vec<Waiting<T>>) {
    if batch.is_empty() {
        return;
    }
    histogram!("clinic_store_commit_commands").record(batch.len() as f64);
    let (calls, callers) = batch.into_iter().map(|waiting| (waiting.call, Some((waiting.answer, waiting.counted)))).unzip();
    work.run(calls, &mut Callers(callers)).await;
}

/// Counts a write for as long as it waits or runs.
pub(super) struct Counted(Arc<AtomicU64>);

impl Counted {
    pub(super) fn new(writes: &Arc<AtomicU64>) -> Self {
        writes.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(writes))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}
