//! The writer: one thread, one connection, group commit.
//!
//! It drains what waits, runs it in one transaction in which each command fails alone, commits once and answers all. A commit
//! costs a sync of the disk, so sharing it is where the throughput comes from.

mod checkpoint;
mod command;
mod lanes;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use metrics::{counter, histogram};
use rusqlite::{Connection, ErrorCode};
use tokio::time::timeout;

pub(super) use self::lanes::Lane;
use self::{
    checkpoint::Checkpointer,
    command::{Command, Commit, Started, Typed},
    lanes::Lanes,
};
use super::{OpenError, SqliteOptions, file::Opened, rows::Millis, turn::Turn, tx::Tx};
use crate::{
    crash::crash_point,
    ports::{Clock, StoreError},
};

/// Commands of one commit at most.
const COMMANDS: usize = 1024;
/// How long a commit may gather commands.
const GATHER: Duration = Duration::from_millis(5);
/// How long closing waits for the last commit.
const CLOSING: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    lanes: Arc<Lanes>,
    thread: Mutex<Option<JoinHandle<()>>>,
    clock: Arc<dyn Clock>,
    wal: Arc<AtomicU64>,
    patience: Duration,
}

impl Writer {
    pub(super) fn start(opened: Opened, path: &Path, clock: Arc<dyn Clock>, options: SqliteOptions) -> Result<Self, OpenError> {
        let Opened { mut connection, turn, process_lock } = opened;
        let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let wal = Arc::new(AtomicU64::new(0));
        let pages = Arc::clone(&wal);
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
                pages.store(u64::try_from(count).unwrap_or_default(), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(sqlite)?;
        let checkpointer = Checkpointer::start(path, Arc::clone(&wal))?;
        let lanes = Arc::new(Lanes::new(options.waiting_accepts));
        let run = Run {
            lanes: Arc::clone(&lanes),
            clock: Arc::clone(&clock),
            turn,
            connection,
            checkpointer,
            options: options.clone(),
            _process_lock: process_lock,
        };
        let thread = std::thread::Builder::new()
            .name("clinic-writer".into())
            .spawn(move || run.run())
            .map_err(|source| OpenError::File { path: PathBuf::from(path), source })?;
        Ok(Self { lanes, thread: Mutex::new(Some(thread)), clock, wal, patience: options.patience })
    }

    /// Runs a command in the next commit and returns once that is synced.
    pub(super) async fn submit<T, F>(&self, lane: Lane, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let room = match timeout(self.patience, self.lanes.room(lane)).await {
            Ok(room) => room?,
            Err(_) => return Err(StoreError::Busy),
        };
        let started = Started::default();
        let (command, mut answer) = Typed::new(run, started.clone());
        self.lanes.push(lane, Box::new(command), room)?;
        let gone = || StoreError::Unavailable("the writer has stopped".into());
        match timeout(self.patience, &mut answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(gone())),
            // Not begun: taken back, surely not done. Begun: its end is near or, on a hung disk, unknown.
            Err(_) if started.set() => Err(StoreError::Busy),
            Err(_) => match timeout(self.patience, answer).await {
                Ok(answer) => answer.unwrap_or_else(|_| Err(gone())),
                Err(_) => Err(StoreError::Unknown("the commit does not return".into())),
            },
        }
    }

    pub(super) fn waiting(&self) -> u64 {
        self.lanes.waiting() as u64
    }

    pub(super) fn wal_bytes(&self) -> u64 {
        self.wal.load(Ordering::Relaxed) * 4096
    }

    pub(super) fn now(&self) -> Millis {
        self.clock.now().into()
    }

    /// Lets the thread finish what waits, and waits for it; a disk that hangs is left to the system.
    pub(super) async fn close(&self) {
        self.lanes.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let until = Instant::now() + CLOSING;
        while thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.lanes.close();
    }
}

struct Run {
    lanes: Arc<Lanes>,
    clock: Arc<dyn Clock>,
    turn: Turn,
    connection: Connection,
    checkpointer: Checkpointer,
    options: SqliteOptions,
    /// As long as this thread may write, whoever opens the file is not alone.
    _process_lock: File,
}

impl Run {
    fn run(self) {
        // Whatever ends this thread, nobody waits for it in vain.
        let _closing = lanes::CloseOnDrop(&self.lanes);
        let mut batch: Vec<Box<dyn Command>> = Vec::with_capacity(COMMANDS);
        while self.lanes.wait() {
            let commit = match self.turn.take() {
                Ok(_held) => self.transaction(&mut batch),
                Err(error) => {
                    self.lanes.drain(&mut batch, COMMANDS);
                    Commit::NotDone(format!("cannot take the turn to write: {error}"))
                }
            };
            crash_point!("committed");
            histogram!("clinic_store_commit_commands").record(batch.len() as f64);
            if let Commit::NotDone(why) | Commit::Unknown(why) = &commit {
                counter!("clinic_store_commits_failed_total").increment(1);
                tracing::warn!(commands = batch.len(), why, "a commit failed");
            }
            for command in batch.drain(..) {
                command.answer(&commit);
            }
            self.checkpointer.after_commit(&self.connection);
        }
    }

    fn transaction(&self, batch: &mut Vec<Box<dyn Command>>) -> Commit {
        let begun = Instant::now();
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            self.lanes.drain(batch, COMMANDS);
            return Commit::NotDone(error.to_string());
        }
        let tx = Tx::new(&self.connection, self.clock.now(), &self.options);
        // Savepoints cost a fifth of a commit, and a command that fails is rare: so they are set only once one has.
        let (mut ran, mut careful) = (0, false);
        while batch.len() < COMMANDS && (ran == 0 || begun.elapsed() < GATHER) {
            self.lanes.drain(batch, COMMANDS - batch.len());
            if ran == batch.len() {
                break;
            }
            while let Some(command) = batch.get_mut(ran) {
                ran += 1;
                let run = if careful { self.savepoint(&mut **command, &tx) } else { self.plainly(&mut **command, &tx) };
                match run {
                    Ok(()) => {}
                    Err(_) if !careful => {
                        // One failed and may have left half of what it does: all of them again, each undone by itself.
                        careful = true;
                        ran = 0;
                        if let Err(why) = self.again() {
                            return Commit::NotDone(why);
                        }
                    }
                    Err(why) => return Commit::NotDone(why),
                }
            }
        }
        crash_point!("in_transaction");
        match self.execute("COMMIT") {
            Ok(()) => Commit::Done,
            Err(error) => {
                let _ = self.execute("ROLLBACK");
                // These are found before the commit's frame is written; anything else may have happened after.
                let surely_not = matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::ReadOnly)
                ) || is_refused_write(&error);
                if surely_not { Commit::NotDone(error.to_string()) } else { Commit::Unknown(error.to_string()) }
            }
        }
    }

    /// Runs one command; after an error the transaction may hold half of it.
    fn plainly(&self, command: &mut dyn Command, tx: &Tx<'_>) -> Result<(), String> {
        command.run(tx).map_or(Ok(()), Err)
    }

    /// Starts the transaction over.
    fn again(&self) -> Result<(), String> {
        if !self.connection.is_autocommit() {
            self.execute("ROLLBACK").map_err(|error| error.to_string())?;
        }
        self.execute("BEGIN IMMEDIATE").map_err(|error| error.to_string())
    }

    /// Runs one command so that its failure undoes it alone. An error here means that the whole transaction is gone.
    fn savepoint(&self, command: &mut dyn Command, tx: &Tx<'_>) -> Result<(), String> {
        self.execute("SAVEPOINT command").map_err(|error| self.ended(&error))?;
        let failed = command.run(tx);
        // A full disk or an I/O error ends the transaction behind our back; what follows would commit one by one.
        if self.connection.is_autocommit() {
            return Err(failed.unwrap_or_else(|| "the transaction ended early".into()));
        }
        if failed.is_some() {
            self.execute("ROLLBACK TO command").map_err(|error| self.ended(&error))?;
        }
        self.execute("RELEASE command").map_err(|error| self.ended(&error))
    }

    fn ended(&self, error: &rusqlite::Error) -> String {
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
        error.to_string()
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}

/// A write that the system refused: the file system was remounted read-only, a quota or a size limit was met. The commit's
/// frame comes last and counts only when whole, so nothing was committed. A failed sync is another error.
fn is_refused_write(error: &rusqlite::Error) -> bool {
    error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_IOERR_WRITE)
}
