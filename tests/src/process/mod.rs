//! A clinic as a child process, with a store and a port of its own.

mod binary;
mod output;
mod setup;

use std::{
    process::{Child, ExitStatus},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use self::output::Diagnostics;
pub use self::{
    binary::{api_binary, client_example, clinic_binary, crash_binary, loadgen_binary, notifier_binary, worker_binary},
    setup::{Setup, StartFailed},
};
use crate::http::Http;

/// A running clinic. Dropped, it is killed.
#[derive(Debug)]
pub struct ClinicProcess {
    child: Child,
    setup: Setup,
    diagnostics: Diagnostics,
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
        self.diagnostics.text()
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
        self.setup.go_on_reading();
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
