//! Reminders: a confirmed booking says when its next one is due; then it becomes an event to be told.

use super::{
    ending,
    error::Result,
    rows::{Columns, Millis},
    tx::{Tx, params},
};
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
pub(super) async fn remind(tx: &Tx, limit: usize) -> Result<Vec<Publication>> {
    let find = "SELECT id FROM booking WHERE remind_at <= $1 ORDER BY remind_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED";
    let free: Result<Vec<BookingId>> = tx.all(find, params![tx.now, limit as i64]).await?.iter().map(|row| row.column(0)).collect();
    let free = free?;
    let sql = "UPDATE booking SET remind_at = NULL WHERE id = ANY ($2) AND remind_at <= $1 AND start_at <= $1";
    tx.execute(sql, params![tx.now, free]).await?;
    let sql = "SELECT id, start_at FROM booking WHERE id = ANY ($2) AND remind_at <= $1 ORDER BY remind_at";
    let mut publications = Vec::new();
    for row in tx.all(sql, params![tx.now, free]).await? {
        let (id, start): (BookingId, Millis) = (row.column(0)?, row.column(1)?);
        tx.execute("UPDATE booking SET remind_at = $2 WHERE id = $1", params![id, next(tx, start)]).await?;
        let seq = ending::entry(tx, id, EntryKind::Reminder, None, None, None, None).await?;
        publications.push(ending::tell(tx, id, seq, EventKind::Reminder).await?);
    }
    Ok(publications)
}

/// When the next reminder of a visit is due.
pub(super) fn next(tx: &Tx, start: Millis) -> Option<Millis> {
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
