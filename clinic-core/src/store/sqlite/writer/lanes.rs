//! Two lanes to the writer: work (claim, decide, settle) has room of its own, so that a rush of requests cannot keep
//! what was accepted from being decided. Requests are shed first.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::command::Command;
use crate::ports::StoreError;

/// Commands that may wait in the work lane; callers beyond that wait their turn.
const WORK: usize = 4096;
/// Of each commit's room, the share that requests get even when there is more work than fits.
const ACCEPT_SHARE: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Lane {
    Work,
    Accept,
}

type Waiting = VecDeque<(Box<dyn Command>, OwnedSemaphorePermit)>;

#[derive(Default)]
struct Queues {
    work: Waiting,
    accept: Waiting,
    closed: bool,
}

pub(super) struct Lanes {
    queues: Mutex<Queues>,
    wake: Condvar,
    work: Arc<Semaphore>,
    accept: Arc<Semaphore>,
}

impl Lanes {
    pub(super) fn new(waiting_accepts: usize) -> Self {
        Self {
            queues: Mutex::default(),
            wake: Condvar::new(),
            work: Arc::new(Semaphore::new(WORK)),
            accept: Arc::new(Semaphore::new(waiting_accepts)),
        }
    }

    /// Takes room in a lane: at once or not at all for a request, when there is some for work.
    pub(super) async fn room(&self, lane: Lane) -> Result<OwnedSemaphorePermit, StoreError> {
        match lane {
            Lane::Work => Arc::clone(&self.work).acquire_owned().await.map_err(|_| closed()),
            Lane::Accept => Arc::clone(&self.accept).try_acquire_owned().map_err(|error| match error {
                TryAcquireError::NoPermits => StoreError::Busy,
                TryAcquireError::Closed => closed(),
            }),
        }
    }

    pub(super) fn push(&self, lane: Lane, command: Box<dyn Command>, room: OwnedSemaphorePermit) -> Result<(), StoreError> {
        let mut queues = self.lock();
        if queues.closed {
            return Err(closed());
        }
        let idle = queues.work.is_empty() && queues.accept.is_empty();
        match lane {
            Lane::Work => queues.work.push_back((command, room)),
            Lane::Accept => queues.accept.push_back((command, room)),
        }
        drop(queues);
        if idle {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for something to do; `false` once closed and empty.
    pub(super) fn wait(&self) -> bool {
        let mut queues = self.lock();
        while queues.work.is_empty() && queues.accept.is_empty() {
            if queues.closed {
                return false;
            }
            queues = self.wake.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Moves at most `room` commands into the batch, work first.
    pub(super) fn drain(&self, batch: &mut Vec<Box<dyn Command>>, room: usize) {
        let mut queues = self.lock();
        let accepts = queues.accept.len().min(room / ACCEPT_SHARE);
        let work = queues.work.len().min(room - accepts);
        batch.extend(queues.work.drain(..work).map(|(command, _)| command));
        let accepts = queues.accept.len().min(room - work);
        batch.extend(queues.accept.drain(..accepts).map(|(command, _)| command));
    }

    pub(super) fn waiting(&self) -> usize {
        let queues = self.lock();
        queues.work.len() + queues.accept.len()
    }

    pub(super) fn close(&self) {
        self.work.close();
        self.accept.close();
        self.lock().closed = true;
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the lanes and lets their callers go when the writer ends, however it ends.
pub(super) struct CloseOnDrop<'a>(pub(super) &'a Lanes);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
        let mut queues = self.0.lock();
        queues.work.clear();
        queues.accept.clear();
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}
