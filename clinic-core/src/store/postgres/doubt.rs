//! Commits that were not answered: PostgreSQL is asked what became of them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use deadpool_postgres::{Object, Pool};
use tokio::time::{Instant, sleep};

use super::{
    error::{Error, Result},
    rows::Columns,
    tx::{answered, params},
};

/// How long a caller waits for the answer.
const WITHIN: Duration = Duration::from_secs(2);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(25);
/// Doubts that are remembered; there are never more than connections at once, but a server may stay away for long.
const MOST: usize = 1_024;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    Aborted,
}

/// Transactions whose outcome could not be had in time.
#[derive(Default)]
pub(super) struct Doubts(Mutex<Vec<String>>);

impl Doubts {
    /// Finds out what became of a transaction, and remembers it where that cannot be had in time.
    pub(super) async fn settle(&self, pool: &Pool, xid: &str) -> Option<Outcome> {
        let outcome = outcome(pool, xid).await;
        if outcome.is_none() {
            let mut open = self.lock();
            if open.len() < MOST {
                open.push(xid.to_owned());
            }
        }
        outcome
    }

    /// Waits until none of the transactions in doubt can commit any more: what is read after that stays.
    pub(super) async fn settle_all(&self, pool: &Pool) -> Result<()> {
        let open = self.lock().clone();
        for xid in open {
            outcome(pool, &xid).await.ok_or(Error::Silent(WITHIN))?;
            self.lock().retain(|other| *other != xid);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn outcome(pool: &Pool, xid: &str) -> Option<Outcome> {
    let until = Instant::now() + WITHIN;
    while Instant::now() < until {
        if let Ok(Ok(connection)) = tokio::time::timeout_at(until, pool.get()).await {
            match ask(&connection, xid).await {
                Ok(Some(outcome)) => return Some(outcome),
                Ok(None) => {}
                Err(_) => drop(Object::take(connection)),
            }
        }
        sleep(PAUSE).await;
    }
    None
}

/// Asks once; `None` while the transaction is under way. Its session is ended then: whoever began it has left, but what they sent last may
/// still be on its way.
async fn ask(connection: &Object, xid: &str) -> Result<Option<Outcome>> {
    let sql = "SELECT pg_xact_status($1::text::xid8)";
    let row = answered(connection.query_one(sql, params![xid])).await?;
    match row.column::<Option<&str>>(0)? {
        Some("committed") => Ok(Some(Outcome::Committed)),
        Some("aborted") => Ok(Some(Outcome::Aborted)),
        _ => {
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = $1::text::xid8::xid";
            answered(connection.execute(sql, params![xid])).await?;
            Ok(None)
        }
    }
}
