//! News of a booking that was told nothing yet.

use std::collections::{HashMap, HashSet};

use super::super::{
    error::Result,
    ledger::Row,
    rows::{Columns, Count, Millis, booking_columns, read_booking},
    tx::{Tx, params},
};
use crate::{
    id::{BookingId, JobId, NoticeId, Token},
    notification::{Event, Notice},
    ports::ClaimRequest,
    store::{
        bounds::UNREADABLE_PAUSE,
        claiming::{Claiming, MOST_ROWS},
    },
    webhook,
};

/// Makes rows of the ledger of them, one a channel, and claims those at once, as many as there is room for on every channel. Where
/// endpoints are told, nothing is plain: which of them hear of an event depends on it.
pub(in super::super) async fn expansions(
    tx: &Tx,
    claiming: &mut Claiming<'_>,
    requests: &[ClaimRequest],
) -> Result<Vec<Option<Vec<Notice>>>> {
    let mut claimed: Vec<Option<Vec<Notice>>> = requests.iter().map(|_| None).collect();
    let claimant = claiming.claimant;
    let channels: Vec<&str> = claimant.rooms.iter().map(|(channel, _)| channel.as_str()).collect();
    if channels.is_empty() || channels.iter().any(|channel| webhook::split(channel).0 == webhook::CHANNEL) {
        return Ok(claimed);
    }
    let room = channels.iter().map(|channel| claiming.left(channel)).min().unwrap_or_default().min(MOST_ROWS / channels.len());
    let mut seen = HashSet::with_capacity(requests.len());
    let first = requests.iter().enumerate().filter(|(_, request)| seen.insert(request.booking)).take(room);
    let places: HashMap<JobId, usize> = first.map(|(place, request)| (request.job, place)).collect();
    if places.is_empty() {
        return Ok(claimed);
    }
    let sql = concat!(
        "WITH plain AS MATERIALIZED (SELECT job.id AS job_id, of_booking, timeline.seq AS event, timeline.kind AS event_kind, \
         timeline.code AS event_code, timeline.at AS event_at \
         FROM unnest($1::uuid[], $2::uuid[]) AS input (of_job, of_booking) JOIN job ON job.id = of_job AND job.booking = of_booking \
         JOIN timeline ON timeline.booking = of_booking AND timeline.seq = event_seq \
         WHERE job.kind || '' = 'tell' AND timeline.kind <> 'reminder' AND NOT EXISTS (SELECT 1 FROM notice WHERE notice.booking = of_booking)), \
         settled AS (DELETE FROM job USING plain WHERE job.id = job_id) SELECT ",
        booking_columns!(),
        ", job_id, event, event_kind, event_code, event_at FROM plain JOIN booking ON id = of_booking"
    );
    let (jobs, bookings): (Vec<JobId>, Vec<BookingId>) =
        places.values().map(|place| (requests[*place].job, requests[*place].booking)).unzip();
    let mut fresh: Vec<(Row, Option<Token>, Millis)> = Vec::with_capacity(jobs.len() * channels.len());
    let (until, pause) = (tx.now.plus(claimant.lease), tx.now.plus(UNREADABLE_PAUSE));
    for found in tx.all(sql, params![jobs, bookings]).await? {
        let (job, event_seq): (JobId, Count) = (found.column(18)?, found.column(19)?);
        let Some(place) = places.get(&job).copied() else { continue };
        let event = Event::new(event_seq.0, found.column(20)?, found.column(21)?, found.column::<Millis>(22)?.time());
        let booking = read_booking(&found);
        if let Err(error) = &booking {
            tracing::error!(booking = %requests[place].booking, %error, "a booking cannot be read; its notices wait until it is mended");
        }
        let mut notices = Vec::with_capacity(channels.len());
        for channel in &channels {
            let row = Row::fresh(requests[place].booking, event_seq.0, (*channel).to_owned(), job, tx.now);
            let Ok(booking) = &booking else {
                fresh.push((row, None, pause));
                continue;
            };
            claiming.take(channel);
            let (token, appointment) = (Token::generate(), booking.appointment.clone());
            notices.push(Notice::new(row.id, job, token, row.booking, appointment, event, row.channel.clone(), 0, until.time()));
            fresh.push((row, Some(token), until));
        }
        claimed[place] = Some(notices);
    }
    store(tx, &fresh).await?;
    Ok(claimed)
}

/// Writes rows, each with its holder's token, if it has one, and the time until which nobody else looks at it.
async fn store(tx: &Tx, fresh: &[(Row, Option<Token>, Millis)]) -> Result<()> {
    if fresh.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO notice (booking, event_seq, channel, id, job, state, due_at, token, lease_until, next_look) \
               SELECT booking, event_seq, channel, id, job, 'pending', $1, token, CASE WHEN token IS NOT NULL THEN until END, until \
               FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::bigint[]) \
               AS input (booking, event_seq, channel, id, job, token, until)";
    let bookings: Vec<BookingId> = fresh.iter().map(|(row, ..)| row.booking).collect();
    let events: Vec<Count> = fresh.iter().map(|(row, ..)| Count(row.event_seq)).collect();
    let channels: Vec<&str> = fresh.iter().map(|(row, ..)| row.channel.as_str()).collect();
    let ids: Vec<NoticeId> = fresh.iter().map(|(row, ..)| row.id).collect();
    let jobs: Vec<JobId> = fresh.iter().map(|(row, ..)| row.job).collect();
    let tokens: Vec<Option<Token>> = fresh.iter().map(|(_, token, _)| *token).collect();
    let looks: Vec<Millis> = fresh.iter().map(|(.., until)| *until).collect();
    tx.execute(sql, params![tx.now, bookings, events, channels, ids, jobs, tokens, looks]).await.map(drop)
}
