//! Containers that end with those who use them, however these end.
//!
//! Whoever uses a container holds a shared lock on a file, which the system lets go of with the process. A keeper, a process
//! apart, waits for the lock and then removes the container. It is started before the container, which it knows by name.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::disk;

/// Removes an own container once its file's lock is free. Whoever was killed while the engine made it is gone before it is there.
const KEEPER_OF_ONE: &str = r#"flock -x "$1" docker rm -fv "$2"; rm -f "$1"; sleep 10; docker rm -fv "$2""#;
/// Removes the shared container and its note once nobody has used it for a while; the next test may be about to.
const KEEPER_OF_ALL: &str = r#"
while sleep 20; do
    flock -n -x -E 9 "$1" sh -c 'docker rm -fv "$1"; : >"$2"' keeper "$2" "$3"
    [ $? = 9 ] || exit 0
done"#;

/// Keeps a container alive for as long as it is held.
#[derive(Debug)]
pub(super) struct Lifeline {
    _held: File,
}

impl Lifeline {
    /// Of a container that one test has to itself.
    pub(super) fn own(container: &str) -> io::Result<Self> {
        let path = place()?.join(format!("own-{container}"));
        let held = open(&path)?;
        held.lock_shared()?;
        keeper(KEEPER_OF_ONE, &[path.as_os_str(), container.as_ref()])?;
        Ok(Self { _held: held })
    }
}

/// Starting or finding the container that all tests share; one process at a time.
#[derive(Debug)]
pub(super) struct Sharing {
    use_file: PathBuf,
    note_file: PathBuf,
    held: File,
    _turn: File,
}

impl Sharing {
    /// Waits for its turn.
    pub(super) fn enter() -> io::Result<Self> {
        let place = place()?;
        let (use_file, note_file) = (place.join("shared-use"), place.join("shared-note"));
        // In this order: while a keeper removes the container nobody gets past here.
        let held = open(&use_file)?;
        held.lock_shared()?;
        let turn = open(&place.join("shared-turn"))?;
        turn.lock()?;
        Ok(Self { use_file, note_file, held, _turn: turn })
    }

    /// What the one who started the container has left.
    pub(super) fn note(&self) -> Option<String> {
        let mut note = String::new();
        File::open(&self.note_file).ok()?.read_to_string(&mut note).ok()?;
        Some(note).filter(|note| !note.is_empty())
    }

    /// Leaves a note to those who come later, and a keeper, before there is such a container.
    pub(super) fn announce(&self, container: &str, note: &str) -> io::Result<()> {
        if self.note().as_deref() != Some(note) {
            File::create(&self.note_file)?.write_all(note.as_bytes())?;
            keeper(KEEPER_OF_ALL, &[self.use_file.as_os_str(), container.as_ref(), self.note_file.as_os_str()])?;
        }
        Ok(())
    }

    /// The container runs: lets others in.
    pub(super) fn into_lifeline(self) -> Lifeline {
        Lifeline { _held: self.held }
    }
}

/// Beside the stores under test, where every process of a run looks.
fn place() -> io::Result<PathBuf> {
    let place = disk::place().join("rabbit");
    fs::create_dir_all(&place)?;
    Ok(place)
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// In a session of its own, so that what ends the test does not end it, with nothing that a test runner waits for.
fn keeper(script: &str, arguments: &[&std::ffi::OsStr]) -> io::Result<()> {
    let mut command = Command::new("setsid");
    command.args(["--fork", "sh", "-c", script, "keeper"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // With --fork it returns at once.
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("setsid failed")) }
}
