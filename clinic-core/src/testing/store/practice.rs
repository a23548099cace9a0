use std::{fmt::Debug, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use crate::{
    booking::Booking,
    decision::{AttemptOutcome, Decision, Reason},
    id::{BookingId, JobId, Token},
    job::{JobKind, Lease},
    notification::{EventKind, Notice, NoticeRecord, NoticeState},
    ports::{
        Acceptance, Cancellation, Claim, ClaimRequest, Claimant, Clock as _, Concluded, Conclusion, Ending, Followed, NewBooking,
        NoticeClaimant, NoticeEnding, NoticeResult, NoticeSettled, Overdue, Progress, Record, Store, StoreError,
    },
    testing::{BookingBuilder, ManualClock, appointment},
    timeline::{Entry, EntryKind},
    topology::{Publication, Route},
};

pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MILLI: Duration = Duration::from_millis(1);
/// Longer than any grace or lease, shorter than the time left to decide.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// A store and its clock, with a method for each step of a booking's life that panics when the step is not taken.
pub(super) struct Practice {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<ManualClock>,
}

/// What a message says: a job and its booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) job: JobId,
    pub(super) booking: BookingId,
}

impl From<&Publication> for Ticket {
    fn from(publication: &Publication) -> Self {
        Self { job: publication.message.job, booking: publication.message.booking }
    }
}

impl Ticket {
    pub(super) fn request(self, redelivered: bool) -> ClaimRequest {
        ClaimRequest::new(self.job, self.booking, redelivered)
    }
}

/// A visit in the n-th half hour of the doctor's day: different numbers never overlap.
pub(super) fn visit(n: i64) -> BookingBuilder {
    appointment().later_by(30 * n)
}

pub(super) fn worker() -> Claimant {
    Claimant::new("worker-1".into(), LEASE, false)
}

pub(super) fn reserving_worker() -> Claimant {
    Claimant::new("worker-1".into(), LEASE, true)
}

pub(super) fn notifier(rooms: &[(&str, usize)]) -> NoticeClaimant {
    NoticeClaimant::new("notifier-1".into(), LEASE, rooms.iter().map(|&(channel, room)| (channel.to_owned(), room)).collect())
}

pub(super) const CONFIRM: Ending = Ending::Decided(Decision::Confirmed, AttemptOutcome::Available);
pub(super) const REJECT: Ending = Ending::Decided(Decision::Rejected(Reason::Unavailable), AttemptOutcome::Unavailable);

pub(super) const fn retry_in(pause: Duration) -> Ending {
    Ending::Retry(AttemptOutcome::Transient, pause)
}

/// The one publication that tells `kind`; panics unless there is exactly one.
pub(super) fn tell(publications: &[Publication], kind: EventKind) -> Ticket {
    let told: Vec<_> = publications.iter().filter(|publication| publication.message.kind == JobKind::Tell).collect();
    match told[..] {
        [one] => {
            assert_eq!(one.route, Route::News(kind), "the news of a booking that is {kind} goes the wrong way");
            one.into()
        }
        _ => panic!("a booking that became {kind} has {} tell jobs to publish instead of one", told.len()),
    }
}

/// The release job among publications, if any.
pub(super) fn release(publications: &[Publication]) -> Option<Ticket> {
    let mut releases = publications.iter().filter(|publication| publication.message.kind == JobKind::Release);
    let one = releases.next()?;
    assert_eq!(one.route, Route::Work, "a release job goes to the workers");
    assert!(releases.next().is_none(), "one end of a booking calls for one release job, not two");
    Some(one.into())
}

pub(super) fn kinds(entries: &[Entry]) -> Vec<EntryKind> {
    entries.iter().map(|entry| entry.kind).collect()
}

fn done<T>(what: &str, result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error} ({error:?})"))
}

fn single<T: Debug>(what: &str, answers: Vec<T>) -> T {
    match <[T; 1]>::try_from(answers) {
        Ok([answer]) => answer,
        Err(answers) => panic!("{what}: one question got {} answers", answers.len()),
    }
}

impl Practice {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Self {
        Self { store, clock }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    // Accepting.

    pub(super) async fn accept(&self, new: &NewBooking) -> Acceptance {
        done("accepting", self.store.accept(new).await)
    }

    pub(super) async fn accepted(&self, builder: BookingBuilder) -> Ticket {
        self.accepted_as(&builder.new_booking()).await
    }

    pub(super) async fn accepted_as(&self, new: &NewBooking) -> Ticket {
        match self.accept(new).await {
            Acceptance::Accepted(booking) => {
                assert_eq!(booking.id, new.id, "a booking is accepted under the id it came with");
                Ticket { job: new.job, booking: new.id }
            }
            other => panic!("a booking that nothing stands against was not accepted: {other:?}"),
        }
    }

    /// A booking in the n-th half hour.
    pub(super) async fn booked(&self, n: i64) -> Ticket {
        self.accepted(visit(n)).await
    }

    // Claiming and concluding.

    pub(super) async fn claim_as(&self, claimant: &Claimant, ticket: Ticket, redelivered: bool) -> Claim {
        single("claiming", done("claiming", self.store.claim(claimant, &[ticket.request(redelivered)]).await))
    }

    pub(super) async fn claim(&self, ticket: Ticket) -> Claim {
        self.claim_as(&worker(), ticket, false).await
    }

    pub(super) async fn reclaim(&self, ticket: Ticket) -> Claim {
        self.claim_as(&worker(), ticket, true).await
    }

    /// Claims by a redelivered message what the claimant believes to hold already.
    pub(super) async fn claim_holding(&self, ticket: Ticket, token: Token) -> Claim {
        single("claiming", done("claiming", self.store.claim(&worker(), &[ticket.request(true).holding(token)]).await))
    }

    pub(super) async fn won(&self, ticket: Ticket) -> Lease {
        won(self.claim(ticket).await)
    }

    pub(super) async fn overdue(&self, limit: usize) -> Overdue {
        done("claiming overdue jobs", self.store.claim_overdue(&worker(), limit).await)
    }

    pub(super) async fn conclude(&self, lease: &Lease, ending: Ending) -> Concluded {
        single("concluding", self.conclude_all(&[Conclusion::new(lease.clone(), "worker-1".into(), ending)]).await)
    }

    pub(super) async fn conclude_all(&self, conclusions: &[Conclusion]) -> Vec<Concluded> {
        done("concluding", self.store.conclude(conclusions).await)
    }

    pub(super) async fn concluded(&self, lease: &Lease, ending: Ending) -> Vec<Publication> {
        match self.conclude(lease, ending).await {
            Concluded::Done(publications) => publications,
            Concluded::Fenced => panic!("the holder of a job was fenced though nobody took it over ({ending:?})"),
        }
    }

    /// A booking in the n-th half hour, decided, and its tell job.
    pub(super) async fn decided(&self, n: i64, ending: Ending) -> (BookingId, Ticket) {
        let ticket = self.booked(n).await;
        let lease = self.won(ticket).await;
        let publications = self.concluded(&lease, ending).await;
        let kind = if ending == CONFIRM { EventKind::Confirmed } else { EventKind::Rejected };
        (ticket.booking, tell(&publications, kind))
    }

    pub(super) async fn confirmed(&self, n: i64) -> (BookingId, Ticket) {
        self.decided(n, CONFIRM).await
    }

    pub(super) async fn rejected(&self, n: i64) -> (BookingId, Ticket) {
        self.decided(n, REJECT).await
    }

    pub(super) async fn hasten(&self, jobs: &[JobId]) {
        done("hastening", self.store.hasten(jobs).await);
    }

    // Ends from outside.

    pub(super) async fn cancel(&self, id: BookingId) -> Cancellation {
        done("cancelling", self.store.cancel(id).await)
    }

    pub(super) async fn cancelled(&self, id: BookingId) -> Vec<Publication> {
        match self.cancel(id).await {
            Cancellation::Done(booking, publications) => {
                assert_eq!(booking.id, id, "cancelling answers with the booking that was meant");
                publications
            }
            other => panic!("an active booking was not cancelled: {other:?}"),
        }
    }

    pub(super) async fn expire(&self, limit: usize) -> Vec<Publication> {
        done("applying deadlines", self.store.expire(limit).await)
    }

    pub(super) async fn remind(&self, limit: usize) -> Vec<Publication> {
        done("making reminders", self.store.remind(limit).await)
    }

    pub(super) async fn release_if_ended(&self, id: BookingId) -> Vec<Publication> {
        done("releasing", self.store.release_if_ended(id).await)
    }

    // Telling.

    pub(super) async fn notices_as(&self, claimant: &NoticeClaimant, ticket: Ticket, redelivered: bool) -> Vec<Notice> {
        single("claiming notices", done("claiming notices", self.store.claim_notices(claimant, &[ticket.request(redelivered)]).await))
    }

    /// Claims on `log` and `email`.
    pub(super) async fn notices(&self, ticket: Ticket) -> Vec<Notice> {
        self.notices_as(&notifier(&[("log", 100), ("email", 100)]), ticket, false).await
    }

    /// Claims on `log` alone; panics unless there is one notice to tell.
    pub(super) async fn notice(&self, ticket: Ticket) -> Notice {
        single("claiming a notice", self.notices_as(&notifier(&[("log", 100)]), ticket, false).await)
    }

    /// Claims on `log` alone.
    pub(super) async fn log_notices(&self, ticket: Ticket) -> Vec<Notice> {
        self.notices_as(&notifier(&[("log", 100)]), ticket, false).await
    }

    pub(super) async fn overdue_notices(&self, rooms: &[(&str, usize)], limit: usize) -> Vec<Notice> {
        done("claiming overdue notices", self.store.claim_overdue_notices(&notifier(rooms), limit).await).notices
    }

    pub(super) async fn settle(&self, notice: &Notice, ending: NoticeEnding) -> NoticeSettled {
        let results = [NoticeResult::new(notice.clone(), ending)];
        single("settling a notice", done("settling a notice", self.store.settle_notices(&results).await))
    }

    /// Settles and gives the notices that waited for this one.
    pub(super) async fn settled(&self, notice: &Notice, ending: NoticeEnding) -> Vec<Ticket> {
        match self.settle(notice, ending.clone()).await {
            NoticeSettled::Done(waiting) => waiting.into_iter().map(|(job, booking)| Ticket { job, booking }).collect(),
            NoticeSettled::Fenced => panic!("the holder of a notice was fenced though nobody took it over ({ending:?})"),
        }
    }

    // Reading.

    pub(super) async fn records(&self, ids: &[BookingId]) -> Vec<Record> {
        done("reading bookings", self.store.bookings(ids).await)
    }

    pub(super) async fn booking(&self, id: BookingId) -> Booking {
        single("reading a booking", self.records(&[id]).await).booking
    }

    pub(super) async fn ledger(&self, id: BookingId) -> Vec<NoticeRecord> {
        single("reading a booking", self.records(&[id]).await).notices
    }

    /// The ledger in short: event, channel, state.
    pub(super) async fn states(&self, id: BookingId) -> Vec<(EventKind, String, NoticeState)> {
        self.ledger(id).await.into_iter().map(|row| (row.event, row.channel, row.state)).collect()
    }

    pub(super) async fn timeline(&self, id: BookingId) -> Vec<Entry> {
        done("reading a timeline", self.store.timeline(id).await).expect("a booking that was accepted has a timeline")
    }

    pub(super) async fn progress(&self, id: BookingId, after: u32) -> Progress {
        single("reading progress", done("reading progress", self.store.progress(&[Followed::new(id, after)]).await))
    }

    pub(super) async fn kinds(&self, id: BookingId) -> Vec<EntryKind> {
        kinds(&self.timeline(id).await)
    }

    /// Everything there is to see of a booking: to hold against later, when nothing may have changed.
    pub(super) async fn picture(&self, id: BookingId) -> (Vec<Record>, Vec<Entry>) {
        (self.records(&[id]).await, self.timeline(id).await)
    }
}

pub(super) fn won(claim: Claim) -> Lease {
    match claim {
        Claim::Won(lease) => *lease,
        other => panic!("a job that is free and due was not won: {other:?}"),
    }
}
