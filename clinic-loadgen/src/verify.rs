//! Reads back what became of a run, over the API, and has it judged.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use clinic_client::{BookingView, Client, Error, ProblemCode, Status, TimelineView};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    log::{self, Header, Line, LogError, Outcome},
    read::read_each,
    verdict::{Breach, Kind, Overlaps, Told, Verdict, is_settled, judge},
};

/// The pause between two rounds of reading.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest visit: so much earlier may one start that reaches into the run's span.
const LONGEST_VISIT: TimeDelta = TimeDelta::hours(8);

/// What a log promises: the bookings that must be there, and the span to look at.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    accepted: HashMap<Uuid, Claim>,
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
    verdict: Verdict,
}

/// What was accepted as a booking.
#[derive(Clone, Debug)]
struct Claim {
    request: u64,
    doctor: String,
    start: DateTime<Utc>,
}

impl Claims {
    /// Reads a log.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn read(path: &Path) -> Result<(Header, Self), LogError> {
        let mut claims = Self::default();
        let header = log::read(path, |line| claims.take(line))?;
        Ok((header, claims))
    }

    /// Takes a line of a log.
    pub fn take(&mut self, line: Line) {
        let (from, to) = self.span.unwrap_or((line.start, line.end));
        self.span = Some((from.min(line.start), to.max(line.end)));
        match line.outcome {
            Outcome::Accepted { booking, otherwise } => {
                self.verdict.accepted += 1;
                if otherwise.is_some() {
                    self.verdict.breaches.push(Breach::new(Kind::Lost, [booking], "accepted as another visit than was asked for"));
                }
                let claim = Claim { request: line.index, doctor: line.doctor, start: line.start };
                if let Some(other) = self.accepted.insert(booking, claim) {
                    let detail = format!("requests {} and {}", other.request, line.index);
                    self.verdict.breaches.push(Breach::new(Kind::Duplicated, [booking], detail));
                }
            }
            Outcome::Refused { .. } => self.verdict.refused += 1,
            Outcome::Unknown { .. } => self.verdict.unknown += 1,
        }
    }
}

impl Claim {
    fn is_kept_by(&self, booking: &BookingView) -> bool {
        booking.doctor_id.as_ref() == Some(&self.doctor) && booking.datetime == self.start
    }
}

/// Judges a run. Waits at most `within` until all it accepted is decided and told; reads that fail are made again as long.
///
/// # Errors
/// An [`Error`] of reading, when the time is over or no repetition mends it.
pub async fn verify(client: &Client, claims: Claims, most_attempts: u32, within: Duration) -> Result<Verdict, Error> {
    let Claims { accepted, span, verdict } = claims;
    let mut inquiry = Inquiry { client, most_attempts, open: accepted, told: Told::default(), verdict };
    inquiry.settle(within).await?;
    if let Some((from, to)) = span {
        inquiry.look_for_overlaps(from, to).await?;
    }
    inquiry.verdict.breaches.extend(inquiry.told.breaches());
    inquiry.verdict.breaches.sort_by(|one, other| (one.kind, &one.bookings).cmp(&(other.kind, &other.bookings)));
    Ok(inquiry.verdict)
}

type Seen = (BookingView, TimelineView);

struct Inquiry<'a> {
    client: &'a Client,
    most_attempts: u32,
    open: HashMap<Uuid, Claim>,
    told: Told,
    verdict: Verdict,
}

impl Inquiry<'_> {
    async fn settle(&mut self, within: Duration) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let is_last = begun.elapsed() >= within;
            match self.round(is_last).await {
                Err(error) if is_last || !error.is_retryable() => return Err(error),
                Ok(()) | Err(_) => {}
            }
            if self.open.is_empty() || is_last {
                return Ok(());
            }
            sleep(PAUSE.min(within.saturating_sub(begun.elapsed()))).await;
        }
    }

    /// Reads all that is open; what is settled is judged, in the last round everything.
    async fn round(&mut self, is_last: bool) -> Result<(), Error> {
        let (client, most_attempts) = (self.client.clone(), self.most_attempts);
        let read = move |id| {
            let client = client.clone();
            async move { (id, read_surely(&client, id, most_attempts).await) }
        };
        let open: Vec<Uuid> = self.open.keys().copied().collect();
        read_each(open, read, |(id, seen)| {
            self.take(id, seen?, is_last);
            Ok(())
        })
        .await
    }

    fn take(&mut self, id: Uuid, seen: Option<Seen>, is_last: bool) {
        let Some((booking, timeline)) = seen else {
            self.open.remove(&id);
            self.verdict.breaches.push(Breach::new(Kind::Lost, [id], "accepted, and not there"));
            return;
        };
        let is_settled = is_settled(&booking, &timeline);
        if !is_settled && !is_last {
            return;
        }
        if self.open.remove(&id).is_some_and(|claim| !claim.is_kept_by(&booking)) {
            self.verdict.breaches.push(Breach::new(Kind::Lost, [id], "accepted, and another visit now"));
        }
        let breaches = judge(&booking, &timeline, self.most_attempts, Utc::now());
        let is_undecided = breaches.iter().any(|breach| breach.kind == Kind::Undecided);
        self.verdict.pending += u64::from(booking.status == Status::Pending && !is_undecided);
        self.verdict.breaches.extend(breaches);
        self.told.note(&booking, &timeline);
    }

    async fn look_for_overlaps(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<(), Error> {
        let mut list = self.client.bookings().list().from(from - LONGEST_VISIT).to(to).limit(200).stream();
        let mut overlaps = Overlaps::default();
        while let Some(booking) = list.try_next().await? {
            self.verdict.listed += 1;
            let Some(earlier) = overlaps.next(&booking) else { continue };
            // Pages are of different moments. A booking never becomes active again, so two that exist and are found active one
            // after the other were active together.
            if self.is_active(earlier).await? && self.is_active(booking.id).await? {
                let doctor = booking.doctor_id.as_deref().unwrap_or_default();
                let detail = format!("both of doctor {doctor}");
                self.verdict.breaches.push(Breach::new(Kind::Overlapped, [earlier, booking.id], detail));
            }
        }
        Ok(())
    }

    async fn is_active(&self, id: Uuid) -> Result<bool, Error> {
        Ok(found(self.client.bookings().get(id).await)?.is_some_and(|booking| booking.status.known().is_some_and(Status::is_active)))
    }
}

/// A booking and its timeline; `None` when it is not there. They are of two moments: what seems wrong is looked at twice.
async fn read_surely(client: &Client, id: Uuid, most_attempts: u32) -> Result<Option<Seen>, Error> {
    let seen = read(client, id).await?;
    match &seen {
        Some((booking, timeline)) if !judge(booking, timeline, most_attempts, Utc::now()).is_empty() => read(client, id).await,
        Some(_) | None => Ok(seen),
    }
}

async fn read(client: &Client, id: Uuid) -> Result<Option<Seen>, Error> {
    let Some(booking) = found(client.bookings().get(id).await)? else { return Ok(None) };
    Ok(found(client.bookings().timeline(id).await)?.map(|timeline| (booking, timeline)))
}

fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(error) if error.code() == Some(ProblemCode::NotFound) => Ok(None),
        answer => answer.map(Some),
    }
}
