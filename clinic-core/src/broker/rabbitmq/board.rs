use std::sync::{Mutex, PoisonError};

use metrics::gauge;

/// Which of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Publishing,
    Consuming,
}

impl Purpose {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Consuming => "consuming",
        }
    }
}

/// What operators see of the connections.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Lamps>);

/// Of each connection, by its purpose.
#[derive(Debug, Default)]
struct Lamps {
    connected: [bool; 2],
    blocked: [bool; 2],
}

impl Board {
    /// Connected is who can publish and consume.
    pub(super) fn set_connected(&self, purpose: Purpose, connected: bool) {
        // The gauge is set under the lock: of two connections that come up at once the later one knows of both.
        let mut lamps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lamps.connected[purpose as usize] = connected;
        gauge!("clinic_broker_connected").set(f64::from(u8::from(lamps.connected == [true; 2])));
    }

    pub(super) fn set_blocked(&self, purpose: Purpose, blocked: bool) {
        let mut lamps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lamps.blocked[purpose as usize] = blocked;
        gauge!("clinic_broker_blocked").set(f64::from(u8::from(lamps.blocked != [false; 2])));
    }
}
