use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::Source;
use crate::{notification::Notice, retry::RetryPolicy};

/// What a channel gave for a notice it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The provider's reference; kept to 200 visible ASCII characters.
    pub reference: Option<String>,
}

impl Receipt {
    /// A receipt without reference.
    #[must_use]
    pub const fn none() -> Self {
        Self { reference: None }
    }

    /// A receipt with the provider's reference.
    #[must_use]
    pub fn with_reference(reference: &str) -> Self {
        Self { reference: Some(visible(reference)) }
    }

    /// The reference as it is kept, whoever set it.
    pub(crate) fn kept(&self) -> Option<String> {
        self.reference.as_deref().map(visible)
    }
}

fn visible(reference: &str) -> String {
    reference.chars().filter(char::is_ascii_graphic).take(200).collect()
}

/// Why a notice was not taken. Codes are ours, short and stable; a foreign text stays in the source and goes nowhere.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// It may pass.
    #[error("the channel did not take the notice ({code}); it will be tried again")]
    Transient {
        /// What happened.
        code: &'static str,
        /// How long the receiver asked to wait.
        retry_after: Option<Duration>,
        /// The cause.
        #[source]
        source: Source,
    },
    /// It will not pass: the notice goes to the dead-letter desk.
    #[error("the channel refuses the notice ({code})")]
    Permanent {
        /// What happened.
        code: &'static str,
        /// The cause.
        #[source]
        source: Source,
    },
    /// There is nothing to send here, and that is in order (`no_contact`).
    #[error("the notice is not for this channel ({code})")]
    Skip {
        /// Why.
        code: &'static str,
    },
}

/// When a failed send is tried again where nothing else is said: 8 tries over about 3 hours.
pub const NOTICE_RETRY: RetryPolicy = RetryPolicy::for_notices(7, Duration::from_secs(5));

/// A way to tell a patient.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// Its name in the ledger: short, stable, unique in a clinic.
    fn name(&self) -> &str;

    /// Sends a notice. May be called again with the same [`Notice::id`] after a crash or a lost answer; the content is then the same.
    ///
    /// # Errors
    /// [`ChannelError`].
    async fn send(&self, notice: &Notice) -> Result<Receipt, ChannelError>;

    /// How many sends may run at once.
    fn concurrency(&self) -> usize {
        64
    }

    /// How long one send may take, a day at most. Like the name, the concurrency and the retries it is asked for once, at the start.
    fn timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// When a failed send is tried again: by default 8 tries over about 3 hours.
    fn retry(&self) -> RetryPolicy {
        NOTICE_RETRY
    }
}
