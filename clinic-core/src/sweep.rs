//! The sweep that every process makes: bookings past their deadline are rejected and patients are reminded, whoever is alive to do it.
//!
//! Overdue jobs and notices are swept by those who have room for them: the worker and the notifier.

use std::{sync::Arc, time::Duration};

use metrics::counter;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    notification::EventKind,
    ports::Store,
    relay::Relay,
    topology::{Publication, Route},
};

/// Bookings rejected, or reminded of, in one write.
const BATCH: usize = 500;

/// Applies deadlines and makes reminders every `period`, until shutdown.
pub async fn run(store: Arc<dyn Store>, relay: Relay, period: Duration, shutdown: CancellationToken) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        while apply_deadlines(&*store, &relay).await == BATCH && !shutdown.is_cancelled() {}
        while remind(&*store, &relay).await == BATCH && !shutdown.is_cancelled() {}
    }
}

/// One batch; how many bookings it rejected.
async fn apply_deadlines(store: &dyn Store, relay: &Relay) -> usize {
    match store.expire(BATCH).await {
        Ok(publications) => {
            relay.send(&publications);
            count_rejected(&publications)
        }
        Err(error) => {
            tracing::debug!(%error, "cannot apply deadlines");
            0
        }
    }
}

/// One batch; how many reminders it made.
async fn remind(store: &dyn Store, relay: &Relay) -> usize {
    match store.remind(BATCH).await {
        Ok(publications) => {
            relay.send(&publications);
            counter!("clinic_reminders_total").increment(publications.len() as u64);
            publications.len()
        }
        Err(error) => {
            tracing::debug!(%error, "cannot make reminders");
            0
        }
    }
}

/// Counts the rejections among what a write wants published; how many there are.
pub(crate) fn count_rejected(publications: &[Publication]) -> usize {
    let rejected = publications.iter().filter(|publication| publication.route == Route::News(EventKind::Rejected)).count();
    counter!("clinic_bookings_decided_total", "outcome" => "rejected").increment(rejected as u64);
    rejected
}
