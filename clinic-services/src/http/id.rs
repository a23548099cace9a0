//! Ids in paths.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use clinic_core::{
    dead_letter::DeadLetterId,
    id::{BookingId, EndpointId},
};
use http::request::Parts;

use super::refusal::Refusal;

/// What has an id in paths.
pub(super) trait Named: FromStr {
    /// The answer where none has it.
    fn unknown() -> Refusal;
}

impl Named for BookingId {
    fn unknown() -> Refusal {
        Refusal::no_booking()
    }
}

impl Named for DeadLetterId {
    fn unknown() -> Refusal {
        Refusal::no_letter()
    }
}

impl Named for EndpointId {
    fn unknown() -> Refusal {
        Refusal::no_webhook()
    }
}

/// The id in a path; what is no id names nothing.
pub(super) struct Id<T>(pub(super) T);

impl<T: Named, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| T::unknown())?;
        id.parse().map(Self).map_err(|_| T::unknown())
    }
}
