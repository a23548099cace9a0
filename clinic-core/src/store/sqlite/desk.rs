//! The dead-letter desk: letters read, tried and replayed, each once.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{
    accept, ending, remind,
    rows::{self, Millis, is_event},
    tx::Tx,
};
use crate::{
    booking::Booking,
    dead_letter::{DeadLetter, DeadLetterId, DeadLetterKind, LetterFilter, ReplayRefused},
    id::{JobId, NoticeId},
    job::JobKind,
    message::Message,
    notification::{EventKind, TOO_LATE},
    page::{DEFAULT_LIMIT, MAX_LIMIT},
    ports::{NewBooking, Replay, Replayed},
    timeline::EntryKind,
    topology::{Publication, Route},
    webhook,
};

/// The columns of [`read`], in its order, and where they come from. A notice is found by its booking, the ledger's key.
macro_rules! letters {
    () => {
        "SELECT letter.id, letter.booking, letter.kind, letter.code, letter.attempts, letter.at, letter.notice, letter.replayed_at, \
         (SELECT channel FROM notice WHERE notice.booking = letter.booking AND notice.id = letter.notice), \
         CASE WHEN letter.kind = 'decide' THEN (SELECT replayed_as FROM booking WHERE booking.id = letter.booking) END \
         FROM dead_letter AS letter"
    };
}

pub(super) fn list(connection: &Connection, filter: &LetterFilter) -> rusqlite::Result<Vec<DeadLetter>> {
    let (since, before) = (filter.since.map(Millis::from), filter.before.map(Millis::from));
    let (after_at, after_id) = (filter.after.map(|cursor| Millis::from(cursor.at)), filter.after.map(|cursor| cursor.id.0));
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit.min(MAX_LIMIT) };
    let mut sql = concat!(letters!(), " WHERE true").to_owned();
    let mut values: Vec<&dyn ToSql> = Vec::new();
    if let Some(code) = &filter.code {
        sql.push_str(" AND letter.code = ?");
        values.push(code);
    }
    if let Some(kind) = &filter.kind {
        sql.push_str(" AND letter.kind = ?");
        values.push(kind);
    }
    if let Some(since) = &since {
        sql.push_str(" AND letter.at >= ?");
        values.push(since);
    }
    if let Some(before) = &before {
        sql.push_str(" AND letter.at < ?");
        values.push(before);
    }
    match filter.replayed {
        Some(true) => sql.push_str(" AND letter.replayed_at IS NOT NULL"),
        Some(false) => sql.push_str(" AND letter.replayed_at IS NULL"),
        None => {}
    }
    if let (Some(at), Some(id)) = (&after_at, &after_id) {
        sql.push_str(" AND (letter.at, letter.id) > (?, ?)");
        values.extend([at as &dyn ToSql, id]);
    }
    sql.push_str(" ORDER BY letter.at, letter.id LIMIT ?");
    values.push(&limit);
    connection.prepare_cached(&sql)?.query_map(values.as_slice(), read)?.collect()
}

pub(super) fn find(connection: &Connection, id: DeadLetterId) -> rusqlite::Result<Option<DeadLetter>> {
    connection.prepare_cached(concat!(letters!(), " WHERE letter.id = ?1"))?.query_row([id.0], read).optional()
}

/// What replaying a letter at `now` would come to.
pub(super) fn try_replay(connection: &Connection, now: Millis, id: DeadLetterId) -> rusqlite::Result<Replayed> {
    let Some(letter) = find(connection, id)? else { return Ok(Replayed::NotFound) };
    Ok(match refusal(connection, now, &letter)? {
        Some(refused) => Replayed::Refused(letter, refused),
        None => Replayed::Possible(letter),
    })
}

pub(super) fn replay(tx: &Tx<'_>, replay: &Replay) -> rusqlite::Result<Replayed> {
    let Some(letter) = find(tx.connection, replay.letter)? else { return Ok(Replayed::NotFound) };
    if done_by(tx, &letter)? == Some(replay.job) {
        // This very replay had been committed when nobody could tell.
        let publication = publication(tx, &letter, replay)?;
        return Ok(Replayed::Done(letter, publication));
    }
    if let Some(refused) = refusal(tx.connection, tx.now, &letter)? {
        return Ok(Replayed::Refused(letter, refused));
    }
    match letter.kind {
        DeadLetterKind::Decide => match book_again(tx, &letter, replay) {
            Err(error) if accept::is_slot_taken(&error) => return Ok(Replayed::Refused(letter, ReplayRefused::SlotTaken)),
            booked => booked?,
        },
        DeadLetterKind::Notice => tell_again(tx, &letter, replay)?,
        DeadLetterKind::Release => release_again(tx, &letter, replay)?,
    }
    tx.connection.prepare_cached("UPDATE dead_letter SET replayed_at = ?2, replay = ?3 WHERE id = ?1")?.execute(params![
        letter.id.0,
        tx.now,
        replay.job
    ])?;
    let publication = publication(tx, &letter, replay)?;
    let letter = find(tx.connection, replay.letter)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Replayed::Done(letter, publication))
}

fn refusal(connection: &Connection, now: Millis, letter: &DeadLetter) -> rusqlite::Result<Option<ReplayRefused>> {
    if letter.replayed_at.is_some() || letter.replayed_as.is_some() {
        return Ok(Some(ReplayRefused::AlreadyReplayed));
    }
    match letter.kind {
        DeadLetterKind::Decide => {
            let booking = rows::booking(connection, letter.booking)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            let slot = booking.appointment.slot;
            if Millis::from(slot.start()) <= now {
                return Ok(Some(ReplayRefused::AlreadyStarted));
            }
            Ok(is_taken(connection, &booking)?.then_some(ReplayRefused::SlotTaken))
        }
        DeadLetterKind::Notice => notice_refusal(connection, now, letter),
        DeadLetterKind::Release => Ok(None),
    }
}

/// The schema's overlap rule, asked ahead; the insert is held against it all the same.
fn is_taken(connection: &Connection, booking: &Booking) -> rusqlite::Result<bool> {
    let appointment = &booking.appointment;
    let Some(doctor) = &appointment.doctor_id else { return Ok(false) };
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM booking WHERE doctor_id = ?1 AND status IN ('pending', 'confirmed') \
             AND start_at < ?3 AND start_at > ?2 - 28800000 AND end_at > ?2)",
        )?
        .query_row(params![doctor, Millis::from(appointment.slot.start()), Millis::from(appointment.slot.end())], |row| row.get(0))
}

fn notice_refusal(connection: &Connection, now: Millis, letter: &DeadLetter) -> rusqlite::Result<Option<ReplayRefused>> {
    let notice = Failed::find(connection, letter)?;
    if notice.event == EventKind::Reminder {
        let booking = rows::booking(connection, letter.booking)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        if remind::pointless(now, notice.event, &booking) == Some(TOO_LATE) {
            return Ok(Some(ReplayRefused::AlreadyStarted));
        }
    }
    if let (_, Some(endpoint)) = webhook::split(&notice.channel) {
        let found: Option<(bool, bool)> = connection
            .prepare_cached("SELECT removed_at IS NOT NULL, disabled_at IS NOT NULL FROM webhook WHERE id = ?1")?
            .query_row([endpoint], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            None | Some((true, _)) => return Ok(Some(ReplayRefused::EndpointRemoved)),
            Some((false, true)) => return Ok(Some(ReplayRefused::EndpointDisabled)),
            Some((false, false)) => {}
        }
    }
    let superseded: bool = connection
        .prepare_cached(concat!(
            "SELECT EXISTS (SELECT 1 FROM notice WHERE booking = ?1 AND event_seq > ?2 AND channel = ?3) \
                 OR EXISTS (SELECT 1 FROM timeline WHERE booking = ?1 AND seq > ?2 AND ",
            is_event!(),
            ")",
        ))?
        .query_row(params![letter.booking, notice.event_seq, notice.channel], |row| row.get(0))?;
    Ok(superseded.then_some(ReplayRefused::Superseded))
}

/// The replay that a letter had.
fn done_by(tx: &Tx<'_>, letter: &DeadLetter) -> rusqlite::Result<Option<JobId>> {
    tx.connection.prepare_cached("SELECT replay FROM dead_letter WHERE id = ?1")?.query_row([letter.id.0], |row| row.get(0))
}

/// A new booking for the same visit, as if it had been asked for now, but without the key of the old one and without the limit of
/// undecided bookings: it is the clinic that tries again, not the patient.
fn book_again(tx: &Tx<'_>, letter: &DeadLetter, replay: &Replay) -> rusqlite::Result<()> {
    let old = rows::booking(tx.connection, letter.booking)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let mut new = NewBooking::new(old.appointment, None, replay.decide_within, u32::MAX, replay.look_after);
    (new.id, new.job, new.replay_of) = (replay.booking, replay.job, Some(letter.booking));
    accept::place(tx, &new)?;
    ending::entry(tx, new.id, EntryKind::Replayed, None, None, None, None).map(drop)
}

/// The same notice under its own id, its tries counted anew. What the ledger showed of its failure moves to the timeline.
fn tell_again(tx: &Tx<'_>, letter: &DeadLetter, replay: &Replay) -> rusqlite::Result<()> {
    let notice = Failed::find(tx.connection, letter)?;
    tx.connection
        .prepare_cached(
            "INSERT INTO timeline (booking, seq, at, kind, attempt, code, channel, notice) \
             SELECT booking, seq, settled_at, ?4, tries, code, channel, id FROM notice \
             WHERE booking = ?1 AND event_seq = ?2 AND channel = ?3 AND seq IS NOT NULL",
        )?
        .execute(params![letter.booking, notice.event_seq, notice.channel, EntryKind::NoticeFailed])?;
    tx.connection
        .prepare_cached(
            "UPDATE notice SET state = 'pending', tries = 0, losses = 0, code = NULL, receipt = NULL, seq = NULL, settled_at = NULL, \
             token = NULL, due_at = ?4, next_look = ?5 WHERE booking = ?1 AND event_seq = ?2 AND channel = ?3",
        )?
        .execute(params![letter.booking, notice.event_seq, notice.channel, tx.now, tx.now.plus(replay.look_after)])?;
    let seq = ending::next_seq(tx, letter.booking)?;
    tx.connection
        .prepare_cached("INSERT INTO timeline (booking, seq, at, kind, channel, notice) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![letter.booking, seq, tx.now, EntryKind::Replayed, notice.channel, letter.notice])
        .map(drop)
}

fn release_again(tx: &Tx<'_>, letter: &DeadLetter, replay: &Replay) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached("INSERT INTO job (id, kind, booking, due_at, next_look) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![replay.job, JobKind::Release, letter.booking, tx.now, tx.now.plus(replay.look_after)])?;
    ending::entry(tx, letter.booking, EntryKind::Replayed, None, None, None, None).map(drop)
}

fn publication(tx: &Tx<'_>, letter: &DeadLetter, replay: &Replay) -> rusqlite::Result<Publication> {
    Ok(match letter.kind {
        DeadLetterKind::Decide => Publication::new(Message::new(replay.job, JobKind::Decide, replay.booking), Route::Work),
        DeadLetterKind::Release => Publication::new(Message::new(replay.job, JobKind::Release, letter.booking), Route::Work),
        DeadLetterKind::Notice => {
            let notice = Failed::find(tx.connection, letter)?;
            Publication::new(Message::new(notice.job, JobKind::Tell, letter.booking), Route::News(notice.event))
        }
    })
}

/// The ledger row of a letter.
struct Failed {
    event_seq: u32,
    channel: String,
    job: JobId,
    event: EventKind,
}

impl Failed {
    fn find(connection: &Connection, letter: &DeadLetter) -> rusqlite::Result<Self> {
        connection
            .prepare_cached(
                "SELECT notice.event_seq, notice.channel, notice.job, timeline.kind FROM notice \
                 JOIN timeline ON timeline.booking = notice.booking AND timeline.seq = notice.event_seq \
                 WHERE notice.booking = ?1 AND notice.id = ?2",
            )?
            .query_row(params![letter.booking, letter.notice], |row| {
                Ok(Self { event_seq: row.get(0)?, channel: row.get(1)?, job: row.get(2)?, event: row.get(3)? })
            })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let mut letter =
        DeadLetter::new(DeadLetterId(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get::<_, Millis>(5)?.time());
    letter.notice = row.get::<_, Option<NoticeId>>(6)?;
    letter.replayed_at = row.get::<_, Option<Millis>>(7)?.map(Millis::time);
    letter.channel = row.get(8)?;
    letter.replayed_as = row.get(9)?;
    Ok(letter)
}
