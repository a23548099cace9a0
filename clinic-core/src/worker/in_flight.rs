//! What a worker has in flight: each lease, and the message that will be acknowledged when it is done.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use metrics::gauge;

use crate::{
    id::{JobId, Token},
    job::Lease,
    ports::Delivery,
};

/// Leases by their tokens.
#[derive(Default)]
pub(super) struct InFlight(Mutex<Leases>);

#[derive(Default)]
struct Leases {
    by_token: HashMap<Token, (Lease, Option<Delivery>)>,
    /// The last token of each job; a job overtaken by the worker's own sweep is in flight twice.
    by_job: HashMap<JobId, Token>,
}

impl InFlight {
    pub(super) fn enter(&self, lease: &Lease, delivery: Option<Delivery>) {
        self.with(|leases| {
            leases.by_job.insert(lease.job, lease.token);
            leases.by_token.insert(lease.token, (lease.clone(), delivery));
        });
    }

    /// Done with it: its message, to be acknowledged.
    pub(super) fn leave(&self, lease: &Lease) -> Option<Delivery> {
        self.with(|leases| {
            if leases.by_job.get(&lease.job) == Some(&lease.token) {
                leases.by_job.remove(&lease.job);
            }
            leases.by_token.remove(&lease.token)?.1
        })
    }

    /// The token under which a job is in flight here.
    pub(super) fn token_of(&self, job: JobId) -> Option<Token> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_job.get(&job).copied()
    }

    /// Keeps a message that came again until the job is done, instead of the one whose channel is gone. What remains is to be
    /// acknowledged: the former message, or this one when the job is done meanwhile.
    pub(super) fn keep(&self, token: Token, delivery: Delivery) -> Option<Delivery> {
        self.with(|leases| match leases.by_token.get_mut(&token) {
            Some((_, kept)) => kept.replace(delivery),
            None => Some(delivery),
        })
    }

    /// Takes all leases out.
    pub(super) fn drain(&self) -> Vec<Lease> {
        self.with(|leases| {
            leases.by_job.clear();
            leases.by_token.drain().map(|(_, (lease, _))| lease).collect()
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Leases) -> T) -> T {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut leases);
        gauge!("clinic_in_flight").set(leases.by_token.len() as f64);
        result
    }
}
