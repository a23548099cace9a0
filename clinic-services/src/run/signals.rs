use std::{future::Future, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// A signal that follows another this closely is the same.
const ECHO: Duration = Duration::from_millis(300);

/// Cancels `shutdown` at the first SIGTERM or SIGINT and ends the process at the second.
pub(super) fn signals(shutdown: CancellationToken) -> std::io::Result<impl Future<Output = ()> + Send> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        next().await;
        shutdown.cancel();
        // Supervisors such as timeout(1) signal the process and then its group: that is one wish, not two.
        let echo = Instant::now() + ECHO;
        while timeout_at(echo, next()).await.is_ok() {}
        next().await;
        tracing::warn!("a second signal: ending at once; nothing is lost, the store keeps it");
        std::process::exit(1);
    })
}
