//! Rows and the domain: the one place where columns get their types.

use std::error::Error as StdError;

use bytes::BytesMut;
use tokio_postgres::{
    Row,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};
use uuid::Uuid;

use super::{
    error::{Error, Result},
    tx::{Tx, params},
};
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

type Converted<T> = std::result::Result<T, Box<dyn StdError + Sync + Send>>;

/// Declares a column's type by that of the library it is kept as, and the two ways between them.
macro_rules! column {
    ($name:ident as $kept:ty, |$value:ident| $to:expr, |$column:ident| $from:expr) => {
        impl ToSql for $name {
            fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Converted<IsNull> {
                let $value = self;
                <$kept as ToSql>::to_sql(&$to, ty, out)
            }

            fn accepts(ty: &Type) -> bool {
                <$kept as ToSql>::accepts(ty)
            }

            to_sql_checked!();
        }

        impl<'a> FromSql<'a> for $name {
            fn from_sql(ty: &Type, raw: &'a [u8]) -> Converted<Self> {
                let $column = <$kept as FromSql<'a>>::from_sql(ty, raw)?;
                $from
            }

            fn accepts(ty: &Type) -> bool {
                <$kept as FromSql<'a>>::accepts(ty)
            }
        }
    };
}

macro_rules! ids {
    ($($name:ident),+) => {$(column!($name as Uuid, |id| id.uuid(), |uuid| Ok(uuid.into()));)+};
}
ids!(BookingId, EndpointId, JobId, NoticeId, Token);

macro_rules! codes {
    ($($name:ident),+) => {$(
        column!($name as &str, |code| code.as_str(), |text| Self::parse(text).ok_or_else(|| "an unknown code".into()));
    )+};
}
codes!(DeadLetterKind, Status, Reason, Language, JobKind, EventKind, EntryKind, NoticeState);

/// Of an entry of the timeline: whether it is told. In one piece, as the statements that ask so are.
macro_rules! is_event {
    () => {
        "kind IN ('confirmed', 'rejected', 'cancelled', 'reminder')"
    };
}
pub(super) use is_event;

column!(Millis as i64, |time| time.0, |millis| Ok(Self(millis)));

/// A small number as a column: attempts, tries, losses, places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub(super) u32);
column!(Count as i32, |count| i32::try_from(count.0)?, |number| Ok(Self(u32::try_from(number)?)));

/// A row's columns, read as what they are to be.
pub(super) trait Columns {
    /// A column of the row, from 0.
    fn column<'a, T: FromSql<'a>>(&'a self, index: usize) -> Result<T>;

    fn count(&self, index: usize) -> Result<u32>;
}

impl Columns for Row {
    fn column<'a, T: FromSql<'a>>(&'a self, index: usize) -> Result<T> {
        // The error names the column and its type, never what it holds.
        self.try_get(index).map_err(|error| Error::Unreadable(error.to_string()))
    }

    fn count(&self, index: usize) -> Result<u32> {
        self.column::<Count>(index).map(|count| count.0)
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

pub(super) fn read_booking(row: &Row) -> Result<Booking> {
    Ok(Booking {
        id: row.column(0)?,
        status: row.column(1)?,
        reason: row.column(2)?,
        appointment: Appointment {
            patient_id: row.column(3)?,
            patient_name: row.column(4)?,
            doctor_id: row.column(5)?,
            slot: slot(row)?,
            // A zone that this release does not know (any more) must not keep a booking from being decided and told.
            timezone: row.column::<&str>(8)?.parse().unwrap_or(chrono_tz::UTC),
            language: row.column(9)?,
            contact: Contact { email: row.column(10)?, phone: row.column(11)? },
        },
        attempts: row.count(12)?,
        created_at: row.column::<Millis>(13)?.time(),
        decide_by: row.column::<Millis>(14)?.time(),
        decided_at: row.column::<Option<Millis>>(15)?.map(Millis::time),
        replay_of: row.column(16)?,
        replayed_as: row.column(17)?,
    })
}

/// A booking by its id.
pub(super) async fn booking(tx: &Tx, id: BookingId) -> Result<Option<Booking>> {
    let row = tx.one(concat!("SELECT ", booking_columns!(), " FROM booking WHERE id = $1"), params![id]).await?;
    row.as_ref().map(read_booking).transpose()
}

fn slot(row: &Row) -> Result<Slot> {
    let (start, end): (Millis, Millis) = (row.column(6)?, row.column(7)?);
    let minutes = u16::try_from((end.0 - start.0) / 60_000).ok();
    minutes.and_then(|minutes| Slot::new(start.time(), minutes).ok()).ok_or_else(|| Error::Unreadable("no slot".into()))
}
