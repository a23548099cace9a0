//! A clinic as a child process, with a store and a port of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use thiserror::Error;

use crate::{
    checker::{self, Expected, Observed, Report},
    disk,
    eventually::eventually,
    http::{Address, Http},
};

/// How long a start may take; a busy machine is slow, and nothing here measures.
const START_WITHIN: Duration = Duration::from_secs(30);
/// Lines of standard error that are kept of each process.
const DIAGNOSTICS: usize = 5_000;

/// The binary under test: `CLINIC_BIN`, or `clinic` beside the test binary.
///
/// # Panics
/// When there is none; the text says how to build it.
#[must_use]
pub fn clinic_binary() -> PathBuf {
    binary("CLINIC_BIN", "clinic", "cargo build -p clinic-services")
}

/// The binary with crash points: `CLINIC_CRASH_BIN`.
///
/// # Panics
/// When there is none; the text says how to build it.
#[must_use]
pub fn crash_binary() -> PathBuf {
    binary(
        "CLINIC_CRASH_BIN",
        "../crash-points/debug/clinic",
        "cargo build -p clinic-services --features crash-points --target-dir target/crash-points",
    )
}

fn binary(variable: &str, beside: &str, build: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(
        || {
            let this = std::env::current_exe().expect("a process has a binary");
            this.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join(beside)
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "there is no {}: build it with `{build}`, or set {variable}; tests/run does", path.display());
    path
}

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
        let diagnostics = Arc::new(Mutex::new(VecDeque::new()));
        let (said, serves) = mpsc::channel();
        let readers = [
            child.stdout.take().map(|stdout| {
                std::thread::spawn({
                    let (observed, reader) = (self.observed.clone(), self.reader.clone());
                    move || {
                        whole_lines(stdout, |line| {
                            observed.line(line);
                            reader.wait();
                        });
                    }
                })
            }),
            child.stderr.take().map(|stderr| {
                std::thread::spawn({
                    let diagnostics = diagnostics.clone();
                    move || {
                        whole_lines(stderr, |line| {
                            let mut kept = diagnostics.lock().unwrap_or_else(PoisonError::into_inner);
                            if kept.len() == DIAGNOSTICS {
                                kept.pop_front();
                            }
                            kept.push_back(line.to_owned());
                            drop(kept);
                            // Last, so that who waits for the address finds its line among the others.
                            if let Some(address) = address_in(line) {
                                let _ = said.send(address);
                            }
                        })
                    }
                })
            }),
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

/// Whoever reads the notices, and whether they have stopped.
#[derive(Debug, Default)]
struct Reader {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Reader {
    fn set(&self, stopped: bool) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = stopped;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(stopped, |stopped| *stopped));
    }
}

/// A running clinic. Dropped, it is killed.
#[derive(Debug)]
pub struct ClinicProcess {
    child: Child,
    setup: Setup,
    diagnostics: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl ClinicProcess {
    /// How it was started.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its HTTP face.
    #[must_use]
    pub fn http(&self) -> Http {
        self.setup.http()
    }

    /// The last lines of its standard error.
    #[must_use]
    pub fn diagnostics(&self) -> String {
        let kept = self.diagnostics.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Kills it as `kill -9` does and returns when all that it wrote was read.
    pub fn kill9(mut self) -> Setup {
        self.end();
        self.setup.clone()
    }

    /// Asks it to stop (`SIGTERM`) and waits for its end.
    ///
    /// # Panics
    /// When it lives on for 20 s: it promises 10.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(Duration::from_secs(20))
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not within the time given.
    #[track_caller]
    pub fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                self.drain();
                return status;
            }
            assert!(Instant::now() < deadline, "it still runs after {within:?}:\n{}", self.diagnostics());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it has ended by itself.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Freezes it (`SIGSTOP`) and returns once every thread stands still.
    ///
    /// # Panics
    /// When it is gone.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.status("State:").starts_with('T') {
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::yield_now();
        }
    }

    /// Lets it go on (`SIGCONT`).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Resident memory, in bytes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.status("VmRSS:").trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn status(&self, field: &str) -> String {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default().trim().to_owned()
    }

    /// The child is ours and not waited for yet, so the id is still its own.
    fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.drain();
    }

    fn drain(&mut self) {
        self.setup.reader.set(false);
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for ClinicProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// Hands on whole lines; one cut short by a kill was never written out by the channel.
fn whole_lines(from: impl Read, mut take: impl FnMut(&str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if line.pop() == Some(b'\n') {
            take(&String::from_utf8_lossy(&line));
        }
        line.clear();
    }
}

/// `http://ADDRESS` in a line.
fn address_in(line: &str) -> Option<String> {
    let rest = &line[line.find("http://")? + "http://".len()..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '[' | ']'))).unwrap_or(rest.len());
    let address = rest[..end].trim_end_matches([':', '.']);
    address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port != 0)?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_start_up_line() {
        for line in ["serving on http://127.0.0.1:4711/", "see http://127.0.0.1:4711.", "http://127.0.0.1:4711/docs and more"] {
            assert_eq!(address_in(line).as_deref(), Some("127.0.0.1:4711"));
        }
        assert_eq!(address_in("\u{1b}[2mlisten=http://[::1]:80\u{1b}[0m").as_deref(), Some("[::1]:80"));
        assert_eq!(address_in("http://127.0.0.1:0"), None);
        assert_eq!(address_in("no address"), None);
    }

    #[test]
    fn a_line_cut_short_is_left_out() {
        let mut lines = Vec::new();
        whole_lines(&b"one\n\ntwo\nthr"[..], |line| lines.push(line.to_owned()));
        assert_eq!(lines, ["one", "", "two"]);
    }
}
