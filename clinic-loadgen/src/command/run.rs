//! `loadgen run`.

use std::{
    future::{Future, pending},
    io,
    path::PathBuf,
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use chrono::Utc;
use clap::Args;
use clinic_client::{BuildError, Client, Error, RetryPolicy};
use thiserror::Error;
use tokio::{select, signal::ctrl_c};
use tokio_util::sync::CancellationToken;

use super::connect;
use crate::{
    draw::Draw,
    drive::drive,
    load::{Load, parse_duration},
    log::{Header, Log},
    report::Report,
    settle::settle,
    tally::Tally,
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
    /// Writes what came of each request to this file, for `loadgen verify`.
    #[arg(long)]
    pub log: Option<PathBuf>,
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
    /// The log could not be written.
    #[error("the log could not be written")]
    Log(#[source] io::Error),
    /// The bookings could not be read back.
    #[error("the bookings could not be read back")]
    Settle(#[source] Error),
    /// It was interrupted while waiting for the last decisions.
    #[error("interrupted before all was decided and told")]
    Interrupted,
}

impl Run {
    pub(super) fn print(&self, report: &Report) -> ExitCode {
        if self.json {
            println!("{}", serde_json::to_string(report).expect("a report always serialises"));
        } else {
            println!("{report}");
        }
        if report.settled.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    pub(super) fn load(&self) -> Load {
        match self.connections {
            Some(connections) => Load::Closed { connections },
            None => Load::Open { rate: self.rate, in_flight: self.in_flight },
        }
    }

    /// Makes the run. The first Ctrl-C ends the sending, a later one the waiting.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn execute(&self) -> Result<Report, RunError> {
        let retry = RetryPolicy::default().tries(self.tries).budget(u32::MAX);
        let client = connect(&self.url, self.token.as_deref(), |client| client.timeout(self.timeout).retry(retry))?;
        client.health().await.map_err(RunError::Away)?;
        let seed = self.seed.unwrap_or_else(rand::random);
        let draw = Draw::new(seed, self.doctors, self.slots, Utc::now());
        let load = self.load();
        let (tally, took) = self.drive(&client, &draw, load, seed).await.map_err(RunError::Log)?;
        let settled = select! {
            settled = settle(&client, &draw, &tally.accepted, self.settle) => settled.map_err(RunError::Settle)?,
            () = interrupt() => return Err(RunError::Interrupted),
        };
        Ok(Report::new(load, seed, &tally, took, settled))
    }

    /// Sends, and has everything in the log when it is done.
    async fn drive(&self, client: &Client, draw: &Draw, load: Load, seed: u64) -> io::Result<(Tally, Duration)> {
        let stop = CancellationToken::new();
        let header = Header::new(&self.url, seed);
        let log = self.log.as_deref().map(|path| Log::create(path, &header, stop.clone())).transpose()?;
        let driving = drive(client, draw, load, self.duration, log.as_ref().map(Log::lines), &stop);
        let driven = until_interrupted(driving, &stop).await;
        if let Some(log) = log {
            log.finish().await?;
        }
        Ok(driven)
    }
}

async fn until_interrupted<T>(driving: impl Future<Output = T>, stop: &CancellationToken) -> T {
    let mut driving = pin!(driving);
    select! {
        driven = &mut driving => driven,
        () = interrupt() => {
            eprintln!("loadgen: no more is sent; waiting for the answers under way");
            stop.cancel();
            driving.await
        }
    }
}

async fn interrupt() {
    if ctrl_c().await.is_err() {
        // Without a handler there is nothing to wait for: the signal ends the process.
        pending::<()>().await;
    }
}

fn positive(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|rate| (0.001..=1e7).contains(rate)).ok_or("must be a number above zero")
}
