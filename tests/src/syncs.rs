//! Counts what a clinic syncs to disk: a small library preloaded into its process notes every `fsync` and `fdatasync`.
//!
//! A `kill -9` cannot show a missing sync, since the system's cache outlives the process; only a power cut would. So the
//! syncs themselves are looked at.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{disk, process::Setup};

/// The syncs of the clinics started with a setup.
#[derive(Debug)]
pub struct Syncs {
    folder: TempDir,
}

impl Syncs {
    /// Builds the library.
    ///
    /// # Panics
    /// When there is no C compiler; building the clinic itself needs one, too.
    #[must_use]
    pub fn new() -> Self {
        let folder = disk::folder();
        let source = folder.path().join("syncs.c");
        std::fs::write(&source, include_str!("syncs.c")).expect("a fresh folder can be written");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("syncs.so")).arg(&source).output();
        let compiled = compiled.unwrap_or_else(|error| panic!("cc cannot be run ({error}): install a C compiler"));
        assert!(compiled.status.success(), "cc: {}", String::from_utf8_lossy(&compiled.stderr));
        Self { folder }
    }

    /// The setup with the library preloaded.
    #[must_use]
    pub fn watch(&self, setup: Setup) -> Setup {
        let library = self.folder.path().join("syncs.so");
        setup.set("LD_PRELOAD", &library.display().to_string()).set("CLINIC_SYNC_LOG", &self.log().display().to_string())
    }

    /// How often files of that name's beginning were synced so far: a store's file and those beside it.
    #[must_use]
    pub fn of(&self, file: &Path) -> usize {
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned()).display().to_string();
        std::fs::read_to_string(self.log()).unwrap_or_default().lines().filter(|line| line.starts_with(&file)).count()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Default for Syncs {
    fn default() -> Self {
        Self::new()
    }
}
