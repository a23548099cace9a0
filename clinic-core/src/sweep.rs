//! The sweep that every process makes: bookings past their deadline are rejected, whoever is alive to do it.
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

/// Bookings rejected in one write.
const BATCH: usize = 500;

/// Applies deadlines every `period`, until shutdown.
pub async fn run(store: Arc<dyn Store>, relay: Relay, period: Duration, shutdown: CancellationToken) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        loop {
            match store.expire(BATCH).await {
                Ok(publications) => {
                    let rejected = count_rejected(&publications);
                    relay.send(&publications);
                    if rejected < BATCH || shutdown.is_cancelled() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot apply deadlines");
                    break;
                }
            }
        }
    }
}

/// Counts the rejections among what a write wants published; how many there are.
pub(crate) fn count_rejected(publications: &[Publication]) -> usize {
    let rejected = publications.iter().filter(|publication| publication.route == Route::News(EventKind::Rejected)).count();
    counter!("clinic_bookings_decided_total", "outcome" => "rejected").increment(rejected as u64);
    rejected
}
