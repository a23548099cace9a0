//! The lab: where servers are started, each over a store of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

use chrono::Utc;
use tempfile::TempDir;

use crate::{
    process::Server,
    template::{Calendar, Template},
};

/// A directory on the disk to be measured, with a store that holds the existing bookings.
#[derive(Debug)]
pub struct Lab {
    directory: TempDir,
    calendar: Calendar,
    threads: usize,
}

/// A running server and what belongs to it.
#[derive(Debug)]
pub struct Stand {
    /// The process. Declared first, so that it is gone before its store.
    pub server: Server,
    /// Requests for it.
    pub template: Template,
    /// The number of the next request.
    pub next: Arc<AtomicU64>,
    directory: TempDir,
}

impl Lab {
    /// A lab under `directory`; every server gets `threads` runtime threads.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn new(directory: &Path, threads: usize) -> io::Result<Self> {
        Ok(Self {
            directory: tempfile::Builder::new().prefix("clinic-limits").tempdir_in(directory)?,
            calendar: Calendar::new(Utc::now()),
            threads,
        })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the bare echo.
    ///
    /// # Errors
    /// When it does not start.
    pub fn echo(&self) -> io::Result<Stand> {
        self.start(vec!["echo".into()], self.stand()?)
    }

    fn stand(&self) -> io::Result<TempDir> {
        tempfile::tempdir_in(self.directory())
    }

    fn start(&self, mut arguments: Vec<String>, directory: TempDir) -> io::Result<Stand> {
        arguments.insert(0, "serve".into());
        arguments.extend(["--threads".into(), self.threads.to_string()]);
        let server = Server::start(&arguments, &directory.path().join(NOTICES))?;
        let template = Template::new(self.calendar.clone(), &server.address.to_string());
        Ok(Stand { server, template, next: Arc::default(), directory })
    }
}

/// Where a server's standard output goes: a clinic's notices.
const NOTICES: &str = "notices.log";
