//! A request that a receiver got.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use crate::checker::Told;

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its `webhook-id`.
    pub id: String,
    /// Its headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
    /// Whether the receiver took it, even if the sender was not told so.
    pub taken: bool,
}

impl Delivery {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The booking it tells of.
    #[must_use]
    pub fn booking(&self) -> Option<Uuid> {
        self.json()["data"]["booking"].as_str()?.parse().ok()
    }

    /// What it tells: `confirmed`, `rejected`, `cancelled`, `reminder`.
    #[must_use]
    pub fn event(&self) -> Option<String> {
        Some(self.json()["type"].as_str()?.strip_prefix("booking.")?.to_owned())
    }

    pub(super) fn told(&self, endpoint: Uuid) -> Told {
        Told {
            channel: format!("webhook:{endpoint}"),
            id: self.id.parse().unwrap_or_default(),
            booking: self.booking(),
            event: self.event(),
            seq: self.json()["data"]["seq"].as_i64(),
            content: self.body.clone(),
        }
    }
}
