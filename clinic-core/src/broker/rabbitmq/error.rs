use std::{io, time::Duration};

use lapin::ErrorKind;
use thiserror::Error;

/// AMQP's reply when something exists with other properties.
const PRECONDITION_FAILED: u16 = 406;

/// Why a session with the broker cannot be had, or be used. Holds no credentials: neither lapin's errors nor RabbitMQ's do.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error("there is no session with the broker; it is tried again")]
    NoSession,
    #[error("the broker takes no messages: it is short of memory or disk space")]
    Blocked,
    #[error("{step} took longer than {limit:?}")]
    TimedOut { step: &'static str, limit: Duration },
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("{step} failed")]
    Failed {
        step: &'static str,
        #[source]
        source: lapin::Error,
    },
    #[error(
        "{what} exists with other properties than ours: delete it in RabbitMQ (what waits there is safe in the store), or set CLINIC_PREFIX to other names"
    )]
    DeclaredOtherwise {
        what: String,
        #[source]
        source: lapin::Error,
    },
}

impl LinkError {
    /// A step that failed with an answer of the broker, or without.
    pub(super) fn declaring(what: &str, source: lapin::Error) -> Self {
        let otherwise = matches!(source.kind(), ErrorKind::ProtocolError(error) if error.get_id() == PRECONDITION_FAILED);
        if otherwise {
            Self::DeclaredOtherwise { what: what.to_owned(), source }
        } else {
            Self::Failed { step: "declaring exchanges and queues", source }
        }
    }

    /// The error and its source in one line. What lies behind that, lapin's own errors repeat.
    pub(super) fn in_full(&self) -> String {
        std::error::Error::source(self).map_or_else(|| self.to_string(), |source| format!("{self}: {source}"))
    }
}

/// A step that may take so long and no longer: a peer that is frozen answers nothing, ever.
pub(super) async fn within<T>(limit: Duration, step: &'static str, work: impl Future<Output = lapin::Result<T>>) -> Result<T, LinkError> {
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(source)) => Err(LinkError::Failed { step, source }),
        Err(_) => Err(LinkError::TimedOut { step, limit }),
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::AMQPError;

    use super::*;

    fn answered(code: u16, text: &str) -> lapin::Error {
        ErrorKind::ProtocolError(AMQPError::from_id(code, text.into()).unwrap()).into()
    }

    #[test]
    fn a_queue_that_exists_otherwise_is_named_with_the_way_out() {
        let error = LinkError::declaring("the queue w.booking_queue", answered(PRECONDITION_FAILED, "inequivalent arg 'x-max-length'"));
        let text = error.in_full();
        for part in ["the queue w.booking_queue", "delete it", "CLINIC_PREFIX", "x-max-length"] {
            assert!(text.contains(part), "{text}");
        }
        let other = LinkError::declaring("the queue w.booking_queue", answered(403, "no permission"));
        assert!(matches!(other, LinkError::Failed { .. }) && other.in_full().contains("no permission"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_without_an_answer_ends() {
        let silent = within::<()>(Duration::from_secs(3), "connecting", std::future::pending()).await;
        assert_eq!(silent.unwrap_err().to_string(), "connecting took longer than 3s");
    }
}
