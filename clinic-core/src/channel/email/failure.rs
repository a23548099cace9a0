//! What went wrong with a mail, and whose trouble that is.

use std::error::Error as _;

use lettre::transport::smtp::Error;
use thiserror::Error;

use crate::ports::ChannelError;

/// Where sending failed: what a server says before it was offered a mail is not about the mail.
#[derive(Debug, Error)]
pub(super) enum SendError {
    /// While connecting and logging in.
    #[error("the mail server cannot be talked to")]
    Connecting(#[source] Error),
    /// While a connection was to become an encrypted one.
    #[error("the connection to the mail server cannot be encrypted")]
    Encrypting(#[source] Error),
    /// The clinic may not send under this name, or not yet.
    #[error("the mail server does not take mail from this sender")]
    Sender(#[source] Error),
    /// The recipient, or the mail itself, was not taken.
    #[error("the mail server does not take the mail")]
    Mail(#[source] Error),
    /// The address is beyond what the server can do (RFC 6531).
    #[error("the mail server knows no addresses beyond ASCII")]
    Address,
    /// It took too long.
    #[error("the mail server did not answer in time")]
    Late,
}

impl SendError {
    /// Whether the server answered, so that it can be talked to further.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Sender(error) | Self::Mail(error) if error.status().is_some())
    }

    /// The code, and whether it may pass.
    fn code(&self) -> (&'static str, bool) {
        let error = match self {
            Self::Late => return ("smtp_timeout", true),
            Self::Address => return ("smtp_unsupported", true),
            Self::Connecting(error) | Self::Encrypting(error) | Self::Sender(error) | Self::Mail(error) => error,
        };
        match (self, error.status().map(u16::from)) {
            (Self::Encrypting(_), Some(_)) => ("smtp_tls", true),
            // Logging in: RFC 4954, section 6.
            (_, Some(432 | 454 | 530 | 534 | 535 | 538)) => ("smtp_login", true),
            (_, Some(400..=499)) => ("smtp_deferred", true),
            (Self::Sender(_), Some(_)) => ("smtp_sender", true),
            (Self::Mail(_), Some(_)) => ("smtp_refused", false),
            (_, Some(_)) => ("smtp_refused", true),
            (_, None) if error.is_timeout() => ("smtp_timeout", true),
            // Such as a server without STARTTLS.
            (_, None) if error.is_client() => ("smtp_unsupported", true),
            (Self::Encrypting(_), None) => ("smtp_tls", true),
            (_, None) if is_tls(error) => ("smtp_tls", true),
            (_, None) => ("smtp_unreachable", true),
        }
    }
}

impl From<SendError> for ChannelError {
    fn from(error: SendError) -> Self {
        let (code, may_pass) = error.code();
        let source = error.into();
        if may_pass { Self::Transient { code, retry_after: None, source } } else { Self::Permanent { code, source } }
    }
}

/// lettre calls a handshake that fails an error of the connection, and hides its cause in one of input and output.
fn is_tls(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if wrapped.and_then(|wrapped| wrapped.downcast_ref::<rustls::Error>()).is_some() {
            return true;
        }
        source = cause.source();
    }
    false
}
