//! The dead-letter desk: letters read, tried and replayed, each once.

use tokio_postgres::{Row, types::ToSql};

use super::{
    accept::{named, place},
    ending,
    error::{Error, Result},
    read::condition,
    remind,
    rows::{Columns, Count, Millis, is_event},
    tx::{Tx, params},
};
use crate::{
    booking::Booking,
    dead_letter::{DeadLetter, DeadLetterId, DeadLetterKind, LetterFilter, ReplayRefused},
    id::JobId,
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

pub(super) async fn list(tx: &Tx, filter: &LetterFilter) -> Result<Vec<DeadLetter>> {
    let (since, before) = (filter.since.map(Millis::from), filter.before.map(Millis::from));
    let (after_at, after_id) = (filter.after.map(|cursor| Millis::from(cursor.at)), filter.after.map(|cursor| cursor.id.0));
    let limit = i64::from(if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit.min(MAX_LIMIT) });
    let mut sql = concat!(letters!(), " WHERE true").to_owned();
    let mut values: Vec<&(dyn ToSql + Sync)> = Vec::new();
    if let Some(code) = &filter.code {
        condition(&mut sql, &mut values, "letter.code =", code);
    }
    if let Some(kind) = &filter.kind {
        condition(&mut sql, &mut values, "letter.kind =", kind);
    }
    if let Some(since) = &since {
        condition(&mut sql, &mut values, "letter.at >=", since);
    }
    if let Some(before) = &before {
        condition(&mut sql, &mut values, "letter.at <", before);
    }
    match filter.replayed {
        Some(true) => sql.push_str(" AND letter.replayed_at IS NOT NULL"),
        Some(false) => sql.push_str(" AND letter.replayed_at IS NULL"),
        None => {}
    }
    if let (Some(at), Some(id)) = (&after_at, &after_id) {
        values.extend([at as &(dyn ToSql + Sync), id]);
        sql.push_str(&format!(" AND (letter.at, letter.id) > (${}, ${})", values.len() - 1, values.len()));
    }
    values.push(&limit);
    sql.push_str(&format!(" ORDER BY letter.at, letter.id LIMIT ${}", values.len()));
    tx.all(&sql, &values).await?.iter().map(read).collect()
}

pub(super) async fn find(tx: &Tx, id: DeadLetterId) -> Result<Option<DeadLetter>> {
    tx.one(concat!(letters!(), " WHERE letter.id = $1"), params![id.0]).await?.as_ref().map(read).transpose()
}

/// What replaying a letter now would come to.
pub(super) async fn try_replay(tx: &Tx, id: DeadLetterId) -> Result<Replayed> {
    let Some(letter) = find(tx, id).await? else { return Ok(Replayed::NotFound) };
    Ok(match refusal(tx, &letter).await? {
        Some(refused) => Replayed::Refused(letter, refused),
        None => Replayed::Possible(letter),
    })
}

pub(super) async fn replay(tx: &Tx, replay: &Replay) -> Result<Replayed> {
    let Some(letter) = find(tx, replay.letter).await? else { return Ok(Replayed::NotFound) };
    // Whoever else replays it waits here, and then sees what was done.
    tx.lock([letter.booking]).await?;
    let Some(letter) = find(tx, replay.letter).await? else { return Ok(Replayed::NotFound) };
    if done_by(tx, &letter).await? == Some(replay.job) {
        // This very replay had been committed when nobody could tell.
        let publication = publication(tx, &letter, replay).await?;
        return Ok(Replayed::Done(letter, publication));
    }
    if let Some(refused) = refusal(tx, &letter).await? {
        return Ok(Replayed::Refused(letter, refused));
    }
    match letter.kind {
        DeadLetterKind::Decide => {
            if !book_again(tx, &letter, replay).await? {
                return Ok(Replayed::Refused(letter, ReplayRefused::SlotTaken));
            }
        }
        DeadLetterKind::Notice => tell_again(tx, &letter, replay).await?,
        DeadLetterKind::Release => release_again(tx, &letter, replay).await?,
    }
    tx.execute("UPDATE dead_letter SET replayed_at = $2, replay = $3 WHERE id = $1", params![letter.id.0, tx.now, replay.job]).await?;
    let publication = publication(tx, &letter, replay).await?;
    let letter = find(tx, replay.letter).await?.ok_or(Error::Missing)?;
    Ok(Replayed::Done(letter, publication))
}

async fn refusal(tx: &Tx, letter: &DeadLetter) -> Result<Option<ReplayRefused>> {
    if letter.replayed_at.is_some() || letter.replayed_as.is_some() {
        return Ok(Some(ReplayRefused::AlreadyReplayed));
    }
    match letter.kind {
        DeadLetterKind::Decide => {
            let booking = named(tx, letter.booking).await?;
            if Millis::from(booking.appointment.slot.start()) <= tx.now {
                return Ok(Some(ReplayRefused::AlreadyStarted));
            }
            Ok(is_taken(tx, &booking).await?.then_some(ReplayRefused::SlotTaken))
        }
        DeadLetterKind::Notice => notice_refusal(tx, letter).await,
        DeadLetterKind::Release => Ok(None),
    }
}

/// The schema's overlap rule, asked ahead; the insert is held against it all the same.
async fn is_taken(tx: &Tx, booking: &Booking) -> Result<bool> {
    let appointment = &booking.appointment;
    let Some(doctor) = &appointment.doctor_id else { return Ok(false) };
    let sql = "SELECT EXISTS (SELECT 1 FROM booking WHERE doctor_id = $1 AND status IN ('pending', 'confirmed') \
               AND int8range(start_at, end_at) && int8range($2, $3))";
    let (start, end) = (Millis::from(appointment.slot.start()), Millis::from(appointment.slot.end()));
    tx.row(sql, params![doctor, start, end]).await?.column(0)
}

async fn notice_refusal(tx: &Tx, letter: &DeadLetter) -> Result<Option<ReplayRefused>> {
    let notice = Failed::find(tx, letter).await?;
    if notice.event == EventKind::Reminder {
        let booking = named(tx, letter.booking).await?;
        if remind::pointless(tx.now, notice.event, &booking) == Some(TOO_LATE) {
            return Ok(Some(ReplayRefused::AlreadyStarted));
        }
    }
    if let (_, Some(endpoint)) = webhook::split(&notice.channel) {
        let sql = "SELECT removed_at IS NOT NULL, disabled_at IS NOT NULL FROM webhook WHERE id = $1";
        let found = tx.one(sql, params![endpoint]).await?;
        match found.map(|row| Ok::<_, Error>((row.column(0)?, row.column(1)?))).transpose()? {
            None | Some((true, _)) => return Ok(Some(ReplayRefused::EndpointRemoved)),
            Some((false, true)) => return Ok(Some(ReplayRefused::EndpointDisabled)),
            Some((false, false)) => {}
        }
    }
    let sql = concat!(
        "SELECT EXISTS (SELECT 1 FROM notice WHERE booking = $1 AND event_seq > $2 AND channel = $3) \
             OR EXISTS (SELECT 1 FROM timeline WHERE booking = $1 AND seq > $2 AND ",
        is_event!(),
        ")",
    );
    let superseded: bool = tx.row(sql, params![letter.booking, Count(notice.event_seq), notice.channel]).await?.column(0)?;
    Ok(superseded.then_some(ReplayRefused::Superseded))
}

/// The replay that a letter had.
async fn done_by(tx: &Tx, letter: &DeadLetter) -> Result<Option<JobId>> {
    tx.row("SELECT replay FROM dead_letter WHERE id = $1", params![letter.id.0]).await?.column(0)
}

/// A new booking for the same visit, as if it had been asked for now, but without the key of the old one and without the limit of
/// undecided bookings: it is the clinic that tries again, not the patient. Whether its slot was free.
async fn book_again(tx: &Tx, letter: &DeadLetter, replay: &Replay) -> Result<bool> {
    let old = named(tx, letter.booking).await?;
    let mut new = NewBooking::new(old.appointment, None, replay.decide_within, u32::MAX, replay.look_after);
    (new.id, new.job, new.replay_of) = (replay.booking, replay.job, Some(letter.booking));
    if place(tx, &new).await?.is_none() {
        return Ok(false);
    }
    ending::entry(tx, new.id, EntryKind::Replayed, None, None, None, None).await?;
    Ok(true)
}

/// The same notice under its own id, its tries counted anew. What the ledger showed of its failure moves to the timeline.
async fn tell_again(tx: &Tx, letter: &DeadLetter, replay: &Replay) -> Result<()> {
    let notice = Failed::find(tx, letter).await?;
    let event = Count(notice.event_seq);
    let sql = "INSERT INTO timeline (booking, seq, at, kind, attempt, code, channel, notice) \
               SELECT booking, seq, settled_at, $4, tries, code, channel, id FROM notice \
               WHERE booking = $1 AND event_seq = $2 AND channel = $3 AND seq IS NOT NULL";
    tx.execute(sql, params![letter.booking, event, notice.channel, EntryKind::NoticeFailed]).await?;
    let sql = "UPDATE notice SET state = 'pending', tries = 0, losses = 0, code = NULL, receipt = NULL, seq = NULL, settled_at = NULL, \
               token = NULL, due_at = $4, next_look = $5 WHERE booking = $1 AND event_seq = $2 AND channel = $3";
    tx.execute(sql, params![letter.booking, event, notice.channel, tx.now, tx.now.plus(replay.look_after)]).await?;
    let seq = Count(ending::next_seq(tx, letter.booking).await?);
    let sql = "INSERT INTO timeline (booking, seq, at, kind, channel, notice) VALUES ($1, $2, $3, $4, $5, $6)";
    tx.execute(sql, params![letter.booking, seq, tx.now, EntryKind::Replayed, notice.channel, letter.notice]).await.map(drop)
}

async fn release_again(tx: &Tx, letter: &DeadLetter, replay: &Replay) -> Result<()> {
    let sql = "INSERT INTO job (id, kind, booking, due_at, next_look) VALUES ($1, $2, $3, $4, $5)";
    tx.execute(sql, params![replay.job, JobKind::Release, letter.booking, tx.now, tx.now.plus(replay.look_after)]).await?;
    ending::entry(tx, letter.booking, EntryKind::Replayed, None, None, None, None).await.map(drop)
}

async fn publication(tx: &Tx, letter: &DeadLetter, replay: &Replay) -> Result<Publication> {
    Ok(match letter.kind {
        DeadLetterKind::Decide => Publication::new(Message::new(replay.job, JobKind::Decide, replay.booking), Route::Work),
        DeadLetterKind::Release => Publication::new(Message::new(replay.job, JobKind::Release, letter.booking), Route::Work),
        DeadLetterKind::Notice => {
            let notice = Failed::find(tx, letter).await?;
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
    async fn find(tx: &Tx, letter: &DeadLetter) -> Result<Self> {
        let sql = "SELECT notice.event_seq, notice.channel, notice.job, timeline.kind FROM notice \
                   JOIN timeline ON timeline.booking = notice.booking AND timeline.seq = notice.event_seq \
                   WHERE notice.booking = $1 AND notice.id = $2";
        let row = tx.row(sql, params![letter.booking, letter.notice]).await?;
        Ok(Self { event_seq: row.count(0)?, channel: row.column(1)?, job: row.column(2)?, event: row.column(3)? })
    }
}

fn read(row: &Row) -> Result<DeadLetter> {
    let at = row.column::<Millis>(5)?.time();
    let mut letter = DeadLetter::new(DeadLetterId(row.column(0)?), row.column(1)?, row.column(2)?, row.column(3)?, row.count(4)?, at);
    letter.notice = row.column(6)?;
    letter.replayed_at = row.column::<Option<Millis>>(7)?.map(Millis::time);
    letter.channel = row.column(8)?;
    letter.replayed_as = row.column(9)?;
    Ok(letter)
}
