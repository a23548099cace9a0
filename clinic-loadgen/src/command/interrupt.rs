//! Being asked to stop.

use std::{
    convert::Infallible,
    future::{Future, pending},
    io,
};

use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::view::View;

/// What is said at the first one.
const STOPPING: &str = "loadgen: nothing more is sent or broken; waiting until all is whole, decided and told. Once more ends the waiting";

/// `SIGINT` and `SIGTERM`, from now on: neither ends the process by itself any more.
#[derive(Debug)]
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Until the next one; one that came since the last is not lost.
    pub(super) async fn next(&mut self) {
        select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Does some work meanwhile: the first one ends its sending, the second one its waiting, and the work ends by itself.
    pub(super) async fn heed<T>(
        &mut self,
        stop: &CancellationToken,
        give_up: &CancellationToken,
        view: &View,
        work: impl Future<Output = T>,
    ) -> T {
        let heeding = async {
            self.next().await;
            view.say(STOPPING);
            stop.cancel();
            self.next().await;
            give_up.cancel();
            pending::<Infallible>().await
        };
        select! {
            done = work => done,
            never = heeding => match never {},
        }
    }
}
