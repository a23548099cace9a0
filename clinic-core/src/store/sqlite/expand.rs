//! Tell jobs become rows of the ledger.

use rusqlite::params;

use super::{
    job::Job,
    ledger::Row,
    notices::{event, skip},
    rows::Millis,
    tx::Tx,
    webhooks,
};
use crate::{
    id::{EndpointId, JobId, NoticeId},
    store::claiming::Claiming,
    webhook,
};

/// Rows to be granted.
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// Whether their booking has no others.
    pub(super) alone: bool,
}

impl Rows {
    pub(super) const fn stored(rows: Vec<Row>) -> Self {
        Self { rows, alone: false }
    }
}

/// A tell job becomes one row a channel and endpoint, yet to be stored, and is gone.
pub(super) fn expand(tx: &Tx<'_>, claiming: &mut Claiming<'_>, job: &Job) -> rusqlite::Result<Rows> {
    let claimant = claiming.claimant;
    let (false, Some(event_seq)) = (claimant.rooms.is_empty(), job.event_seq) else {
        // Without a channel there is nothing for it to become; whoever has one will find it.
        return Ok(Rows::stored(Vec::new()));
    };
    let others = tx
        .connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM notice WHERE booking = ?1)")?
        .query_row([job.booking], |row| row.get::<_, bool>(0))?;
    job.settle(tx)?;
    let row = |channel: String| Row {
        stored: false,
        booking: job.booking,
        event_seq,
        channel,
        id: NoticeId::generate(),
        job: job.id,
        tries: 0,
        losses: 0,
        token: None,
        lease_until: None,
        due_at: Some(tx.now),
    };
    let mut rows = Vec::with_capacity(claimant.rooms.len());
    for (channel, _) in &claimant.rooms {
        if channel != webhook::CHANNEL {
            // The room of one endpoint stands for no channel of its own.
            rows.extend(webhook::split(channel).1.is_none().then(|| row(channel.clone())));
            continue;
        }
        let fresh = row(channel.clone());
        let endpoints = endpoints(tx, claiming, event(tx, &fresh)?.at.into())?;
        if endpoints.is_empty() {
            skip(tx, &fresh, webhook::NO_ENDPOINT)?;
        }
        rows.extend(endpoints.into_iter().map(|endpoint| row(webhook::channel_of(endpoint))));
    }
    Ok(Rows { rows, alone: !others })
}

/// Those that hear of an event of that time: who was registered later hears of what comes later.
fn endpoints(tx: &Tx<'_>, claiming: &mut Claiming<'_>, at: Millis) -> rusqlite::Result<Vec<EndpointId>> {
    let all = match &mut claiming.endpoints {
        Some(all) => all,
        unread => unread.insert(webhooks::enabled(tx)?),
    };
    Ok(all.iter().filter(|(_, since)| *since <= at).map(|(endpoint, _)| *endpoint).collect())
}

/// Expands tell jobs that nobody heard of; whether there may be more of them.
pub(super) fn expand_overdue(tx: &Tx<'_>, claiming: &mut Claiming<'_>, limit: usize) -> rusqlite::Result<bool> {
    if claiming.claimant.rooms.is_empty() {
        return Ok(false);
    }
    let jobs: Vec<JobId> = tx
        .connection
        .prepare_cached("SELECT id FROM job WHERE kind = 'tell' AND next_look <= ?1 ORDER BY next_look LIMIT ?2")?
        .query_map(params![tx.now, limit as i64], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let (found, mut made) = (jobs.len(), 0);
    for id in jobs {
        if made >= limit {
            return Ok(true);
        }
        if let Some(job) = Job::find(tx, id)? {
            let fresh = expand(tx, claiming, &job)?;
            made += fresh.rows.len();
            for row in fresh.rows {
                row.store(tx)?;
            }
        }
    }
    Ok(found >= limit)
}
