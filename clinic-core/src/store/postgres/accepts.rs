//! Accepting many: their bookings, keys and decide jobs by one statement that goes out together with its commit.
//!
//! Who was kept out is told why by what stands in the store afterwards, all by one reading. What even that does not explain is asked for
//! again, one by one, as are the rows of a batch that failed for one of them, once it has been halved down to that one.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use tokio::time::timeout;
use tokio_postgres::Row;

use super::{
    accept,
    batcher::{Callers, Together},
    core::{Core, Failed, TRIES, again, transact},
    error::{Error, Result},
    rows::{Columns, Count, Millis, booking_columns, read_booking},
    tx::{Last, Mode, Tx, answered, params},
};
use crate::{
    booking::Booking,
    crash::crash_point,
    id::BookingId,
    ports::{Acceptance, NewBooking, StoreError},
    slot::Slot,
};

/// Accepts bookings, many at once.
pub(super) struct Accepts(pub(super) Arc<Core>);

type Answer = std::result::Result<Acceptance, StoreError>;

impl Together for Accepts {
    type Call = NewBooking;
    type Answer = Acceptance;

    fn rows(_: &NewBooking) -> usize {
        1
    }

    async fn run(&self, calls: Vec<NewBooking>, callers: &mut Callers<Acceptance>) {
        let all: Vec<Asked<'_>> = calls.iter().enumerate().collect();
        batch(&self.0, &all, callers).await;
    }
}

/// A booking that is asked for, and the place of its answer.
type Asked<'a> = (usize, &'a NewBooking);

/// Answers all of them.
fn batch<'a>(core: &'a Core, all: &'a [Asked<'a>], callers: &'a mut Callers<Acceptance>) -> BoxFuture<'a, ()> {
    async move {
        let Sorted { first, others, alone } = sort(all);
        let mut rest: Vec<Asked<'_>> = Vec::new();
        match place(core, &first).await {
            Ok(mut placed) => {
                let mut kept_out = Vec::new();
                for (at, new) in first {
                    match placed.remove(&new.id) {
                        Some(booking) => callers.answer(at, Ok(Acceptance::Accepted(booking))),
                        None => kept_out.push((at, new)),
                    }
                }
                kept_out.extend(others);
                for ((at, new), reason) in kept_out.iter().zip(reasons(core, &kept_out).await) {
                    match reason {
                        Some(reason) => callers.answer(*at, Ok(reason)),
                        None => rest.push((*at, new)),
                    }
                }
            }
            Err(failed) if failed.is_of_a_row() && first.len() > 1 => {
                let (one, two) = first.split_at(first.len() / 2);
                batch(core, one, callers).await;
                batch(core, two, callers).await;
                rest.extend(others);
            }
            Err(failed) if failed.is_of_a_row() => rest.extend(first.into_iter().chain(others)),
            Err(failed) => {
                let error = StoreError::from(failed);
                for (at, _) in first {
                    callers.answer(at, Err(again(&error)));
                }
                for (at, _) in others.into_iter().chain(alone) {
                    callers.answer(at, Err(StoreError::Unavailable(error.to_string().into())));
                }
                return;
            }
        }
        rest.extend(alone);
        let mut answers: FuturesUnordered<_> = rest.iter().map(|(at, new)| singly(core, *at, new)).collect();
        while let Some((at, answer)) = answers.next().await {
            callers.answer(at, answer);
        }
    }
    .boxed()
}

/// One by itself, statement by statement; its place and answer.
async fn singly(core: &Core, at: usize, new: &NewBooking) -> (usize, Answer) {
    let _room = match timeout(core.options.patience, core.accepting.acquire()).await {
        Ok(Ok(room)) => room,
        Ok(Err(_)) | Err(_) => return (at, Err(StoreError::Busy)),
    };
    (at, transact!(core, Mode::Write, |tx| accept::accept(tx, new)).map_err(StoreError::from))
}

/// The calls of a batch.
#[derive(Default)]
struct Sorted<'a> {
    /// No two of them share a key or overlap, and they are in the order in which every batch of every process writes.
    first: Vec<Asked<'a>>,
    /// Those that come behind one of the first with the same key, or in whose slot it stands.
    others: Vec<Asked<'a>>,
    /// Those that change another booking as well, or came twice.
    alone: Vec<Asked<'a>>,
}

fn sort<'a>(all: &[Asked<'a>]) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
    let mut held: HashMap<&str, Vec<Slot>> = HashMap::new();
    for &(at, new) in all {
        if new.replay_of.is_some() || !ids.insert(new.id) {
            sorted.alone.push((at, new));
            continue;
        }
        let slot = new.appointment.slot;
        let mut slots = new.appointment.doctor_id.as_deref().map(|doctor| held.entry(doctor).or_default());
        let is_free = slots.as_ref().is_none_or(|slots| !slots.iter().any(|taken| taken.overlaps(&slot)));
        if !is_free || new.key.is_some_and(|key| keys.contains(&key.key)) {
            sorted.others.push((at, new));
            continue;
        }
        keys.extend(new.key.map(|key| key.key));
        if let Some(slots) = &mut slots {
            slots.push(slot);
        }
        sorted.first.push((at, new));
    }
    let place = |new: &'a NewBooking| (new.appointment.doctor_id.as_deref(), new.appointment.slot.start(), new.id);
    sorted.first.sort_by_key(|(_, new)| place(new));
    sorted
}

/// Writes those that nothing stands against; their bookings.
async fn place(core: &Core, first: &[Asked<'_>]) -> std::result::Result<HashMap<BookingId, Booking>, Failed> {
    if first.is_empty() {
        return Ok(HashMap::new());
    }
    let _room = core.accepting.acquire().await;
    let patients: Vec<&str> = first.iter().filter_map(|(_, new)| new.appointment.patient_id.as_deref()).collect();
    let mut tries = 1;
    loop {
        let tx = Tx::begin(&core.pool, &core.options, Mode::Accept(&patients)).await.map_err(Failed::Undone)?;
        crash_point!("in_transaction");
        let (now, xid) = (tx.now, tx.xid.clone());
        let ended = insert(tx, first).await;
        crash_point!("committed");
        let placed: HashSet<BookingId> = match ended {
            Last::Done(rows) => ids(&rows).map_err(|error| Failed::Uncommitted(StoreError::Unknown(error.into())))?,
            Last::Undone(error) if error.is_conflict() && tries < TRIES => {
                tries += 1;
                continue;
            }
            Last::Undone(error) => return Err(Failed::Undone(error)),
            Last::InDoubt(error) => {
                core.look_up(&xid, error).await.map_err(Failed::Uncommitted)?;
                there(core, first).await.map_err(|error| Failed::Uncommitted(StoreError::Unknown(error.into())))?
            }
        };
        let placed = first.iter().filter(|(_, new)| placed.contains(&new.id));
        return Ok(placed.map(|(_, new)| (new.id, booking(new, now))).collect());
    }
}

fn booking(new: &NewBooking, now: Millis) -> Booking {
    Booking::accepted(new.id, new.appointment.clone(), now.time(), new.decide_within, new.replay_of)
}

/// The statement that writes them, and the commit.
///
/// How many of its patient's others come before a row in the batch stands for them all, stored or not: so a row that passes keeps to its
/// limit, and one that does not is asked for again.
async fn insert<'a>(tx: Tx, first: &[Asked<'a>]) -> Last {
    let sql = "WITH input AS (SELECT * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], \
               $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bytea[], $14::bytea[], $15::uuid[], $16::bigint[], $17::integer[], \
               $18::bigint[]) WITH ORDINALITY AS input (id, patient_id, patient_name, doctor_id, start_at, end_at, timezone, language, \
               email, phone, decide_by, key_hash, request_hash, job, next_look, before, most, place)), \
               placed AS (INSERT INTO booking (id, status, patient_id, patient_name, doctor_id, start_at, end_at, timezone, language, email, \
               phone, created_at, decide_by, key_hash, request_hash, job) \
               SELECT id, 'pending', patient_id, patient_name, doctor_id, start_at, end_at, timezone, language, email, phone, $1, \
               decide_by, key_hash, request_hash, job FROM input \
               WHERE patient_id IS NULL OR before + (SELECT count(*) FROM (SELECT 1 FROM booking AS other \
               WHERE other.patient_id = input.patient_id AND (other.patient_id, other.start_at) > (input.patient_id, $1) \
               AND other.status || '' = 'pending' LIMIT input.most) AS pending) \
               < most ORDER BY place ON CONFLICT DO NOTHING RETURNING id) \
               INSERT INTO job (id, kind, booking, due_at, next_look) SELECT job, 'decide', id, $1, next_look FROM placed JOIN input USING (id) \
               RETURNING booking";
    let now = tx.now;
    let mut asked: HashMap<&str, u32> = HashMap::new();
    let mut before = |new: &'a NewBooking| {
        let asked = new.appointment.patient_id.as_deref().map(|patient| asked.entry(patient).or_default());
        Count(asked.map_or(0, |asked| std::mem::replace(asked, *asked + 1)))
    };
    let values = params![
        now,
        each(first, |new| new.id),
        each(first, |new| new.appointment.patient_id.as_deref()),
        each(first, |new| new.appointment.patient_name.as_deref()),
        each(first, |new| new.appointment.doctor_id.as_deref()),
        each(first, |new| Millis::from(new.appointment.slot.start())),
        each(first, |new| Millis::from(new.appointment.slot.end())),
        each(first, |new| new.appointment.timezone.name()),
        each(first, |new| new.appointment.language),
        each(first, |new| new.appointment.contact.email.as_deref()),
        each(first, |new| new.appointment.contact.phone.as_deref()),
        each(first, |new| Millis::from(booking(new, now).decide_by)),
        each(first, |new| new.key.as_ref().map(|key| &key.key[..])),
        each(first, |new| new.key.as_ref().map(|key| &key.request[..])),
        each(first, |new| new.job),
        each(first, |new| now.plus(new.look_after)),
        each(first, &mut before),
        each(first, |new| i64::from(new.pending_per_patient)),
    ];
    tx.commit_with(sql, values).await
}

/// A column of all of them.
fn each<'a, T>(asked: &[Asked<'a>], mut column: impl FnMut(&'a NewBooking) -> T) -> Vec<T> {
    asked.iter().map(|(_, new)| column(new)).collect()
}

/// Which of them are there.
async fn there(core: &Core, first: &[Asked<'_>]) -> Result<HashSet<BookingId>> {
    ids(&read(core, "SELECT id FROM booking WHERE id = ANY ($1)", params![each(first, |new| new.id)]).await?)
}

fn ids(rows: &[Row]) -> Result<HashSet<BookingId>> {
    rows.iter().map(|row| row.column(0)).collect()
}

/// Why bookings were kept out, by what is stored; `None` where nothing there explains it.
async fn reasons(core: &Core, kept_out: &[Asked<'_>]) -> Vec<Option<Acceptance>> {
    let mut reasons: Vec<Option<Acceptance>> = kept_out.iter().map(|_| None).collect();
    if kept_out.is_empty() {
        return reasons;
    }
    let sql = concat!(
        "SELECT ",
        booking_columns!(),
        ", place, request_hash = request, \
         patient IS NOT NULL AND (SELECT count(*) FROM (SELECT 1 FROM booking AS other WHERE other.patient_id = patient \
         AND (other.patient_id, other.start_at) > (patient, coalesce($8, floor(extract(epoch FROM now()) * 1000)::bigint)) \
         AND other.status || '' = 'pending' LIMIT most) AS pending) >= most, \
         EXISTS (SELECT 1 FROM booking AS other WHERE other.doctor_id = doctor \
         AND int8range(other.start_at, other.end_at) && int8range(starts, ends) AND other.status IN ('pending', 'confirmed')) \
         FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[]) WITH ORDINALITY \
         AS input (key, request, patient, most, doctor, starts, ends, place) LEFT JOIN booking ON key_hash = key"
    );
    let values = params![
        each(kept_out, |new| new.key.as_ref().map(|key| &key.key[..])),
        each(kept_out, |new| new.key.as_ref().map(|key| &key.request[..])),
        each(kept_out, |new| new.appointment.patient_id.as_deref()),
        each(kept_out, |new| i64::from(new.pending_per_patient)),
        each(kept_out, |new| new.appointment.doctor_id.as_deref()),
        each(kept_out, |new| Millis::from(new.appointment.slot.start())),
        each(kept_out, |new| Millis::from(new.appointment.slot.end())),
        core.options.clock.as_ref().map(|clock| Millis::from(clock.now())),
    ];
    // Whoever is told nothing here is asked for again: a failure of this reading is no failure of theirs.
    for row in read(core, sql, values).await.unwrap_or_default() {
        if let (Ok(place), Ok(reason)) = (row.column::<i64>(18), reason(&row))
            && let Some(told) = usize::try_from(place - 1).ok().and_then(|at| reasons.get_mut(at))
        {
            *told = reason;
        }
    }
    reasons
}

fn reason(row: &Row) -> Result<Option<Acceptance>> {
    if row.column::<Option<BookingId>>(0)?.is_some() {
        return Ok(Some(match row.column(19)? {
            true => Acceptance::Replayed(read_booking(row)?.as_first_answered()),
            false => Acceptance::KeyReused,
        }));
    }
    Ok(match (row.column(20)?, row.column(21)?) {
        (true, _) => Some(Acceptance::TooManyPending),
        (false, true) => Some(Acceptance::SlotTaken),
        (false, false) => None,
    })
}

/// What is stored and committed at this moment, by one statement.
async fn read(core: &Core, sql: &str, params: &[&(dyn tokio_postgres::types::ToSql + Sync)]) -> Result<Vec<Row>> {
    let connection = core.pool.get().await.map_err(|error| Error::Connection(super::tx::connecting(&error)))?;
    let statement = answered(connection.prepare_cached(sql)).await?;
    answered(connection.query(&statement, params)).await
}
