use std::time::Duration;

use clinic_core::api::{BookRequest, BookingView, TimelineView};
use reqwest::Method;
use uuid::Uuid;

use crate::{
    booking_list::ListBookings, call::Call, client::Client, error::Error, events::Events, journal::JournalEntry, key::Key,
    wait::WaitUntilDecided,
};

/// The longest wait that the clinic allows in one call.
const LONGEST_POLL: Duration = Duration::from_secs(60);

/// Bookings: made, read, followed, cancelled, waited for, listed.
#[derive(Clone, Debug)]
pub struct Bookings {
    client: Client,
}

impl Bookings {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Asks for an appointment, under an idempotency key of its own.
    pub fn request(&self, request: BookRequest) -> RequestBooking {
        RequestBooking { client: self.client.clone(), request, key: Key::fresh() }
    }

    /// Asks for an appointment under the key that the journal keeps: for the first time, or once more after a crash.
    pub fn resume(&self, entry: &JournalEntry) -> RequestBooking {
        self.request(entry.request().clone()).idempotency_key(entry.key().to_string())
    }

    /// A booking as it stands.
    ///
    /// # Errors
    /// [`Error`]; `not_found` when there is none of that id.
    pub async fn get(&self, id: Uuid) -> Result<BookingView, Error> {
        self.one("booking", Method::GET, id).send().await
    }

    /// A booking once it is decided, or as it stands after `wait` (whole seconds, at most 60).
    ///
    /// # Errors
    /// [`Error`], as [`get`](Self::get).
    pub async fn get_decided(&self, id: Uuid, wait: Duration) -> Result<BookingView, Error> {
        self.poll(id, wait).send().await
    }

    /// Waits for a decision, through as many calls and broken connections as it takes.
    pub fn wait_until_decided(&self, id: Uuid) -> WaitUntilDecided {
        WaitUntilDecided::new(self.clone(), id)
    }

    /// Cancels a booking; also fine when it was cancelled before.
    ///
    /// # Errors
    /// [`Error`]; `not_cancellable` when it was rejected, `already_started` after its start.
    pub async fn cancel(&self, id: Uuid) -> Result<BookingView, Error> {
        self.one("cancel", Method::DELETE, id).send().await
    }

    /// All that happened to a booking so far, oldest first.
    ///
    /// # Errors
    /// [`Error`], as [`get`](Self::get).
    pub async fn timeline(&self, id: Uuid) -> Result<TimelineView, Error> {
        Call::new(&self.client, "timeline", Method::GET, &["booking", &id.to_string(), "timeline"]).send().await
    }

    /// All that happened to a booking, and what happens from now on as it happens.
    pub fn events(&self, id: Uuid) -> Events {
        Events::new(self.client.clone(), id)
    }

    /// Lists bookings: one page, or all of them as a stream.
    pub fn list(&self) -> ListBookings {
        ListBookings::new(self.client.clone())
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn poll(&self, id: Uuid, wait: Duration) -> Call {
        let wait = wait.min(LONGEST_POLL);
        self.one("booking", Method::GET, id).query("wait", &wait.as_secs().to_string()).longer(wait)
    }

    fn one(&self, operation: &'static str, method: Method, id: Uuid) -> Call {
        Call::new(&self.client, operation, method, &["booking", &id.to_string()])
    }
}

/// A request for an appointment, about to be sent. A clone has the same key: sent once more after a failure, it is still one booking.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before send()"]
pub struct RequestBooking {
    client: Client,
    request: BookRequest,
    key: String,
}

impl RequestBooking {
    /// The idempotency key that it is sent under.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The idempotency key, 1-255 visible ASCII characters; a new UUIDv7 unless set. The same key and body give the same booking,
    /// always: give one of your own, or keep a [`Journal`](crate::Journal), where a request must be made once even if this process dies.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// Sends it: the pending booking, durably accepted.
    ///
    /// # Errors
    /// [`Error`]; `slot_taken` when another booking of the doctor overlaps.
    pub async fn send(self) -> Result<BookingView, Error> {
        let key = Key::parse(&self.key)?;
        Call::new(&self.client, "book", Method::POST, &["book"]).body(&self.request).key(&key).send().await
    }
}
