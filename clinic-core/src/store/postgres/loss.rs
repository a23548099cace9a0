//! Losses: a worker died, was overtaken or shut down. They spend no attempt; the same number is claimed again.

use super::{
    ending,
    error::Result,
    job::Job,
    rows::Count,
    tx::{Tx, params},
};
use crate::{
    decision::Reason,
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
pub(super) async fn lose(tx: &Tx, mut job: Job) -> Result<Lost> {
    job.losses += 1;
    job.token = None;
    if job.kind == JobKind::Decide {
        ending::entry(tx, job.booking, EntryKind::AttemptLost, Some(job.attempt), job.worker.as_deref(), None, None).await?;
        if job.losses > MAX_LOSSES {
            return ending::reject(tx, job.booking, Some(&job), Reason::ProcessingFailed).await.map(Lost::Ended);
        }
    }
    job.due_at = tx.now.plus(pause_after_loss(job.losses));
    let sql = "UPDATE job SET losses = $2, token = NULL, worker = NULL, lease_until = NULL, due_at = $3, next_look = $3 WHERE id = $1";
    tx.execute(sql, params![job.id, Count(job.losses), job.due_at]).await?;
    Ok(Lost::Again(job))
}
