//! Where the binaries under test are.

use std::path::{Path, PathBuf};

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

/// The binary `clinic-api`: `CLINIC_API_BIN`, or beside the test binary.
///
/// # Panics
/// When there is none; the text says how to build it.
#[must_use]
pub fn api_binary() -> PathBuf {
    binary("CLINIC_API_BIN", "clinic-api", "cargo build -p clinic-services")
}

/// The binary `clinic-worker`: `CLINIC_WORKER_BIN`, or beside the test binary.
///
/// # Panics
/// When there is none; the text says how to build it.
#[must_use]
pub fn worker_binary() -> PathBuf {
    binary("CLINIC_WORKER_BIN", "clinic-worker", "cargo build -p clinic-services")
}

/// The binary `clinic-notifier`: `CLINIC_NOTIFIER_BIN`, or beside the test binary.
///
/// # Panics
/// When there is none; the text says how to build it.
#[must_use]
pub fn notifier_binary() -> PathBuf {
    binary("CLINIC_NOTIFIER_BIN", "clinic-notifier", "cargo build -p clinic-services")
}

/// The binary `loadgen`: `CLINIC_LOADGEN_BIN`, or beside the test binary.
///
/// # Panics
/// When there is none; the text says how to build it.
#[must_use]
pub fn loadgen_binary() -> PathBuf {
    binary("CLINIC_LOADGEN_BIN", "loadgen", "cargo build -p clinic-loadgen")
}

/// An example of the client: in the folder `CLINIC_CLIENT_EXAMPLES`, or beside the test binary's.
///
/// # Panics
/// When there is none; the text says how to build it.
#[must_use]
pub fn client_example(name: &str) -> PathBuf {
    let beside = || {
        let this = std::env::current_exe().expect("a process has a binary");
        this.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("examples")
    };
    let path = std::env::var_os("CLINIC_CLIENT_EXAMPLES").map_or_else(beside, PathBuf::from).join(name);
    assert!(path.is_file(), "there is no {}: build it with `cargo build -p clinic-client --examples`; tests/run does", path.display());
    path
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
