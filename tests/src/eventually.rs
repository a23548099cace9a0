//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// Polls `condition` until it gives something.
///
/// # Panics
/// When `within` has passed: the text says what was waited for.
#[track_caller]
pub fn eventually<T, F, A>(what: &str, within: Duration, mut condition: F) -> impl Future<Output = T>
where
    F: FnMut() -> A,
    A: Future<Output = Option<T>>,
{
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + within;
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{caller}: {what}: not within {within:?}");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}
