//! The ledger: tell jobs become rows, one a channel; each row is claimed, tried and settled on its own.
//!
//! Notices of one booking and channel go out in event order: a later one makes an older unsent one `superseded`, and
//! waits for one that is being sent.

use rusqlite::{OptionalExtension, params};

use super::{
    claim::hasten,
    ending,
    expand::{Rows, expand, expand_overdue},
    job::Job,
    ledger::{Row, row_columns},
    remind,
    rows::{self, Millis},
    tx::Tx,
    webhooks,
};
use crate::{
    decision::Reason,
    id::{BookingId, JobId, Token},
    job::JobKind,
    notification::{Event, EventKind, Notice, NoticeState, SUPERSEDED, TOO_LATE},
    ports::{ClaimRequest, NoticeClaimant, NoticeEnding, NoticeResult, NoticeSettled, OverdueNotices},
    retry::{MAX_LOSSES, pause_after_loss},
    store::{
        bounds::UNREADABLE_PAUSE,
        claiming::{Claiming, MOST_ROWS},
    },
    webhook::{self, Endpoint},
};

pub(super) fn claim(tx: &Tx<'_>, claimant: &NoticeClaimant, requests: &[ClaimRequest]) -> rusqlite::Result<Vec<Vec<Notice>>> {
    let mut claiming = Claiming::new(claimant);
    let mut made = 0;
    let mut claimed = Vec::with_capacity(requests.len());
    for request in requests {
        let notices = match Job::find(tx, request.job)?.filter(|job| job.kind == JobKind::Tell) {
            // The next sweep's.
            Some(job) if made >= MOST_ROWS => hasten(tx, &[job.id]).map(|()| Vec::new())?,
            Some(job) => {
                let fresh = expand(tx, &mut claiming, &job)?;
                made += fresh.rows.len();
                grant(tx, &mut claiming, fresh, request.redelivered)?
            }
            None => grant(tx, &mut claiming, Rows::stored(pending_of_job(tx, request.booking, request.job)?), request.redelivered)?,
        };
        claimed.push(notices);
    }
    Ok(claimed)
}

pub(super) fn claim_overdue(tx: &Tx<'_>, claimant: &NoticeClaimant, limit: usize) -> rusqlite::Result<OverdueNotices> {
    let mut claiming = Claiming::new(claimant);
    let mut more = expand_overdue(tx, &mut claiming, limit)?;
    let mut notices = Vec::new();
    for (channel, _) in &claimant.rooms {
        if channel == webhook::CHANNEL {
            // What is only to be skipped needs no room; all of it together keeps to the limit.
            let mut skips = limit;
            let mut last = format!("{}:", webhook::CHANNEL);
            while let Some(channel) = next_waited_for(tx, &last)? {
                if let (_, Some(endpoint)) = webhook::split(&channel) {
                    let goes_out = webhooks::target(tx, endpoint)?.is_ok();
                    let at_most = if goes_out { claiming.left(&channel).min(limit) } else { skips };
                    let rows = overdue(tx, &channel, at_most)?;
                    if !goes_out {
                        skips -= rows.len();
                    }
                    more |= rows.len() >= limit || skips == 0;
                    notices.extend(grant(tx, &mut claiming, Rows::stored(rows), false)?);
                }
                last = channel;
            }
        } else if webhook::split(channel).1.is_none() {
            let rows = overdue(tx, channel, claiming.left(channel).min(limit))?;
            more |= rows.len() >= limit;
            notices.extend(grant(tx, &mut claiming, Rows::stored(rows), false)?);
        }
    }
    Ok(OverdueNotices::new(notices, more))
}

/// The first channel of an endpoint, behind another, that notices are pending on. One step of the index each, however many endpoints
/// there were.
fn next_waited_for(tx: &Tx<'_>, after: &str) -> rusqlite::Result<Option<String>> {
    tx.connection
        .prepare_cached(
            "SELECT channel FROM notice WHERE state = 'pending' AND channel > ?1 AND channel < 'webhook;' ORDER BY channel LIMIT 1",
        )?
        .query_row([after], |row| row.get(0))
        .optional()
}

fn overdue(tx: &Tx<'_>, channel: &str, at_most: usize) -> rusqlite::Result<Vec<Row>> {
    tx.connection
        .prepare_cached(concat!(
            "SELECT ",
            row_columns!(),
            " FROM notice WHERE state = 'pending' AND channel = ?1 AND next_look <= ?2 ORDER BY next_look LIMIT ?3"
        ))?
        .query_map(params![channel, tx.now, at_most as i64], Row::read)?
        .collect()
}

pub(super) fn settle(tx: &Tx<'_>, result: &NoticeResult) -> rusqlite::Result<NoticeSettled> {
    let notice = &result.notice;
    let row = tx
        .connection
        .prepare_cached(concat!("SELECT ", row_columns!(), " FROM notice WHERE booking = ?1 AND event_seq = ?2 AND channel = ?3"))?
        .query_row(params![notice.booking, notice.event.seq, notice.channel], Row::read)
        .optional()?;
    let Some(row) = row.filter(|row| row.token == Some(notice.token)) else { return Ok(NoticeSettled::Fenced) };
    let siblings = Siblings::of(tx, &row)?;
    // One taken from somebody who may still send it: whatever is later waits until that is over, and only then is it superseded.
    let quiet_until = if row.losses > 0 && siblings.later { row.busy_until(tx.now) } else { None };
    let superseded = siblings.later && quiet_until.is_none();
    match &result.ending {
        NoticeEnding::Sent(receipt) => row.end(tx, NoticeState::Sent, 1, None, receipt.as_deref())?,
        NoticeEnding::Retry(..) if superseded => row.end(tx, NoticeState::Skipped, 1, Some(SUPERSEDED), None)?,
        NoticeEnding::Returned if superseded => row.end(tx, NoticeState::Skipped, 0, Some(SUPERSEDED), None)?,
        NoticeEnding::Retry(code, pause) => row.retry(tx, code, tx.now.plus(*pause))?,
        NoticeEnding::Failed(code) => {
            row.end(tx, NoticeState::Failed, 1, Some(code), None)?;
            ending::dead_letter(tx, row.booking, "notice", code, row.tries + 1, Some(row.id))?;
            if let (webhook::ENDPOINT_GONE, (_, Some(endpoint))) = (*code, webhook::split(&row.channel)) {
                webhooks::disable(tx, endpoint, code)?;
            }
        }
        NoticeEnding::Skipped(code) => row.end(tx, NoticeState::Skipped, 0, Some(code), None)?,
        NoticeEnding::Returned => row.free(tx, tx.now)?,
    }
    if let (NoticeEnding::Retry(..) | NoticeEnding::Returned, Some(until)) = (&result.ending, quiet_until) {
        row.look_not_before(tx, until)?;
    }
    let woken = if siblings.later { wake_later(tx, &row)? } else { Vec::new() };
    Ok(NoticeSettled::Done(woken))
}

/// Takes every notice from its holder: all of them are gone. Returns how many were held.
pub(super) fn lose_all(tx: &Tx<'_>) -> rusqlite::Result<usize> {
    let held: Vec<Row> = tx
        .connection
        .prepare(concat!("SELECT ", row_columns!(), " FROM notice WHERE state = 'pending' AND token IS NOT NULL"))?
        .query_map([], Row::read)?
        .collect::<rusqlite::Result<_>>()?;
    for row in &held {
        lose(tx, row)?;
    }
    // Nor does anybody who was overtaken before still send. (What ended keeps its lease: whatever is later waits for it, a lease at
    // most; looking for those would read the whole ledger.)
    tx.connection
        .execute("UPDATE notice SET lease_until = NULL WHERE state = 'pending' AND token IS NULL AND lease_until IS NOT NULL", [])?;
    Ok(held.len())
}

fn pending_of_job(tx: &Tx<'_>, booking: BookingId, job: JobId) -> rusqlite::Result<Vec<Row>> {
    tx.connection
        .prepare_cached(concat!(
            "SELECT ",
            row_columns!(),
            " FROM notice WHERE booking = ?1 AND job = ?2 AND state = 'pending' ORDER BY event_seq, channel"
        ))?
        .query_map(params![booking, job], Row::read)?
        .collect()
}

/// Gives the claimant those rows that are due, free and next in order, as far as it has room.
///
/// A holder whose channel to the broker is gone may be dead, or cut off and still sending. Its notice is taken over at once, since a
/// repeat under the same id does no harm; but nothing later goes out before its lease is over, unless the repeat was sent.
fn grant(tx: &Tx<'_>, claiming: &mut Claiming<'_>, rows: Rows, holder_is_gone: bool) -> rusqlite::Result<Vec<Notice>> {
    let Rows { rows, alone } = rows;
    let mut granted = Vec::new();
    for row in rows {
        let held = row.is_held(tx.now) && !holder_is_gone;
        let due = row.token.is_some() || row.due_at.is_none_or(|due| due <= tx.now);
        if held || !due {
            continue;
        }
        let siblings = if alone { Siblings::default() } else { Siblings::of(tx, &row)? };
        if siblings.later
            && let Some(until) = row.busy_until(tx.now)
        {
            row.look_not_before(tx, until)?;
            continue;
        }
        if siblings.later {
            skip(tx, &row, SUPERSEDED)?;
            continue;
        }
        if !siblings.older.is_empty()
            && let Some(code) = pointless(tx, &row)?
        {
            // It takes nothing else with it: what is older may still be told.
            skip(tx, &row, code)?;
            continue;
        }
        if let Some(until) = settle_older(tx, siblings.older)? {
            // The one before it is being sent: its settling wakes this one, its lease's end at the latest.
            row.store(tx)?;
            row.free(tx, tx.now)?;
            row.look_not_before(tx, until)?;
            continue;
        }
        let endpoint = match webhook::split(&row.channel).1.map(|endpoint| webhooks::target(tx, endpoint)).transpose()? {
            Some(Err(code)) => {
                skip(tx, &row, code)?;
                continue;
            }
            Some(Ok(endpoint)) => Some(endpoint),
            None => None,
        };
        if row.token.is_some() && !lose(tx, &row)? {
            continue;
        }
        if claiming.take(&row.channel) {
            granted.extend(lease(tx, claiming.claimant, &row, endpoint)?);
        } else {
            row.store(tx)?;
        }
    }
    Ok(granted)
}

/// Takes a notice from a holder that is gone, as with jobs: at once the first times, then after growing pauses, and in the
/// end not again, so that a notice which ends its notifier does not do so for ever. Whether it may be sent now.
fn lose(tx: &Tx<'_>, row: &Row) -> rusqlite::Result<bool> {
    let losses = row.losses + 1;
    if losses > MAX_LOSSES {
        let code = Reason::ProcessingFailed.as_str();
        row.end(tx, NoticeState::Failed, 0, Some(code), None)?;
        ending::dead_letter(tx, row.booking, "notice", code, row.tries, Some(row.id))?;
        wake_later(tx, row)?;
        return Ok(false);
    }
    let due = tx.now.plus(pause_after_loss(losses));
    tx.connection
        .prepare_cached("UPDATE notice SET losses = ?4 WHERE booking = ?1 AND event_seq = ?2 AND channel = ?3")?
        .execute(params![row.booking, row.event_seq, row.channel, losses])?;
    row.free(tx, due)?;
    Ok(due <= tx.now)
}

/// Ends a notice unsent. Whichever waited for it is due now; the next sweep finds it.
pub(super) fn skip(tx: &Tx<'_>, row: &Row, code: &str) -> rusqlite::Result<()> {
    row.store(tx)?;
    row.end(tx, NoticeState::Skipped, 0, Some(code), None)?;
    wake_later(tx, row).map(drop)
}

/// The other notices of a notice's booking and channel.
#[derive(Default)]
struct Siblings {
    /// Older ones that are pending, or over but perhaps still being sent by somebody who was overtaken.
    older: Vec<Row>,
    /// Whether a later event is on the channel already, in whatever state.
    later: bool,
}

impl Siblings {
    fn of(tx: &Tx<'_>, row: &Row) -> rusqlite::Result<Self> {
        let mut statement = tx.connection.prepare_cached(concat!(
            "SELECT ",
            row_columns!(),
            ", state, code FROM notice WHERE booking = ?1 AND event_seq <> ?2 AND channel = ?3"
        ))?;
        let mut others = statement.query(params![row.booking, row.event_seq, row.channel])?;
        let mut siblings = Self { older: Vec::new(), later: false };
        while let Some(other) = others.next()? {
            let (sibling, state): (Row, NoticeState) = (Row::read(other)?, other.get(10)?);
            let code: Option<String> = other.get(11)?;
            if sibling.event_seq > row.event_seq {
                // A reminder that came to nothing overtakes nothing.
                siblings.later |= code.as_deref() != Some(TOO_LATE);
            } else if state == NoticeState::Pending || sibling.busy_until(tx.now).is_some() {
                siblings.older.push(sibling);
            }
        }
        Ok(siblings)
    }
}

/// Skips older rows of the channel that nobody sends; until when one of them may still be being sent.
fn settle_older(tx: &Tx<'_>, older: Vec<Row>) -> rusqlite::Result<Option<Millis>> {
    let mut busy = None;
    for old in older {
        match old.busy_until(tx.now) {
            Some(until) => busy = busy.max(Some(until)),
            None => old.end(tx, NoticeState::Skipped, 0, Some(SUPERSEDED), None)?,
        }
    }
    Ok(busy)
}

fn lease(tx: &Tx<'_>, claimant: &NoticeClaimant, row: &Row, endpoint: Option<Endpoint>) -> rusqlite::Result<Option<Notice>> {
    let booking = match rows::booking(tx.connection, row.booking) {
        Ok(Some(booking)) => booking,
        Ok(None) => return Ok(None),
        Err(error) if rows::is_unreadable(&error) => {
            tracing::error!(booking = %row.booking, %error, "a booking cannot be read; its notices wait until it is mended");
            row.store(tx)?;
            row.look_not_before(tx, tx.now.plus(UNREADABLE_PAUSE))?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let event = event(tx, row)?;
    if let Some(code) = remind::pointless(tx.now, event.kind, &booking) {
        skip(tx, row, code)?;
        return Ok(None);
    }
    let (token, until) = (Token::generate(), tx.now.plus(claimant.lease));
    if row.stored {
        tx.connection
            .prepare_cached(
                "UPDATE notice SET token = ?4, lease_until = ?5, next_look = ?5 WHERE booking = ?1 AND event_seq = ?2 AND channel = ?3",
            )?
            .execute(params![row.booking, row.event_seq, row.channel, token, until])?;
    } else {
        row.insert(tx, Some((token, until)), until)?;
    }
    let notice = Notice::new(row.id, row.job, token, row.booking, booking.appointment, event, row.channel.clone(), row.tries, until.time());
    Ok(Some(notice.for_endpoint(endpoint)))
}

/// Why a reminder's row is not to be sent any more, if so.
fn pointless(tx: &Tx<'_>, row: &Row) -> rusqlite::Result<Option<&'static str>> {
    let kind = event(tx, row)?.kind;
    if kind != EventKind::Reminder {
        return Ok(None);
    }
    Ok(rows::booking(tx.connection, row.booking)?.and_then(|booking| remind::pointless(tx.now, kind, &booking)))
}

/// The immutable event that a row tells, from the timeline.
pub(super) fn event(tx: &Tx<'_>, row: &Row) -> rusqlite::Result<Event> {
    tx.connection.prepare_cached("SELECT kind, code, at FROM timeline WHERE booking = ?1 AND seq = ?2")?.query_row(
        params![row.booking, row.event_seq],
        |event| {
            let (kind, reason): (EventKind, Option<Reason>) = (event.get(0)?, event.get(1)?);
            Ok(Event::new(row.event_seq, kind, reason, event.get::<_, Millis>(2)?.time()))
        },
    )
}

/// Makes later rows of the channel that waited for this one due at once.
fn wake_later(tx: &Tx<'_>, row: &Row) -> rusqlite::Result<Vec<(JobId, BookingId)>> {
    let later: Vec<Row> = tx
        .connection
        .prepare_cached(concat!(
            "SELECT ",
            row_columns!(),
            " FROM notice WHERE booking = ?1 AND event_seq > ?2 AND channel = ?3 AND state = 'pending' AND token IS NULL"
        ))?
        .query_map(params![row.booking, row.event_seq, row.channel], Row::read)?
        .collect::<rusqlite::Result<_>>()?;
    later
        .iter()
        .map(|later| {
            later.look_not_before(tx, later.due_at.unwrap_or(tx.now).max(tx.now))?;
            Ok((later.job, later.booking))
        })
        .collect()
}
