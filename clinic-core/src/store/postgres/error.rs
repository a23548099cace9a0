use std::{error::Error as _, time::Duration};

use thiserror::Error;
use tokio_postgres::error::SqlState;

use crate::ports::StoreError;

/// Why a statement failed. PostgreSQL's own text may show a row's values, so of its errors only the code is kept.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("PostgreSQL refused: {code} {what}")]
    Refused { code: String, what: String },
    #[error("the connection to PostgreSQL failed: {0}")]
    Connection(String),
    #[error("PostgreSQL did not answer within {0:?}")]
    Silent(Duration),
    #[error("a row cannot be read: {0}")]
    Unreadable(String),
    #[error("a row is missing that another one names")]
    Missing,
}

pub(super) type Result<T> = std::result::Result<T, Error>;

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => {
                let what = refusal.constraint().unwrap_or_else(|| if is_about_data(refusal.code()) { "" } else { refusal.message() });
                Self::Refused { code: refusal.code().code().to_owned(), what: what.to_owned() }
            }
            None => Self::Connection(error.source().map_or_else(|| error.to_string(), ToString::to_string)),
        }
    }
}

/// Classes whose messages may quote what was to be stored: data exceptions and integrity violations.
fn is_about_data(code: &SqlState) -> bool {
    code.code().starts_with("22") || code.code().starts_with("23")
}

impl Error {
    fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the same transaction, run again, may well succeed: a deadlock or a serialisation failure.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self.code(), Some("40001" | "40P01"))
    }

    /// Whether the server has closed the connection, or says that it does.
    pub(super) fn is_of_broken_connection(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.starts_with("57P") || code.starts_with("08") || code == "25P03",
            Self::Connection(_) => true,
            Self::Silent(_) | Self::Unreadable(_) | Self::Missing => false,
        }
    }

    /// Whether the connection can go on after a rollback.
    pub(super) fn leaves_connection(&self) -> bool {
        !self.is_of_broken_connection() && !matches!(self, Self::Silent(_))
    }

    /// Whether one row of many may be at fault: what it holds, where it is to go, or that somebody has it in hand.
    pub(super) fn is_of_a_row(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.starts_with("22") || code.starts_with("23") || code.starts_with("54") || code == "55P03",
            Self::Unreadable(_) | Self::Missing => true,
            Self::Connection(_) | Self::Silent(_) => false,
        }
    }

    /// Whether a row, rather than the store, is at fault.
    pub(super) const fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

/// What a failed statement means while no commit is involved.
pub(super) fn classify(error: Error) -> StoreError {
    match error {
        Error::Unreadable(_) | Error::Missing => StoreError::Corrupt(error.into()),
        _ => StoreError::Unavailable(error.into()),
    }
}

/// The same for a read: one that was cancelled took too long.
pub(super) fn classify_read(error: Error) -> StoreError {
    if error.code() == Some(SqlState::QUERY_CANCELED.code()) { StoreError::TooSlow } else { classify(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Error {
        Error::Refused { code: code.into(), what: String::new() }
    }

    #[test]
    fn what_may_be_tried_again_and_on_what_is_known() {
        for code in ["40001", "40P01"] {
            assert!(refused(code).is_conflict() && refused(code).leaves_connection(), "{code}");
        }
        for code in ["57P01", "57P03", "08006", "25P03"] {
            assert!(!refused(code).is_conflict() && !refused(code).leaves_connection(), "{code}");
        }
        assert!(!Error::Silent(Duration::ZERO).leaves_connection() && !Error::Silent(Duration::ZERO).is_of_broken_connection());
    }

    #[test]
    fn a_read_that_was_cancelled_took_too_long() {
        assert!(matches!(classify_read(refused("57014")), StoreError::TooSlow));
        assert!(matches!(classify(refused("57014")), StoreError::Unavailable(_)));
        assert!(matches!(classify_read(Error::Unreadable("one".into())), StoreError::Corrupt(_)));
    }
}
