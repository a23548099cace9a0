//! Tell jobs become rows of the ledger.

use super::{
    error::Result,
    job::Job,
    ledger::Row,
    notices::{event, skip},
    rows::{Columns, Millis},
    tx::{Tx, params},
    webhooks,
};
use crate::{
    id::{EndpointId, JobId},
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
pub(super) async fn expand(tx: &Tx, claiming: &mut Claiming<'_>, job: &Job) -> Result<Rows> {
    let claimant = claiming.claimant;
    let (false, Some(event_seq)) = (claimant.rooms.is_empty(), job.event_seq) else {
        // Without a channel there is nothing for it to become; whoever has one will find it.
        return Ok(Rows::stored(Vec::new()));
    };
    let others: bool = tx.row("SELECT EXISTS (SELECT 1 FROM notice WHERE booking = $1)", params![job.booking]).await?.column(0)?;
    job.settle(tx).await?;
    let row = |channel: String| Row::fresh(job.booking, event_seq, channel, job.id, tx.now);
    let mut rows = Vec::with_capacity(claimant.rooms.len());
    for (channel, _) in &claimant.rooms {
        if channel != webhook::CHANNEL {
            // The room of one endpoint stands for no channel of its own.
            rows.extend(webhook::split(channel).1.is_none().then(|| row(channel.clone())));
            continue;
        }
        let fresh = row(channel.clone());
        let at = event(tx, &fresh).await?.at.into();
        let endpoints = endpoints(tx, claiming, at).await?;
        if endpoints.is_empty() {
            skip(tx, &fresh, webhook::NO_ENDPOINT).await?;
        }
        rows.extend(endpoints.into_iter().map(|endpoint| row(webhook::channel_of(endpoint))));
    }
    Ok(Rows { rows, alone: !others })
}

/// Those that hear of an event of that time: who was registered later hears of what comes later.
async fn endpoints(tx: &Tx, claiming: &mut Claiming<'_>, at: Millis) -> Result<Vec<EndpointId>> {
    let all = match &mut claiming.endpoints {
        Some(all) => all,
        unread => unread.insert(webhooks::enabled(tx).await?),
    };
    Ok(all.iter().filter(|(_, since)| *since <= at).map(|(endpoint, _)| *endpoint).collect())
}

/// Expands tell jobs that nobody heard of; whether there may be more of them.
pub(super) async fn expand_overdue(tx: &Tx, claiming: &mut Claiming<'_>, limit: usize) -> Result<bool> {
    if claiming.claimant.rooms.is_empty() {
        return Ok(false);
    }
    let sql = "SELECT job.id FROM job JOIN booking ON booking.id = job.booking WHERE kind = 'tell' AND next_look <= $1 \
               ORDER BY next_look LIMIT $2 FOR NO KEY UPDATE OF booking SKIP LOCKED";
    let jobs: Vec<JobId> = tx.all(sql, params![tx.now, limit as i64]).await?.iter().map(|row| row.column(0)).collect::<Result<_>>()?;
    let (found, mut made) = (jobs.len(), 0);
    for id in jobs {
        if made >= limit {
            return Ok(true);
        }
        if let Some(job) = Job::find(tx, id).await? {
            let fresh = expand(tx, claiming, &job).await?;
            made += fresh.rows.len();
            for row in fresh.rows {
                row.store(tx).await?;
            }
        }
    }
    Ok(found >= limit)
}
