//! Processes as targets: those that run, and those that this tool starts itself.

use std::{
    io,
    process::{ExitStatus, Stdio},
    str::FromStr,
    time::Duration,
};

use async_trait::async_trait;
use rustix::process::Signal;
use thiserror::Error;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::timeout,
};

use super::{
    fault::Kind,
    signal::Handle,
    target::{Target, TargetError},
};

/// How long a process may take to stop as it is asked to.
const GRACE: Duration = Duration::from_secs(20);

/// A process as it is named: `NAME=PID` or `NAME='COMMAND LINE'`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessName {
    /// What faults call it.
    pub name: String,
    /// Which it is.
    pub process: Which,
}

/// Which process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// The one of this number, which runs.
    Running(u32),
    /// The one that this command line starts.
    Started(String),
}

/// Why a text names no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a process is written NAME=PID, or NAME='COMMAND LINE' for one that is started here")]
pub struct ProcessNameError;

impl FromStr for ProcessName {
    type Err = ProcessNameError;

    fn from_str(text: &str) -> Result<Self, ProcessNameError> {
        let (name, which) =
            text.split_once('=').filter(|(name, which)| !name.is_empty() && !which.trim().is_empty()).ok_or(ProcessNameError)?;
        let process = match which.parse() {
            // Whose number it is that is 0 or 1, nobody means.
            Ok(0 | 1) => return Err(ProcessNameError),
            Ok(pid) => Which::Running(pid),
            Err(_) => Which::Started(which.to_owned()),
        };
        Ok(Self { name: name.to_owned(), process })
    }
}

fn unfit(target: &str, kind: Kind, why: &str) -> TargetError {
    TargetError::Unfit { target: target.to_owned(), kind, why: why.to_owned() }
}

/// A process that runs already. Killed, it is for others to start again, under a number that is not known here.
#[derive(Debug)]
pub struct Running {
    name: String,
    pid: u32,
    handle: Handle,
    is_paused: Mutex<bool>,
}

impl Running {
    /// The process of a number.
    ///
    /// # Errors
    /// [`TargetError::Gone`] when there is none.
    pub fn find(name: &str, pid: u32) -> Result<Self, TargetError> {
        let handle = Handle::open(pid).map_err(|error| TargetError::Gone(format!("process {pid} ({name}): {error}")))?;
        Ok(Self { name: name.to_owned(), pid, handle, is_paused: Mutex::new(false) })
    }

    fn send(&self, signal: Signal) -> Result<(), TargetError> {
        self.handle.send(signal).map_err(|error| TargetError::Gone(format!("process {} ({}): {error}", self.pid, self.name)))
    }
}

#[async_trait]
impl Target for Running {
    async fn takes(&self, kind: Kind) -> Result<(), TargetError> {
        match kind {
            Kind::Kill | Kind::Pause => Ok(()),
            Kind::Restart => Err(unfit(&self.name, kind, "give its command line instead of its number")),
            Kind::Cut | Kind::Wipe => Err(unfit(&self.name, kind, "services of Compose do")),
        }
    }

    async fn begin(&self, kind: Kind, _: u32) -> Result<String, TargetError> {
        let mut is_paused = self.is_paused.lock().await;
        if kind == Kind::Pause {
            self.send(Signal::STOP)?;
            *is_paused = true;
        } else {
            self.takes(kind).await?;
            self.send(Signal::KILL)?;
        }
        Ok(self.pid.to_string())
    }

    async fn end(&self, _: Kind, _: &str) -> Result<(), TargetError> {
        self.whole().await
    }

    async fn whole(&self) -> Result<(), TargetError> {
        let mut is_paused = self.is_paused.lock().await;
        if *is_paused {
            self.send(Signal::CONT)?;
            *is_paused = false;
        }
        Ok(())
    }
}

/// A process that is started here, again after each end, and stopped at the end.
#[derive(Debug)]
pub struct Started {
    name: String,
    command: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    child: Child,
    handle: Handle,
    is_paused: bool,
}

impl Started {
    /// Starts a command line, as a shell reads it. What it writes is thrown away, unless the command line says where to.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn start(name: &str, command: &str) -> Result<Self, TargetError> {
        Ok(Self { name: name.to_owned(), command: command.to_owned(), state: Mutex::new(start(command)?) })
    }

    /// How it ended, if it did by itself.
    pub async fn ended(&self) -> Option<ExitStatus> {
        self.state.lock().await.child.try_wait().ok().flatten()
    }
}

fn start(command: &str) -> Result<State, TargetError> {
    let failed = |source| TargetError::System { what: "a process could not be started", source };
    let mut shell = Command::new("sh");
    // In a process group of its own: Ctrl-C on the terminal is for this tool.
    shell.args(["-c", &format!("exec {command}")]).process_group(0).kill_on_drop(true);
    let child = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(failed)?;
    let pid = child.id().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    Ok(State { child, handle: Handle::open(pid).map_err(failed)?, is_paused: false })
}

impl State {
    async fn stop(&mut self) -> io::Result<ExitStatus> {
        // One that has ended already takes no signal, and is waited for all the same.
        let _ = self.handle.send(Signal::TERM);
        match timeout(GRACE, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.child.start_kill()?;
                self.child.wait().await
            }
        }
    }

    fn resume(&mut self) {
        if std::mem::take(&mut self.is_paused) {
            let _ = self.handle.send(Signal::CONT);
        }
    }
}

#[async_trait]
impl Target for Started {
    async fn takes(&self, kind: Kind) -> Result<(), TargetError> {
        match kind {
            Kind::Kill | Kind::Pause | Kind::Restart => Ok(()),
            Kind::Cut | Kind::Wipe => Err(unfit(&self.name, kind, "services of Compose do")),
        }
    }

    async fn begin(&self, kind: Kind, _: u32) -> Result<String, TargetError> {
        let failed = |source| TargetError::System { what: "a process could not be ended", source };
        let mut state = self.state.lock().await;
        if let Some(status) = state.child.try_wait().map_err(failed)? {
            return Err(TargetError::Gone(format!("{} had ended by itself, {status}", self.name)));
        }
        let instance = state.child.id().map(|pid| pid.to_string()).unwrap_or_default();
        match kind {
            Kind::Kill => state.child.kill().await.map_err(failed)?,
            Kind::Restart => drop(state.stop().await.map_err(failed)?),
            Kind::Pause => {
                state.handle.send(Signal::STOP).map_err(failed)?;
                state.is_paused = true;
            }
            Kind::Cut | Kind::Wipe => self.takes(kind).await?,
        }
        Ok(instance)
    }

    async fn end(&self, _: Kind, _: &str) -> Result<(), TargetError> {
        self.whole().await
    }

    async fn whole(&self) -> Result<(), TargetError> {
        let mut state = self.state.lock().await;
        state.resume();
        if !matches!(state.child.try_wait(), Ok(None)) {
            *state = start(&self.command)?;
        }
        Ok(())
    }

    async fn leave(&self) {
        let mut state = self.state.lock().await;
        state.resume();
        // Dropped, it is killed: there is nobody left to tell.
        let _ = state.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Result<Which, ProcessNameError> {
        text.parse().map(|name: ProcessName| name.process)
    }

    /// The letter of its state in `/proc`: `T` when it is stopped.
    async fn state_becomes(pid: &str, wanted: char) {
        let becomes = async {
            loop {
                let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
                if text.rsplit_once(") ").unwrap().1.starts_with(wanted) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(20), becomes).await.unwrap_or_else(|_| panic!("{pid} never is {wanted}"));
    }

    #[test]
    fn a_process_is_named_by_its_number_or_by_what_starts_it() {
        assert_eq!(named("clinic=4711"), Ok(Which::Running(4711)));
        assert_eq!(
            named("clinic=target/release/clinic --listen=127.0.0.1:1"),
            Ok(Which::Started("target/release/clinic --listen=127.0.0.1:1".into()))
        );
        for wrong in ["clinic", "=5", "clinic=", "clinic= ", "clinic=1", "clinic=0"] {
            assert_eq!(named(wrong), Err(ProcessNameError), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_killed_process_is_started_again() {
        let process = Started::start("sleeper", "sleep 1000").unwrap();
        for kind in [Kind::Kill, Kind::Restart] {
            let before = process.begin(kind, 0).await.unwrap();
            assert!(process.ended().await.is_some());
            process.end(kind, &before).await.unwrap();
            assert!(process.ended().await.is_none());
        }
        process.leave().await;
        assert!(process.ended().await.is_some());
    }

    #[tokio::test]
    async fn a_paused_process_stands_still_and_goes_on() {
        let started = Started::start("sleeper", "sleep 1000").unwrap();
        let pid = started.begin(Kind::Pause, 0).await.unwrap();
        state_becomes(&pid, 'T').await;
        started.end(Kind::Pause, &pid).await.unwrap();
        state_becomes(&pid, 'S').await;
        let running = Running::find("sleeper", pid.parse().unwrap()).unwrap();
        running.begin(Kind::Pause, 0).await.unwrap();
        state_becomes(&pid, 'T').await;
        running.whole().await.unwrap();
        state_becomes(&pid, 'S').await;
    }

    #[tokio::test]
    async fn a_process_that_ended_by_itself_is_no_success_of_ours_and_is_started_again() {
        let process = Started::start("brief", "sleep 0.01").unwrap();
        let ended = async {
            while process.ended().await.is_none() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(20), ended).await.unwrap();
        assert!(process.begin(Kind::Kill, 0).await.unwrap_err().to_string().contains("brief had ended by itself, exit status: 0"));
        process.whole().await.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_is_gone_and_a_fault_that_it_does_not_take_are_errors() {
        let started = Started::start("sleeper", "sleep 1000").unwrap();
        let pid = started.begin(Kind::Pause, 0).await.unwrap();
        let running = Running::find("sleeper", pid.parse().unwrap()).unwrap();
        assert!(running.takes(Kind::Restart).await.unwrap_err().to_string().contains("give its command line"));
        assert!(started.takes(Kind::Cut).await.unwrap_err().to_string().contains("services of Compose do"));
        running.begin(Kind::Kill, 0).await.unwrap();
        started.state.lock().await.child.wait().await.unwrap();
        started.whole().await.unwrap();
        assert!(matches!(running.begin(Kind::Kill, 0).await, Err(TargetError::Gone(_))), "it is another process now");
        assert!(matches!(Running::find("nobody", u32::MAX), Err(TargetError::Gone(_))));
    }
}
