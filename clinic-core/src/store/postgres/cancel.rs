//! Cancelling: status, job, token and news in one transaction.

use super::{
    ending::{self, Step},
    error::Result,
    job::Job,
    rows::{self, Columns},
    tx::{Tx, params},
};
use crate::{booking::Status, id::BookingId, ports::Cancellation};

pub(super) async fn cancel(tx: &Tx, id: BookingId) -> Result<Cancellation> {
    tx.lock([id]).await?;
    let Some(booking) = rows::booking(tx, id).await? else { return Ok(Cancellation::NotFound) };
    if let Err(refused) = booking.may_cancel(tx.now.time()) {
        return Ok(Cancellation::Refused(refused));
    }
    if booking.status == Status::Cancelled {
        return Ok(Cancellation::Already(booking));
    }
    let job = Job::deciding(tx, id).await?;
    let reserved: bool = tx.row("SELECT reserves FROM booking WHERE id = $1", params![id]).await?.column(0)?;
    let cancellation = Step {
        booking: id,
        to: Status::Cancelled,
        reason: None,
        attempt: None,
        reserves: reserved || job.as_ref().is_some_and(|job| job.reserves),
        release_at: job.as_ref().and_then(Job::busy_until).unwrap_or(tx.now).max(tx.now),
        remind_at: None,
    };
    let publications = ending::step(tx, booking.status, &cancellation).await?.unwrap_or_default();
    if let Some(job) = job {
        job.settle(tx).await?;
    }
    let cancelled = rows::booking(tx, id).await?.unwrap_or(booking);
    Ok(Cancellation::Done(cancelled, publications))
}
