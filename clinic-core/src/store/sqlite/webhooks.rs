//! Endpoints of webhooks. Of a removed one its id stays, since its notices name it.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{rows::Millis, tx::Tx};
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

pub(super) fn add(tx: &Tx<'_>, new: &NewEndpoint) -> rusqlite::Result<Registration> {
    if let Some(endpoint) = find(tx.connection, new.id)? {
        return Ok(Registration::Done(endpoint));
    }
    let all = list(tx.connection)?;
    if let Some(same) = all.iter().find(|endpoint| endpoint.url == new.url) {
        return Ok(Registration::Exists(same.id));
    }
    if all.len() >= MAX_ENDPOINTS {
        return Ok(Registration::TooMany);
    }
    tx.connection.execute(
        "INSERT INTO webhook (id, url, secret, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![new.id, new.url, new.secret.as_bytes(), tx.now],
    )?;
    Ok(Registration::Done(Endpoint::new(new.id, new.url.clone(), new.secret, tx.now.time())))
}

pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Endpoint>> {
    let mut statement = connection.prepare_cached(concat!(endpoints!(), " ORDER BY created_at, id"))?;
    statement.query_map([], |row| read(connection, row))?.collect()
}

pub(super) fn find(connection: &Connection, id: EndpointId) -> rusqlite::Result<Option<Endpoint>> {
    connection.prepare_cached(concat!(endpoints!(), " AND id = ?1"))?.query_row([id], |row| read(connection, row)).optional()
}

/// Removes it, with what may be secret about it.
pub(super) fn remove(tx: &Tx<'_>, id: EndpointId) -> rusqlite::Result<bool> {
    tx.connection.execute("DELETE FROM webhook_former WHERE webhook = ?1", [id])?;
    let updated = tx
        .connection
        .execute("UPDATE webhook SET url = '', secret = x'', removed_at = coalesce(removed_at, ?2) WHERE id = ?1", params![id, tx.now])?;
    Ok(updated > 0)
}

pub(super) fn renew_secret(tx: &Tx<'_>, id: EndpointId, secret: &Secret) -> rusqlite::Result<Option<Endpoint>> {
    let Some(before) = find(tx.connection, id)? else { return Ok(None) };
    if before.secret == *secret {
        return Ok(Some(before));
    }
    tx.connection.execute(
        "INSERT OR REPLACE INTO webhook_former (webhook, secret, until) VALUES (?1, ?2, ?3)",
        params![id, before.secret.as_bytes(), tx.now.plus(FORMER_SIGNS_FOR)],
    )?;
    tx.connection.execute(
        "DELETE FROM webhook_former WHERE webhook = ?1 AND (until <= ?2 OR secret NOT IN \
         (SELECT secret FROM webhook_former WHERE webhook = ?1 ORDER BY until DESC LIMIT ?3))",
        params![id, tx.now, FORMERS],
    )?;
    tx.connection.execute("UPDATE webhook SET secret = ?2 WHERE id = ?1", params![id, secret.as_bytes()])?;
    find(tx.connection, id)
}

pub(super) fn enable(tx: &Tx<'_>, id: EndpointId) -> rusqlite::Result<Option<Endpoint>> {
    tx.connection.execute("UPDATE webhook SET disabled_at = NULL, disabled_code = NULL WHERE id = ?1", [id])?;
    find(tx.connection, id)
}

/// Switches an endpoint off, once.
pub(super) fn disable(tx: &Tx<'_>, id: EndpointId, code: &str) -> rusqlite::Result<()> {
    tx.connection
        .execute("UPDATE webhook SET disabled_at = ?2, disabled_code = ?3 WHERE id = ?1 AND disabled_at IS NULL", params![id, tx.now, code])
        .map(drop)
}

/// Those that events are told to, and since when.
pub(super) fn enabled(tx: &Tx<'_>) -> rusqlite::Result<Vec<(EndpointId, Millis)>> {
    tx.connection
        .prepare_cached("SELECT id, created_at FROM webhook WHERE disabled_at IS NULL AND removed_at IS NULL ORDER BY created_at, id")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Where a notice goes, or the code of why it goes nowhere.
pub(super) fn target(tx: &Tx<'_>, id: EndpointId) -> rusqlite::Result<Result<Endpoint, &'static str>> {
    Ok(match find(tx.connection, id)? {
        Some(endpoint) if endpoint.disabled.is_none() => Ok(endpoint),
        Some(_) => Err(ENDPOINT_DISABLED),
        None => Err(ENDPOINT_REMOVED),
    })
}

fn read(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    let mut endpoint = Endpoint::new(row.get(0)?, row.get(1)?, Secret::new(row.get(2)?), row.get::<_, Millis>(3)?.time());
    endpoint.former = connection
        .prepare_cached("SELECT secret, until FROM webhook_former WHERE webhook = ?1 ORDER BY until DESC, secret")?
        .query_map([endpoint.id], |row| Ok(FormerSecret::new(Secret::new(row.get(0)?), row.get::<_, Millis>(1)?.time())))?
        .collect::<rusqlite::Result<_>>()?;
    let disabled = row.get::<_, Option<Millis>>(4)?.zip(row.get::<_, Option<String>>(5)?);
    endpoint.disabled = disabled.map(|(at, code)| Disabled::new(at.time(), code));
    Ok(endpoint)
}
