//! One try to send a notice, and what comes of it.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use metrics::counter;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{Notifier, done::Done, outlet::Outlet};
use crate::{
    chance::chance,
    crash::crash_point,
    id::Token,
    notification::Notice,
    ports::{ChannelError, ClaimRequest, Delivery, NoticeEnding, NoticeResult, NoticeSettled},
    webhook,
};

/// No receiver makes us wait longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// What the sends of one notifier share.
pub(super) struct Sending {
    pub(super) notifier: Notifier,
    in_flight: Mutex<HashMap<Token, InHand>>,
    woken: mpsc::Sender<ClaimRequest>,
}

/// A notice that is being sent, since when, and the message behind it.
struct InHand {
    since: Instant,
    notice: Notice,
    done: Arc<Done>,
}

impl Sending {
    pub(super) fn new(notifier: Notifier, woken: mpsc::Sender<ClaimRequest>) -> Self {
        Self { notifier, in_flight: Mutex::default(), woken }
    }

    pub(super) fn enter(&self, notice: &Notice, done: &Arc<Done>) {
        let in_hand = InHand { since: Instant::now(), notice: notice.clone(), done: Arc::clone(done) };
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(notice.token, in_hand);
    }

    pub(super) fn leave(&self, notice: &Notice) {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&notice.token);
    }

    /// What is to be claimed. After a lost connection a notifier's own messages come again, to itself too: what it is sending is not
    /// lost, and the message is kept until it is sent.
    pub(super) fn unless_sending(&self, request: ClaimRequest, delivery: Option<Delivery>) -> Option<(ClaimRequest, Option<Delivery>)> {
        let again = match delivery {
            Some(delivery) if delivery.redelivered => delivery,
            first => return Some((request, first)),
        };
        let in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        match in_flight.values().find(|in_hand| in_hand.notice.job == request.job) {
            Some(in_hand) => {
                in_hand.done.keep(again);
                None
            }
            None => Some((request, Some(again))),
        }
    }

    /// Sends and settles.
    pub(super) async fn send(&self, notice: &Notice, channel: &Outlet) {
        let lease = self.notifier.outlets.lease(self.notifier.settings.lease);
        let claimed = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).get(&notice.token).map(|in_hand| in_hand.since);
        // A process that slept past its lease must not speak: another may have told something newer meanwhile.
        let ending = if claimed.is_some_and(|at| at.elapsed() + channel.timeout() > lease) {
            NoticeEnding::Returned
        } else {
            let sent = timeout(channel.timeout(), AssertUnwindSafe(channel.send(notice)).catch_unwind()).await;
            crash_point!("sent");
            match sent {
                Ok(Ok(Ok(receipt))) => NoticeEnding::Sent(receipt.kept()),
                Ok(Ok(Err(ChannelError::Skip { code }))) => NoticeEnding::Skipped(code),
                Ok(Ok(Err(ChannelError::Permanent { code, .. }))) => NoticeEnding::Failed(code),
                Ok(Ok(Err(ChannelError::Transient { code, retry_after, .. }))) => again(notice, channel, code, retry_after),
                Ok(Err(_)) => again(notice, channel, "channel_panicked", None),
                Err(_) => again(notice, channel, "timed_out", None),
            }
        };
        self.settle(notice, ending).await;
    }

    async fn settle(&self, notice: &Notice, ending: NoticeEnding) {
        let outcome = match &ending {
            NoticeEnding::Sent(_) => "sent",
            NoticeEnding::Retry(..) => "retry",
            NoticeEnding::Failed(_) => "failed",
            NoticeEnding::Skipped(_) => "skipped",
            NoticeEnding::Returned => "returned",
        };
        let result = [NoticeResult::new(notice.clone(), ending)];
        let give_up = Instant::now() + self.notifier.settings.lease;
        let settled = loop {
            match self.notifier.store.settle_notices(&result).await {
                Ok(mut settled) => break settled.pop(),
                Err(error) if Instant::now() < give_up => {
                    tracing::debug!(notice = %notice.id, %error, "cannot settle a notice; trying again");
                    sleep(Duration::from_millis(250).mul_f64(1.0 + chance())).await;
                }
                Err(error) => {
                    tracing::warn!(notice = %notice.id, %error, "could not settle a notice; it will be sent again under the same id");
                    return;
                }
            }
        };
        match settled {
            Some(NoticeSettled::Done(woken)) => {
                let channel = webhook::split(&notice.channel).0.to_owned();
                if outcome == "sent" {
                    counter!("clinic_notices_sent_total", "channel" => channel).increment(1);
                } else {
                    counter!("clinic_notices_unsent_total", "channel" => channel, "outcome" => outcome).increment(1);
                }
                for (job, booking) in woken {
                    // What finds no room is due in the store, and the sweep finds it.
                    let _ = self.woken.try_send(ClaimRequest::new(job, booking, false));
                }
            }
            Some(NoticeSettled::Fenced) | None => counter!("clinic_fenced_total").increment(1),
        }
    }

    /// Gives every notice back in one write. Should it fail, the leases run out by themselves.
    pub(super) async fn give_back(&self) {
        let notices: Vec<_> = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
            .map(|(_, in_hand)| NoticeResult::new(in_hand.notice, NoticeEnding::Returned))
            .collect();
        if !notices.is_empty()
            && let Err(error) = self.notifier.store.settle_notices(&notices).await
        {
            tracing::warn!(notices = notices.len(), %error, "could not give notices back; their leases will run out");
        }
    }
}

fn again(notice: &Notice, channel: &Outlet, code: &'static str, retry_after: Option<Duration>) -> NoticeEnding {
    match channel.retry().pause_after(notice.tries + 1, chance()) {
        Some(pause) => NoticeEnding::Retry(code, pause.max(retry_after.unwrap_or_default()).min(LONGEST_PAUSE)),
        None => NoticeEnding::Failed(code),
    }
}
