//! Commands: what waits for the writer, and how it is answered.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::oneshot;

use super::{super::reader::classify, Tx};
use crate::ports::StoreError;

/// How the commit that a command ran in ended.
pub(super) enum Commit {
    Done,
    /// Surely not done, and why.
    NotDone(String),
    /// Failed in a way that may or may not have reached the disk.
    Unknown(String),
}

/// Whether the writer has begun a command, or its caller has taken it back: whoever sets it first decides.
#[derive(Clone, Default)]
pub(super) struct Started(Arc<AtomicBool>);

impl Started {
    /// Sets it; `true` for the first.
    pub(super) fn set(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

pub(super) trait Command: Send {
    /// Runs it and keeps what it answers; may be called again after a rollback. What it failed with, if it did.
    fn run(&mut self, tx: &Tx<'_>) -> Option<String>;
    /// Answers once the commit has ended.
    fn answer(self: Box<Self>, commit: &Commit);
}

pub(super) struct Typed<T, F> {
    run: F,
    started: Started,
    begun: bool,
    result: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Typed<T, F> {
    pub(super) fn new(run: F, started: Started) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (caller, answer) = oneshot::channel();
        (Self { run, started, begun: false, result: None, caller }, answer)
    }
}

impl<T, F> Command for Typed<T, F>
where
    T: Send,
    F: FnMut(&Tx<'_>) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Option<String> {
        if !self.begun && !self.started.set() {
            return None;
        }
        self.begun = true;
        // A fault in one command is undone like any failure: the thread goes on for all others.
        let (result, failed) = match catch_unwind(AssertUnwindSafe(|| (self.run)(tx))) {
            Ok(Ok(done)) => (Ok(done), None),
            Ok(Err(error)) => {
                let failed = error.to_string();
                (Err(classify(error)), Some(failed))
            }
            // The panic's own text went to standard error through the panic hook.
            Err(_) => (Err(StoreError::Corrupt("a command panicked".into())), Some("a command panicked".to_owned())),
        };
        self.result = Some(result);
        failed
    }

    fn answer(self: Box<Self>, commit: &Commit) {
        let answer = match (commit, self.result) {
            (Commit::Done, Some(result)) => result,
            // It failed by itself and was undone, whatever became of the rest.
            (_, Some(Err(error))) => Err(error),
            (Commit::Unknown(why), Some(Ok(_))) => Err(StoreError::Unknown(why.clone().into())),
            (Commit::NotDone(why), _) => Err(StoreError::Unavailable(why.clone().into())),
            (Commit::Done | Commit::Unknown(_), None) => Err(StoreError::Busy),
        };
        // A caller that gave up does not listen any more.
        let _ = self.caller.send(answer);
    }
}
