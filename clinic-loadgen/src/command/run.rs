//! `loadgen run`.

use std::{convert::Infallible, future::pending, io, path::PathBuf, process::ExitCode};

use clap::Args;
use thiserror::Error;
use tokio::select;
use tokio_util::sync::CancellationToken;

use super::{again::again, connect, interrupt::Interrupts, show};
use crate::{
    log::{Header, Log},
    report::{Report, html},
    run::{Controls, RunError, run},
    scenario::{Scenario, ScenarioError, Settings},
};

/// What `loadgen run` takes.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// The clinic's URL.
    #[arg(long, env = "CLINIC_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The clinic's API key.
    #[arg(long, env = "CLINIC_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// A TOML file whose keys are these settings; flags come before it.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// What to do.
    #[command(flatten)]
    pub settings: Settings,
    /// Writes what came of each booking to this file, for `loadgen verify`.
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Writes the report to this file as one page with plots, which needs no network.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Why `loadgen run` failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunCommandError {
    /// What it was to do is not clear.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The run could not be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The page could not be written.
    #[error("the HTML report could not be written")]
    Html(#[source] io::Error),
    /// Signals cannot be listened for.
    #[error("Ctrl-C cannot be listened for")]
    Signals(#[source] io::Error),
}

impl Run {
    pub(super) fn print(&self, report: &Report) -> ExitCode {
        show(report, self.json);
        if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    pub(super) fn what_to_do(&self) -> Result<Scenario, ScenarioError> {
        let file = self.scenario.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
        self.settings.clone().over(file).scenario()
    }

    /// Makes the run. The first Ctrl-C ends the sending, the second one the waiting; the report comes all the same.
    ///
    /// # Errors
    /// [`RunCommandError`].
    pub async fn execute(&self) -> Result<Report, RunCommandError> {
        let scenario = self.what_to_do()?;
        let client = connect(&self.url, self.token.as_deref(), |client| scenario.set(client)).map_err(RunError::from)?;
        let mut controls = Controls::default();
        if let Some(path) = &self.log {
            let header = Header::new(&self.url, scenario.seed);
            controls.log = Some(Log::create(path, &header, controls.stop.clone()).map_err(RunError::Log)?);
        }
        let interrupts = Interrupts::listen().map_err(RunCommandError::Signals)?;
        let interrupts = heed(interrupts, controls.stop.clone(), controls.give_up.clone());
        let report = select! {
            report = run(&client, &scenario, controls) => report?,
            never = interrupts => match never {},
        };
        self.write_page(&report).map_err(RunCommandError::Html)?;
        Ok(report)
    }

    pub(super) fn write_page(&self, report: &Report) -> io::Result<()> {
        self.html.as_deref().map_or(Ok(()), |path| html::write(report, &again(std::env::args().skip(1), report.seed), path))
    }
}

/// Ends the sending at the first Ctrl-C, the waiting at the second.
async fn heed(mut interrupts: Interrupts, stop: CancellationToken, give_up: CancellationToken) -> Infallible {
    interrupts.next().await;
    eprintln!("loadgen: no more is sent; waiting until all is decided and told. Once more ends that, too");
    stop.cancel();
    interrupts.next().await;
    give_up.cancel();
    pending().await
}
