//! What a clinic of several processes consists of.

use std::time::Duration;

use super::{Cluster, Part, Seat};
use crate::{
    eventually::eventually,
    process::{Setup, api_binary, notifier_binary, worker_binary},
    rabbit::Rabbit,
};

/// How long a clinic may take to find its broker.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What a clinic is to consist of: at first one API, one worker and one notifier.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    rabbit: &'a Rabbit,
    setup: Setup,
    workers: usize,
    notifiers: usize,
}

impl<'a> Plan<'a> {
    pub(super) fn new(rabbit: &'a Rabbit) -> Self {
        // The product's own pace: a sweep that looks ever so often would hide a broker that carries nothing.
        let setup = Setup::new().set("CLINIC_SWEEP", "2s");
        Self { rabbit, setup, workers: 1, notifiers: 1 }
    }

    /// So many workers.
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// So many notifiers.
    #[must_use]
    pub const fn notifiers(mut self, notifiers: usize) -> Self {
        self.notifiers = notifiers;
        self
    }

    /// With a setting of all processes, by its variable.
    #[must_use]
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.setup = self.setup.set(variable, value);
        self
    }

    /// With several settings of all processes, by their variables.
    #[must_use]
    pub fn set_all<'s>(mut self, settings: impl IntoIterator<Item = (&'s str, String)>) -> Self {
        self.setup = self.setup.set_all(settings);
        self
    }

    /// Starts everything and waits until all of it has its broker.
    ///
    /// # Panics
    /// When a part does not start, with what it said, or does not find its broker.
    pub async fn start(self) -> Cluster {
        let (network, prefix) = (self.rabbit.relay().await, Rabbit::prefix());
        let base = self.setup.set("CLINIC_BROKER", &self.rabbit.url_through(&network)).set("CLINIC_PREFIX", &prefix);
        let workers = (0..self.workers).map(Part::Worker);
        let parts = [Part::Api].into_iter().chain(workers).chain((0..self.notifiers).map(Part::Notifier));
        let seats = parts
            .map(|part| {
                let setup = setup_of(&base, part);
                Seat { part, process: Some(setup.start()), setup }
            })
            .collect();
        let cluster = Cluster { seats, base, network, prefix };
        for part in cluster.running() {
            let http = cluster.http_of(part);
            eventually(&format!("{part:?} and its broker"), READY_WITHIN, || async {
                // The API is ready without a broker, and says what it lacks.
                (http.ready().await.status == 200 && (part != Part::Api || http.health().await.text("status") == "ok")).then_some(())
            })
            .await;
        }
        cluster
    }
}

/// One process of the clinic that `base` sets.
fn setup_of(base: &Setup, part: Part) -> Setup {
    let binary = match part {
        Part::Api => api_binary(),
        Part::Worker(_) => worker_binary(),
        Part::Notifier(_) => notifier_binary(),
    };
    base.twin().binary(binary)
}
