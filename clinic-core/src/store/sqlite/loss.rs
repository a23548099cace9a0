//! Losses: a worker died, was overtaken or shut down. They spend no attempt; the same number is claimed again.

use rusqlite::params;

use super::{ending, job::Job, notices, tx::Tx};
use crate::{
    decision::Reason,
    id::JobId,
    job::JobKind,
    retry::{MAX_LOSSES, pause_after_loss},
    timeline::EntryKind,
    topology::Publication,
};

/// What becomes of a lost job.
pub(super) enum Lost {
    /// It is free again, from `due_at` on.
    Again(Job),
    /// It was lost too often: its booking is rejected.
    Ended(Vec<Publication>),
}

/// Takes a job from its holder.
pub(super) fn lose(tx: &Tx<'_>, mut job: Job) -> rusqlite::Result<Lost> {
    job.losses += 1;
    job.token = None;
    if job.kind == JobKind::Decide {
        ending::entry(tx, job.booking, EntryKind::AttemptLost, Some(job.attempt), job.worker.as_deref(), None, None)?;
        if job.losses > MAX_LOSSES {
            return ending::reject(tx, job.booking, Some(&job), Reason::ProcessingFailed).map(Lost::Ended);
        }
    }
    job.due_at = tx.now.plus(pause_after_loss(job.losses));
    tx.connection
        .prepare_cached(
            "UPDATE job SET losses = ?2, token = NULL, worker = NULL, lease_until = NULL, due_at = ?3, next_look = ?3 WHERE id = ?1",
        )?
        .execute(params![job.id, job.losses, job.due_at])?;
    Ok(Lost::Again(job))
}

/// Takes every job and notice from its holder, and lets everything that is due be seen at once. Only for a process that
/// knows itself to be alone. Returns how many were held.
pub(super) fn void_all(tx: &Tx<'_>) -> rusqlite::Result<usize> {
    let held: Vec<JobId> = tx
        .connection
        .prepare("SELECT id FROM job WHERE token IS NOT NULL")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in &held {
        if let Some(job) = Job::find(tx, *id)? {
            // What this may publish is picked up by the sweep.
            lose(tx, job)?;
        }
    }
    let notices = notices::lose_all(tx)?;
    // Those that waited for one of these need wait no longer.
    tx.connection.execute(
        "UPDATE notice SET next_look = max(due_at, ?1) WHERE state = 'pending' AND token IS NULL AND next_look > max(due_at, ?1)",
        [tx.now],
    )?;
    tx.connection.execute("UPDATE job SET next_look = max(due_at, ?1) WHERE next_look > max(due_at, ?1)", [tx.now])?;
    Ok(held.len() + notices)
}
