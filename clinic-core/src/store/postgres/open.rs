//! Opening: a pool of connections to a server that keeps what it says it has kept.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use thiserror::Error;
use tokio::time::timeout;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    error::{Error as StatementError, Result as StatementResult},
    migrate,
    rows::Columns,
    tx::{answered, connecting},
    url::{CONNECT, PostgresUrl, PostgresUrlError},
};
use crate::ports::Source;

/// The oldest release of PostgreSQL that will do, as it numbers itself.
const OLDEST: i32 = 140_000;

/// Why the store cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostgresOpenError {
    /// The address cannot be used.
    #[error(transparent)]
    Url(#[from] PostgresUrlError),
    /// No connection, or the server turns the clinic away: wrong password, no such database, only a standby.
    #[error("no connection to {url}: is the server there, does the database exist, are user and password right, can it be written?")]
    Connection {
        /// Where, without secrets.
        url: String,
        /// The cause.
        #[source]
        source: Source,
    },
    /// The server is too old.
    #[error("{url} is PostgreSQL {found}: version 14 or newer is needed")]
    TooOld {
        /// Where.
        url: String,
        /// What it says it is.
        found: String,
    },
    /// The server would lose or spoil what it said it has kept.
    #[error("{url} has {setting} = {found}, by which accepted bookings could be lost: set it to {fix}")]
    Unsafe {
        /// Where.
        url: String,
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What it must be.
        fix: &'static str,
    },
    /// A standby.
    #[error("{url} is a standby, which cannot be written: name the primary")]
    Standby {
        /// Where.
        url: String,
    },
    /// The schema is of a release that this one does not understand.
    #[error("{url} has a schema that needs a release which knows version {minimum}, this one knows up to {known}: start a newer release")]
    NewerSchema {
        /// Where.
        url: String,
        /// What must be known at least.
        minimum: u32,
        /// The newest this release knows.
        known: u32,
    },
    /// The schema cannot be made or brought up to date.
    #[error("the schema of {url} cannot be made: may the user create tables and the extension btree_gist there?")]
    Schema {
        /// Where.
        url: String,
        /// The cause.
        #[source]
        source: Source,
    },
}

pub(super) fn pool(url: &PostgresUrl, connections: usize) -> Result<Pool, PostgresOpenError> {
    let manager = Manager::from_config(
        url.config.clone(),
        MakeRustlsConnect::new(url.tls()?),
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let pool = Pool::builder(manager)
        .max_size(connections)
        .wait_timeout(Some(Duration::from_secs(1)))
        .create_timeout(Some(CONNECT))
        .recycle_timeout(Some(CONNECT))
        .runtime(Runtime::Tokio1)
        .build();
    pool.map_err(|error| PostgresOpenError::Connection { url: url.to_string(), source: error.into() })
}

/// Whether the server can keep the clinic's promises; then its schema is brought up to date.
pub(super) async fn prepare(pool: &Pool, url: &PostgresUrl) -> Result<(), PostgresOpenError> {
    let at = || url.to_string();
    let refused = |source: String| PostgresOpenError::Connection { url: url.to_string(), source: source.into() };
    let connection = pool.get().await.map_err(|error| refused(connecting(&error)))?;
    check(&connection, url).await.unwrap_or_else(|error| Err(refused(error.to_string())))?;
    let migrated = match timeout(migrate::LONGEST, migrate::migrate(&connection)).await {
        Ok(migrated) => migrated,
        Err(_) => Err(StatementError::Silent(migrate::LONGEST)),
    };
    // Should it have failed half way, nothing of it may stay.
    drop(Object::take(connection));
    match migrated {
        Ok(Some(minimum)) => Err(PostgresOpenError::NewerSchema { url: at(), minimum, known: migrate::KNOWN }),
        Ok(None) => Ok(()),
        Err(source) => Err(PostgresOpenError::Schema { url: at(), source: source.into() }),
    }
}

async fn check(connection: &Object, url: &PostgresUrl) -> StatementResult<Result<(), PostgresOpenError>> {
    let sql = "SELECT current_setting('server_version_num')::integer, current_setting('server_version'), current_setting('server_encoding'), \
               current_setting('fsync'), current_setting('synchronous_commit'), pg_is_in_recovery()";
    let row = answered(connection.query_one(sql, &[])).await?;
    let at = || url.to_string();
    if row.column::<i32>(0)? < OLDEST {
        return Ok(Err(PostgresOpenError::TooOld { url: at(), found: row.column(1)? }));
    }
    if row.column(5)? {
        return Ok(Err(PostgresOpenError::Standby { url: at() }));
    }
    // `local` waits for this server's own disk, which is what P1 asks of a single one.
    for (column, setting, bad, fix) in [
        (2, "server_encoding", "SQL_ASCII", "UTF8 when the database is created"),
        (3, "fsync", "off", "on"),
        (4, "synchronous_commit", "off", "on"),
    ] {
        let found: String = row.column(column)?;
        if found == bad || (setting == "server_encoding" && found != "UTF8") {
            return Ok(Err(PostgresOpenError::Unsafe { url: at(), setting, found, fix }));
        }
    }
    Ok(Ok(()))
}
