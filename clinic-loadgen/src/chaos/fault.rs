//! What is done to a target, and how often.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::load::parse_duration;

/// How long a pause, a cut or a wipe lasts that says nothing of it.
const LASTS: Duration = Duration::from_secs(2);

/// What is done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// `SIGKILL`; started again when it does not come back by itself.
    Kill,
    /// Stopped as it asks for, and started again.
    Restart,
    /// Frozen for a while: it answers nobody, and its connections stand.
    Pause,
    /// Off its networks for a while.
    Cut,
    /// Killed, its volumes emptied, and started again after a while.
    Wipe,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Kill, Self::Restart, Self::Pause, Self::Cut, Self::Wipe];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Cut => "cut",
            Self::Wipe => "wipe",
        }
    }

    /// Whether there is a while between its begin and its end.
    #[must_use]
    pub const fn lasts(self) -> bool {
        matches!(self, Self::Pause | Self::Cut | Self::Wipe)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A fault as it is asked for: `kill:worker`, `pause:rabbitmq:3s`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What is done.
    pub kind: Kind,
    /// To which target.
    pub target: String,
    /// For how long, where it lasts.
    pub lasts: Duration,
}

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FaultError {
    /// It has another form.
    #[error("a fault is written KIND:TARGET, such as kill:worker, or KIND:TARGET:TIME, such as pause:worker:3s")]
    Form,
    /// There is no such kind.
    #[error("there is no fault {0:?}: kill, restart, pause, cut, wipe")]
    Kind(String),
    /// Its time is none.
    #[error("{0:?} is no length of time such as 500ms or 3s")]
    Time(String),
    /// A kill and a restart do not last.
    #[error("a {0} takes no time: pause, cut and wipe do")]
    Lasting(Kind),
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut parts = text.splitn(3, ':');
        let (kind, target) = parts.next().zip(parts.next()).filter(|(_, target)| !target.is_empty()).ok_or(FaultError::Form)?;
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(|| FaultError::Kind(kind.to_owned()))?;
        let lasts = match parts.next() {
            None if kind.lasts() => LASTS,
            None => Duration::ZERO,
            Some(_) if !kind.lasts() => return Err(FaultError::Lasting(kind)),
            Some(time) => parse_duration(time).ok().filter(|time| !time.is_zero()).ok_or_else(|| FaultError::Time(time.to_owned()))?,
        };
        Ok(Self { kind, target: target.to_owned(), lasts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Fault, FaultError> {
        text.parse()
    }

    #[test]
    fn a_fault_names_its_target_and_how_long_it_lasts() {
        let fault = |kind, target: &str, seconds| Ok(Fault { kind, target: target.to_owned(), lasts: Duration::from_secs(seconds) });
        assert_eq!(parsed("kill:worker"), fault(Kind::Kill, "worker", 0));
        assert_eq!(parsed("pause:rabbitmq:3s"), fault(Kind::Pause, "rabbitmq", 3));
        assert_eq!(parsed("cut:api"), fault(Kind::Cut, "api", 2));
    }

    #[test]
    fn what_is_no_fault_is_said() {
        assert_eq!(parsed("kill"), Err(FaultError::Form));
        assert_eq!(parsed("kill:"), Err(FaultError::Form));
        assert_eq!(parsed("drown:worker"), Err(FaultError::Kind("drown".into())));
        assert_eq!(parsed("pause:worker:soon"), Err(FaultError::Time("soon".into())));
        assert_eq!(parsed("pause:worker:0s"), Err(FaultError::Time("0s".into())));
        assert_eq!(parsed("kill:worker:3s"), Err(FaultError::Lasting(Kind::Kill)));
    }
}
