//! What the store holds, read with plain SQL.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags, Row};
use thiserror::Error;
use uuid::Uuid;

/// Why a store could not be read.
#[derive(Debug, Error)]
#[error("the store cannot be read by the checker: is it a clinic's SQLite file?")]
pub struct FactsError(#[from] rusqlite::Error);

/// A row of `booking`. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingRow {
    /// The booking.
    pub id: Uuid,
    /// Its status.
    pub status: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// The patient's id.
    pub patient_id: Option<String>,
    /// The doctor.
    pub doctor: Option<String>,
    /// Start of the visit.
    pub start: i64,
    /// End of the visit.
    pub end: i64,
    /// Attempts counted.
    pub attempts: i64,
    /// When it was accepted.
    pub created: i64,
    /// When it must be decided.
    pub decide_by: i64,
    /// The rejected booking that it tries again.
    pub replay_of: Option<Uuid>,
    /// The booking that tries it again.
    pub replayed_as: Option<Uuid>,
}

/// A row of `timeline`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineRow {
    /// Its place.
    pub seq: i64,
    /// When.
    pub at: i64,
    /// What.
    pub kind: String,
    /// The attempt's number.
    pub attempt: Option<i64>,
    /// Outcome or reason.
    pub code: Option<String>,
    /// When it is tried again.
    pub next_try: Option<i64>,
}

/// One attempt to decide, from the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number.
    pub number: i64,
    /// When it ended.
    pub at: i64,
    /// Its outcome.
    pub code: String,
    /// When the next one was to follow.
    pub next_try: Option<i64>,
}

/// A row of the notice ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// The event's place in the timeline.
    pub event: i64,
    /// The channel.
    pub channel: String,
    /// The notice.
    pub id: Uuid,
    /// Where it stands.
    pub state: String,
    /// Why, when it was skipped or failed.
    pub code: Option<String>,
}

/// A row of `dead_letter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRow {
    /// What failed.
    pub kind: String,
    /// Why.
    pub code: String,
    /// After how many attempts.
    pub attempts: i64,
    /// The notice, when that is what failed.
    pub notice: Option<Uuid>,
    /// Whether it was replayed.
    pub replayed: bool,
}

/// All of a store, as of one moment. Inner lists are in the order of their place.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Bookings by id.
    pub bookings: BTreeMap<Uuid, BookingRow>,
    /// Timelines by booking.
    pub timeline: BTreeMap<Uuid, Vec<TimelineRow>>,
    /// Ledgers by booking.
    pub notices: BTreeMap<Uuid, Vec<NoticeRow>>,
    /// Jobs that are left: booking and kind.
    pub jobs: Vec<(Uuid, String)>,
    /// Dead letters by booking.
    pub dead_letters: BTreeMap<Uuid, Vec<DeadLetterRow>>,
}

impl Facts {
    /// Reads a store's file, in one read transaction, without writing to it.
    ///
    /// # Errors
    /// [`FactsError`].
    pub fn read(store: &Path) -> Result<Self, FactsError> {
        let mut connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let snapshot = connection.transaction()?;
        let mut facts = Self::default();
        for booking in rows(
            &snapshot,
            "SELECT id, status, reason, patient_id, doctor_id, start_at, end_at, attempts, created_at, decide_by, \
             replay_of, replayed_as FROM booking",
            booking,
        )? {
            facts.bookings.insert(booking.id, booking);
        }
        for (booking, entry) in
            rows(&snapshot, "SELECT booking, seq, at, kind, attempt, code, next_try FROM timeline ORDER BY booking, seq", entry)?
        {
            facts.timeline.entry(booking).or_default().push(entry);
        }
        for (booking, notice) in
            rows(&snapshot, "SELECT booking, event_seq, channel, id, state, code FROM notice ORDER BY booking, event_seq, channel", notice)?
        {
            facts.notices.entry(booking).or_default().push(notice);
        }
        for (booking, letter) in rows(
            &snapshot,
            "SELECT booking, kind, code, attempts, notice, replayed_at IS NOT NULL FROM dead_letter ORDER BY id",
            dead_letter,
        )? {
            facts.dead_letters.entry(booking).or_default().push(letter);
        }
        facts.jobs = rows(&snapshot, "SELECT booking, kind FROM job", |row| Ok((uuid(row, 0)?, row.get(1)?)))?;
        Ok(facts)
    }

    /// The attempts spent on a booking, in order.
    #[must_use]
    pub fn attempts(&self, booking: Uuid) -> Vec<Attempt> {
        let entries = self.timeline.get(&booking).into_iter().flatten().filter(|entry| entry.kind == "attempt");
        entries
            .map(|entry| Attempt {
                number: entry.attempt.unwrap_or(0),
                at: entry.at,
                code: entry.code.clone().unwrap_or_default(),
                next_try: entry.next_try,
            })
            .collect()
    }

    /// The entries that ended a booking or took its end back: `confirmed`, `rejected`, `cancelled`, in order.
    pub(super) fn ends(&self, booking: Uuid) -> impl Iterator<Item = &TimelineRow> {
        let is_end = |entry: &&TimelineRow| matches!(entry.kind.as_str(), "confirmed" | "rejected" | "cancelled");
        self.timeline.get(&booking).into_iter().flatten().filter(is_end)
    }

    /// The entries that are to be told: the ends and the reminders, in order.
    pub(super) fn events(&self, booking: Uuid) -> impl Iterator<Item = &TimelineRow> {
        let is_event = |entry: &&TimelineRow| matches!(entry.kind.as_str(), "confirmed" | "rejected" | "cancelled" | "reminder");
        self.timeline.get(&booking).into_iter().flatten().filter(is_event)
    }
}

/// Whether a store is at rest: no booking pending, no notice unsettled, no job left.
///
/// # Errors
/// [`FactsError`].
pub fn is_at_rest(store: &Path) -> Result<bool, FactsError> {
    let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let sql = "SELECT EXISTS (SELECT 1 FROM job) OR EXISTS (SELECT 1 FROM booking WHERE status = 'pending') \
               OR EXISTS (SELECT 1 FROM notice WHERE state = 'pending')";
    Ok(!connection.query_row(sql, [], |row| row.get::<_, bool>(0))?)
}

fn rows<T>(connection: &Connection, sql: &str, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}

fn optional_uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    Ok(row.get::<_, Option<[u8; 16]>>(column)?.map(Uuid::from_bytes))
}

fn booking(row: &Row<'_>) -> rusqlite::Result<BookingRow> {
    Ok(BookingRow {
        id: uuid(row, 0)?,
        status: row.get(1)?,
        reason: row.get(2)?,
        patient_id: row.get(3)?,
        doctor: row.get(4)?,
        start: row.get(5)?,
        end: row.get(6)?,
        attempts: row.get(7)?,
        created: row.get(8)?,
        decide_by: row.get(9)?,
        replay_of: optional_uuid(row, 10)?,
        replayed_as: optional_uuid(row, 11)?,
    })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(Uuid, TimelineRow)> {
    let entry = TimelineRow {
        seq: row.get(1)?,
        at: row.get(2)?,
        kind: row.get(3)?,
        attempt: row.get(4)?,
        code: row.get(5)?,
        next_try: row.get(6)?,
    };
    Ok((uuid(row, 0)?, entry))
}

fn notice(row: &Row<'_>) -> rusqlite::Result<(Uuid, NoticeRow)> {
    let notice = NoticeRow { event: row.get(1)?, channel: row.get(2)?, id: uuid(row, 3)?, state: row.get(4)?, code: row.get(5)? };
    Ok((uuid(row, 0)?, notice))
}

fn dead_letter(row: &Row<'_>) -> rusqlite::Result<(Uuid, DeadLetterRow)> {
    let letter = DeadLetterRow {
        kind: row.get(1)?,
        code: row.get(2)?,
        attempts: row.get(3)?,
        notice: optional_uuid(row, 4)?,
        replayed: row.get(5)?,
    };
    Ok((uuid(row, 0)?, letter))
}
