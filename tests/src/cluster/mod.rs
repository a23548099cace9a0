//! A clinic of several processes: an API, workers and notifiers on one store, with RabbitMQ behind a network that can fail.

mod held;
mod plan;

use std::time::Duration;

pub use self::{
    held::{Held, held_by},
    plan::Plan,
};
use crate::{
    checker::{Expected, Observed, Report},
    http::Http,
    process::{ClinicProcess, Setup},
    rabbit::Rabbit,
    relay::Relay,
};

/// One of the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The API.
    Api,
    /// A worker, by its number from 0.
    Worker(usize),
    /// A notifier, by its number from 0.
    Notifier(usize),
}

/// A place for a process: how it is started, and it, when it runs.
#[derive(Debug)]
struct Seat {
    part: Part,
    setup: Setup,
    process: Option<ClinicProcess>,
}

/// A running clinic of several processes. Dropped, all are killed.
#[derive(Debug)]
pub struct Cluster {
    seats: Vec<Seat>,
    base: Setup,
    network: Relay,
    prefix: String,
}

impl Cluster {
    /// What a clinic over this broker is to consist of.
    #[must_use]
    pub fn over(rabbit: &Rabbit) -> Plan<'_> {
        Plan::new(rabbit)
    }

    /// The API's HTTP face; it follows the API over restarts.
    #[must_use]
    pub fn http(&self) -> Http {
        self.seat(Part::Api).setup.http()
    }

    /// The HTTP face of one process: of a worker or notifier, health and metrics.
    #[must_use]
    pub fn http_of(&self, part: Part) -> Http {
        self.seat(part).setup.http()
    }

    /// The network between the processes and the broker.
    #[must_use]
    pub const fn network(&self) -> &Relay {
        &self.network
    }

    /// A queue's or exchange's name at the broker.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Their store, and how any of them is set.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.base
    }

    /// What was seen from outside of all of them.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        self.base.observed()
    }

    /// A running process.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    #[must_use]
    pub fn process(&self, part: Part) -> &ClinicProcess {
        self.seat(part).process.as_ref().unwrap_or_else(|| panic!("{part:?} does not run"))
    }

    /// The parts that run, in the order of their start.
    #[must_use]
    pub fn running(&self) -> Vec<Part> {
        self.seats.iter().filter(|seat| seat.process.is_some()).map(|seat| seat.part).collect()
    }

    /// Kills a process as `kill -9` does; gives its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn kill9(&mut self, part: Part) -> u32 {
        let process = self.seat_mut(part).process.take().unwrap_or_else(|| panic!("{part:?} does not run"));
        let id = process.id();
        process.kill9();
        id
    }

    /// Starts a process that was killed or stopped.
    ///
    /// # Panics
    /// When it runs, or does not start.
    #[track_caller]
    pub fn start(&mut self, part: Part) {
        let seat = self.seat_mut(part);
        assert!(seat.process.is_none(), "{part:?} runs");
        seat.process = Some(seat.setup.start());
    }

    /// Gives all processes another setting, each from its next start on.
    pub fn set(&mut self, variable: &str, value: &str) {
        for setup in self.seats.iter_mut().map(|seat| &mut seat.setup).chain([&mut self.base]) {
            *setup = setup.clone().set(variable, value);
        }
    }

    /// Stops a process gracefully.
    ///
    /// # Panics
    /// When it does not run, or does not end well.
    #[track_caller]
    pub fn terminate(&mut self, part: Part) {
        let mut process = self.seat_mut(part).process.take().unwrap_or_else(|| panic!("{part:?} does not run"));
        let status = process.terminate();
        assert!(status.success(), "{part:?} ended with {status}:\n{}", process.diagnostics());
    }

    /// The sum of a metric over the running processes and over all series whose labels hold `label`.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let mut sum = 0.0;
        for part in self.running() {
            sum += self.metric_of(part, name, label).await;
        }
        sum
    }

    /// A metric of one process.
    pub async fn metric_of(&self, part: Part, name: &str, label: &str) -> f64 {
        self.http_of(part).metric(name, label).await
    }

    /// Waits until nothing is left to do in the store.
    ///
    /// # Panics
    /// When that takes longer than `within`; what is left is said, and what the processes said last.
    pub async fn at_rest(&self, within: Duration) {
        self.base.at_rest(within).await;
    }

    /// Stops all processes gracefully, and holds the store against what was seen.
    ///
    /// # Panics
    /// When one of them does not end well, or the store cannot be read.
    #[track_caller]
    pub fn finish(mut self, expected: &Expected) -> Report {
        for part in self.running() {
            self.terminate(part);
        }
        self.base.check(expected)
    }

    #[track_caller]
    fn seat(&self, part: Part) -> &Seat {
        self.seats.iter().find(|seat| seat.part == part).unwrap_or_else(|| panic!("there is no {part:?}"))
    }

    #[track_caller]
    fn seat_mut(&mut self, part: Part) -> &mut Seat {
        self.seats.iter_mut().find(|seat| seat.part == part).unwrap_or_else(|| panic!("there is no {part:?}"))
    }
}
