//! What the clinic keeps, in memory.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clinic_core::{
    api::ProblemCode,
    booking::{Appointment, Booking, CancelRefused, Status},
    dead_letter::{DeadLetter, DeadLetterId, DeadLetterKind, LetterCursor, LetterFilter},
    decision::{AttemptOutcome, Decision, Reason},
    id::{BookingId, EndpointId},
    page::{Cursor, Filter},
    request::IdempotencyKey,
    timeline::{Entry, EntryKind},
    webhook::Endpoint,
};

/// How many undecided bookings a patient may have.
const PENDING_PER_PATIENT: usize = 20;
const DECIDE_WITHIN: Duration = Duration::from_secs(86_400);

/// A booking and its timeline.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) booking: Booking,
    pub(super) entries: Vec<Entry>,
    key: Option<IdempotencyKey>,
}

#[derive(Default)]
pub(super) struct Ward {
    pub(super) kept: Vec<Kept>,
    letters: Vec<DeadLetter>,
    pub(super) webhooks: Vec<Endpoint>,
    pub(super) removed_webhooks: Vec<EndpointId>,
}

/// Why something is not done.
pub(super) type Refused = (ProblemCode, String);

/// The clinic's clock: whole milliseconds, as stores keep them.
pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(Utc::now().timestamp_millis()).unwrap_or_default()
}

fn refused<T>(code: ProblemCode, detail: &str) -> Result<T, Refused> {
    Err((code, detail.to_owned()))
}

impl Kept {
    fn say(&mut self, kind: EntryKind, code: Option<&str>) {
        let seq = u32::try_from(self.entries.len()).unwrap_or(u32::MAX).saturating_add(1);
        let mut entry = Entry::new(seq, now(), kind);
        entry.code = code.map(str::to_owned);
        self.entries.push(entry);
    }

    /// Whether its timeline grows no further, but for a cancellation.
    pub(super) fn is_over(&self) -> bool {
        self.booking.status != Status::Pending
    }
}

impl Ward {
    pub(super) fn find(&self, id: BookingId) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.booking.id == id)
    }

    fn find_mut(&mut self, id: BookingId) -> Option<&mut Kept> {
        self.kept.iter_mut().find(|kept| kept.booking.id == id)
    }

    /// The booking that was made under this key, as first answered; an error where it was made for another request.
    pub(super) fn keyed(&self, key: &IdempotencyKey) -> Result<Option<Booking>, Refused> {
        let found = self.kept.iter().find_map(|kept| kept.key.filter(|kept| kept.key == key.key).map(|key| (key, &kept.booking)));
        match found {
            None => Ok(None),
            Some((kept, booking)) if kept.request == key.request => Ok(Some(booking.clone().as_first_answered())),
            Some(_) => refused(ProblemCode::IdempotencyKeyReused, "the idempotency key was used for another request"),
        }
    }

    pub(super) fn accept(
        &mut self,
        appointment: Appointment,
        key: Option<IdempotencyKey>,
        replay_of: Option<BookingId>,
    ) -> Result<Booking, Refused> {
        if appointment.doctor_id.is_some() && self.is_taken(&appointment) {
            return refused(ProblemCode::SlotTaken, "another booking of this doctor overlaps the time");
        }
        let of_patient = |kept: &&Kept| {
            kept.booking.status == Status::Pending && kept.booking.appointment.patient_id == appointment.patient_id && replay_of.is_none()
        };
        if appointment.patient_id.is_some() && self.kept.iter().filter(of_patient).count() >= PENDING_PER_PATIENT {
            return refused(ProblemCode::TooManyPending, "the patient has too many undecided bookings");
        }
        let booking = Booking::accepted(BookingId::generate(), appointment, now(), DECIDE_WITHIN, replay_of);
        let mut kept = Kept { booking: booking.clone(), entries: Vec::new(), key };
        kept.say(EntryKind::Accepted, None);
        self.kept.push(kept);
        Ok(booking)
    }

    fn is_taken(&self, wanted: &Appointment) -> bool {
        self.kept.iter().any(|kept| {
            let held = &kept.booking.appointment;
            kept.booking.status.is_active() && held.doctor_id == wanted.doctor_id && held.slot.overlaps(&wanted.slot)
        })
    }

    /// Decides a pending booking; false when there is none of that id.
    pub(super) fn decide(&mut self, id: BookingId, decision: Decision) -> bool {
        let Some(kept) = self.find_mut(id).filter(|kept| kept.booking.status == Status::Pending) else { return false };
        let (outcome, kind, reason) = match decision {
            Decision::Confirmed => (AttemptOutcome::Available, EntryKind::Confirmed, None),
            Decision::Rejected(reason) => (outcome_behind(reason), EntryKind::Rejected, Some(reason)),
            _ => return false,
        };
        kept.booking.attempts += 1;
        kept.say(EntryKind::Attempt, Some(outcome.as_str()));
        if let Some(entry) = kept.entries.last_mut() {
            entry.attempt = Some(kept.booking.attempts);
        }
        kept.say(kind, reason.map(Reason::as_str));
        (kept.booking.status, kept.booking.reason, kept.booking.decided_at) = (decision.into(), reason, Some(now()));
        let attempts = kept.booking.attempts;
        if let Some(reason) = reason.filter(|reason| reason.is_failure()) {
            let letter = DeadLetterId(i64::try_from(self.letters.len()).unwrap_or(i64::MAX).saturating_add(1));
            self.letters.push(DeadLetter::new(letter, id, DeadLetterKind::Decide, reason.as_str().into(), attempts, now()));
        }
        true
    }

    pub(super) fn cancel(&mut self, id: BookingId) -> Result<Booking, Refused> {
        let Some(kept) = self.find_mut(id) else { return refused(ProblemCode::NotFound, "there is no booking with this id") };
        kept.booking.may_cancel(now()).map_err(|error| {
            let code = match error {
                CancelRefused::NotCancellable => ProblemCode::NotCancellable,
                _ => ProblemCode::AlreadyStarted,
            };
            (code, error.to_string())
        })?;
        if kept.booking.status != Status::Cancelled {
            kept.booking.status = Status::Cancelled;
            kept.booking.decided_at.get_or_insert_with(now);
            kept.say(EntryKind::Cancelled, None);
        }
        Ok(kept.booking.clone())
    }

    pub(super) fn list(&self, filter: &Filter) -> Vec<Booking> {
        let is_wanted = |booking: &&Booking| {
            let (of, start) = (&booking.appointment, booking.appointment.slot.start());
            filter.doctor_id.as_ref().is_none_or(|id| of.doctor_id.as_ref() == Some(id))
                && filter.patient_id.as_ref().is_none_or(|id| of.patient_id.as_ref() == Some(id))
                && filter.status.is_none_or(|status| booking.status == status)
                && filter.from.is_none_or(|from| start >= from)
                && filter.to.is_none_or(|to| start < to)
                && filter.after.is_none_or(|after| (start, booking.id) > (after.start, after.id))
        };
        let mut found: Vec<_> = self.kept.iter().map(|kept| &kept.booking).filter(is_wanted).cloned().collect();
        found.sort_by_key(|booking| (Cursor::after(booking).start, booking.id));
        found.truncate(filter.limit as usize);
        found
    }

    pub(super) fn letters(&self, filter: &LetterFilter) -> Vec<DeadLetter> {
        let is_wanted = |letter: &&DeadLetter| {
            filter.code.as_ref().is_none_or(|code| letter.code == *code)
                && filter.kind.is_none_or(|kind| letter.kind == kind)
                && filter.before.is_none_or(|before| letter.at < before)
                && filter.since.is_none_or(|since| letter.at >= since)
                && filter.replayed.is_none_or(|replayed| letter.replayed_at.is_some() == replayed)
                && filter.after.is_none_or(|after| {
                    let place = LetterCursor::after(letter);
                    (place.at, place.id) > (after.at, after.id)
                })
        };
        self.letters.iter().filter(is_wanted).take(filter.limit as usize).cloned().collect()
    }

    pub(super) fn letter(&self, id: DeadLetterId) -> Result<DeadLetter, Refused> {
        let found = self.letters.iter().find(|letter| letter.id == id).cloned();
        found.map_or_else(|| refused(ProblemCode::NotFound, "there is no dead letter with this id"), Ok)
    }

    /// Replays a letter, once: the letter as it is then, and the new booking unless it was only tried.
    pub(super) fn replay(&mut self, id: DeadLetterId, dry_run: bool) -> Result<(DeadLetter, Option<BookingId>), Refused> {
        let letter = self.letter(id)?;
        if letter.replayed_at.is_some() {
            return refused(ProblemCode::AlreadyReplayed, "it was replayed before, which is done once");
        }
        let Some(rejected) = self.find(letter.booking) else { return refused(ProblemCode::NotFound, "its booking is gone") };
        let appointment = rejected.booking.appointment.clone();
        if now() >= appointment.slot.start() {
            return refused(ProblemCode::AlreadyStarted, "the visit has already started");
        }
        if dry_run {
            let is_taken = appointment.doctor_id.is_some() && self.is_taken(&appointment);
            return if is_taken { refused(ProblemCode::SlotTaken, "another booking overlaps the time now") } else { Ok((letter, None)) };
        }
        let booking = self.accept(appointment, None, Some(letter.booking))?;
        if let Some(rejected) = self.find_mut(letter.booking) {
            rejected.booking.replayed_as = Some(booking.id);
            rejected.say(EntryKind::Replayed, None);
        }
        for kept in self.letters.iter_mut().filter(|letter| letter.id == id) {
            (kept.replayed_at, kept.replayed_as) = (Some(now()), Some(booking.id));
        }
        Ok((self.letter(id)?, Some(booking.id)))
    }
}

/// What an attempt came to that ended in this rejection.
const fn outcome_behind(reason: Reason) -> AttemptOutcome {
    match reason {
        Reason::Unavailable => AttemptOutcome::Unavailable,
        Reason::AvailabilityRefused => AttemptOutcome::Refused,
        _ => AttemptOutcome::Transient,
    }
}
