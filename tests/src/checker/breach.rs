use std::fmt;

use uuid::Uuid;

/// A broken promise and the bookings it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breach {
    /// P1: a 202 was seen and the booking is not in the store.
    Lost(Uuid),
    /// P1: the store holds another doctor or time than the 202 said.
    Altered(Uuid),
    /// P1: one idempotency key made two bookings.
    DuplicateBooking(Uuid, Uuid),
    /// P2: two bookings of one doctor overlap and were active at the same moment.
    Overlapping(Uuid, Uuid),
    /// P3: decided more than once.
    DecidedTwice(Uuid),
    /// P3: an end was taken back, or store, timeline and what was seen disagree.
    Flipped(Uuid, String),
    /// P5: not decided in time.
    Undecided(Uuid),
    /// P5: all should be over, and a job is left.
    LeftOver(Uuid, String),
    /// P4: more attempts than allowed, a gap or a repeat in their numbers, or one after the end.
    AttemptsAstray(Uuid, String),
    /// P4: rejected although nothing but kills happened.
    RejectedByKills(Uuid, String),
    /// P4, P5: a failure that is not on the dead-letter desk.
    DeadLetterMissing(Uuid, String),
    /// P5: a decision without a settled notice, or one called sent that never arrived.
    Untold(Uuid, String),
    /// P6: a notice that no event of the store stands behind.
    StrayNotice(Uuid, String),
    /// P6: one id with two contents, or two ids for one event and channel.
    ToldTwice(Uuid, String),
    /// P6: notices of a booking and channel out of event order.
    OutOfOrder(Uuid, String),
    /// P3: a reminder of a visit that does not take place, or has begun.
    RemindedAmiss(Uuid, String),
    /// P3: a replay without the one rejected booking that it tries again, or the other way round.
    ReplayedAmiss(Uuid, String),
    /// P7: patient data where none belongs: the place, and which of the given strings (by number).
    PatientDataLeak(String, usize),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(id) => write!(f, "P1 lost: {id} was accepted and is not in the store"),
            Self::Altered(id) => write!(f, "P1 altered: {id} is not what its 202 said"),
            Self::DuplicateBooking(one, other) => write!(f, "P1 duplicate: {one} and {other} were made under one idempotency key"),
            Self::Overlapping(one, other) => write!(f, "P2 overlapping: {one} and {other}"),
            Self::DecidedTwice(id) => write!(f, "P3 decided twice: {id}"),
            Self::Flipped(id, what) => write!(f, "P3 flipped: {id}: {what}"),
            Self::Undecided(id) => write!(f, "P5 undecided: {id}"),
            Self::LeftOver(id, what) => write!(f, "P5 left over: {id}: {what}"),
            Self::AttemptsAstray(id, what) => write!(f, "P4 attempts astray: {id}: {what}"),
            Self::RejectedByKills(id, reason) => write!(f, "P4 rejected by kills: {id}: {reason}"),
            Self::DeadLetterMissing(id, what) => write!(f, "P4 dead letter missing: {id}: {what}"),
            Self::Untold(id, what) => write!(f, "P5 untold: {id}: {what}"),
            Self::StrayNotice(id, what) => write!(f, "P6 stray notice: {id}: {what}"),
            Self::ToldTwice(id, what) => write!(f, "P6 told twice: {id}: {what}"),
            Self::OutOfOrder(id, what) => write!(f, "P6 out of order: {id}: {what}"),
            Self::RemindedAmiss(id, what) => write!(f, "P3 reminded amiss: {id}: {what}"),
            Self::ReplayedAmiss(id, what) => write!(f, "P3 replayed amiss: {id}: {what}"),
            Self::PatientDataLeak(place, number) => write!(f, "P7 patient data: string {number} in {place}"),
        }
    }
}
