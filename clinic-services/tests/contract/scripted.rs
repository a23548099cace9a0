//! A store that answers as a test tells it to, so that every answer of the API can be provoked.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use clinic_core::{
    booking::{Booking, CancelRefused, Status},
    dead_letter::{DeadLetter, DeadLetterId, DeadLetterKind, LetterFilter, Poison, ReplayRefused},
    id::{BookingId, EndpointId, JobId},
    job::JobKind,
    message::Message,
    notification::Notice,
    page::{Cursor, Filter},
    ports::{
        Acceptance, Broker, BrokerError, Cancellation, Claim, ClaimRequest, Claimant, Clock, Concluded, Conclusion, Consumer, Delivered,
        Followed, Keyed, Listener, NewBooking, NewEndpoint, NotAdmitted, NoticeClaimant, NoticeResult, NoticeSettled, Overdue,
        OverdueNotices, Poster, Progress, PublishError, Record, Registration, Replay, Replayed, Store, StoreError, StoreStats, SystemClock,
    },
    request::IdempotencyKey,
    timeline::{Entry, EntryKind},
    topology::{Publication, Queue, Route},
    webhook::{Endpoint, FormerSecret, Secret},
};

/// What the store does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Keeps bookings, in memory.
    #[default]
    Well,
    /// Finds the slot taken.
    SlotTaken,
    /// Finds too many pending.
    TooManyPending,
    /// Has too much to do.
    Busy,
    /// Has too much to do to be written, and can be read.
    Shedding,
    /// Keeps a booking and decides it at once, but cannot say so.
    Doubtful,
    /// Cannot be written or read.
    Gone,
    /// Fails at the commit, and cannot say.
    Unknown,
    /// Refuses to cancel.
    Refusing(CancelRefused),
    /// Refuses to replay.
    NotReplaying(ReplayRefused),
    /// Finds the URL of a webhook registered.
    WebhookThere,
    /// Finds too many webhooks.
    ManyWebhooks,
    /// Has a fault.
    Panicking,
    /// Holds what cannot be read.
    Corrupt,
}

type Kept = (Booking, Option<IdempotencyKey>);

#[derive(Default)]
pub(crate) struct Scripted {
    mood: Mutex<Mood>,
    kept: Mutex<Vec<Kept>>,
    /// Whether it failed at the commit of a webhook once.
    doubted: AtomicBool,
}

impl Scripted {
    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn check(&self) -> Result<Mood, StoreError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Busy => Err(StoreError::Busy),
            Mood::Gone => Err(StoreError::Unavailable("disk I/O error".into())),
            Mood::Unknown => Err(StoreError::Unknown("disk I/O error".into())),
            Mood::Corrupt => Err(StoreError::Corrupt("no such status".into())),
            Mood::Panicking => panic!("scripted"),
            mood => Ok(mood),
        }
    }

    /// Decides a booking.
    pub(crate) fn decide(&self, id: &str, status: Status) {
        let mut kept = self.kept.lock().unwrap();
        let found = kept.iter_mut().find(|(booking, _)| booking.id.to_string() == id);
        found.unwrap().0.status = status;
    }

    fn find(&self, id: BookingId) -> Option<Booking> {
        self.kept.lock().unwrap().iter().find(|(booking, _)| booking.id == id).map(|(booking, _)| booking.clone())
    }
}

/// The timeline of a booking after an entry: accepted, and decided when it is.
fn grown(booking: &Booking, after: u32) -> Progress {
    let decided = match booking.status {
        Status::Confirmed => Some(EntryKind::Confirmed),
        Status::Rejected => Some(EntryKind::Rejected),
        Status::Cancelled => Some(EntryKind::Cancelled),
        _ => None,
    };
    let kinds = [Some(EntryKind::Accepted), decided];
    let entries = (1..).zip(kinds.into_iter().flatten()).map(|(seq, kind)| Entry::new(seq, booking.created_at, kind));
    Progress::new(booking.id, entries.filter(|entry| entry.seq > after).collect(), decided.is_some())
}

/// The one letter on the desk.
pub(crate) fn letter() -> DeadLetter {
    let booking = uuid::Uuid::from_u128(7).into();
    let at = chrono::DateTime::UNIX_EPOCH;
    DeadLetter::new(DeadLetterId(7), booking, DeadLetterKind::Decide, "availability_unreachable".into(), 4, at)
}

/// The one endpoint of webhooks.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::new(uuid::Uuid::from_u128(7).into(), "https://hooks.example.org/".into(), Secret::new([7; 32]), chrono::DateTime::UNIX_EPOCH)
}

/// Posts nowhere: what it admits is told by the URL.
pub(crate) struct Posting;

#[async_trait]
impl Poster for Posting {
    async fn admit(&self, url: &str) -> Result<String, NotAdmitted> {
        match url {
            "https://10.0.0.1/" => Err(NotAdmitted::Host),
            url if url.starts_with("https://") => Ok(url.to_owned()),
            _ => Err(NotAdmitted::Url),
        }
    }

    async fn post(&self, _: &Endpoint, _: &str, _: Vec<u8>) -> Delivered {
        Delivered::new(Some(503), Some("webhook_status_5xx"), None)
    }
}

fn nothing<T>() -> Result<T, StoreError> {
    Err(StoreError::Busy)
}

#[async_trait]
impl Store for Scripted {
    async fn accept(&self, new: &NewBooking) -> Result<Acceptance, StoreError> {
        match self.check()? {
            Mood::SlotTaken => return Ok(Acceptance::SlotTaken),
            Mood::TooManyPending => return Ok(Acceptance::TooManyPending),
            Mood::Shedding => return Err(StoreError::Busy),
            _ => {}
        }
        if let Some(key) = &new.key {
            match self.keyed(key).await? {
                Some(Keyed::Same(booking)) => return Ok(Acceptance::Replayed(*booking)),
                Some(_) => return Ok(Acceptance::KeyReused),
                None => {}
            }
        }
        let mut booking = Booking::accepted(new.id, new.appointment.clone(), SystemClock.now(), new.decide_within, None);
        if *self.mood.lock().unwrap() == Mood::Doubtful {
            booking.status = Status::Confirmed;
            self.kept.lock().unwrap().push((booking, new.key));
            return Err(StoreError::Unknown("disk I/O error".into()));
        }
        self.kept.lock().unwrap().push((booking.clone(), new.key));
        Ok(Acceptance::Accepted(booking))
    }

    async fn recall(&self, id: BookingId) -> Result<Option<Booking>, StoreError> {
        self.check()?;
        Ok(self.find(id))
    }

    async fn keyed(&self, key: &IdempotencyKey) -> Result<Option<Keyed>, StoreError> {
        self.check()?;
        let kept = self.kept.lock().unwrap();
        let found = kept.iter().find_map(|(booking, kept)| kept.filter(|kept| kept.key == key.key).map(|kept| (booking, kept)));
        Ok(found.map(|(booking, kept)| if kept.request == key.request { Keyed::Same(Box::new(booking.clone())) } else { Keyed::Other }))
    }

    async fn bookings(&self, ids: &[BookingId]) -> Result<Vec<Record>, StoreError> {
        self.check()?;
        Ok(ids.iter().filter_map(|id| self.find(*id)).map(|booking| Record::new(booking, Vec::new())).collect())
    }

    async fn timeline(&self, id: BookingId) -> Result<Option<Vec<Entry>>, StoreError> {
        self.check()?;
        Ok(self.find(id).map(|booking| vec![Entry::new(1, booking.created_at, EntryKind::Accepted)]))
    }

    async fn progress(&self, followed: &[Followed]) -> Result<Vec<Progress>, StoreError> {
        self.check()?;
        Ok(followed.iter().filter_map(|followed| self.find(followed.booking).map(|booking| grown(&booking, followed.after))).collect())
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        self.check()?;
        let mut kept: Vec<_> = self.kept.lock().unwrap().iter().map(|(booking, _)| booking.clone()).collect();
        let place = |booking: &Booking| (Cursor::after(booking).start, booking.id);
        kept.sort_by_key(place);
        kept.retain(|booking| filter.doctor_id.is_none() || booking.appointment.doctor_id == filter.doctor_id);
        kept.retain(|booking| filter.after.is_none_or(|after| place(booking) > (after.start, after.id)));
        kept.truncate(filter.limit as usize);
        Ok(kept.into_iter().map(|booking| Record::new(booking, Vec::new())).collect())
    }

    async fn cancel(&self, id: BookingId) -> Result<Cancellation, StoreError> {
        match (self.check()?, self.find(id)) {
            (_, None) => Ok(Cancellation::NotFound),
            (Mood::Refusing(refused), _) => Ok(Cancellation::Refused(refused)),
            (_, Some(booking)) => Ok(Cancellation::Done(booking, Vec::new())),
        }
    }

    async fn add_endpoint(&self, new: &NewEndpoint) -> Result<Registration, StoreError> {
        match self.check()? {
            Mood::Doubtful if !self.doubted.swap(true, Ordering::SeqCst) => Err(StoreError::Unknown("disk I/O error".into())),
            Mood::WebhookThere => Ok(Registration::Exists(endpoint().id)),
            Mood::ManyWebhooks => Ok(Registration::TooMany),
            _ => Ok(Registration::Done(Endpoint::new(new.id, new.url.clone(), new.secret, chrono::DateTime::UNIX_EPOCH))),
        }
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.check().map(|_| vec![endpoint()])
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.check().map(|_| Some(endpoint()).filter(|endpoint| endpoint.id == id))
    }

    async fn remove_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        self.check().map(|_| endpoint().id == id)
    }

    async fn enable_endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.check().map(|_| Some(endpoint()).filter(|endpoint| endpoint.id == id))
    }

    async fn renew_secret(&self, id: EndpointId, secret: &Secret) -> Result<Option<Endpoint>, StoreError> {
        self.check()?;
        let mut renewed = endpoint();
        renewed.former = vec![FormerSecret::new(renewed.secret, chrono::DateTime::UNIX_EPOCH)];
        renewed.secret = *secret;
        Ok(Some(renewed).filter(|endpoint| endpoint.id == id))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.check().map(|_| ())
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.check().map(|_| StoreStats::default())
    }

    async fn claim(&self, _: &Claimant, _: &[ClaimRequest]) -> Result<Vec<Claim>, StoreError> {
        nothing()
    }

    async fn claim_overdue(&self, _: &Claimant, _: usize) -> Result<Overdue, StoreError> {
        nothing()
    }

    async fn conclude(&self, _: &[Conclusion]) -> Result<Vec<Concluded>, StoreError> {
        nothing()
    }

    async fn release_if_ended(&self, _: BookingId) -> Result<Vec<Publication>, StoreError> {
        nothing()
    }

    async fn hasten(&self, _: &[JobId]) -> Result<(), StoreError> {
        nothing()
    }

    async fn expire(&self, _: usize) -> Result<Vec<Publication>, StoreError> {
        nothing()
    }

    async fn remind(&self, _: usize) -> Result<Vec<Publication>, StoreError> {
        nothing()
    }

    async fn claim_notices(&self, _: &NoticeClaimant, _: &[ClaimRequest]) -> Result<Vec<Vec<Notice>>, StoreError> {
        nothing()
    }

    async fn claim_overdue_notices(&self, _: &NoticeClaimant, _: usize) -> Result<OverdueNotices, StoreError> {
        nothing()
    }

    async fn settle_notices(&self, _: &[NoticeResult]) -> Result<Vec<NoticeSettled>, StoreError> {
        nothing()
    }

    async fn dead_letters(&self, _: &LetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        self.check().map(|_| vec![letter()])
    }

    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        self.check().map(|_| Some(letter()).filter(|letter| letter.id == id))
    }

    async fn try_replay(&self, id: DeadLetterId) -> Result<Replayed, StoreError> {
        self.check()?;
        Ok(if id == letter().id { Replayed::Possible(letter()) } else { Replayed::NotFound })
    }

    async fn replay(&self, replay: &Replay) -> Result<Replayed, StoreError> {
        match self.check()? {
            Mood::NotReplaying(refused) => Ok(Replayed::Refused(letter(), refused)),
            _ if replay.letter != letter().id => Ok(Replayed::NotFound),
            _ => {
                let mut replayed = letter();
                (replayed.replayed_at, replayed.replayed_as) = (Some(SystemClock.now()), Some(replay.booking));
                let message = Message::new(replay.job, JobKind::Decide, replay.booking);
                Ok(Replayed::Done(replayed, Publication::new(message, Route::Work)))
            }
        }
    }

    async fn close(&self) {}
}

/// A broker that carries nothing; closed until a test says that it is well.
#[derive(Default)]
pub(crate) struct Silent {
    pub(crate) well: AtomicBool,
}

#[async_trait]
impl Broker for Silent {
    async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), PublishError>> {
        publications.iter().map(|_| Err(PublishError::Unreachable)).collect()
    }

    async fn consume(&self, _: Queue, _: usize) -> Result<Box<dyn Consumer>, BrokerError> {
        Err(BrokerError::Closed)
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, BrokerError> {
        Err(BrokerError::Closed)
    }

    fn health(&self) -> Result<(), BrokerError> {
        if self.well.load(Ordering::SeqCst) { Ok(()) } else { Err(BrokerError::Closed) }
    }

    async fn depth(&self, _: Queue) -> Option<u64> {
        Some(3)
    }

    async fn poison(&self) -> Option<Vec<Poison>> {
        self.well.load(Ordering::SeqCst).then(|| vec![Poison::new(Queue::Bookings, Some("not-an-id"), 12)])
    }
}
