//! Which bookings a worker has in hand, and when others take them over: plain SQL, as the checker does.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

/// A job in hand: by its id, the token it is held under and the end of the lease, in milliseconds since 1970.
pub type Held = BTreeMap<Vec<u8>, (Vec<u8>, i64)>;

/// The decide jobs that are held by a worker of this process id (its name is `HOST-PID-CHANCE`), or by anybody.
///
/// # Panics
/// When the store cannot be read.
#[must_use]
pub fn held_by(store: &Path, process: Option<u32>) -> Held {
    let read = || {
        let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        let pattern = process.map_or_else(|| "%".to_owned(), |id| format!("%-{id}-%"));
        let sql = "SELECT id, token, lease_until FROM job WHERE kind = 'decide' AND token IS NOT NULL AND worker LIKE ?1";
        connection.prepare(sql)?.query_map([pattern], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect::<rusqlite::Result<_>>()
    };
    read().unwrap_or_else(|error| panic!("the store cannot be read: {error}"))
}
