//! Running: settings become a clinic, its API and its end.

use std::{future::Future, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use clinic_core::{
    availability::{HttpAvailability, HttpAvailabilityError, Simulated},
    channel::{self, LogChannel},
    clinic::{Builder, Clinic, ShutdownError, StartError},
    ports::{Availability, Channel},
};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{AvailabilityUrl, ChannelName, Config, ConfigError, LogFormat},
    http::{
        RouterOptions,
        keys::{Keys, KeysError},
        router_with, serve,
    },
    telemetry,
};

/// How long answers in flight have before the clinic behind them begins to stop as well.
const HEAD_START: Duration = Duration::from_secs(1);
/// How long stopping may take in all.
const STOP_WITHIN: Duration = Duration::from_millis(9_500);

/// A signal that follows another this closely is the same.
const ECHO: Duration = Duration::from_millis(300);

/// Why a process does not run, or ended other than asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The configuration refuses to start.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of API keys is of no use.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The availability service cannot be called.
    #[error("CLINIC_AVAILABILITY cannot be used")]
    Availability(#[from] HttpAvailabilityError),
    /// The log channel does not start.
    #[error("the log channel does not start")]
    Channel(#[source] std::io::Error),
    /// Something else listens there, or this process may not.
    #[error("cannot listen on {address}: end what listens there, or set CLINIC_LISTEN to another address (port 0 takes a free one)")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The clinic does not start.
    #[error("the clinic does not start")]
    Start(#[from] StartError),
    /// The system gave no threads or no signals.
    #[error("the system gave no threads or signals to run with")]
    Runtime(#[source] std::io::Error),
    /// A part of it panicked on the way.
    #[error("the clinic ended with a fault")]
    Shutdown(#[from] ShutdownError),
}

impl RunError {
    /// 2 when the configuration is to blame, 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Keys(_) | Self::Availability(_) | Self::Start(StartError::Settings(_)) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }

    /// The error and what lies behind it, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        crate::chain(self)
    }
}

/// Runs a whole process: logs, threads, signals, the clinic, until SIGTERM or SIGINT.
///
/// # Errors
/// [`RunError`].
pub fn process(config: &Config) -> Result<(), RunError> {
    config.settings()?;
    // A subscriber that is there already stays; an embedding program may have its own.
    let _ = telemetry::install_logs(config.logging.env_filter()?, config.logging.format);
    for variable in Config::unknown_variables() {
        tracing::warn!("{variable}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RunError::Runtime)?;
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let signals = signals(shutdown.clone()).map_err(RunError::Runtime)?;
        let signals = tokio::spawn(signals);
        let result = all_in_one(config, shutdown).await;
        signals.abort();
        result
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// Runs the clinic and its API in this process until `shutdown`, then stops within 10 s.
///
/// # Errors
/// [`RunError`].
pub async fn all_in_one(config: &Config, shutdown: CancellationToken) -> Result<(), RunError> {
    let builder = builder(config)?;
    let keys = config.serving.api_keys_file.as_deref().map(Keys::load).transpose()?;
    let metrics = telemetry::install_metrics().map_err(|error| tracing::warn!("{error}")).ok();

    // Listening first: a taken port is told before the store is touched, and early callers wait instead of being turned away.
    let listen = config.serving.listen;
    let listener = TcpListener::bind(listen).await.map_err(|source| RunError::Listen { address: listen, source })?;
    let address = listener.local_addr().map_err(|source| RunError::Listen { address: listen, source })?;
    let clinic = builder.start().await?;

    let upkeep = metrics.clone().map(|handle| tokio::spawn(telemetry::upkeep(handle, shutdown.clone())));
    let options = RouterOptions { keys, metrics, shutdown: shutdown.clone() };
    let mut server = tokio::spawn(serve(listener, router_with(clinic.handle(), options), shutdown.clone()));
    announce(config, address);

    shutdown.cancelled().await;
    tracing::info!("stopping: what is in flight gets 8 s, the rest is kept in the store for the next start");
    let stopped = async {
        let served = timeout(HEAD_START, &mut server).await.is_ok();
        let stopped = clinic.shutdown().await;
        if !served {
            let _ = server.await;
        }
        stopped
    };
    let stopped = timeout(STOP_WITHIN, stopped).await;
    if let Some(upkeep) = upkeep {
        let _ = upkeep.await;
    }
    match stopped {
        Ok(stopped) => stopped?,
        Err(_) => tracing::warn!("stopping took too long and was cut short; nothing is lost, the store keeps it"),
    }
    tracing::info!("stopped");
    Ok(())
}

/// The clinic that the settings describe, not yet started.
///
/// # Errors
/// [`RunError`].
pub fn builder(config: &Config) -> Result<Builder, RunError> {
    let settings = config.settings()?;
    let deciding = &config.deciding;
    let availability: Arc<dyn Availability> = match &deciding.availability {
        AvailabilityUrl::Simulated => {
            Arc::new(Simulated::new(deciding.sim_delay.0.clone(), deciding.sim_approve, deciding.sim_fail, deciding.sim_seed))
        }
        AvailabilityUrl::Http(url) => Arc::new(HttpAvailability::new(url, deciding.attempt_timeout)?),
    };
    let mut builder = Clinic::builder()
        .store(config.storing.url.as_str())
        .broker(config.brokering.url.as_str())
        .availability_arc(availability)
        .settings(settings);
    for name in &config.telling.channels {
        builder = builder.channel_arc(channel(*name, config.logging.format)?);
    }
    Ok(builder)
}

fn channel(name: ChannelName, format: LogFormat) -> Result<Arc<dyn Channel>, RunError> {
    match name {
        ChannelName::Log => {
            let format = match format {
                LogFormat::Text => channel::LogFormat::Text,
                LogFormat::Json => channel::LogFormat::Json,
            };
            Ok(Arc::new(LogChannel::to_stdout(format).map_err(RunError::Channel)?))
        }
        ChannelName::Email | ChannelName::Webhook => Err(ConfigError::no_channel(name).into()),
    }
}

fn announce(config: &Config, address: SocketAddr) {
    tracing::info!(
        "clinic open at http://{address}/ with its documentation at http://{address}/docs: store {}, broker {}, availability {}, channels {}",
        config.storing.url,
        config.brokering.url,
        config.deciding.availability,
        config.telling.names(),
    );
}

/// Cancels `shutdown` at the first SIGTERM or SIGINT and ends the process at the second.
fn signals(shutdown: CancellationToken) -> std::io::Result<impl Future<Output = ()> + Send> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        next().await;
        shutdown.cancel();
        // Supervisors such as timeout(1) signal the process and then its group: that is one wish, not two.
        let echo = Instant::now() + ECHO;
        while timeout_at(echo, next()).await.is_ok() {}
        next().await;
        tracing::warn!("a second signal: ending at once; nothing is lost, the store keeps it");
        std::process::exit(1);
    })
}
