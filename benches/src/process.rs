//! Servers as child processes: the same executable, profile and threads for every side, and a memory of their own.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

/// A server under measurement. Killed when dropped: nothing of it is needed afterwards.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts this executable with `arguments`; its standard output goes to `output`. Ready when it has said where it listens.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it listens.
    pub fn start(arguments: &[String], output: &Path) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(File::create(output)?)
            .stderr(Stdio::piped())
            .spawn()?;
        let errors = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(errors).lines();
        let mut said = Vec::new();
        loop {
            let Some(line) = lines.next().transpose()? else {
                child.wait()?;
                return Err(io::Error::other(format!("the server ended before it listened: {}", said.join("; "))));
            };
            if let Some(address) = line.strip_prefix(LISTENING).and_then(|address| address.parse().ok()) {
                // What it says later is passed on, so that its pipe never fills.
                thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
                return Ok(Self { child, address });
            }
            said.push(line);
        }
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> io::Result<u64> {
        memory(self.child.id(), "VmRSS:")
    }
}

/// The most memory that a process was ever resident in, in bytes.
///
/// # Errors
/// When it has ended.
pub fn highest_resident(process: u32) -> io::Result<u64> {
    memory(process, "VmHWM:")
}

/// A line of `/proc/PID/status`, in bytes.
fn memory(process: u32, line: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes = status.lines().find_map(|said| said.strip_prefix(line)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl Drop for Server {
    fn drop(&mut self) {
        // Failing means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a server says where it listens.
const LISTENING: &str = "listening on ";

/// Says where this server listens, and ends this process when its parent does.
pub fn announce(address: SocketAddr) {
    eprintln!("{LISTENING}{address}");
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
}
