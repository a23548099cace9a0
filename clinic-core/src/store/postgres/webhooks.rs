//! Endpoints of webhooks. Of a removed one its id stays, since its notices name it.

use tokio_postgres::Row;

use super::{
    error::{Error, Result},
    rows::{Columns, Millis},
    tx::{Tx, params},
};
use crate::{
    id::EndpointId,
    ports::{NewEndpoint, Registration},
    store::bounds::FORMERS,
    webhook::{Disabled, ENDPOINT_DISABLED, ENDPOINT_REMOVED, Endpoint, FORMER_SIGNS_FOR, FormerSecret, MAX_ENDPOINTS, Secret},
};

/// The columns of [`read`], in its order.
macro_rules! endpoints {
    () => {
        "SELECT id, url, secret, created_at, disabled_at, disabled_code FROM webhook WHERE removed_at IS NULL"
    };
}

pub(super) async fn add(tx: &Tx, new: &NewEndpoint) -> Result<Registration> {
    // They are counted and compared, so one is added after the other.
    tx.execute("LOCK TABLE webhook IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
    if let Some(endpoint) = find(tx, new.id).await? {
        return Ok(Registration::Done(endpoint));
    }
    let all = list(tx).await?;
    if let Some(same) = all.iter().find(|endpoint| endpoint.url == new.url) {
        return Ok(Registration::Exists(same.id));
    }
    if all.len() >= MAX_ENDPOINTS {
        return Ok(Registration::TooMany);
    }
    let sql = "INSERT INTO webhook (id, url, secret, created_at) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, params![new.id, new.url, &new.secret.as_bytes()[..], tx.now]).await?;
    Ok(Registration::Done(Endpoint::new(new.id, new.url.clone(), new.secret, tx.now.time())))
}

pub(super) async fn list(tx: &Tx) -> Result<Vec<Endpoint>> {
    let mut endpoints = Vec::new();
    for row in tx.all(concat!(endpoints!(), " ORDER BY created_at, id"), &[]).await? {
        endpoints.push(read(tx, &row).await?);
    }
    Ok(endpoints)
}

pub(super) async fn find(tx: &Tx, id: EndpointId) -> Result<Option<Endpoint>> {
    match tx.one(concat!(endpoints!(), " AND id = $1"), params![id]).await? {
        Some(row) => read(tx, &row).await.map(Some),
        None => Ok(None),
    }
}

/// Removes it, with what may be secret about it.
pub(super) async fn remove(tx: &Tx, id: EndpointId) -> Result<bool> {
    let sql = "UPDATE webhook SET url = '', secret = '', removed_at = coalesce(removed_at, $2) WHERE id = $1";
    let updated = tx.execute(sql, params![id, tx.now]).await?;
    tx.execute("DELETE FROM webhook_former WHERE webhook = $1", params![id]).await?;
    Ok(updated > 0)
}

pub(super) async fn renew_secret(tx: &Tx, id: EndpointId, secret: &Secret) -> Result<Option<Endpoint>> {
    tx.execute("SELECT 1 FROM webhook WHERE id = $1 FOR NO KEY UPDATE", params![id]).await?;
    let Some(before) = find(tx, id).await? else { return Ok(None) };
    if before.secret == *secret {
        return Ok(Some(before));
    }
    let sql = "INSERT INTO webhook_former (webhook, secret, until) VALUES ($1, $2, $3) \
               ON CONFLICT (webhook, secret) DO UPDATE SET until = excluded.until";
    tx.execute(sql, params![id, &before.secret.as_bytes()[..], tx.now.plus(FORMER_SIGNS_FOR)]).await?;
    let sql = "DELETE FROM webhook_former WHERE webhook = $1 AND (until <= $2 OR secret NOT IN \
               (SELECT secret FROM webhook_former WHERE webhook = $1 ORDER BY until DESC LIMIT $3))";
    tx.execute(sql, params![id, tx.now, FORMERS]).await?;
    tx.execute("UPDATE webhook SET secret = $2 WHERE id = $1", params![id, &secret.as_bytes()[..]]).await?;
    find(tx, id).await
}

pub(super) async fn enable(tx: &Tx, id: EndpointId) -> Result<Option<Endpoint>> {
    tx.execute("UPDATE webhook SET disabled_at = NULL, disabled_code = NULL WHERE id = $1", params![id]).await?;
    find(tx, id).await
}

/// Switches an endpoint off, once.
pub(super) async fn disable(tx: &Tx, id: EndpointId, code: &str) -> Result<()> {
    let sql = "UPDATE webhook SET disabled_at = $2, disabled_code = $3 WHERE id = $1 AND disabled_at IS NULL";
    tx.execute(sql, params![id, tx.now, code]).await.map(drop)
}

/// Those that events are told to, and since when.
pub(super) async fn enabled(tx: &Tx) -> Result<Vec<(EndpointId, Millis)>> {
    let sql = "SELECT id, created_at FROM webhook WHERE disabled_at IS NULL AND removed_at IS NULL ORDER BY created_at, id";
    tx.all(sql, &[]).await?.iter().map(|row| Ok((row.column(0)?, row.column(1)?))).collect()
}

/// Where a notice goes, or the code of why it goes nowhere.
pub(super) async fn target(tx: &Tx, id: EndpointId) -> Result<std::result::Result<Endpoint, &'static str>> {
    Ok(match find(tx, id).await? {
        Some(endpoint) if endpoint.disabled.is_none() => Ok(endpoint),
        Some(_) => Err(ENDPOINT_DISABLED),
        None => Err(ENDPOINT_REMOVED),
    })
}

async fn read(tx: &Tx, row: &Row) -> Result<Endpoint> {
    let mut endpoint = Endpoint::new(row.column(0)?, row.column(1)?, secret(row, 2)?, row.column::<Millis>(3)?.time());
    let sql = "SELECT secret, until FROM webhook_former WHERE webhook = $1 ORDER BY until DESC, secret";
    for former in tx.all(sql, params![endpoint.id]).await? {
        endpoint.former.push(FormerSecret::new(secret(&former, 0)?, former.column::<Millis>(1)?.time()));
    }
    let disabled = row.column::<Option<Millis>>(4)?.zip(row.column::<Option<String>>(5)?);
    endpoint.disabled = disabled.map(|(at, code)| Disabled::new(at.time(), code));
    Ok(endpoint)
}

fn secret(row: &Row, index: usize) -> Result<Secret> {
    let bytes = row.column::<&[u8]>(index)?;
    bytes.try_into().map(Secret::new).map_err(|_| Error::Unreadable("a secret of another length".into()))
}
