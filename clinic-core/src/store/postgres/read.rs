//! Reads: bookings, their ledgers and timelines, lists, figures.

use tokio_postgres::types::ToSql;

use super::{
    error::Result,
    rows::{Columns, Count, Millis, booking_columns, read_booking},
    tx::{Tx, params},
};
use crate::{
    booking::Booking,
    id::{BookingId, NoticeId},
    notification::{EventKind, NoticeRecord, NoticeState},
    page::{DEFAULT_LIMIT, Filter, MAX_LIMIT},
    ports::{Record, StoreStats},
    store::bounds::COUNT_TO,
    timeline::{Entry, EntryKind},
};

pub(super) async fn bookings(tx: &Tx, ids: &[BookingId]) -> Result<Vec<Record>> {
    let sql = concat!("SELECT ", booking_columns!(), " FROM booking WHERE id = ANY ($1) ORDER BY array_position($1, id)");
    let found: Result<Vec<Booking>> = tx.all(sql, params![ids]).await?.iter().map(read_booking).collect();
    records(tx, found?).await
}

pub(super) async fn list(tx: &Tx, filter: &Filter) -> Result<Vec<Record>> {
    let (from, to) = (filter.from.map(Millis::from), filter.to.map(Millis::from));
    let (after_start, after_id) = (filter.after.map(|cursor| Millis::from(cursor.start)), filter.after.map(|cursor| cursor.id));
    let limit = i64::from(if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit.min(MAX_LIMIT) });
    let mut sql = concat!("SELECT ", booking_columns!(), " FROM booking WHERE true").to_owned();
    let mut values: Vec<&(dyn ToSql + Sync)> = Vec::new();
    if let Some(doctor) = &filter.doctor_id {
        condition(&mut sql, &mut values, "doctor_id =", doctor);
    }
    if let Some(patient) = &filter.patient_id {
        condition(&mut sql, &mut values, "patient_id =", patient);
    }
    if let Some(status) = &filter.status {
        condition(&mut sql, &mut values, "status =", status);
    }
    if let Some(from) = &from {
        condition(&mut sql, &mut values, "start_at >=", from);
    }
    if let Some(to) = &to {
        condition(&mut sql, &mut values, "start_at <", to);
    }
    if let (Some(start), Some(id)) = (&after_start, &after_id) {
        values.extend([start as &(dyn ToSql + Sync), id]);
        sql.push_str(&format!(" AND (start_at, id) > (${}, ${})", values.len() - 1, values.len()));
    }
    values.push(&limit);
    sql.push_str(&format!(" ORDER BY start_at, id LIMIT ${}", values.len()));
    let found: Result<Vec<Booking>> = tx.all(&sql, &values).await?.iter().map(read_booking).collect();
    records(tx, found?).await
}

/// One more condition of a statement, and the value that it compares with.
pub(super) fn condition<'a>(sql: &mut String, values: &mut Vec<&'a (dyn ToSql + Sync)>, left: &str, right: &'a (dyn ToSql + Sync)) {
    values.push(right);
    sql.push_str(&format!(" AND {left} ${}", values.len()));
}

pub(super) async fn timeline(tx: &Tx, id: BookingId) -> Result<Option<Vec<Entry>>> {
    match tx.one("SELECT created_at FROM booking WHERE id = $1", params![id]).await? {
        Some(row) => entries_after(tx, id, row.column(0)?, 0, usize::MAX).await.map(Some),
        None => Ok(None),
    }
}

/// The entries of a booking's timeline that come after a place in it, as many as `most`.
pub(super) async fn entries_after(tx: &Tx, id: BookingId, accepted: Millis, after: u32, most: usize) -> Result<Vec<Entry>> {
    let (after_seq, limit) = (Count(after), i64::try_from(most).unwrap_or(i64::MAX));
    let mut entries = Vec::new();
    if after == 0 {
        entries.push(Entry::new(1, accepted.time(), EntryKind::Accepted));
    }
    let sql = "SELECT seq, at, kind, attempt, worker, code, next_try, channel, notice FROM timeline WHERE booking = $1 AND seq > $2 \
               ORDER BY seq LIMIT $3";
    for row in tx.all(sql, params![id, after_seq, limit]).await? {
        entries.push(Entry {
            attempt: row.column::<Option<Count>>(3)?.map(|attempt| attempt.0),
            worker: row.column(4)?,
            code: row.column(5)?,
            next_try: row.column::<Option<Millis>>(6)?.map(Millis::time),
            channel: row.column(7)?,
            notice: row.column::<Option<NoticeId>>(8)?.map(|notice| notice.to_string()),
            ..Entry::new(row.count(0)?, row.column::<Millis>(1)?.time(), row.column(2)?)
        });
    }
    let sql = "SELECT seq, settled_at, state, tries, code, channel, id, receipt FROM notice WHERE booking = $1 AND seq > $2 \
               ORDER BY seq LIMIT $3";
    for row in tx.all(sql, params![id, after_seq, limit]).await? {
        let kind = match row.column(2)? {
            NoticeState::Sent => EntryKind::NoticeSent,
            NoticeState::Failed => EntryKind::NoticeFailed,
            NoticeState::Skipped | NoticeState::Pending => EntryKind::NoticeSkipped,
        };
        entries.push(Entry {
            attempt: Some(row.count(3)?),
            code: row.column(4)?,
            channel: row.column(5)?,
            notice: Some(row.column::<NoticeId>(6)?.to_string()),
            receipt: row.column(7)?,
            ..Entry::new(row.count(0)?, row.column::<Millis>(1)?.time(), kind)
        });
    }
    entries.sort_unstable_by_key(|entry| entry.seq);
    entries.truncate(most);
    Ok(entries)
}

pub(super) async fn stats(tx: &Tx) -> Result<StoreStats> {
    // Jobs are made in the order of acceptance, so the first decide job left is the oldest undecided booking's, up to the order in
    // which transactions that ran at once were committed.
    let sql =
        "SELECT booking.created_at FROM job JOIN booking ON booking.id = job.booking WHERE job.kind = 'decide' ORDER BY job.id LIMIT 1";
    let oldest: Option<Millis> = tx.one(sql, &[]).await?.map(|row| row.column(0)).transpose()?;
    let sql = "SELECT \
               (SELECT count(*) FROM (SELECT 1 FROM job WHERE kind IN ('decide', 'tell', 'release') AND next_look <= $1 LIMIT $2) AS jobs) \
               + (SELECT count(*) FROM (SELECT 1 FROM notice WHERE state = 'pending' AND next_look <= $1 LIMIT $2) AS notices)";
    let overdue: i64 = tx.row(sql, params![tx.now, COUNT_TO]).await?.column(0)?;
    let overdue = u64::try_from(overdue.min(COUNT_TO)).unwrap_or_default();
    Ok(StoreStats { oldest_undecided: oldest.map(Millis::time), overdue, ..StoreStats::default() })
}

/// Bookings with their ledgers.
async fn records(tx: &Tx, bookings: Vec<Booking>) -> Result<Vec<Record>> {
    let ids: Vec<BookingId> = bookings.iter().map(|booking| booking.id).collect();
    let mut records: Vec<Record> = bookings.into_iter().map(|booking| Record::new(booking, Vec::new())).collect();
    if records.is_empty() {
        return Ok(records);
    }
    let sql = "SELECT notice.id, timeline.kind, notice.channel, notice.state, notice.tries, notice.code, notice.receipt, \
               notice.settled_at, notice.booking \
               FROM notice JOIN timeline ON timeline.booking = notice.booking AND timeline.seq = notice.event_seq \
               WHERE notice.booking = ANY ($1) ORDER BY notice.event_seq, notice.channel";
    for row in tx.all(sql, params![ids]).await? {
        let (event, booking): (EventKind, BookingId) = (row.column(1)?, row.column(8)?);
        let notice = NoticeRecord {
            state: row.column(3)?,
            tries: row.count(4)?,
            code: row.column(5)?,
            receipt: row.column(6)?,
            settled_at: row.column::<Option<Millis>>(7)?.map(Millis::time),
            ..NoticeRecord::pending(row.column(0)?, event, row.column(2)?)
        };
        for record in records.iter_mut().filter(|record| record.booking.id == booking) {
            record.notices.push(notice.clone());
        }
    }
    Ok(records)
}
