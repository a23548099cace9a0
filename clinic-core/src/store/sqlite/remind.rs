//! Reminders: a confirmed booking says when its next one is due; then it becomes an event to be told.

use rusqlite::params;

use super::{ending, rows::Millis, tx::Tx};
use crate::{
    booking::{Booking, Status},
    id::BookingId,
    notification::{EventKind, SUPERSEDED, TOO_LATE},
    timeline::EntryKind,
    topology::Publication,
};

/// Makes events of reminders that are due. Of those that fell due meanwhile, one; of a visit that has begun, none.
///
/// Only a confirmed booking has a reminder: the statement that changes its status takes it away.
pub(super) fn remind(tx: &Tx<'_>, limit: usize) -> rusqlite::Result<Vec<Publication>> {
    tx.connection
        .prepare_cached(
            "UPDATE booking SET remind_at = NULL \
             WHERE id IN (SELECT id FROM booking WHERE remind_at <= ?1 AND start_at <= ?1 LIMIT ?2)",
        )?
        .execute(params![tx.now, limit as i64])?;
    let due: Vec<(BookingId, Millis)> = tx
        .connection
        .prepare_cached("SELECT id, start_at FROM booking WHERE remind_at <= ?1 AND start_at > ?1 ORDER BY remind_at LIMIT ?2")?
        .query_map(params![tx.now, limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut publications = Vec::new();
    for (id, start) in due {
        tx.connection.prepare_cached("UPDATE booking SET remind_at = ?2 WHERE id = ?1")?.execute(params![id, next(tx, start)])?;
        let seq = ending::entry(tx, id, EntryKind::Reminder, None, None, None, None)?;
        publications.push(ending::tell(tx, id, seq, EventKind::Reminder)?);
    }
    Ok(publications)
}

/// When the next reminder of a visit is due.
pub(super) fn next(tx: &Tx<'_>, start: Millis) -> Option<Millis> {
    tx.reminders.next(start.time(), tx.now.time()).map(Millis::from)
}

/// Why a reminder is not to be sent any more, if so.
pub(super) fn pointless(now: Millis, event: EventKind, booking: &Booking) -> Option<&'static str> {
    if event != EventKind::Reminder {
        None
    } else if booking.status != Status::Confirmed {
        Some(SUPERSEDED)
    } else if Millis::from(booking.appointment.slot.start()) <= now {
        Some(TOO_LATE)
    } else {
        None
    }
}
