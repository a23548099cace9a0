//! Bookings walked through a store, stage by stage, over its port alone: for the store's benches and for the existing
//! bookings that a measured clinic begins with.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use clinic_core::{
    api::BookRequest,
    booking::Language,
    decision::{AttemptOutcome, Decision},
    job::Lease,
    notification::Notice,
    ports::{
        Acceptance, Claim, ClaimRequest, Claimant, Concluded, Conclusion, Ending, NewBooking, NoticeClaimant, NoticeEnding, NoticeResult,
        Store,
    },
    request::{self, Defaults},
    topology::Publication,
};
use tokio::task::JoinSet;

use crate::template::{Calendar, DOCTORS, EXISTING};

/// Bookings walked through at once when filling.
const BATCH: usize = 1000;
const LEASE: Duration = Duration::from_secs(30);
const WORKER: &str = "bench";

/// A store and the next booking to make in it. A store that fails ends the process: there is nothing to measure then.
#[derive(Clone)]
pub struct Ward {
    store: Arc<dyn Store>,
    calendar: Calendar,
    next: u64,
}

impl Ward {
    /// A ward over an empty store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, now: DateTime<Utc>) -> Self {
        Self::of_calendar(store, Calendar::new(now))
    }

    /// A ward over an empty store whose requests follow a calendar.
    #[must_use]
    pub const fn of_calendar(store: Arc<dyn Store>, calendar: Calendar) -> Self {
        Self { store, calendar, next: 0 }
    }

    /// Makes every existing booking: confirmed and told.
    pub async fn fill(&self) {
        let all: Vec<_> = (0..EXISTING).flat_map(|place| (0..DOCTORS).map(move |doctor| (doctor, place))).collect();
        for part in all.chunks(BATCH) {
            let part = part.iter().map(|(doctor, place)| booking(u64::MAX, *doctor, self.calendar.existing(*place))).collect();
            let accepted = self.accept_all(part).await;
            let leases = self.claim(&accepted).await;
            let publications = self.conclude(leases).await;
            self.tell(&publications).await;
        }
    }

    /// Accepts so many at once, each a call of its own, as callers do.
    pub async fn accept(&mut self, count: usize) -> Vec<ClaimRequest> {
        let numbers = self.next..self.next + count as u64;
        self.next = numbers.end;
        let new = numbers.map(|number| {
            let (doctor, start) = self.calendar.free(number);
            booking(number, doctor, start)
        });
        self.accept_all(new.collect()).await
    }

    /// Accepts request number `number`, which no other caller may have.
    pub async fn accept_number(&self, number: u64) {
        let (doctor, start) = self.calendar.free(number);
        self.accept_one(&booking(number, doctor, start)).await;
    }

    async fn accept_one(&self, new: &NewBooking) {
        let accepted = self.store.accept(new).await.expect("the store works");
        assert!(matches!(accepted, Acceptance::Accepted(_)), "every request has a slot of its own: {accepted:?}");
    }

    async fn accept_all(&self, new: Vec<NewBooking>) -> Vec<ClaimRequest> {
        let requests = new.iter().map(|new| ClaimRequest::new(new.job, new.id, false)).collect();
        let mut accepts = JoinSet::new();
        for new in new {
            let ward = self.clone();
            accepts.spawn(async move { ward.accept_one(&new).await });
        }
        accepts.join_all().await;
        requests
    }

    /// Claims their decide jobs.
    pub async fn claim(&self, requests: &[ClaimRequest]) -> Vec<Lease> {
        let claimant = Claimant::new(WORKER.into(), LEASE, false);
        let claims = self.store.claim(&claimant, requests).await.expect("the store works");
        let won = claims.into_iter().map(|claim| match claim {
            Claim::Won(lease) => *lease,
            other => panic!("nobody else claims: {other:?}"),
        });
        won.collect()
    }

    /// Confirms them.
    pub async fn conclude(&self, leases: Vec<Lease>) -> Vec<Publication> {
        let confirmed = Ending::Decided(Decision::Confirmed, AttemptOutcome::Available);
        let conclusions: Vec<_> = leases.into_iter().map(|lease| Conclusion::new(lease, WORKER.into(), confirmed)).collect();
        let concluded = self.store.conclude(&conclusions).await.expect("the store works");
        let publications = concluded.into_iter().flat_map(|concluded| match concluded {
            Concluded::Done(publications) => publications,
            other => panic!("nobody else holds the lease: {other:?}"),
        });
        publications.collect()
    }

    /// Tells them on one channel: claims the notices and settles them as sent.
    pub async fn tell(&self, publications: &[Publication]) {
        let notices = self.claim_notices(publications).await;
        assert_eq!(notices.len(), publications.len(), "every decision is told");
        self.settle(notices).await;
    }

    /// Claims their notices on one channel.
    pub async fn claim_notices(&self, publications: &[Publication]) -> Vec<Notice> {
        let claimant = NoticeClaimant::new(WORKER.into(), LEASE, vec![("log".into(), publications.len())]);
        let requests: Vec<_> = publications.iter().map(|news| ClaimRequest::new(news.message.job, news.message.booking, false)).collect();
        self.store.claim_notices(&claimant, &requests).await.expect("the store works").into_iter().flatten().collect()
    }

    /// Settles notices as sent.
    pub async fn settle(&self, notices: Vec<Notice>) {
        let results: Vec<_> = notices.into_iter().map(|notice| NoticeResult::new(notice, NoticeEnding::Sent(None))).collect();
        self.store.settle_notices(&results).await.expect("the store works");
    }

    /// Closes the store.
    pub async fn close(self) {
        self.store.close().await;
    }
}

fn booking(patient: u64, doctor: u32, start: DateTime<Utc>) -> NewBooking {
    let request = BookRequest {
        patient_id: Some(if patient == u64::MAX { format!("E{doctor:04}") } else { format!("P{patient:09}") }),
        doctor_id: Some(format!("D{doctor:04}")),
        datetime: Some(start.to_rfc3339()),
        ..BookRequest::default()
    };
    let appointment = request::parse(&request, Defaults::new(chrono_tz::UTC, Language::Spanish)).expect("the request above is valid");
    NewBooking::new(appointment, None, Duration::from_secs(86_400), 20, Duration::from_secs(30))
}
