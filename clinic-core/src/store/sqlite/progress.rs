//! What happened to bookings since somebody looked last.

use rusqlite::{Connection, OptionalExtension};

use super::{
    read::entries_after,
    rows::{Millis, is_event},
};
use crate::{
    booking::Status,
    id::BookingId,
    ports::{Followed, PROGRESS_PAGE, Progress},
};

pub(super) fn progress(connection: &Connection, followed: &[Followed]) -> rusqlite::Result<Vec<Progress>> {
    let progress: rusqlite::Result<Vec<Option<Progress>>> = followed.iter().map(|followed| of_one(connection, *followed)).collect();
    Ok(progress?.into_iter().flatten().collect())
}

fn of_one(connection: &Connection, Followed { booking, after }: Followed) -> rusqlite::Result<Option<Progress>> {
    let found: Option<(Status, Millis)> = connection
        .prepare_cached("SELECT status, created_at FROM booking WHERE id = ?1")?
        .query_row([booking], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((status, accepted)) = found else { return Ok(None) };
    // One more than is given says whether these are all.
    let mut entries = entries_after(connection, booking, accepted, after, PROGRESS_PAGE + 1)?;
    let are_all = entries.len() <= PROGRESS_PAGE;
    entries.truncate(PROGRESS_PAGE);
    let told = are_all && status != Status::Pending && is_told(connection, booking)?;
    Ok(Some(Progress::new(booking, entries, told)))
}

/// Whether each event has its ledger rows, and each of them was tried once or settled.
fn is_told(connection: &Connection, booking: BookingId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(concat!(
            "SELECT NOT EXISTS (SELECT 1 FROM notice WHERE booking = ?1 AND state = 'pending' AND tries = 0) \
                 AND NOT EXISTS (SELECT 1 FROM timeline WHERE booking = ?1 AND ",
            is_event!(),
            " AND NOT EXISTS (SELECT 1 FROM notice WHERE notice.booking = ?1 AND notice.event_seq = timeline.seq))",
        ))?
        .query_row([booking], |row| row.get(0))
}
