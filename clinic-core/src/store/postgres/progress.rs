//! What happened to bookings since somebody looked last.

use super::{
    error::Result,
    read::entries_after,
    rows::{Columns, Millis, is_event},
    tx::{Tx, params},
};
use crate::{
    booking::Status,
    id::BookingId,
    ports::{Followed, PROGRESS_PAGE, Progress},
};

pub(super) async fn progress(tx: &Tx, followed: &[Followed]) -> Result<Vec<Progress>> {
    let mut progress = Vec::with_capacity(followed.len());
    for followed in followed {
        progress.extend(of_one(tx, *followed).await?);
    }
    Ok(progress)
}

async fn of_one(tx: &Tx, Followed { booking, after }: Followed) -> Result<Option<Progress>> {
    let Some(found) = tx.one("SELECT status, created_at FROM booking WHERE id = $1", params![booking]).await? else { return Ok(None) };
    let (status, accepted): (Status, Millis) = (found.column(0)?, found.column(1)?);
    // One more than is given says whether these are all.
    let mut entries = entries_after(tx, booking, accepted, after, PROGRESS_PAGE + 1).await?;
    let are_all = entries.len() <= PROGRESS_PAGE;
    entries.truncate(PROGRESS_PAGE);
    let told = are_all && status != Status::Pending && is_told(tx, booking).await?;
    Ok(Some(Progress::new(booking, entries, told)))
}

/// Whether each event has its ledger rows, and each of them was tried once or settled.
async fn is_told(tx: &Tx, booking: BookingId) -> Result<bool> {
    let sql = concat!(
        "SELECT NOT EXISTS (SELECT 1 FROM notice WHERE booking = $1 AND state = 'pending' AND tries = 0) \
             AND NOT EXISTS (SELECT 1 FROM timeline WHERE booking = $1 AND ",
        is_event!(),
        " AND NOT EXISTS (SELECT 1 FROM notice WHERE notice.booking = $1 AND notice.event_seq = timeline.seq))",
    );
    tx.row(sql, params![booking]).await?.column(0)
}
