//! The lab: where servers are started, each over a store of its own.

use std::{
    fs,
    io::{self, Read},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use chrono::Utc;
use clinic_core::{
    ports::SystemClock,
    store::sqlite::{SqliteOptions, SqliteStore},
};
use tempfile::TempDir;

use crate::{
    generator::{Outcome, Stop, drive},
    process::Server,
    serve::{Kind, Serve},
    template::{Calendar, Template},
    ward::Ward,
};

/// Where a server's standard output goes: a clinic's notices.
const NOTICES: &str = "notices.log";
const STORE: &str = "clinic.db";

/// A directory on the disk to be measured, with a store that holds the existing bookings.
#[derive(Debug)]
pub struct Lab {
    directory: TempDir,
    calendar: Calendar,
    threads: usize,
}

impl Lab {
    /// A lab under `directory`; every server gets `threads` runtime threads.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub async fn new(directory: &Path, threads: usize) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("clinic-limits").tempdir_in(directory)?;
        let lab = Self { directory, calendar: Calendar::new(Utc::now()), threads };
        let store = SqliteStore::open(&lab.full(), Arc::new(SystemClock), SqliteOptions::default()).map_err(io::Error::other)?;
        let ward = Ward::of_calendar(Arc::new(store), lab.calendar.clone());
        ward.fill().await;
        ward.close().await;
        Ok(lab)
    }

    /// Starts the bare echo.
    ///
    /// # Errors
    /// When it does not start.
    pub fn echo(&self) -> io::Result<Stand> {
        self.start(Serve::arguments(Kind::Echo, self.threads), self.room()?)
    }

    /// Starts a clinic over a fresh copy of the full store, with a simulated delay and so many bookings in flight.
    ///
    /// # Errors
    /// When it does not start.
    pub fn clinic(&self, delay: RangeInclusive<Duration>, concurrency: usize) -> io::Result<Stand> {
        let room = self.room()?;
        let store = self.copy_into(&room)?;
        let mut arguments = Serve::arguments(Kind::Clinic, self.threads);
        arguments.extend(["--store".into(), store, "--concurrency".into(), concurrency.to_string(), "--delay".into()]);
        arguments.extend([delay.start(), delay.end()].map(|bound| bound.as_millis().to_string()));
        self.start(arguments, room)
    }

    /// Starts an API, a worker and a notifier over a fresh copy of the full store and a broker, without delay.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn scaled(&self, broker: &str, concurrency: usize) -> io::Result<Stand> {
        let room = self.room()?;
        let store = self.copy_into(&room)?;
        let prefix = format!("limits.{}.", Utc::now().timestamp_micros());
        let arguments = |kind| {
            let mut arguments = Serve::arguments(kind, self.threads);
            let settings =
                [("--store", store.as_str()), ("--broker", broker), ("--prefix", &prefix), ("--concurrency", &concurrency.to_string())];
            arguments.extend(settings.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]));
            arguments.extend(["--delay", "0", "0"].map(str::to_owned));
            arguments
        };
        let others = vec![
            Server::start(&arguments(Kind::Worker), &room.path().join("worker.log"))?,
            Server::start(&arguments(Kind::Notifier), &room.path().join(NOTICES))?,
        ];
        let server = Server::start(&arguments(Kind::Api), &room.path().join("api.log"))?;
        Ok(self.stand(server, others, room))
    }

    fn copy_into(&self, room: &TempDir) -> io::Result<String> {
        let store = room.path().join(STORE);
        fs::copy(self.full(), &store)?;
        // Written back now, so that the run does not pay for the copy.
        fs::File::open(&store)?.sync_all()?;
        Ok(store.display().to_string())
    }

    fn full(&self) -> PathBuf {
        self.directory.path().join("full.db")
    }

    fn room(&self) -> io::Result<TempDir> {
        tempfile::tempdir_in(self.directory.path())
    }

    fn start(&self, arguments: Vec<String>, room: TempDir) -> io::Result<Stand> {
        let server = Server::start(&arguments, &room.path().join(NOTICES))?;
        Ok(self.stand(server, Vec::new(), room))
    }

    fn stand(&self, server: Server, others: Vec<Server>, room: TempDir) -> Stand {
        let template = Template::new(self.calendar.clone(), &server.address.to_string());
        Stand { server, _others: others, template, next: Arc::default(), room }
    }
}

/// A running server and what belongs to it.
#[derive(Debug)]
pub struct Stand {
    /// The process. Declared first, so that it is gone before its store.
    pub server: Server,
    /// What works for it, in the scaled shape.
    _others: Vec<Server>,
    template: Template,
    next: Arc<AtomicU64>,
    room: TempDir,
}

impl Stand {
    /// Sends it requests that it has not seen.
    ///
    /// # Errors
    /// See [`drive`].
    pub async fn drive(&self, connections: usize, stop: Stop) -> io::Result<Outcome> {
        drive(self.server.address, &self.template, connections, &self.next, stop).await
    }

    /// Its notices so far.
    ///
    /// # Errors
    /// When their file cannot be read.
    pub fn notices(&self) -> io::Result<Notices> {
        Ok(Notices { file: fs::File::open(self.room.path().join(NOTICES))?, lines: 0, block: vec![0; 1 << 16] })
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.room.path().join(STORE)
    }
}

/// Counts a clinic's notices as they are written.
#[derive(Debug)]
pub struct Notices {
    file: fs::File,
    lines: u64,
    block: Vec<u8>,
}

impl Notices {
    /// How many there are by now.
    ///
    /// # Errors
    /// When their file cannot be read.
    pub fn count(&mut self) -> io::Result<u64> {
        loop {
            let read = self.file.read(&mut self.block)?;
            if read == 0 {
                return Ok(self.lines);
            }
            self.lines += self.block[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
        }
    }
}
