//! Claiming decide and release jobs.

use rusqlite::params;

use super::{
    ending,
    job::Job,
    loss::{self, Lost},
    rows,
    tx::Tx,
};
use crate::{
    decision::Reason,
    id::JobId,
    job::{JobKind, Lease},
    ports::{Claim, ClaimRequest, Claimant, Overdue},
    store::bounds::UNREADABLE_PAUSE,
};

pub(super) fn claim(tx: &Tx<'_>, claimant: &Claimant, request: &ClaimRequest) -> rusqlite::Result<Claim> {
    match Job::find(tx, request.job)? {
        Some(job) if job.kind != JobKind::Tell => take(tx, claimant, job, request, Path::Message),
        _ => Ok(Claim::Gone),
    }
}

pub(super) fn claim_overdue(tx: &Tx<'_>, claimant: &Claimant, limit: usize) -> rusqlite::Result<Overdue> {
    let mut overdue = Overdue::default();
    // One line for both kinds, each read in the order of its index: decide jobs in plenty must not keep releases waiting for ever.
    let ids: Vec<JobId> = tx
        .connection
        .prepare_cached(
            "SELECT id FROM (SELECT * FROM (SELECT id, next_look FROM job WHERE kind = ?1 AND next_look <= ?3 ORDER BY next_look LIMIT ?4) \
             UNION ALL SELECT * FROM (SELECT id, next_look FROM job WHERE kind = ?2 AND next_look <= ?3 ORDER BY next_look LIMIT ?4)) \
             ORDER BY next_look LIMIT ?4",
        )?
        .query_map(params![JobKind::Decide, JobKind::Release, tx.now, limit as i64], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in ids {
        let Some(job) = Job::find(tx, id)? else { continue };
        let request = ClaimRequest::new(id, job.booking, false);
        match take(tx, claimant, job, &request, Path::Sweep)? {
            Claim::Won(lease) => overdue.leases.push(*lease),
            Claim::Ended(publications) => overdue.publications.extend(publications),
            Claim::Gone | Claim::Held | Claim::Yours | Claim::NotDue(_) => {}
        }
    }
    Ok(overdue)
}

/// Makes jobs due for the sweep, unless somebody holds them or their time has not come.
pub(super) fn hasten(tx: &Tx<'_>, jobs: &[JobId]) -> rusqlite::Result<()> {
    let mut update = tx
        .connection
        .prepare_cached("UPDATE job SET next_look = max(due_at, ?2) WHERE id = ?1 AND token IS NULL AND next_look > max(due_at, ?2)")?;
    for job in jobs {
        update.execute(params![job, tx.now])?;
    }
    Ok(())
}

/// Leaves a job that nobody can work on alone for a while, so that it holds up no other.
fn put_off(tx: &Tx<'_>, job: JobId) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached("UPDATE job SET token = NULL, worker = NULL, lease_until = NULL, next_look = ?2 WHERE id = ?1")?
        .execute(params![job, tx.now.plus(UNREADABLE_PAUSE)])
        .map(drop)
}

/// How a claim comes about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Message,
    Sweep,
}

fn take(tx: &Tx<'_>, claimant: &Claimant, job: Job, request: &ClaimRequest, path: Path) -> rusqlite::Result<Claim> {
    let job = match job.busy_until() {
        // An earlier answer to the same request was lost.
        Some(_) if job.token == Some(request.token) => job,
        Some(_) if request.held.is_some() && job.token == request.held => return Ok(Claim::Yours),
        Some(until) if until > tx.now && !(request.redelivered && job.by_message) => return Ok(Claim::Held),
        Some(_) => match loss::lose(tx, job)? {
            Lost::Ended(publications) => return Ok(Claim::Ended(publications)),
            Lost::Again(job) => job,
        },
        None => job,
    };
    if job.due_at > tx.now {
        return Ok(Claim::NotDue(job.due_at.time()));
    }
    let booking = match rows::booking(tx.connection, job.booking) {
        Ok(Some(booking)) => booking,
        Ok(None) => return Ok(Claim::Gone),
        Err(error) if rows::is_unreadable(&error) => {
            tracing::error!(booking = %job.booking, %error, "a booking cannot be read; its deadline will end it unless it is mended");
            put_off(tx, job.id)?;
            return Ok(Claim::Held);
        }
        Err(error) => return Err(error),
    };
    if job.kind == JobKind::Decide && booking.decide_by <= tx.now.time() {
        // Too late to ask: after a long outage the answer could confirm a visit that has long been over.
        return ending::reject(tx, job.booking, Some(&job), Reason::DeadlinePassed).map(Claim::Ended);
    }
    let until = tx.now.plus(claimant.lease);
    tx.connection
        .prepare_cached(
            "UPDATE job SET token = ?2, worker = ?3, lease_until = ?4, next_look = ?4, reserves = max(reserves, ?5), by_message = ?6 \
             WHERE id = ?1",
        )?
        .execute(params![job.id, request.token, claimant.worker, until, claimant.reserves, path == Path::Message])?;
    Ok(Claim::Won(Box::new(Lease::new(job.id, job.kind, request.token, job.attempt, until.time(), booking))))
}
