//! The dead-letter desk: what failed for good, seen and replayed by staff.

use std::time::Duration;

use metrics::counter;
use thiserror::Error;

use super::{Reception, settled};
use crate::{
    dead_letter::{DeadLetter, DeadLetterId, LetterFilter, Poison, ReplayRefused},
    ports::{Replay, Replayed, StoreError},
};

/// Why a dead letter was not replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// No such letter.
    #[error("there is no dead letter with this id")]
    NotFound,
    /// It cannot be.
    #[error("{}", .1.detail())]
    Refused(Box<DeadLetter>, ReplayRefused),
    /// Surely not replayed.
    #[error("the dead letter was not replayed: try again in a moment")]
    Store(#[source] StoreError),
    /// Replayed or not.
    #[error("it is not known whether the dead letter was replayed: look at it again")]
    OutcomeUnknown(#[source] StoreError),
}

impl Reception {
    /// Dead letters in the order of (time, id).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dead_letters(&self, filter: &LetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        self.store.dead_letters(filter).await
    }

    /// Messages that nobody could understand; `None` when the broker cannot be asked now.
    pub async fn poison(&self) -> Option<Vec<Poison>> {
        self.broker.poison().await
    }

    /// A dead letter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        self.store.dead_letter(id).await
    }

    /// Says whether a dead letter could be replayed now, and changes nothing.
    ///
    /// # Errors
    /// [`ReplayError`], as [`replay`](Self::replay) would give.
    pub async fn try_replay(&self, id: DeadLetterId) -> Result<DeadLetter, ReplayError> {
        answer(self.store.try_replay(id).await.map_err(ReplayError::Store)?).map(|(letter, _)| letter)
    }

    /// Replays a dead letter, once: committed and synced when it returns. A decision becomes a new booking, which takes its slot anew;
    /// the limit of a patient's undecided bookings does not bind staff.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn replay(&self, id: DeadLetterId) -> Result<DeadLetter, ReplayError> {
        let room = self.relay.room();
        let look_after = if room.is_some() { self.settings.grace } else { Duration::ZERO };
        let replay = Replay::new(id, self.settings.decide_within, look_after);
        let replayed = settled(|| self.store.replay(&replay), ReplayError::Store, ReplayError::OutcomeUnknown).await?;
        let (letter, publication) = answer(replayed)?;
        counter!("clinic_dead_letters_replayed_total", "kind" => letter.kind.as_str()).increment(1);
        if let (Some(room), Some(publication)) = (room, publication) {
            room.send(publication);
        }
        Ok(letter)
    }
}

fn answer(replayed: Replayed) -> Result<(DeadLetter, Option<crate::topology::Publication>), ReplayError> {
    match replayed {
        Replayed::Done(letter, publication) => Ok((letter, Some(publication))),
        Replayed::Possible(letter) => Ok((letter, None)),
        Replayed::Refused(letter, refused) => Err(ReplayError::Refused(Box::new(letter), refused)),
        Replayed::NotFound => Err(ReplayError::NotFound),
    }
}
