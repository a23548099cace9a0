//! The ledger: tell jobs become rows, one a channel; each row is claimed, tried and settled on its own.
//!
//! Notices of one booking and channel go out in event order: a later one makes an older unsent one `superseded`, and
//! waits for one that is being sent.

use super::{
    claim::hasten,
    ending,
    error::Result,
    expand::{Rows, expand, expand_overdue},
    job::Job,
    ledger::{Row, row_columns},
    plain, remind,
    rows::{self, Columns, Count, Millis},
    tx::{Tx, params},
    webhooks,
    work::Work,
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

pub(super) async fn claim(tx: &Tx, claimant: &NoticeClaimant, requests: &[ClaimRequest]) -> Result<Vec<Vec<Notice>>> {
    tx.lock(requests.iter().map(|request| request.booking)).await?;
    let mut claiming = Claiming::new(claimant);
    let mut made = 0;
    let mut claimed = Vec::with_capacity(requests.len());
    for (plain, request) in plain::expansions(tx, &mut claiming, requests).await?.into_iter().zip(requests) {
        if let Some(notices) = plain {
            made += claimant.rooms.len();
            claimed.push(notices);
            continue;
        }
        let notices = match Job::find(tx, request.job).await?.filter(|job| job.kind == JobKind::Tell) {
            // The next sweep's.
            Some(job) if made >= MOST_ROWS => hasten(tx, &[job.id]).await.map(|()| Vec::new())?,
            Some(job) => {
                let fresh = expand(tx, &mut claiming, &job).await?;
                made += fresh.rows.len();
                grant(tx, &mut claiming, fresh, request.redelivered).await?
            }
            None => {
                let rows = Rows::stored(pending_of_job(tx, request.booking, request.job).await?);
                grant(tx, &mut claiming, rows, request.redelivered).await?
            }
        };
        claimed.push(notices);
    }
    Ok(claimed)
}

pub(super) async fn claim_overdue(tx: &Tx, claimant: &NoticeClaimant, limit: usize) -> Result<OverdueNotices> {
    let mut claiming = Claiming::new(claimant);
    let mut more = expand_overdue(tx, &mut claiming, limit).await?;
    let mut notices = Vec::new();
    for (channel, _) in &claimant.rooms {
        if channel == webhook::CHANNEL {
            // What is only to be skipped needs no room; all of it together keeps to the limit.
            let mut skips = limit;
            let mut last = format!("{}:", webhook::CHANNEL);
            while let Some(channel) = next_waited_for(tx, &last).await? {
                if let (_, Some(endpoint)) = webhook::split(&channel) {
                    let goes_out = webhooks::target(tx, endpoint).await?.is_ok();
                    let at_most = if goes_out { claiming.left(&channel).min(limit) } else { skips };
                    let (found, rows) = overdue(tx, &channel, at_most).await?;
                    if !goes_out {
                        skips -= rows.len();
                    }
                    more |= found >= limit || skips == 0;
                    notices.extend(grant(tx, &mut claiming, Rows::stored(rows), false).await?);
                }
                last = channel;
            }
        } else if webhook::split(channel).1.is_none() {
            let (found, rows) = overdue(tx, channel, claiming.left(channel).min(limit)).await?;
            more |= found >= limit;
            notices.extend(grant(tx, &mut claiming, Rows::stored(rows), false).await?);
        }
    }
    Ok(OverdueNotices::new(notices, more))
}

/// The first channel of an endpoint, behind another, that notices are pending on. One step of the index each, however many endpoints
/// there were.
async fn next_waited_for(tx: &Tx, after: &str) -> Result<Option<String>> {
    let sql = "SELECT channel FROM notice WHERE state = 'pending' AND channel > $1 AND channel < 'webhook;' ORDER BY channel LIMIT 1";
    tx.one(sql, params![after]).await?.map(|row| row.column(0)).transpose()
}

/// How many are overdue, as far as was looked, and those of them that nobody else has in hand.
async fn overdue(tx: &Tx, channel: &str, at_most: usize) -> Result<(usize, Vec<Row>)> {
    let sql = "SELECT booking.id FROM notice JOIN booking ON booking.id = notice.booking WHERE state = 'pending' AND channel = $1 \
               AND next_look <= $2 ORDER BY next_look LIMIT $3 FOR NO KEY UPDATE OF booking SKIP LOCKED";
    let found = tx.all(sql, params![channel, tx.now, at_most as i64]).await?;
    let free: Vec<BookingId> = found.iter().map(|row| row.column(0)).collect::<Result<_>>()?;
    // Read behind the lock: others may have had them meanwhile.
    let sql = concat!(
        "SELECT ",
        row_columns!(),
        " FROM notice WHERE booking = ANY ($4) AND state = 'pending' AND channel = $1 AND next_look <= $2 ORDER BY next_look LIMIT $3"
    );
    let rows = tx.all(sql, params![channel, tx.now, at_most as i64, free]).await?;
    Ok((found.len(), rows.iter().map(Row::read).collect::<Result<_>>()?))
}

/// Settlements, many in one transaction.
pub(super) struct Settlements;

impl Work for Settlements {
    type Item = NoticeResult;
    type Outcome = NoticeSettled;

    fn booking(result: &NoticeResult) -> BookingId {
        result.notice.booking
    }

    async fn all(tx: &Tx, results: &[&NoticeResult]) -> Result<Vec<NoticeSettled>> {
        let plain = plain::receipts(tx, results).await?;
        let mut settled = Vec::with_capacity(results.len());
        for (plain, result) in plain.into_iter().zip(results) {
            settled.push(match plain {
                Some(done) => done,
                None => settle(tx, result).await?,
            });
        }
        Ok(settled)
    }
}

async fn settle(tx: &Tx, result: &NoticeResult) -> Result<NoticeSettled> {
    let notice = &result.notice;
    let sql = concat!("SELECT ", row_columns!(), " FROM notice WHERE booking = $1 AND event_seq = $2 AND channel = $3");
    let row = tx.one(sql, params![notice.booking, Count(notice.event.seq), notice.channel]).await?;
    let row = row.as_ref().map(Row::read).transpose()?;
    let Some(row) = row.filter(|row| row.token == Some(notice.token)) else { return Ok(NoticeSettled::Fenced) };
    let siblings = Siblings::of(tx, &row).await?;
    // One taken from somebody who may still send it: whatever is later waits until that is over, and only then is it superseded.
    let quiet_until = if row.losses > 0 && siblings.later { row.busy_until(tx.now) } else { None };
    let superseded = siblings.later && quiet_until.is_none();
    match &result.ending {
        NoticeEnding::Sent(receipt) => row.end(tx, NoticeState::Sent, 1, None, receipt.as_deref()).await?,
        NoticeEnding::Retry(..) if superseded => row.end(tx, NoticeState::Skipped, 1, Some(SUPERSEDED), None).await?,
        NoticeEnding::Returned if superseded => row.end(tx, NoticeState::Skipped, 0, Some(SUPERSEDED), None).await?,
        NoticeEnding::Retry(code, pause) => row.retry(tx, code, tx.now.plus(*pause)).await?,
        NoticeEnding::Failed(code) => {
            row.end(tx, NoticeState::Failed, 1, Some(code), None).await?;
            ending::dead_letter(tx, row.booking, "notice", code, row.tries + 1, Some(row.id)).await?;
            if let (webhook::ENDPOINT_GONE, (_, Some(endpoint))) = (*code, webhook::split(&row.channel)) {
                webhooks::disable(tx, endpoint, code).await?;
            }
        }
        NoticeEnding::Skipped(code) => row.end(tx, NoticeState::Skipped, 0, Some(code), None).await?,
        NoticeEnding::Returned => row.free(tx, tx.now).await?,
    }
    if let (NoticeEnding::Retry(..) | NoticeEnding::Returned, Some(until)) = (&result.ending, quiet_until) {
        row.look_not_before(tx, until).await?;
    }
    let woken = if siblings.later { wake_later(tx, &row).await? } else { Vec::new() };
    Ok(NoticeSettled::Done(woken))
}

async fn pending_of_job(tx: &Tx, booking: BookingId, job: JobId) -> Result<Vec<Row>> {
    let sql = concat!(
        "SELECT ",
        row_columns!(),
        " FROM notice WHERE booking = $1 AND job = $2 AND state = 'pending' ORDER BY event_seq, channel"
    );
    tx.all(sql, params![booking, job]).await?.iter().map(Row::read).collect()
}

/// Gives the claimant those rows that are due, free and next in order, as far as it has room.
///
/// A holder whose channel to the broker is gone may be dead, or cut off and still sending. Its notice is taken over at once, since a
/// repeat under the same id does no harm; but nothing later goes out before its lease is over, unless the repeat was sent.
async fn grant(tx: &Tx, claiming: &mut Claiming<'_>, rows: Rows, holder_is_gone: bool) -> Result<Vec<Notice>> {
    let Rows { rows, alone } = rows;
    let mut granted = Vec::new();
    for row in rows {
        let held = row.is_held(tx.now) && !holder_is_gone;
        let due = row.token.is_some() || row.due_at.is_none_or(|due| due <= tx.now);
        if held || !due {
            continue;
        }
        let siblings = if alone { Siblings::default() } else { Siblings::of(tx, &row).await? };
        if siblings.later
            && let Some(until) = row.busy_until(tx.now)
        {
            row.look_not_before(tx, until).await?;
            continue;
        }
        if siblings.later {
            skip(tx, &row, SUPERSEDED).await?;
            continue;
        }
        if !siblings.older.is_empty()
            && let Some(code) = pointless(tx, &row).await?
        {
            // It takes nothing else with it: what is older may still be told.
            skip(tx, &row, code).await?;
            continue;
        }
        if let Some(until) = settle_older(tx, siblings.older).await? {
            // The one before it is being sent: its settling wakes this one, its lease's end at the latest.
            row.store(tx).await?;
            row.free(tx, tx.now).await?;
            row.look_not_before(tx, until).await?;
            continue;
        }
        let endpoint = match webhook::split(&row.channel).1 {
            None => None,
            Some(endpoint) => match webhooks::target(tx, endpoint).await? {
                Err(code) => {
                    skip(tx, &row, code).await?;
                    continue;
                }
                Ok(endpoint) => Some(endpoint),
            },
        };
        if row.token.is_some() && !lose(tx, &row).await? {
            continue;
        }
        if claiming.take(&row.channel) {
            granted.extend(lease(tx, claiming.claimant, &row, endpoint).await?);
        } else {
            row.store(tx).await?;
        }
    }
    Ok(granted)
}

/// Takes a notice from a holder that is gone, as with jobs: at once the first times, then after growing pauses, and in the
/// end not again, so that a notice which ends its notifier does not do so for ever. Whether it may be sent now.
async fn lose(tx: &Tx, row: &Row) -> Result<bool> {
    let losses = row.losses + 1;
    if losses > MAX_LOSSES {
        let code = Reason::ProcessingFailed.as_str();
        row.end(tx, NoticeState::Failed, 0, Some(code), None).await?;
        ending::dead_letter(tx, row.booking, "notice", code, row.tries, Some(row.id)).await?;
        wake_later(tx, row).await?;
        return Ok(false);
    }
    let due = tx.now.plus(pause_after_loss(losses));
    let sql = "UPDATE notice SET losses = $4 WHERE booking = $1 AND event_seq = $2 AND channel = $3";
    tx.execute(sql, params![row.booking, Count(row.event_seq), row.channel, Count(losses)]).await?;
    row.free(tx, due).await?;
    Ok(due <= tx.now)
}

/// Ends a notice unsent. Whichever waited for it is due now; the next sweep finds it.
pub(super) async fn skip(tx: &Tx, row: &Row, code: &str) -> Result<()> {
    row.store(tx).await?;
    row.end(tx, NoticeState::Skipped, 0, Some(code), None).await?;
    wake_later(tx, row).await.map(drop)
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
    async fn of(tx: &Tx, row: &Row) -> Result<Self> {
        let sql = concat!(
            "SELECT ",
            row_columns!(),
            ", state, code FROM notice WHERE booking = $1 AND event_seq <> $2 AND channel = $3 ORDER BY event_seq"
        );
        let mut siblings = Self { older: Vec::new(), later: false };
        for other in tx.all(sql, params![row.booking, Count(row.event_seq), row.channel]).await? {
            let (sibling, state): (Row, NoticeState) = (Row::read(&other)?, other.column(10)?);
            if sibling.event_seq > row.event_seq {
                // A reminder that came to nothing overtakes nothing.
                siblings.later |= other.column::<Option<&str>>(11)? != Some(TOO_LATE);
            } else if state == NoticeState::Pending || sibling.busy_until(tx.now).is_some() {
                siblings.older.push(sibling);
            }
        }
        Ok(siblings)
    }
}

/// Skips older rows of the channel that nobody sends; until when one of them may still be being sent.
async fn settle_older(tx: &Tx, older: Vec<Row>) -> Result<Option<Millis>> {
    let mut busy = None;
    for old in older {
        match old.busy_until(tx.now) {
            Some(until) => busy = busy.max(Some(until)),
            None => old.end(tx, NoticeState::Skipped, 0, Some(SUPERSEDED), None).await?,
        }
    }
    Ok(busy)
}

async fn lease(tx: &Tx, claimant: &NoticeClaimant, row: &Row, endpoint: Option<Endpoint>) -> Result<Option<Notice>> {
    let booking = match rows::booking(tx, row.booking).await {
        Ok(Some(booking)) => booking,
        Ok(None) => return Ok(None),
        Err(error) if error.is_unreadable() => {
            tracing::error!(booking = %row.booking, %error, "a booking cannot be read; its notices wait until it is mended");
            row.store(tx).await?;
            row.look_not_before(tx, tx.now.plus(UNREADABLE_PAUSE)).await?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let event = event(tx, row).await?;
    if let Some(code) = remind::pointless(tx.now, event.kind, &booking) {
        skip(tx, row, code).await?;
        return Ok(None);
    }
    let (token, until) = (Token::generate(), tx.now.plus(claimant.lease));
    if row.stored {
        let sql = "UPDATE notice SET token = $4, lease_until = $5, next_look = $5 WHERE booking = $1 AND event_seq = $2 AND channel = $3";
        tx.execute(sql, params![row.booking, Count(row.event_seq), row.channel, token, until]).await?;
    } else {
        row.insert(tx, Some((token, until)), until).await?;
    }
    let notice = Notice::new(row.id, row.job, token, row.booking, booking.appointment, event, row.channel.clone(), row.tries, until.time());
    Ok(Some(notice.for_endpoint(endpoint)))
}

/// Why a reminder's row is not to be sent any more, if so.
async fn pointless(tx: &Tx, row: &Row) -> Result<Option<&'static str>> {
    let kind = event(tx, row).await?.kind;
    if kind != EventKind::Reminder {
        return Ok(None);
    }
    Ok(rows::booking(tx, row.booking).await?.and_then(|booking| remind::pointless(tx.now, kind, &booking)))
}

/// The immutable event that a row tells, from the timeline.
pub(super) async fn event(tx: &Tx, row: &Row) -> Result<Event> {
    let sql = "SELECT kind, code, at FROM timeline WHERE booking = $1 AND seq = $2";
    let event = tx.row(sql, params![row.booking, Count(row.event_seq)]).await?;
    Ok(Event::new(row.event_seq, event.column(0)?, event.column(1)?, event.column::<Millis>(2)?.time()))
}

/// Makes later rows of the channel that waited for this one due at once.
async fn wake_later(tx: &Tx, row: &Row) -> Result<Vec<(JobId, BookingId)>> {
    let sql = concat!(
        "SELECT ",
        row_columns!(),
        " FROM notice WHERE booking = $1 AND event_seq > $2 AND channel = $3 AND state = 'pending' AND token IS NULL ORDER BY event_seq"
    );
    let mut woken = Vec::new();
    for later in tx.all(sql, params![row.booking, Count(row.event_seq), row.channel]).await? {
        let later = Row::read(&later)?;
        later.look_not_before(tx, later.due_at.unwrap_or(tx.now).max(tx.now)).await?;
        woken.push((later.job, later.booking));
    }
    Ok(woken)
}
