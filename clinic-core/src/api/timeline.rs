//! Timelines as answers show them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Code, utc};
use crate::{
    id::EndpointId,
    timeline::{Entry, EntryKind},
    webhook,
};

/// Answer of `GET /booking/{id}/timeline`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TimelineView {
    /// Oldest first.
    pub events: Vec<TimelineEvent>,
}

impl TimelineView {
    /// A timeline from its entries.
    #[must_use]
    pub fn new(entries: &[Entry]) -> Self {
        Self { events: entries.iter().map(TimelineEvent::from).collect() }
    }
}

/// One entry of a timeline; fields that do not belong to its kind are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TimelineEvent {
    /// Its place.
    pub seq: u32,
    /// When it happened.
    #[serde(with = "utc")]
    pub at: DateTime<Utc>,
    /// What happened.
    #[cfg_attr(feature = "openapi", schema(value_type = EntryKind))]
    pub kind: Code<EntryKind>,
    /// The attempt's or try's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The process that made the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Outcome of an attempt, reason of a decision, error of a notice: one of our codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "utc::option")]
    pub next_try: Option<DateTime<Utc>>,
    /// The notice's channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Of a webhook, the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Uuid>,
    /// The notice's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// The provider's receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

impl From<&Entry> for TimelineEvent {
    fn from(entry: &Entry) -> Self {
        let (channel, endpoint) = entry.channel.as_deref().map(webhook::split).unzip();
        Self {
            seq: entry.seq,
            at: entry.at,
            kind: entry.kind.into(),
            attempt: entry.attempt,
            worker: entry.worker.clone(),
            code: entry.code.clone(),
            next_try: entry.next_try,
            channel: channel.map(str::to_owned),
            endpoint: endpoint.flatten().map(EndpointId::uuid),
            notice: entry.notice.clone(),
            receipt: entry.receipt.clone(),
        }
    }
}
