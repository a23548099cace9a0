//! Waits until every accepted booking is decided and told, reading many at a time.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use clinic_client::{BookingView, Client, Error, NoticeState, ProblemCode, Status};
use serde::Serialize;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{draw::Draw, read::read_each};

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

    fn count(&mut self, booking: &BookingView) {
        self.decided += 1;
        self.confirmed += u64::from(booking.status == Status::Confirmed);
        self.rejected += u64::from(booking.status == Status::Rejected);
        let told = booking.notices.iter().all(|notice| notice.state != NoticeState::Failed);
        *(if told { &mut self.told } else { &mut self.not_told }) += 1;
    }
}

/// Waits at most `at_most`. Reads that fail are made again.
///
/// # Errors
/// An [`Error`] that no repetition mends.
pub async fn settle(client: &Client, draw: &Draw, accepted: &[Uuid], at_most: Duration) -> Result<Settled, Error> {
    let begun = Instant::now();
    let mut open: HashSet<Uuid> = accepted.iter().copied().collect();
    let mut settled = Settled::default();
    loop {
        let round = if open.len() <= FEW {
            one_by_one(client, &mut open, &mut settled).await
        } else {
            paged(client, draw, &mut open, &mut settled).await
        };
        match round {
            Err(error) if !error.is_retryable() => return Err(error),
            Ok(()) | Err(_) => {}
        }
        settled.seconds = begun.elapsed().as_secs_f64();
        if open.is_empty() || begun.elapsed() >= at_most {
            settled.unsettled = open.len() as u64;
            return Ok(settled);
        }
        sleep(PAUSE).await;
    }
}

async fn one_by_one(client: &Client, open: &mut HashSet<Uuid>, settled: &mut Settled) -> Result<(), Error> {
    let read = |id: Uuid| {
        let client = client.clone();
        async move { (id, client.bookings().get(id).await) }
    };
    read_each(open.clone(), read, |(id, answer)| match answer {
        Ok(booking) => {
            take(&booking, open, settled);
            Ok(())
        }
        Err(error) if error.code() == Some(ProblemCode::NotFound) => {
            open.remove(&id);
            settled.lost += 1;
            Ok(())
        }
        Err(error) => Err(error),
    })
    .await
}

async fn paged(client: &Client, draw: &Draw, open: &mut HashSet<Uuid>, settled: &mut Settled) -> Result<(), Error> {
    let (from, to) = draw.span();
    let mut cursor = None;
    loop {
        let list = client.bookings().list().from(from).to(to).limit(200);
        let list = if let Some(cursor) = cursor { list.cursor(cursor) } else { list };
        let page = list.send().await?;
        for booking in &page.items {
            take(booking, open, settled);
        }
        cursor = page.next_cursor;
        if cursor.is_none() || open.is_empty() {
            return Ok(());
        }
    }
}

fn take(booking: &BookingView, open: &mut HashSet<Uuid>, settled: &mut Settled) {
    // Notices are listed once a notifier has taken the decision up.
    let told = !booking.notices.is_empty() && booking.notices.iter().all(|notice| notice.state != NoticeState::Pending);
    if booking.status != Status::Pending && told && open.remove(&booking.id) {
        settled.count(booking);
    }
}
