use std::{fmt, sync::Arc, time::Duration};

use super::tx::OwnClock;
use crate::{ports::Clock, reminder::Reminders};

/// How the store runs.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// How long a job made by a write is left to its message before the sweep may pick it up.
    pub grace: Duration,
    /// Bookings that may wait; more are refused with [`StoreError::Busy`](crate::ports::StoreError::Busy).
    pub waiting_accepts: usize,
    /// How long a booking may wait before it is refused.
    pub patience: Duration,
    /// How long before a confirmed visit its patient is reminded.
    pub reminders: Reminders,
    /// Connections to the server at most.
    pub connections: usize,
    pub(super) clock: OwnClock,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
            waiting_accepts: 8192,
            patience: Duration::from_secs(2),
            reminders: Reminders::default(),
            connections: 16,
            clock: None,
        }
    }
}

impl PostgresOptions {
    /// The same with another grace.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The same with other reminders.
    #[must_use]
    pub fn with_reminders(mut self, reminders: Reminders) -> Self {
        self.reminders = reminders;
        self
    }

    /// The same with another number of connections.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(2);
        self
    }

    /// By a clock of yours, for tests. By itself a store runs by its server's, so that all processes on it have the same.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions").field("grace", &self.grace).field("connections", &self.connections).finish_non_exhaustive()
    }
}
