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
/// entries.push(journal.begin(request).await?);        // on disk from here on
/// for entry in entries {
///     let booking = client.bookings().resume(&entry).send().await?;
///     println!("{} is {}", entry.key(), booking.id);  // keep what you need of the answer...
///     entry.finish().await?;                          // ...before it is forgotten here
/// }
/// # Ok(())
/// # }
/// ```
///
/// The file holds what was asked for, patients' names included, until it is finished: it is made readable to its owner alone. One
/// process has it open at a time. Cloning is cheap.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    file: Mutex<File>,
    left: Mutex<Vec<(Uuid, BookRequest)>>,
}

/// A request that is in the journal. Dropped without being finished, it stays there, for whoever opens the journal next.
pub struct JournalEntry {
    shared: Arc<Shared>,
    key: Uuid,
    request: BookRequest,
}

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

    /// What an earlier process began and did not finish, in the order in which it did. Each is given once.
    #[must_use]
    pub fn unfinished(&self) -> Vec<JournalEntry> {
        let left = std::mem::take(&mut *lock(&self.shared.left));
        left.into_iter().map(|(key, request)| JournalEntry { shared: Arc::clone(&self.shared), key, request }).collect()
    }

    /// Writes a request down under a new key. When this returns, it is synced to disk, and not sent yet.
    ///
    /// # Errors
    /// [`JournalError`]; nothing was sent then, and nothing is.
    pub async fn begin(&self, request: BookRequest) -> Result<JournalEntry, JournalError> {
        let (shared, key) = (Arc::clone(&self.shared), Uuid::now_v7());
        blocking(move || {
            lock(&shared.file).begin(key, &request)?;
            Ok(JournalEntry { shared, key, request })
        })
        .await
    }
}

impl JournalEntry {
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

    /// Forgets the request: its answer was dealt with, be it a booking or a refusal that no repetition mends.
    ///
    /// # Errors
    /// [`JournalError`]; it may come back as unfinished then.
    pub async fn finish(self) -> Result<(), JournalError> {
        blocking(move || lock(&self.shared.file).finish(self.key)).await
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
