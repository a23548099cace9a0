use std::sync::Arc;

use clinic_core::{
    availability::{HttpAvailability, Simulated},
    channel::{self, EmailChannel, LogChannel},
    clinic::{Builder, Clinic, Roles},
    ports::{Availability, Channel},
};

use super::RunError;
use crate::config::{AvailabilityUrl, ChannelName, Config, ConfigError, LogFormat, Program};

/// The clinic that the settings describe, with what the program has a use for, not yet started.
///
/// # Errors
/// [`RunError`].
pub fn builder(program: Program, config: &Config) -> Result<Builder, RunError> {
    let roles = program.roles();
    let mut builder = Clinic::builder()
        .store(config.storing.url.as_str())
        .broker(config.brokering.url.as_str())
        .prefix(config.brokering.prefix.as_str())
        .settings(config.settings(program)?)
        .roles(roles);
    if roles.contains(Roles::WORKER) {
        builder = builder.availability_arc(availability(config)?);
    }
    if roles.contains(Roles::NOTIFIER) {
        for name in &config.telling.channels {
            builder = builder.channel_arc(channel(*name, config)?);
        }
    }
    Ok(builder)
}

fn availability(config: &Config) -> Result<Arc<dyn Availability>, RunError> {
    let deciding = &config.deciding;
    Ok(match &deciding.availability {
        AvailabilityUrl::Simulated => {
            Arc::new(Simulated::new(deciding.sim_delay.0.clone(), deciding.sim_approve, deciding.sim_fail, deciding.sim_seed))
        }
        AvailabilityUrl::Unreadable => return Err(ConfigError::Availability.into()),
        AvailabilityUrl::Http(url) => Arc::new(HttpAvailability::new(url, deciding.attempt_timeout)?),
    })
}

fn channel(name: ChannelName, config: &Config) -> Result<Arc<dyn Channel>, RunError> {
    match name {
        ChannelName::Log => {
            let format = match config.logging.format {
                LogFormat::Text => channel::LogFormat::Text,
                LogFormat::Json => channel::LogFormat::Json,
            };
            Ok(Arc::new(LogChannel::to_stdout(format).map_err(RunError::Channel)?))
        }
        ChannelName::Email => Ok(Arc::new(EmailChannel::new(config.mailing.options()?).map_err(ConfigError::from)?)),
        ChannelName::Webhook => Err(ConfigError::no_channel(name).into()),
    }
}
