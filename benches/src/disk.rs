//! The disk under the store: its file system, and what a sync costs on it.

use std::{
    fs::{self, File},
    io::{self, Seek, Write},
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::figure::median;

/// Syncs measured.
const SYNCS: usize = 200;
/// What a small commit writes.
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// A directory's file system and sync times.
#[derive(Clone, Debug, Serialize)]
pub struct Disk {
    /// Its type, such as `ext4`.
    pub file_system: String,
    /// Median of appending 4 KiB and syncing, as a growing log does, in milliseconds. *The* sync time.
    pub sync_ms: f64,
    /// Median of overwriting 4 KiB and syncing, in milliseconds.
    pub overwrite_sync_ms: f64,
}

impl Disk {
    /// Looks at the disk under a directory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn measure(directory: &Path) -> io::Result<Self> {
        let path = directory.join("sync-probe");
        let mut file = File::create(&path)?;
        let append = syncs(&mut file, |_| Ok(()))?;
        let overwrite = syncs(&mut file, File::rewind)?;
        fs::remove_file(&path)?;
        let millis = |times: Vec<Duration>| median(times.iter().map(|time| time.as_secs_f64() * 1000.0));
        Ok(Self { file_system: file_system(directory)?, sync_ms: millis(append), overwrite_sync_ms: millis(overwrite) })
    }

    /// Whether it only pretends to be one: figures taken on it would say nothing of a durable store.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        matches!(self.file_system.as_str(), "tmpfs" | "ramfs")
    }
}

fn syncs(file: &mut File, before: fn(&mut File) -> io::Result<()>) -> io::Result<Vec<Duration>> {
    let sync = |_| {
        before(file)?;
        let begun = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        Ok(begun.elapsed())
    };
    (0..SYNCS).map(sync).collect()
}

/// The type of the mount that holds the directory, by `/proc/self/mounts` (proc(5)).
fn file_system(directory: &Path) -> io::Result<String> {
    let directory = directory.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let holding = mounts.filter(|(point, _)| directory.starts_with(point));
    // The deepest one holds it; of two on one point the later hides the former.
    Ok(holding.max_by_key(|(point, _)| point.len()).map_or_else(|| "unknown".into(), |(_, kind)| kind.to_owned()))
}
