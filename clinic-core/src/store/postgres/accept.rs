//! Accepting: the booking holding its slot, its key and its decide job, in one transaction.

use super::{
    ending,
    error::{Error, Result},
    rows::{self, Columns, Count, Millis},
    tx::{Tx, params, patients},
};
use crate::{
    booking::Booking,
    id::BookingId,
    job::JobKind,
    ports::{Acceptance, Keyed, NewBooking},
    request::IdempotencyKey,
    timeline::EntryKind,
};

pub(super) async fn accept(tx: &Tx, new: &NewBooking) -> Result<Acceptance> {
    if let Some(known) = known(tx, new).await? {
        return Ok(known);
    }
    if too_many_pending(tx, new).await? {
        return Ok(Acceptance::TooManyPending);
    }
    if let Some(booking) = place(tx, new).await? {
        return Ok(Acceptance::Accepted(booking));
    }
    // Another with the same key may have been first.
    Ok(known(tx, new).await?.unwrap_or(Acceptance::SlotTaken))
}

/// Writes a booking that takes its slot, and its decide job; an older one that it tries again is marked as replayed. `None` when the
/// schema's rules keep it out: its slot or its key is taken.
pub(super) async fn place(tx: &Tx, new: &NewBooking) -> Result<Option<Booking>> {
    let booking = Booking::accepted(new.id, new.appointment.clone(), tx.now.time(), new.decide_within, new.replay_of);
    if insert(tx, new, &booking).await? == 0 {
        return Ok(None);
    }
    let sql = "INSERT INTO job (id, kind, booking, due_at, next_look) VALUES ($1, $2, $3, $4, $5)";
    tx.execute(sql, params![new.job, JobKind::Decide, new.id, tx.now, tx.now.plus(new.look_after)]).await?;
    if let Some(rejected) = new.replay_of {
        tx.execute("UPDATE booking SET replayed_as = $2 WHERE id = $1", params![rejected, new.id]).await?;
        ending::entry(tx, rejected, EntryKind::Replayed, None, None, None, None).await?;
    }
    Ok(Some(booking))
}

/// What a key was used for.
pub(super) async fn keyed(tx: &Tx, key: &IdempotencyKey) -> Result<Option<Keyed>> {
    let found = tx.one("SELECT id, request_hash FROM booking WHERE key_hash = $1", params![&key.key[..]]).await?;
    let Some(found) = found else { return Ok(None) };
    if found.column::<&[u8]>(1)? != key.request {
        return Ok(Some(Keyed::Other));
    }
    let booking = rows::booking(tx, found.column::<BookingId>(0)?).await?;
    Ok(booking.map(|booking| Keyed::Same(Box::new(booking.as_first_answered()))))
}

async fn known(tx: &Tx, new: &NewBooking) -> Result<Option<Acceptance>> {
    let Some(key) = &new.key else { return Ok(None) };
    Ok(keyed(tx, key).await?.map(|keyed| match keyed {
        Keyed::Same(booking) => Acceptance::Replayed(*booking),
        Keyed::Other => Acceptance::KeyReused,
    }))
}

async fn too_many_pending(tx: &Tx, new: &NewBooking) -> Result<bool> {
    let Some(patient) = &new.appointment.patient_id else { return Ok(false) };
    // One patient's requests are counted one after the other.
    tx.execute(concat!("SELECT pg_advisory_xact_lock(", patients!(), ", hashtext($1))"), params![patient]).await?;
    // Who is undecided has the visit still ahead, up to a sweep; so old bookings are not looked at, however many there are.
    // No other index fits these conditions (see `plain`).
    let sql = "SELECT count(*)::integer FROM \
               (SELECT 1 FROM booking WHERE patient_id = $1 AND (patient_id, start_at) > ($1, $2) AND status || '' = 'pending' \
               LIMIT $3) AS pending";
    let pending = tx.row(sql, params![patient, tx.now, i64::from(new.pending_per_patient)]).await?;
    Ok(pending.count(0)? >= new.pending_per_patient)
}

async fn insert(tx: &Tx, new: &NewBooking, booking: &Booking) -> Result<u64> {
    let appointment = &booking.appointment;
    let (key, request) = (new.key.as_ref().map(|key| &key.key[..]), new.key.as_ref().map(|key| &key.request[..]));
    let sql = "INSERT INTO booking (id, status, patient_id, patient_name, doctor_id, start_at, end_at, timezone, language, email, \
               phone, attempts, created_at, decide_by, key_hash, request_hash, replay_of, job) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) ON CONFLICT DO NOTHING";
    let values = params![
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
        Count(0),
        Millis::from(booking.created_at),
        Millis::from(booking.decide_by),
        key,
        request,
        booking.replay_of,
        new.job,
    ];
    tx.execute(sql, values).await
}

/// A booking that a letter or a notice names.
pub(super) async fn named(tx: &Tx, id: BookingId) -> Result<Booking> {
    rows::booking(tx, id).await?.ok_or(Error::Missing)
}
