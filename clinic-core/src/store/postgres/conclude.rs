//! Concluding: how a worker leaves a job, guarded by its token.

use super::{
    ending::{self, Attempted, Step},
    error::Result,
    job::Job,
    loss::{self, Lost},
    plain, remind,
    rows::Count,
    tx::{Tx, params},
    work::Work,
};
use crate::{
    booking::Status,
    decision::{AttemptOutcome, Decision},
    id::BookingId,
    job::{JobKind, Lease},
    ports::{Concluded, Conclusion, Ending},
    timeline::EntryKind,
};

/// Stored, with nothing to publish.
const NOTHING_TO_TELL: Concluded = Concluded::Done(Vec::new());

/// Conclusions, many in one transaction.
pub(super) struct Conclusions;

impl Work for Conclusions {
    type Item = Conclusion;
    type Outcome = Concluded;

    fn booking(conclusion: &Conclusion) -> BookingId {
        conclusion.lease.booking.id
    }

    async fn all(tx: &Tx, conclusions: &[&Conclusion]) -> Result<Vec<Concluded>> {
        let decided = plain::decisions(tx, conclusions).await?;
        let retried = plain::retries(tx, conclusions).await?;
        let mut concluded = Vec::with_capacity(conclusions.len());
        for ((decided, retried), conclusion) in decided.into_iter().zip(retried).zip(conclusions) {
            concluded.push(match decided.or(retried) {
                Some(done) => done,
                None => conclude(tx, conclusion).await?,
            });
        }
        Ok(concluded)
    }
}

async fn conclude(tx: &Tx, conclusion: &Conclusion) -> Result<Concluded> {
    let lease = &conclusion.lease;
    let Some(job) = Job::find(tx, lease.job).await?.filter(|job| job.token == Some(lease.token)) else {
        return Ok(Concluded::Fenced);
    };
    let worker = conclusion.worker.as_str();
    match conclusion.ending {
        Ending::Decided(decision, outcome) => decide(tx, &job, lease, worker, decision, outcome).await,
        Ending::Retry(outcome, pause) => {
            let due = tx.now.plus(pause);
            if job.kind == JobKind::Decide {
                let (attempt, code) = (Some(job.attempt), Some(outcome.as_str()));
                ending::entry(tx, job.booking, EntryKind::Attempt, attempt, Some(worker), code, Some(due)).await?;
                tx.execute("UPDATE booking SET attempts = $2 WHERE id = $1", params![job.booking, Count(job.attempt)]).await?;
            }
            let sql = "UPDATE job SET attempt = attempt + 1, token = NULL, worker = NULL, lease_until = NULL, due_at = $2, next_look = $2 \
                       WHERE id = $1";
            tx.execute(sql, params![job.id, due]).await?;
            Ok(NOTHING_TO_TELL)
        }
        Ending::Lost => Ok(match loss::lose(tx, job).await? {
            Lost::Again(_) => NOTHING_TO_TELL,
            Lost::Ended(publications) => Concluded::Done(publications),
        }),
        Ending::Released => {
            ending::entry(tx, job.booking, EntryKind::Released, None, Some(worker), None, None).await?;
            job.settle(tx).await?;
            Ok(NOTHING_TO_TELL)
        }
        Ending::ReleaseFailed(outcome) => {
            let (attempt, code) = (Some(job.attempt), outcome.as_str());
            ending::entry(tx, job.booking, EntryKind::ReleaseFailed, attempt, Some(worker), Some(code), None).await?;
            ending::dead_letter(tx, job.booking, "release", code, job.attempt, None).await?;
            job.settle(tx).await?;
            Ok(NOTHING_TO_TELL)
        }
    }
}

async fn decide(tx: &Tx, job: &Job, lease: &Lease, worker: &str, decision: Decision, outcome: AttemptOutcome) -> Result<Concluded> {
    let decided = Step {
        booking: job.booking,
        to: decision.into(),
        reason: decision.reason(),
        attempt: Some(Attempted { attempt: job.attempt, worker, outcome }),
        reserves: job.reserves,
        release_at: tx.now,
        remind_at: match decision {
            Decision::Confirmed => remind::next(tx, lease.booking.appointment.slot.start().into()),
            Decision::Rejected(_) => None,
        },
    };
    let publications = ending::step(tx, Status::Pending, &decided).await?;
    job.settle(tx).await?;
    Ok(publications.map_or(Concluded::Fenced, Concluded::Done))
}
