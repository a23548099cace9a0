//! Accepting: the booking holding its slot, its key and its decide job, in one transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    ending,
    rows::{self, Millis},
    tx::Tx,
};
use crate::{
    booking::Booking,
    id::BookingId,
    job::JobKind,
    ports::{Acceptance, Keyed, NewBooking},
    request::IdempotencyKey,
    timeline::EntryKind,
};

pub(super) fn accept(tx: &Tx<'_>, new: &NewBooking) -> rusqlite::Result<Acceptance> {
    if let Some(key) = &new.key {
        match keyed(tx.connection, key)? {
            Some(Keyed::Same(booking)) => return Ok(Acceptance::Replayed(*booking)),
            Some(Keyed::Other) => return Ok(Acceptance::KeyReused),
            None => {}
        }
    }
    if too_many_pending(tx, new)? {
        return Ok(Acceptance::TooManyPending);
    }
    match place(tx, new) {
        Err(error) if is_slot_taken(&error) => Ok(Acceptance::SlotTaken),
        placed => placed.map(Acceptance::Accepted),
    }
}

/// Writes a booking that takes its slot, and its decide job; an older one that it tries again is marked as replayed.
pub(super) fn place(tx: &Tx<'_>, new: &NewBooking) -> rusqlite::Result<Booking> {
    let booking = Booking::accepted(new.id, new.appointment.clone(), tx.now.time(), new.decide_within, new.replay_of);
    insert(tx, new, &booking)?;
    tx.connection
        .prepare_cached("INSERT INTO job (id, kind, booking, due_at, next_look) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![new.job, JobKind::Decide, new.id, tx.now, tx.now.plus(new.look_after)])?;
    if let Some(rejected) = new.replay_of {
        tx.connection.prepare_cached("UPDATE booking SET replayed_as = ?2 WHERE id = ?1")?.execute(params![rejected, new.id])?;
        ending::entry(tx, rejected, EntryKind::Replayed, None, None, None, None)?;
    }
    Ok(booking)
}

/// What a key was used for.
pub(super) fn keyed(connection: &Connection, key: &IdempotencyKey) -> rusqlite::Result<Option<Keyed>> {
    let found: Option<(BookingId, [u8; 32])> = connection
        .prepare_cached("SELECT id, request_hash FROM booking WHERE key_hash = ?1")?
        .query_row([key.key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        None => None,
        Some((_, request)) if request != key.request => Some(Keyed::Other),
        Some((id, _)) => rows::booking(connection, id)?.map(|booking| Keyed::Same(Box::new(booking.as_first_answered()))),
    })
}

fn too_many_pending(tx: &Tx<'_>, new: &NewBooking) -> rusqlite::Result<bool> {
    let Some(patient) = &new.appointment.patient_id else { return Ok(false) };
    // Who is undecided has the visit still ahead, up to a sweep; so old bookings are not looked at, however many there are.
    let pending: u32 = tx
        .connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM booking WHERE patient_id = ?1 AND start_at > ?2 AND status = 'pending' LIMIT ?3)",
        )?
        .query_row(params![patient, tx.now, new.pending_per_patient], |row| row.get(0))?;
    Ok(pending >= new.pending_per_patient)
}

fn insert(tx: &Tx<'_>, new: &NewBooking, booking: &Booking) -> rusqlite::Result<()> {
    let appointment = &booking.appointment;
    tx.connection
        .prepare_cached(
            "INSERT OR FAIL INTO booking (id, status, patient_id, patient_name, doctor_id, start_at, end_at, timezone, language, email, \
             phone, created_at, decide_by, key_hash, request_hash, replay_of, job) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?
        .execute(params![
            booking.id,
            booking.status,
            appointment.patient_id,
            appointment.patient_name,
            appointment.doctor_id,
            Millis::from(appointment.slot.start()),
            Millis::from(appointment.slot.end()),
            appointment.timezone.name(),
            appointment.language,
            appointment.contact.email,
            appointment.contact.phone,
            Millis::from(booking.created_at),
            Millis::from(booking.decide_by),
            new.key.map(|key| key.key),
            new.key.map(|key| key.request),
            booking.replay_of,
            new.job,
        ])
        .map(drop)
}

/// Whether the schema's overlap rule spoke.
pub(super) fn is_slot_taken(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(_, Some(message)) if message == "slot_taken")
}
