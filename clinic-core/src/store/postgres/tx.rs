//! The open transaction, as commands see it.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{Object, Pool};
use futures_util::future;
use tokio::time::timeout;
use tokio_postgres::{Row, types::ToSql};

use super::{
    PostgresOptions,
    error::{Error, Result},
    rows::{Columns, Millis},
};
use crate::{id::BookingId, reminder::Reminders};

/// No statement waits longer for its answer: a server that is frozen answers nothing, ever.
pub(super) const ANSWER: Duration = Duration::from_millis(1_500);

/// A statement's parameters.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$(&$value as &(dyn tokio_postgres::types::ToSql + Sync)),*] };
}
pub(super) use params;

/// What a transaction is for, and what it takes hold of as it begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode<'a> {
    /// One call.
    Write,
    /// Bookings for these patients, each of whose requests are counted one after the other. It waits for nobody for long: many wait with it.
    Accept(&'a [&'a str]),
    /// Changes of bookings; of these it holds those that nobody else has in hand.
    Hold(&'a [BookingId]),
    /// Of one moment, so that a booking and its notices fit together.
    Read,
}

/// Stands for "patient" among the locks of a database.
macro_rules! patients {
    () => {
        "25453"
    };
}
pub(super) use patients;

/// The moment by the server's clock.
macro_rules! moment {
    () => {
        "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, "
    };
}

impl Mode<'_> {
    /// How it begins, and the statement that gives its moment, its name and what it holds.
    const fn statements(&self) -> (&'static str, &'static str) {
        match self {
            Self::Write => ("BEGIN", concat!(moment!(), "pg_current_xact_id()::text, NULL::uuid[]")),
            Self::Accept(_) => (
                // Its rows are joined with each other, for which no table has an index.
                "BEGIN; SET LOCAL lock_timeout = 200; SET LOCAL enable_hashjoin = on",
                concat!(
                    moment!(),
                    "pg_current_xact_id()::text, NULL::uuid[] FROM (SELECT count(pg_advisory_xact_lock(",
                    patients!(),
                    ", patient)) FROM (SELECT DISTINCT hashtext(patient) AS patient FROM unnest($1::text[]) AS patient ORDER BY 1) AS sorted) AS locked"
                ),
            ),
            Self::Hold(_) => (
                "BEGIN",
                concat!(
                    moment!(),
                    "pg_current_xact_id()::text, \
                     ARRAY(SELECT id FROM booking WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)"
                ),
            ),
            Self::Read => ("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", concat!(moment!(), "''::text, NULL::uuid[]")),
        }
    }
}

/// What a command works with: the open transaction and the moment it runs at.
pub(super) struct Tx {
    /// Its connection, until it ends; one that is dropped open loses its connection, and with it is rolled back.
    connection: Option<Object>,
    pub(super) now: Millis,
    /// What PostgreSQL calls it, by which its outcome is looked up when its commit is not answered. None for a read.
    pub(super) xid: String,
    /// The bookings that it holds, where it asked for some.
    pub(super) held: Vec<BookingId>,
    pub(super) grace: Duration,
    pub(super) reminders: Reminders,
}

impl Tx {
    /// Begins one. A connection that turns out to be broken, as all are after a restart of the server, is replaced.
    pub(super) async fn begin(pool: &Pool, options: &PostgresOptions, mode: Mode<'_>) -> Result<Self> {
        let mut replaced = 0;
        loop {
            let connection = pool.get().await.map_err(|error| Error::Connection(connecting(&error)))?;
            match Self::begin_on(connection, options, mode).await {
                Err(error) if error.is_of_broken_connection() && replaced < pool.status().max_size => replaced += 1,
                begun => return begun,
            }
        }
    }

    async fn begin_on(connection: Object, options: &PostgresOptions, mode: Mode<'_>) -> Result<Self> {
        let (begin, sql) = mode.statements();
        let mut tx = Self {
            connection: Some(connection),
            now: Millis(0),
            xid: String::new(),
            held: Vec::new(),
            grace: options.grace,
            reminders: options.reminders.clone(),
        };
        let connection = tx.connection();
        let statement = answered(connection.prepare_cached(sql)).await?;
        let values: &[&(dyn ToSql + Sync)] = match &mode {
            Mode::Write | Mode::Read => &[],
            Mode::Accept(patients) => &[patients],
            Mode::Hold(bookings) => &[bookings],
        };
        // Both go out together, in this order.
        let both = future::try_join(connection.batch_execute(begin), connection.query_one(&statement, values));
        let ((), row) = answered(both).await?;
        tx.xid = row.column(1)?;
        tx.held = row.column::<Option<_>>(2)?.unwrap_or_default();
        tx.now = match &options.clock {
            Some(clock) => clock.now().into(),
            None => row.column(0)?,
        };
        Ok(tx)
    }

    fn connection(&self) -> &Object {
        self.connection.as_ref().expect("only what ends a transaction takes its connection")
    }

    pub(super) async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        let connection = self.connection();
        let statement = answered(connection.prepare_cached(sql)).await?;
        answered(connection.execute(&statement, params)).await
    }

    pub(super) async fn all(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let connection = self.connection();
        let statement = answered(connection.prepare_cached(sql)).await?;
        answered(connection.query(&statement, params)).await
    }

    /// The row, if there is one.
    pub(super) async fn one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>> {
        self.all(sql, params).await.map(|mut rows| rows.pop())
    }

    /// The row that is there for sure.
    pub(super) async fn row(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        self.one(sql, params).await?.ok_or(Error::Missing)
    }

    /// Takes hold of bookings and all that belongs to them, for whoever is to write there: all at once and in one order, so that no
    /// two transactions wait for each other.
    pub(super) async fn lock(&self, bookings: impl IntoIterator<Item = BookingId>) -> Result<()> {
        let ids: Vec<BookingId> = bookings.into_iter().collect();
        self.execute("SELECT 1 FROM booking WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE", params![ids]).await.map(drop)
    }

    /// Its last statement and its commit, in one message; what the statement gave.
    pub(super) async fn commit_with(mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Last {
        let connection = self.connection();
        let statement = match answered(connection.prepare_cached(sql)).await {
            Ok(statement) => statement,
            Err(error) => {
                self.rollback(&error).await;
                return Last::Undone(error);
            }
        };
        // Both go out together, in this order. After a statement that failed, COMMIT is a rollback.
        let both = future::join(connection.query(&statement, params), connection.batch_execute("COMMIT"));
        let answers = timeout(ANSWER * 2, both).await;
        let (rows, committed) = match answers {
            Ok((rows, committed)) => (rows.map_err(Error::from), committed.map_err(Error::from)),
            Err(_) => return Last::InDoubt(Error::Silent(ANSWER * 2)),
        };
        if committed.is_ok() {
            // Back to the pool.
            drop(self.connection.take());
        }
        match (rows, committed) {
            (Ok(rows), Ok(())) => Last::Done(rows),
            (Err(error), _) if error.leaves_connection() => Last::Undone(error),
            (Ok(_), Err(error)) if error.is_conflict() => Last::Undone(error),
            (Err(error), _) | (Ok(_), Err(error)) => Last::InDoubt(error),
        }
    }

    /// Commits. After an error that the server did not answer with, nobody knows the outcome yet.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.end("COMMIT").await
    }

    /// Undoes everything, and keeps the connection where that can be had.
    pub(super) async fn rollback(mut self, cause: &Error) {
        if cause.leaves_connection() {
            // Nothing depends on it: a connection that fails here is dropped.
            let _ = self.end("ROLLBACK").await;
        }
    }

    async fn end(&mut self, sql: &str) -> Result<()> {
        let ended = answered(self.connection().batch_execute(sql)).await;
        if ended.is_ok() {
            // Back to the pool.
            drop(self.connection.take());
        }
        ended
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

/// How a transaction's last statement and its commit ended.
pub(super) enum Last {
    Done(Vec<Row>),
    /// Surely not done.
    Undone(Error),
    /// Nobody knows yet.
    InDoubt(Error),
}

/// An answer of the server, within its time.
pub(super) async fn answered<T>(asking: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>) -> Result<T> {
    match timeout(ANSWER, asking).await {
        Ok(answer) => answer.map_err(Error::from),
        Err(_) => Err(Error::Silent(ANSWER)),
    }
}

/// Why no connection can be had, without what may be secret.
pub(super) fn connecting(error: &deadpool_postgres::PoolError) -> String {
    match error {
        deadpool_postgres::PoolError::Backend(error) => match error.as_db_error() {
            Some(refusal) => format!("{} {}", refusal.code().code(), refusal.message()),
            None => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
        },
        other => other.to_string(),
    }
}

/// Writes something small, so that the commit is a real one.
pub(super) async fn touch(tx: &Tx) -> Result<()> {
    tx.execute("UPDATE probe SET at = $1 WHERE one = 1", params![tx.now]).await.map(drop)
}

/// The clock that a store runs by, where it is not the server's.
pub(super) type OwnClock = Option<Arc<dyn crate::ports::Clock>>;
