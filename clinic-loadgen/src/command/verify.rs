//! `loadgen verify`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use clinic_client::{BuildError, Error};
use thiserror::Error;

use super::{connect, show};
use crate::{
    load::parse_duration,
    log::LogError,
    verdict::Verdict,
    verify::{Claims, verify},
};

/// What `loadgen verify` takes.
#[derive(Args, Clone, Debug)]
pub struct Verify {
    /// The log that `loadgen run --log` wrote.
    #[arg(long)]
    pub log: PathBuf,
    /// The clinic's URL, if not the one of the run.
    #[arg(long)]
    pub url: Option<String>,
    /// The clinic's API key.
    #[arg(long, env = "CLINIC_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// How long to wait at most until all is decided and told.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub within: Duration,
    /// How often a booking may be asked about: once and as often again as the clinic's CLINIC_RETRIES says.
    #[arg(long, default_value_t = 4)]
    pub attempts: u32,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why a run could not be judged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The log is of no use.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The settings make no client.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// The bookings could not be read.
    #[error("the bookings could not be read: is the clinic running, and is this its URL?")]
    Read(#[source] Error),
}

impl Verify {
    pub(super) fn print(&self, verdict: &Verdict) -> ExitCode {
        show(verdict, self.json);
        if !verdict.breaches.is_empty() {
            return ExitCode::FAILURE;
        }
        if verdict.pending > 0 {
            eprintln!("loadgen: not all is decided yet, and in time: verify again later, or with a longer --within");
            return ExitCode::from(2);
        }
        ExitCode::SUCCESS
    }

    /// Judges the run.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn execute(&self) -> Result<Verdict, VerifyError> {
        let (header, claims) = Claims::read(&self.log)?;
        let url = self.url.as_deref().unwrap_or(&header.url);
        let client = connect(url, self.token.as_deref(), |client| client)?;
        verify(&client, claims, self.attempts, self.within).await.map_err(VerifyError::Read)
    }
}
