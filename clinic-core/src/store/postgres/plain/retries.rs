//! Attempts that failed, of jobs that are tried again later.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::super::{
    error::Result,
    rows::{Columns, Millis},
    tx::{Tx, params},
};
use crate::{
    decision::AttemptOutcome,
    id::{BookingId, JobId, Token},
    ports::{Concluded, Conclusion, Ending},
};

/// Stores them: the attempt in the timeline and counted, the job free again from its next try on.
pub(in super::super) async fn retries(tx: &Tx, conclusions: &[&Conclusion]) -> Result<Vec<Option<Concluded>>> {
    let mut concluded: Vec<Option<Concluded>> = conclusions.iter().map(|_| None).collect();
    let mut seen: HashSet<BookingId> = HashSet::with_capacity(conclusions.len());
    let mut failed: Vec<(&Conclusion, AttemptOutcome, Duration)> = Vec::new();
    let mut places: HashMap<JobId, usize> = HashMap::new();
    for (place, conclusion) in conclusions.iter().enumerate() {
        let is_first = seen.insert(conclusion.lease.booking.id);
        if let (true, Ending::Retry(outcome, pause)) = (is_first, conclusion.ending) {
            places.insert(conclusion.lease.job, place);
            failed.push((conclusion, outcome, pause));
        }
    }
    if failed.is_empty() {
        return Ok(concluded);
    }
    let sql = "WITH plain AS MATERIALIZED (SELECT input.*, job.attempt AS made, \
               greatest(1, (SELECT max(seq) FROM timeline WHERE timeline.booking = of_booking), \
               (SELECT max(seq) FROM notice WHERE notice.booking = of_booking)) AS last \
               FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[]) \
               AS input (of_job, of_booking, fence, outcome, holder, due) \
               JOIN job ON job.id = of_job AND job.booking = of_booking WHERE job.token = fence AND job.kind || '' = 'decide'), \
               attempts AS (INSERT INTO timeline (booking, seq, at, kind, attempt, worker, code, next_try) \
               SELECT of_booking, last + 1, $1, 'attempt', made, holder, outcome, due FROM plain), \
               counted AS (UPDATE booking SET attempts = made FROM plain WHERE booking.id = of_booking) \
               UPDATE job SET attempt = attempt + 1, token = NULL, worker = NULL, lease_until = NULL, due_at = due, next_look = due \
               FROM plain WHERE job.id = of_job RETURNING job.id";
    let jobs: Vec<JobId> = failed.iter().map(|(conclusion, ..)| conclusion.lease.job).collect();
    let bookings: Vec<BookingId> = failed.iter().map(|(conclusion, ..)| conclusion.lease.booking.id).collect();
    let tokens: Vec<Token> = failed.iter().map(|(conclusion, ..)| conclusion.lease.token).collect();
    let outcomes: Vec<&str> = failed.iter().map(|(_, outcome, _)| outcome.as_str()).collect();
    let workers: Vec<&str> = failed.iter().map(|(conclusion, ..)| conclusion.worker.as_str()).collect();
    let dues: Vec<Millis> = failed.iter().map(|(.., pause)| tx.now.plus(*pause)).collect();
    for row in tx.all(sql, params![tx.now, jobs, bookings, tokens, outcomes, workers, dues]).await? {
        if let Some(place) = places.get(&row.column(0)?) {
            concluded[*place] = Some(Concluded::Done(Vec::new()));
        }
    }
    Ok(concluded)
}
