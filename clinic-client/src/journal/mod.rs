//! Bookings that are made once even if this process dies: a small file that knows what is under way.

mod error;
mod file;
mod record;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use clinic_core::api::BookRequest;
use tokio::task::spawn_blocking;
use uuid::Uuid;

pub use self::error::JournalError;
use self::file::File;

/// A file that remembers requests for appointments, each with its idempotency key, from before they are first sent until their answer
/// was dealt with.
///
/// A process that died in between finds them when it opens the journal again, asks once more under the old key, and gets the booking
/// that was made, or makes it: one booking, also days later.
///
/// ```
/// use clinic_client::{BookRequest, Client, Journal, JournalError};
///
/// # async fn example(client: Client, request: BookRequest) -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir();
/// let journal = Journal::open(folder.join("bookings.journal")).await?;
/// // What an earlier process began, then what is new: both go the same way.
/// let mut entries = journal.unfinished();
/// entries.push(journal.begin(request).await?);                // on disk from here on
/// for entry in entries {
///     match client.bookings().resume(&entry).send().await {
///         // Keep what you need of the answer...
///         Ok(booking) => println!("{} is {}", entry.key(), booking.id),
///         Err(error) if error.is_refusal() => println!("{} is refused: {error}", entry.key()),
///         // It stays, and the others have their turn.
///         Err(_) => continue,
///     }
///     entry.finish().await?;                                  // ...before it is forgotten here
/// }
/// # Ok(())
/// # }
/// ```
///
/// The file holds what was asked for, patients' names included, until it is finished: it is made readable to its owner alone. One
/// process has it open at a time, whichever links lead to it. Cloning is cheap.
///
/// Keys count for each of the clinic's callers: resume with the token with which you began. And the clinic compares a request with the
/// one that it had under the key as it understood the two: where the language, or the offset of the time, is left out, it takes its own.
/// Should its operator change `CLINIC_LANGUAGE` or `CLINIC_TIMEZONE` before an entry is resumed, that is another request
/// (`idempotency_key_reused`), or another time. Give the language, and a time with its offset as [`BookRequest::at`] does, to what may
/// have to outlast that.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    file: Mutex<File>,
    left: Mutex<Vec<(Uuid, BookRequest)>>,
}

/// A request that is in the journal. Dropped without being finished, it stays there: [`Journal::unfinished`] gives it again, here or to
/// whoever opens the journal next.
pub struct JournalEntry {
    shared: Arc<Shared>,
    key: Uuid,
    request: BookRequest,
    is_finished: bool,
}

/// An entry that nobody has yet.
struct Begun(Option<JournalEntry>);

impl Journal {
    /// Opens a journal, or makes one where there is none.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path = path.as_ref().to_owned();
        let (file, left) = blocking(move || File::open(&path)).await?;
        Ok(Self { shared: Arc::new(Shared { file: Mutex::new(file), left: Mutex::new(left) }) })
    }

    /// What an earlier process began and did not finish, in the order in which it did; after it, what this one dropped without finishing
    /// it, in the order in which it did. Each is given to one at a time.
    #[must_use]
    pub fn unfinished(&self) -> Vec<JournalEntry> {
        let left = std::mem::take(&mut *lock(&self.shared.left));
        left.into_iter().map(|(key, request)| JournalEntry::new(Arc::clone(&self.shared), key, request)).collect()
    }

    /// Writes a request down under a new key. When this returns, it is synced to disk, and not sent yet.
    ///
    /// Given up before it returns, by a time-out for instance, it is undone, so that nobody sends it later. A process that dies before it
    /// is, or whose disk fails, leaves it for the next one as if it had begun.
    ///
    /// # Errors
    /// [`JournalError`]; nothing was sent. What was written is taken back: only where the disk refuses that, too, does the next process
    /// find it unfinished. Where it was taken back for sure, as on a disk that is full, the journal can be used on; otherwise whatever
    /// follows is [`JournalError::Broken`].
    pub async fn begin(&self, request: BookRequest) -> Result<JournalEntry, JournalError> {
        let (shared, key) = (Arc::clone(&self.shared), Uuid::now_v7());
        blocking(move || {
            lock(&shared.file).begin(key, &request)?;
            Ok(Begun(Some(JournalEntry::new(shared, key, request))))
        })
        .await
        .map(Begun::take)
    }
}

impl JournalEntry {
    const fn new(shared: Arc<Shared>, key: Uuid, request: BookRequest) -> Self {
        Self { shared, key, request, is_finished: false }
    }

    /// The idempotency key: the same for as long as the entry is not finished. What is kept of the answer may be kept under it.
    #[must_use]
    pub const fn key(&self) -> Uuid {
        self.key
    }

    /// What is asked for.
    #[must_use]
    pub const fn request(&self) -> &BookRequest {
        &self.request
    }

    /// Forgets the request: its answer was dealt with, be it a booking or [a refusal](crate::Error::is_refusal).
    ///
    /// # Errors
    /// [`JournalError`]; it may come back as unfinished then.
    pub async fn finish(self) -> Result<(), JournalError> {
        blocking(move || self.forget()).await
    }

    fn forget(mut self) -> Result<(), JournalError> {
        lock(&self.shared.file).finish(self.key)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for JournalEntry {
    fn drop(&mut self) {
        if !self.is_finished {
            lock(&self.shared.left).push((self.key, std::mem::take(&mut self.request)));
        }
    }
}

impl Begun {
    fn take(mut self) -> JournalEntry {
        self.0.take().expect("it is taken once, by value")
    }
}

/// Whoever began it has given up, and must not find it booked. Written here and now, though it may be on the runtime's thread for once:
/// a runtime that is ending runs nothing else any more.
impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            let _ = entry.forget();
        }
    }
}

/// Disks are waited for elsewhere, not on the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, JournalError> + Send + 'static) -> Result<T, JournalError> {
    spawn_blocking(work).await.unwrap_or(Err(JournalError::Broken))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl fmt::Debug for JournalEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalEntry").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::atomic::{AtomicBool, Ordering},
        task::{Context, Wake, Waker},
        time::{Duration, Instant},
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn until(condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "not in time");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Begins, and gives up before the result is looked at: while it is being written, or once it is.
    fn give_up(journal: &Journal, is_written: bool) {
        let mut held = Some(lock(&journal.shared.file));
        {
            let woken = Arc::new(Woken::default());
            let mut begun = pin!(journal.begin(BookRequest::default()));
            assert!(begun.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&woken)))).is_pending());
            if is_written {
                held.take();
                until(|| woken.0.load(Ordering::SeqCst));
            }
        }
        drop(held);
        until(|| Arc::strong_count(&journal.shared) == 1);
    }

    #[tokio::test]
    async fn a_beginning_that_nobody_waits_for_any_more_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        for is_written in [false, true] {
            let path = folder.path().join(is_written.to_string());
            let journal = Journal::open(&path).await.unwrap();
            give_up(&journal, is_written);
            assert!(journal.unfinished().is_empty());
            let key = journal.begin(BookRequest::default()).await.unwrap().key();
            drop(journal);
            let left = Journal::open(&path).await.unwrap().unfinished();
            assert_eq!(left.iter().map(JournalEntry::key).collect::<Vec<_>>(), [key], "{is_written}");
        }
    }
}
