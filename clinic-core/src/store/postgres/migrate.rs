//! Migrations: SQL files in order, each in `schema_migrations` once it was applied.
//!
//! A file says which version a process must know at least to work on the schema that it makes. As long as a change only adds, that is
//! the version before, so that processes of the last release go on while those of the next are started.

use std::time::Duration;

use deadpool_postgres::Object;

use super::{
    error::Result,
    rows::{Columns, Count},
    tx::params,
};

/// One file a version, from 1, with the version that a process must know to work on it.
const VERSIONS: &[(&str, u32)] = &[(include_str!("schema.sql"), 1)];
/// The newest version that this release knows.
pub(super) const KNOWN: u32 = VERSIONS.len() as u32;
/// How long a start may wait for others that migrate, and for its own.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// Brings the schema to the newest version. Several processes may do so at once: each looks again under the lock. Gives the version that
/// a process must know, where this one does not.
pub(super) async fn migrate(connection: &Object) -> Result<Option<u32>> {
    // 25,454 stands for "schema" among the locks of this database.
    // Before it waits, and in a message of its own: a time-out that is running is not made longer.
    connection.batch_execute("BEGIN; SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '60s'").await?;
    connection
        .batch_execute(
            "SELECT pg_advisory_xact_lock(25454); \
             CREATE TABLE IF NOT EXISTS schema_migrations \
             (version integer PRIMARY KEY, minimum integer NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
        )
        .await?;
    let sql = "SELECT coalesce(max(version), 0), coalesce(max(minimum), 0) FROM schema_migrations";
    let row = connection.query_one(sql, &[]).await?;
    let (found, minimum) = (row.count(0)?, row.count(1)?);
    if minimum > KNOWN {
        return Ok(Some(minimum));
    }
    for (version, (sql, minimum)) in (1..).zip(VERSIONS).skip(found as usize) {
        connection.batch_execute(sql).await?;
        let sql = "INSERT INTO schema_migrations (version, minimum) VALUES ($1, $2)";
        connection.execute(sql, params![Count(version), Count(*minimum)]).await?;
    }
    connection.batch_execute("COMMIT").await?;
    Ok(None)
}
