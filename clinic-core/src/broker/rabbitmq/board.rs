use std::sync::atomic::{AtomicBool, Ordering};

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
pub(super) struct Board {
    publishing: Lamps,
    consuming: Lamps,
}

#[derive(Debug, Default)]
struct Lamps {
    connected: AtomicBool,
    blocked: AtomicBool,
}

impl Board {
    const fn lamps(&self, purpose: Purpose) -> &Lamps {
        match purpose {
            Purpose::Publishing => &self.publishing,
            Purpose::Consuming => &self.consuming,
        }
    }

    /// Connected is who can publish and consume.
    pub(super) fn set_connected(&self, purpose: Purpose, connected: bool) {
        self.lamps(purpose).connected.store(connected, Ordering::SeqCst);
        let [one, other] = [&self.publishing, &self.consuming].map(|lamps| lamps.connected.load(Ordering::SeqCst));
        gauge!("clinic_broker_connected").set(f64::from(u8::from(one && other)));
    }

    pub(super) fn set_blocked(&self, purpose: Purpose, blocked: bool) {
        self.lamps(purpose).blocked.store(blocked, Ordering::SeqCst);
        let [one, other] = [&self.publishing, &self.consuming].map(|lamps| lamps.blocked.load(Ordering::SeqCst));
        gauge!("clinic_broker_blocked").set(f64::from(u8::from(one || other)));
    }
}
