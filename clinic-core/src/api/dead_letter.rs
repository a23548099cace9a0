//! Dead letters as answers show them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Code, utc};
use crate::{
    dead_letter::{DeadLetter, DeadLetterKind, Poison},
    id::{BookingId, EndpointId, NoticeId},
    webhook,
};

/// A dead letter, as every answer shows it. Times are UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct DeadLetterView {
    /// Its id.
    pub id: i64,
    /// The booking it is about.
    pub booking: Uuid,
    /// What failed.
    #[cfg_attr(feature = "openapi", schema(value_type = DeadLetterKind))]
    pub kind: Code<DeadLetterKind>,
    /// Why: a reason of rejection, an outcome of an attempt, or the code of a channel.
    pub code: String,
    /// Attempts or tries spent.
    pub attempts: u32,
    /// The notice that failed.
    pub notice: Option<Uuid>,
    /// Its channel.
    pub channel: Option<String>,
    /// Of a webhook, the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Uuid>,
    /// When it failed for good.
    #[serde(with = "utc")]
    pub at: DateTime<Utc>,
    /// When it was replayed.
    #[serde(with = "utc::option")]
    pub replayed_at: Option<DateTime<Utc>>,
    /// The booking that a replayed decision became.
    pub replayed_as: Option<Uuid>,
}

impl From<&DeadLetter> for DeadLetterView {
    fn from(letter: &DeadLetter) -> Self {
        let (channel, endpoint) = letter.channel.as_deref().map(webhook::split).unzip();
        Self {
            id: letter.id.0,
            booking: letter.booking.uuid(),
            kind: letter.kind.into(),
            code: letter.code.clone(),
            attempts: letter.attempts,
            notice: letter.notice.map(NoticeId::uuid),
            channel: channel.map(str::to_owned),
            endpoint: endpoint.flatten().map(EndpointId::uuid),
            at: letter.at,
            replayed_at: letter.replayed_at,
            replayed_as: letter.replayed_as.map(BookingId::uuid),
        }
    }
}

/// Answer of `GET /dead-letters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct DeadLetterPage {
    /// Oldest first.
    pub items: Vec<DeadLetterView>,
    /// Hand it back as `cursor` for the next page; null at the end.
    pub next_cursor: Option<String>,
    /// On the first page, whatever the filters: messages that nobody could understand, the oldest 100 of each of the broker's queues,
    /// in no order. Null when the broker cannot be asked now, and on later pages.
    #[serde(default)]
    pub poison: Option<Vec<PoisonView>>,
}

impl DeadLetterPage {
    /// A page without a word of poison.
    #[must_use]
    pub const fn new(items: Vec<DeadLetterView>, next_cursor: Option<String>) -> Self {
        Self { items, next_cursor, poison: None }
    }
}

/// A message that nobody could understand. Its content is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PoisonView {
    /// The queue that it lies in, without `CLINIC_PREFIX`: `booking_queue.dead` or `notification_queue.dead`.
    pub queue: String,
    /// Its message id, if that is one such as the clinic's own.
    pub message_id: Option<Uuid>,
    /// How large its body is.
    pub bytes: u64,
}

impl From<&Poison> for PoisonView {
    fn from(poison: &Poison) -> Self {
        Self { queue: poison.queue.spec().dead.to_owned(), message_id: poison.message, bytes: poison.bytes }
    }
}

/// Answer of `POST /dead-letters/{id}/replay`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ReplayView {
    /// Whether it was only tried: then nothing was changed.
    pub dry_run: bool,
    /// The letter as it is now.
    pub dead_letter: DeadLetterView,
}

impl ReplayView {
    /// What became of a replay.
    #[must_use]
    pub const fn new(dry_run: bool, dead_letter: DeadLetterView) -> Self {
        Self { dry_run, dead_letter }
    }
}
