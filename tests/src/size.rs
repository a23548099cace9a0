//! Two sizes of every suite: short for each change, full for a release.

use std::io::Write;

/// Whether the full sizes are asked for (`CLINIC_TEST_SIZE=full`).
#[must_use]
pub fn is_full() -> bool {
    std::env::var("CLINIC_TEST_SIZE").is_ok_and(|size| size == "full")
}

/// The number for the size asked for.
#[must_use]
pub fn sized<T>(short: T, full: T) -> T {
    if is_full() { full } else { short }
}

/// Prints a measured figure and, when `CLINIC_TEST_FIGURES` names a file, appends it there.
///
/// # Panics
/// When that file cannot be written.
pub fn figure(text: &str) {
    println!("{text}");
    if let Some(path) = std::env::var_os("CLINIC_TEST_FIGURES") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
        file.and_then(|mut file| writeln!(file, "{text}")).expect("CLINIC_TEST_FIGURES must name a file that can be written");
    }
}
