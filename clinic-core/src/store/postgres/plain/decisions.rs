//! Decisions about pending bookings, by whoever holds their jobs, that leave nothing behind but news.

use std::collections::{HashMap, HashSet};

use super::super::{
    error::Result,
    remind,
    rows::{Columns, Millis},
    tx::{Tx, params},
};
use crate::{
    booking::Status,
    decision::{AttemptOutcome, Decision, Reason},
    id::{BookingId, JobId, Token},
    job::JobKind,
    message::Message,
    notification::EventKind,
    ports::{Concluded, Conclusion, Ending},
    topology::{Publication, Route},
};

/// A decision on its way into the statement.
struct Decided<'a> {
    place: usize,
    conclusion: &'a Conclusion,
    decision: Decision,
    outcome: AttemptOutcome,
    tell: JobId,
}

impl Decided<'_> {
    fn event(&self) -> EventKind {
        match self.decision {
            Decision::Confirmed => EventKind::Confirmed,
            Decision::Rejected(_) => EventKind::Rejected,
        }
    }
}

/// Stores them: status, attempt and decision in the timeline, a tell job, the decide job gone.
pub(in super::super) async fn decisions(tx: &Tx, conclusions: &[&Conclusion]) -> Result<Vec<Option<Concluded>>> {
    let mut concluded: Vec<Option<Concluded>> = conclusions.iter().map(|_| None).collect();
    let mut seen: HashSet<BookingId> = HashSet::with_capacity(conclusions.len());
    let mut decided: Vec<Decided<'_>> = Vec::with_capacity(conclusions.len());
    for (place, conclusion) in conclusions.iter().enumerate() {
        let is_first = seen.insert(conclusion.lease.booking.id);
        if let (true, Ending::Decided(decision, outcome)) = (is_first, conclusion.ending) {
            let one = Decided { place, conclusion, decision, outcome, tell: JobId::generate() };
            // A failure leaves a dead letter as well.
            if !decision.reason().is_some_and(Reason::is_failure) {
                decided.push(one);
            }
        }
    }
    if decided.is_empty() {
        return Ok(concluded);
    }
    // A rejection of what may have been reserved leaves a release as well.
    let sql = "WITH plain AS MATERIALIZED (SELECT input.*, job.attempt AS made, job.reserves AS reserved, \
               greatest(1, (SELECT max(seq) FROM timeline WHERE timeline.booking = of_booking), \
               (SELECT max(seq) FROM notice WHERE notice.booking = of_booking)) AS last \
               FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::uuid[]) \
               AS input (of_job, of_booking, fence, decided, why, outcome, holder, remind, tell) \
               JOIN job ON job.id = of_job AND job.booking = of_booking JOIN booking ON booking.id = of_booking \
               WHERE job.token = fence AND job.kind || '' = 'decide' AND booking.status || '' = 'pending' \
               AND (decided = 'confirmed' OR NOT job.reserves)), \
               changed AS (UPDATE booking SET status = decided, reason = why, attempts = made, decided_at = coalesce(decided_at, $1), \
               reserves = reserves OR reserved, remind_at = remind FROM plain WHERE booking.id = of_booking), \
               news AS (INSERT INTO job (id, kind, booking, event_seq, due_at, next_look) \
               SELECT tell, 'tell', of_booking, last + 2, $1, $11 FROM plain), \
               attempts AS (INSERT INTO timeline (booking, seq, at, kind, attempt, worker, code) \
               SELECT of_booking, last + 1, $1, 'attempt', made, holder, outcome FROM plain), \
               entries AS (INSERT INTO timeline (booking, seq, at, kind, code) SELECT of_booking, last + 2, $1, decided, why FROM plain), \
               settled AS (DELETE FROM job USING plain WHERE job.id = of_job) \
               SELECT tell FROM plain";
    let reminder = |one: &Decided<'_>| match one.decision {
        Decision::Confirmed => remind::next(tx, one.conclusion.lease.booking.appointment.slot.start().into()),
        Decision::Rejected(_) => None,
    };
    let jobs: Vec<JobId> = decided.iter().map(|one| one.conclusion.lease.job).collect();
    let bookings: Vec<BookingId> = decided.iter().map(|one| one.conclusion.lease.booking.id).collect();
    let tokens: Vec<Token> = decided.iter().map(|one| one.conclusion.lease.token).collect();
    let statuses: Vec<Status> = decided.iter().map(|one| one.decision.into()).collect();
    let reasons: Vec<Option<Reason>> = decided.iter().map(|one| one.decision.reason()).collect();
    let outcomes: Vec<&str> = decided.iter().map(|one| one.outcome.as_str()).collect();
    let workers: Vec<&str> = decided.iter().map(|one| one.conclusion.worker.as_str()).collect();
    let reminders: Vec<Option<Millis>> = decided.iter().map(reminder).collect();
    let tells: Vec<JobId> = decided.iter().map(|one| one.tell).collect();
    let look = tx.now.plus(tx.grace);
    let values = params![tx.now, jobs, bookings, tokens, statuses, reasons, outcomes, workers, reminders, tells, look];
    let by_tell: HashMap<JobId, &Decided<'_>> = decided.iter().map(|one| (one.tell, one)).collect();
    for row in tx.all(sql, values).await? {
        if let Some(one) = by_tell.get(&row.column::<JobId>(0)?) {
            let message = Message::new(one.tell, JobKind::Tell, one.conclusion.lease.booking.id);
            concluded[one.place] = Some(Concluded::Done(vec![Publication::new(message, Route::News(one.event()))]));
        }
    }
    Ok(concluded)
}
