//! Endings: every change of a booking's status, with all that follows from it in the same transaction.

use super::{
    error::Result,
    job::Job,
    rows::{Columns, Count, Millis},
    tx::{Tx, params},
};
pub(super) use crate::store::step::{Attempted, Step};
use crate::{
    booking::Status,
    decision::Reason,
    id::{BookingId, JobId, NoticeId},
    job::JobKind,
    message::Message,
    notification::EventKind,
    timeline::EntryKind,
    topology::{Publication, Route},
};

/// Takes a step: status, timeline entry, tell job, dead letter, release job. `None` when the booking is not `from` any more.
pub(super) async fn step(tx: &Tx, from: Status, step: &Step<'_>) -> Result<Option<Vec<Publication>>> {
    let sql = "UPDATE booking SET status = $3, reason = $4, attempts = coalesce($5, attempts), decided_at = coalesce(decided_at, $6), \
               reserves = reserves OR $7, remind_at = $8 WHERE id = $1 AND status = $2 RETURNING attempts";
    let attempt = step.attempt.map(|attempt| Count(attempt.attempt));
    let values = params![step.booking, from, step.to, step.reason, attempt, tx.now, step.reserves, step.remind_at];
    let Some(changed) = tx.one(sql, values).await? else { return Ok(None) };
    let mut seq = next_seq(tx, step.booking).await?;
    if let Some(Attempted { attempt, worker, outcome }) = step.attempt {
        write_entry(tx, step.booking, seq, EntryKind::Attempt, Some(attempt), Some(worker), Some(outcome.as_str()), None).await?;
        seq += 1;
    }
    let (entry_kind, event) = match step.to {
        Status::Confirmed => (EntryKind::Confirmed, EventKind::Confirmed),
        Status::Cancelled => (EntryKind::Cancelled, EventKind::Cancelled),
        // Nothing steps to pending; the schema refuses it.
        Status::Rejected | Status::Pending => (EntryKind::Rejected, EventKind::Rejected),
    };
    write_entry(tx, step.booking, seq, entry_kind, None, None, step.reason.map(Reason::as_str), None).await?;
    if let Some(reason) = step.reason.filter(|reason| reason.is_failure()) {
        dead_letter(tx, step.booking, "decide", reason.as_str(), changed.count(0)?, None).await?;
    }
    let mut publications = vec![tell(tx, step.booking, seq, event).await?];
    if step.reserves && step.to != Status::Confirmed {
        publications.extend(release(tx, step.booking, step.release_at).await?);
    }
    Ok(Some(publications))
}

/// Rejects a pending booking that cannot go on, and settles its job.
pub(super) async fn reject(tx: &Tx, booking: BookingId, job: Option<&Job>, reason: Reason) -> Result<Vec<Publication>> {
    let rejection = Step {
        booking,
        to: Status::Rejected,
        reason: Some(reason),
        attempt: None,
        reserves: job.is_some_and(|job| job.reserves),
        release_at: job.and_then(Job::busy_until).unwrap_or(tx.now).max(tx.now),
        remind_at: None,
    };
    let publications = step(tx, Status::Pending, &rejection).await?;
    if let Some(job) = job {
        job.settle(tx).await?;
    }
    Ok(publications.unwrap_or_default())
}

/// Rejects pending bookings whose time to be decided is over.
pub(super) async fn expire(tx: &Tx, limit: usize) -> Result<Vec<Publication>> {
    let sql = "SELECT id FROM booking WHERE status = 'pending' AND decide_by <= $1 ORDER BY decide_by LIMIT $2 \
               FOR NO KEY UPDATE SKIP LOCKED";
    let mut publications = Vec::new();
    for late in tx.all(sql, params![tx.now, limit as i64]).await? {
        let id = late.column(0)?;
        let job = Job::deciding(tx, id).await?;
        publications.extend(reject(tx, id, job.as_ref(), Reason::DeadlinePassed).await?);
    }
    Ok(publications)
}

/// Makes a release job for a booking that has ended other than confirmed: its check answered after that end.
pub(super) async fn release_if_ended(tx: &Tx, id: BookingId) -> Result<Vec<Publication>> {
    tx.lock([id]).await?;
    let found = tx.one("SELECT status FROM booking WHERE id = $1", params![id]).await?;
    match found.map(|row| row.column(0)).transpose()? {
        Some(Status::Rejected | Status::Cancelled) => Ok(release(tx, id, tx.now).await?.into_iter().collect()),
        Some(Status::Pending | Status::Confirmed) | None => Ok(Vec::new()),
    }
}

/// Writes a timeline entry behind all others of its booking; its place.
pub(super) async fn entry(
    tx: &Tx,
    booking: BookingId,
    kind: EntryKind,
    attempt: Option<u32>,
    worker: Option<&str>,
    code: Option<&str>,
    next_try: Option<Millis>,
) -> Result<u32> {
    let seq = next_seq(tx, booking).await?;
    write_entry(tx, booking, seq, kind, attempt, worker, code, next_try).await?;
    Ok(seq)
}

#[allow(clippy::too_many_arguments, reason = "one argument a column")]
async fn write_entry(
    tx: &Tx,
    booking: BookingId,
    seq: u32,
    kind: EntryKind,
    attempt: Option<u32>,
    worker: Option<&str>,
    code: Option<&str>,
    next_try: Option<Millis>,
) -> Result<()> {
    let sql = "INSERT INTO timeline (booking, seq, at, kind, attempt, worker, code, next_try) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    tx.execute(sql, params![booking, Count(seq), tx.now, kind, attempt.map(Count), worker, code, next_try]).await.map(drop)
}

/// The next free place in a booking's timeline; 1 is its acceptance.
pub(super) async fn next_seq(tx: &Tx, booking: BookingId) -> Result<u32> {
    let sql = "SELECT greatest(1, (SELECT max(seq) FROM timeline WHERE booking = $1), (SELECT max(seq) FROM notice WHERE booking = $1))";
    Ok(tx.row(sql, params![booking]).await?.count(0)? + 1)
}

/// Keeps a failure for staff.
pub(super) async fn dead_letter(
    tx: &Tx,
    booking: BookingId,
    kind: &str,
    code: &str,
    attempts: u32,
    notice: Option<NoticeId>,
) -> Result<()> {
    let sql = "INSERT INTO dead_letter (booking, kind, code, attempts, notice, at) VALUES ($1, $2, $3, $4, $5, $6)";
    tx.execute(sql, params![booking, kind, code, Count(attempts), notice, tx.now]).await.map(drop)
}

/// A job that tells an event.
pub(super) async fn tell(tx: &Tx, booking: BookingId, seq: u32, event: EventKind) -> Result<Publication> {
    let job = JobId::generate();
    let sql = "INSERT INTO job (id, kind, booking, event_seq, due_at, next_look) VALUES ($1, $2, $3, $4, $5, $6)";
    tx.execute(sql, params![job, JobKind::Tell, booking, Count(seq), tx.now, tx.now.plus(tx.grace)]).await?;
    Ok(Publication::new(Message::new(job, JobKind::Tell, booking), Route::News(event)))
}

/// A release job. Its message is published only when it is due at once; otherwise the sweep sees to it.
async fn release(tx: &Tx, booking: BookingId, at: Millis) -> Result<Option<Publication>> {
    let job = JobId::generate();
    let at_once = at <= tx.now;
    let next_look = if at_once { tx.now.plus(tx.grace) } else { at };
    let sql = "INSERT INTO job (id, kind, booking, due_at, next_look) VALUES ($1, $2, $3, $4, $5)";
    tx.execute(sql, params![job, JobKind::Release, booking, at.max(tx.now), next_look]).await?;
    Ok(at_once.then(|| Publication::new(Message::new(job, JobKind::Release, booking), Route::Work)))
}
