//! Typed client of the clinic's REST API.
//!
//! ```no_run
//! use std::time::Duration;
//! use clinic_client::{BookRequest, Client};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("http://127.0.0.1:8080").build()?;
//! let (patient_id, datetime) = (Some("PAC001".into()), Some("2027-03-21T15:30:00Z".into()));
//! let request = BookRequest { patient_id, datetime, ..BookRequest::default() };
//! let booking = client.bookings().request(request).send().await?;
//! let decided = client.bookings().wait_until_decided(booking.id).max_wait(Duration::from_secs(30)).await?;
//! println!("{}: {}", decided.status, decided.message);
//! # Ok(())
//! # }
//! ```
//!
//! Calls are tried up to three times, with exponential back-off and full jitter. That is safe for a `POST` too: each
//! carries an idempotency key, the same over all tries of one call, so the clinic books once whatever gets lost.

mod booking_list;
mod bookings;
mod budget;
mod builder;
mod call;
mod client;
mod dead_letters;
mod error;
mod events;
mod journal;
mod key;
mod pages;
mod retry;
mod sse;
mod trace;
mod wait;
mod webhooks;

#[cfg(feature = "testing")]
pub mod testing;

pub use booking_list::ListBookings;
pub use bookings::{Bookings, RequestBooking};
pub use builder::{BuildError, Builder};
pub use client::Client;
pub use dead_letters::{DeadLetters, ListDeadLetters, ReplayDeadLetter};
pub use error::{Error, ErrorKind};
pub use events::Events;
pub use journal::{Journal, JournalEntry, JournalError};
pub use pages::Items;
pub use retry::RetryPolicy;
pub use wait::WaitUntilDecided;
pub use webhooks::{RegisterWebhook, Webhooks};

pub use clinic_core::{
    api::{
        About, Alive, BookRequest, BookingPage, BookingView, ContactBody, DeadLetterPage, DeadLetterView, FieldError, Health, HealthStatus,
        NoticeView, PoisonView, Problem, ProblemCode, ReplayView, TimelineEvent, TimelineView, WebhookList, WebhookRequest, WebhookSecretView,
        WebhookTestView, WebhookView,
    },
    booking::{Language, Status},
    dead_letter::DeadLetterKind,
    decision::{Decision, Reason},
    notification::{EventKind, NoticeState},
    timeline::EntryKind,
};
