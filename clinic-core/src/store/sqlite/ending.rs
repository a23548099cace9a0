//! Endings: every change of a booking's status, with all that follows from it in the same transaction.

use rusqlite::{OptionalExtension, params};

use super::{job::Job, rows::Millis, tx::Tx};
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
pub(super) fn step(tx: &Tx<'_>, from: Status, step: &Step<'_>) -> rusqlite::Result<Option<Vec<Publication>>> {
    let changed = tx
        .connection
        .prepare_cached(
            "UPDATE OR FAIL booking SET status = ?3, reason = ?4, attempts = coalesce(?5, attempts), decided_at = coalesce(decided_at, ?6), \
             reserves = max(reserves, ?7), remind_at = ?8 WHERE id = ?1 AND status = ?2",
        )?
        .execute(params![
            step.booking,
            from,
            step.to,
            step.reason,
            step.attempt.map(|attempt| attempt.attempt),
            tx.now,
            step.reserves,
            step.remind_at
        ])?;
    if changed == 0 {
        return Ok(None);
    }
    let mut seq = next_seq(tx, step.booking)?;
    if let Some(Attempted { attempt, worker, outcome }) = step.attempt {
        write_entry(tx, step.booking, seq, EntryKind::Attempt, Some(attempt), Some(worker), Some(outcome.as_str()), None)?;
        seq += 1;
    }
    let (entry_kind, event) = match step.to {
        Status::Confirmed => (EntryKind::Confirmed, EventKind::Confirmed),
        Status::Cancelled => (EntryKind::Cancelled, EventKind::Cancelled),
        // Nothing steps to pending; the schema refuses it.
        Status::Rejected | Status::Pending => (EntryKind::Rejected, EventKind::Rejected),
    };
    write_entry(tx, step.booking, seq, entry_kind, None, None, step.reason.map(Reason::as_str), None)?;
    if let Some(reason) = step.reason.filter(|reason| reason.is_failure()) {
        let attempts =
            tx.connection.prepare_cached("SELECT attempts FROM booking WHERE id = ?1")?.query_row([step.booking], |row| row.get(0))?;
        dead_letter(tx, step.booking, "decide", reason.as_str(), attempts, None)?;
    }
    let mut publications = vec![tell(tx, step.booking, seq, event)?];
    if step.reserves && step.to != Status::Confirmed {
        publications.extend(release(tx, step.booking, step.release_at)?);
    }
    Ok(Some(publications))
}

/// Rejects a pending booking that cannot go on, and settles its job.
pub(super) fn reject(tx: &Tx<'_>, booking: BookingId, job: Option<&Job>, reason: Reason) -> rusqlite::Result<Vec<Publication>> {
    let rejection = Step {
        booking,
        to: Status::Rejected,
        reason: Some(reason),
        attempt: None,
        reserves: job.is_some_and(|job| job.reserves),
        release_at: job.and_then(Job::busy_until).unwrap_or(tx.now).max(tx.now),
        remind_at: None,
    };
    let publications = step(tx, Status::Pending, &rejection)?;
    if let Some(job) = job {
        job.settle(tx)?;
    }
    Ok(publications.unwrap_or_default())
}

/// Rejects pending bookings whose time to be decided is over.
pub(super) fn expire(tx: &Tx<'_>, limit: usize) -> rusqlite::Result<Vec<Publication>> {
    let late: Vec<BookingId> = tx
        .connection
        .prepare_cached("SELECT id FROM booking WHERE status = 'pending' AND decide_by <= ?1 ORDER BY decide_by LIMIT ?2")?
        .query_map(params![tx.now, limit as i64], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut publications = Vec::new();
    for id in late {
        let job = Job::deciding(tx, id)?;
        publications.extend(reject(tx, id, job.as_ref(), Reason::DeadlinePassed)?);
    }
    Ok(publications)
}

/// Makes a release job for a booking that has ended other than confirmed: its check answered after that end.
pub(super) fn release_if_ended(tx: &Tx<'_>, id: BookingId) -> rusqlite::Result<Vec<Publication>> {
    let status: Option<Status> =
        tx.connection.prepare_cached("SELECT status FROM booking WHERE id = ?1")?.query_row([id], |row| row.get(0)).optional()?;
    match status {
        Some(Status::Rejected | Status::Cancelled) => Ok(release(tx, id, tx.now)?.into_iter().collect()),
        Some(Status::Pending | Status::Confirmed) | None => Ok(Vec::new()),
    }
}

/// Writes a timeline entry behind all others of its booking; its place.
pub(super) fn entry(
    tx: &Tx<'_>,
    booking: BookingId,
    kind: EntryKind,
    attempt: Option<u32>,
    worker: Option<&str>,
    code: Option<&str>,
    next_try: Option<Millis>,
) -> rusqlite::Result<u32> {
    let seq = next_seq(tx, booking)?;
    write_entry(tx, booking, seq, kind, attempt, worker, code, next_try)?;
    Ok(seq)
}

#[allow(clippy::too_many_arguments, reason = "one argument a column")]
fn write_entry(
    tx: &Tx<'_>,
    booking: BookingId,
    seq: u32,
    kind: EntryKind,
    attempt: Option<u32>,
    worker: Option<&str>,
    code: Option<&str>,
    next_try: Option<Millis>,
) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached(
            "INSERT INTO timeline (booking, seq, at, kind, attempt, worker, code, next_try) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![booking, seq, tx.now, kind, attempt, worker, code, next_try])
        .map(drop)
}

/// The next free place in a booking's timeline; 1 is its acceptance.
pub(super) fn next_seq(tx: &Tx<'_>, booking: BookingId) -> rusqlite::Result<u32> {
    let last: u32 = tx
        .connection
        .prepare_cached(
            "SELECT max(1, coalesce((SELECT max(seq) FROM timeline WHERE booking = ?1), 1), \
             coalesce((SELECT max(seq) FROM notice WHERE booking = ?1), 1))",
        )?
        .query_row([booking], |row| row.get(0))?;
    Ok(last + 1)
}

/// Keeps a failure for staff.
pub(super) fn dead_letter(
    tx: &Tx<'_>,
    booking: BookingId,
    kind: &str,
    code: &str,
    attempts: u32,
    notice: Option<NoticeId>,
) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached("INSERT INTO dead_letter (booking, kind, code, attempts, notice, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![booking, kind, code, attempts, notice, tx.now])
        .map(drop)
}

/// A job that tells an event.
pub(super) fn tell(tx: &Tx<'_>, booking: BookingId, seq: u32, event: EventKind) -> rusqlite::Result<Publication> {
    let job = JobId::generate();
    tx.connection
        .prepare_cached("INSERT INTO job (id, kind, booking, event_seq, due_at, next_look) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![job, JobKind::Tell, booking, seq, tx.now, tx.now.plus(tx.grace)])?;
    Ok(Publication::new(Message::new(job, JobKind::Tell, booking), Route::News(event)))
}

/// A release job. Its message is published only when it is due at once; otherwise the sweep sees to it.
fn release(tx: &Tx<'_>, booking: BookingId, at: Millis) -> rusqlite::Result<Option<Publication>> {
    let job = JobId::generate();
    let at_once = at <= tx.now;
    let next_look = if at_once { tx.now.plus(tx.grace) } else { at };
    tx.connection
        .prepare_cached("INSERT INTO job (id, kind, booking, due_at, next_look) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![job, JobKind::Release, booking, at.max(tx.now), next_look])?;
    Ok(at_once.then(|| Publication::new(Message::new(job, JobKind::Release, booking), Route::Work)))
}
