//! Reading many at a time.

use std::future::Future;

use tokio::task::JoinSet;

/// Reads under way at once.
const AT_ONCE: usize = 16;

/// Reads each item, many at a time, and takes what comes as it comes. Ends at the first error that `take` gives.
pub(crate) async fn read_each<I, F, T, E>(
    items: impl IntoIterator<Item = I>,
    mut read: impl FnMut(I) -> F,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut items = items.into_iter();
    let mut reads = JoinSet::new();
    for item in items.by_ref().take(AT_ONCE) {
        reads.spawn(read(item));
    }
    while let Some(answer) = reads.join_next().await {
        if let Some(item) = items.next() {
            reads.spawn(read(item));
        }
        // A read that panicked has printed it, and is missed by whoever waits for its answer.
        if let Ok(answer) = answer {
            take(answer)?;
        }
    }
    Ok(())
}
