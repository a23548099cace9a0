//! How a clinic is started.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use thiserror::Error;

use super::{
    ClinicProcess,
    binary::{clinic_binary, crash_binary},
    output::{Diagnostics, Reader, address_in, whole_lines},
};
use crate::{
    checker::{self, Expected, Observed, Report},
    disk,
    eventually::eventually,
    http::{Address, Http},
};

/// How long a start may take; a busy machine is slow, and nothing here measures.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Why a clinic did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartFailed {
    /// The binary could not be run.
    #[error("the binary cannot be run")]
    Spawn(#[from] std::io::Error),
    /// It ended before it served.
    #[error("it ended with {status} instead of serving:\n{stderr}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// It does not say that it serves.
    #[error("it did not say where it serves within {START_WITHIN:?}:\n{stderr}")]
    Silent {
        /// What it said.
        stderr: String,
    },
}

/// How to start a clinic. Every start of one setup has the same store, settings and log of what was seen.
#[derive(Clone, Debug)]
pub struct Setup {
    binary: PathBuf,
    settings: BTreeMap<String, String>,
    store: PathBuf,
    observed: Arc<Observed>,
    address: Address,
    minds_file_limit: bool,
    reader: Arc<Reader>,
    // Removed with the last clone.
    _folder: Arc<TempDir>,
}

impl Setup {
    /// A clinic that answers at once, approves everything and looks after itself often: what most tests want.
    #[must_use]
    pub fn new() -> Self {
        let folder = disk::folder();
        let setup = Self {
            binary: clinic_binary(),
            settings: BTreeMap::new(),
            store: folder.path().join("clinic.db"),
            observed: Arc::default(),
            address: Address::default(),
            minds_file_limit: true,
            reader: Arc::default(),
            _folder: Arc::new(folder),
        };
        setup
            .set("CLINIC_LISTEN", "127.0.0.1:0")
            .set("CLINIC_SIM_DELAY", "0s..0s")
            .set("CLINIC_SIM_APPROVE", "1.0")
            .set("CLINIC_SIM_FAIL", "0.0")
            .set("CLINIC_SWEEP", "200ms")
    }

    /// With a setting, by its variable.
    #[must_use]
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.settings.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// With several settings, by their variables.
    #[must_use]
    pub fn set_all<'a>(self, settings: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        settings.into_iter().fold(self, |setup, (variable, value)| setup.set(variable, &value))
    }

    /// With another binary, of a clinic of several processes for instance.
    #[must_use]
    pub fn binary(mut self, binary: PathBuf) -> Self {
        self.binary = binary;
        self
    }

    /// With the binary that has crash points.
    #[must_use]
    pub fn with_crash_points(mut self) -> Self {
        self.binary = crash_binary();
        self
    }

    /// With its store elsewhere, on a small disk for instance.
    #[must_use]
    pub fn store_at(mut self, store: &Path) -> Self {
        store.clone_into(&mut self.store);
        self
    }

    /// With writes beyond a file size limit failing instead of ending the process (`SIGXFSZ` ignored).
    #[must_use]
    pub const fn minding_no_file_limit(mut self) -> Self {
        self.minds_file_limit = false;
        self
    }

    /// Whoever reads the notices stops: once the pipe is full, none can be written.
    pub fn stop_reading(&self) {
        self.reader.set(true);
    }

    /// Whoever reads the notices goes on.
    pub fn go_on_reading(&self) {
        self.reader.set(false);
    }

    /// Another process on the same store, with a port of its own and the same log.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self { address: Address::default(), ..self.clone() }
    }

    /// The store's file.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// What was seen from outside.
    #[must_use]
    pub const fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// The HTTP face; it follows the clinic over restarts.
    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(self.address.clone(), self.observed.clone())
    }

    /// The command line of an operator in this clinic's environment.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = if self.minds_file_limit {
            Command::new(&self.binary)
        } else {
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&self.binary);
            shell
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CLINIC_")) {
            command.env_remove(name);
        }
        command.env("CLINIC_STORE", format!("sqlite:{}", self.store.display())).envs(&self.settings);
        if let Some(folder) = self.store.parent() {
            command.current_dir(folder);
        }
        command
    }

    /// Starts the clinic and waits until it says where it serves.
    ///
    /// # Errors
    /// [`StartFailed`] with what it said instead.
    pub fn try_start(&self) -> Result<ClinicProcess, StartFailed> {
        let mut child = self.command().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let diagnostics = Diagnostics::default();
        let (said, serves) = mpsc::channel();
        let (observed, reader) = (self.observed.clone(), self.reader.clone());
        let stdout = move |line: &str| {
            observed.line(line);
            reader.wait();
        };
        let kept = diagnostics.clone();
        let stderr = move |line: &str| {
            kept.keep(line);
            // Last, so that who waits for the address finds its line among the others.
            if let Some(address) = address_in(line) {
                let _ = said.send(address);
            }
        };
        let readers = [
            child.stdout.take().map(|pipe| thread::spawn(move || whole_lines(pipe, stdout))),
            child.stderr.take().map(|pipe| thread::spawn(move || whole_lines(pipe, stderr))),
        ];
        let readers = readers.into_iter().flatten().collect();
        let mut process = ClinicProcess { child, setup: self.clone(), diagnostics, readers };
        match serves.recv_timeout(START_WITHIN) {
            Ok(address) => {
                self.address.set(&address);
                Ok(process)
            }
            Err(mpsc::RecvTimeoutError::Timeout) => Err(StartFailed::Silent { stderr: process.diagnostics() }),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = process.child.wait()?;
                process.drain();
                Err(StartFailed::Ended { status, stderr: process.diagnostics() })
            }
        }
    }

    /// Starts the clinic.
    ///
    /// # Panics
    /// When it does not start, with what it said.
    #[track_caller]
    #[must_use]
    pub fn start(&self) -> ClinicProcess {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until nothing is left to do in the store.
    ///
    /// # Panics
    /// When that takes longer than `within`; what is left is said.
    pub async fn at_rest(&self, within: Duration) {
        let deadline = Instant::now() + within;
        eventually("every booking decided and told", within + Duration::from_secs(5), || async {
            if checker::is_at_rest(&self.store).unwrap_or(false) {
                return Some(());
            }
            assert!(Instant::now() < deadline, "not at rest within {within:?}: {}", self.check(&Expected::finished()));
            None
        })
        .await;
    }

    /// Holds the store against what was seen.
    ///
    /// # Panics
    /// When the store cannot be read.
    #[must_use]
    pub fn check(&self, expected: &Expected) -> Report {
        checker::check(&self.store, &self.observed.snapshot(), expected).unwrap_or_else(|error| panic!("{error:?}"))
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}
