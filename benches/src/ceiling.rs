//! What the load tool itself can send: `loadgen` against the echo, beside the lean generator, and its memory for many bookings.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt, process::Command, time::sleep};

use crate::{figure::Figure, generator::Stop, lab::Lab, measure::megabytes, process::highest_resident};

/// A run that is to make so many bookings is longer by this factor than its rate so far says.
const MARGIN: f64 = 1.2;

/// What `loadgen` can do on its own.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    /// Bookings a second by the lean generator, the most that the echo gives on this machine.
    pub lean: Figure,
    /// Bookings a second by `loadgen`, closed loop.
    pub loadgen: Figure,
    /// Of each pair of runs, the tool's rate over the lean generator's.
    pub ratio: Figure,
    /// Bookings of its longest run.
    pub bookings: u64,
    /// Its resident memory at most in that run, in MB.
    pub resident_mb: f64,
}

/// Measures [`Ceiling`]: alternating runs, then one of so many bookings at least.
///
/// # Errors
/// When the echo or the tool fails, or a request does.
pub async fn ceiling(lab: &Lab, runs: usize, seconds: u64, connections: usize, bookings: u64) -> io::Result<Ceiling> {
    let program = program()?;
    let (mut by_lean, mut by_loadgen) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        by_lean.push(lab.echo()?.drive(connections, Stop::After(Duration::from_secs(seconds))).await?.rate());
        by_loadgen.push(run(&program, lab, seconds, connections).await?.0.accepted_per_second);
    }
    let loadgen = Figure::of(&by_loadgen);
    let long = (bookings as f64 / loadgen.least.max(1.0) * MARGIN).ceil() as u64;
    let (said, resident) = run(&program, lab, long, connections).await?;
    Ok(Ceiling {
        lean: Figure::of(&by_lean),
        loadgen,
        ratio: Figure::of_ratios(&by_loadgen, &by_lean),
        bookings: said.accepted,
        resident_mb: megabytes(resident),
    })
}

/// What is read of the tool's report.
#[derive(Debug, Deserialize)]
struct Said {
    accepted: u64,
    accepted_per_second: f64,
    errors: BTreeMap<String, u64>,
}

/// One run of the tool: what it said, and the most memory it took, in bytes.
async fn run(program: &Path, lab: &Lab, seconds: u64, connections: usize) -> io::Result<(Said, u64)> {
    let stand = lab.echo()?;
    let (url, connections, length) = (format!("http://{}", stand.server.address), connections.to_string(), format!("{seconds}s"));
    // The echo decides nothing: there is nothing to wait for, and the tool says so by its exit code.
    let arguments = ["run", "--json", "--settle", "0s", "--url", &url, "--connections", &connections, "--duration", &length];
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove("CLINIC_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let id = child.id().ok_or(io::ErrorKind::NotFound)?;
    let mut output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut report = Vec::new();
    let reading = output.read_to_end(&mut report);
    let watching = async {
        let mut highest = 0;
        // It cannot be read once the process has ended.
        while let Ok(resident) = highest_resident(id) {
            highest = resident;
            sleep(Duration::from_millis(50)).await;
        }
        highest
    };
    let (read, resident, ended) = tokio::join!(reading, watching, child.wait());
    read?;
    ended?;
    let said: Said = serde_json::from_slice(&report).map_err(io::Error::other)?;
    if !said.errors.is_empty() {
        return Err(io::Error::other(format!("loadgen: {} were accepted, others failed: {:?}", said.accepted, said.errors)));
    }
    Ok((said, resident))
}

/// The tool, of the same build.
fn program() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("loadgen");
    if program.exists() {
        return Ok(program);
    }
    let profile = program.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    Err(io::Error::other(format!("`loadgen` is not built: cargo build --profile {profile} -p clinic-loadgen")))
}
