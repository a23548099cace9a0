//! A whole run: sending, following, the figures.

use std::io;

use chrono::Utc;
use clinic_client::{BuildError, Builder, Client, Error, RetryPolicy};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    draw::Draw,
    drive::drive,
    load::Pace,
    log::Log,
    report::{Ran, Report},
    scenario::Scenario,
    series::{Phase, Progress},
    settle::settle,
};

/// How a run is watched and ended early.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Controls {
    /// Ends the sending: answers under way are awaited, what was accepted is followed.
    pub stop: CancellationToken,
    /// Ends the following: what is open then is reported as unsettled.
    pub give_up: CancellationToken,
    /// How the run stands, several times a second.
    pub progress: watch::Sender<Progress>,
    /// What came of each booking, if it is to be kept. Its failure is to cancel `stop`.
    pub log: Option<Log>,
}

/// Why a run could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The settings make no client.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// The clinic does not answer.
    #[error("the clinic does not answer: is it running, and is this its URL?")]
    Away(#[source] Error),
    /// The log could not be written.
    #[error("the log could not be written")]
    Log(#[source] io::Error),
    /// The bookings could not be read back.
    #[error("the bookings could not be read back")]
    Settle(#[source] Error),
}

impl Scenario {
    /// Who asks for what, from tomorrow on.
    #[must_use]
    pub fn draw(&self) -> Draw {
        let draw = Draw::new(self.seed, self.doctors, self.slots, Utc::now()).prefix(self.prefix.clone()).contacts(self.contacts);
        draw.patients(self.patients).hot(self.hot_slots).mix(self.mix)
    }

    /// Sets a client up as the scenario says.
    pub fn set(&self, client: Builder) -> Builder {
        client.timeout(self.timeout).retry(RetryPolicy::default().tries(self.tries).budget(u32::MAX))
    }
}

/// Makes a run.
///
/// # Errors
/// [`RunError`].
pub async fn run(client: &Client, scenario: &Scenario, controls: Controls) -> Result<Report, RunError> {
    let Controls { stop, give_up, progress, log } = controls;
    client.health().await.map_err(RunError::Away)?;
    let (draw, load, started) = (scenario.draw(), &scenario.load, Utc::now());
    let lines = log.as_ref().map(Log::lines);
    let (mut tally, took) = drive(client, &draw, load, scenario.seed, lines, &progress, &stop).await;
    if let Some(log) = log {
        log.finish().await.map_err(RunError::Log)?;
    }
    progress.send_modify(|progress| progress.phase = Phase::Settling);
    let accepted = std::mem::take(&mut tally.accepted);
    let say = |settled: &crate::settle::Settled| progress.send_modify(|progress| progress.settled = settled.count());
    let followed = settle(client, &draw, accepted, scenario.settle, &give_up, say).await.map_err(RunError::Settle)?;
    let mode = match load.pace {
        Pace::Open { .. } => "open",
        Pace::Closed { .. } => "closed",
    };
    let warm_up = load.warm_up.min(took);
    let mut report = Report::new(Ran { mode, seed: scenario.seed, started, warm_up, took, tally, followed });
    report.hold_against(&scenario.thresholds);
    progress.send_modify(|progress| progress.phase = Phase::Over);
    Ok(report)
}
