use chrono::{DateTime, SubsecRound, Utc};

/// The one door through which the time of day comes in.
pub trait Clock: Send + Sync + 'static {
    /// Now, in whole milliseconds as stores keep them.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(3)
    }
}
