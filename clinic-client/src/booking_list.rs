use chrono::{DateTime, Utc};
use clinic_core::{
    api::{BookingPage, BookingView},
    booking::Status,
};
use reqwest::Method;

use crate::{
    call::{Call, rfc3339},
    client::Client,
    error::Error,
    pages::Items,
};

/// A list of bookings, about to be asked for. Filters add up; the order is (`datetime`, `id`). Its `Debug` shows no patient.
#[derive(Clone)]
#[must_use = "nothing is asked before send()"]
pub struct ListBookings {
    client: Client,
    doctor: Option<String>,
    patient: Option<String>,
    status: Option<Status>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl std::fmt::Debug for ListBookings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListBookings").field("status", &self.status).field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

impl ListBookings {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client, doctor: None, patient: None, status: None, from: None, to: None, limit: None, cursor: None }
    }

    /// Of this doctor.
    pub fn doctor(mut self, id: impl Into<String>) -> Self {
        self.doctor = Some(id.into());
        self
    }

    /// Of this patient.
    pub fn patient(mut self, id: impl Into<String>) -> Self {
        self.patient = Some(id.into());
        self
    }

    /// In this status.
    pub const fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Starting then or later.
    pub const fn from(mut self, from: DateTime<Utc>) -> Self {
        self.from = Some(from);
        self
    }

    /// Starting before.
    pub const fn to(mut self, to: DateTime<Utc>) -> Self {
        self.to = Some(to);
        self
    }

    /// At most so many a page, 1-200; 50 unless set.
    pub const fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Goes on behind a page: its `next_cursor`.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Asks for one page.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send(self) -> Result<BookingPage, Error> {
        let parameters = [
            ("doctor_id", self.doctor),
            ("patient_id", self.patient),
            ("status", self.status.map(|status| status.to_string())),
            ("from", self.from.map(rfc3339)),
            ("to", self.to.map(rfc3339)),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor),
        ];
        Call::new(&self.client, "bookings", Method::GET, &["bookings"]).query_given(parameters).send().await
    }

    /// All bookings of the list, a page asked for whenever the last one is used up.
    #[must_use]
    pub fn stream(self) -> Items<BookingView> {
        let cursor = self.cursor.clone();
        Items::new(cursor, move |cursor| {
            let list = Self { cursor, ..self.clone() };
            async move { list.send().await.map(|page| (page.items, page.next_cursor)) }
        })
    }
}
