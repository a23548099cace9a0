//! Claiming decide and release jobs.

use super::{
    ending,
    error::Result,
    job::Job,
    loss::{self, Lost},
    plain,
    rows::{self, Columns},
    tx::{Tx, params},
};
use crate::{
    decision::Reason,
    id::JobId,
    job::{JobKind, Lease},
    ports::{Claim, ClaimRequest, Claimant, Overdue},
    store::bounds::UNREADABLE_PAUSE,
};

/// How often a sweep looks again, at most.
const MOST_LOOKS: u32 = 8;

pub(super) async fn claim(tx: &Tx, claimant: &Claimant, requests: &[ClaimRequest]) -> Result<Vec<Claim>> {
    tx.lock(requests.iter().map(|request| request.booking)).await?;
    let mut claims = Vec::with_capacity(requests.len());
    for (plain, request) in plain::claims(tx, claimant, requests).await?.into_iter().zip(requests) {
        if let Some(lease) = plain {
            claims.push(Claim::Won(Box::new(lease)));
            continue;
        }
        claims.push(match Job::find(tx, request.job).await? {
            Some(job) if job.kind != JobKind::Tell => take(tx, claimant, job, request, Path::Message).await?,
            _ => Claim::Gone,
        });
    }
    Ok(claims)
}

pub(super) async fn claim_overdue(tx: &Tx, claimant: &Claimant, limit: usize) -> Result<Overdue> {
    let mut overdue = Overdue::default();
    let (mut taken, mut looks) = (0, 0);
    // What others claimed between the look and the lock is theirs; then there may be more behind it.
    while taken < limit && looks < MOST_LOOKS {
        looks += 1;
        let found = lock_overdue(tx, limit - taken).await?;
        if found.is_empty() {
            break;
        }
        for id in found {
            let Some(job) = Job::find(tx, id).await? else { continue };
            let request = ClaimRequest::new(id, job.booking, false);
            match take(tx, claimant, job, &request, Path::Sweep).await? {
                Claim::Won(lease) => {
                    taken += 1;
                    overdue.leases.push(*lease);
                }
                Claim::Ended(publications) => {
                    taken += 1;
                    overdue.publications.extend(publications);
                }
                Claim::Gone | Claim::Held | Claim::Yours | Claim::NotDue(_) => {}
            }
        }
    }
    Ok(overdue)
}

/// Overdue jobs whose bookings nobody else has in hand.
async fn lock_overdue(tx: &Tx, limit: usize) -> Result<Vec<JobId>> {
    // One line for both kinds, each read in the order of its index: decide jobs in plenty must not keep releases waiting for ever.
    let sql = "WITH decide AS (SELECT job.id, next_look FROM job JOIN booking ON booking.id = job.booking \
               WHERE kind = 'decide' AND next_look <= $1 ORDER BY next_look LIMIT $2 FOR NO KEY UPDATE OF booking SKIP LOCKED), \
               release AS (SELECT job.id, next_look FROM job JOIN booking ON booking.id = job.booking \
               WHERE kind = 'release' AND next_look <= $1 ORDER BY next_look LIMIT $2 FOR NO KEY UPDATE OF booking SKIP LOCKED) \
               SELECT id FROM (SELECT * FROM decide UNION ALL SELECT * FROM release) AS overdue ORDER BY next_look LIMIT $2";
    tx.all(sql, params![tx.now, limit as i64]).await?.iter().map(|row| row.column(0)).collect()
}

/// Makes jobs due for the sweep, unless somebody holds them or their time has not come, or has them in hand at this moment.
pub(super) async fn hasten(tx: &Tx, jobs: &[JobId]) -> Result<()> {
    let sql = "UPDATE job SET next_look = greatest(due_at, $2) WHERE id IN (SELECT id FROM job WHERE id = ANY ($1) AND token IS NULL \
               AND next_look > greatest(due_at, $2) ORDER BY id FOR UPDATE SKIP LOCKED)";
    tx.execute(sql, params![jobs, tx.now]).await.map(drop)
}

/// Leaves a job that nobody can work on alone for a while, so that it holds up no other.
async fn put_off(tx: &Tx, job: JobId) -> Result<()> {
    let sql = "UPDATE job SET token = NULL, worker = NULL, lease_until = NULL, next_look = $2 WHERE id = $1";
    tx.execute(sql, params![job, tx.now.plus(UNREADABLE_PAUSE)]).await.map(drop)
}

/// How a claim comes about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Message,
    Sweep,
}

async fn take(tx: &Tx, claimant: &Claimant, job: Job, request: &ClaimRequest, path: Path) -> Result<Claim> {
    let job = match job.busy_until() {
        // An earlier answer to the same request was lost.
        Some(_) if job.token == Some(request.token) => job,
        Some(_) if request.held.is_some() && job.token == request.held => return Ok(Claim::Yours),
        Some(until) if until > tx.now && !(request.redelivered && job.by_message) => return Ok(Claim::Held),
        Some(_) => match loss::lose(tx, job).await? {
            Lost::Ended(publications) => return Ok(Claim::Ended(publications)),
            Lost::Again(job) => job,
        },
        None => job,
    };
    if job.due_at > tx.now {
        return Ok(Claim::NotDue(job.due_at.time()));
    }
    let booking = match rows::booking(tx, job.booking).await {
        Ok(Some(booking)) => booking,
        Ok(None) => return Ok(Claim::Gone),
        Err(error) if error.is_unreadable() => {
            tracing::error!(booking = %job.booking, %error, "a booking cannot be read; its deadline will end it unless it is mended");
            put_off(tx, job.id).await?;
            return Ok(Claim::Held);
        }
        Err(error) => return Err(error),
    };
    if job.kind == JobKind::Decide && booking.decide_by <= tx.now.time() {
        // Too late to ask: after a long outage the answer could confirm a visit that has long been over.
        return ending::reject(tx, job.booking, Some(&job), Reason::DeadlinePassed).await.map(Claim::Ended);
    }
    let until = tx.now.plus(claimant.lease);
    let sql = "UPDATE job SET token = $2, worker = $3, lease_until = $4, next_look = $4, reserves = reserves OR $5, by_message = $6 \
               WHERE id = $1";
    tx.execute(sql, params![job.id, request.token, claimant.worker, until, claimant.reserves, path == Path::Message]).await?;
    Ok(Claim::Won(Box::new(Lease::new(job.id, job.kind, request.token, job.attempt, until.time(), booking))))
}
