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
    publishing: AtomicBool,
    consuming: AtomicBool,
}

impl Board {
    pub(super) fn set_connected(&self, purpose: Purpose, connected: bool) {
        let this = match purpose {
            Purpose::Publishing => &self.publishing,
            Purpose::Consuming => &self.consuming,
        };
        this.store(connected, Ordering::SeqCst);
        let both = self.publishing.load(Ordering::SeqCst) && self.consuming.load(Ordering::SeqCst);
        gauge!("clinic_broker_connected").set(f64::from(u8::from(both)));
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        gauge!("clinic_broker_blocked").set(f64::from(u8::from(blocked)));
    }
}
