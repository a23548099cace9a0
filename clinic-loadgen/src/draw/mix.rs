use std::{fmt, str::FromStr};

use serde::Serialize;
use thiserror::Error;

/// What is asked of a clinic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Operation {
    /// Asks for a visit.
    Book,
    /// Reads a booking that this run made.
    Get,
    /// Cancels a booking that this run made, each once.
    Cancel,
    /// Lists 50 bookings of a doctor.
    List,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 4] = [Self::Book, Self::Get, Self::Cancel, Self::List];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Get => "get",
            Self::Cancel => "cancel",
            Self::List => "list",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often each operation is drawn, against the others: `book=80,get=10,cancel=5,list=5`. Bookings alone unless set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix([u32; 4]);

impl Default for Mix {
    fn default() -> Self {
        Self([1, 0, 0, 0])
    }
}

impl Mix {
    /// The operation at a chance in `[0, 1)`.
    pub(super) fn at(&self, chance: f64) -> Operation {
        let sum: u64 = self.0.iter().copied().map(u64::from).sum();
        let mut place = chance * sum as f64;
        let drawn = Operation::ALL.into_iter().zip(self.0).find(|(_, weight)| {
            place -= f64::from(*weight);
            place < 0.0
        });
        drawn.map_or(Operation::Book, |(operation, _)| operation)
    }
}

/// Why a text is no mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be weights of book, get, cancel and list, with some for book, such as book=80,get=10,cancel=5,list=5")]
pub struct MixError;

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let mut weights = [None; 4];
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').ok_or(MixError)?;
            let place = Operation::ALL.iter().position(|operation| operation.name() == name.trim()).ok_or(MixError)?;
            let weight: u32 = weight.trim().parse().map_err(|_| MixError)?;
            if weights[place].replace(weight).is_some() {
                return Err(MixError);
            }
        }
        let mix = Self(weights.map(Option::unwrap_or_default));
        // The other operations are about what was booked.
        if mix.0[0] > 0 { Ok(mix) } else { Err(MixError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_weights() {
        let mix: Mix = "book=80, get=10,list=10".parse().unwrap();
        let drawn = [0.0, 0.79, 0.81, 0.89, 0.91, 0.999].map(|chance| mix.at(chance).name());
        assert_eq!(drawn, ["book", "book", "get", "get", "list", "list"]);
        assert_eq!(Mix::default().at(0.99), Operation::Book);
        for wrong in ["", "book", "get=5", "book=0,get=1", "book=1,book=2", "book=-1", "look=1,book=1"] {
            assert_eq!(wrong.parse::<Mix>(), Err(MixError), "{wrong}");
        }
    }
}
