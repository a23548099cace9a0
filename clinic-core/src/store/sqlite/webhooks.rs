//! Endpoints of webhooks. A removed one stays, since its notices name it.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{rows::Millis, tx::Tx};
use crate::{
    id::EndpointId,
    ports::{NewEndpoint, Registration},
    webhook::{Disabled, ENDPOINT_DISABLED, ENDPOINT_REMOVED, Endpoint, FORMER_SIGNS_FOR, FormerSecret, MAX_ENDPOINTS, Secret},
};

/// The columns of [`read`], in its order.
macro_rules! endpoints {
    () => {
        "SELECT id, url, secret, former_secret, former_until, created_at, disabled_at, disabled_code, removed_at FROM webhook"
    };
}

pub(super) fn add(tx: &Tx<'_>, new: &NewEndpoint) -> rusqlite::Result<Registration> {
    if let Some(endpoint) = find(tx.connection, new.id)? {
        return Ok(Registration::Done(endpoint));
    }
    let all = list(tx.connection)?;
    if let Some(same) = all.iter().find(|endpoint| endpoint.disabled.is_none() && endpoint.url == new.url) {
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
    let mut statement = connection.prepare_cached(concat!(endpoints!(), " WHERE removed_at IS NULL ORDER BY created_at, id"))?;
    statement.query_map([], read)?.collect()
}

pub(super) fn find(connection: &Connection, id: EndpointId) -> rusqlite::Result<Option<Endpoint>> {
    connection.prepare_cached(concat!(endpoints!(), " WHERE id = ?1 AND removed_at IS NULL"))?.query_row([id], read).optional()
}

pub(super) fn remove(tx: &Tx<'_>, id: EndpointId) -> rusqlite::Result<bool> {
    let updated = tx.connection.execute("UPDATE webhook SET removed_at = coalesce(removed_at, ?2) WHERE id = ?1", params![id, tx.now])?;
    Ok(updated > 0)
}

pub(super) fn renew_secret(tx: &Tx<'_>, id: EndpointId, secret: &Secret) -> rusqlite::Result<Option<Endpoint>> {
    tx.connection.execute(
        "UPDATE webhook SET former_secret = secret, former_until = ?3, secret = ?2 WHERE id = ?1 AND removed_at IS NULL AND secret <> ?2",
        params![id, secret.as_bytes(), tx.now.plus(FORMER_SIGNS_FOR)],
    )?;
    find(tx.connection, id)
}

/// Switches an endpoint off, once.
pub(super) fn disable(tx: &Tx<'_>, id: EndpointId, code: &str) -> rusqlite::Result<()> {
    tx.connection
        .execute("UPDATE webhook SET disabled_at = ?2, disabled_code = ?3 WHERE id = ?1 AND disabled_at IS NULL", params![id, tx.now, code])
        .map(drop)
}

/// Those that events are told to.
pub(super) fn enabled(tx: &Tx<'_>) -> rusqlite::Result<Vec<EndpointId>> {
    tx.connection
        .prepare_cached("SELECT id FROM webhook WHERE disabled_at IS NULL AND removed_at IS NULL ORDER BY id")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Where a notice goes, or the code of why it goes nowhere.
pub(super) fn target(tx: &Tx<'_>, id: EndpointId) -> rusqlite::Result<Result<Endpoint, &'static str>> {
    let found = tx.connection.prepare_cached(concat!(endpoints!(), " WHERE id = ?1"))?.query_row([id], |row| {
        let removed: Option<Millis> = row.get(8)?;
        Ok((read(row)?, removed.is_some()))
    });
    Ok(match found.optional()? {
        Some((endpoint, false)) if endpoint.disabled.is_none() => Ok(endpoint),
        Some((_, false)) => Err(ENDPOINT_DISABLED),
        Some((_, true)) | None => Err(ENDPOINT_REMOVED),
    })
}

fn read(row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    let former = row.get::<_, Option<[u8; 32]>>(3)?.zip(row.get::<_, Option<Millis>>(4)?);
    let disabled = row.get::<_, Option<Millis>>(6)?.zip(row.get::<_, Option<String>>(7)?);
    let mut endpoint = Endpoint::new(row.get(0)?, row.get(1)?, Secret::new(row.get(2)?), row.get::<_, Millis>(5)?.time());
    endpoint.former = former.map(|(secret, until)| FormerSecret::new(Secret::new(secret), until.time()));
    endpoint.disabled = disabled.map(|(at, code)| Disabled::new(at.time(), code));
    Ok(endpoint)
}
