//! Free jobs of bookings that can still be decided.

use std::collections::HashMap;

use super::super::{
    error::Result,
    rows::{Columns, Millis, booking_columns, read_booking},
    tx::{Tx, params},
};
use crate::{
    id::{BookingId, JobId, Token},
    job::Lease,
    ports::{ClaimRequest, Claimant},
};

/// Claims them. Of two requests for one job the first has it; the second is not plain.
pub(in super::super) async fn claims(tx: &Tx, claimant: &Claimant, requests: &[ClaimRequest]) -> Result<Vec<Option<Lease>>> {
    let sql = concat!(
        "WITH taken AS (UPDATE job SET token = fence, worker = $5, lease_until = $6, next_look = $6, reserves = job.reserves OR $7, \
         by_message = true \
         FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS input (of_job, of_booking, fence) JOIN booking ON booking.id = of_booking \
         WHERE job.id = of_job AND job.booking = of_booking AND token IS NULL AND due_at <= $1 \
         AND (kind || '' = 'release' OR kind || '' = 'decide' AND decide_by > $1) \
         RETURNING job.id AS job_id, of_booking, kind, attempt, token) SELECT ",
        booking_columns!(),
        ", job_id, kind, attempt, token FROM taken JOIN booking ON id = of_booking"
    );
    let mut places: HashMap<JobId, usize> = HashMap::with_capacity(requests.len());
    for (place, request) in requests.iter().enumerate() {
        places.entry(request.job).or_insert(place);
    }
    let first: Vec<&ClaimRequest> =
        requests.iter().enumerate().filter(|(at, request)| places[&request.job] == *at).map(|(_, one)| one).collect();
    let jobs: Vec<JobId> = first.iter().map(|request| request.job).collect();
    let bookings: Vec<BookingId> = first.iter().map(|request| request.booking).collect();
    let tokens: Vec<Token> = first.iter().map(|request| request.token).collect();
    let until = tx.now.plus(claimant.lease);
    let values = params![tx.now, jobs, bookings, tokens, claimant.worker, until, claimant.reserves];
    let mut claims: Vec<Option<Lease>> = requests.iter().map(|_| None).collect();
    for row in tx.all(sql, values).await? {
        let job: JobId = row.column(18)?;
        // One that cannot be read is asked for again, under the token that it now has.
        if let (Some(place), Ok(booking)) = (places.get(&job), read_booking(&row)) {
            claims[*place] = Some(Lease::new(job, row.column(19)?, row.column(21)?, row.count(20)?, Millis::time(until), booking));
        }
    }
    Ok(claims)
}
