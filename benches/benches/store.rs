//! What the SQLite store costs a booking, at several numbers of bookings a commit. Figures are per booking.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use clinic_benches::ward::Ward;
use clinic_core::ports::SystemClock;
use clinic_core::reminder::Reminders;
use clinic_core::store::sqlite::{SqliteOptions, SqliteStore};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

fn stages(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime can be started");
    // Here and not in the system's temporary directory, which may be memory: a sync must reach a disk.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let mut group = criterion.benchmark_group("store");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    for batch in [1usize, 64, 1024] {
        let path = directory.path().join(format!("{batch}.db"));
        let store = SqliteStore::open(&path, Arc::new(SystemClock), SqliteOptions::default()).expect("a store can be made");
        let mut ward = Ward::new(Arc::new(store), Utc::now());
        group.throughput(Throughput::Elements(batch as u64));
        for stage in [Stage::Accept, Stage::Claim, Stage::Conclude, Stage::Tell] {
            group.bench_function(BenchmarkId::new(stage.name(), batch), |bench| {
                bench.iter_custom(|times| runtime.block_on(stage.time(&mut ward, batch, times)));
            });
        }
        runtime.block_on(ward.close());
    }
    group.finish();
}

/// What planning a reminder adds to a decision: the same stage with and without.
fn reminders(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime can be started");
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let mut group = criterion.benchmark_group("conclude");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(64));
    for (name, reminders) in [("with a reminder", Reminders::default()), ("without", Reminders::none())] {
        let options = SqliteOptions::default().with_reminders(reminders);
        let path = directory.path().join(format!("{name}.db"));
        let store = SqliteStore::open(&path, Arc::new(SystemClock), options).expect("a store can be made");
        let mut ward = Ward::new(Arc::new(store), Utc::now());
        group.bench_function(name, |bench| {
            bench.iter_custom(|times| runtime.block_on(Stage::Conclude.time(&mut ward, 64, times)));
        });
        runtime.block_on(ward.close());
    }
    group.finish();
}

/// A stage of a booking's way; the stages before it are run too, but not timed.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Stage {
    Accept,
    Claim,
    Conclude,
    Tell,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Claim => "claim",
            Self::Conclude => "conclude",
            Self::Tell => "tell",
        }
    }

    async fn time(self, ward: &mut Ward, batch: usize, times: u64) -> Duration {
        let mut sum = Duration::ZERO;
        for _ in 0..times {
            let begun = Instant::now();
            let accepted = ward.accept(batch).await;
            if self == Self::Accept {
                sum += begun.elapsed();
                continue;
            }
            let begun = Instant::now();
            let leases = ward.claim(&accepted).await;
            if self == Self::Claim {
                sum += begun.elapsed();
                continue;
            }
            let begun = Instant::now();
            let publications = ward.conclude(leases).await;
            if self == Self::Conclude {
                sum += begun.elapsed();
                continue;
            }
            let begun = Instant::now();
            ward.tell(&publications).await;
            sum += begun.elapsed();
        }
        sum
    }
}

criterion_group!(store, stages, reminders);
criterion_main!(store);
