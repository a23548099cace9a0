use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};

use super::{FormerSecret, Secret};
use crate::id::EndpointId;

/// Endpoints that a clinic may have at once, those that are switched off among them.
pub const MAX_ENDPOINTS: usize = 100;

/// How long a secret signs after it was replaced.
pub const FORMER_SIGNS_FOR: Duration = Duration::from_secs(24 * 3600);

/// The code of a notice whose receiver said that it is gone for good; switches its endpoint off.
pub const ENDPOINT_GONE: &str = "endpoint_gone";
/// The code of a notice whose endpoint was switched off before it was sent.
pub const ENDPOINT_DISABLED: &str = "endpoint_disabled";
/// The code of a notice whose endpoint was removed before it was sent.
pub const ENDPOINT_REMOVED: &str = "endpoint_removed";
/// The code of a notice that was made when no endpoint was there.
pub const NO_ENDPOINT: &str = "no_endpoint";

/// A place that webhooks go to. Its `Debug` hides the URL, which may hold a receiver's secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Where it is.
    pub url: String,
    /// What its deliveries are signed with.
    pub secret: Secret,
    /// The secrets before, the last one first.
    pub former: Vec<FormerSecret>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// Since when nothing is sent there, and why.
    pub disabled: Option<Disabled>,
}

/// Since when an endpoint is switched off, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disabled {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Why, one of our codes.
    pub code: String,
}

impl Disabled {
    /// Switched off then.
    #[must_use]
    pub const fn new(at: DateTime<Utc>, code: String) -> Self {
        Self { at, code }
    }
}

impl Endpoint {
    /// A fresh endpoint.
    #[must_use]
    pub const fn new(id: EndpointId, url: String, secret: Secret, created_at: DateTime<Utc>) -> Self {
        Self { id, url, secret, former: Vec::new(), created_at, disabled: None }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("id", &self.id).field("disabled", &self.disabled).finish_non_exhaustive()
    }
}
