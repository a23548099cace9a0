//! Readers: a few connections that see the last commit and never wait for the writer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{OpenError, file, rows::is_unreadable};
use crate::ports::StoreError;

const CONNECTIONS: usize = 4;
/// No read takes longer, nor waits longer for a connection: a reader that stays keeps the log from being emptied.
const LONGEST: Duration = Duration::from_secs(1);

pub(super) struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let connect = || {
            let connection = file::connect(path)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", -8_192)?;
            Ok(connection)
        };
        let connections: rusqlite::Result<Vec<_>> = (0..CONNECTIONS).map(|_| connect()).collect();
        let connections = connections.map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
        Ok(Self { free: Arc::new(Mutex::new(connections)), permits: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = match timeout(LONGEST, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => return Err(StoreError::TooSlow),
        };
        let free = Arc::clone(&self.free);
        let read = spawn_blocking(move || {
            let taken = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = taken.expect("as many connections as permits");
            let start = Instant::now();
            let query = AssertUnwindSafe(|| {
                connection.progress_handler(10_000, Some(move || start.elapsed() > LONGEST))?;
                // One read transaction, so that a booking and its notices are of one moment.
                let transaction = connection.transaction()?;
                query(&transaction)
            });
            // A fault in one query must not cost all others a connection.
            let answer = catch_unwind(query);
            free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            answer
        });
        match read.await {
            Ok(Ok(answer)) => answer.map_err(classify),
            // The panic's own text went to standard error through the panic hook.
            Ok(Err(_)) => Err(StoreError::Corrupt("a read panicked".into())),
            Err(cancelled) => Err(StoreError::Unavailable(cancelled.into())),
        }
    }
}

/// What a failed statement means while no commit is involved.
pub(super) fn classify(error: rusqlite::Error) -> StoreError {
    use rusqlite::{Error, ErrorCode};
    match &error {
        Error::SqliteFailure(failure, _) if failure.code == ErrorCode::OperationInterrupted => StoreError::TooSlow,
        error_of_row if is_unreadable(error_of_row) => StoreError::Corrupt(error.into()),
        Error::SqliteFailure(failure, _) if matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt(error.into())
        }
        _ => StoreError::Unavailable(error.into()),
    }
}
