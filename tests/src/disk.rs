//! Where stores under test live: a real disk, or one with little room.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::{FallocateFlags, fallocate, statfs, statvfs};
use tempfile::TempDir;
use thiserror::Error;

use crate::process::{ClinicProcess, Setup};

/// `statfs` says this of a tmpfs, which syncs nothing.
const TMPFS: i64 = 0x0102_1994;

/// A fresh folder on a real disk, removed when dropped: beside the test binary, or in `CLINIC_TEST_DIR`.
///
/// # Panics
/// When the folder lies in memory: a test of durability would prove nothing there.
#[must_use]
pub fn folder() -> TempDir {
    let place = place();
    fs::create_dir_all(&place).unwrap_or_else(|error| panic!("{} cannot be made: {error}", place.display()));
    let kind = statfs(&place).map(|stat| stat.f_type);
    assert!(kind != Ok(TMPFS), "{} is in memory (tmpfs): set CLINIC_TEST_DIR to a folder on a disk", place.display());
    TempDir::new_in(&place).unwrap_or_else(|error| panic!("no folder in {}: {error}", place.display()))
}

/// Where folders under test are made.
pub(crate) fn place() -> PathBuf {
    if let Some(place) = std::env::var_os("CLINIC_TEST_DIR") {
        return place.into();
    }
    let binary = std::env::current_exe().expect("a process has a binary");
    binary.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("clinic-tests")
}

/// A place for a store where room runs out at will: a small disk or, where mounting one is not allowed, a limit on the
/// size of the process's files, which fails writes much the same way.
#[derive(Debug)]
pub enum TightPlace {
    /// A small file system of its own.
    Disk(SmallDisk),
    /// A limit on the size of files (`prlimit --fsize`).
    Limit,
}

impl TightPlace {
    /// A place of so many megabytes.
    #[must_use]
    pub fn new(megabytes: u64) -> Self {
        match SmallDisk::new(megabytes) {
            Ok(disk) => Self::Disk(disk),
            Err(error) => {
                eprintln!("NO SMALL DISK, a limit on file sizes stands in for a full one: {error}");
                Self::Limit
            }
        }
    }

    /// The setup with its store in this place.
    #[must_use]
    pub fn hold(&self, setup: Setup) -> Setup {
        match self {
            Self::Disk(disk) => setup.store_at(&disk.path().join("clinic.db")),
            Self::Limit => setup.minding_no_file_limit(),
        }
    }

    /// Leaves room for about `bytes` more.
    ///
    /// # Panics
    /// When the system does not let us.
    pub fn leave(&self, process: &ClinicProcess, bytes: u64) {
        match self {
            Self::Disk(disk) => disk.leave(bytes).expect("the ballast can be changed"),
            Self::Limit => {
                let length = |suffix| {
                    let file = format!("{}{suffix}", process.setup().store().display());
                    fs::metadata(file).map_or(0, |file| file.len())
                };
                let limit = if bytes < 1 << 20 { length("-wal") } else { length("").max(length("-wal")) } + bytes;
                limit_files(process, limit);
            }
        }
    }

    /// Makes every write to the store fail, or lets it be written again. Immutable files refuse writes even through handles
    /// that were opened before.
    ///
    /// # Panics
    /// When the system does not let us.
    pub fn set_read_only(&self, process: &ClinicProcess, read_only: bool) {
        match self {
            Self::Disk(disk) => {
                // The shared-memory index is mapped, not written, and the lock files carry nothing.
                let store = process.setup().store().display().to_string();
                let files = [store.clone(), format!("{store}-wal")].map(PathBuf::from).into_iter().filter(|file| file.exists());
                let mark = if read_only { "+i" } else { "-i" };
                tool("chattr", Command::new("chattr").arg(mark).args(files))
                    .unwrap_or_else(|error| panic!("{}: {error}", disk.mount.display()));
            }
            Self::Limit => limit_files(process, if read_only { 0 } else { u64::MAX >> 1 }),
        }
    }
}

fn limit_files(process: &ClinicProcess, bytes: u64) {
    let id = process.id().to_string();
    let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:")]).output();
    let set = set.unwrap_or_else(|error| panic!("prlimit cannot be run ({error}): install util-linux"));
    assert!(set.status.success() || !Path::new("/proc").join(id).exists(), "{}", String::from_utf8_lossy(&set.stderr));
}

/// Why there is no small disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SmallDiskError {
    /// A step failed; its text is what the tool said.
    #[error("{step} failed: {said}; a small disk needs root, loop devices and e2fsprogs (mkfs.ext4)")]
    Step {
        /// The tool.
        step: &'static str,
        /// What it said.
        said: String,
    },
    /// The image or the ballast could not be written.
    #[error("the small disk's image cannot be written")]
    Io(#[from] io::Error),
}

/// An ext4 file system in a file, mounted through a loop device; a ballast file makes it as full as one likes.
#[derive(Debug)]
pub struct SmallDisk {
    mount: PathBuf,
    // Dropped after the unmounting.
    _folder: TempDir,
}

impl SmallDisk {
    /// Makes and mounts one.
    ///
    /// # Errors
    /// [`SmallDiskError`] where that is not allowed.
    pub fn new(megabytes: u64) -> Result<Self, SmallDiskError> {
        let folder = folder();
        let image = folder.path().join("image");
        File::create(&image)?.set_len(megabytes << 20)?;
        let mount = folder.path().join("mount");
        fs::create_dir(&mount)?;
        // No reserve for root: tests may run as root and shall find it full.
        tool("mkfs.ext4", Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))?;
        tool("mount", Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount))?;
        Ok(Self { mount, _folder: folder })
    }

    /// Its root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Bytes that are free.
    ///
    /// # Errors
    /// What the system says.
    pub fn free(&self) -> io::Result<u64> {
        let stat = statvfs(&self.mount)?;
        Ok(stat.f_bavail * stat.f_frsize)
    }

    /// Grows or shrinks the ballast until about `bytes` are free.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave(&self, bytes: u64) -> io::Result<()> {
        let ballast = File::options().write(true).create(true).truncate(false).open(self.mount.join("ballast"))?;
        let now = ballast.metadata()?.len();
        let free = self.free()?;
        if free <= bytes {
            return ballast.set_len(now.saturating_sub(bytes - free));
        }
        // Somebody else may have taken the room meanwhile: full is full.
        match fallocate(&ballast, FallocateFlags::empty(), now, free - bytes) {
            Err(rustix::io::Errno::NOSPC) => Ok(()),
            done => Ok(done?),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a clinic may still be dying on it.
        if let Err(error) = tool("umount", Command::new("umount").arg("-l").arg(&self.mount)) {
            eprintln!("{} stays mounted: {error}", self.mount.display());
        }
    }
}

fn tool(step: &'static str, command: &mut Command) -> Result<(), SmallDiskError> {
    let output = command.output().map_err(|error| SmallDiskError::Step { step, said: error.to_string() })?;
    if output.status.success() {
        return Ok(());
    }
    Err(SmallDiskError::Step { step, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
