//! Reads: bookings, their ledgers and timelines, lists, figures.

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::rows::{self, Millis, booking_columns, read_booking};
use crate::{
    booking::{Booking, Status},
    id::BookingId,
    notification::{EventKind, NoticeRecord, NoticeState},
    page::{DEFAULT_LIMIT, Filter, MAX_LIMIT},
    ports::{Record, StoreStats},
    store::bounds::COUNT_TO,
    timeline::{Entry, EntryKind},
};

pub(super) fn bookings(connection: &Connection, ids: &[BookingId]) -> rusqlite::Result<Vec<Record>> {
    let found: rusqlite::Result<Vec<Option<Booking>>> = ids.iter().map(|id| rows::booking(connection, *id)).collect();
    found?.into_iter().flatten().map(|booking| record(connection, booking)).collect()
}

pub(super) fn list(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Record>> {
    let (from, to) = (filter.from.map(Millis::from), filter.to.map(Millis::from));
    let (after_start, after_id) = (filter.after.map(|cursor| Millis::from(cursor.start)), filter.after.map(|cursor| cursor.id));
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit.min(MAX_LIMIT) };
    let mut sql = concat!("SELECT ", booking_columns!(), " FROM booking").to_owned();
    if filter.status == Some(Status::Pending) && filter.doctor_id.is_none() && filter.patient_id.is_none() {
        // Few are pending, and they lie at the end of a long line of starts.
        sql.push_str(" INDEXED BY booking_undecided WHERE booking.status = 'pending'");
    } else {
        sql.push_str(" WHERE true");
    }
    let mut values: Vec<&dyn ToSql> = Vec::new();
    let mut conditions: Vec<(&str, &dyn ToSql)> = Vec::new();
    if let Some(doctor) = &filter.doctor_id {
        conditions.push(("doctor_id = ?", doctor));
    }
    if let Some(patient) = &filter.patient_id {
        conditions.push(("patient_id = ?", patient));
    }
    if let Some(status) = &filter.status {
        conditions.push(("status = ?", status));
    }
    if let Some(from) = &from {
        conditions.push(("start_at >= ?", from));
    }
    if let Some(to) = &to {
        conditions.push(("start_at < ?", to));
    }
    for (condition, value) in conditions {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.push(value);
    }
    if let (Some(start), Some(id)) = (&after_start, &after_id) {
        sql.push_str(" AND (start_at, id) > (?, ?)");
        values.extend([start as &dyn ToSql, id]);
    }
    sql.push_str(" ORDER BY start_at, id LIMIT ?");
    values.push(&limit);
    let found: rusqlite::Result<Vec<Booking>> = connection.prepare_cached(&sql)?.query_map(values.as_slice(), read_booking)?.collect();
    found?.into_iter().map(|booking| record(connection, booking)).collect()
}

pub(super) fn timeline(connection: &Connection, id: BookingId) -> rusqlite::Result<Option<Vec<Entry>>> {
    let accepted: Option<Millis> =
        connection.prepare_cached("SELECT created_at FROM booking WHERE id = ?1")?.query_row([id], |row| row.get(0)).optional()?;
    accepted.map(|accepted| entries_after(connection, id, accepted, 0, usize::MAX)).transpose()
}

/// The entries of a booking's timeline that come after a place in it, as many as `most`.
pub(super) fn entries_after(
    connection: &Connection,
    id: BookingId,
    accepted: Millis,
    after: u32,
    most: usize,
) -> rusqlite::Result<Vec<Entry>> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut entries = Vec::new();
    if after == 0 {
        entries.push(Entry::new(1, accepted.time(), EntryKind::Accepted));
    }
    let mut written = connection.prepare_cached(
        "SELECT seq, at, kind, attempt, worker, code, next_try, channel, notice FROM timeline WHERE booking = ?1 AND seq > ?2 \
         ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = written.query(params![id, after, limit])?;
    while let Some(row) = rows.next()? {
        entries.push(Entry {
            attempt: row.get(3)?,
            worker: row.get(4)?,
            code: row.get(5)?,
            next_try: row.get::<_, Option<Millis>>(6)?.map(Millis::time),
            channel: row.get(7)?,
            notice: row.get::<_, Option<crate::id::NoticeId>>(8)?.map(|notice| notice.to_string()),
            ..Entry::new(row.get(0)?, row.get::<_, Millis>(1)?.time(), row.get(2)?)
        });
    }
    let mut settled = connection.prepare_cached(
        "SELECT seq, settled_at, state, tries, code, channel, id, receipt FROM notice WHERE booking = ?1 AND seq > ?2 \
         ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = settled.query(params![id, after, limit])?;
    while let Some(row) = rows.next()? {
        let kind = match row.get(2)? {
            NoticeState::Sent => EntryKind::NoticeSent,
            NoticeState::Failed => EntryKind::NoticeFailed,
            NoticeState::Skipped | NoticeState::Pending => EntryKind::NoticeSkipped,
        };
        entries.push(Entry {
            attempt: row.get(3)?,
            code: row.get(4)?,
            channel: row.get(5)?,
            notice: Some(row.get::<_, crate::id::NoticeId>(6)?.to_string()),
            receipt: row.get(7)?,
            ..Entry::new(row.get(0)?, row.get::<_, Millis>(1)?.time(), kind)
        });
    }
    entries.sort_unstable_by_key(|entry| entry.seq);
    entries.truncate(most);
    Ok(entries)
}

pub(super) fn stats(connection: &Connection, now: Millis) -> rusqlite::Result<StoreStats> {
    // Jobs are made in the order of acceptance, so the first decide job left is the oldest undecided booking's.
    let oldest: Option<Millis> = connection
        .prepare_cached(
            "SELECT booking.created_at FROM job JOIN booking ON booking.id = job.booking WHERE job.kind = 'decide' ORDER BY job.id LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let overdue: i64 = connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM job WHERE kind IN ('decide', 'tell', 'release') AND next_look <= ?1 LIMIT ?2)) \
             + (SELECT count(*) FROM (SELECT 1 FROM notice WHERE state = 'pending' AND next_look <= ?1 LIMIT ?2))",
        )?
        .query_row(params![now, COUNT_TO], |row| row.get(0))?;
    let overdue = u64::try_from(overdue.min(COUNT_TO)).unwrap_or_default();
    Ok(StoreStats { oldest_undecided: oldest.map(Millis::time), overdue, ..StoreStats::default() })
}

fn record(connection: &Connection, booking: Booking) -> rusqlite::Result<Record> {
    let notices = connection
        .prepare_cached(
            "SELECT notice.id, timeline.kind, notice.channel, notice.state, notice.tries, notice.code, notice.receipt, notice.settled_at \
             FROM notice JOIN timeline ON timeline.booking = notice.booking AND timeline.seq = notice.event_seq \
             WHERE notice.booking = ?1 ORDER BY notice.event_seq, notice.channel",
        )?
        .query_map([booking.id], |row| {
            let event: EventKind = row.get(1)?;
            Ok(NoticeRecord {
                state: row.get(3)?,
                tries: row.get(4)?,
                code: row.get(5)?,
                receipt: row.get(6)?,
                settled_at: row.get::<_, Option<Millis>>(7)?.map(Millis::time),
                ..NoticeRecord::pending(row.get(0)?, event, row.get(2)?)
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Record::new(booking, notices))
}
