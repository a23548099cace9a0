use std::sync::Arc;

use clinic_core::{
    availability::{HttpAvailability, Simulated},
    channel::{self, EmailChannel, LogChannel, webhook::WebhookChannel},
    clinic::{Builder, Clinic, Roles},
    ports::Availability,
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
    for name in &config.telling.channels {
        let notifies = roles.contains(Roles::NOTIFIER);
        builder = match name {
            ChannelName::Log if notifies => builder.channel(log(config)?),
            ChannelName::Email if notifies => builder.channel(EmailChannel::new(config.mailing.options()?).map_err(ConfigError::from)?),
            // An API process registers and tries out what notifiers send to.
            ChannelName::Webhook if notifies || roles.contains(Roles::API) => {
                let posting = &config.posting;
                let channel = WebhookChannel::new(posting.guard()?, posting.options()?);
                builder.webhooks(channel.map_err(|error| RunError::Webhooks(error.into()))?)
            }
            ChannelName::Log | ChannelName::Email | ChannelName::Webhook => builder,
        };
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

fn log(config: &Config) -> Result<LogChannel, RunError> {
    let format = match config.logging.format {
        LogFormat::Text => channel::LogFormat::Text,
        LogFormat::Json => channel::LogFormat::Json,
    };
    LogChannel::to_stdout(format).map_err(RunError::Channel)
}
