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
pub(super) fn remind(tx: &Tx<'_>, limit: usize) -> rusqlite::Result<Vec<Publication>> {
    let due: Vec<(BookingId, Status, Millis)> = tx
        .connection
        .prepare_cached("SELECT id, status, start_at FROM booking WHERE remind_at <= ?1 ORDER BY remind_at LIMIT ?2")?
        .query_map(params![tx.now, limit as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut publications = Vec::new();
    for (id, status, start) in due {
        tx.connection.prepare_cached("UPDATE booking SET remind_at = ?2 WHERE id = ?1")?.execute(params![id, next(tx, start)])?;
        if status == Status::Confirmed && start > tx.now {
            let seq = ending::entry(tx, id, EntryKind::Reminder, None, None, None, None)?;
            publications.push(ending::tell(tx, id, seq, EventKind::Reminder)?);
        }
    }
    Ok(publications)
}

/// When the next reminder of a visit is due.
pub(super) fn next(tx: &Tx<'_>, start: Millis) -> Option<Millis> {
    tx.reminders.next(start.time(), tx.now.time()).map(Millis::from)
}

/// Why a reminder is not to be sent any more, if so.
pub(super) fn pointless(tx: &Tx<'_>, event: EventKind, booking: &Booking) -> Option<&'static str> {
    if event != EventKind::Reminder {
        None
    } else if booking.status != Status::Confirmed {
        Some(SUPERSEDED)
    } else if Millis::from(booking.appointment.slot.start()) <= tx.now {
        Some(TOO_LATE)
    } else {
        None
    }
}
