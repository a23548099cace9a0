//! What a clinic says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answer of `GET /`, for everybody but browsers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct About {
    /// `clinic`.
    pub name: String,
    /// Its release.
    pub version: String,
    /// What it is.
    pub what: String,
    /// Where to go, by what is there.
    pub links: BTreeMap<String, String>,
}

impl About {
    /// What a clinic of this release says, with where to go.
    #[must_use]
    pub fn new(version: &str, links: &[(&str, &str)]) -> Self {
        Self {
            name: "clinic".into(),
            version: version.into(),
            what: "appointment requests, accepted at once and decided later".into(),
            links: links.iter().map(|(name, link)| ((*name).into(), (*link).into())).collect(),
        }
    }
}
