use std::time::Duration;

use clinic_core::{
    api::{BookRequest, BookingView, FieldError, TimelineView},
    booking::Status,
};
use reqwest::{Method, header::HeaderValue};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{booking_list::ListBookings, call::Call, client::Client, error::Error, pause};

/// The longest wait that the clinic allows in one call.
const LONGEST_POLL: Duration = Duration::from_secs(60);
/// How long one call of a long wait lasts: short enough for proxies that cut silent connections.
const POLL: Duration = Duration::from_secs(20);
/// What the last call of a wait may take beyond it: without that, a wait of a second could end with no answer at all.
const GRACE: Duration = Duration::from_secs(2);
/// How much before its time a held call may be answered.
const EARLY: Duration = Duration::from_millis(100);

/// Bookings: made, read, cancelled, waited for, listed.
#[derive(Clone, Copy, Debug)]
pub struct Bookings<'a> {
    client: &'a Client,
}

impl<'a> Bookings<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Asks for an appointment.
    pub fn request(&self, request: BookRequest) -> RequestBooking<'a> {
        RequestBooking { client: self.client, request, key: None }
    }

    /// A booking as it stands.
    ///
    /// # Errors
    /// [`Error`]; `not_found` when there is none of that id.
    pub async fn get(&self, id: Uuid) -> Result<BookingView, Error> {
        self.one(Method::GET, id).send().await
    }

    /// A booking once it is decided, or as it stands after `wait` (whole seconds, at most 60).
    ///
    /// # Errors
    /// [`Error`], as [`get`](Self::get).
    pub async fn get_decided(&self, id: Uuid, wait: Duration) -> Result<BookingView, Error> {
        self.poll(id, wait).send().await
    }

    /// Waits for a decision, through as many calls and broken connections as it takes.
    pub const fn wait_until_decided(&self, id: Uuid) -> WaitUntilDecided<'a> {
        WaitUntilDecided { bookings: *self, id, max_wait: Duration::from_secs(60) }
    }

    /// Cancels a booking; also fine when it was cancelled before.
    ///
    /// # Errors
    /// [`Error`]; `not_cancellable` when it was rejected, `already_started` after its start.
    pub async fn cancel(&self, id: Uuid) -> Result<BookingView, Error> {
        self.one(Method::DELETE, id).send().await
    }

    /// All that happened to a booking, oldest first.
    ///
    /// # Errors
    /// [`Error`], as [`get`](Self::get).
    pub async fn timeline(&self, id: Uuid) -> Result<TimelineView, Error> {
        Call::new(self.client, Method::GET, &["booking", &id.to_string(), "timeline"]).send().await
    }

    /// Lists bookings, page by page.
    pub const fn list(&self) -> ListBookings<'a> {
        ListBookings::new(self.client)
    }

    fn one(&self, method: Method, id: Uuid) -> Call<'a> {
        Call::new(self.client, method, &["booking", &id.to_string()])
    }

    fn poll(&self, id: Uuid, wait: Duration) -> Call<'a> {
        let wait = wait.min(LONGEST_POLL);
        self.one(Method::GET, id).query("wait", &wait.as_secs().to_string()).longer(wait)
    }
}

/// A request for an appointment, about to be sent.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before send()"]
pub struct RequestBooking<'a> {
    client: &'a Client,
    request: BookRequest,
    key: Option<String>,
}

impl RequestBooking<'_> {
    /// The idempotency key, 1-255 visible ASCII characters; a new UUIDv7 unless set. Keep one of your own where a
    /// request must be made once even if this process dies: the same key and body give the same booking, always.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sends it: the pending booking, durably accepted.
    ///
    /// # Errors
    /// [`Error`]; `slot_taken` when another booking of the doctor overlaps.
    pub async fn send(self) -> Result<BookingView, Error> {
        let key = self.key.unwrap_or_else(|| Uuid::now_v7().to_string());
        let key = Some(key).filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
        let key = key
            .and_then(|key| HeaderValue::try_from(key).ok())
            .ok_or_else(|| Error::InvalidRequest(vec![FieldError::new("Idempotency-Key", "must be 1 to 255 visible ASCII characters")]))?;
        Call::new(self.client, Method::POST, &["book"]).keyed_body(&self.request, key).send().await
    }
}

/// A wait for a decision, about to begin.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is waited for before send()"]
pub struct WaitUntilDecided<'a> {
    bookings: Bookings<'a>,
    id: Uuid,
    max_wait: Duration,
}

impl WaitUntilDecided<'_> {
    /// How long to wait in all, 60 s unless set.
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Waits: the booking, decided or cancelled.
    ///
    /// # Errors
    /// [`Error::Undecided`] when the longest wait is over; errors that pass with time are waited out until then.
    pub async fn send(self) -> Result<BookingView, Error> {
        let until = Instant::now() + self.max_wait;
        let mut failed = 0;
        loop {
            let asked = Instant::now();
            let left = until.saturating_duration_since(asked);
            // Rounded up: a call with no wait would only ask again and again through the last second.
            let wait = Duration::from_secs(left.min(POLL).as_millis().div_ceil(1000) as u64);
            let answer = timeout(left + GRACE, self.bookings.poll(self.id, wait).once().send::<BookingView>()).await;
            let over = Instant::now() >= until;
            match answer.unwrap_or(Err(Error::Timeout)) {
                Ok(booking) if booking.status != Status::Pending => return Ok(booking),
                Ok(booking) if over => return Err(Error::Undecided(Box::new(booking))),
                Err(error) if over || !error.is_retryable() => return Err(error),
                Ok(_) if asked.elapsed() + EARLY >= wait => failed = 0,
                // A failure, or a server on its way out that holds no call.
                Ok(_) | Err(_) => {
                    failed += 1;
                    sleep(pause::after(failed, None, rand::random()).min(until.saturating_duration_since(Instant::now()))).await;
                }
            }
        }
    }
}
