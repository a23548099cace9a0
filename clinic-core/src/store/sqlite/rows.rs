//! Rows and the domain: the one place where columns get their types.

use rusqlite::{
    Connection, OptionalExtension, Row, ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use uuid::Uuid;

pub(super) use crate::store::millis::Millis;
use crate::{
    booking::{Appointment, Booking, Contact, Language, Status},
    dead_letter::DeadLetterKind,
    decision::Reason,
    id::{BookingId, EndpointId, JobId, NoticeId, Token},
    job::JobKind,
    notification::{EventKind, NoticeState},
    slot::Slot,
    timeline::EntryKind,
};

macro_rules! id_column {
    ($($name:ident),+) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; 16]>::column_result(value).map(|bytes| Uuid::from_bytes(bytes).into())
            }
        }
    )+};
}
id_column!(BookingId, EndpointId, JobId, NoticeId, Token);

macro_rules! code_column {
    ($($name:ident),+) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.as_str().as_bytes())))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::parse(value.as_str()?).ok_or(FromSqlError::InvalidType)
            }
        }
    )+};
}
code_column!(DeadLetterKind, Status, Reason, Language, JobKind, EventKind, EntryKind, NoticeState);

/// Of an entry of the timeline: whether it is told. In one piece, as the statements that ask so are.
macro_rules! is_event {
    () => {
        "(kind = 'confirmed' OR kind = 'rejected' OR kind = 'cancelled' OR kind = 'reminder')"
    };
}
pub(super) use is_event;

impl ToSql for Millis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

/// The columns that [`read_booking`] reads, in its order.
macro_rules! booking_columns {
    () => {
        "id, status, reason, patient_id, patient_name, doctor_id, start_at, end_at, timezone, language, \
         email, phone, attempts, created_at, decide_by, decided_at, replay_of, replayed_as"
    };
}
pub(super) use booking_columns;

pub(super) fn read_booking(row: &Row<'_>) -> rusqlite::Result<Booking> {
    Ok(Booking {
        id: row.get(0)?,
        status: row.get(1)?,
        reason: row.get(2)?,
        appointment: Appointment {
            patient_id: row.get(3)?,
            patient_name: row.get(4)?,
            doctor_id: row.get(5)?,
            slot: slot(row)?,
            timezone: zone(row)?,
            language: row.get(9)?,
            contact: Contact { email: row.get(10)?, phone: row.get(11)? },
        },
        attempts: row.get(12)?,
        created_at: row.get::<_, Millis>(13)?.time(),
        decide_by: row.get::<_, Millis>(14)?.time(),
        decided_at: row.get::<_, Option<Millis>>(15)?.map(Millis::time),
        replay_of: row.get(16)?,
        replayed_as: row.get(17)?,
    })
}

/// A booking by its id.
pub(super) fn booking(connection: &Connection, id: BookingId) -> rusqlite::Result<Option<Booking>> {
    const SQL: &str = concat!("SELECT ", booking_columns!(), " FROM booking WHERE id = ?1");
    connection.prepare_cached(SQL)?.query_row([id], read_booking).optional()
}

/// Whether a row, rather than the store, is at fault.
pub(super) fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(error, Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..))
}

fn slot(row: &Row<'_>) -> rusqlite::Result<Slot> {
    let (start, end): (Millis, Millis) = (row.get(6)?, row.get(7)?);
    u16::try_from((end.0 - start.0) / 60_000).ok().and_then(|minutes| Slot::new(start.time(), minutes).ok()).ok_or_else(|| invalid(7))
}

fn zone(row: &Row<'_>) -> rusqlite::Result<chrono_tz::Tz> {
    // A zone that this release does not know (any more) must not keep a booking from being decided and told.
    Ok(row.get_ref(8)?.as_str()?.parse().unwrap_or(chrono_tz::UTC))
}

fn invalid(column: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(FromSqlError::InvalidType))
}
