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
//! let decided = client.bookings().wait_until_decided(booking.id).max_wait(Duration::from_secs(30)).send().await?;
//! println!("{}: {}", decided.status, decided.message);
//! # Ok(())
//! # }
//! ```
//!
//! Calls are tried up to three times, with exponential back-off and full jitter. That is safe for a `POST` too: each
//! carries an idempotency key, the same over all tries of one call, so the clinic books once whatever gets lost.

mod booking_list;
mod bookings;
mod builder;
mod call;
mod client;
mod dead_letters;
mod error;
mod pause;

pub use booking_list::ListBookings;
pub use bookings::{Bookings, RequestBooking, WaitUntilDecided};
pub use builder::{BuildError, Builder};
pub use client::Client;
pub use dead_letters::{DeadLetterStream, DeadLetters, ListDeadLetters, ReplayDeadLetter};
pub use error::Error;

pub use clinic_core::{
    api::{
        BookRequest, BookingPage, BookingView, ContactBody, DeadLetterPage, DeadLetterView, FieldError, Health, NoticeView, PoisonView,
        Problem, ProblemCode, ReplayView, TimelineView,
    },
    booking::Status,
    dead_letter::DeadLetterKind,
    notification::NoticeState,
};
