//! Concluding: how a worker leaves a job, guarded by its token.

use rusqlite::params;

use super::{
    ending::{self, Attempted, Step},
    job::Job,
    loss::{self, Lost},
    remind,
    tx::Tx,
};
use crate::{
    booking::Status,
    decision::{AttemptOutcome, Decision},
    job::{JobKind, Lease},
    ports::{Concluded, Conclusion, Ending},
    timeline::EntryKind,
};

/// Stored, with nothing to publish.
const NOTHING_TO_TELL: Concluded = Concluded::Done(Vec::new());

pub(super) fn conclude(tx: &Tx<'_>, conclusion: &Conclusion) -> rusqlite::Result<Concluded> {
    let lease = &conclusion.lease;
    let Some(job) = Job::find(tx, lease.job)?.filter(|job| job.token == Some(lease.token)) else {
        return Ok(Concluded::Fenced);
    };
    let worker = conclusion.worker.as_str();
    match conclusion.ending {
        Ending::Decided(decision, outcome) => decide(tx, &job, lease, worker, decision, outcome),
        Ending::Retry(outcome, pause) => {
            let due = tx.now.plus(pause);
            if job.kind == JobKind::Decide {
                ending::entry(tx, job.booking, EntryKind::Attempt, Some(job.attempt), Some(worker), Some(outcome.as_str()), Some(due))?;
                tx.connection
                    .prepare_cached("UPDATE booking SET attempts = ?2 WHERE id = ?1")?
                    .execute(params![job.booking, job.attempt])?;
            }
            tx.connection
                .prepare_cached(
                    "UPDATE job SET attempt = attempt + 1, token = NULL, worker = NULL, lease_until = NULL, due_at = ?2, next_look = ?2 \
                     WHERE id = ?1",
                )?
                .execute(params![job.id, due])?;
            Ok(NOTHING_TO_TELL)
        }
        Ending::Lost => Ok(match loss::lose(tx, job)? {
            Lost::Again(_) => NOTHING_TO_TELL,
            Lost::Ended(publications) => Concluded::Done(publications),
        }),
        Ending::Released => {
            ending::entry(tx, job.booking, EntryKind::Released, None, Some(worker), None, None)?;
            job.settle(tx)?;
            Ok(NOTHING_TO_TELL)
        }
        Ending::ReleaseFailed(outcome) => {
            ending::entry(tx, job.booking, EntryKind::ReleaseFailed, Some(job.attempt), Some(worker), Some(outcome.as_str()), None)?;
            ending::dead_letter(tx, job.booking, "release", outcome.as_str(), job.attempt, None)?;
            job.settle(tx)?;
            Ok(NOTHING_TO_TELL)
        }
    }
}

fn decide(tx: &Tx<'_>, job: &Job, lease: &Lease, worker: &str, decision: Decision, outcome: AttemptOutcome) -> rusqlite::Result<Concluded> {
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
    let publications = ending::step(tx, Status::Pending, &decided)?;
    job.settle(tx)?;
    Ok(publications.map_or(Concluded::Fenced, Concluded::Done))
}
