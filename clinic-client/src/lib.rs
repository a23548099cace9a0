#![doc = include_str!("../README.md")]

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
        About, Alive, BookRequest, BookingPage, BookingView, Code, ContactBody, DeadLetterPage, DeadLetterView, FieldError, Health,
        HealthStatus, NoticeView, PoisonView, Problem, ProblemCode, ReplayView, TimelineEvent, TimelineView, WebhookList, WebhookRequest,
        WebhookSecretView, WebhookTestView, WebhookView,
    },
    booking::{Language, Status},
    dead_letter::DeadLetterKind,
    decision::{Decision, Reason},
    notification::{EventKind, NoticeState},
    timeline::EntryKind,
};
