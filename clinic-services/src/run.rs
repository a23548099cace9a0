//! Running: settings become a process of the clinic, what it serves over HTTP, and its end.

mod assembly;
mod check_health;
mod error;
mod files;
mod signals;

use std::{fmt::Display, io::Write, net::SocketAddr, process::ExitCode, time::Duration};

use clinic_core::clinic::{Clinic, Roles};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

pub use self::{
    assembly::builder,
    check_health::{HealthError, check_health},
    error::RunError,
};
use crate::{
    config::{Command, Config, Exposure, Program},
    desk::{self, Desk},
    http::{RouterOptions, keys::Keys, monitor, router_with, serve},
    telemetry,
};

/// How long answers in flight have before the clinic behind them begins to stop as well.
const HEAD_START: Duration = Duration::from_secs(1);
/// How long stopping may take in all.
const STOP_WITHIN: Duration = Duration::from_millis(9_500);

/// What a binary's `main` does: reads the command line and the environment, does as they say, tells what went wrong.
#[must_use]
pub fn main(program: Program) -> ExitCode {
    let (cli, effective) = program.read();
    let result = match cli.command {
        None => process(program, &cli.config),
        Some(Command::DeadLetters(desk)) => return at_desk(program, &desk),
        Some(Command::CheckConfig(config)) => check(program, &config).map(|()| print(&effective)),
        Some(Command::CheckHealth(serving)) => {
            check_health(&serving).map(|answer| print(&format_args!("{answer}\n"))).map_err(RunError::from)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {}", error.line());
            error.exit_code()
        }
    }
}

fn at_desk(program: Program, desk: &Desk) -> ExitCode {
    desk::run(desk).unwrap_or_else(|error| {
        eprintln!("{program}: {}", crate::chain(&error));
        if error.is_usage() { ExitCode::from(2) } else { ExitCode::FAILURE }
    })
}

/// To standard output, whose reader may have seen enough.
fn print(text: &dyn Display) {
    let _ = write!(std::io::stdout(), "{text}");
}

/// Whether a program could be started as configured, as far as that can be seen without touching store and broker. What is exposed
/// with leave goes to standard error.
///
/// # Errors
/// [`RunError`].
pub fn check(program: Program, config: &Config) -> Result<(), RunError> {
    builder(program, config)?;
    keys(config)?;
    for exposure in config.exposures(program) {
        eprintln!("{program}: {}", allowed(&exposure));
    }
    Ok(())
}

/// Runs a whole process: logs, threads, signals, the clinic, until SIGTERM or SIGINT.
///
/// # Errors
/// [`RunError`].
pub fn process(program: Program, config: &Config) -> Result<(), RunError> {
    config.settings(program)?;
    // A subscriber that is there already stays; an embedding program may have its own.
    let _ = telemetry::install_logs(config.logging.env_filter()?, config.logging.format);
    for variable in Config::unknown_variables() {
        tracing::warn!("{variable}");
    }
    for exposure in config.exposures(program) {
        tracing::warn!("{}", allowed(&exposure));
    }
    files::open_as_many_as_allowed();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RunError::Runtime)?;
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let signals = signals::signals(shutdown.clone()).map_err(RunError::Runtime)?;
        let signals = tokio::spawn(signals);
        let result = until(program, config, shutdown).await;
        signals.abort();
        result
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// Runs a program's part of the clinic, and what it serves over HTTP, until `shutdown`; then stops within 10 s.
///
/// # Errors
/// [`RunError`].
pub async fn until(program: Program, config: &Config, shutdown: CancellationToken) -> Result<(), RunError> {
    let builder = builder(program, config)?;
    let keys = keys(config)?;
    // Listening first: a taken port is told before the store is touched, and early callers wait instead of being turned away.
    let listening = match config.serving.listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let metrics = listening.as_ref().and_then(|_| telemetry::install_metrics().map_err(|error| tracing::warn!("{error}")).ok());
    let clinic = builder.start().await?;

    let upkeep = metrics.clone().map(|handle| tokio::spawn(telemetry::upkeep(handle, shutdown.clone())));
    let address = listening.as_ref().map(|(_, address)| *address);
    let server = listening.map(|(listener, _)| serving(program, listener, &clinic, keys, metrics, shutdown.clone()));
    announce(program, config, &clinic, address);

    shutdown.cancelled().await;
    tracing::info!("stopping: what is in flight gets 8 s, the rest is kept in the store for the next start");
    let stopped = async {
        let mut server = server;
        if let Some(served) = &mut server
            && timeout(HEAD_START, served).await.is_ok()
        {
            server = None;
        }
        let stopped = clinic.shutdown().await;
        if let Some(server) = server {
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

/// The keys, where there is somebody to ask for them.
fn keys(config: &Config) -> Result<Option<Keys>, RunError> {
    let path = config.serving.listen.and(config.serving.api_keys_file.as_deref());
    Ok(path.map(Keys::load).transpose()?)
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), RunError> {
    let failed = |source| RunError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn serving(
    program: Program,
    listener: TcpListener,
    clinic: &Clinic,
    keys: Option<Keys>,
    metrics: Option<PrometheusHandle>,
    shutdown: CancellationToken,
) -> JoinHandle<std::io::Result<()>> {
    let options = RouterOptions { keys, metrics, shutdown: shutdown.clone() };
    let router = if program.serves_api() { router_with(clinic.handle(), options) } else { monitor(clinic.handle(), options) };
    tokio::spawn(serve(listener, router, shutdown))
}

fn allowed(exposure: &Exposure) -> String {
    format!("{exposure}, as CLINIC_ALLOW_INSECURE={} lets it", exposure.allowed_by().as_str())
}

fn announce(program: Program, config: &Config, clinic: &Clinic, address: Option<SocketAddr>) {
    let open = match address {
        Some(address) if program.serves_api() => format!("open at http://{address}/ with its documentation at http://{address}/docs"),
        Some(address) => format!("started, its health at http://{address}/health and its metrics at http://{address}/metrics"),
        None => "started, not listening: set CLINIC_LISTEN for health and metrics".to_owned(),
    };
    let mut parts = format!("store {}, broker {}", config.storing, config.brokering);
    if program.roles().contains(Roles::WORKER) {
        parts += &format!(", availability {}, in timelines {}", config.deciding.availability, clinic.handle().settings().worker);
    }
    if program.roles().contains(Roles::NOTIFIER) {
        parts += &format!(", channels {}", config.telling.names());
    }
    tracing::info!("{program} {open}: {parts}");
}
