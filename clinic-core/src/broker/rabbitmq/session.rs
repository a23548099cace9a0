use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{Channel, Connection, Event};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::TaskTracker,
};

use super::{
    board::{Board, Purpose},
    connect::{Socket, connect},
    declare::declare,
    error::{LinkError, within},
    names::Names,
    options::Setup,
    url::RabbitUrl,
};

/// For opening a channel, and each step on it.
pub(super) const STEP: Duration = Duration::from_secs(3);
/// For taking leave of the broker; then the socket is closed without.
const FAREWELL: Duration = Duration::from_millis(500);
/// How often the connection's state is looked at, should no event tell of it.
const LOOK: Duration = Duration::from_millis(250);

/// One connection, from its topology to its first fault. It is not mended: the supervisor makes another one.
pub(super) struct Session {
    connection: Connection,
    socket: Socket,
    over: CancellationToken,
    why: OnceLock<String>,
    /// Messages were given up whose confirms may still come: once the broker takes messages again, a fresh channel is due.
    stale: AtomicBool,
    /// What runs for this session, ends with it.
    tasks: TaskTracker,
    runtime: Handle,
}

impl Session {
    /// Connects and applies the topology.
    pub(super) async fn open(setup: &Setup, url: &RabbitUrl, purpose: &str) -> Result<Self, LinkError> {
        let (connection, socket) = connect(url, &format!("{} ({purpose})", setup.name)).await?;
        let session = Self {
            connection,
            socket,
            over: CancellationToken::new(),
            why: OnceLock::new(),
            stale: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        };
        if let Err(error) = session.declare(setup).await {
            session.close().await;
            return Err(error);
        }
        Ok(session)
    }

    async fn declare(&self, setup: &Setup) -> Result<(), LinkError> {
        let channel = self.channel().await?;
        declare(&channel, &Names::new(setup.prefix.clone())).await?;
        within(STEP, "closing a channel", channel.close(200, "done".into())).await
    }

    /// A channel of its own.
    pub(super) async fn channel(&self) -> Result<Channel, LinkError> {
        within(STEP, "opening a channel", self.connection.create_channel()).await
    }

    /// Closes a channel. One that is merely dropped is closed by lapin, which takes it for an error of the whole connection when that is
    /// closing as well.
    pub(super) async fn close_channel(&self, channel: &Channel) {
        let _ = timeout(STEP, channel.close(200, "done".into())).await;
    }

    /// Whether the broker said that it takes no messages for now. It says so to connections that publish.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Something is wrong: the session ends, and the supervisor makes another one. The first fault counts.
    pub(super) fn fail(&self, why: impl Into<String>) {
        let _ = self.why.set(why.into());
        self.over.cancel();
    }

    /// Messages were given up while the broker took none.
    pub(super) fn set_stale(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Whether it is worth a try.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_over() && self.connection.status().connected()
    }

    /// Waits for the session's end.
    pub(super) fn end(&self) -> WaitForCancellationFutureOwned {
        self.over.clone().cancelled_owned()
    }

    /// Runs something until its own end, which comes soon after the session's.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Watches over the connection until the session is over; says why.
    pub(super) async fn watch(&self, purpose: Purpose, board: &Board) -> String {
        let mut events = Box::pin(self.connection.events_listener());
        let mut looks = tokio::time::interval(LOOK);
        while !self.is_over() {
            if !self.connection.status().connected() {
                self.fail("the connection broke");
            }
            board.set_blocked(purpose, self.is_blocked());
            if self.stale.load(Ordering::Relaxed) && !self.is_blocked() {
                self.fail("the broker takes messages again");
            }
            tokio::select! {
                () = self.over.cancelled() => {}
                _ = looks.tick() => {}
                // Errors of single channels are told as well; who uses the channel deals with those.
                event = events.next() => if let Some(Event::ConnectionBlocked(_)) = event {
                    tracing::warn!("RabbitMQ takes no messages for now: it is short of memory or disk space");
                },
            }
        }
        board.set_blocked(purpose, false);
        self.why.get().cloned().unwrap_or_else(|| "it was closed".to_owned())
    }

    /// Takes leave of the broker if it listens, and ends everything that runs for the session.
    pub(super) async fn close(&self) {
        self.fail("it was closed");
        self.tasks.close();
        let farewell = async {
            self.tasks.wait().await;
            // A blocked connection is not read from, and a broken one is closed already.
            if !self.is_blocked() {
                let _ = self.connection.close(200, "goodbye".into()).await;
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
        self.socket.close();
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("over", &self.is_over()).field("why", &self.why).finish_non_exhaustive()
    }
}
