use std::time::Duration;

/// How long work on a row that cannot be read is left alone.
pub(super) const UNREADABLE_PAUSE: Duration = Duration::from_secs(60);
/// Former secrets that are kept: each makes every delivery's head longer.
pub(super) const FORMERS: i64 = 4;
/// Overdue work is counted no further.
pub(super) const COUNT_TO: i64 = 10_000;
