//! The command line.

use std::{error::Error as _, process::ExitCode, time::Duration};

use chrono::Utc;
use clap::{Args, Parser, Subcommand};
use clinic_client::{BuildError, Client, Error, RetryPolicy};
use thiserror::Error;

use crate::{
    draw::Draw,
    drive::drive,
    load::{Load, parse_duration},
    report::Report,
    settle::settle,
};

/// Drives a running clinic and says how it did.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version)]
pub struct Loadgen {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Books for a while, waits until all is decided and told, prints the figures. Exits with 1 when something accepted was not.
    Run(Run),
}

/// What `loadgen run` takes.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// The clinic's URL.
    #[arg(long, env = "CLINIC_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The clinic's API key.
    #[arg(long, env = "CLINIC_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Open loop: requests a second, sent by schedule.
    #[arg(long, default_value_t = 100.0, value_parser = positive)]
    pub rate: f64,
    /// Open loop: requests under way at most; what comes beyond is counted as not sent.
    #[arg(long, default_value_t = 10_000)]
    pub in_flight: usize,
    /// Closed loop instead: so many callers, each asking again when answered.
    #[arg(long, conflicts_with_all = ["rate", "in_flight"])]
    pub connections: Option<usize>,
    /// For how long, such as 30s or 10m.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Draws the same requests again; random unless set.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many doctors are asked for.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=99_999))]
    pub doctors: u32,
    /// How many half-hour slots each has, from tomorrow on.
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u32).range(1..=17_000))]
    pub slots: u32,
    /// How long one try may take.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// How often a request is tried, always under the same idempotency key.
    #[arg(long, default_value_t = 1)]
    pub tries: u32,
    /// How long to wait at the end until all is decided and told.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub settle: Duration,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
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
    /// The bookings could not be read back.
    #[error("the bookings could not be read back")]
    Settle(#[source] Error),
}

impl Loadgen {
    /// Does as told; the process's exit code says how it went.
    pub async fn execute(self) -> ExitCode {
        let Command::Run(run) = self.command;
        match run.execute().await {
            Ok(report) => {
                if run.json {
                    println!("{}", serde_json::to_string(&report).expect("a report always serialises"));
                } else {
                    println!("{report}");
                }
                if report.settled.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(error) => {
                eprintln!("loadgen: {error}");
                let mut source = error.source();
                while let Some(cause) = source {
                    eprintln!("  because: {cause}");
                    source = cause.source();
                }
                ExitCode::from(2)
            }
        }
    }
}

impl Run {
    /// Makes the run.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn execute(&self) -> Result<Report, RunError> {
        let mut client = Client::builder(&self.url).timeout(self.timeout).retry(RetryPolicy::default().tries(self.tries).budget(u32::MAX));
        if let Some(token) = &self.token {
            client = client.token(token);
        }
        let client = client.user_agent(concat!("clinic-loadgen/", env!("CARGO_PKG_VERSION"))).build()?;
        client.health().await.map_err(RunError::Away)?;
        let seed = self.seed.unwrap_or_else(rand::random);
        let draw = Draw::new(seed, self.doctors, self.slots, Utc::now());
        let load = match self.connections {
            Some(connections) => Load::Closed { connections },
            None => Load::Open { rate: self.rate, in_flight: self.in_flight },
        };
        let (tally, took) = drive(&client, &draw, load, self.duration).await;
        let settled = settle(&client, &draw, &tally.accepted, self.settle).await.map_err(RunError::Settle)?;
        Ok(Report::new(load, seed, &tally, took, settled))
    }
}

fn positive(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|rate| (0.001..=1e7).contains(rate)).ok_or("must be a number above zero")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Loadgen::command().debug_assert();
        assert!(Loadgen::try_parse_from(["loadgen", "run", "--rate", "0"]).is_err());
        assert!(Loadgen::try_parse_from(["loadgen", "run", "--rate", "5", "--connections", "5"]).is_err());
        assert!(Loadgen::try_parse_from(["loadgen", "run", "--connections", "5", "--duration", "1m"]).is_ok());
    }
}
