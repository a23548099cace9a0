//! `loadgen run`.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Args;
use thiserror::Error;

use super::{again::again, complain, connect, interrupt::Interrupts, show};
use crate::{
    log::{Header, Log},
    report::{Report, html},
    run::{Controls, RunError, run},
    scenario::{Scenario, ScenarioError, Settings},
    view::{View, Watched},
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
    /// Shows nothing while it runs; otherwise standard error shows how the run stands.
    #[arg(long, short)]
    pub quiet: bool,
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
        let written = self.write_page(report);
        if report.is_good() { written } else { ExitCode::FAILURE }
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
        let mut interrupts = Interrupts::listen().map_err(RunCommandError::Signals)?;
        let view = self.view(Watched { progress: controls.progress.subscribe(), faults: None });
        let (stop, give_up) = (controls.stop.clone(), controls.give_up.clone());
        let report = interrupts.heed(&stop, &give_up, &view, run(&client, &scenario, controls)).await?;
        drop(view);
        Ok(report)
    }

    pub(super) fn view(&self, watched: Watched) -> View {
        if self.quiet { View::quiet() } else { View::start(watched) }
    }

    /// Writes the page, if one is asked for. The figures have been printed by then: they are not lost with it.
    pub(super) fn write_page(&self, report: &Report) -> ExitCode {
        let Some(path) = &self.html else { return ExitCode::SUCCESS };
        let written = html::write(report, &again(std::env::args().skip(1), report.seed), path);
        written.map_or_else(|error| complain(&RunCommandError::Html(error)), |()| ExitCode::SUCCESS)
    }
}
