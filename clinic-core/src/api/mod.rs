//! The JSON contract, shared by server and client. The only serialisable twin of the domain.

mod about;
mod booking;
mod code;
mod dead_letter;
mod health;
mod problem;
mod request;
mod timeline;
mod utc;
mod webhook;

pub use self::{
    about::About,
    booking::{BookingPage, BookingView, NoticeView},
    code::Code,
    dead_letter::{DeadLetterPage, DeadLetterView, PoisonView, ReplayView},
    health::{Alive, Health, HealthStatus},
    problem::{FieldError, Problem, ProblemCode},
    request::{BadBody, BookRequest, ContactBody},
    timeline::{TimelineEvent, TimelineView},
    webhook::{WebhookList, WebhookRequest, WebhookSecretView, WebhookTestView, WebhookView},
};
