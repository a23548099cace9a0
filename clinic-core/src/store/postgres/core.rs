//! What all calls share, and how a transaction comes to its end.

use std::sync::{Arc, atomic::AtomicU64};

use deadpool_postgres::Pool;
use tokio::sync::Semaphore;

use super::{
    PostgresOptions,
    doubt::{Doubts, Outcome},
    error::{self, Error, classify},
    tx::Tx,
};
use crate::{crash::crash_point, ports::StoreError};

/// How often a transaction that conflicts with others is run.
pub(super) const TRIES: u32 = 8;

/// What all calls share.
pub(super) struct Core {
    pub(super) pool: Pool,
    pub(super) options: PostgresOptions,
    /// Transactions that accept: work always finds connections of its own.
    pub(super) accepting: Semaphore,
    /// Writes that wait or run.
    pub(super) writes: Arc<AtomicU64>,
    pub(super) doubts: Doubts,
}

/// How an attempt at a transaction ended.
pub(super) enum Ended<T> {
    Done(T),
    /// It met another one and was undone; the same again may succeed.
    Conflict(Error),
    Failed(Failed),
}

/// Why a transaction came to nothing, or to nobody knows what.
pub(super) enum Failed {
    /// One of its statements failed: surely not done.
    Undone(Error),
    /// Its commit did.
    Uncommitted(StoreError),
}

impl Failed {
    /// Whether one row of many may be at fault, so that the others might be stored without it.
    pub(super) fn is_of_a_row(&self) -> bool {
        matches!(self, Self::Undone(error) if error.is_of_a_row())
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Undone(error) => classify(error),
            Failed::Uncommitted(error) => error,
        }
    }
}

/// Runs `$work`, which uses `$tx`, in a transaction that begins as `$begin` says, again where it meets another one.
macro_rules! transact {
    ($core:expr, $begin:expr, |$tx:ident| $work:expr) => {{
        let core = $core;
        let mut tries = 1;
        loop {
            let begun = match $crate::store::postgres::tx::Tx::begin(&core.pool, &core.options, $begin).await {
                Ok(begun) => begun,
                Err(error) => break Err($crate::store::postgres::core::Failed::Undone(error)),
            };
            let worked = {
                let $tx = &begun;
                $work.await
            };
            match core.end(begun, worked).await {
                $crate::store::postgres::core::Ended::Done(done) => break Ok(done),
                $crate::store::postgres::core::Ended::Conflict(_) if tries < $crate::store::postgres::core::TRIES => tries += 1,
                $crate::store::postgres::core::Ended::Conflict(error) => {
                    break Err($crate::store::postgres::core::Failed::Undone(error));
                }
                $crate::store::postgres::core::Ended::Failed(failed) => break Err(failed),
            }
        }
    }};
}
pub(super) use transact;

impl Core {
    /// Ends a transaction as its work did. A commit that is not answered is looked up.
    pub(super) async fn end<T>(&self, tx: Tx, worked: error::Result<T>) -> Ended<T> {
        let done = match worked {
            Ok(done) => done,
            Err(error) => {
                tx.rollback(&error).await;
                return if error.is_conflict() { Ended::Conflict(error) } else { Ended::Failed(Failed::Undone(error)) };
            }
        };
        crash_point!("in_transaction");
        let xid = tx.xid.clone();
        let committed = tx.commit().await;
        crash_point!("committed");
        match committed {
            Ok(()) => Ended::Done(done),
            Err(error) if error.is_conflict() => Ended::Conflict(error),
            Err(error) => match self.look_up(&xid, error).await {
                Ok(()) => Ended::Done(done),
                Err(error) => Ended::Failed(Failed::Uncommitted(error)),
            },
        }
    }

    /// What became of a transaction whose commit was not answered, by the error that came instead.
    ///
    /// # Errors
    /// That it was undone, or that nobody knows.
    pub(super) async fn look_up(&self, xid: &str, error: Error) -> Result<(), StoreError> {
        tracing::warn!(%error, "a commit was not answered; its outcome is looked up");
        match self.doubts.settle(&self.pool, xid).await {
            Some(Outcome::Committed) => Ok(()),
            Some(Outcome::Aborted) => Err(StoreError::Unavailable(error.into())),
            None => Err(StoreError::Unknown(error.into())),
        }
    }
}

/// The same error for one more caller.
pub(super) fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Busy => StoreError::Busy,
        StoreError::TooSlow => StoreError::TooSlow,
        StoreError::Unknown(source) => StoreError::Unknown(source.to_string().into()),
        StoreError::Corrupt(source) => StoreError::Corrupt(source.to_string().into()),
        StoreError::Unavailable(source) => StoreError::Unavailable(source.to_string().into()),
    }
}
