//! What keeping the endpoints of webhooks takes and gives.

use std::fmt;

use crate::{
    id::EndpointId,
    webhook::{Endpoint, Secret},
};

/// An endpoint to register. Its id and secret are made before the transaction: one whose outcome is not known is asked again with the
/// same, and is answered as the first time when it had been done. Its `Debug` hides the URL.
#[derive(Clone)]
#[non_exhaustive]
pub struct NewEndpoint {
    /// Its id.
    pub id: EndpointId,
    /// Where it is.
    pub url: String,
    /// What its deliveries will be signed with.
    pub secret: Secret,
}

impl NewEndpoint {
    /// An endpoint under a fresh id.
    #[must_use]
    pub fn new(url: String, secret: Secret) -> Self {
        Self { id: EndpointId::generate(), url, secret }
    }
}

impl fmt::Debug for NewEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEndpoint").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What became of a [`NewEndpoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Registration {
    /// Committed and synced.
    Done(Endpoint),
    /// An endpoint has this URL already.
    Exists(EndpointId),
    /// There are [`MAX_ENDPOINTS`](crate::webhook::MAX_ENDPOINTS).
    TooMany,
}
