use std::{net::SocketAddr, process::ExitCode};

use clinic_core::{
    availability::HttpAvailabilityError,
    clinic::{ShutdownError, StartError},
    ports::Source,
};
use thiserror::Error;

use super::HealthError;
use crate::{config::ConfigError, http::keys::KeysError};

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
    /// Webhooks cannot be posted.
    #[error("webhooks cannot be posted")]
    Webhooks(#[source] Source),
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
    /// Another process was asked for its health and is not well.
    #[error(transparent)]
    Health(#[from] HealthError),
}

impl RunError {
    /// 2 when the configuration is to blame, 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Keys(_) | Self::Availability(_) | Self::Start(StartError::Settings(_) | StartError::Broker(_)) => {
                ExitCode::from(2)
            }
            _ => ExitCode::FAILURE,
        }
    }

    /// The error and what lies behind it, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        crate::chain(self)
    }
}
