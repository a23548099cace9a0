//! What faults are done to.

use std::{collections::BTreeMap, io, sync::Arc};

use async_trait::async_trait;
use thiserror::Error;

use super::{fault::Kind, schedule::Schedule};

/// Why something could not be done to a target.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// There is no such target.
    #[error("there is no target {name:?}; there are: {there}")]
    Unknown {
        /// As it was asked for.
        name: String,
        /// Those there are.
        there: String,
    },
    /// Such a target takes no such fault.
    #[error("{target} takes no {kind}: {why}")]
    Unfit {
        /// The target.
        target: String,
        /// The fault.
        kind: Kind,
        /// What does, or what is missing.
        why: String,
    },
    /// It is not running, where it should be.
    #[error("it is gone: {0}")]
    Gone(String),
    /// A program that is called for it failed.
    #[error("`{call}` failed: {said}")]
    Call {
        /// The call.
        call: String,
        /// What it said.
        said: String,
    },
    /// The system refuses.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// It did not come back.
    #[error("{0} is not running again")]
    Down(String),
}

/// What can be broken, and made whole again.
#[async_trait]
pub trait Target: Send + Sync {
    /// Whether it takes faults of this kind; nothing is done.
    ///
    /// # Errors
    /// [`TargetError`], which says why not.
    async fn takes(&self, kind: Kind) -> Result<(), TargetError>;

    /// Begins a fault; gives the instance it was done to, as [`end`](Self::end) wants it. `pick` chooses among several.
    ///
    /// # Errors
    /// [`TargetError`]. What was done by then is undone by [`whole`](Self::whole).
    async fn begin(&self, kind: Kind, pick: u32) -> Result<String, TargetError>;

    /// Ends it: resumed, reconnected, running again.
    ///
    /// # Errors
    /// [`TargetError`].
    async fn end(&self, kind: Kind, instance: &str) -> Result<(), TargetError>;

    /// Whatever was done to it, undoes it; nothing where nothing was.
    ///
    /// # Errors
    /// [`TargetError`].
    async fn whole(&self) -> Result<(), TargetError>;

    /// Nothing more is asked of it: what was started here is stopped.
    async fn leave(&self) {}
}

/// The targets there are, by name.
#[derive(Clone, Default)]
pub struct Targets(BTreeMap<String, Arc<dyn Target>>);

impl std::fmt::Debug for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Targets {
    /// Adds one; a name that is there already is replaced.
    pub fn add(&mut self, name: impl Into<String>, target: Arc<dyn Target>) {
        self.0.insert(name.into(), target);
    }

    /// The target of a name.
    ///
    /// # Errors
    /// [`TargetError::Unknown`], naming those there are.
    pub fn get(&self, name: &str) -> Result<&Arc<dyn Target>, TargetError> {
        self.0.get(name).ok_or_else(|| {
            let there: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            TargetError::Unknown { name: name.to_owned(), there }
        })
    }

    /// Whether everything that a schedule names is there and takes what is planned for it; nothing is done.
    ///
    /// # Errors
    /// [`TargetError`] of the first that is not, or does not.
    pub async fn check(&self, schedule: &Schedule) -> Result<(), TargetError> {
        let mut planned: Vec<(&str, Kind)> = schedule.faults.iter().map(|planned| (planned.target.as_str(), planned.fault)).collect();
        planned.sort_unstable();
        planned.dedup();
        for (name, kind) in planned {
            self.get(name)?.takes(kind).await?;
        }
        Ok(())
    }

    /// Makes all of them whole, whatever was done; gives what could not be.
    pub async fn whole(&self) -> Vec<(String, TargetError)> {
        let mut failed = Vec::new();
        for (name, target) in &self.0 {
            if let Err(error) = target.whole().await {
                failed.push((name.clone(), error));
            }
        }
        failed
    }

    /// Stops what was started here.
    pub async fn leave(&self) {
        for target in self.0.values() {
            target.leave().await;
        }
    }
}
