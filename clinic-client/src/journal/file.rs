use std::{
    ffi::OsString,
    fs::{self, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use clinic_core::api::BookRequest;
use uuid::Uuid;

use super::{
    JournalError,
    record::{Record, unfinished},
};

/// The file is written anew once it has so many finished records.
const MOST_FINISHED: usize = 1000;

/// How a record comes on disk.
#[derive(Clone, Copy)]
struct Disk {
    write: fn(&mut fs::File, &[u8]) -> io::Result<()>,
    sync: fn(&fs::File) -> io::Result<()>,
}

const DISK: Disk = Disk { write: fs::File::write_all, sync: fs::File::sync_data };

/// The open file, at its end.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
    open: Vec<(Uuid, BookRequest)>,
    finished: usize,
    /// A write failed and may not be taken back: nobody knows what is on disk.
    is_broken: bool,
    /// Held for as long as this lives. A file of its own, since the journal's is replaced.
    _lock: fs::File,
}

impl File {
    /// Opens it, alone; what an earlier process left.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<(Uuid, BookRequest)>), JournalError> {
        let path = &real(path)?;
        let lock = private(OpenOptions::new().create(true).truncate(false).write(true)).open(beside(path, ".lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::Locked,
            TryLockError::Error(error) => JournalError::Io(error),
        })?;
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let open = unfinished(&bytes)?;
        // Whoever wrote this may have been killed before it was synced: nothing is acted upon that is not on disk.
        let file = write_anew(path, &open)?;
        Ok((Self { path: path.to_owned(), file, open: open.clone(), finished: 0, is_broken: false, _lock: lock }, open))
    }

    pub(super) fn begin(&mut self, key: Uuid, request: &BookRequest) -> Result<(), JournalError> {
        self.append(&Record::Begun { key, request: Box::new(request.clone()) })?;
        self.open.push((key, request.clone()));
        Ok(())
    }

    pub(super) fn finish(&mut self, key: Uuid) -> Result<(), JournalError> {
        self.append(&Record::Finished { key })?;
        self.open.retain(|(begun, _)| *begun != key);
        self.finished += 1;
        if self.finished >= MOST_FINISHED {
            self.file = write_anew(&self.path, &self.open).inspect_err(|_| self.is_broken = true)?;
            self.finished = 0;
        }
        Ok(())
    }

    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.write(&record.line(), DISK)
    }

    /// Writes a line and syncs it, or takes it back as well as it can: what failed is not to come back as begun.
    fn write(&mut self, line: &[u8], disk: Disk) -> Result<(), JournalError> {
        self.intact()?;
        let length = self.file.metadata()?.len();
        if let Err(error) = (disk.write)(&mut self.file, line) {
            // The disk is full, most likely. Taken back for sure, the journal is as it was.
            self.is_broken = self.take_back(length).is_err();
            return Err(error.into());
        }
        (disk.sync)(&self.file).map_err(|error| {
            // What a sync that fails has lost, a later one that succeeds does not tell.
            self.is_broken = true;
            let _ = self.take_back(length);
            error.into()
        })
    }

    fn take_back(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.sync_all()
    }

    const fn intact(&self) -> Result<(), JournalError> {
        if self.is_broken { Err(JournalError::Broken) } else { Ok(()) }
    }
}

/// Puts a file with these entries in the journal's place: the old one or the new one is there, whenever this is cut off.
fn write_anew(path: &Path, open: &[(Uuid, BookRequest)]) -> io::Result<fs::File> {
    let next = beside(path, ".next");
    // What lies there was left by a process that died, and may be anybody's to read, or a link to elsewhere.
    match fs::remove_file(&next) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private(OpenOptions::new().create_new(true).write(true)).open(&next)?;
    for (key, request) in open {
        file.write_all(&Record::Begun { key: *key, request: Box::new(request.clone()) }.line())?;
    }
    file.sync_all()?;
    fs::rename(&next, path)?;
    sync_folder(folder(path))?;
    OpenOptions::new().append(true).open(path)
}

/// The path without links, so that the lock and what is written anew lie beside the file itself: whichever way it is reached, it is one
/// journal.
fn real(path: &Path) -> Result<PathBuf, JournalError> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        real => return Ok(real?),
    }
    if path.is_symlink() {
        return Err(JournalError::Dangling);
    }
    let name = path.file_name().ok_or(ErrorKind::InvalidInput).map_err(io::Error::from)?;
    Ok(folder(path).canonicalize()?.join(name))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// For the eyes of its owner alone, where files have owners.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Elsewhere than on Unix a folder cannot be opened, nor need it be.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> BookRequest {
        BookRequest { patient_id: Some("PAC001".into()), ..BookRequest::default() }
    }

    fn keys(entries: &[(Uuid, BookRequest)]) -> Vec<Uuid> {
        entries.iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn what_is_open_stays_over_any_number_of_finished_ones_and_the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (mut file, left) = File::open(&path).unwrap();
        assert!(left.is_empty());
        let first = Uuid::now_v7();
        file.begin(first, &request()).unwrap();
        for _ in 0..MOST_FINISHED {
            let key = Uuid::now_v7();
            file.begin(key, &request()).unwrap();
            file.finish(key).unwrap();
        }
        let last = Uuid::now_v7();
        file.begin(last, &request()).unwrap();
        drop(file);
        assert!(fs::metadata(&path).unwrap().len() < 500);
        let (_file, left) = File::open(&path).unwrap();
        assert_eq!(keys(&left), [first, last]);
        assert!(left[0].1 == request());
    }

    #[test]
    fn one_opens_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (file, _) = File::open(&path).unwrap();
        assert!(matches!(File::open(&path), Err(JournalError::Locked)));
        drop(file);
        assert!(File::open(&path).is_ok());
    }

    /// A lock beside each name would let two processes in, and writing anew would put a file in the link's place.
    #[cfg(unix)]
    #[test]
    fn a_journal_reached_by_links_is_one_journal() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let (folder, link) = (root.path().join("folder"), root.path().join("link"));
        fs::create_dir(&folder).unwrap();
        symlink(&folder, root.path().join("other")).unwrap();
        symlink(folder.join("j"), &link).unwrap();
        assert!(matches!(File::open(&link), Err(JournalError::Dangling)));
        let names = [folder.join("j"), root.path().join("other/j"), link.clone()];
        // The first time by the linked folder, while there is no file yet.
        for opened in [&names[1], &names[0], &names[2]] {
            let (mut file, _) = File::open(opened).unwrap();
            for again in &names {
                assert!(matches!(File::open(again), Err(JournalError::Locked)), "{opened:?}, {again:?}");
            }
            file.begin(Uuid::now_v7(), &request()).unwrap();
        }
        assert!(link.is_symlink());
        assert_eq!(File::open(&names[0]).unwrap().1.len(), 3);
    }

    #[test]
    fn after_a_torn_record_the_next_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (mut file, _) = File::open(&path).unwrap();
        let (torn, key) = (Uuid::now_v7(), Uuid::now_v7());
        file.begin(torn, &request()).unwrap();
        drop(file);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let (mut file, left) = File::open(&path).unwrap();
        assert!(left.is_empty());
        file.begin(key, &request()).unwrap();
        drop(file);
        assert_eq!(keys(&File::open(&path).unwrap().1), [key]);
    }

    #[test]
    fn a_record_that_could_not_be_synced_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (mut file, _) = File::open(&path).unwrap();
        let key = Uuid::now_v7();
        file.begin(key, &request()).unwrap();
        let next = Record::Begun { key: Uuid::now_v7(), request: Box::new(request()) };
        let failed = file.write(&next.line(), Disk { sync: |_| Err(ErrorKind::StorageFull.into()), ..DISK });
        assert!(matches!(failed, Err(JournalError::Io(error)) if error.kind() == ErrorKind::StorageFull));
        assert!(matches!(file.finish(key), Err(JournalError::Broken)));
        drop(file);
        assert_eq!(keys(&File::open(&path).unwrap().1), [key]);
    }

    #[test]
    fn a_record_that_found_no_room_is_taken_back_and_the_journal_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (mut file, _) = File::open(&path).unwrap();
        let (key, next) = (Uuid::now_v7(), Uuid::now_v7());
        file.begin(key, &request()).unwrap();
        let full = Disk {
            write: |file, line| {
                file.write_all(&line[..line.len() / 2])?;
                Err(ErrorKind::StorageFull.into())
            },
            ..DISK
        };
        let line = Record::Begun { key: Uuid::now_v7(), request: Box::new(request()) }.line();
        assert!(matches!(file.write(&line, full), Err(JournalError::Io(error)) if error.kind() == ErrorKind::StorageFull));
        file.begin(next, &request()).unwrap();
        file.finish(key).unwrap();
        drop(file);
        assert_eq!(keys(&File::open(&path).unwrap().1), [next]);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_process_that_died_left_beside_it_is_not_written_into() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("j"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, "theirs").unwrap();
        for is_link in [false, true] {
            let next = beside(&path, ".next");
            if is_link {
                symlink(&elsewhere, &next).unwrap()
            } else {
                fs::copy(&elsewhere, &next).map(drop).unwrap()
            }
            let (mut file, _) = File::open(&path).unwrap();
            file.begin(Uuid::now_v7(), &request()).unwrap();
            let kept = fs::symlink_metadata(&path).unwrap();
            assert!(kept.is_file() && kept.permissions().mode() & 0o777 == 0o600, "{is_link}: {kept:?}");
            assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "theirs");
        }
    }

    /// An earlier process may have been killed before its last record, or the name of its file, was synced.
    #[cfg(unix)]
    #[test]
    fn what_an_earlier_process_left_is_written_and_synced_anew_before_it_is_given() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (mut file, _) = File::open(&path).unwrap();
        let key = Uuid::now_v7();
        file.begin(key, &request()).unwrap();
        drop(file);
        let (left_by_it, bytes) = (fs::File::open(&path).unwrap(), fs::read(&path).unwrap());
        let (_file, left) = File::open(&path).unwrap();
        assert_eq!(keys(&left), [key]);
        assert_ne!(fs::metadata(&path).unwrap().ino(), left_by_it.metadata().unwrap().ino());
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it_and_a_write_that_cannot_be_taken_back_ends_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (mut file, _) = File::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Opened for reading only, so that the write fails, and so does taking it back.
        file.file = fs::File::open(&path).unwrap();
        assert!(matches!(file.begin(Uuid::now_v7(), &request()), Err(JournalError::Io(_))));
        assert!(matches!(file.begin(Uuid::now_v7(), &request()), Err(JournalError::Broken)));
    }
}
