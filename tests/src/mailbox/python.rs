//! The Python environment that `tests/mailbox/make` makes.

use std::path::{Path, PathBuf};

/// Its interpreter: `CLINIC_TEST_PYTHON`, or the one in the target folder.
///
/// # Panics
/// When there is none; the text says how to make it.
#[must_use]
pub fn python() -> PathBuf {
    let path = std::env::var_os("CLINIC_TEST_PYTHON").map_or_else(
        || {
            let this = std::env::current_exe().expect("a process has a binary");
            this.ancestors().nth(3).unwrap_or(Path::new(".")).join("mailbox/bin/python")
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "there is no {}: make it with `tests/mailbox/make`, or set CLINIC_TEST_PYTHON; tests/run does", path.display());
    path
}
