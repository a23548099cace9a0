//! One attempt: ask, store what came of it, publish what follows.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use metrics::{counter, histogram};
use tokio::time::{Instant, sleep, timeout};

use super::Desk;
use crate::{
    chance::chance,
    crash::crash_point,
    decision::{AttemptOutcome, Decision, Reason},
    job::{JobKind, Lease},
    message::Message,
    ports::{AvailabilityError, Concluded, Conclusion, Ending, Request, StoreError, Verdict},
    retry::RetryPolicy,
    topology::{Publication, Route},
};

/// A release is repeated for about a day: nobody waits for it, and a reservation nobody uses is worth the effort.
const RELEASE: RetryPolicy =
    RetryPolicy { retries: 28, base: Duration::from_secs(1), factor: 3.0, jitter: 0.2, max: Duration::from_secs(3600) };

/// Asks whether the booking can take place and stores the answer.
pub(super) async fn decide(desk: &Desk, lease: &Lease) {
    let request = Request::new(lease.booking.id, lease.attempt, lease.booking.appointment.clone());
    // In a block of its own: a port may panic before it has made its future.
    let check = AssertUnwindSafe(async { desk.worker.availability.check(&request).await }).catch_unwind();
    let outcome = match timeout(desk.worker.settings.attempt_timeout, check).await {
        Ok(Ok(Ok(Verdict::Available))) => AttemptOutcome::Available,
        Ok(Ok(Ok(Verdict::Unavailable))) => AttemptOutcome::Unavailable,
        Ok(Ok(Err(AvailabilityError::Permanent(_)))) => AttemptOutcome::Refused,
        Ok(Ok(Err(AvailabilityError::Transient(_)))) => AttemptOutcome::Transient,
        Ok(Err(_)) => {
            tracing::error!(booking = %lease.booking.id, "the availability check panicked; the attempt counts as failed");
            AttemptOutcome::Transient
        }
        Err(_) => AttemptOutcome::TimedOut,
    };
    crash_point!("asked");
    counter!("clinic_attempts_total", "outcome" => outcome.as_str()).increment(1);
    let ending = match outcome {
        AttemptOutcome::Available => Ending::Decided(Decision::Confirmed, outcome),
        AttemptOutcome::Unavailable => Ending::Decided(Decision::Rejected(Reason::Unavailable), outcome),
        AttemptOutcome::Refused => Ending::Decided(Decision::Rejected(Reason::AvailabilityRefused), outcome),
        AttemptOutcome::Transient | AttemptOutcome::TimedOut => match desk.worker.settings.retry.pause_after(lease.attempt, chance()) {
            Some(pause) => Ending::Retry(outcome, pause),
            None => Ending::Decided(Decision::Rejected(Reason::AvailabilityUnreachable), outcome),
        },
    };
    conclude(desk, lease, ending).await;
}

/// Gives back what a check reserved.
pub(super) async fn release(desk: &Desk, lease: &Lease) {
    let call = AssertUnwindSafe(async { desk.worker.availability.release(lease.booking.id).await }).catch_unwind();
    let ending = match timeout(desk.worker.settings.attempt_timeout, call).await {
        Ok(Ok(Ok(()))) => Ending::Released,
        Ok(Ok(Err(AvailabilityError::Permanent(_)))) => Ending::ReleaseFailed(AttemptOutcome::Refused),
        failed => {
            let outcome = if failed.is_err() { AttemptOutcome::TimedOut } else { AttemptOutcome::Transient };
            RELEASE.pause_after(lease.attempt, chance()).map_or(Ending::ReleaseFailed(outcome), |pause| Ending::Retry(outcome, pause))
        }
    };
    conclude(desk, lease, ending).await;
}

async fn conclude(desk: &Desk, lease: &Lease, ending: Ending) {
    let conclusion = [Conclusion::new(lease.clone(), desk.claimant.worker.clone(), ending)];
    let give_up = Instant::now() + desk.settings().lease;
    let mut in_doubt = false;
    let concluded = loop {
        match desk.worker.store.conclude(&conclusion).await {
            Ok(mut concluded) => break concluded.pop(),
            Err(error) if Instant::now() < give_up => {
                in_doubt |= matches!(error, StoreError::Unknown(_));
                tracing::debug!(booking = %lease.booking.id, %error, "cannot store the outcome; trying again");
                sleep(Duration::from_millis(250).mul_f64(1.0 + chance())).await;
            }
            // The lease has run out by now: the sweep claims the job again, as a loss.
            Err(error) => {
                tracing::warn!(booking = %lease.booking.id, %error, "could not store the outcome; the attempt is lost");
                return;
            }
        }
    };
    match concluded {
        Some(Concluded::Done(publications)) => {
            crash_point!("decided");
            desk.worker.relay.send(&publications);
            done(desk, lease, ending);
        }
        // Our own commit, in doubt before, was there after all; what it calls for is found by the sweep.
        Some(Concluded::Fenced) if in_doubt => {}
        Some(Concluded::Fenced) | None => {
            counter!("clinic_fenced_total").increment(1);
            tracing::debug!(booking = %lease.booking.id, attempt = lease.attempt, "a late attempt changed nothing");
            release_late(desk, lease).await;
        }
    }
}

fn done(desk: &Desk, lease: &Lease, ending: Ending) {
    match ending {
        Ending::Decided(decision, _) => {
            let outcome = match decision {
                Decision::Confirmed => "confirmed",
                Decision::Rejected(_) => "rejected",
            };
            counter!("clinic_bookings_decided_total", "outcome" => outcome).increment(1);
            let waited = (desk.worker.clock.now() - lease.booking.created_at).to_std().unwrap_or_default();
            histogram!("clinic_decision_seconds").record(waited.as_secs_f64());
        }
        Ending::Retry(_, pause) => {
            let message = Message::new(lease.job, lease.kind, lease.booking.id);
            desk.worker.relay.send_after(pause, Publication::new(message, Route::Work));
        }
        Ending::Lost | Ending::Released | Ending::ReleaseFailed(_) => {}
    }
}

/// An answer that came after the booking's end may have reserved something that nobody wants any more.
async fn release_late(desk: &Desk, lease: &Lease) {
    if lease.kind != JobKind::Decide || !desk.claimant.reserves {
        return;
    }
    match desk.worker.store.release_if_ended(lease.booking.id).await {
        Ok(publications) => desk.worker.relay.send(&publications),
        Err(error) => tracing::warn!(booking = %lease.booking.id, %error, "could not ask for the release of a late reservation"),
    }
}

impl Desk {
    fn settings(&self) -> &crate::settings::Settings {
        &self.worker.settings
    }
}
