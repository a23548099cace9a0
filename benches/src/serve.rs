//! The child processes' side: a server of one kind, until the parent ends.

use std::{io, ops::RangeInclusive, path::PathBuf, time::Duration};

use axum::Router;
use chrono::Utc;
use clap::{Args, ValueEnum};
use clinic_core::{
    availability::Simulated,
    channel::{LogChannel, LogFormat},
    clinic::{Clinic, Roles},
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
    /// Its API alone.
    Api,
    /// A worker alone.
    Worker,
    /// A notifier alone.
    Notifier,
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
    /// How long the echo waits before it answers, in milliseconds.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    #[arg(long, default_value_t = 10_000)]
    concurrency: usize,
    #[arg(long, default_value = "embedded")]
    broker: String,
    #[arg(long, default_value = "")]
    prefix: String,
}

impl Serve {
    /// The arguments that make [`Self`] again, in another process.
    #[must_use]
    pub fn arguments(kind: Kind, threads: usize) -> Vec<String> {
        let kind = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        vec!["serve".to_owned(), kind, "--threads".to_owned(), threads.to_string()]
    }

    /// Serves until the parent ends.
    ///
    /// # Errors
    /// When it cannot begin.
    pub fn run(self) -> io::Result<()> {
        let runtime = Builder::new_multi_thread().worker_threads(self.threads).enable_all().build()?;
        runtime.block_on(async {
            match self.kind {
                Kind::Echo => serve(echo::router(Utc::now(), Duration::from_millis(self.latency))).await,
                Kind::Clinic => self.clinic(Roles::ALL).await,
                Kind::Api => self.clinic(Roles::API).await,
                Kind::Worker => self.clinic(Roles::WORKER).await,
                Kind::Notifier => self.clinic(Roles::NOTIFIER).await,
            }
        })
    }

    async fn clinic(&self, roles: Roles) -> io::Result<()> {
        let clinic = self.start(roles).await?;
        // As the clinic's own processes do; counting is part of what it costs.
        clinic_services::telemetry::install_metrics().map_err(io::Error::other)?;
        serve(clinic_services::http::router(clinic.handle())).await
    }

    async fn start(&self, roles: Roles) -> io::Result<Clinic> {
        let mut settings = Settings::default();
        settings.concurrency = self.concurrency;
        // No failures: a retried attempt waits for its turn instead of being in flight.
        let availability = Simulated::new(self.delay(), 0.8, 0.0, Some(1));
        let builder = Clinic::builder()
            .store(format!("sqlite:{}", self.store.display()).as_str())
            .broker(self.broker.as_str())
            .prefix(self.prefix.as_str())
            .availability(availability)
            .channel(LogChannel::to_stdout(LogFormat::Text)?)
            .settings(settings)
            .roles(roles);
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
