//! What travels through the broker: ids and nothing else.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    id::{BookingId, JobId},
    job::JobKind,
};

/// The version this code writes and reads.
pub const VERSION: u32 = 1;
/// No message of ours is longer, in bytes.
pub const MAX_BYTES: usize = 1024;

/// News that a job is there: JSON `{v, job, kind, booking}`. The store knows the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    v: u32,
    /// The job, and the AMQP `message_id`.
    pub job: JobId,
    /// What it asks for.
    pub kind: JobKind,
    /// The booking it is about.
    pub booking: BookingId,
}

/// Why a body is no message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than any message of ours.
    #[error("the message is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Not the JSON of a message.
    #[error("the message cannot be parsed")]
    Unparseable(#[source] serde_json::Error),
    /// Written by a newer release.
    #[error("the message has version {0}, this release reads {VERSION}")]
    UnknownVersion(u32),
}

impl Message {
    /// News of a job.
    #[must_use]
    pub const fn new(job: JobId, kind: JobKind, booking: BookingId) -> Self {
        Self { v: VERSION, job, kind, booking }
    }

    /// The message's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("ids and codes always serialise")
    }

    /// Reads a message; fields it does not know are passed over.
    ///
    /// # Errors
    /// [`MessageError`]: such a message is poison and belongs on the `.dead` queue.
    pub fn parse(body: &[u8]) -> Result<Self, MessageError> {
        if body.len() > MAX_BYTES {
            return Err(MessageError::TooLong);
        }
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let Version { v } = serde_json::from_slice(body).map_err(MessageError::Unparseable)?;
        if v != VERSION {
            return Err(MessageError::UnknownVersion(v));
        }
        serde_json::from_slice(body).map_err(MessageError::Unparseable)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_read_back_and_holds_ids_only() {
        let message = Message::new(JobId::generate(), JobKind::Decide, BookingId::generate());
        assert_eq!(Message::parse(&message.to_bytes()).unwrap(), message);
        let fields: serde_json::Map<_, _> = serde_json::from_slice(&message.to_bytes()).unwrap();
        let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["booking", "job", "kind", "v"]);
    }

    #[test]
    fn a_newer_version_is_told_from_garbage() {
        assert!(matches!(Message::parse(br#"{"v":2,"what":"ever"}"#), Err(MessageError::UnknownVersion(2))));
        assert!(matches!(Message::parse(b"{}"), Err(MessageError::Unparseable(_))));
        assert!(matches!(Message::parse(&[b' '; 2000]), Err(MessageError::TooLong)));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::parse(&body);
        }
    }
}
