//! The child processes' side: a server of one kind, until the parent ends.

use std::{io, ops::RangeInclusive, path::PathBuf, time::Duration};

use axum::Router;
use chrono::Utc;
use clap::{Args, ValueEnum};
use clinic_core::{
    availability::Simulated,
    channel::{LogChannel, LogFormat},
    clinic::Clinic,
    settings::Settings,
};
use tokio::{net::TcpListener, runtime::Builder};
use tokio_util::sync::CancellationToken;

use crate::{echo, process};

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The limit: see [`crate::echo`].
    Echo,
    /// The clinic, in its embedded shape.
    Clinic,
}

/// How to serve.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    kind: Kind,
    #[arg(long)]
    threads: usize,
    #[arg(long, default_value = "clinic.db")]
    store: PathBuf,
    /// The simulated delay's bounds, in milliseconds.
    #[arg(long, num_args = 2, default_values_t = [2000, 5000])]
    delay: Vec<u64>,
    #[arg(long, default_value_t = 10_000)]
    concurrency: usize,
}

impl Serve {
    /// The arguments that make [`Self`] again, in another process.
    #[must_use]
    pub fn arguments(kind: Kind, threads: usize) -> Vec<String> {
        let kind = if kind == Kind::Echo { "echo" } else { "clinic" };
        ["serve", kind, "--threads"].into_iter().map(str::to_owned).chain([threads.to_string()]).collect()
    }

    /// Serves until the parent ends.
    ///
    /// # Errors
    /// When it cannot begin.
    pub fn run(self) -> io::Result<()> {
        let runtime = Builder::new_multi_thread().worker_threads(self.threads).enable_all().build()?;
        runtime.block_on(async {
            match self.kind {
                Kind::Echo => serve(echo::router(Utc::now())).await,
                Kind::Clinic => {
                    let clinic = self.clinic().await?;
                    // As the clinic's own process does; counting is part of what it costs.
                    clinic_services::telemetry::install_metrics().map_err(io::Error::other)?;
                    serve(clinic_services::http::router(clinic.handle())).await
                }
            }
        })
    }

    async fn clinic(&self) -> io::Result<Clinic> {
        let mut settings = Settings::default();
        settings.concurrency = self.concurrency;
        // No failures: a retried attempt waits for its turn instead of being in flight.
        let availability = Simulated::new(self.delay(), 0.8, 0.0, Some(1));
        let builder = Clinic::builder()
            .store(format!("sqlite:{}", self.store.display()).as_str())
            .broker("embedded")
            .availability(availability)
            .channel(LogChannel::to_stdout(LogFormat::Text)?)
            .settings(settings);
        builder.start().await.map_err(io::Error::other)
    }

    fn delay(&self) -> RangeInclusive<Duration> {
        Duration::from_millis(self.delay[0])..=Duration::from_millis(self.delay[1])
    }
}

/// Both kinds through the same server.
async fn serve(router: Router) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    process::announce(listener.local_addr()?);
    clinic_services::http::serve(listener, router, CancellationToken::new()).await
}
