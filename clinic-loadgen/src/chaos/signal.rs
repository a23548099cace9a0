//! Signals to a process, and to no other that takes its number over.

use std::io;

use rustix::process::{Pid, Signal};

/// A process, held so that its number cannot come to mean another one (`pidfd_open(2)`); outside Linux it is the number alone.
#[derive(Debug)]
pub(super) struct Handle {
    #[cfg(target_os = "linux")]
    file: rustix::fd::OwnedFd,
    #[cfg(not(target_os = "linux"))]
    pid: Pid,
}

impl Handle {
    /// The process that has this number now.
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        #[cfg(target_os = "linux")]
        let handle = Self { file: rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())? };
        #[cfg(not(target_os = "linux"))]
        let handle = {
            rustix::process::test_kill_process(pid)?;
            Self { pid }
        };
        Ok(handle)
    }

    /// Sends it a signal.
    pub(super) fn send(&self, signal: Signal) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        rustix::process::pidfd_send_signal(&self.file, signal)?;
        #[cfg(not(target_os = "linux"))]
        rustix::process::kill_process(self.pid, signal)?;
        Ok(())
    }
}
