//! Cancelling: status, job, token and news in one transaction.

use super::{
    ending::{self, Step},
    job::Job,
    rows,
    tx::Tx,
};
use crate::{booking::Status, id::BookingId, ports::Cancellation};

pub(super) fn cancel(tx: &Tx<'_>, id: BookingId) -> rusqlite::Result<Cancellation> {
    let Some(booking) = rows::booking(tx.connection, id)? else { return Ok(Cancellation::NotFound) };
    if let Err(refused) = booking.may_cancel(tx.now.time()) {
        return Ok(Cancellation::Refused(refused));
    }
    if booking.status == Status::Cancelled {
        return Ok(Cancellation::Already(booking));
    }
    let job = Job::deciding(tx, id)?;
    let reserved: bool = tx.connection.prepare_cached("SELECT reserves FROM booking WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
    let cancellation = Step {
        booking: id,
        to: Status::Cancelled,
        reason: None,
        attempt: None,
        reserves: reserved || job.as_ref().is_some_and(|job| job.reserves),
        release_at: job.as_ref().and_then(Job::busy_until).unwrap_or(tx.now).max(tx.now),
        remind_at: None,
    };
    let publications = ending::step(tx, booking.status, &cancellation)?.unwrap_or_default();
    if let Some(job) = job {
        job.settle(tx)?;
    }
    let cancelled = rows::booking(tx.connection, id)?.unwrap_or(booking);
    Ok(Cancellation::Done(cancelled, publications))
}
