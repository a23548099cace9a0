//! Follows every accepted booking until it is decided and told, reading many at a time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use clinic_client::{BookingView, Client, Error, EventKind, NoticeState, ProblemCode, Status};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::{select, time::sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    draw::Draw,
    latency::{FINE, histogram, record},
    read::read_each,
    tally::Accepted,
};

/// So few are read one by one; more, by paging through the list.
const FEW: usize = 500;
/// The pause between two rounds of reading.
const PAUSE: Duration = Duration::from_millis(500);

/// How the accepted bookings ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Settled {
    /// Confirmed, rejected or cancelled.
    pub decided: u64,
    /// Of those, confirmed.
    pub confirmed: u64,
    /// Of those, rejected.
    pub rejected: u64,
    /// Of those, cancelled.
    pub cancelled: u64,
    /// Decided, and every notice sent, or skipped for a reason, such as a patient without an address.
    pub told: u64,
    /// Decided, every notice settled, and one of them failed.
    pub not_told: u64,
    /// Pending, or with a notice pending, when the time was over.
    pub unsettled: u64,
    /// Accepted, and not found again.
    pub lost: u64,
    /// How long it took from the last answer, in seconds.
    pub seconds: f64,
}

impl Settled {
    /// Whether every accepted booking is there, decided and told.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.unsettled == 0 && self.lost == 0 && self.not_told == 0
    }

    /// How many are settled.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.told + self.not_told + self.lost
    }

    fn take(&mut self, booking: &BookingView) {
        self.decided += 1;
        self.confirmed += u64::from(booking.status == Status::Confirmed);
        self.rejected += u64::from(booking.status == Status::Rejected);
        self.cancelled += u64::from(booking.status == Status::Cancelled);
        let told = booking.notices.iter().all(|notice| notice.state != NoticeState::Failed);
        *(if told { &mut self.told } else { &mut self.not_told }) += 1;
    }
}

/// What following bookings to their end came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Followed {
    /// How they ended.
    pub settled: Settled,
    /// From the intended start to the decision, in microseconds, without the warm-up's.
    pub decided: Histogram<u64>,
    /// From the intended start to the last notice of the decision, in microseconds, without the warm-up's.
    pub told: Histogram<u64>,
    /// How many were decided in which second of the run.
    pub decided_at: BTreeMap<u64, u64>,
    /// How many were told in which second of the run.
    pub told_at: BTreeMap<u64, u64>,
}

impl Default for Followed {
    fn default() -> Self {
        let (decided, told) = (histogram(FINE), histogram(FINE));
        Self { settled: Settled::default(), decided, told, decided_at: BTreeMap::new(), told_at: BTreeMap::new() }
    }
}

impl Followed {
    fn take(&mut self, accepted: &Accepted, booking: &BookingView) {
        self.settled.take(booking);
        // A cancelled booking was not decided by the clinic.
        if !matches!(booking.status.known(), Some(Status::Confirmed | Status::Rejected)) {
            return;
        }
        if let Some(after) = booking.decided_at.and_then(|at| since_due(accepted, booking, at)) {
            note(accepted, after, &mut self.decided, &mut self.decided_at);
        }
        let sent = booking.notices.iter().filter(|notice| notice.event != EventKind::Reminder && notice.state == NoticeState::Sent);
        if let Some(after) = sent.filter_map(|notice| notice.settled_at).max().and_then(|at| since_due(accepted, booking, at)) {
            note(accepted, after, &mut self.told, &mut self.told_at);
        }
    }
}

/// How long after its intended start something happened to a booking. Both moments of the difference are by the clinic's clock, so that
/// it need not agree with the clock here.
fn since_due(accepted: &Accepted, booking: &BookingView, at: DateTime<Utc>) -> Option<Duration> {
    let since_accepted = (at - booking.created_at).to_std().ok()?;
    Some(Duration::from_micros(accepted.latency_us.into()) + since_accepted)
}

fn note(accepted: &Accepted, after: Duration, histogram: &mut Histogram<u64>, seconds: &mut BTreeMap<u64, u64>) {
    if accepted.is_measured {
        record(histogram, after);
    }
    *seconds.entry((Duration::from_millis(accepted.due_ms.into()) + after).as_secs()).or_default() += 1;
}

/// The bookings that are not settled yet, by id: sorted, and marked in place, so that a million of them cost no more than they are.
struct Open {
    bookings: Vec<Accepted>,
    closed: Vec<bool>,
    left: usize,
}

impl Open {
    fn new(mut bookings: Vec<Accepted>) -> Self {
        bookings.sort_unstable_by_key(|booking| booking.id);
        bookings.dedup_by_key(|booking| booking.id);
        Self { closed: vec![false; bookings.len()], left: bookings.len(), bookings }
    }

    /// Closes one, if it is open.
    fn close(&mut self, id: Uuid) -> Option<Accepted> {
        let place = self.bookings.binary_search_by_key(&id, |booking| booking.id).ok()?;
        if std::mem::replace(&mut self.closed[place], true) {
            return None;
        }
        self.left -= 1;
        Some(self.bookings[place])
    }

    fn ids(&self) -> Vec<Uuid> {
        self.bookings.iter().zip(&self.closed).filter(|(_, closed)| !**closed).map(|(booking, _)| booking.id).collect()
    }
}

/// Follows bookings, at most so long or until told to stop, and says after each round how many are settled. Reads that fail are made
/// again.
///
/// # Errors
/// An [`Error`] that no repetition mends.
pub async fn settle(
    client: &Client,
    draw: &Draw,
    accepted: Vec<Accepted>,
    at_most: Duration,
    stop: &CancellationToken,
    mut say: impl FnMut(&Settled),
) -> Result<Followed, Error> {
    let begun = Instant::now();
    let mut open = Open::new(accepted);
    let mut followed = Followed::default();
    loop {
        let round = async {
            if open.left <= FEW {
                one_by_one(client, &mut open, &mut followed).await
            } else {
                paged(client, draw, &mut open, &mut followed).await
            }
        };
        let round = select! {
            round = round => round,
            () = stop.cancelled() => Ok(()),
        };
        match round {
            Err(error) if !error.is_retryable() => return Err(error),
            Ok(()) | Err(_) => {}
        }
        followed.settled.seconds = begun.elapsed().as_secs_f64();
        say(&followed.settled);
        if open.left == 0 || begun.elapsed() >= at_most || stop.is_cancelled() {
            followed.settled.unsettled = open.left as u64;
            return Ok(followed);
        }
        select! {
            () = sleep(PAUSE) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn one_by_one(client: &Client, open: &mut Open, followed: &mut Followed) -> Result<(), Error> {
    let read = |id: Uuid| {
        let client = client.clone();
        async move { (id, client.bookings().get(id).await) }
    };
    read_each(open.ids(), read, |(id, answer)| match answer {
        Ok(booking) => {
            take(&booking, open, followed);
            Ok(())
        }
        Err(error) if error.code() == Some(ProblemCode::NotFound) => {
            followed.settled.lost += u64::from(open.close(id).is_some());
            Ok(())
        }
        Err(error) => Err(error),
    })
    .await
}

async fn paged(client: &Client, draw: &Draw, open: &mut Open, followed: &mut Followed) -> Result<(), Error> {
    let (from, to) = draw.span();
    let mut cursor = None;
    loop {
        let list = client.bookings().list().from(from).to(to).limit(200);
        let list = if let Some(cursor) = cursor { list.cursor(cursor) } else { list };
        let page = list.send().await?;
        for booking in &page.items {
            take(booking, open, followed);
        }
        cursor = page.next_cursor;
        if cursor.is_none() || open.left == 0 {
            return Ok(());
        }
    }
}

fn take(booking: &BookingView, open: &mut Open, followed: &mut Followed) {
    // Notices are listed once a notifier has taken the decision up.
    let told = !booking.notices.is_empty() && booking.notices.iter().all(|notice| notice.state != NoticeState::Pending);
    if booking.status != Status::Pending
        && told
        && let Some(accepted) = open.close(booking.id)
    {
        followed.take(&accepted, booking);
    }
}
