//! Where a worker's bookings come from: the broker, and the sweep for what the broker lost.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::FutureExt;
use metrics::counter;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Desk, attempt};
use crate::{
    chance::chance,
    crash::crash_point,
    id::JobId,
    job::{JobKind, Lease},
    message::Message,
    ports::{Claim, ClaimRequest, Consumer, Delivery},
    sweep::count_rejected,
    topology::{Publication, Queue, Route},
};

/// Deliveries claimed in one write.
const BATCH: usize = 256;
/// Overdue jobs claimed in one write.
const SWEEP_BATCH: usize = 1_000;

/// Consumes until shutdown. Returns the consumer, cancelled, so that its unacknowledged deliveries live on.
pub(super) async fn consume(
    desk: &Arc<Desk>,
    prefetch: usize,
    shutdown: &CancellationToken,
    abandon: &CancellationToken,
) -> Option<Box<dyn Consumer>> {
    loop {
        let consuming = tokio::select! {
            consuming = desk.worker.broker.consume(Queue::Bookings, prefetch) => consuming,
            () = shutdown.cancelled() => return None,
        };
        if let Ok(mut consumer) = consuming {
            session(desk, &mut *consumer, shutdown, abandon).await;
            if shutdown.is_cancelled() {
                consumer.cancel().await;
                return Some(consumer);
            }
        }
        // Jittered, so that a fleet does not come back at once. Meanwhile the sweep goes on.
        tokio::select! {
            () = sleep(Duration::from_millis(200).mul_f64(1.0 + chance())) => {}
            () = shutdown.cancelled() => return None,
        }
    }
}

async fn session(desk: &Arc<Desk>, consumer: &mut dyn Consumer, shutdown: &CancellationToken, abandon: &CancellationToken) {
    loop {
        let first = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            delivery = consumer.next() => match delivery {
                Some(delivery) => delivery,
                None => return,
            },
        };
        let mut batch = Vec::new();
        let permit = tokio::select! {
            permit = Arc::clone(&desk.room).acquire_owned() => permit,
            () = shutdown.cancelled() => return,
        };
        let Ok(permit) = permit else { return };
        take(&mut batch, first, permit);
        while batch.len() < BATCH
            && let Ok(permit) = Arc::clone(&desk.room).try_acquire_owned()
            && let Some(Some(delivery)) = consumer.next().now_or_never()
        {
            take(&mut batch, delivery, permit);
        }
        claim(desk, batch, shutdown, abandon).await;
    }
}

type Taken = (Message, Delivery, OwnedSemaphorePermit);

fn take(batch: &mut Vec<Taken>, delivery: Delivery, permit: OwnedSemaphorePermit) {
    match Message::parse(&delivery.body) {
        Ok(message) => batch.push((message, delivery, permit)),
        Err(error) => {
            counter!("clinic_poison_total", "queue" => "booking_queue").increment(1);
            tracing::warn!(%error, bytes = delivery.body.len(), "a message cannot be understood; it goes to booking_queue.dead");
            delivery.reject();
        }
    }
}

async fn claim(desk: &Arc<Desk>, batch: Vec<Taken>, shutdown: &CancellationToken, abandon: &CancellationToken) {
    let mut seen = HashSet::new();
    let requests: Vec<_> = batch.iter().map(|(message, delivery, _)| request(desk, message, delivery, &mut seen)).collect();
    if requests.is_empty() {
        return;
    }
    let claims = loop {
        match desk.worker.store.claim(&desk.claimant, &requests).await {
            Ok(claims) => break claims,
            Err(error) => {
                tracing::warn!(%error, "cannot claim bookings; trying again");
                tokio::select! {
                    () = sleep(Duration::from_millis(500)) => {}
                    () = shutdown.cancelled() => return,
                }
            }
        }
    };
    crash_point!("claimed");
    for (((message, delivery, permit), claim), request) in batch.into_iter().zip(claims).zip(requests) {
        match claim {
            Claim::Won(lease) => {
                counter!("clinic_claims_total", "path" => "broker").increment(1);
                start(desk, *lease, Some(delivery), permit, abandon);
            }
            Claim::Gone | Claim::Held => delivery.ack(),
            Claim::Yours => {
                let remains = match request.held {
                    Some(token) => desk.in_flight.keep(token, delivery),
                    None => Some(delivery),
                };
                if let Some(remains) = remains {
                    remains.ack();
                }
            }
            Claim::NotDue(due) => {
                let pause = (due - desk.worker.clock.now()).to_std().unwrap_or_default();
                desk.worker.relay.send_after(pause, Publication::new(message, Route::Work));
                delivery.ack();
            }
            Claim::Ended(publications) => {
                count_rejected(&publications);
                desk.worker.relay.send(&publications);
                delivery.ack();
            }
        }
    }
}

/// After a lost connection a worker's own messages come again, to itself too: what it holds is not lost.
/// Nor is what another copy in the same batch has just won.
fn request(desk: &Desk, message: &Message, delivery: &Delivery, seen: &mut HashSet<JobId>) -> ClaimRequest {
    let is_first = seen.insert(message.job);
    let request = ClaimRequest::new(message.job, message.booking, delivery.redelivered && is_first);
    if !request.redelivered {
        return request;
    }
    desk.in_flight.token_of(message.job).map_or(request, |token| request.holding(token))
}

/// Claims overdue jobs straight from the store, as many as there is room for, until shutdown.
pub(super) async fn sweep(desk: &Arc<Desk>, shutdown: &CancellationToken, abandon: &CancellationToken) {
    let mut ticks = interval(desk.worker.settings.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        while !shutdown.is_cancelled() && sweep_once(desk, abandon).await {}
    }
}

/// One batch; whether there may be more.
async fn sweep_once(desk: &Arc<Desk>, abandon: &CancellationToken) -> bool {
    let mut permits = Vec::new();
    while permits.len() < SWEEP_BATCH
        && let Ok(permit) = Arc::clone(&desk.room).try_acquire_owned()
    {
        permits.push(permit);
    }
    if permits.is_empty() {
        return false;
    }
    let limit = permits.len();
    let overdue = match desk.worker.store.claim_overdue(&desk.claimant, limit).await {
        Ok(overdue) => overdue,
        Err(error) => {
            tracing::debug!(%error, "cannot look for overdue jobs");
            return false;
        }
    };
    crash_point!("claimed");
    let found = overdue.leases.len();
    counter!("clinic_claims_total", "path" => "sweep").increment(found as u64);
    count_rejected(&overdue.publications);
    desk.worker.relay.send(&overdue.publications);
    for (lease, permit) in overdue.leases.into_iter().zip(permits) {
        start(desk, lease, None, permit, abandon);
    }
    found == limit
}

fn start(desk: &Arc<Desk>, lease: Lease, delivery: Option<Delivery>, permit: OwnedSemaphorePermit, abandon: &CancellationToken) {
    desk.in_flight.enter(&lease, delivery);
    let (desk, abandon) = (Arc::clone(desk), abandon.clone());
    desk.tasks.clone().spawn(async move {
        let work = async {
            match lease.kind {
                JobKind::Release => attempt::release(&desk, &lease).await,
                JobKind::Decide | JobKind::Tell => attempt::decide(&desk, &lease).await,
            }
        };
        tokio::select! {
            () = work => {
                if let Some(delivery) = desk.in_flight.leave(&lease) {
                    delivery.ack();
                }
            }
            () = abandon.cancelled() => {}
        }
        drop(permit);
    });
}
